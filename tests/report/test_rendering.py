"""Figures become files, the same whoever makes them."""

import subprocess
import sys

import altair as alt
import polars as pl
import pytest

from rnnmc.report import rendering
from rnnmc.report.rendering import rendered


def charts(number: int) -> dict[str, alt.Chart]:
    base = alt.Chart(pl.DataFrame({"x": [1, 2, 3], "y": [3, 1, 2]})).mark_line().encode(x="x:Q", y="y:Q")
    return {f"chart-{i}": base.properties(width=100 + i) for i in range(number)}


@pytest.mark.process
def test_every_chart_becomes_an_svg_and_a_png_in_its_order():
    files = rendered(charts(5))
    assert list(files) == [f"chart-{i}.{kind}" for i in range(5) for kind in ("svg", "png")]
    assert all(files[f"chart-{i}.svg"].startswith(b"<svg") for i in range(5))
    assert all(files[f"chart-{i}.png"].startswith(b"\x89PNG") for i in range(5))
    assert rendered({}) == {}


@pytest.mark.process
def test_a_script_that_does_not_guard_its_main_part_can_draw(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import altair as alt\nfrom rnnmc.report.rendering import rendered\n"
        "chart = alt.Chart(alt.InlineData(values=[{'x': 1}])).mark_point().encode(x='x:Q')\n"
        "print(len(rendered({'one': chart, 'two': chart})))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "4\n")


@pytest.mark.process
def test_a_helper_that_is_killed_leaves_no_picture_out(monkeypatch: pytest.MonkeyPatch):
    whole = rendered(charts(3))
    start = rendering.subprocess.Popen

    def killed(*words, **more):
        helper = start(*words, **more)
        helper.kill()
        helper.wait()
        return helper

    monkeypatch.setattr(rendering.subprocess, "Popen", killed)
    found = rendered(charts(3))
    assert {name: content for name, content in found.items() if name.endswith("png")} == {
        name: content for name, content in whole.items() if name.endswith("png")
    }


@pytest.mark.process
def test_too_small_an_address_space_is_one_sentence_and_no_abort():
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (16 * 10**9, -1))\n"
        "import rnnmc.report.rendering as r\n"
        "try:\n r.rendered({})\nexcept Exception as error:\n print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.startswith("charts cannot be drawn in an address space of 14.9 GB; lift that limit (ulimit -v")
