"""One step's Jacobian from its factors, against the cell's own push and against autograd."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
from grids import spread
from torch import Tensor

from rnnmc.cells import cells
from rnnmc.cells.cell import Cell
from rnnmc.engine.few_directions import dense as wide_dense
from rnnmc.engine.few_directions.dense import Dense
from rnnmc.engine.few_directions.factored import Linearised
from rnnmc.numerics.layout import Rows
from rnnmc.numerics.weights import Weights

torch.set_num_threads(1)  # as blocks run
REPLICATES, WIDTH, ROWS = 3, 12, 8
TOLERANCE = {torch.float64: 1e-13, torch.float32: 2e-5}  # some hundred roundings, of numbers near one
DTYPES = list(TOLERANCE)
# what is done to a transposed matrix, or over units, has no record
UNRECORDED = {"antisymmetric", "lipschitz_rnn", "lstm_layer_norm"}
# that a step keeps, if more than six
VECTORS = {"slstm": 14, "unitary": 7, "lstm_multiplicative": 7, "lstm_projected": 7, "rhn": 9}


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def arguments(cell: Cell, dtype=torch.float64, width=WIDTH, seed=0):
    """(weights, drive, state) with every gate in its curved range."""
    rng = np.random.default_rng(seed)

    def drawn(rows: int, columns: int, scale: float) -> Tensor:
        return torch.from_numpy(rng.standard_normal((REPLICATES, rows, columns)) * scale).to(dtype)

    rows = 1 if cell.diagonal else width
    stacked = drawn(rows, width * len(cell.recurrent), rows**-0.5) if cell.recurrent else None
    named = dict(zip(cell.recurrent, stacked.split(width, dim=2), strict=True)) if stacked is not None else {}
    bias = {name: drawn(1, width, 1.0) for name in cell.inner}
    drive = {gate: drawn(1, width, 1.0) for gate in cell.gates}
    return Weights(Rows(), stacked, named, bias), drive, tuple(drawn(1, width, 1.0) for _ in cell.parts)


def directions(cell: Cell, dtype=torch.float64, width=WIDTH, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(REPLICATES, ROWS, width, generator=generator, dtype=dtype) for _ in cell.parts)


def worst(found, wanted) -> float:
    return max(float((one - other).abs().max()) for one, other in zip(found, wanted, strict=True))


def transposed(cell: Cell, given):
    """The transposed Jacobian, by autograd through the cell's own step."""
    weights, drive, state = given
    return torch.func.vjp(lambda *s: cell.step(weights, drive, s), *state)[1]


def pulled(cell: Cell, given, rows):
    """Row by row, as the state has one row."""
    back = transposed(cell, given)
    each = [back(tuple(part[:, i : i + 1] for part in rows)) for i in range(rows[0].shape[1])]
    return tuple(torch.cat(parts, dim=1) for parts in zip(*each, strict=True))


@pytest.mark.parametrize(("name", "dtype"), spread(DTYPES))
def test_every_cell_s_factors_push_as_the_cell_does_and_pull_as_autograd(name, dtype):
    cell = cells()[name]
    given, rows = arguments(cell, dtype), directions(cell, dtype)
    linearised = Linearised(cell)
    state, factors = linearised.step(*given)
    wanted, push = cell.linearise(*given)
    assert linearised.recorded == (name not in UNRECORDED)
    assert all(torch.equal(one, other) for one, other in zip(state, wanted, strict=True))
    assert worst(factors.times(rows), push(rows)) < TOLERANCE[dtype]
    assert worst(factors.times_transposed(rows), pulled(cell, given, rows)) < TOLERANCE[dtype]


@pytest.mark.parametrize("name", ["tanh", "lstm", "gru", "gru_tied", "gru_reset_after"])
def test_packed_matrices_multiply_as_they_did_before_and_leave_the_state_alone(name, monkeypatch):
    monkeypatch.setattr(wide_dense, "PACKED_FROM", 1)
    cell, width = cells()[name], 48
    given, rows = arguments(cell, torch.float32, width), directions(cell, torch.float32, width)
    packed, plain = Linearised(cell, tied=True), Linearised(cell)
    (state, factors), (wanted, others) = packed.step(*given), plain.step(*given)
    if not packed.packed:
        pytest.skip("this build of torch does not pack matrices")
    assert all(torch.equal(one, other) for one, other in zip(state, wanted, strict=True))
    assert worst(factors.times(rows), others.times(rows)) < TOLERANCE[torch.float32]
    assert worst(factors.times_transposed(rows), others.times_transposed(rows)) < TOLERANCE[torch.float32]


def test_double_precision_is_never_packed(monkeypatch):
    monkeypatch.setattr(wide_dense, "PACKED_FROM", 1)
    linearised = Linearised(cells()["tanh"], tied=True)
    linearised.step(*arguments(cells()["tanh"]))
    assert not linearised.packed


@pytest.mark.parametrize("name", [name for name in cells() if name not in UNRECORDED])
def test_a_step_is_kept_as_a_few_vectors_with_nothing_behind_them(name):
    cell, width = cells()[name], 40
    _, factors = Linearised(cell).step(*arguments(cell, width=width))
    vectors = factors.vectors
    assert factors.nbytes == sum(vector.untyped_storage().nbytes() for vector in vectors)
    assert factors.nbytes <= VECTORS.get(name, 6) * REPLICATES * width * 8


class Asked:
    """Matrices that know nothing of each other, and count what each is asked."""

    def __init__(self, matrices: Mapping[str, Tensor]):
        self.matrices, self.times_asked = matrices, Counter()

    def times(self, rows: Tensor, names: Sequence[str]) -> list[Tensor]:
        self.times_asked.update(names)
        return [rows @ self.matrices[name] for name in names]

    def times_transposed(self, rows: Sequence[Tensor], names: Sequence[str]) -> Tensor:
        self.times_asked.update(names)
        return torch.stack([some @ self.matrices[name].mT for name, some in zip(names, rows, strict=True)]).sum(0)


@pytest.mark.parametrize(
    "name",
    [name for name, one in cells().items() if one.recurrent and not one.diagonal and name not in UNRECORDED],
)
def test_whatever_answers_as_a_matrix_will_do_and_is_asked_once_for_the_same_rows(name):
    cell = cells()[name]
    given, rows = arguments(cell), directions(cell)
    matrices = Asked(given[0].recurrent)
    state, factors = Linearised(cell).step_of(matrices, *given)
    wanted, others = Linearised(cell).step(*given)
    assert worst(state, wanted) < 1e-13
    matrices.times_asked.clear()
    assert worst(factors.times(rows), others.times(rows)) < 1e-13
    most = 2 if name in ("gru_tied", "unitary") else 1  # the tied gate twice; complex rows in two parts
    assert all(1 <= matrices.times_asked[gate] <= most for gate in given[0].recurrent)
    assert worst(factors.times_transposed(rows), others.times_transposed(rows)) < 1e-13


class ByStep(Cell):
    """A cell of somebody's own, without a tangent."""

    name = "by_step"
    formula = "h' = tanh(W x + U h)^2"
    source = "none"
    gates = ("hidden",)

    def step(self, weights, drive, state):
        return ((drive["hidden"] + weights.apply(state[0], "hidden")["hidden"]).tanh().square(),)


class Cubed(Cell):
    """A cell that does with its matrix what no record knows."""

    name = "cubed"
    formula = "h' = W x + U^3 h"
    source = "none"
    gates = ("hidden",)

    def linearise(self, weights, drive, state):
        matrix = weights.recurrent["hidden"] ** 3

        def push(parts):
            return (weights.product(parts[0], matrix),)

        return (drive["hidden"] + weights.product(state[0], matrix),), push


class RowsScaled(Cubed):
    """A matrix scaled along its other axis: by broadcasting alone it would look like a vector."""

    def linearise(self, weights, drive, state):
        matrix = weights.recurrent["hidden"] * drive["hidden"].mT

        def push(parts):
            return (weights.product(parts[0], matrix),)

        return (drive["hidden"] + weights.product(state[0], matrix),), push


@pytest.mark.parametrize("kind", [ByStep, Cubed, RowsScaled])
def test_a_cell_that_cannot_be_recorded_keeps_its_own_push_and_is_transposed_by_autodiff(kind):
    cell = kind()
    given, rows = arguments(cell), directions(cell)
    linearised = Linearised(cell)
    state, factors = linearised.step(*given)
    wanted, push = cell.linearise(*given)
    assert not linearised.recorded
    assert worst(state, wanted) == 0
    assert worst(factors.times(rows), push(rows)) == 0
    assert worst(factors.times_transposed(rows), pulled(cell, given, rows)) < 1e-13


def test_a_cell_s_own_mistake_is_raised_as_it_is():
    class Mistaken(Cubed):
        def linearise(self, weights, drive, state):
            raise KeyError("hiden")

    with pytest.raises(KeyError, match="hiden"):
        Linearised(Mistaken()).step(*arguments(Mistaken()))


@pytest.mark.parametrize("name", ["tanh", "lstm", "gru"])
def test_a_forgotten_transposition_is_found(name, monkeypatch):
    def forgotten(self, rows, names):
        return sum(self.times(some, [gate])[0] for some, gate in zip(rows, names, strict=True))

    monkeypatch.setattr(Dense, "times_transposed", forgotten)
    with pytest.raises(AssertionError):
        test_every_cell_s_factors_push_as_the_cell_does_and_pull_as_autograd(name, torch.float64)
