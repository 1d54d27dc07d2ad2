"""Layers of one cell above each other: x of a layer above the first is what the one below shows at the same step."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from rnnmc.cells.cell import Cell

if TYPE_CHECKING:
    from torch import Tensor


def of_layer(name: str, layer: int) -> str:
    """What a matrix, a vector, an inner bias or a part of the cell is called in this layer; 1 is the lowest."""
    return name if layer == 1 else f"{name} of layer {layer}"


def bias_of_layer(gate: str, layer: int) -> str:
    """What the bias of this gate is called in this layer; that of the first is in the drive."""
    return gate if layer == 1 else f"{gate} bias of layer {layer}"


def into_layer(gate: str, layer: int) -> str:
    """What the matrix (n x n) is called by which this gate of a layer above the first sees the layer below."""
    return f"{gate} into layer {layer}"


def stack_name(cell: str, layers: int, residual: bool) -> str:
    """`lstm x 3 residual`; of one layer, the name of the cell."""
    return cell if layers == 1 else f"{cell} x {layers}{' residual' if residual else ''}"


class Stacked(Cell):
    """ds_l' = J_l ds_l + B_l dx_l, where x_l is what the layer below shows and B_l the Jacobian of layer l by it.

    The joint Jacobian is block triangular, as a layer sees none above it. base, layers, residual: see `stacked`. The
    state is that of every layer, from the lowest up. Gates are those of the first layer alone, as no other meets the
    drive; biases of the others are inner ones, and what they see of the layer below is n x n, so that it is recurrent.
    """

    base: ClassVar[Cell]
    layers: ClassVar[int]
    residual: ClassVar[bool]

    def linearise(self, weights, drive, state):
        base, size, pushes, after, shown = self.base, len(self.base.parts), [], (), state[0]
        for layer in range(1, self.layers + 1):
            own: Any = _OfLayer(weights, base, layer)
            mine = state[len(after) : len(after) + size]
            if layer > 1:
                at_below = weights.apply(shown, *(into_layer(gate, layer) for gate in base.gates))
                drive = {gate: at_below[into_layer(gate, layer)] + own.of_gates[gate] for gate in base.gates}
            following, push = base.linearise(own, drive, mine)
            below = base.driven(own, drive, mine, push)(own.from_below) if layer > 1 else ()
            pushes.append((push, below))
            after += following
            shown = following[0] + shown if self._adds(layer) else following[0]

        def push_all(directions):
            pushed, seen = (), directions[0]
            for layer, (push, below) in enumerate(pushes, start=1):
                changed = push(directions[len(pushed) : len(pushed) + size])
                if below:
                    changed = [weights.product(seen, *pair) for pair in zip(below, changed, strict=True)]
                pushed += (*changed,)
                seen = changed[0] + seen if self._adds(layer) else changed[0]
            return pushed

        return after, push_all

    @property
    def shown(self):
        size = len(self.base.parts)
        return tuple(layer * size for layer in range(0 if self.residual else self.layers - 1, self.layers))

    def role_in_layer(self, role: str, layer: int) -> str:
        """What laws of this role of the cell are laws of in this layer: input weights above the first are n x n."""
        return "recurrent" if role == "input" and layer > 1 else role

    def name_in_layer(self, role: str, name: str, layer: int) -> str:
        """What a weight of this role and name of the cell is called in this layer."""
        if role == "input":
            return into_layer(name, layer) if layer > 1 else name
        return bias_of_layer(name, layer) if role == "bias" and name in self.base.gates else of_layer(name, layer)

    def _adds(self, layer: int) -> bool:
        """Whether this layer shows its input beside its own state; that of the first has another length."""
        return self.residual and layer > 1

    def __reduce__(self):
        return stacked, (self.base, self.layers, self.residual)


class _OfLayer:
    """The weights of one layer by the names of the cell itself; what goes over units is that of the whole.

    of_gates: biases of its gates. from_below: gate -> matrix. Both empty in the first layer.
    """

    def __init__(self, whole: Any, cell: Cell, layer: int):
        gates = cell.gates if layer > 1 else ()
        self._whole, self._layer, recurrent = whole, layer, whole.recurrent
        self.recurrent = {name: recurrent[of_layer(name, layer)] for name in cell.recurrent}
        self.bias = self.vectors = {name: whole.bias[of_layer(name, layer)] for name in cell.inner}
        self.of_gates = {gate: whole.bias[bias_of_layer(gate, layer)] for gate in gates}
        self.from_below = {gate: recurrent[into_layer(gate, layer)] for gate in gates}

    def apply(self, h: Tensor, *gates: str) -> Mapping[str, Tensor]:
        found = self._whole.apply(h, *(of_layer(gate, self._layer) for gate in gates))
        return {gate: found[of_layer(gate, self._layer)] for gate in gates}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)


@cache
def stacked(cell: Cell, layers: int, residual: bool = False) -> Cell:
    """So many layers of a cell as one cell: `cell` itself for one layer.

    A layer shows the first part of its new state, h, to the one above, as in torch.nn.LSTM(num_layers=layers).
    residual: from the second on it shows h plus its input x_l = h_{l-1} + x_{l-1}, while its own recurrence sees h
    alone (Wu et al. 2016, GNMT, section 3.1). What the last layer shows is seen by no layer, so that this is another
    chain from three layers on. Raises ValueError for layers of a cell whose recurrent weights are vectors, for less
    than one layer, and for residual ones where they would change nothing.
    """
    if layers < 1:
        raise ValueError("is no number of layers; give at least 1")
    if residual and layers < 3:
        raise ValueError("changes nothing below three layers, as none sees what the last shows; give layers: 3 or more")
    if layers == 1:
        return cell
    if cell.diagonal:
        raise ValueError(f"needs recurrent weights that are matrices, and those of {cell.name} are vectors; give 1")
    every, above = range(1, layers + 1), range(2, layers + 1)
    recurrent: list[str] = [*cell.recurrent]
    inner = dict(cell.inner_biases)
    for layer in above:
        recurrent += [of_layer(name, layer) for name in cell.recurrent]
        recurrent += [into_layer(gate, layer) for gate in cell.gates]
        inner |= {bias_of_layer(gate, layer): gate for gate in cell.gates}
        inner |= {of_layer(name, layer): gate for name, gate in cell.inner_biases.items()}
    facts = {
        "name": stack_name(cell.name, layers, residual),
        "formula": f"{cell.formula}, in each of {layers} layers; x of a layer above the first is "
        + ("the h and the x of the one below" if residual else "the h of the one below"),
        "source": f"{cell.source}; layers: " + ("Wu et al. 2016" if residual else "torch.nn.LSTM(num_layers)"),
        "gates": cell.gates,
        "recurrent": tuple(recurrent),
        "vectors": tuple(of_layer(name, layer) for layer in every for name in cell.vectors),
        "parts": tuple(of_layer(part, layer) for layer in every for part in cell.parts),
        "inner_biases": inner,
        "memory": {
            name(gate, layer): sign
            for layer in every
            for gate, sign in cell.memory.items()
            for name in (of_layer, bias_of_layer)
        },
        "can_die": cell.can_die,
        "bounded": cell.bounded,
        "base": cell,
        "layers": layers,
        "residual": residual,
    }
    return type("Stacked", (Stacked,), facts)()
