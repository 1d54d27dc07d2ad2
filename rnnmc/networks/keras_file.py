"""Recurrent layers of Keras: a .keras file, which has the configuration beside the weights, or .weights.h5 alone.

Gates in the order of Keras, columns by gate: i f c o and z r h; a kernel is input by output, for Keras writes x W.
Source: keras.layers.LSTM, GRU, SimpleRNN; keras.saving.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rnnmc.cells import cell as cell_named
from rnnmc.cells.cell import Cell
from rnnmc.common.arrays import Floats
from rnnmc.common.errors import UsageError
from rnnmc.networks.network import Layer, Network, blocks_of, check_stack, chosen, first_words, needed

GATES = {
    "LSTM": ("input", "forget", "candidate", "output"),
    "GRU": ("update", "reset", "candidate"),
    "SimpleRNN": ("hidden",),
}
BY_COUNT = {len(gates): kind for kind, gates in GATES.items()}
PASS_ON = ("InputLayer", "Dropout", "SpatialDropout1D", "Masking")  # no number is another once trained
BACKWARD, FORWARD = "backward_layer", "forward_layer"
NO_LAYER = "has no LSTM, GRU or SimpleRNN of Keras 3; give a model with one, saved by model.save or save_weights"
UNSAID = (
    "a .weights.h5 file says no configuration: activations and directions are taken as Keras has them by default, and "
    "no layer as reading another; give the .keras file for what they are"
)

Config = Mapping[str, Any]


def read_keras(path: str, layer: str | None = None) -> Network:
    """The recurrent layer of a file of Keras 3; a stack where those of a Sequential follow each other.

    Raises UsageError.
    """
    h5py = needed("h5py", path)
    config: Config | None = None
    try:
        weights: Any = path
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as file:
                weights = io.BytesIO(file.read("model.weights.h5"))
                config = json.loads(file.read("config.json")) if "config.json" in file.namelist() else None
        with h5py.File(weights, "r") as file:
            cells = dict(_cells(file))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} is no whole file of Keras 3 ({first_words(error)}); save the model again") from None
    said = {} if config is None else {one["config"]["name"]: one for one in _configs(config)}
    stacks = [names for names in _stacks(config, said) if names and all(name in cells for name in names)]
    alone = [(name,) for name in cells if not any(name in names for names in stacks)]
    found = {
        "+".join(names): lambda names=names: _network(names, cells, said, path)
        for names in sorted([*stacks, *alone], key=lambda names: list(cells).index(names[0]))
    }
    return chosen(found, layer, path, NO_LAYER)


def _cells(file: Any) -> Iterator[tuple[str, dict[str, list[Floats]]]]:
    """(name of a layer, direction -> kernel, recurrent kernel and, where it has one, bias)."""
    found: dict[str, dict[str, list[Floats]]] = {}

    def look(path: str, group: Any) -> None:
        owner, _, last = path.rpartition("/")
        if last != "cell" or "vars" not in group or "1" not in group["vars"]:
            return
        arrays = [np.asarray(group["vars"][number], np.float64) for number in sorted(group["vars"], key=int)]
        above, _, direction = owner.rpartition("/")
        direction = direction if direction in (FORWARD, BACKWARD) else ""
        home = above if direction else owner
        name = file[f"{home}/vars"].attrs.get("name", home.rpartition("/")[2]) if f"{home}/vars" in file else home
        found.setdefault(str(name), {})[direction] = arrays

    file.visititems(look)
    yield from found.items()


def _configs(said: Any) -> Iterator[Config]:
    """Every layer that a configuration names, however deep."""
    if isinstance(said, dict):
        if said.get("class_name") in (*GATES, "Bidirectional") and "name" in said.get("config", {}):
            yield said
        for one in said.values():
            yield from _configs(one)
    elif isinstance(said, list):
        for one in said:
            yield from _configs(one)


def _stacks(config: Config | None, said: Mapping[str, Config]) -> Iterator[tuple[str, ...]]:
    """Names of recurrent layers of a Sequential that each read all steps of the one before, and nothing else."""
    if config is None or config.get("class_name") != "Sequential":
        return
    names: list[str] = []
    for one in config["config"]["layers"]:
        name = one["config"]["name"]
        if one["class_name"] in PASS_ON:
            continue
        if name not in said or one["config"].get("merge_mode", "concat") != "concat":
            yield tuple(names)
            names = []
            continue
        names.append(name)
        if one["config"].get("go_backwards"):  # what comes out is not in the order of time
            yield tuple(names)
            names = []
    yield tuple(names)


def _network(names: tuple[str, ...], cells: Mapping[str, Any], said: Mapping[str, Config], path: str) -> Network:
    place = f"{path}: {'+'.join(names)}"
    levels = tuple(tuple(_level(number, cells[name], said.get(name), place)) for number, name in enumerate(names))
    check_stack(levels, None, place)
    return Network("+".join(names), levels, "keras", notes=() if said else (UNSAID,))


def _level(number: int, arrays: Mapping[str, list[Floats]], config: Config | None, place: str) -> Iterator[Layer]:
    inner = config["config"].get("layer", config) if config else None
    for direction in sorted(arrays, reverse=True):  # forward before backward
        own: Config = inner["config"] if inner else {}
        back = direction == BACKWARD or bool(own.get("go_backwards"))
        yield _layer(f"l{number}{' reverse' if back else ''}", arrays[direction], own, back, place)


def _layer(name: str, arrays: list[Floats], config: Config, back: bool, place: str) -> Layer:
    kernel, recurrent = arrays[:2]
    count = recurrent.shape[1] // max(1, len(recurrent)) if recurrent.ndim == kernel.ndim == 2 else 0
    if count not in BY_COUNT or kernel.shape[1] != recurrent.shape[1] or count * len(recurrent) != recurrent.shape[1]:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise UsageError(f"{place}: weights of shapes {shapes} fit no layer; give an LSTM, GRU or SimpleRNN")
    gates = GATES[BY_COUNT[count]]
    bias = arrays[2] if len(arrays) > 2 else np.zeros(recurrent.shape[1])
    after = bias.ndim == 2 if len(arrays) > 2 else config.get("reset_after", True)
    cell = _cell(BY_COUNT[count], config, after, place)
    rows = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    of_inputs, of_state = blocks_of(rows[0], gates), blocks_of(rows[1], gates)
    total = {gate: of_inputs[gate] + of_state[gate] for gate in cell.gates}
    if cell.inner_biases:
        total |= {"candidate": of_inputs["candidate"], "candidate_recurrent": of_state["candidate"]}
    by_gate = ({gate: blocks_of(matrix.T, gates)[gate] for gate in cell.gates} for matrix in (recurrent, kernel))
    u, w = by_gate
    return Layer(name, cell, u, w, total, back)


def _cell(kind: str, config: Config, after: bool, place: str) -> Cell:
    activation, gating = config.get("activation", "tanh"), config.get("recurrent_activation", "sigmoid")
    if kind == "SimpleRNN" and activation in ("tanh", "relu", "linear"):
        return cell_named(activation)
    if activation != "tanh" or gating != "sigmoid":
        raise UsageError(f"{place} has activations {activation} and {gating}; give a layer with tanh and sigmoid")
    return cell_named({"LSTM": "lstm", "GRU": "gru_reset_after" if after else "gru"}[kind])
