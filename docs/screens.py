"""The first screens of four studies, on a desktop and a phone, light and dark: docs/screens/STUDY.png.

`python docs/screens.py` takes them by a headless Chromium from results/STUDY/report.html, of studies that were run.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STUDIES = ("default", "article", "phase", "atlas")
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
SCHEMES = {"light": 1, "dark": 0}  # as Chromium counts them
HEIGHT = 420  # pixels, of each of the four beside each other
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def shot(browser: str, page: Path, target: Path, size: tuple[int, int], scheme: int = 1) -> None:
    """A picture of what is seen of a page at first."""
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=8000"]
    words += [f"--window-size={size[0]},{size[1]}", f"--blink-settings=preferredColorScheme={scheme}"]
    subprocess.run([browser, *words, f"--screenshot={target}", page.as_uri()], check=True, capture_output=True)


def main() -> None:
    """Take them of the studies that are there, and say which are not."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit(f"no browser is found; install one of {', '.join(BROWSERS)}")
    (ROOT / "docs" / "screens").mkdir(exist_ok=True)
    for study in STUDIES:
        page = ROOT / "results" / study / "report.html"
        if not page.exists():
            print(f"{page}: is not there; run make study CONFIG=config/{study}.yaml first", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as folder:
            images, width = [], 0
            for device, (across, down) in SIZES.items():
                for name, scheme in SCHEMES.items():
                    shot(browser, page, Path(folder) / f"{device}-{name}.png", (across, down), scheme)
                    images.append(f'<img src="{device}-{name}.png" height="{HEIGHT}">')
                    width += round(HEIGHT * across / down) + 8
            together = Path(folder) / "together.html"
            style = "margin: 0; display: flex; gap: 8px; background: #999"
            together.write_text(f'<body style="{style}">{"".join(images)}</body>', encoding="utf-8")
            shot(browser, together, ROOT / "docs" / "screens" / f"{study}.png", (width - 8, HEIGHT))
        print(f"docs/screens/{study}.png")


if __name__ == "__main__":
    main()
