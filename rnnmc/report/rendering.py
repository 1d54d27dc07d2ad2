"""Charts as files: SVG, and PNG made from it, by helper processes, for each chart takes a while and holds up a thread.

A helper is this module run by itself, not a process of `multiprocessing`, which would run a user's script once more
where that has no `if __name__ == "__main__"`. One line in, a chart as JSON; one line out, its SVG and its PNG.
"""

from __future__ import annotations

import base64
import json
import queue
import re
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import vl_convert

from rnnmc.common.errors import RunError
from rnnmc.common.granted import own_cpus

if TYPE_CHECKING:
    from altair.typing import ChartType

SCALE = 1.5  # of PNG
NUMBERED = re.compile(r'(?<= id=")[a-z_]+\d+(?=")|(?<=url\(#)[a-z_]+\d+(?=\))')  # by Vega, over a whole process
FRAME = re.compile(
    r'width="(?P<width>\d+)" height="(?P<height>\d+)" viewBox="0 0 (?P=width) (?P=height)"><rect width="(?P=width)"'
)
MARGIN = 0.05  # of the width of an SVG, at each side
SHAPE, OPACITY = re.compile(r"<(?:path|line) [^>]*>"), re.compile(r' opacity="[^"]*"')


def rendered(figures: Mapping[str, ChartType]) -> dict[str, bytes]:
    """Every chart as `<name>.svg` and `<name>.png`, on white: file name -> content."""
    with drawing(len(figures)) as pictures:
        for name, chart in figures.items():
            pictures.draw(name, chart.to_dict(validate=False))
        return pictures.files()


@contextmanager
def drawing(most: int | None = None) -> Iterator[Drawing]:
    """Charts, at most so many, are drawn by as many helpers as there are cores, while the body does something else.

    Raises RunError where nothing can be drawn in this address space.
    """
    _refuse_too_little_address_space()
    command = [sys.executable, "-P", "-c", "from rnnmc.report.rendering import help_out; help_out()"]
    pipe, number = subprocess.PIPE, own_cpus() if most is None else min(own_cpus(), most)
    with ExitStack() as stack:
        every = [
            stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)) for _ in range(number)
        ]
        with ThreadPoolExecutor(max(1, number)) as threads:
            yield Drawing(every, threads)


class Drawing:
    """Charts on their way to files, each by whichever helper is free."""

    def __init__(self, helpers: list[subprocess.Popen[str]], threads: ThreadPoolExecutor):
        self._free: queue.SimpleQueue[subprocess.Popen[str]] = queue.SimpleQueue()
        for helper in helpers:
            self._free.put(helper)
        self._threads = threads
        self._drawn: dict[str, Future[tuple[str, str]]] = {}

    def draw(self, name: str, specification: dict[str, Any]) -> None:
        """Begin with one chart, as Vega-Lite."""
        from rnnmc.report.charts.parts import INK, VL_VERSION, config  # not in helpers, which are to start quickly

        said = {"vl_spec": specification, "vl_version": VL_VERSION, "config": config(INK)}
        self._drawn[name] = self._threads.submit(self._made, json.dumps(said))

    def files(self) -> dict[str, bytes]:
        """`<name>.svg` and `<name>.png` of each, on white, in the order in which they were begun."""
        found: dict[str, bytes] = {}
        for name, drawn in self._drawn.items():
            svg, png = drawn.result()
            found |= {f"{name}.svg": svg.encode(), f"{name}.png": base64.b64decode(png)}
        return found

    def _made(self, said: str) -> tuple[str, str]:
        helper = self._free.get()
        try:
            svg, png = json.loads(_answer(helper, said) or _made_of(said))
        finally:
            self._free.put(helper)
        return svg, png


def _answer(helper: subprocess.Popen[str], said: str) -> str:
    """What a helper makes of a chart; nothing where it was killed."""
    assert helper.stdin is not None
    assert helper.stdout is not None
    if helper.stdin.closed:
        return ""
    try:
        helper.stdin.write(f"{said}\n")
        helper.stdin.flush()
    except BrokenPipeError:
        with suppress(BrokenPipeError):
            helper.stdin.close()
    line = helper.stdout.readline()
    return line if line.endswith("\n") else ""


def _made_of(said: str) -> str:
    """A chart as JSON -> (its SVG, its PNG in base 64) as JSON; the same whatever the process has drawn before."""
    names: dict[str, str] = {}
    svg = vl_convert.vegalite_to_svg(**json.loads(said))
    svg = NUMBERED.sub(lambda found: names.setdefault(found[0], f"part{len(names)}"), svg)
    png = vl_convert.svg_to_png(SHAPE.sub(_without_layer, svg), scale=SCALE)
    return json.dumps([FRAME.sub(_wider, svg, count=1), base64.b64encode(png).decode()])


def _wider(head: re.Match[str]) -> str:
    """Room at both sides of a figure: where it is shown letters may be wider than those it was measured with."""
    width, height = int(head["width"]), head["height"]
    room = round(MARGIN * width)
    box = f'width="{width + 2 * room}" height="{height}" viewBox="{-room} 0 {width + 2 * room} {height}"'
    return f'{box}><rect x="{-room}" width="{width + 2 * room}"'


def _without_layer(shape: re.Match[str]) -> str:
    """A shape that is only filled, or only drawn, with its opacity said of that: the same picture, but what makes the
    PNG gives it no layer of its own, which is as large as the whole picture and takes most of the time.
    """
    filled, drawn = ' fill="' in shape[0], ' stroke="' in shape[0]
    if filled == drawn or "-opacity" in shape[0]:
        return shape[0]
    return OPACITY.sub(lambda said: f" {'fill' if filled else 'stroke'}-{said[0][1:]}", shape[0])


def help_out() -> None:
    """Draw every chart that comes in, until there are no more."""
    for line in sys.stdin:
        print(_made_of(line), flush=True)


def _refuse_too_little_address_space() -> None:
    """Raise RunError where `ulimit -v` would have what draws the charts end this process without a word.

    Where there is such a limit, a process of its own tries. What draws reserves more addresses than it ever uses.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return
    code = "import vl_convert; vl_convert.vegalite_to_svg({'mark': 'point', 'data': {'values': []}})"
    if subprocess.run([sys.executable, "-P", "-c", code], capture_output=True).returncode:
        raise RunError(
            f"charts cannot be drawn in an address space of {limit / 2**30:.1f} GB; lift that limit (ulimit -v "
            "unlimited), then give rnnmc report"
        )
