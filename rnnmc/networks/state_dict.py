"""Recurrent layers in a state_dict of PyTorch, found by the names and the shapes of their weights.

Nothing of a file is ever executed: `torch.load(weights_only=True)` builds tensors and plain containers alone, and
safetensors holds nothing else.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from rnnmc.cells import cell as cell_named
from rnnmc.cells.lstm_projected import LSTMProjected
from rnnmc.common.arrays import Floats
from rnnmc.common.errors import UsageError
from rnnmc.networks.network import NEGATED, UNNAMED, Layer, Network, blocks_of, check_stack, chosen, first_words, needed

PART = re.compile(r"(?P<kind>weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)(_l(?P<level>\d+)(?P<back>_reverse)?)?")
GATES = {  # rows of weight_hh / columns -> the gates in PyTorch's order
    4: ("input", "forget", "candidate", "output"),
    3: ("reset", "update", "candidate"),
    1: ("hidden",),
}
PYTORCH_CELLS = ("lstm", "gru_reset_after", "tanh", "relu")  # cells that are one
NO_LAYER = "has no recurrent layer of PyTorch: no weight_ih with its weight_hh; give the state_dict of a model with one"

Arrays = Mapping[str, Floats]


def read_checkpoint(path: str, layer: str | None, nonlinearity: str | None) -> Network:
    """The recurrent layer of a file that `torch.save(module.state_dict(), path)` wrote, wrapped in more or not.

    layer: its name, where there are several. nonlinearity: of an RNN, which no state_dict says; None: tanh. Raises
    UsageError, also for a file that would have to run code to be read.
    """
    import torch

    try:
        with warnings.catch_warnings():  # of what it will refuse in the next moment
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of pickle, of zip, of torch: whatever it meets
        raise UsageError(
            f"{path} is no plain state_dict ({first_words(error)}) and is not opened, for that could run code that it "
            "brings; give what torch.save(model.state_dict(), path) writes, or safetensors"
        ) from None
    return of_arrays(_arrays(found), path, layer, nonlinearity)


def read_safetensors(path: str, layer: str | None, nonlinearity: str | None) -> Network:
    """As `read_checkpoint`, of a .safetensors file."""
    load_file = needed("safetensors.torch", path).load_file
    try:
        found = load_file(path)
    except Exception as error:  # of its own, of the file system, of torch
        raise UsageError(f"{path} is no whole safetensors file ({first_words(error)}); save it again") from None
    return of_arrays(_arrays(found), path, layer, nonlinearity)


def of_arrays(arrays: Arrays, place: str, layer: str | None = None, nonlinearity: str | None = None) -> Network:
    """The recurrent layer among weights by name, in PyTorch's names and shapes. Raises UsageError."""
    parts: dict[str, dict[str, Floats]] = {}
    for name, array in arrays.items():
        prefix, _, last = name.rpartition(".")
        if PART.fullmatch(last):
            parts.setdefault(prefix or UNNAMED, {})[last] = array
    found = {
        prefix: lambda prefix=prefix, some=some: _network(prefix, some, place, nonlinearity)
        for prefix, some in parts.items()
        if any(name.startswith("weight_hh") for name in some)
    }
    return chosen(found, layer, place, NO_LAYER)


def _network(name: str, parts: Arrays, place: str, nonlinearity: str | None) -> Network:
    where = place if name == UNNAMED else f"{place}: {name}"
    by_layer: dict[tuple[int, bool], dict[str, Floats]] = {}
    for part, array in parts.items():
        match = PART.fullmatch(part)
        assert match is not None
        by_layer.setdefault((int(match["level"] or 0), bool(match["back"])), {})[match["kind"]] = array
    levels: list[tuple[Layer, ...]] = []
    for level in range(1 + max(at for at, _ in by_layer)):
        directions = [(level, back) for back in (False, True) if (level, back) in by_layer]
        if not directions or len(directions) != len(levels[0] if levels else directions):
            raise UsageError(f"{where} has no whole layer {level}: its weights are missing; save the model again")
        levels.append(tuple(_layer(at, by_layer[at], where, nonlinearity) for at in directions))
    shown = next((array.shape[0] for part, array in parts.items() if part.startswith("weight_hr")), None)
    check_stack(levels, shown, where)
    plain = levels[0][0].cell.gates == ("hidden",) and nonlinearity is None
    notes = ("a state_dict does not say the nonlinearity of an RNN: tanh is taken; --nonlinearity relu is the other",)
    return Network(name, tuple(levels), "pytorch", shown, notes if plain else ())


def _layer(at: tuple[int, bool], parts: Arrays, where: str, nonlinearity: str | None) -> Layer:
    level, back = at
    name = f"l{level}{' reverse' if back else ''}"
    if not {"weight_ih", "weight_hh"} <= set(parts):
        raise UsageError(f"{where}: layer {name} has only {', '.join(parts)}; it needs weight_ih and weight_hh")
    hidden, given, projection = parts["weight_hh"], parts["weight_ih"], parts.get("weight_hr")
    gates = _gates(parts, f"{where}: layer {name}")
    if ("bias_ih" in parts) != ("bias_hh" in parts):
        there, lacks = sorted(("bias_ih", "bias_hh"), key=parts.__contains__, reverse=True)
        raise UsageError(f"{where}: layer {name} has {there} and no {lacks}; a layer of PyTorch has both or none")
    width = len(hidden) // len(gates)
    bias = [blocks_of(parts.get(kind, np.zeros(len(hidden))), gates) for kind in ("bias_ih", "bias_hh")]
    cell, inner = _cell(gates, projection is not None, nonlinearity), {}
    total = {gate: bias[0][gate] + bias[1][gate] for gate in gates}
    if cell.inner_biases:  # PyTorch's b_hn stands inside the product with the reset gate
        total["candidate"], inner["candidate_recurrent"] = bias[0]["candidate"], bias[1]["candidate"]
    recurrent = blocks_of(hidden, gates)
    if projection is not None:
        recurrent = {gate: _padded(matrix, width) for gate, matrix in recurrent.items()}
        recurrent["projection"] = _padded(projection[None].astype(np.float64), width)
    inputs = blocks_of(given, gates)
    ordered = {gate: recurrent[gate] for gate in cell.recurrent}
    return Layer(name, cell, ordered, {g: inputs[g] for g in cell.gates}, total | inner, back)


def _gates(parts: Arrays, where: str) -> tuple[str, ...]:
    """The gates that these shapes fit. Raises UsageError."""
    hidden, given, projection = parts["weight_hh"], parts["weight_ih"], parts.get("weight_hr")
    shapes = ", ".join(f"{kind} {tuple(array.shape)}" for kind, array in parts.items())
    fits = hidden.ndim == given.ndim == 2 and len(hidden) == len(given) and hidden.shape[1] > 0
    fits = fits and all(parts[kind].shape == (len(hidden),) for kind in ("bias_ih", "bias_hh") if kind in parts)
    if fits and projection is not None and projection.ndim == 2 and 4 * projection.shape[1] == len(hidden):
        fits, count = projection.shape[0] == hidden.shape[1], 4
    else:
        count = len(hidden) // hidden.shape[1] if fits and projection is None else 0
    if not fits or count not in GATES or (projection is None and count * hidden.shape[1] != len(hidden)):
        raise UsageError(
            f"{where}: {shapes} fit no layer; weight_hh has 4n, 3n or n rows and n columns in an LSTM, GRU or RNN, and "
            "weight_ih and both biases have as many rows"
        )
    return GATES[count]


def _cell(gates: tuple[str, ...], projected: bool, nonlinearity: str | None):
    if projected:
        return LSTMProjected(share=1.0)  # the rows of P that are not there are zero
    return cell_named({4: "lstm", 3: "gru_reset_after"}.get(len(gates), nonlinearity or "tanh"))


def _padded(matrix: Floats, width: int) -> Floats:
    """(1, n, n), with zeros where a projection has no units."""
    missing = [(0, 0), *((0, width - size) for size in matrix.shape[1:])]
    return np.pad(matrix, missing)


def _arrays(found: Any, prefix: str = "") -> dict[str, Floats]:
    """name -> float64 array of every tensor of floating point, however deep in mappings it lies."""
    import torch

    if not isinstance(found, Mapping):
        return {}
    arrays: dict[str, Floats] = {}
    for key, value in found.items():
        if isinstance(value, torch.Tensor):
            if value.is_floating_point() and not value.is_sparse:
                arrays[f"{prefix}{key}"] = value.detach().double().numpy()
        else:
            arrays |= _arrays(value, f"{prefix}{key}.")
    return arrays


def in_torch_names(layer: Layer) -> dict[str, Floats]:
    """The state_dict of the layer of PyTorch that this one is, float64: the inverse of `of_arrays`. One network.

    Where PyTorch adds two biases each has half of ours. Raises UsageError for a cell that is no layer of PyTorch.
    """
    gates = GATES.get(len(layer.cell.gates), ())
    if set(gates) != set(layer.cell.gates) or layer.cell.name not in PYTORCH_CELLS:
        raise UsageError(f"{layer.cell.name} is no layer of PyTorch; give one of {', '.join(PYTORCH_CELLS)}")

    def beside(parts: Mapping[str, Floats]) -> Floats:
        return np.concatenate([-parts[gate][0] if gate in NEGATED else parts[gate][0] for gate in gates])

    inner = {gate: layer.bias[name] for name, gate in layer.cell.inner_biases.items()}
    fed = {gate: layer.bias[gate] if gate in inner else layer.bias[gate] / 2 for gate in gates}
    return {
        "weight_ih_l0": beside(layer.inputs),
        "weight_hh_l0": beside(layer.recurrent),
        "bias_ih_l0": beside(fed),
        "bias_hh_l0": beside(fed | inner),
    }
