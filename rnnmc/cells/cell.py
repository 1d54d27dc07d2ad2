"""What a recurrent cell is: its gates, the parts of its state, its update and the tangent of that update."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:  # torch takes a second to import, and a plan needs only the names
    from torch import Tensor

    from rnnmc.weights import Weights

    State = tuple[Tensor, ...]
    Push = Callable[[State], State]


class Cell:
    """A recurrent cell s' = f(x, s). Subclass it, set the attributes, write `linearise`, or only `step`.

    name: as in a study file. formula, source: for people.
    gates: every pre-activation that input weights and a bias feed, by name.
    recurrent: the matrices (n x n) that the state meets, by name; the same as the gates unless said.
    diagonal: the recurrent weights are vectors of length n instead of matrices.
    parts: names of the parts of the state, each of length n: ("h",) or ("h", "c"); d = n * len(parts).
    inner_biases: name -> gate, of biases that the cell adds itself, beside the gate's own.
    memory: gate -> +1 if the state is kept when it is open, -1 if when it is closed; for biases that set a time scale.
    can_die: the derivative can be exactly zero, so that a chain of norm zero is a result and not an underflow.
    bounded: a finite state stays finite, so that overflow need not be looked for.

    Arrays (see `rnnmc.layout`) broadcast in either layout: `drive[gate]` and each part of the state are vectors,
    `weights.recurrent[name]` is a matrix, input by output (U_k transposed), and directions are k rows of length n
    for each part. A vector times a matrix scales the rows of U.
    """

    name: ClassVar[str]
    formula: ClassVar[str]
    source: ClassVar[str]
    gates: ClassVar[tuple[str, ...]]
    recurrent: ClassVar[tuple[str, ...]]
    diagonal: ClassVar[bool] = False
    parts: ClassVar[tuple[str, ...]] = ("h",)
    inner_biases: ClassVar[Mapping[str, str]] = {}
    memory: ClassVar[Mapping[str, int]] = {}
    can_die: ClassVar[bool] = False
    bounded: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "recurrent" not in cls.__dict__ and "gates" in cls.__dict__:
            cls.recurrent = cls.gates
        if cls.step is Cell.step and cls.linearise is Cell.linearise:
            raise TypeError(f"{cls.__name__} has neither step nor linearise; write one of them")

    def step(self, weights: Weights, drive: Mapping[str, Tensor], state: State) -> State:
        """The next state. drive: gate -> W_k x + b_k (or the field), each of the shape of a part of the state."""
        return self.linearise(weights, drive, state)[0]

    def linearise(self, weights: Weights, drive: Mapping[str, Tensor], state: State) -> tuple[State, Push]:
        """(next state, push), where push takes directions (ds for each part, k rows) to J ds.

        This one is forward-mode autodiff through `step`; a hand-written tangent is several times faster.
        """
        import torch

        axis = weights.layout.direction_axis

        def along(*direction: Tensor) -> State:
            return torch.func.jvp(lambda *s: self.step(weights, drive, s), state, direction)[1]

        def push(directions: State) -> State:
            rows = tuple(part.unsqueeze(0).transpose(0, axis + 1) for part in directions)
            pushed = torch.func.vmap(along)(*rows)
            return tuple(part.transpose(0, axis + 1).squeeze(0) for part in pushed)

        return self.step(weights, drive, state), push

    def __repr__(self) -> str:
        return f"<cell {self.name}: {self.formula}>"
