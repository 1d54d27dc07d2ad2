"""One step of a cell as a small graph, found by running the cell's own `linearise` on symbols.

A symbol is a vector, a matrix or a block of directions, as in `rnnmc.numerics.layout`, and remembers what was done to
it. What a cell does beyond the operations here raises `Untraceable`, and the cell then runs on the plain engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rnnmc.cells.cell import Cell

VECTOR, MATRIX, ROWS = "vector", "matrix", "rows"
FUNCTIONS = ("tanh", "sigmoid", "sech2", "exp", "cos", "sin", "sqrt", "relu", "reciprocal", "square", "cosh", "abs")


class Untraceable(Exception):
    """The cell does something that has no symbol."""


@dataclass(frozen=True, eq=False)
class Node:
    """What was done, and to what. op: "input", "identity", "number", "product", an arithmetic sign or one of FUNCTIONS.

    kind: VECTOR, MATRIX or ROWS. args: nodes; for "product" (rows, matrix) and what is added, if anything.
    name: of an input, (role, name). value: of a number.
    """

    op: str
    kind: str
    args: tuple[Node, ...] = ()
    name: tuple[str, str] = ("", "")
    value: float = 0.0


@dataclass(frozen=True)
class Program:
    """A step: the next state and J times the directions, one node for each part of the state."""

    cell: Cell
    state: tuple[Node, ...]
    pushed: tuple[Node, ...]


def traced(cell: Cell) -> Program:
    """The graph of one step of this cell. Raises Untraceable."""
    if type(cell).linearise is Cell.linearise:
        raise Untraceable("it has no linearise of its own")
    vectors = "vector" if cell.diagonal else MATRIX
    recurrent = {name: Symbol(Node("input", vectors, name=("recurrent", name))) for name in cell.recurrent}
    bias = {name: _given("bias", name) for name in cell.inner_biases}
    drive = {gate: _given("drive", gate) for gate in cell.gates}
    directions = tuple(Symbol(Node("input", ROWS, name=("direction", part))) for part in cell.parts)
    try:
        weights: Any = _Weights(recurrent, bias)
        state: Any = tuple(_given("state", part) for part in cell.parts)
        after, push = cell.linearise(weights, drive, state)  # pyright: ignore[reportArgumentType]
        pushed = push(directions)  # pyright: ignore[reportArgumentType]
        return Program(cell, tuple(_node(part) for part in after), tuple(_node(part) for part in pushed))
    except Untraceable:
        raise
    except Exception as error:  # whatever a cell of somebody's own tries on a symbol
        raise Untraceable(f"{type(error).__name__}: {error}") from error


def _given(role: str, name: str) -> Symbol:
    return Symbol(Node("input", VECTOR, name=(role, name)))


def _node(value: Any) -> Node:
    if isinstance(value, Symbol):
        return value.node
    if isinstance(value, (int, float)):
        return Node("number", "number", value=float(value))
    raise Untraceable(f"{type(value).__name__} has no symbol")


def _broadcast(*nodes: Node) -> str:
    kinds = {node.kind for node in nodes} - {"number"}
    if {MATRIX, ROWS} <= kinds:
        raise Untraceable("a matrix and directions are combined entry by entry")
    return MATRIX if MATRIX in kinds else ROWS if ROWS in kinds else VECTOR


def _elementwise(op: str, *values: Any) -> Symbol:
    nodes = tuple(_node(value) for value in values)
    return Symbol(Node(op, _broadcast(*nodes), nodes))


class Symbol:
    """A tensor that stands for any: knows what it was made of."""

    def __init__(self, node: Node):
        self.node = node

    def __add__(self, other: Any) -> Symbol:
        return _elementwise("+", self, other)

    def __sub__(self, other: Any) -> Symbol:
        return _elementwise("-", self, other)

    def __rsub__(self, other: Any) -> Symbol:
        return _elementwise("-", other, self)

    def __mul__(self, other: Any) -> Symbol:
        return _elementwise("*", self, other)

    def __truediv__(self, other: Any) -> Symbol:
        return _elementwise("/", self, other)

    def __rtruediv__(self, other: Any) -> Symbol:
        return _elementwise("/", other, self)

    def __gt__(self, other: Any) -> Symbol:
        return _elementwise(">", self, other)

    def __neg__(self) -> Symbol:
        return _elementwise("-", self)

    __radd__, __rmul__ = __add__, __mul__

    def addcmul(self, a: Any, b: Any) -> Symbol:
        """As torch's."""
        return self + _elementwise("*", a, b)

    def __getattr__(self, name: str) -> Callable[[], Symbol]:
        if name not in FUNCTIONS:
            raise Untraceable(f"{name} has no symbol")
        return lambda: self._function(name)

    def _function(self, name: str) -> Symbol:
        inner = self.node.args[0] if self.node.op == "reciprocal" else None
        if name == "square" and inner is not None and inner.op == "cosh":
            return Symbol(Node("sech2", inner.kind, inner.args))
        return _elementwise(name, self)

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Symbol:
        said: str = function.__name__
        name = f"__{said}__" if said in ("add", "sub", "mul", "neg") else said
        if kwargs or not isinstance(args[0], Symbol) or (name not in FUNCTIONS and not hasattr(cls, name)):
            raise Untraceable(f"torch.{function.__name__} has no symbol")
        return getattr(args[0], name)(*args[1:])


class _Weights:
    """Stands for `rnnmc.numerics.weights.Weights`."""

    def __init__(self, recurrent: Mapping[str, Symbol], bias: Mapping[str, Symbol]):
        self.recurrent, self.bias = recurrent, bias
        self.identity = Symbol(Node("identity", MATRIX))

    def apply(self, h: Symbol, *gates: str) -> dict[str, Symbol]:
        return {gate: self.product(h, self.recurrent[gate]) for gate in gates}

    def product(self, rows: Symbol, matrix: Symbol, plus: Symbol | None = None) -> Symbol:
        args = (rows.node, matrix.node, *(() if plus is None else (_node(plus),)))
        if matrix.node.kind != MATRIX:
            raise Untraceable("a product with what is no matrix")
        return Symbol(Node("product", rows.node.kind, args))
