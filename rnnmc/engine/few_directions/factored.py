"""One step's Jacobian as the factors that it is made of, which act on rows from either side and are not multiplied out.

A Jacobian is made of recurrent matrices, vectors that scale them, and sums. A cell's own `linearise` is run with
matrices that remember what is done to them, and its push with directions that do the same; the record then acts on a
few rows at n^2 a row, where forming the Jacobian alone costs n^2 or n^3. Run backwards, it is the transposed Jacobian.
The matrices may be dense, or whatever answers as `Matrices` do. A cell that does more with a matrix than has a record
keeps its own push, and autodiff transposes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from rnnmc.cells.cell import Cell
from rnnmc.engine.few_directions.dense import Dense, Packed
from rnnmc.engine.few_directions.record import (
    Directions,
    Expression,
    IdentityMatrix,
    NotRecorded,
    Operation,
    Product,
    Record,
    Recurrent,
    number_of,
)
from rnnmc.numerics.layout import Layout, Rows
from rnnmc.numerics.weights import OverUnits, Weights

if TYPE_CHECKING:
    from rnnmc.cells.cell import State

ByGate = Mapping[str, Tensor]


class Matrices(Protocol):
    """The recurrent matrices of one step, by name; those that meet the same rows are asked together."""

    def times(self, rows: Tensor, names: Sequence[str], /) -> Sequence[Tensor]:
        """(R, k, n) for each name: rows (R, k, n) times its matrix."""
        ...

    def times_transposed(self, rows: Sequence[Tensor], names: Sequence[str], /) -> Tensor:
        """(R, k, n): the sum of rows (R, k, n), one for each name, times its transposed matrix."""
        ...


class Factors(Protocol):
    """The Jacobian J of one step of each of R replicates; directions are a tensor (R, k, n) for each part."""

    @property
    def nbytes(self) -> int:
        """Of what is kept for this step alone."""
        ...

    def times(self, directions: State, /) -> State:
        """J times each direction."""
        ...

    def times_transposed(self, directions: State, /) -> State:
        """The transposed J times each direction."""
        ...


@dataclass(frozen=True)
class FactoredWeights(OverUnits):
    """What `linearise` asks of `Weights`, with matrices that are never formed; `names` are theirs."""

    layout: Layout
    names: tuple[str, ...]
    matrices: Matrices
    bias: Mapping[str, Tensor]

    @property
    def recurrent(self) -> dict[str, Recurrent]:
        """name -> matrix."""
        return {name: Recurrent(name) for name in self.names}

    @property
    def identity(self) -> IdentityMatrix:
        """The identity matrix."""
        return IdentityMatrix()

    def apply(self, h: Tensor, *gates: str) -> dict[str, Tensor]:
        """U_k h for each named gate."""
        return dict(zip(gates, self.matrices.times(h, gates), strict=True))

    def product(self, rows: Any, matrix: Any, plus: Any = None) -> Any:
        """rows times matrix, of numbers or recorded, added to `plus` if given."""
        if isinstance(rows, Expression) and isinstance(matrix, Expression):
            product: Any = Product(rows, matrix)
        elif isinstance(rows, Directions) and isinstance(matrix, Expression):
            product = matrix.after(rows)
        elif isinstance(rows, Tensor) and isinstance(matrix, Recurrent):
            (product,) = self.matrices.times(rows, (matrix.name,))
        else:
            raise NotRecorded("a product of this kind")
        return product if plus is None else product + plus


@dataclass(frozen=True)
class _Program:
    """Recorded operations, in order, each with its number; those that share rows and are "times" stand together."""

    count: int
    steps: tuple[tuple[Operation, tuple[int, ...], tuple[str, ...]], ...]  # operation, numbers, names of its matrices
    results: tuple[int, ...]

    @classmethod
    def of(cls, operations: Sequence[Operation], results: tuple[int, ...], order: Sequence[str]) -> _Program:
        return cls(len(operations), tuple(_grouped(operations, order)), results)


def _grouped(operations: Sequence[Operation], order: Sequence[str]) -> Iterator[Any]:
    met: set[int] = set()
    for number, one in enumerate(operations):
        if one.kind == "times" and one.of not in met:
            met.add(one.of)
            together = [i for i, other in enumerate(operations) if other.kind == "times" and other.of == one.of]
            together.sort(key=lambda i: order.index(operations[i].name))
            yield one, tuple(together), tuple(operations[i].name for i in together)
        elif one.kind not in ("times", "part"):
            yield one, (number,), ()


@dataclass(frozen=True)
class _Recorded:
    """`Factors` from a record."""

    program: _Program
    vectors: Sequence[Tensor]
    matrices: Matrices
    nbytes: int

    def times(self, directions: State) -> State:
        """See `Factors`."""
        value: list[Any] = [*directions, *[None] * (self.program.count - len(directions))]
        for (kind, of, other, vector, _), numbers, names in self.program.steps:
            rows = value[of]
            if kind == "times":
                for number, result in zip(numbers, self.matrices.times(rows, names), strict=True):
                    value[number] = result
            elif kind == "scale":
                value[numbers[0]] = rows * self.vectors[vector]
            elif kind == "add scaled":
                value[numbers[0]] = torch.addcmul(value[other], rows, self.vectors[vector])
            else:
                value[numbers[0]] = rows + value[other] if kind == "add" else rows - value[other]
        return tuple(value[result] for result in self.program.results)

    def times_transposed(self, directions: State) -> State:
        """See `Factors`: the record backwards, where rows collect what comes back from all that they led to."""
        value: list[Any] = [None] * self.program.count

        def collect(at: int, rows: Tensor) -> None:
            value[at] = rows if value[at] is None else value[at] + rows

        for result, rows in zip(self.program.results, directions, strict=True):
            collect(result, rows)
        for (kind, of, other, vector, _), numbers, names in reversed(self.program.steps):
            back = value[numbers[0]]
            if all(value[number] is None for number in numbers):
                continue  # it leads to no part of the result
            if kind == "times":
                known = [i for i, number in enumerate(numbers) if value[number] is not None]
                back = [value[numbers[i]] for i in known]
                collect(of, self.matrices.times_transposed(back, [names[i] for i in known]))
            elif kind == "scale":
                collect(of, back * self.vectors[vector])
            elif kind == "add scaled":
                collect(of, back * self.vectors[vector])
                collect(other, back)
            else:
                collect(of, back)
                collect(other, back if kind == "add" else -back)
        parts = value[: len(directions)]
        return tuple(torch.zeros_like(directions[0]) if part is None else part for part in parts)


@dataclass(frozen=True)
class _Plain:
    """`Factors` of a cell without a record: its own push, made again whenever it is asked for, and autodiff."""

    cell: Cell
    weights: Weights
    drive: ByGate
    state: State
    nbytes: int

    def times(self, directions: State) -> State:
        """See `Factors`."""
        return self._push()(directions)

    def times_transposed(self, directions: State) -> State:
        """See `Factors`."""
        still = tuple(torch.zeros_like(part) for part in directions)
        push = self._push()
        return torch.func.vjp(lambda *parts: push(parts), *still)[1](directions)

    def _push(self):
        return self.cell.linearise(self.weights, self.drive, self.state)[1]


class Linearised:
    """A cell whose steps give `Factors`: from a record of what it does where there is one, else from its own push.

    tied: every step has the same weights, which are then laid out anew for many multiplies.
    """

    def __init__(self, cell: Cell, tied: bool = False):
        self.cell, self.recorded, self.tied = cell, _record_holds(cell), tied
        self._programs: dict[Any, _Program] = {}
        self._matrices: Dense | None = None

    def step(self, weights: Weights, drive: ByGate, state: State) -> tuple[State, Factors]:
        """(next state, Factors of J), the state as `linearise` gives it, bit by bit. Weights in the layout `Rows`."""
        if self.recorded:
            try:
                return self.step_of(self._dense(weights), weights, drive, state)
            except Exception:  # whatever somebody's own cell does with a matrix; what is wrong there is raised below
                self.recorded = False
        after, _ = self.cell.linearise(weights, drive, state)
        return after, _Plain(self.cell, weights, drive, state, sum(one.nbytes for one in (*drive.values(), *state)))

    @property
    def packed(self) -> bool:
        """Whether multiplies take a time in proportion to their rows."""
        return isinstance(self._matrices, Packed) and self._matrices.can

    def _dense(self, weights: Weights) -> Dense:
        if not self.tied:
            return Dense(weights)
        if self._matrices is None:
            self._matrices = Packed(weights)
        return self._matrices

    def step_of(self, matrices: Matrices, weights: Weights, drive: ByGate, state: State) -> tuple[State, Factors]:
        """(next state, Factors of J) with any matrices; of `weights` the biases, and all in a diagonal cell.

        Raises whatever the cell does where it has no record.
        """
        return _recorded_step(self.cell, self._programs, matrices, weights, drive, state)


def _recorded_step(
    cell: Cell, programs: dict[Any, _Program], matrices: Matrices, weights: Weights, drive: ByGate, state: State
) -> tuple[State, _Recorded]:
    """See `Linearised.step_of`. programs: those met before."""
    given: Any = FactoredWeights(weights.layout, cell.recurrent, matrices, weights.bias)
    after, push = cell.linearise(weights if cell.diagonal else given, drive, state)
    record = Record(state[0])
    parts: Any = tuple(Directions(record, record.add("part", i)) for i in range(len(state)))
    results = tuple(number_of(part) for part in push(parts))
    key = (tuple(record.operations), results)
    if key not in programs:
        programs[key] = _Program.of(record.operations, results, cell.recurrent)
    nbytes = sum(vector.nbytes for vector in record.vectors)
    return after, _Recorded(programs[key], record.vectors, matrices, nbytes)


@cache
def _record_holds(cell: Cell) -> bool:
    """Whether there is a record and it does what the cell does, either way, tried on a step of a few units.

    A cell that asks of a matrix what only a tensor can answer would else be recorded as another cell.
    """
    try:
        with torch.no_grad():
            return all(_holds_once(cell, scale) for scale in (0.3, 1.0, 3.0))
    except Exception:  # whatever somebody's own cell does with a matrix
        return False


def _holds_once(cell: Cell, scale: float, width: int = 4, replicates: int = 3) -> bool:
    random = torch.Generator().manual_seed(7)

    def drawn(rows: int, names: int = 1) -> Tensor:
        return scale * torch.randn(replicates, rows, names * width, generator=random, dtype=torch.float64)

    stacked = drawn(1 if cell.diagonal else width, len(cell.recurrent)) if cell.recurrent else None
    named = dict(zip(cell.recurrent, () if stacked is None else stacked.split(width, 2), strict=True))
    weights = Weights(Rows(), stacked, named, {name: drawn(1) for name in cell.inner})
    drive, state = {gate: drawn(1) for gate in cell.gates}, tuple(drawn(1) for _ in cell.parts)
    after, factors = _recorded_step(cell, {}, Dense(weights), weights, drive, state)
    plain, push = cell.linearise(weights, drive, state)
    rows, others = (tuple(drawn(2) for _ in cell.parts) for _ in range(2))
    there, wanted, back = (
        torch.cat(one, 2) for one in (factors.times(rows), push(rows), factors.times_transposed(others))
    )
    through, returned = torch.cat(others, 2) @ wanted.mT, back @ torch.cat(rows, 2).mT
    pairs = ((torch.cat(after, 2), torch.cat(plain, 2)), (there, wanted), (returned, through))
    return all(bool((one - other).abs().max() <= 1e-9 * other.abs().max()) for one, other in pairs)
