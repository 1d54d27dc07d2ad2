"""The chain of one tile on the kernel of a name: compiled where that is asked for and can be, else the plain engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnnmc.chain import Moment, follow
from rnnmc.draws import Draws
from rnnmc.kernels.choice import COMPILED
from rnnmc.kernels.compiled import follow_compiled, kernel
from rnnmc.kernels.graphed import follow_graphed
from rnnmc.layout import Columns, Layout, Rows
from rnnmc.observables.observable import Watch


def layout_of(name: str) -> Layout:
    """The layout that the kernel of this name runs in."""
    return Columns() if name.endswith("columns") else Rows()


def moments(name: str, draws: Draws, horizons: tuple[int, ...], watches: Sequence[Watch] = ()) -> Iterator[Moment]:
    """The chain along these draws, on the kernel of this name, as `rnnmc.chain.follow`."""
    if name.startswith(COMPILED):
        run = kernel(draws.point.cell, draws.width, draws.dtype, name.endswith("columns"))
        if run is not None:
            return follow_compiled(run, draws, horizons, watches)
    if draws.device == "cuda" and draws.point.weights == "tied" and not watches:
        return follow_graphed(draws, horizons)
    return follow(draws.cell, draws.layout, draws.steps(), draws.state(), horizons, watches)


def made_by(name: str, cell: str, width: int, dtype: str) -> str:
    """The kernel that really runs where `name` is planned, for the record: without a compiler, the plain one."""
    import torch

    if name.startswith(COMPILED) and kernel(cell, width, getattr(torch, dtype), name.endswith("columns")) is None:
        return name.removeprefix(COMPILED)
    return name
