"""Charts as files: SVG, and PNG made from it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

import vl_convert

if TYPE_CHECKING:
    from altair.typing import ChartType


def as_png(svg: str) -> bytes:
    """The picture in one and a half times its size, on white."""
    return vl_convert.svg_to_png(svg, scale=1.5)


def rendered(figures: Mapping[str, ChartType]) -> dict[str, bytes]:
    """Every chart as `<name>.svg` and `<name>.png`: file name -> content.

    The SVG come one after the other, for the ids in them count on; the PNG, which take longer, beside them in processes
    of their own.
    """
    from rnnmc.chart_parts import INK, VL_VERSION, config  # not in those processes, which are to start quickly

    files: dict[str, bytes | Future[bytes]] = {}
    workers = min(len(os.sched_getaffinity(0)), max(1, len(figures)))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as others:
        for name, chart in figures.items():
            specification = chart.to_dict(validate=False)
            svg = vl_convert.vegalite_to_svg(specification, vl_version=VL_VERSION, config=config(INK))
            files[f"{name}.svg"] = svg.encode()
            files[f"{name}.png"] = others.submit(as_png, svg)
        return {name: file if isinstance(file, bytes) else file.result() for name, file in files.items()}
