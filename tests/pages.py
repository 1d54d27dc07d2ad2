"""A report as a browser shows it, and what stands in its tables."""

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on PATH")


def search(pattern: str, text: str) -> re.Match[str]:
    """The first match, which must be there; dots match line ends."""
    found = re.search(pattern, text, re.DOTALL)
    assert found, pattern
    return found


def browse(page: Path, profile: Path, *options: str, asked: str = "#everything") -> tuple[str, str]:
    """(the page's document with its scripts run, and in a report all that is folded open, the browser's console)."""
    assert BROWSER is not None
    arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
    ]
    arguments += ["--disable-component-update", "--disable-sync", "--virtual-time-budget=20000"]
    arguments += ["--enable-logging=stderr", "--v=0", f"--user-data-dir={profile}", "--dump-dom", *options]
    done = subprocess.run(
        [BROWSER, *arguments, f"{page.as_uri()}{asked}"], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


def with_script(page: str, script: str) -> str:
    """The text of a page that runs this script at its end."""
    return f"{page[: page.rindex('</body>')]}<script>{script}</script></body></html>"


def words(markup: str) -> str:
    """What is left of markup without its tags."""
    return html.unescape(re.sub(r"<[^>]+>", "", markup)).strip()


def entries(document: str, table: str) -> list[dict[str, tuple[str, str, str]]]:
    """The rows of one table: header -> (text, what it is sorted by, what the pointer over it says)."""
    whole = search(rf'<table id="{re.escape(table)}">.*?</table>', document)[0]
    headers = [words(header) for header in re.findall(r"<th\b.*?</th>", whole, re.DOTALL)]
    rows = []
    for row in re.findall(r"<tr>(.*?)</tr>", whole[whole.index("<tbody>") :], re.DOTALL):
        cells = [
            (
                words(text),
                *(html.unescape("".join(re.findall(rf'{name}="([^"]*)"', tag))) for name in ("data-value", "title")),
            )
            for tag, text in re.findall(r"<td([^>]*)>(.*?)</td>", row, re.DOTALL)
        ]
        rows.append(dict(zip(headers, cells, strict=True)))
    return rows
