"""Recurrent operators of an ONNX graph: RNN, GRU and LSTM, and stacks of them.

Gates in the order of the standard: i o f c and z r h, rows by gate; Y = f(W x + R h + Wb + Rb).
Source: onnx.ai/onnx/operators, LSTM, GRU and RNN.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rnnmc.cells import cell as cell_named
from rnnmc.common.errors import UsageError
from rnnmc.networks.network import Layer, Network, blocks_of, check_stack, chosen, first_words, needed

GATES = {
    "LSTM": ("input", "output", "forget", "candidate"),
    "GRU": ("update", "reset", "candidate"),
    "RNN": ("hidden",),
}
USUAL = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
HANDS_ON = ("Transpose", "Squeeze", "Unsqueeze", "Reshape", "Dropout", "Identity", "Cast", "Concat", "Flatten")
NO_LAYER = "has no operator LSTM, GRU or RNN; export a model with a recurrent layer"


def read_onnx(path: str, layer: str | None = None) -> Network:
    """The recurrent layer of an ONNX file; a stack where one operator reads another. Raises UsageError."""
    onnx = needed("onnx", path)
    try:
        model = onnx.load(path)
    except Exception as error:  # of protobuf
        problem = f"is no ONNX file that can be read ({first_words(error)})"
        raise UsageError(f"{path} {problem}; export the model again") from None
    graph = model.graph
    weights = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            weights[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
    stacks = _stacks(graph)
    found = {
        _name(nodes[0], at): lambda nodes=nodes, at=at: _network(nodes, _name(nodes[0], at), weights, path)
        for at, nodes in enumerate(stacks)
    }
    return chosen(found, layer, path, NO_LAYER)


def _name(node: Any, at: int) -> str:
    return node.name or f"{node.op_type}_{at}"


def _stacks(graph: Any) -> list[list[Any]]:
    """Recurrent nodes, those that read nothing but another of their kind behind it."""
    made_by = {output: node for node in graph.node for output in node.output}
    stacks: list[list[Any]] = []
    for node in graph.node:
        if node.op_type not in GATES:
            continue
        below = _reader_of(node, made_by)
        stack = next((one for one in stacks if below is not None and one[-1] is below), None)
        if stack is not None and stack[0].op_type == node.op_type:
            stack.append(node)
        else:
            stacks.append([node])
    return stacks


def _reader_of(node: Any, made_by: Mapping[str, Any]) -> Any:
    """The recurrent node whose sequence this one reads, through what changes no number; else None."""
    name = node.input[0]
    while (source := made_by.get(name)) is not None and source.op_type in HANDS_ON:
        name = source.input[0]
    if source is None or source.op_type not in GATES or name != source.output[0]:
        return None
    return source


def _network(nodes: list[Any], name: str, weights: Mapping[str, np.ndarray], path: str) -> Network:
    place = f"{path}: {name}"
    levels = tuple(tuple(_directions(node, number, weights, place)) for number, node in enumerate(nodes))
    check_stack(levels, None, place)
    note = "an ONNX file does not say by which law its framework starts: PyTorch's is taken; --init says another"
    return Network(name, levels, "pytorch", notes=(note,))


def _directions(node: Any, number: int, weights: Mapping[str, np.ndarray], place: str) -> Iterator[Layer]:
    helper = needed("onnx", place).helper
    said = {one.name: _text(helper.get_attribute_value(one)) for one in node.attribute}
    gates, directions = GATES[node.op_type], DIRECTIONS[said.get("direction", "forward")]
    activations = said.get("activations", USUAL[node.op_type] * len(directions))
    cell = _cell(node.op_type, said, activations, len(directions), place)
    given = [*node.input, *[""] * 8]
    if given[7]:
        raise UsageError(f"{place} has peepholes; give an LSTM without them")
    for weight in given[1:4]:
        if weight and weight not in weights:
            raise UsageError(f"{place}: its weights {weight} are made in the graph; export with constants folded")
    w, r = weights[given[1]], weights[given[2]]
    b = weights[given[3]] if given[3] else np.zeros((len(directions), 2 * w.shape[1]))
    for at, back in enumerate(directions):
        of_inputs, of_state = (blocks_of(half, gates) for half in np.split(b[at], 2))
        inputs, recurrent = blocks_of(w[at], gates), blocks_of(r[at], gates)
        bias = {gate: of_inputs[gate] + of_state[gate] for gate in cell.gates}
        if cell.inner_biases:
            bias |= {"candidate": of_inputs["candidate"], "candidate_recurrent": of_state["candidate"]}
        label = f"l{number}{' reverse' if back else ''}"
        recurrent, inputs = ({gate: some[gate] for gate in cell.gates} for some in (recurrent, inputs))
        yield Layer(label, cell, recurrent, inputs, bias, back)


def _cell(kind: str, said: Mapping[str, Any], activations: list[str], directions: int, place: str):
    if said.get("clip") or said.get("input_forget"):
        raise UsageError(f"{place} clips or couples its gates; give a layer without clip and input_forget")
    if kind == "RNN" and activations in (["Relu"] * directions, ["Tanh"] * directions):
        return cell_named(activations[0].lower())
    if activations != USUAL[kind] * directions:
        raise UsageError(f"{place} has activations {', '.join(activations)}; give a layer with those of the standard")
    after = bool(said.get("linear_before_reset", 0))
    return cell_named({"LSTM": "lstm", "GRU": "gru_reset_after" if after else "gru"}[kind])


def _text(value: Any) -> Any:
    """Of an attribute, in whose bytes ONNX has its texts."""
    if isinstance(value, bytes):
        return value.decode()
    return [_text(one) for one in value] if isinstance(value, list) else value
