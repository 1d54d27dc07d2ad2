# pyright: reportIncompatibleMethodOverride=false
"""Cells against the frameworks, against autograd, and with planted mistakes."""

import math

import numpy as np
import pytest
import torch
from grids import FULL, spread
from reference import STEPS

from rnnmc.cells import cell as cell_named
from rnnmc.cells import cells
from rnnmc.cells.cell import Cell
from rnnmc.cells.gru import GRU
from rnnmc.cells.lstm import LSTM
from rnnmc.cells.relu import ReLU
from rnnmc.cells.tanh import Tanh
from rnnmc.chain.check_cell import check_cell
from rnnmc.chain.norms import log_norms
from rnnmc.chain.product import follow
from rnnmc.engine.draws import Draws
from rnnmc.numerics.layout import Columns, Rows
from rnnmc.numerics.weights import Weights
from rnnmc.study.point import DesignPoint

LAYOUTS = [Rows(), Columns()]


def failed(cell, **settings):
    return {result.name for result in check_cell(cell, **settings) if not result.passed}


def weights_of(cell, layout, recurrent, inner):
    """Weights from name -> (R, out, in) and name -> (R, n)."""
    stacked = torch.cat([recurrent[name].mT for name in cell.recurrent], dim=2)
    stacked = layout.load(stacked.numpy(), torch.float64, "cpu")
    width = recurrent[cell.recurrent[0]].shape[1]
    parts = dict(zip(cell.recurrent, stacked.split(width, layout.out_axis), strict=True))
    return Weights(layout, stacked, parts, {k: vector_of(layout, v) for k, v in inner.items()})


def vector_of(layout, vectors):
    return layout.load(vectors[:, None].numpy(), torch.float64, "cpu")


# --- against the frameworks, by name --------------------------------------------------------------


def torch_gates(module, replicate_of, names, signs):
    """name -> stacked parameters of many modules, in PyTorch's order of gates."""
    parts = torch.stack([getattr(one, replicate_of).detach() for one in module]).chunk(len(names), dim=1)
    return {name: sign * part for name, sign, part in zip(names, signs, parts, strict=True)}


FRAMEWORK = {  # our cell -> (PyTorch's, names of its gates in its order, our sign)
    "tanh": (lambda m, n: torch.nn.RNN(m, n), ["hidden"], [1]),
    "relu": (lambda m, n: torch.nn.RNN(m, n, nonlinearity="relu"), ["hidden"], [1]),
    "lstm": (torch.nn.LSTM, ["input", "forget", "candidate", "output"], [1, 1, 1, 1]),
    "gru_reset_after": (torch.nn.GRU, ["reset", "update", "candidate"], [1, -1, 1]),  # their z is our 1 - z
}


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
@pytest.mark.parametrize("name", FRAMEWORK)
def test_a_framework_cell_is_pytorch_s_with_weights_mapped_by_name(name, layout):
    make, names, signs = FRAMEWORK[name]
    torch.manual_seed(3)
    inputs, width, replicates, steps = 3, 4, 5, 7
    modules = [make(inputs, width).double() for _ in range(replicates)]
    with torch.no_grad():
        for module in modules:
            for parameter in module.parameters():
                parameter.mul_(3)  # well away from the linear regime
    x = torch.randn(steps, replicates, inputs, dtype=torch.float64)
    wanted = torch.stack([module(x[:, r : r + 1])[0][:, 0] for r, module in enumerate(modules)], dim=1).detach()

    cell = cells()[name]
    u, w, b_x, b_h = (
        torch_gates(modules, f"{kind}_l0", names, signs) for kind in ("weight_hh", "weight_ih", "bias_ih", "bias_hh")
    )
    inner = {"candidate_recurrent": b_h["candidate"]} if name == "gru_reset_after" else {}
    if inner:
        b_h["candidate"] = torch.zeros_like(b_h["candidate"])
    weights = weights_of(cell, layout, u, inner)
    state = tuple(vector_of(layout, torch.zeros(replicates, width, dtype=torch.float64)) for _ in cell.parts)
    for t in range(steps):
        drive = {
            gate: vector_of(layout, torch.einsum("rnm,rm->rn", w[gate], x[t]) + b_x[gate] + b_h[gate])
            for gate in cell.gates
        }
        state = cell.step(weights, drive, state)
        assert torch.allclose(layout.matrices(state[0])[:, 0], wanted[t], rtol=1e-12, atol=1e-14)


def test_pytorch_s_update_gate_without_the_change_of_sign_is_told_apart():
    FRAMEWORK["gru_reset_after"][2][1] = 1
    try:
        with pytest.raises(AssertionError):
            test_a_framework_cell_is_pytorch_s_with_weights_mapped_by_name("gru_reset_after", Rows())
    finally:
        FRAMEWORK["gru_reset_after"][2][1] = -1


# --- the check ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "width"), spread([1, 2, 5]))
def test_every_cell_passes_every_check(name, width):
    for seed in range(3 if name in FULL else 1):
        for result in check_cell(cells()[name], width, seed):
            assert result.passed, result
            assert 0 <= result.worst_error <= result.tolerance


def laws_of(cell):
    return {result.name for result in check_cell(cell, 2) if result.name.startswith("law")}


@pytest.mark.parametrize("name", list(cells()))  # that states them
def test_the_exact_laws_are_checked_on_every_cell(name):
    found, cell = laws_of(cells()[name]), cells()[name]
    assert ("law of zero weights" in found) == (cell.gating is not None)
    assert ("law of the zero state" in found) == (cell.at_zero is not None)


def test_no_law_of_the_cells_that_had_one_is_lost():
    gated = {"lstm", "gru", "gru_tied", "gru_reset_after", "gru_output_gated", "minimal_rnn", "min_gru"}
    assert {name for name, cell in cells().items() if cell.gating} >= gated
    assert {name for name, cell in cells().items() if cell.at_zero} >= gated - {"min_gru"} | {"tanh", "linear"}
    assert laws_of(cells()["relu"]) == {"law of positive units"}
    assert laws_of(cells()["lru"]) == {"law of eigenvalues"}


def test_most_cells_are_written_a_second_time_in_the_reference():
    assert set(STEPS) <= set(cells())
    assert len(STEPS) >= 11


class OwnStep(Cell):
    """A cell of one's own with only a step: a leaky tanh."""

    name, formula, source = "own", "h' = h / 2 + tanh(a) / 2", "nobody"
    gates = ("hidden",)
    bounded = True

    def step(self, weights, drive, state):
        (h,) = state
        return (h / 2 + torch.tanh(drive["hidden"] + weights.apply(h, "hidden")["hidden"]) / 2,)


class OwnTwoParts(Cell):
    """Two parts, two gates, an inner bias; only a step."""

    name, formula, source = "own_two", "-", "nobody"
    gates = ("slow", "fast")
    parts = ("h", "m")
    inner_biases = {"floor": "slow"}  # noqa: RUF012

    def step(self, weights, drive, state):
        h, m = state
        u = weights.apply(h, "slow", "fast")
        m = m * torch.sigmoid(drive["slow"] + u["slow"]) + weights.bias["floor"]
        return torch.tanh(drive["fast"] + u["fast"] + weights.product(m, weights.recurrent["fast"])), m


class OwnLinearise(Cell):
    """Only a tangent; the step is its first half."""

    name, formula, source = "own_linearise", "h' = sin(a)", "nobody"
    gates = ("hidden",)

    def linearise(self, weights, drive, state):
        a = drive["hidden"] + weights.apply(state[0], "hidden")["hidden"]
        return (a.sin(),), lambda d: (weights.product(d[0], weights.recurrent["hidden"]) * a.cos(),)


@pytest.mark.slow
@pytest.mark.parametrize("cell", [OwnStep(), OwnTwoParts(), OwnLinearise()], ids=lambda cell: cell.name)
def test_a_cell_of_one_s_own_passes_whether_it_has_a_step_or_a_tangent(cell):
    assert failed(cell) == set()
    assert not any(result.name.startswith("law") for result in check_cell(cell))


def test_a_cell_of_one_s_own_runs_in_a_chain_by_module_and_attribute():
    own = DesignPoint(cell="tests.cells.test_cells:OWN", width=3, drive="none", horizons=(5,))
    assert cell_named("tests.cells.test_cells:OWN") is own.cell_object
    assert own.label.startswith("tests.cells.test_cells:OWN n=3")


OWN = OwnStep()


def test_a_cell_with_neither_is_refused_when_it_is_written():
    with pytest.raises(TypeError, match="neither step nor linearise"):

        class Nothing(Cell):
            gates = ("hidden",)


def test_names_that_are_no_cell_are_refused_with_the_nearest_one():
    for name, said in (
        ("lstmm", "did you mean lstm"),
        ("no_such_module:CELL", r"cannot be imported .* file no_such_module\.py in the folder that you type from"),
        ("no_such_module.py:CELL", "names a file; give the module without .py: no_such_module:CELL"),
        ("test_cells:NOTHING", "cannot be imported"),
        ("math:pi", "is a float; give module:attribute"),
    ):
        with pytest.raises(ValueError, match=said):
            cell_named(name)


# --- planted mistakes: each fails a check of its own ----------------------------------------------


class WrongTangent(Tanh):
    def linearise(self, weights, drive, state):
        (after,), _ = super().linearise(weights, drive, state)
        jacobian = weights.recurrent["hidden"] * (1 - after)  # not squared
        return (after,), lambda d: (weights.product(d[0], jacobian),)


class ForgottenTerm(LSTM):
    """The tangent loses the path through the output gate; the step is right."""

    def linearise(self, weights, drive, state):
        after, push = super().linearise(weights, drive, state)
        slope = torch.sigmoid(drive["output"] + weights.apply(state[0], "output")["output"]) / after[1].cosh() ** 2
        return after, lambda d: (push(d)[1] * slope, push(d)[1])


class OnlyHToH(LSTM):
    """What some published tools fill: dh'/dh at fixed c, and nothing else."""

    at_zero, gating = LSTM.at_zero, LSTM.gating

    def linearise(self, weights, drive, state):
        after, push = super().linearise(weights, drive, state)

        def only(directions):
            dh, dc = directions
            through, _ = push((dh, torch.zeros_like(dc)))
            return through, torch.zeros_like(dc)

        return after, only


class BatchMean(Tanh):
    """The Jacobian is averaged over the batch before it multiplies."""

    def linearise(self, weights, drive, state):
        axis = weights.layout.replicate_axis
        (after,), _ = super().linearise(weights, drive, state)
        jacobian = (
            (weights.recurrent["hidden"] * (1 - after**2))
            .mean(axis, keepdim=True)
            .expand_as(weights.recurrent["hidden"])
        )
        return (after,), lambda d: (weights.product(d[0], jacobian),)


class BatchNorm(Cell):
    """The state itself is normalised over the batch."""

    name, formula, source, gates = "batch_norm", "-", "nobody", ("hidden",)

    def step(self, weights, drive, state):
        a = drive["hidden"] + weights.apply(state[0], "hidden")["hidden"]
        return (torch.tanh(a - a.mean(weights.layout.replicate_axis, keepdim=True)),)


class AxisByNumber(Cell):
    """A mean over the units that is written for one layout only."""

    name, formula, source, gates = "axis", "-", "nobody", ("hidden",)

    def step(self, weights, drive, state):
        a = drive["hidden"] + weights.apply(state[0], "hidden")["hidden"]
        return (torch.tanh(a + a.mean(2, keepdim=True)),)


class OtherStep(Tanh):
    """step and linearise are of two different cells, each consistent at the tangent."""

    def step(self, weights, drive, state):
        return (super().linearise(weights, drive, state)[0][0] + 0.25,)


class NotLinear(Tanh):
    """Right on unit vectors, wrong on everything else."""

    def linearise(self, weights, drive, state):
        after, push = super().linearise(weights, drive, state)
        return after, lambda d: push((d[0] * d[0].abs(),))


class ForgetsWhenOpen(LSTM):
    """1 - f for f, with a tangent that fits: consistent, but not an LSTM, though it says so."""

    at_zero, gating = LSTM.at_zero, LSTM.gating

    def linearise(self, weights, drive, state):
        drive = {**drive, "forget": -drive["forget"]}
        return super().linearise(weights, drive, state)


class OtherHalf(GRU):
    """The candidate is halved; the tangent fits."""

    at_zero, gating = GRU.at_zero, GRU.gating

    def linearise(self, weights, drive, state):
        recurrent = {**weights.recurrent, "candidate": weights.recurrent["candidate"] / 2}
        return super().linearise(Weights(weights.layout, weights.stacked, recurrent, weights.bias), drive, state)


class SaysItIsBounded(ReLU):
    bounded = True


class Detached(Cell):
    """Autograd does not see the state; small changes do."""

    name, formula, source, gates = "detached", "-", "nobody", ("hidden",)

    def step(self, weights, drive, state):
        h = state[0]
        return (torch.tanh(drive["hidden"] + weights.apply(h.detach(), "hidden")["hidden"]) + h / 2,)


class Raises(Tanh):
    def linearise(self, weights, drive, state):
        raise RuntimeError("I am no cell")


@pytest.mark.parametrize(
    ("cell", "checks"),
    [
        (WrongTangent(), {"autograd", "finite differences"}),
        (ForgottenTerm(), {"autograd", "finite differences"}),
        (OnlyHToH(), {"autograd", "finite differences", "law of zero weights", "law of the zero state"}),
        (BatchMean(), {"batch"}),
        (BatchNorm(), {"batch"}),
        (AxisByNumber(), {"layouts", "batch"}),
        (OtherStep(), {"next state"}),
        (NotLinear(), {"linearity"}),
        (ForgetsWhenOpen(), {"law of zero weights", "law of the zero state"}),
        (OtherHalf(), {"law of the zero state"}),
        (SaysItIsBounded(), {"bounded"}),
        (Detached(), {"finite differences"}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Cell) else "",
)
def test_a_planted_mistake_fails_its_own_check_and_no_other(cell, checks):
    assert failed(cell) == checks


def test_a_cell_that_raises_fails_with_its_own_words_and_raises_nothing():
    results = check_cell(Raises())
    assert not any(result.passed for result in results if result.name != "bounded")
    assert all("RuntimeError: I am no cell" in result.meaning for result in results)


# --- autodiff and the published mistake in a chain ------------------------------------------------


def chain(cell, design, layout, replicates=3):
    draws = Draws(design, [(0, 0)], replicates, layout, "cpu")
    with torch.no_grad():
        return list(follow(cell, layout, draws.steps(), draws.state(), design.horizons))


@pytest.mark.parametrize(("name", "layout"), spread(LAYOUTS))
def test_autodiff_through_step_gives_the_chain_of_the_hand_written_tangent(name, layout):
    hand = cells()[name]

    class Auto(type(hand)):
        def step(self, weights, drive, state):
            return hand.linearise(weights, drive, state)[0]

        linearise = Cell.linearise

    design = DesignPoint(cell=name, width=4, dtype="float64", state_std=1.0, horizons=(1, 25))
    for one, other in zip(chain(hand, design, layout), chain(Auto(), design, layout), strict=True):
        assert torch.allclose(one.product, other.product, rtol=1e-9, atol=1e-13)
        assert torch.equal(one.exponent, other.exponent)


@pytest.mark.slow
def test_filling_only_the_h_to_h_block_of_lstm_gives_the_known_wrong_rate():
    """log(g/4) where the zero state has log(1/2 + g/4): the published mistake, planted, and ours beside it."""
    gain = 1.0
    init = {"recurrent": {"gaussian": gain}}
    design = DesignPoint(cell="lstm", width=150, init=init, drive="none", dtype="float64", horizons=(100, 200))
    rate = {}
    for cell in (LSTM(), OnlyHToH()):
        early, late = (log_norms(moment)["log_rms"] for moment in chain(cell, design, Rows(), 2))
        rate[type(cell)] = (late - early) / 100
    # the largest eigenvalue is within some per cent of the circular law's at n = 150; the mistake is 1.1 off
    assert np.abs(rate[LSTM] - math.log(0.5 + gain / 4)).max() < 0.15
    assert np.abs(rate[OnlyHToH] - math.log(gain / 4)).max() < 0.3
