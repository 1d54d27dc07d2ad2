"""The recurrent layers of PyTorch, Keras, Flax, Haiku and Equinox: where the weights of each gate lie, and their sign.

h' = (1-z) o h + z o y is the convention of rnnmc; where a layer's update gate is one minus that, its weights change
sign. Each was held to the layer itself: torch 2.13.0, Keras 3.15.1, Flax 0.12.12, Haiku 0.0.17, Equinox 0.13.8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rnnmc.common.errors import UsageError
from rnnmc.common.refusals import choose

Slots = dict[tuple[str, str], "Slot"]


class Slot(NamedTuple):
    """Where the weights of one gate lie in a layer.

    target: what is assigned to. shape: of it, in n and m. sign, offset: it holds sign * ours + offset. zero: what must
    be zero beside it, as the layer adds both.
    """

    target: str
    shape: str
    sign: int = 1
    offset: float = 0.0
    zero: str = ""


@dataclass(frozen=True)
class FrameworkLayer:
    """A layer of a framework, empty of what is set.

    name: as under `init:`. imports, make: lines before. slots: (role, gate) -> place. whole: role -> place of all its
    gates, where they lie in one array. put: lines after. in_torch: laws are written in torch, else in NumPy. context:
    line below which the assignments stand. short: a preset that says what the one named after the layer does. alone:
    how many of the lines of `make` are enough where nothing is set.
    """

    name: str
    imports: tuple[str, ...]
    make: tuple[str, ...]
    slots: Mapping[tuple[str, str], Slot]
    put: tuple[str, ...] = ()
    whole: Mapping[str, Slot] = field(default_factory=dict)
    in_torch: bool = False
    context: str = ""
    short: str = ""
    alone: int = 1

    @property
    def default(self) -> str:
        """The preset that is this layer's own default."""
        return self.short or self.name


def frameworks() -> tuple[str, ...]:
    """The frameworks that code can be written for."""
    return tuple(FRAMEWORKS)


def layer_of(framework: str, cell: str) -> FrameworkLayer:
    """The layer of a framework, or the one of this name, that runs this cell.

    Raises UsageError for a framework or layer that is not known, or one that does not run it.
    """
    known = FRAMEWORKS | BY_LAYER
    if framework not in known:
        near = choose(framework, known if framework.count(".") > 1 else FRAMEWORKS)
        raise UsageError(f"--framework: {framework} is not known; {near}")
    served = known[framework]
    if cell not in served:
        raise UsageError(f"--framework: {framework} has no layer for {cell}; it has them for {', '.join(served)}")
    return served[cell]


def _part(array: str, index: int, gates: int, columns: bool = False) -> str:
    """The part of a stack that one gate has."""
    if gates == 1:
        return f"{array}[:]"
    first = "" if index == 0 else "n" if index == 1 else f"{index} * n"
    last = "" if index == gates - 1 else "n" if index == 0 else f"{index + 1} * n"
    return f"{array}[{':, ' if columns else ''}{first}:{last}]"


def _sign(gate: str, flipped: bool) -> int:
    return -1 if gate == "update" and flipped else 1


LSTM_IFGO = ("input", "forget", "candidate", "output")
LSTM_IGFO = ("input", "candidate", "forget", "output")
GRU_RZN = ("reset", "update", "candidate")
GRU_ZRN = ("update", "reset", "candidate")
ELMAN = ("hidden",)


def _torch(layer: str, order: tuple[str, ...], more: str = "", inner: bool = False) -> FrameworkLayer:
    """The gates lie under each other; both bias vectors are added, but for one inside the reset product."""
    slots: Slots = {}
    for i, gate in enumerate(order):
        sign = _sign(gate, True)
        hh, ih, bias, other = (
            _part(f"layer.{name}_l0", i, len(order)) for name in ("weight_hh", "weight_ih", "bias_ih", "bias_hh")
        )
        slots |= {("recurrent", gate): Slot(hh, "n, n", sign), ("input", gate): Slot(ih, "n, m", sign)}
        apart = inner and gate == "candidate"
        slots["bias", gate] = Slot(bias, "n", sign, zero="" if apart else other)
        if apart:
            slots["bias", "candidate_recurrent"] = Slot(other, "n")
    rows = "n" if len(order) == 1 else f"{len(order)} * n"
    whole = {
        "recurrent": Slot("layer.weight_hh_l0[:]", f"{rows}, n"),
        "input": Slot("layer.weight_ih_l0[:]", f"{rows}, m"),
    }
    whole["bias"] = Slot("layer.bias_ih_l0[:]", rows, zero="layer.bias_hh_l0[:]")
    make = (f"layer = torch.nn.{layer}(m, n{more}, batch_first=True)",)
    name, context = f"torch.nn.{layer}", "with torch.no_grad():"
    return FrameworkLayer(name, ("import torch",), make, slots, (), whole, True, context, short="pytorch")


def _keras(layer: str, order: tuple[str, ...], more: str = "", inner: bool = False) -> FrameworkLayer:
    """The gates lie beside each other; a GRU that resets after the product has two rows of biases."""
    slots: Slots = {}
    for i, gate in enumerate(order):
        sign = _sign(gate, True)
        slots["recurrent", gate] = Slot(_part("recurrent", i, len(order), True), "n, n", sign)
        slots["input", gate] = Slot(_part("kernel", i, len(order), True), "m, n", sign)
        bias, other = (_part(name, i, len(order)) for name in (("bias[0]", "bias[1]") if inner else ("bias", "")))
        apart = inner and gate == "candidate"
        slots["bias", gate] = Slot(bias, "n", sign, zero=other if inner and not apart else "")
        if apart:
            slots["bias", "candidate_recurrent"] = Slot(other, "n")
    columns = "n" if len(order) == 1 else f"{len(order)} * n"
    whole = {"recurrent": Slot("recurrent[:]", f"n, {columns}"), "input": Slot("kernel[:]", f"m, {columns}")}
    whole["bias"] = Slot("bias[:]", columns)
    make = (
        f"layer = keras.layers.{layer}(n{more}, return_sequences=True)",
        "layer.build((None, None, m))",
        "kernel, recurrent, bias = layer.get_weights()",
    )
    put = ("layer.set_weights([kernel, recurrent, bias])",)
    imports = ("import keras", "import numpy as np")
    return FrameworkLayer(f"keras.layers.{layer}", imports, make, slots, put, whole, short="keras")


def _linen(
    layer: str, names: Mapping[str, str], more: str = "", biases: str = "h", inner: bool = False
) -> FrameworkLayer:
    """An array for each gate. biases: whether they lie with what the state or the input is multiplied by."""
    slots: Slots = {}
    for gate, letter in names.items():
        sign = _sign(gate, True)
        slots["recurrent", gate] = Slot(f'p["h{letter}"]["kernel"][:]', "n, n", sign)
        slots["input", gate] = Slot(f'p["i{letter}"]["kernel"][:]', "m, n", sign)
        slots["bias", gate] = Slot(f'p["{biases}{letter}"]["bias"][:]', "n", sign)
    if inner:
        slots["bias", "candidate_recurrent"] = Slot('p["hn"]["bias"][:]', "n")
    make = (
        f"cell = nn.{layer}(n{more})",
        "carry = cell.initialize_carry(jax.random.key(0), (m,))",
        'params = cell.init(jax.random.key(0), carry, jax.numpy.zeros(m))["params"]',
        "p = jax.tree.map(np.array, params)",
    )
    put = ("params = jax.tree.map(jax.numpy.asarray, p)",)
    imports = ("import flax.linen as nn", "import jax", "import numpy as np")
    return FrameworkLayer(f"flax.linen.{layer}", imports, make, slots, put, short="flax")


def _haiku(module: str, inside: str, slots: Slots, whole: Mapping[str, Slot]) -> FrameworkLayer:
    make = (
        "def forward(x):",
        f"    layer = hk.{module}(n)",
        "    return layer(x, layer.initial_state(None))[0]",
        "",
        "params = hk.transform(forward).init(jax.random.key(0), jax.numpy.zeros(m))",
        "p = jax.tree.map(np.array, params)" + inside,
    )
    put = ("params = jax.tree.map(jax.numpy.asarray, p)",)
    imports = ("import haiku as hk", "import jax", "import numpy as np")
    return FrameworkLayer(f"haiku.{module}", imports, make, slots, put, whole, alone=3)


def _haiku_lstm() -> FrameworkLayer:
    """One matrix for input and state; 1 is added to the forget gate in the cell."""
    slots: Slots = {}
    for i, gate in enumerate(LSTM_IGFO):
        slots["recurrent", gate] = Slot(_part("w[m:]", i, 4, True), "n, n")
        slots["input", gate] = Slot(_part("w[:m]", i, 4, True), "m, n")
        slots["bias", gate] = Slot(_part("b", i, 4), "n", offset=-1.0 if gate == "forget" else 0.0)
    whole = {"recurrent": Slot("w[m:]", "n, 4 * n"), "input": Slot("w[:m]", "m, 4 * n")}
    return _haiku("LSTM", '\nw, b = p["lstm/linear"]["w"], p["lstm/linear"]["b"]', slots, whole)


def _haiku_gru() -> FrameworkLayer:
    """The update gate admits, as in rnnmc, and the reset gate acts before the product."""
    slots: Slots = {}
    for i, gate in enumerate(GRU_ZRN):
        slots["recurrent", gate] = Slot(_part("w_h", i, 3, True), "n, n")
        slots["input", gate] = Slot(_part("w_i", i, 3, True), "m, n")
        slots["bias", gate] = Slot(_part("b", i, 3), "n")
    whole = {
        "recurrent": Slot("w_h[:]", "n, 3 * n"),
        "input": Slot("w_i[:]", "m, 3 * n"),
        "bias": Slot("b[:]", "3 * n"),
    }
    return _haiku("GRU", '\nw_i, w_h, b = p["gru"]["w_i"], p["gru"]["w_h"], p["gru"]["b"]', slots, whole)


def _haiku_relu() -> FrameworkLayer:
    """Haiku's VanillaRNN has a ReLU, and two bias vectors."""
    slots: Slots = {
        ("recurrent", "hidden"): Slot('h["w"][:]', "n, n"),
        ("input", "hidden"): Slot('i["w"][:]', "m, n"),
        ("bias", "hidden"): Slot('i["b"][:]', "n", zero='h["b"][:]'),
    }
    return _haiku("VanillaRNN", '\ni, h = p["vanilla_rnn/linear"], p["vanilla_rnn/linear_1"]', slots, {})


def _equinox(layer: str, order: tuple[str, ...], inner: bool = False) -> FrameworkLayer:
    """The gates lie under each other; one bias vector, and in a GRU one more inside the reset product."""
    slots: Slots = {}
    for i, gate in enumerate(order):
        sign = _sign(gate, True)
        slots["recurrent", gate] = Slot(_part("hh", i, len(order)), "n, n", sign)
        slots["input", gate] = Slot(_part("ih", i, len(order)), "n, m", sign)
        slots["bias", gate] = Slot(_part("bias", i, len(order)), "n", sign)
    if inner:
        slots["bias", "candidate_recurrent"] = Slot("bias_n[:]", "n")
    rows = f"{len(order)} * n"
    whole = {"recurrent": Slot("hh[:]", f"{rows}, n"), "input": Slot("ih[:]", f"{rows}, m")}
    names = ("weight_ih", "weight_hh", "bias") + (("bias_n",) if inner else ())
    arrays = "ih, hh, bias" + (", bias_n" if inner else "")
    held = ", ".join(f"c.{name}" for name in names)
    make = (
        f"cell = eqx.nn.{layer}(m, n, key=jax.random.key(0))",
        f"{arrays} = (np.array(one) for one in ({held.replace('c.', 'cell.')}))",
    )
    put = (f"cell = eqx.tree_at(lambda c: ({held}), cell, tuple(map(jax.numpy.asarray, ({arrays}))))",)
    imports = ("import equinox as eqx", "import jax", "import numpy as np")
    return FrameworkLayer(f"equinox.nn.{layer}", imports, make, slots, put, whole)


NNX = ("from flax import nnx", "import numpy as np")


def _nnx_lstm() -> FrameworkLayer:
    """Flax's other interface: an array for each gate, changed in place."""
    slots: Slots = {}
    for gate, letter in FLAX_LSTM.items():
        slots["recurrent", gate] = Slot(f"cell.h{letter}.kernel[...]", "n, n")
        slots["input", gate] = Slot(f"cell.{'if_' if letter == 'f' else 'i' + letter}.kernel[...]", "m, n")
        slots["bias", gate] = Slot(f"cell.h{letter}.bias[...]", "n")
    return FrameworkLayer(
        "flax.nnx.LSTMCell", NNX, ("cell = nnx.LSTMCell(m, n, rngs=nnx.Rngs(0))",), slots, short="flax"
    )


def _nnx(layer: str, order: tuple[str, ...], biases: str, more: str = "", short: str = "") -> FrameworkLayer:
    """One kernel for all gates. biases: whether they lie with what the state or the input is multiplied by; a GRU has
    none inside the reset product.
    """
    slots: Slots = {}
    parts = {"recurrent": ("hh", "n, n"), "input": ("ih", "m, n"), "bias": ("bias", "n")}
    for i, gate in enumerate(order):
        for role, (array, shape) in parts.items():
            slots[role, gate] = Slot(_part(array, i, len(order), role != "bias"), shape, _sign(gate, True))
    columns = "n" if len(order) == 1 else f"{len(order)} * n"
    whole = {
        "recurrent": Slot("hh[:]", f"n, {columns}"),
        "input": Slot("ih[:]", f"m, {columns}"),
        "bias": Slot("bias[:]", columns),
    }
    held = ("cell.dense_h.kernel", "cell.dense_i.kernel", f"cell.dense_{biases}.bias")
    make = (
        f"cell = nnx.{layer}(m, n{more}, rngs=nnx.Rngs(0))",
        f"hh, ih, bias = (np.array(one[...]) for one in ({', '.join(held)}))",
    )
    put = tuple(f"{one}[...] = {array}" for one, array in zip(held, ("hh", "ih", "bias"), strict=True))
    return FrameworkLayer(f"flax.nnx.{layer}", NNX, make, slots, put, whole, short=short)


FLAX_LSTM = {"input": "i", "forget": "f", "candidate": "g", "output": "o"}
FRAMEWORKS: dict[str, dict[str, FrameworkLayer]] = {
    "torch": {
        "lstm": _torch("LSTM", LSTM_IFGO),
        "gru_reset_after": _torch("GRU", GRU_RZN, inner=True),
        "tanh": _torch("RNN", ELMAN),
        "relu": _torch("RNN", ELMAN, ', nonlinearity="relu"'),
    },
    "keras": {
        "lstm": _keras("LSTM", ("input", "forget", "candidate", "output")),
        "gru_reset_after": _keras("GRU", GRU_ZRN, inner=True),
        "gru": _keras("GRU", GRU_ZRN, ", reset_after=False"),
        "tanh": _keras("SimpleRNN", ELMAN),
        "relu": _keras("SimpleRNN", ELMAN, ', activation="relu"'),
    },
    "flax.linen": {
        "lstm": _linen("LSTMCell", FLAX_LSTM),
        "gru_reset_after": _linen("GRUCell", {"reset": "r", "update": "z", "candidate": "n"}, biases="i", inner=True),
        "tanh": _linen("SimpleCell", {"hidden": ""}, biases="i"),
        "relu": _linen("SimpleCell", {"hidden": ""}, ", activation_fn=nn.relu", biases="i"),
    },
    "flax.nnx": {
        "lstm": _nnx_lstm(),
        "gru_reset_after": _nnx("GRUCell", GRU_RZN, "i"),
        "tanh": _nnx("SimpleCell", ELMAN, "i", short="flax"),
        "relu": _nnx("SimpleCell", ELMAN, "i", ", activation_fn=nnx.relu", "flax"),
    },
    "haiku": {"lstm": _haiku_lstm(), "gru": _haiku_gru(), "relu": _haiku_relu()},
    "equinox": {"lstm": _equinox("LSTMCell", LSTM_IFGO), "gru_reset_after": _equinox("GRUCell", GRU_RZN, inner=True)},
}
BY_LAYER: dict[str, dict[str, FrameworkLayer]] = {  # by name, and those that are not the first of their framework
    "flax.nnx.OptimizedLSTMCell": {"lstm": _nnx("OptimizedLSTMCell", LSTM_IFGO, "h")},
}
for _served in FRAMEWORKS.values():
    for _cell, _layer in _served.items():
        BY_LAYER.setdefault(_layer.name, {})[_cell] = _layer
