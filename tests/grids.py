"""Which settings of a grid over all cells a cell gets.

A grid over every cell and setting would grow with every new cell. The cells that differ in kind have all settings; any
other cell, also one in a file of somebody's own, has one, chosen by its name, so that no setting is left out.
"""

from itertools import product
from zlib import crc32

import pytest

from rnnmc.cells import cells

FULL = (  # one matrix, several, one behind another, none, vectors; one part and two; smooth or not; an inner bias
    "linear",
    "tanh",
    "relu",
    "lstm",
    "gru",
    "gru_tied",
    "gru_reset_after",
    "gru_output_gated",
    "minimal_rnn",
    "min_gru",
    "lru",
)


def spread(*axes, names=None):
    """Parameters (cell, one value of each axis): the whole grid for FULL, one setting for each other cell.

    axes: iterables of values, or of `pytest.param` with marks and an id. names: of cells; all unless said.
    """
    settings = list(product(*axes))
    found = []
    for name in cells() if names is None else names:
        some = settings if name in FULL else [settings[crc32(name.encode()) % len(settings)]]
        found += [_param(name, setting) for setting in some]
    return found


def _param(name, setting):
    bare = [value.values[0] if hasattr(value, "marks") else value for value in setting]
    marks = [mark for value in setting for mark in getattr(value, "marks", ())]
    ids = [
        getattr(value, "id", None) or getattr(bare_value, "name", bare_value)
        for value, bare_value in zip(setting, bare, strict=True)
    ]
    return pytest.param(name, *bare, marks=marks, id="-".join(map(str, (name, *ids))))
