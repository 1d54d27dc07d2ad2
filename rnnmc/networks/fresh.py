"""Fresh networks of the shape of a given one, drawn by the preset of its framework."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic_core import PydanticCustomError

from rnnmc.common.arrays import Floats
from rnnmc.common.refusals import refused
from rnnmc.networks.network import Layer, Network
from rnnmc.study.initialisation import Assignment, Initialisation, names_of

TILE = 64  # networks drawn together

Assigned = dict[str, list[Assignment]]


def fresh_networks(network: Network, init: Any, count: int, seed: int) -> Iterator[Network]:
    """`count` fresh networks of this shape, TILE at most in each of those yielded (a `Layer` holds several).

    init: as under `init:` of a study file. Raises UsageError at once where it has no law for the cell.
    """
    try:
        read = Initialisation.read(init)
        laws = {one.shape: read.assignments(one.cell, one.width, one.dimension) for one in network.layers}
    except PydanticCustomError as error:
        raise refused(error, "--init") from None
    return _tiles(network, laws, count, seed)


def _tiles(network: Network, laws: dict[Any, Assigned], count: int, seed: int) -> Iterator[Network]:
    for tile, first in enumerate(range(0, count, TILE)):
        rng, size = np.random.default_rng([seed, tile]), min(TILE, count - first)
        levels = tuple(
            tuple(_drawn(layer, laws[layer.shape], rng, size, network.shown) for layer in level)
            for level in network.levels
        )
        yield replace(network, levels=levels)


def _drawn(layer: Layer, laws: Assigned, rng: np.random.Generator, size: int, shown: int | None) -> Layer:
    def drawn(role: str, rows: int) -> dict[str, Floats]:
        found: dict[str, Floats] = {}
        for together, law in laws.get(role, ()):
            signs = tuple(layer.cell.memory.get(gate, 1) for gate in together)
            matrix = law.draw(rng, (size, rows, len(together) * layer.width), signs)
            found |= zip(together, np.split(matrix.astype(np.float64), len(together), axis=2), strict=True)
        return {name: found[name].swapaxes(1, 2) for name in names_of(layer.cell, role)}

    recurrent, inputs = drawn("recurrent", layer.width), drawn("input", layer.dimension)
    bias, vectors = ({name: one[:, :, 0] for name, one in drawn(role, 1).items()} for role in ("bias", "vector"))
    if shown is not None:  # units beyond a projection are zero
        for name, matrix in recurrent.items():
            (matrix[:, shown:] if name == "projection" else matrix[:, :, shown:])[:] = 0
    return replace(layer, recurrent=recurrent, inputs=inputs, bias=bias, vectors=vectors)
