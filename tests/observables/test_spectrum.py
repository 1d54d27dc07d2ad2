"""The Lyapunov spectrum against exact laws, NumPy's QR at every step, and 700 digits."""

import math
from typing import Any

import mpmath
import numpy as np
import polars as pl
import pytest
import torch
from looking import looking, seen
from scipy.special import polygamma
from scipy.stats import norm

from rnnmc.common.errors import UsageError
from rnnmc.engine.block import run_block
from rnnmc.engine.draws import stream
from rnnmc.observables import spectrum
from rnnmc.report.pictures.spectrum import PICTURE
from rnnmc.report.rendering import rendered
from rnnmc.statistics.summaries import Settings
from rnnmc.statistics.summaries.spectrum import SUMMARY, _errors, derived
from rnnmc.statistics.summaries.summary import moments
from rnnmc.study.point import DesignPoint
from rnnmc.theory.exact.linear_untied import exponents as newman
from rnnmc.theory.large_width import tanh_field
from rnnmc.theory.spectrum import Spectrum
from tests.reference import inputs, jacobians, partition, trajectory

FALSE_ALARM = 1e-6
SETTINGS = Settings(1e-3, 1e3)


def point(cell="tanh", width=5, gain=1.5, horizons=(100,), **changes):
    rest = {"drive": "white", "state_std": 1.0, "dtype": "float64"}
    return DesignPoint(cell=cell, width=width, horizons=horizons, **({"init": gaussian(gain)} | rest | changes))


def gaussian(gain):
    return {"recurrent": {"gaussian": gain}}


def measured(design: DesignPoint, replicates: int, said: Any = "spectrum") -> dict[str, np.ndarray]:
    """column -> (R, k)."""
    return columns(table(design, replicates, said), replicates)


def table(design: DesignPoint, replicates: int, said: Any = "spectrum") -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(seen(design, replicates, said)["spectrum"]))


def columns(samples: pl.DataFrame, replicates: int) -> dict[str, np.ndarray]:
    return {name: samples[name].to_numpy().reshape(replicates, -1) for name in spectrum.OBSERVABLE.columns}


def start(design: DesignPoint, replicates: int) -> np.ndarray:
    """(R, d, d) the first directions, as columns."""
    d, tile = design.state_size, partition(design).tile
    drawn = stream(design.key, 0, 0, "spectrum", design.dtype).standard_normal((d, tile, d))
    return np.linalg.qr(drawn.swapaxes(0, 1)[:replicates].swapaxes(1, 2))[0]


def growth_by_numpy(design: DesignPoint, factors, replicates: int) -> np.ndarray:
    """(T, R, d) log|R_ii| with QR at every step."""
    q, logs = start(design, replicates), []
    for factor in factors:
        q, r = np.linalg.qr(factor @ q)
        with np.errstate(divide="ignore"):
            logs.append(np.log(np.abs(np.diagonal(r, axis1=1, axis2=2))))
    return np.array(logs)


def columns_by_numpy(growth: np.ndarray) -> dict[str, np.ndarray]:
    """For horizons that are a multiple of 200: the first tenth left out, 20 batches of equal length."""
    used = growth[len(growth) // 10 :]
    batches = used.reshape(20, -1, *used.shape[1:]).mean(axis=1)
    return {
        "exponent": used.mean(axis=0),
        "error_in_time": batches.std(axis=0, ddof=1) / np.sqrt(20),
        "error_of_sum": batches.cumsum(axis=2).std(axis=0, ddof=1) / np.sqrt(20),
        "exponent_whole_run": growth.mean(axis=0),
    }


# ------------------------------------------------------------------------------------------------------ exact laws


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dtype"), [(5, "float64"), (12, "float32")])
def test_a_product_of_gaussian_matrices_has_newmans_exponents_and_batches_give_their_error(width, dtype):
    # R_ii^2 is a chi-square with n - i + 1 degrees of freedom times g^2 / n at every step, whatever came before
    # (rotational invariance): no transient, independent steps, and the error in time is known too.
    design = point("linear", width, 1.3, (200,), dtype=dtype, drive="none", weights="untied")
    found = measured(design, 200)
    degrees = width - np.arange(width)
    variance = polygamma(1, degrees / 2) / 4 / 180
    limit = norm.isf(FALSE_ALARM / 2 / (4 * width))
    away = (found["exponent"].mean(axis=0) - newman(width, 1.3)) / np.sqrt(variance / 200)
    assert np.abs(away).max() < limit
    excess = polygamma(3, degrees / 2) / polygamma(1, degrees / 2) ** 2 / 9  # of a batch of 9 steps
    spread = np.sqrt((2 / 19 + excess / 20) / 200)
    for error, expected in (("error_in_time", variance), ("error_of_sum", variance.cumsum())):
        ratio = (found[error] ** 2).mean(axis=0) / expected
        assert (np.abs(ratio - 1) / spread).max() < limit


@pytest.mark.parametrize("width", [6, 24])
def test_the_exponents_of_an_orthogonal_chain_are_zero_to_rounding(width):
    design = point("linear", width, drive="none", init={"recurrent": {"orthogonal": 1}})
    found = measured(design, 4)
    assert np.abs(found["exponent_whole_run"]).max() < 1e-14
    assert np.abs(found["exponent"]).max() < 1e-14


@pytest.mark.parametrize(("width", "dtype"), [(6, "float64"), (24, "float64"), (6, "float32"), (12, "float32")])
def test_all_exponents_of_tanh_add_up_to_the_volume_of_its_weights_and_slopes(width, dtype):
    # sum_i lambda_i T = T log|det U| + sum_t sum log(1 - h_t^2), for every width and horizon.
    design = point("tanh", width, 1.5, drive="none", dtype=dtype)
    states = torch.stack(trajectory(design, 3, 100)[1:]).numpy()
    u = next(inputs(design, 3))[0]["hidden"].numpy()
    volume = 100 * np.linalg.slogdet(u)[1] + np.log1p(-(states**2)).sum(axis=(0, 2))
    # In float32 states are known to 6e-8, which 1 - h^2 feels more the nearer h is to 1; stored exponents likewise.
    relative = 1e-10 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(100 * measured(design, 3)["exponent_whole_run"].sum(axis=1), volume, rtol=relative)


@pytest.mark.parametrize(
    ("cell", "width", "dtype"), [("lstm", 8, "float64"), ("gru", 12, "float32"), ("min_gru", 8, "float32")]
)
def test_all_exponents_add_up_to_the_log_determinants_of_the_jacobians(cell, width, dtype):
    # In float32 at the states and with the weights of that chain: what is stored is rounded, the exponents are not.
    design = point(cell, width, horizons=(40,), init="pytorch", dtype=dtype)
    volume = log_volume(design)
    relative = 1e-10 if dtype == "float64" else 1e-7 * width
    np.testing.assert_allclose(40 * measured(design, 3)["exponent_whole_run"].sum(axis=1), volume, rtol=relative)


def log_volume(design: DesignPoint) -> np.ndarray:
    """(3,) the sum of log|det J_t|."""
    last = design.horizons[-1]
    factors = jacobians(design, 3, last, trajectory(design, 3, last))
    return np.sum([np.linalg.slogdet(factor)[1] for factor in factors], axis=0)


# ------------------------------------------------------------------------------------------------ independent routes


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "width"), [("tanh", 8), ("gru", 9), ("lstm", 9)])
def test_every_column_agrees_with_numpys_qr_at_every_step(cell, width):
    design = point(cell, width, 2.0, (200,))
    factors = list(jacobians(design, 3, 200, trajectory(design, 3, 200)))
    found, expected = measured(design, 3), columns_by_numpy(growth_by_numpy(design, factors, 3))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-8, atol=1e-10, err_msg=name)
    reversed_in_time = columns_by_numpy(growth_by_numpy(design, factors[::-1], 3))["exponent_whole_run"]
    assert not np.allclose(found["exponent_whole_run"], reversed_in_time, rtol=1e-3)


@pytest.mark.slow
def test_flooring_the_diagonal_would_break_the_volume_identity(monkeypatch):
    design, honest = point("lstm", 9, 2.0, (40,)), spectrum.factorised
    volume = log_volume(design)

    def floored(layout, rows):
        q, diagonal = honest(layout, rows)
        return q, diagonal.clamp(min=1e-3)

    monkeypatch.setattr(spectrum, "factorised", floored)
    assert not np.allclose(40 * measured(design, 3)["exponent_whole_run"].sum(axis=1), volume, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("design", "fewest", "most"),
    [
        (point("linear", 6, drive="none", init={"recurrent": {"orthogonal": 1}}), 32, 32),
        (point("lru", 6, init={"recurrent": {"ring": 1}}), 3, 9),  # directions drift a few nats apart at each step
        (point("tanh", 12, 8.0), 1, 1),  # a single step drives them further apart than wanted
    ],
)
def test_the_interval_between_factorisations_follows_the_drift_and_changes_nothing(monkeypatch, design, fewest, most):
    taken, honest = [], spectrum._Watch._factorise

    def counted(self, finite):
        taken.append(self.since)
        honest(self, finite)

    monkeypatch.setattr(spectrum, "BATCHES", 1)  # their ends would cut the intervals short
    monkeypatch.setattr(spectrum._Watch, "_factorise", counted)
    adapted = measured(design, 3)["exponent_whole_run"]
    assert fewest <= max(taken) <= most
    monkeypatch.setattr(spectrum, "MOST_STEPS", 1)
    taken.clear()
    at_each_step = measured(design, 3)["exponent_whole_run"]
    assert max(taken) == 1
    np.testing.assert_allclose(adapted, at_each_step, rtol=1e-6, atol=1e-14)


def slopes_and_weights(design: DesignPoint, replicates: int, horizon: int):
    """(R, d, d) Jacobians of tanh, without the loss of digits that 1 - tanh^2 has in saturation."""
    for state, (u, a, _) in zip(trajectory(design, replicates, horizon), inputs(design, replicates), strict=False):
        field = a["hidden"] + torch.einsum("rij,rj->ri", u["hidden"], state)
        yield (field.cosh().reciprocal().square()[:, :, None] * u["hidden"]).numpy()


def test_exponents_of_a_saturated_chain_are_those_of_700_digits_or_null():
    # Slopes of 1e-300 beside slopes of 1: float64 cannot know every exponent, and must not pretend to.
    design = point("tanh", 6, 12.0, (20,), weights="untied")
    found = measured(design, 8)["exponent_whole_run"]
    factors = [factor for factor, _ in zip(slopes_and_weights(design, 8, 20), range(20), strict=False)]
    with mpmath.workdps(700):
        expected = np.array([growth_in_many_digits(start(design, 8)[r], [f[r] for f in factors]) for r in range(8)])
    known = ~np.isnan(found)
    assert known[:, 0].all()
    assert 0.2 < known.mean() < 0.8
    assert np.abs(found - expected / 20)[known].max() < spectrum.TOLERANCE
    plain = growth_by_numpy(design, factors, 8).mean(axis=0)  # what a tool that does not ask would have said
    assert np.abs(plain - expected / 20)[~known].max() > 1


def growth_in_many_digits(first: np.ndarray, factors: list[np.ndarray]) -> list[float]:
    """Log-lengths of P times the first directions, made orthogonal one after another."""
    product = mpmath.matrix(first.tolist())
    for factor in factors:
        product = mpmath.matrix(factor.tolist()) * product
    logs, found = [], []
    for i in range(product.cols):
        column = product[:, i]
        for other in found:
            column -= other * (other.T * column)[0]
        length = mpmath.norm(column)
        found.append(column / length)
        logs.append(float(mpmath.log(length)))
    return logs


# ------------------------------------------------------------------------------------------- what else it promises


@pytest.mark.slow
@pytest.mark.parametrize("width", [5, 12])
def test_the_first_exponents_are_the_first_of_all(width):
    design = point("gru", width, 2.0)
    some = measured(design, 3, {"spectrum": 3})
    for name, values in measured(design, 3).items():
        np.testing.assert_allclose(some[name], values[:, :3], rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "weights"), [(6, "tied"), (16, "untied")])
def test_a_dead_relu_unit_takes_one_exponent_to_minus_infinity_for_ever(width, weights):
    # The product has the rank of the step with the fewest living units.
    design = point("relu", width, math.sqrt(2), (60,), weights=weights)
    living = np.array([(state > 0).sum(dim=1).numpy() for state in trajectory(design, 40, 60)[1:]]).min(axis=0)
    found = measured(design, 40)
    assert 0 < living.mean() < width
    for name in ("exponent", "exponent_whole_run"):
        assert (np.isneginf(found[name]) == (np.arange(width) >= living[:, None])).all()
        assert not np.isnan(found[name]).any()


@pytest.mark.slow
def test_an_overflowed_state_gives_null_and_leaves_no_mean_of_survivors():
    design = point("linear", 3, 1.5, (400,), dtype="float32", drive="none")
    samples = table(design, 40)
    overflowed = np.array(run_block(design, 0, 40)["status"].to_pylist()) == "overflow"
    assert 0 < overflowed.sum() < 40
    assert (np.isnan(columns(samples, 40)["exponent"]) == overflowed[:, None]).all()
    summary = SUMMARY.summarise(spectrum.OBSERVABLE(), samples, SETTINGS)
    assert summary["finite"].to_list() == [40 - overflowed.sum()] * 6
    assert summary.select("mean", "error_in_time", "q50").null_count().row(0) == (6, 6, 6)


def test_replicates_do_not_depend_on_how_many_are_asked_for():
    design = point("tanh", 12, 2.0, (30,))
    assert table(design, 9).head(36).equals(table(design, 3))


def test_more_exponents_than_the_state_has_are_refused_in_one_sentence():
    with pytest.raises(UsageError, match="spectrum has 40 exponents, but the state of lstm at width 16 has length 32"):
        looking(point("lstm", 16), {"spectrum": {"exponents": 40}})
    (some,), (every,) = looking(point("lstm", 16), {"spectrum": 32}), looking(point(), "spectrum")
    assert some.written() == {"spectrum": 32}
    assert looking(point(), every.written()) == (every,)


# ------------------------------------------------------------------------------------------------------ the summary


def test_the_error_of_a_mean_is_of_the_weight_draws_that_know_it():
    values = np.array([[1.0, 1.0], [2.0, 3.0], [np.nan, 4.0], [np.nan, 8.0], [-np.inf, -np.inf], [-np.inf, -np.inf]])
    found = moments(np.where(np.isnan(values), -np.inf, values), 2)
    assert found["finite"].to_list() == [2, 4]
    assert found["error"][0] is None, "of one weight draw"
    # ratio of sums, by hand: mean 4, sums of the deviations of the two weight draws -4 and 4, over four replicates
    assert found["error"][1] == pytest.approx(math.sqrt((16 + 16) * 2) / 4)


def test_a_dimension_that_is_full_does_not_move_with_time():
    exponents = np.array([[0.5, 0.4], [0.5, -0.7]])
    _, dimension, _ = _errors(exponents, np.full((2, 2), 0.01), np.full((2, 2), 0.02), 2)
    np.testing.assert_allclose(dimension, [0.0, 0.02 / 0.7 / 2])


@pytest.mark.slow
def test_the_summary_is_what_theory_says_of_each_replicates_own_spectrum():
    design = point("tanh", 24, 3.0, (200,), drive="none")
    samples = table(design, 6)
    found = columns(samples, 6)
    summary = SUMMARY.summarise(spectrum.OBSERVABLE(), samples, Settings(1e-3, 1e3, group=2))
    rows = {row["quantity"]: row for row in summary.iter_rows(named=True)}
    spectra = [Spectrum((np.arange(24) + 0.5) / 24, own, listed=True) for own in found["exponent"]]
    for name in ("share_positive", "kaplan_yorke", "entropy"):
        values = np.array([getattr(own, name) for own in spectra])
        draws = values.reshape(3, 2).mean(axis=1)
        expected = (values.mean(), values.std(ddof=1), draws.std(ddof=1) / np.sqrt(3))
        row = rows[name]
        np.testing.assert_allclose((row["mean"], row["deviation"], row["error_over_replicates"]), expected, rtol=1e-12)
    first = summary.row(0, named=True)
    assert (first["quantity"], first["index"], first["replicates"]) == ("exponent", 1, 6)
    np.testing.assert_allclose(first["error_in_time"], np.sqrt((found["error_in_time"][:, 0] ** 2).sum()) / 6)
    last = [np.count_nonzero(own > 0) - 1 for own in found["exponent"]]
    errors = [found["error_of_sum"][r, i] if i >= 0 else 0.0 for r, i in enumerate(last)]
    np.testing.assert_allclose(rows["entropy"]["error_in_time"], np.linalg.norm(errors) / 6 / 24)


def test_what_the_known_exponents_do_not_decide_is_null():
    exponents = np.array([[0.5, 0.1], [0.5, -0.2], [0.5, -0.7], [-0.1, -0.2], [0.5, np.nan], [-0.1, np.nan]])
    share, dimension, entropy = derived(exponents, 4)
    np.testing.assert_allclose(share, [np.nan, 0.25, 0.25, 0, np.nan, 0])
    np.testing.assert_allclose(entropy, [np.nan, 0.125, 0.125, 0, np.nan, 0])
    np.testing.assert_allclose(dimension, [np.nan, np.nan, (1 + 0.5 / 0.7) / 4, 0, np.nan, 0])
    assert derived(np.array([[0.5, -0.2]]), 2)[1] == 1  # volumes grow: the dimension is that of the state
    np.testing.assert_allclose(derived(np.array([[0.5, -np.inf]]), 2), [[0.5], [0.5], [0.25]])


@pytest.mark.process
def test_tanh_at_width_100_lies_near_its_curve_and_the_picture_shows_both():
    # Finite width takes a few percent away (1 / n); 2 % at n = 1024 is what config/spectrum.yaml shows.
    design = point("tanh", 100, 3.0, (200,), drive="none")
    summary = SUMMARY.summarise(spectrum.OBSERVABLE(), table(design, 8), SETTINGS)
    beside = SUMMARY.beside(design, summary)
    curve = tanh_field.spectrum(3.0, tanh_field.variance(3.0, 0.0))
    for row in beside.tail(3).iter_rows(named=True):
        assert row["theory"] == pytest.approx(getattr(curve, row["quantity"]))
        assert row["mean"] == pytest.approx(row["theory"], rel=0.15)
    exponents = beside.head(100)
    middle = np.interp((np.arange(100) + 0.5) / 100, curve.share, curve.exponents)
    np.testing.assert_allclose(exponents["theory"], middle, atol=2e-3)
    np.testing.assert_allclose(exponents["mean"][:95], exponents["theory"][:95], atol=0.1)
    assert SUMMARY.beside(point("lstm"), summary)["theory"].null_count() == len(summary)
    described = pl.DataFrame({"point": [design.key], "cell": ["tanh"], "width": [100], "init": ["gaussian 3"]})
    assert b"theory" in rendered(PICTURE.charts(beside, described))["spectrum-tanh.svg"]
