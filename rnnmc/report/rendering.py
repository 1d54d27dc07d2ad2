"""Charts as files: SVG, and PNG made from it by helper processes, for it takes longer and holds up a thread.

A helper is this module run by itself, not a process of `multiprocessing`, which would run a user's script once more
where that has no `if __name__ == "__main__"`. One line in, the SVG as JSON; one line out, the PNG in base 64.
"""

from __future__ import annotations

import base64
import json
import queue
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import vl_convert

from rnnmc.common.errors import RunError
from rnnmc.common.granted import own_cpus

if TYPE_CHECKING:
    from altair.typing import ChartType

SCALE = 1.5  # of PNG


def rendered(figures: Mapping[str, ChartType]) -> dict[str, bytes]:
    """Every chart as `<name>.svg` and `<name>.png`, on white: file name -> content.

    The SVG come one after the other, for the ids in them count on, and the PNG beside them.
    """
    from rnnmc.report.charts.parts import INK, VL_VERSION, config  # not in helpers, which are to start quickly

    _refuse_too_little_address_space()
    files: dict[str, bytes | Future[bytes]] = {}
    with _helpers(min(own_cpus(), len(figures))) as pictures:
        for name, chart in figures.items():
            specification = chart.to_dict(validate=False)
            svg = vl_convert.vegalite_to_svg(specification, vl_version=VL_VERSION, config=config(INK))
            files[f"{name}.svg"] = svg.encode()
            files[f"{name}.png"] = pictures.submit(svg)
        return {name: file if isinstance(file, bytes) else file.result() for name, file in files.items()}


def _refuse_too_little_address_space() -> None:
    """Raise RunError where `ulimit -v` would have what draws the charts end this process without a word.

    Where there is such a limit, a process of its own tries. What draws reserves more addresses than it ever uses.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return
    code = "import vl_convert; vl_convert.vegalite_to_svg({'mark': 'point', 'data': {'values': []}})"
    if subprocess.run([sys.executable, "-c", code], capture_output=True).returncode:
        raise RunError(
            f"charts cannot be drawn in an address space of {limit / 2**30:.1f} GB; lift that limit (ulimit -v "
            "unlimited), then give rnnmc report"
        )


class _Pictures:
    """SVG to PNG by so many helpers, whichever is free."""

    def __init__(self, helpers: list[subprocess.Popen[str]]):
        self.free: queue.SimpleQueue[subprocess.Popen[str]] = queue.SimpleQueue()
        for helper in helpers:
            self.free.put(helper)
        self.threads = ThreadPoolExecutor(max(1, len(helpers)))

    def submit(self, svg: str) -> Future[bytes]:
        return self.threads.submit(self._made, svg)

    def _made(self, svg: str) -> bytes:
        helper = self.free.get()
        try:
            assert helper.stdin is not None
            assert helper.stdout is not None
            helper.stdin.write(json.dumps(svg) + "\n")
            helper.stdin.flush()
            return base64.b64decode(helper.stdout.readline()) or vl_convert.svg_to_png(svg, scale=SCALE)
        except BrokenPipeError:  # a helper that was killed
            return vl_convert.svg_to_png(svg, scale=SCALE)
        finally:
            self.free.put(helper)


@contextmanager
def _helpers(number: int) -> Iterator[_Pictures]:
    command = [sys.executable, "-c", "from rnnmc.report.rendering import help_out; help_out()"]
    pipe = subprocess.PIPE
    with ExitStack() as stack:
        every = [
            stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)) for _ in range(number)
        ]
        pictures = _Pictures(every)
        with pictures.threads:
            yield pictures


def help_out() -> None:
    """Make a PNG of every SVG that comes in, until there are no more."""
    for line in sys.stdin:
        print(base64.b64encode(vl_convert.svg_to_png(json.loads(line), scale=SCALE)).decode(), flush=True)
