"""One step of a cell as a small graph, found by running the cell's own `linearise` on symbols.

A symbol is a vector, a matrix or a block of directions, as in `rnnmc.numerics.layout`, and remembers what was done to
it (`symbols`). What a cell does beyond that raises `Untraceable`, and the cell then runs on the plain engine; and so
does what a graph cannot hold, since it is the same at every step: counters, random numbers, fields that change.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from rnnmc.cells.cell import Cell
from rnnmc.engine.compiled.symbols import (
    MATRIX,
    ROWS,
    SCALAR,
    VECTOR,
    Node,
    Symbol,
    Unanswered,
    Untraceable,
    node_of,
    refusals,
)
from rnnmc.numerics.constants import numbers_of

MOST_NODES = 4000  # of a step; a loop over units or layers that is unrolled further takes a compiler minutes
TRACES = 3  # that must be alike
WIDTHS = (1, 2, 3, 8)  # at which constants of two traces are compared


@dataclass(frozen=True)
class Program:
    """A step: the next state and J times the directions, one node for each part of the state; vectors kept of it."""

    cell: Cell
    state: tuple[Node, ...]
    pushed: tuple[Node, ...]
    kept: tuple[Node, ...] = ()

    def nodes(self) -> Iterator[Node]:
        """Every node once, what it rests on before it."""
        seen: set[Node] = set()
        for result in (*self.state, *self.pushed, *self.kept):
            todo = [(result, iter(result.args))]
            while todo:
                node, rest = todo[-1]
                if node in seen:
                    todo.pop()
                elif (arg := next(rest, None)) is not None:
                    todo.append((arg, iter(arg.args)))
                else:
                    seen.add(node)
                    yield node


def traced(cell: Cell) -> Program:
    """The graph of one step of this cell. Raises Untraceable, also where it is not the same each time."""
    if type(cell).linearise is Cell.linearise:
        raise Untraceable("it has no linearise of its own")
    before, torch_there = (_told(cell), _generators()), "torch" in sys.modules
    program, *others = (_traced_once(cell) for _ in range(TRACES))
    if "torch" in sys.modules and not torch_there:
        return traced(cell)  # now that its generator is watched too
    if _generators() != before[1]:
        raise Untraceable("it draws random numbers, and every step would have the same")
    if _told(cell) != before[0]:
        raise Untraceable("it changes its own fields, and every step would have those of the first")
    if any(_said(other) != _said(program) for other in others):
        raise Untraceable("it does not do the same each time, and every step would do what the first does")
    return program


ACROSS_UNITS = ("product", "sum", "transpose", "identity", "constant", "width")


def units_are_alone(program: Program) -> bool:
    """Whether a step does the same in each unit, and reads no other.

    Not so where a unit may die and its state overflow: whether that counts is known only of the whole network.
    """
    cell = program.cell
    alike = all(node.kind != MATRIX and node.op not in ACROSS_UNITS for node in program.nodes())
    return alike and (cell.bounded or not cell.can_die)


def _traced_once(cell: Cell) -> Program:
    met: list[Untraceable] = []
    token = refusals.set(met)
    try:
        program = _run(cell)
        if met:  # and swallowed by the cell
            raise met[0]
        if sum(1 for _ in program.nodes()) > MOST_NODES:
            raise Untraceable(f"it takes more than {MOST_NODES} operations a step")
        return program
    except Exception as error:  # whatever a cell of somebody's own tries on a symbol
        if met:
            raise met[0] from error
        raise Untraceable(f"{type(error).__name__}: {error}") from error
    finally:
        refusals.reset(token)


def _run(cell: Cell) -> Program:
    vectors = VECTOR if cell.diagonal else MATRIX
    recurrent = {name: Symbol(Node("input", vectors, name=("recurrent", name))) for name in cell.recurrent}
    bias = {name: _given("bias", name) for name in cell.inner}
    drive = {gate: _given("drive", gate) for gate in cell.gates}
    directions = tuple(Symbol(Node("input", ROWS, name=("direction", part))) for part in cell.parts)
    weights: Any = _Weights(recurrent, bias)
    state: Any = tuple(_given("state", part) for part in cell.parts)
    after, push = cell.linearise(weights, drive, state)  # pyright: ignore[reportArgumentType]
    pushed = push(directions)  # pyright: ignore[reportArgumentType]
    return Program(cell, _of_kind(cell, after, VECTOR), _of_kind(cell, pushed, ROWS))


def _given(role: str, name: str) -> Symbol:
    return Symbol(Node("input", VECTOR, name=(role, name)))


def _of_kind(cell: Cell, parts: Any, kind: str) -> tuple[Node, ...]:
    """The nodes of what a cell gives for the parts of its state."""
    nodes = tuple(node_of(part) for part in parts)
    if len(nodes) != len(cell.parts) or any(node.kind != kind or node.is_truth for node in nodes):
        raise Untraceable(f"what it gives is not {kind} for each of {', '.join(cell.parts)}")
    return nodes


def _said(program: Program) -> list[Any]:
    """The graph in plain values, to compare it with another."""
    number = {node: i for i, node in enumerate(program.nodes())}
    results = [number[node] for node in (*program.state, *program.pushed)]
    return [(node.op, node.kind, *(number[arg] for arg in node.args), *_details(node)) for node in number] + results


def _details(node: Node) -> tuple[Any, ...]:
    return node.name, repr(node.value), *(_values_at(node, width) for width in WIDTHS)


def _values_at(node: Node, width: int) -> str:
    """Of a constant; one of a fixed length has values at that width alone."""
    try:
        return repr(node.values(width)) if node.values else ""
    except ValueError:
        return ""


def _told(cell: Cell) -> str:
    """What the fields of the cell hold, as far as they say it."""
    return repr(sorted(vars(cell).items()))


def _generators() -> tuple[Any, ...]:
    """The states of the generators of random numbers that a cell may reach."""
    algorithm, keys, *rest = np.random.get_state()  # noqa: NPY002 - a cell may use it
    torch = sys.modules.get("torch")  # which takes a second to import: a cell that draws from it has done so
    of_torch = b"" if torch is None else torch.get_rng_state().numpy().tobytes()
    return random.getstate(), algorithm, np.asarray(keys).tobytes(), *rest, of_torch


class _Weights(Unanswered):
    """Stands for `rnnmc.numerics.weights.Weights`."""

    __slots__ = ("bias", "identity", "recurrent")

    def __init__(self, recurrent: dict[str, Symbol], bias: dict[str, Symbol]):
        for name, value in (("recurrent", recurrent), ("bias", bias), ("identity", Symbol(Node("identity", MATRIX)))):
            object.__setattr__(self, name, value)

    @property
    def vectors(self) -> dict[str, Symbol]:
        return self.bias

    def apply(self, h: Symbol, *gates: str) -> dict[str, Symbol]:
        return {gate: self.product(h, self.recurrent[gate]) for gate in gates}

    def product(self, rows: Symbol, matrix: Symbol, plus: Symbol | None = None) -> Symbol:
        args = (rows.node, matrix.node, *(() if plus is None else (node_of(plus),)))
        if matrix.node.kind != MATRIX or rows.node.kind == SCALAR or any(arg.is_truth for arg in args):
            raise Untraceable("a product with what is no matrix")
        return Symbol(Node("product", rows.node.kind, args))

    def sum(self, x: Symbol) -> Symbol:
        if x.node.kind not in (VECTOR, ROWS) or x.node.is_truth:
            raise Untraceable("a sum over the units of what is no vector or directions has no symbol")
        return Symbol(Node("sum", x.node.kind, (x.node,)))

    def mean(self, x: Symbol) -> Symbol:
        return self.sum(x) / Symbol(Node("width", SCALAR))

    def variance(self, x: Symbol) -> Symbol:
        return self.mean((x - self.mean(x)).square())

    def norm(self, x: Symbol) -> Symbol:
        return self.sum(x.square()).sqrt()

    def constant(self, values: Sequence[float] | Callable[[int], Sequence[float]], like: Symbol) -> Symbol:
        node_of(like)
        return Symbol(Node("constant", VECTOR, values=partial(numbers_of, values)))

    def transpose(self, matrix: Symbol) -> Symbol:
        if matrix.node.kind != MATRIX or matrix.node.is_truth:
            raise Untraceable("the transpose of what is no matrix has no symbol")
        return Symbol(Node("transpose", MATRIX, (matrix.node,)))
