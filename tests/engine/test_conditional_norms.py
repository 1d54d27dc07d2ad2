"""Chains whose weights are drawn as far as they are seen have the law of chains whose weights are drawn in full."""

import math

import numpy as np
import pytest
import torch
from looking import seen
from scipy.special import polygamma
from scipy.stats import binom, chi2, ks_2samp, kstest, norm

from rnnmc.engine.block import run_block
from rnnmc.engine.conditional import chain as conditional_chain
from rnnmc.engine.conditional import norms as conditional
from rnnmc.engine.conditional.chain import applies, follow
from rnnmc.engine.conditional.draws import ConditionalGaussian, ConditionalMatrices
from rnnmc.engine.conditional.norms import conditional_norms
from rnnmc.engine.conditional.spectral import DOUBT, TOLERANCE
from rnnmc.study.point import DesignPoint
from rnnmc.study.replicates import Nested
from rnnmc.theory.exact.linear_untied import exponents as newman
from rnnmc.theory.large_width.untied_tanh import LAW as UNTIED_TANH

FALSE_ALARM = 1e-6
FIRST_TILE = [(0, 0)]
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def point(cell="tanh", width=8, gain=1.5, horizons=(2, 12), recurrent=None, **changes):
    rest = {"drive": "white", "state_std": 1.0, "dtype": "float64", "weights": "untied"}
    init = {"recurrent": {"gaussian": gain} | (recurrent or {}), "input": {"gaussian": 0.5}, "bias": {"gaussian": 0.3}}
    return DesignPoint(cell=cell, width=width, horizons=horizons, **({"init": init} | rest | changes))


def in_full(design, replicates, column="log_rms"):
    """(R, H) from weights that are drawn in full."""
    return run_block(design, 0, replicates)[column].to_numpy().reshape(replicates, -1)


def growth(design, replicates, directions):
    """(R, H, k) log-growth of the first directions, in nats: the first i add up to the log-volume that they span."""
    found = []
    for one in follow(design, FIRST_TILE, replicates, directions=directions).logged:
        rows = torch.cat([one.images, one.tests], dim=1).double()
        lengths = torch.linalg.qr(rows.mT).R.diagonal(dim1=1, dim2=2).abs()
        found.append(lengths.log() + one.exponent[:, 0] * math.log(2))
    return torch.stack(found, dim=1).numpy()


def alarm(found, expected, tests):
    """How far two samples (R, columns) lie apart: above 1 by chance with probability FALSE_ALARM in `tests` calls."""
    worst = 0.0
    for one, other in zip(found.T, expected.T, strict=True):
        p = ks_2samp(one, other).pvalue
        worst = max(worst, math.log(p) / math.log(FALSE_ALARM / tests / found.shape[1] / 3))
        spread = [np.var(x, ddof=1) / len(x) for x in (one, other)]
        fourth = [np.mean((x - x.mean()) ** 4) / np.var(x) ** 2 - 1 for x in (one, other)]
        mean = abs(one.mean() - other.mean()) / math.sqrt(sum(spread))
        ratio = abs(math.log(one.var() / other.var()))
        ratio /= math.sqrt(sum(f / len(x) for f, x in zip(fourth, (one, other), strict=True)))
        worst = max(worst, mean / norm.isf(FALSE_ALARM / tests / found.shape[1] / 6), ratio / 7)
    return worst


# ------------------------------------------------------------------------------------------- against weights in full

CELLS = {
    "tanh": (8, None),
    "relu": (8, None),
    "linear": (8, None),
    "lstm": (4, {"forget": {"gaussian": 0.5}}),
    "gru": (8, {"reset": {"gaussian": 3}}),
    "gru_tied": (8, {"update": {"gaussian": 0.5}}),
    "gru_output_gated": (4, {"candidate": {"gaussian": 3}}),
    "gru_reset_after": (8, {"candidate": {"gaussian": 3}}),
    "minimal_rnn": (8, None),
    "two layers": (4, None),
}


def of_kind(kind):
    return {"cell": "tanh", "layers": 2} if kind == "two layers" else {"cell": kind}


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_both_norms_have_the_law_of_weights_drawn_in_full_for_every_cell(cell):
    # At eight entries of the state all directions are followed, and both norms are exact.
    width, recurrent = CELLS[cell]
    design = point(width=width, recurrent=recurrent, **of_kind(cell))
    found = conditional_norms(design, FIRST_TILE, 600)
    assert found["resolved"].all()
    assert np.isnan(found["log_rms_error"]).all()
    assert np.isnan(found["log_spectral_error"]).all()
    alive = found["status"] == 0
    for name in ("log_spectral", "log_rms"):
        expected = in_full(design, 3000, name)
        if cell == "relu":  # the dead are as many, and the living are alike
            shares = np.isfinite(expected).mean(axis=0)
            away = (alive.mean(axis=0) - shares) / np.sqrt(shares * (1 - shares) * (1 / 600 + 1 / 3000))
            assert np.abs(away).max() < norm.isf(FALSE_ALARM / 8)
            living = [one[np.isfinite(one)] for one in (found[name][:, 1], expected[:, 1])]
            assert ks_2samp(*living).pvalue > FALSE_ALARM / 2
        else:
            assert alive.all()
            assert alarm(found[name], expected, 18) < 1


@pytest.mark.slow
@pytest.mark.parametrize(("width", "cell"), [(8, "tanh"), (32, "tanh"), (16, "lstm")])
def test_first_exponents_have_the_law_of_weights_drawn_in_full(width, cell):
    design = point(cell, width, horizons=(40,))
    found = growth(design, 500, directions=3)[:, 0] / 40
    spectrum = seen(design, 500, {"spectrum": 3})["spectrum"]["exponent_whole_run"].to_numpy().reshape(500, 3)
    assert alarm(found, spectrum, 3) < 1
    sums = [np.stack([one[:, 0] + one[:, 1], one[:, 0] - one[:, 2]], axis=1) for one in (found, spectrum)]
    assert alarm(*sums, 3) < 1


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru", "gru_output_gated"])
def test_tied_weights_have_the_law_of_weights_drawn_in_full(cell):
    # at width 4 a matrix has met all that there is after four steps, and answers from memory
    width, recurrent = (8, None) if cell == "tanh" else (4, CELLS[cell][1])
    design = point(cell, width, recurrent=recurrent, weights="tied", horizons=(1, 3, 12))
    found = conditional_norms(design, FIRST_TILE, 600)
    for name in ("log_spectral", "log_rms"):
        assert alarm(found[name], in_full(design, 3000, name), 8) < 1


def test_tied_weights_that_forget_what_they_answered_are_found_out(monkeypatch):
    design = point("tanh", 4, 1.5, (12,), drive="none", weights="tied", init={"recurrent": {"gaussian": 1.5}})
    expected = in_full(design, 3000)
    assert alarm(conditional_norms(design, FIRST_TILE, 1000)["log_rms"], expected, 1) < 1
    fresh = point("tanh", 4, 1.5, (12,), drive="none", init={"recurrent": {"gaussian": 1.5}})
    assert alarm(conditional_norms(fresh, FIRST_TILE, 1000)["log_rms"], expected, 1) > 2


class Strangers(ConditionalMatrices):
    """A planted mistake: directions meet other weights than the state does."""

    def times(self, rows, names):
        self._group = {}
        return super().times(rows, names)


class Forgetful(ConditionalGaussian):
    """A planted mistake: the transposed matrix knows nothing of what the matrix has answered."""

    def times_transposed(self, rows):
        other = ConditionalGaussian(self.size, self.deviation, self.generators, len(rows))
        return other.times_transposed(rows)


def test_directions_that_meet_other_weights_than_the_state_are_found_out(monkeypatch):
    # a long row of U makes a pre-activation large and its slope small, which would not be so of a stranger's row
    design = point("tanh", 2, 3.0, (1, 4), drive="none", init={"recurrent": {"gaussian": 3.0}})
    expected = in_full(design, 3000)
    assert alarm(conditional_norms(design, FIRST_TILE, 1000)["log_rms"], expected, 1) < 1
    monkeypatch.setattr(conditional_chain, "ConditionalMatrices", Strangers)
    assert alarm(conditional_norms(design, FIRST_TILE, 2000)["log_rms"], expected, 1) > 2


# ----------------------------------------------------------------------------------------------------- exact laws


def test_growth_of_a_linear_chain_has_newmans_law_at_width_2000():
    # R_ii^2 n / g^2 is a chi-square with n - i + 1 degrees of freedom at every step, whatever came before.
    n, gain = 2000, 1.3
    design = point("linear", n, gain, tuple(range(1, 11)), drive="none", dtype="float32")
    logs = growth(design, 20, directions=3)
    steps = np.diff(logs, axis=1, prepend=0.0).reshape(200, 3)
    degrees = n - np.arange(3)
    away = (steps.mean(axis=0) - newman(n, gain)[:3]) / np.sqrt(polygamma(1, degrees / 2) / 4 / 200)
    assert np.abs(away).max() < norm.isf(FALSE_ALARM / 18)
    for i in range(3):
        square = np.exp(2 * steps[:, i]) * n / gain**2
        assert kstest(square, chi2(degrees[i]).cdf).pvalue > FALSE_ALARM / 9
        assert abs(steps[:, i].var() / (polygamma(1, degrees[i] / 2) / 4) - 1) < norm.isf(FALSE_ALARM / 18) / 10


@pytest.mark.slow
def test_the_square_of_the_rms_norm_is_without_bias():
    # E ||P_T||_F^2 / d = g^(2 T) in a linear chain; of 24 directions one is found and seven are tests
    design = point("linear", 24, 1.2, (1, 4), drive="none")
    square = np.exp(2 * conditional_norms(design, FIRST_TILE, 1500)["log_rms"]) / 1.2 ** (2 * np.array([1, 4]))
    away = (square.mean(axis=0) - 1) / (square.std(axis=0) / math.sqrt(1500))
    assert np.abs(away).max() < norm.isf(FALSE_ALARM / 4)


def test_a_wide_chain_grows_as_the_law_of_large_widths_says():
    design = point("tanh", 20_000, 2.0, (20, 60), dtype="float32", drive="none", init={"recurrent": {"gaussian": 2.0}})
    logs = growth(design, 1, directions=1)[0, :, 0]
    assert (logs[1] - logs[0]) / 40 == pytest.approx(UNTIED_TANH.predict(design).growth_rate, abs=5e-3)


# ------------------------------------------------------------------------------------ against the product in full


def product_of(design, replicates):
    """What `conditional_norms` gives, and the log-norms (R, H) of the very matrices, now asked for all they are."""
    chain = follow(design, FIRST_TILE, replicates)
    found = [conditional._norms(chain, here) for here in reversed(chain.logged)][::-1]
    eye = torch.eye(design.state_size, dtype=chain.found.dtype).expand(replicates, -1, -1)
    rows, log, spectral, rms = tuple(eye.split(design.width, dim=2)), 0.0, [], []
    for step, link in enumerate(chain.links, 1):
        rows = link.times(tuple(part.contiguous() for part in rows))
        size = torch.cat(rows, dim=2).double().square().sum((1, 2), keepdim=True).sqrt()
        rows, log = tuple(part / size.to(part.dtype) for part in rows), log + size.flatten().log()
        if step in design.horizons:
            product = torch.cat(rows, dim=2).double()
            spectral.append(log + torch.linalg.matrix_norm(product, 2).log())
            rms.append(log - math.log(design.state_size) / 2)
    numbers = {name: torch.stack([column[name] for column in found], dim=1) for name in found[0]}
    return numbers, torch.stack(spectral, dim=1), torch.stack(rms, dim=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "width", "layers"), [("tanh", 40, 1), ("gru", 40, 1), ("lstm", 40, 1), ("tanh", 20, 2)]
)
def test_norms_are_those_of_the_matrices_as_they_turn_out(cell, width, layers):
    """The bound may fail in a share DOUBT of the replicates; so many of 12 do once in a million runs."""
    found, spectral, rms = product_of(point(cell, width, horizons=(1, 5, 30), layers=layers), 12)
    missing, error = spectral - found["log_spectral"], found["log_spectral_error"]
    assert (error <= TOLERANCE).all()
    assert (missing > error).any(dim=1).sum() <= binom.isf(1e-6, 12, DOUBT)
    assert (missing >= -1e-11).all()
    assert ((rms - found["log_rms"]).abs() <= found["log_rms_error"]).all()
    assert (found["log_rms_error"] < 0.5).all()


@pytest.mark.slow
def test_transposed_answers_that_ignore_memory_are_found_out(monkeypatch):
    monkeypatch.setattr("rnnmc.engine.conditional.draws.ConditionalGaussian", Forgetful)
    found, spectral, _ = product_of(point("tanh", 40, horizons=(1, 5, 30)), 6)
    missing = spectral - found["log_spectral"]
    assert ((missing > found["log_spectral_error"]) | (missing < -1e-3)).double().mean() > 0.5


@pytest.mark.slow
def test_single_precision_gives_the_norms_of_double_precision_with_the_same_draws():
    design = point("lstm", 30, horizons=(3, 30), dtype="float32")
    single, double = (conditional_norms(design, FIRST_TILE, 4, "cpu", dtype) for dtype in ("", "float64"))
    exact = point("lstm", 4, horizons=(3, 30), dtype="float32")
    few = [conditional_norms(exact, FIRST_TILE, 4, "cpu", dtype)["log_rms"] for dtype in ("", "float64")]
    assert np.abs(few[0] - few[1]).max() < 1e-5
    assert np.abs(single["log_spectral"] - double["log_spectral"]).max() < 2 * TOLERANCE


# ------------------------------------------------------------------------------------------------------------ limits


def test_without_memory_for_a_sweep_back_the_spectral_norm_is_not_known(monkeypatch):
    design = point("tanh", 50)
    known = conditional_norms(design, FIRST_TILE, 3)
    monkeypatch.setattr(conditional_chain, "MEMORY", 1000)
    found = conditional_norms(design, FIRST_TILE, 3)
    assert np.isnan(found["log_spectral"]).all()
    assert np.isposinf(found["log_spectral_error"]).all()
    assert (np.abs(found["log_rms"] - known["log_rms"]) < found["log_rms_error"]).all()
    assert (found["log_rms_error"] > known["log_rms_error"]).all()


def test_what_is_kept_stays_within_the_memory_that_is_allowed(monkeypatch):
    # of rows met and answered; the vectors of the steps are counted by the first of them
    design, allowed = point("tanh", 300, horizons=(3, 9)), 2 * 9 * 8 * 300 * 2 * 12
    monkeypatch.setattr(conditional_chain, "MEMORY", allowed)
    chain = follow(design, FIRST_TILE, 2)
    found = [conditional._norms(chain, here) for here in reversed(chain.logged)]
    assert bool((found[0]["log_spectral_error"] > TOLERANCE).all())
    used = sum(
        block.nbytes
        for link in chain.links
        for _, matrix in link.matrices._group.values()
        for side in (matrix.rows, matrix.columns)
        for block in (*side.met, *side.answers)
    )
    assert 0.8 * allowed < used <= allowed
    assert chain.left >= 0


@pytest.mark.slow
def test_states_that_overflow_count_as_exploded_and_dead_ones_as_vanished():
    huge = point("linear", 20, 1e30, (1, 3, 9), dtype="float32", drive="none")
    found = conditional_norms(huge, FIRST_TILE, 3)
    plain = run_block(huge, 0, 3)["status"].to_pylist()
    assert (found["status"] == np.array([["ok", "dead", "overflow"].index(one) for one in plain]).reshape(3, 3)).all()
    assert np.isposinf(found["log_rms"][:, -1]).all()
    assert np.isposinf(found["log_spectral"][:, -1]).all()
    init = {"recurrent": {"gaussian": 0.5}, "bias": -1.0}
    dead = conditional_norms(point("relu", 12, horizons=(1, 300), init=init), FIRST_TILE, 3)
    assert (dead["status"][:, -1] == 1).all()
    assert np.isneginf(dead["log_rms"][:, -1]).all()
    assert np.isneginf(dead["log_spectral"][:, -1]).all()
    assert dead["resolved"].all()


def test_a_step_that_single_precision_cannot_hold_is_not_resolved():
    saturated = point("tanh", 12, horizons=(2,), init={"recurrent": {"gaussian": 1.0}, "bias": 60.0}, dtype="float32")
    assert not conditional_norms(saturated, FIRST_TILE, 2)["resolved"].any()
    again = conditional_norms(saturated, FIRST_TILE, 2, "cpu", "float64")
    assert again["resolved"].all()
    assert (again["status"] == 0).all()


def test_replicates_of_one_weight_draw_have_the_same_matrices():
    design = point("linear", 6, nested=Nested(drives=2))
    found = conditional_norms(design, FIRST_TILE, 6)["log_spectral"]
    np.testing.assert_allclose(found[::2], found[1::2], atol=1e-11)
    assert np.abs(found[0] - found[2]).max() > 1e-3


def test_it_is_said_which_points_can_be_drawn_so():
    assert all(applies(point(width=4, **of_kind(kind))) for kind in CELLS)
    assert applies(point("tanh", weights="tied"))
    for law in ({"orthogonal": 1}, {"gaussian": 1, "clip": 2.0}, {"gaussian": 1, "spectral_radius": 1.0}):
        assert not applies(point("tanh", init={"recurrent": law}))
    assert applies(point("lstm", init={"recurrent": {"gaussian": 1, "stacked": True}}))
