"""Which settings of a grid over all cells a cell gets.

A grid of every cell and setting would grow with every new cell. The cells that differ in kind have all settings; any
other cell, also one in a file of somebody's own, has one, chosen by its name, so that each setting is met by some.
"""

from itertools import product
from zlib import crc32

import pytest
from reference import STEPS

from rnnmc.cells import cells

FULL = tuple(STEPS)  # no matrix, one, several, one behind another; one part and two; an inner bias; smooth or not
MATRICES = [name for name, cell in cells().items() if not cell.vectors]  # as untied weights have to be


def spread(*axes, names=None):
    """Parameters (cell, one value of each axis): the whole grid for FULL, one setting for each other cell.

    names: of cells; all unless said.
    """
    settings, found = list(product(*axes)), []
    for name in names or cells():
        some = settings if name in FULL else [settings[crc32(name.encode()) % len(settings)]]
        ids = ("-".join([name, *(getattr(value, "name", str(value)) for value in one)]) for one in some)
        found += [pytest.param(name, *one, id=said) for one, said in zip(some, ids, strict=True)]
    return found
