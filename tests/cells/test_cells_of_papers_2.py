# pyright: reportIncompatibleMethodOverride=false
"""Cells of papers in continuous time, of orthogonal and of diagonal weights: each against its formula, twice."""

import math

import mpmath
import numpy as np
import pytest
import torch
from reference_flows import STEPS

from rnnmc.cells import cells
from rnnmc.cells.antisymmetric import Antisymmetric
from rnnmc.cells.cornn import CoRNN
from rnnmc.cells.esn import ESN
from rnnmc.cells.functions import softplus
from rnnmc.cells.lem import LEM
from rnnmc.cells.lipschitz_rnn import LipschitzRNN
from rnnmc.cells.ltc import LTC
from rnnmc.cells.unicornn import UnICORNN
from rnnmc.chain.check_cell import check_cell
from rnnmc.engine.block import run_block
from rnnmc.engine.compiled.trace import traced
from rnnmc.numerics.layout import Columns, Rows
from rnnmc.numerics.weights import Weights
from rnnmc.study.point import DesignPoint

LAYOUTS = [Rows(), Columns()]
REPLICATES, WIDTH = 4, 5


def arguments(cell, scale, seed=0, width=WIDTH):
    """(u, a, inner, s), each name -> (R, ...) float64, as the reference has them."""
    rng = np.random.default_rng(seed)

    def drawn(*shape):
        return torch.from_numpy(rng.standard_normal((REPLICATES, *shape)) * scale)

    columns = 1 if cell.diagonal else width
    u = {name: drawn(width, columns) / columns**0.5 for name in cell.recurrent}
    inner = {name: drawn(width) for name in cell.inner_biases}
    return u, {gate: drawn(width) for gate in cell.gates}, inner, tuple(drawn(width) for _ in cell.parts)


def reference(step, given):
    """(next state, Jacobian), (R, d) and (R, d, d), one replicate after another and by autograd."""

    def flat(u, a, inner, state):
        return torch.cat(step(u, a, inner, state.split(len(next(iter(a.values()))))))

    states, jacobians = [], []
    for r in range(REPLICATES):
        u, a, inner = ({name: value[r] for name, value in part.items()} for part in given[:3])
        at = torch.cat([part[r] for part in given[3]])
        states.append(flat(u, a, inner, at))
        jacobians.append(torch.func.jacrev(flat, argnums=3)(u, a, inner, at))
    return torch.stack(states), torch.stack(jacobians)


def ours(cell, given, layout):
    """The same of the cell, from its hand-written tangent."""
    u, a, inner, s = given

    def load(array):
        return layout.load(array.numpy(), torch.float64, "cpu")

    stacked = load(torch.cat([u[name].mT for name in cell.recurrent], dim=2)) if u else None
    named = {} if stacked is None else dict(zip(cell.recurrent, stacked.split(WIDTH, layout.out_axis), strict=True))
    bias, drive = ({name: load(vector[:, None]) for name, vector in part.items()} for part in (inner, a))
    weights = Weights(layout, stacked, named, bias)
    after, push = cell.linearise(weights, drive, tuple(load(part[:, None]) for part in s))
    size = WIDTH * len(cell.parts)
    rows = torch.eye(size, dtype=torch.float64).expand(REPLICATES, size, size)
    pushed = push(load(rows).split(WIDTH, layout.out_axis))
    state, jacobian = (torch.cat([layout.matrices(part) for part in parts], dim=2) for parts in (after, pushed))
    return state[:, 0], jacobian.mT


def differs(cell, step, layout, scale):
    given = arguments(cell, scale)
    pairs = zip(ours(cell, given, layout), reference(step, given), strict=True)
    return max(float((one - other).abs().max() / other.abs().max()) for one, other in pairs)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
@pytest.mark.parametrize("name", STEPS)
def test_a_step_and_its_tangent_are_those_of_the_paper_s_formula(name, layout):
    for scale in (0.3, 1.0, 3.0):
        assert differs(cells()[name], STEPS[name], layout, scale) < 1e-10


PLANTED = {
    "indrnn": lambda u, a, inner, s: (torch.relu(a["hidden"] + s[0]),),
    "antisymmetric": lambda u, a, inner, s: (
        s[0] + 0.01 * torch.tanh((u["hidden"] + u["hidden"].T) @ s[0] - 0.01 * s[0] + a["hidden"]),
    ),
    "cornn": lambda u, a, inner, s: (s[0] + 0.042 * s[1], STEPS["cornn"](u, a, inner, s)[1]),  # the old velocity
    "lem": lambda u, a, inner, s: (STEPS["lem"](u, a, inner, (s[0], s[1] * 0.99))[0], STEPS["lem"](u, a, inner, s)[1]),
    "modrelu_rnn": lambda u, a, inner, s: (torch.relu(a["hidden"] + u["hidden"] @ s[0] + inner["threshold"]),),
    "s6": lambda u, a, inner, s: STEPS["s6"](u, a, inner, s[::-1]),
    "slstm": lambda u, a, inner, s: (*STEPS["slstm"](u, a, inner, s)[:3], s[3]),  # a stabiliser that does not move
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_formula_with_one_mistake_is_told_apart(name):
    assert differs(cells()[name], PLANTED[name], Rows(), 1.0) > 1e-3


@pytest.mark.parametrize("name", STEPS)
def test_every_one_of_them_passes_the_checks_and_has_a_kernel(name):
    assert [result for result in check_cell(cells()[name], 2) if not result.passed] == []
    assert traced(cells()[name]).pushed


# --- what holds exactly ---------------------------------------------------------------------------


def norms(cell, horizon=100, replicates=20, dtype="float64", **more):
    """(R,) of each norm at the horizon, and the statuses; initialised as its paper says."""
    point = DesignPoint(cell=cell, width=7, horizons=(horizon,), dtype=dtype, **{"init": "published"} | more)
    table = run_block(point, 0, replicates)
    return table["log_spectral"].to_numpy(), table["log_rms"].to_numpy(), set(table["status"].to_pylist())


@pytest.mark.slow
def test_the_unitary_network_begins_as_a_unitary_map_whatever_it_sees():
    """Published thresholds are zero, with which modReLU is the identity: every l_T is 0, by both norms."""
    spectral, rms, statuses = norms("unitary")
    assert max(np.abs(spectral).max(), np.abs(rms).max()) < 1e-11
    assert statuses == {"ok"}
    bent, _, _ = norms("unitary", init={"preset": "published", "bias": {"threshold": 0.3}})
    assert np.abs(bent).max() > 0.01  # planted


@pytest.mark.slow
def test_the_orthogonal_network_keeps_its_gradient_until_a_unit_is_shut():
    """Thresholds that are not below zero shut none: l_T is 0; those of the paper shut some, and the norm only falls.

    In a hundred steps of seven units |a| falls below 0.005, the mean of a threshold below zero, in every third network.
    """
    spectral, rms, _ = norms("modrelu_rnn", init={"preset": "published", "bias": {"threshold": 0.01}})
    assert max(np.abs(spectral).max(), np.abs(rms).max()) < 1e-11
    for threshold, shut in (({"uniform": {"limit": 0.01}}, 0), (-0.3, 19)):  # more than so many of 20 networks
        spectral, rms, _ = norms("modrelu_rnn", init={"preset": "published", "bias": {"threshold": threshold}})
        assert spectral.max() < 1e-11
        assert (rms < -1e-3).sum() > shut


def test_every_step_of_unicornn_keeps_the_volume_of_its_state():
    cell = cells()["unicornn"]
    given = arguments(cell, 1.0)
    volume = torch.linalg.det(ours(cell, given, Rows())[1])
    assert (volume - 1).abs().max() < 1e-11
    damped = reference(lambda u, a, inner, s: (STEPS["unicornn"](u, a, inner, s)[0], 0.99 * s[1]), given)[1]
    assert (torch.linalg.det(damped) - 1).abs().min() > 0.01  # planted


@pytest.mark.slow
def test_the_modes_of_s4d_share_one_decay_and_so_both_norms():
    spectral, rms, _ = norms("s4d")
    np.testing.assert_allclose(spectral, rms, atol=1e-12)
    assert -100 * 0.1 / 2 <= spectral.min() <= spectral.max() <= -100 * 0.001 / 2


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "least"), [("rg_lru", math.log(0.9)), ("s6", -math.inf), ("qrnn", -math.inf)])
def test_a_gate_that_sees_only_the_input_never_lets_the_gradient_grow(cell, least):
    more = {} if cell != "qrnn" else {"init": "pytorch"}
    spectral, _, _ = norms(cell, **more)
    assert 100 * least < spectral.min() < spectral.max() < 0


def test_the_stabiliser_of_slstm_changes_no_state_that_is_shown():
    """c and n without it, as far as no exponential overflows, have the same ratio."""
    cell = cells()["slstm"]
    u, a, inner, s = arguments(cell, 1.0)
    kept = tuple(part[0] * 0 for part in s)
    h, c, n = kept[:3]
    for step in range(12):
        at = {gate: a[gate][step % REPLICATES] for gate in cell.gates}
        matrices = {gate: u[gate][0] for gate in cell.gates}
        kept = STEPS["slstm"](matrices, at, inner, kept)
        raw = {gate: at[gate] + matrices[gate] @ h for gate in cell.gates}
        forget, admit = torch.sigmoid(raw["forget"]), torch.exp(raw["input"])
        c, n = forget * c + admit * torch.tanh(raw["candidate"]), forget * n + admit
        h = torch.sigmoid(raw["output"]) * c / n
        torch.testing.assert_close(kept[0], h, rtol=1e-12, atol=1e-12)
        assert (kept[2] >= 1).all()


# --- numbers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Antisymmetric, {"step_size": 0.3, "diffusion": 0.0}),
        (CoRNN, {"step_size": 0.1, "stiffness": 1.0, "damping": 0.5}),
        (LEM, {"step_size": 0.4}),
        (UnICORNN, {"step_size": 1.0, "stiffness": 0.5}),
        (LipschitzRNN, {"step_size": 0.5, "skew": 1.0, "diffusion": 0.2}),
        (LTC, {"step_size": 0.2, "time_constant": 3.0}),
        (ESN, {"leak": 0.8}),
    ],
)
def test_any_possible_number_is_kept_and_passes_and_others_are_refused(kind, fields):
    cell = kind(**fields)
    assert {name: getattr(cell, name) for name in cell.fields} == fields
    assert all(result.passed for result in check_cell(cell, 2))
    for name in fields:
        for wrong in (-1.0, math.nan):
            with pytest.raises(ValueError, match=f"{name}: .* is not possible"):
                kind(**{name: wrong})


@pytest.mark.parametrize("a", [-700.0, -30.0, -1e-3, 0.0, 0.3, 40.0, 800.0])
def test_softplus_has_all_its_digits_on_both_sides(a):
    found = float(softplus(torch.tensor(a, dtype=torch.float64)))
    with mpmath.workdps(40):
        assert found == pytest.approx(float(mpmath.log1p(mpmath.exp(a))), rel=1e-15)
