"""Figures become files, the same whoever makes them."""

import json
import re
import struct
import subprocess
import sys
import zlib

import altair as alt
import numpy as np
import polars as pl
import pytest
import vl_convert

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
    assert rendered(charts(3)) == whole


def test_a_chart_is_the_same_file_whatever_the_process_has_drawn_before():
    clipped = alt.Chart(alt.InlineData(values=[{"x": 1}])).mark_point(clip=True).encode(x="x:Q")
    said = json.dumps({"vl_spec": clipped.to_dict(), "vl_version": "6.1"})
    first = rendering._made_of(said)
    assert rendering._made_of(said) == first
    svg = json.loads(first)[0]
    (name,) = re.findall(r'id="([^"]+)"', svg)
    assert f"url(#{name})" in svg


def pixels(png: bytes) -> np.ndarray:
    """(height, width, 4) of a PNG with eight bits a channel and transparency."""
    parts, place = [], 8
    while place < len(png):
        (size,) = struct.unpack(">I", png[place : place + 4])
        parts.append((png[place + 4 : place + 8], png[place + 8 : place + 8 + size]))
        place += size + 12
    width, height, depth, colour = struct.unpack(">IIBB", parts[0][1][:10])
    assert (depth, colour) == (8, 6)
    rows = np.frombuffer(zlib.decompress(b"".join(said for kind, said in parts if kind == b"IDAT")), np.uint8)
    found = np.zeros((height + 1, width + 1, 4), np.int64)  # with what lies before the first row and column
    for y, row in enumerate(rows.reshape(height, 4 * width + 1), 1):
        for x, said in enumerate(row[1:].reshape(width, 4).astype(np.int64), 1):
            left, above, before = found[y, x - 1], found[y - 1, x], found[y - 1, x - 1]
            distances = np.abs([above - before, left - before, left + above - 2 * before])
            nearest = np.choose(distances.argmin(axis=0), [left, above, before])
            found[y, x] = (said + (0, left, above, (left + above) // 2, nearest)[row[0]]) % 256
    return found[1:, 1:]


def test_a_picture_without_layers_is_the_same_picture():
    faint = alt.Chart(alt.InlineData(values=[{"x": 0, "y": 1}, {"x": 2, "y": 3}])).encode(x="x:Q", y="y:Q")
    layers = [faint.mark_area(opacity=0.3), faint.mark_line(opacity=0.5), faint.mark_rule(opacity=0.2)]
    layers.append(faint.mark_point(filled=True, stroke="red", opacity=0.4))  # filled and drawn: left as it is
    svg = vl_convert.vegalite_to_svg(alt.layer(*layers).properties(width=40, height=30).to_dict(), vl_version="6.1")
    bare = rendering.SHAPE.sub(rendering._without_layer, svg)
    assert bare.count(' opacity="0') == 2 < svg.count(' opacity="0')
    whole, quick = (pixels(vl_convert.svg_to_png(one)) for one in (svg, bare))
    assert np.abs(whole - quick).max() <= 2  # of 255
    assert whole.std() > 10


@pytest.mark.process
def test_too_small_an_address_space_is_one_sentence_and_no_abort():
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (16 * 10**9, -1))\n"
        "import rnnmc.report.rendering as r\n"
        "try:\n r.rendered({})\nexcept Exception as error:\n print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.startswith("charts cannot be drawn in an address space of 14.9 GB; lift that limit (ulimit -v")
