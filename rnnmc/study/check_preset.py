"""A preset against what every preset promises: for each cell and width, a law for each gate of each role."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnnmc.cells import cells
from rnnmc.cells.cell import Cell
from rnnmc.common.checks import CheckResult, checked, described, hold
from rnnmc.initialisers.law import Preset
from rnnmc.study.initialisation import ALL_ROLES, ROLES, Initialisation, names_of

WIDTHS, INPUTS = (1, 3, 16), (1, 3)


def check_preset(preset: Preset, seed: int = 0) -> list[CheckResult]:
    """The results of every check of this preset; never raises for a mistake of the preset."""
    return [
        described(preset, "name", "formula", "source"),
        checked("roles", f"it says {', '.join(ROLES)}, and the same when asked again", lambda: _roles(preset)),
        checked("gates", "every gate of every cell has a law that serves it", lambda: _gates(preset)),
        checked("written", "what a study file says of it reads back as itself", lambda: _written(preset)),
        checked("draws", "its weights are finite, whatever the width", lambda: _draws(preset, seed)),
    ]


def _asked(preset: Preset) -> Iterator[tuple[Cell, int, int]]:
    """(cell, width, inputs) for which it has something."""
    for cell in cells().values():
        if preset.serves(cell):
            yield from ((cell, width, inputs) for width in WIDTHS for inputs in INPUTS)


def _roles(preset: Preset) -> None:
    for asked in _asked(preset):
        said = preset.roles(*asked)
        hold(set(ROLES) <= set(said) <= set(ALL_ROLES), f"for {asked[0].name} it says {', '.join(said) or 'nothing'}")
        hold(preset.roles(*asked) == said, f"for {asked[0].name} it says something else when asked again")


def _read(preset: Preset, cell: Cell, width: int, inputs: int) -> Initialisation:
    """As a study file would have it, without the roles that this cell has not."""
    said = preset.roles(cell, width, inputs)
    return Initialisation.read({role: law for role, law in said.items() if names_of(cell, role)})


def _gates(preset: Preset) -> None:
    for asked in _asked(preset):
        _read(preset, *asked).assignments(*asked)


def _written(preset: Preset) -> None:
    for asked in _asked(preset):
        read = _read(preset, *asked)
        hold(Initialisation.read(read.written()) == read, f"for {asked[0].name} it reads back as {read.written()!r}")


def _draws(preset: Preset, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for cell, width, inputs in _asked(preset):
        rows = {"recurrent": width, "input": inputs, "bias": 1, "vector": 1}
        for role, drawn in _read(preset, cell, width, inputs).assignments(cell, width, inputs).items():
            for gates, law in drawn:
                signs = tuple(cell.memory.get(gate, 1) for gate in gates)
                matrix = law.draw(rng, (2, rows[role], width * len(gates)), signs)
                hold(bool(np.isfinite(matrix).all()), f"{role} weights of {cell.name} are not finite at width {width}")
