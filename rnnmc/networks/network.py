"""A given network: its recurrent layers with weights in our names, whatever format they came in.

Our GRU is h' = (1-z) o h + z o y. PyTorch, Keras, ONNX and Flax write z for our 1 - z, which is sg(-a) where theirs is
sg(a): what reads them negates all that feeds the update gate.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from rnnmc.cells.cell import Cell
from rnnmc.cells.stacked import bias_of_layer, into_layer, of_layer, stacked
from rnnmc.common.arrays import Floats
from rnnmc.common.errors import UsageError
from rnnmc.common.refusals import choose

NEGATED = ("update",)  # gates of which others write 1 - z for our z
UNNAMED = "(the whole file)"  # name of a layer that lies in no other module


@dataclass(frozen=True)
class Layer:
    """One direction of one recurrent layer, float64; of r networks of the same shape side by side, mostly one.

    name: for people, such as `l0` or `l1 reverse`. recurrent: name of `cell.recurrent` -> (r, n, n) U, output by input,
    so that a gate meets U h. inputs: gate -> (r, n, m) W. bias: gate or inner bias -> (r, n).
    reverse: it reads its input from the last step to the first. vectors: vector weight, which may have the name of a
    gate -> (r, n).
    """

    name: str
    cell: Cell
    recurrent: Mapping[str, Floats]
    inputs: Mapping[str, Floats]
    bias: Mapping[str, Floats]
    reverse: bool = False
    vectors: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """n."""
        return self.bias[self.cell.gates[0]].shape[1]

    @property
    def dimension(self) -> int:
        """m, of the input."""
        return next(iter(self.inputs.values())).shape[2]

    @property
    def shape(self) -> tuple[str, int, int, bool]:
        """What two layers have in common that differ in their numbers alone."""
        return self.cell.name, self.width, self.dimension, self.reverse


@dataclass(frozen=True)
class Network:
    """A stack of recurrent layers.

    name: of the module inside what it was read from. levels: from the input up, each of one direction or two; a level
    reads the h of all directions of the one below, side by side, at the same step. preset: of a fresh one in its
    framework, "" where there is none. shown: how many units of the h of a layer its readers see, where a projection
    leaves some at zero; None: all.
    notes: what the source does not say and was taken for granted, a sentence each.
    """

    name: str
    levels: tuple[tuple[Layer, ...], ...]
    preset: str
    shown: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All of them, from the input up."""
        return tuple(layer for level in self.levels for layer in level)

    @property
    def dimension(self) -> int:
        """m, of the input of the lowest level."""
        return self.levels[0][0].dimension

    @property
    def label(self) -> str:
        """For people: `lstm n=64 m=1, 2 layers, bidirectional`."""
        kinds = list(dict.fromkeys(f"{one.cell.name} n={one.width}" for one in self.layers))
        words = [f"{', '.join(kinds)} m={self.dimension}"]
        words += [f"{len(self.levels)} layers"] if len(self.levels) > 1 else []
        words += ["bidirectional"] if len(self.layers) > len(self.levels) else []
        return ", ".join(words)


def joint(network: Network) -> Layer | None:
    """All layers of a stack as one, whose state is that of all of them; None where that is no stack of one direction.

    Nor of cells or widths that differ: each layer then has its own chain alone.
    """
    layers = network.layers
    alike = len({(layer.cell.name, layer.width) for layer in layers}) == 1 and layers[0].cell.recurrent
    if len(layers) == 1 or len(layers) > len(network.levels) or not alike or any(one.reverse for one in layers):
        return None
    first, cell = layers[0], stacked(layers[0].cell, len(layers))
    recurrent, bias, vectors = dict(first.recurrent), dict(first.bias), dict(first.vectors)
    for number, layer in enumerate(layers[1:], start=2):
        recurrent |= {of_layer(name, number): matrix for name, matrix in layer.recurrent.items()}
        missing = [(0, 0), (0, 0), (0, layer.width - layer.dimension)]  # units that a projection leaves at zero
        recurrent |= {into_layer(gate, number): np.pad(matrix, missing) for gate, matrix in layer.inputs.items()}
        bias |= {bias_of_layer(gate, number): layer.bias[gate] for gate in layer.cell.gates}
        bias |= {of_layer(name, number): layer.bias[name] for name in layer.cell.inner_biases}
        vectors |= {of_layer(name, number): vector for name, vector in layer.vectors.items()}
    ordered = {name: recurrent[name] for name in cell.recurrent}
    return Layer("all layers", cell, ordered, first.inputs, bias, vectors=vectors)


def blocks_of(matrix: Floats, gates: Sequence[str], negated: Iterable[str] = NEGATED) -> dict[str, Floats]:
    """gate -> (1, rows / gates, ...) of what stands one gate above the other, those of `negated` with another sign."""
    parts = np.split(np.asarray(matrix, np.float64), len(gates))
    return {gate: (-part if gate in negated else part)[None] for gate, part in zip(gates, parts, strict=True)}


def check_stack(levels: Sequence[Sequence[Layer]], shown: int | None, where: str) -> None:
    """Raise UsageError where a level does not read what the one below shows."""
    for below, above in pairwise(levels):
        given = sum(shown or layer.width for layer in below)
        for layer in above:
            if layer.dimension != given:
                problem = f"reads {layer.dimension} inputs, and the layer below has {given}"
                raise UsageError(f"{where}: layer {layer.name} {problem}; save the model again")


def needed(package: str, path: str) -> Any:
    """A package that only this format needs. Raises UsageError where it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError:
        name = package.partition(".")[0]
        raise UsageError(f"{path} needs the package {name}; run pip install 'rnnmc[inspect]'") from None


def first_words(error: Exception) -> str:
    """The kind of an error and its first sentence, on one line."""
    words = re.split(r"\.\s|\n|;", str(error).strip())[0]
    return f"{type(error).__name__}: {words}"[:200]


def chosen(found: Mapping[str, Callable[[], Network]], layer: str | None, place: str, none: str) -> Network:
    """The network of this name among those that a file or module has; without a name, the only one.

    found: name -> what reads it. layer: the name, or its last words (`rnn` for `encoder.rnn`). none: the rest of the
    sentence where there is none at all. Raises UsageError.
    """
    if not found:
        raise UsageError(f"{place} {none}")
    if layer is None:
        if len(found) > 1:
            raise UsageError(f"{place} has {len(found)} recurrent layers; give --layer, one of {', '.join(found)}")
        return next(iter(found.values()))()
    names = [name for name in found if name == layer] or [name for name in found if name.endswith(f".{layer}")]
    if len(names) != 1:
        problem = "stands for several layers" if names else "is no recurrent layer"
        raise UsageError(f"--layer: {layer} {problem} of {place}; {choose(layer, names or found)}")
    return found[names[0]]()
