"""The parameter gradient by lag: against truncated back-propagation by autograd, closed forms, and long chains."""

import itertools

import mpmath
import numpy as np
import polars as pl
import pytest
import reference
import torch
from grids import spread
from looking import looking, seen, tiled
from reference import STEPS, step_of

from rnnmc.cells.cell import Cell
from rnnmc.common.errors import UsageError
from rnnmc.engine.block import run_block
from rnnmc.engine.draws import stream
from rnnmc.observables import gradient
from rnnmc.observables.gradient import LONGEST, LOSSES
from rnnmc.statistics.summaries.gradient import SHARE, SUMMARY
from rnnmc.statistics.summaries.summary import Settings
from rnnmc.study.point import DesignPoint

TILE = 16  # replicates that run together, in place of the thousands of a narrow cell
HORIZONS = (1, 2, 5, 9)
COLUMNS = ["log_contribution", "log_further", "log_total"]


def point_of(cell="tanh", width=3, **changes):
    settings = {"horizons": HORIZONS, "dtype": "float64", "state_std": 0.5} | changes
    return DesignPoint(cell=cell, width=width, **settings)


def observed(point, replicates, tile=TILE):
    """(replicates, losses, rows, columns)."""
    table = pl.from_arrow(seen(point, replicates, "gradient", tile=tile)["gradient"])
    assert table["loss"].head(1 + len(point.horizons)).unique().item() == LOSSES[0]
    return table.select(COLUMNS).to_numpy().reshape(replicates, 2, -1, 3)


def losses_of(point, replicates, tile=TILE):
    """(steps, replicates, n): the loss gradient on h_t for each t, drawn as the observable draws it."""
    rng = stream(point.key, 0, 0, "gradient", point.dtype)
    shape = (point.horizons[-1], tile, point.width)
    return rng.standard_normal(shape)[:, :replicates] / np.sqrt(point.width)


def truncated(point, replicates, lengths):
    """(replicates, losses, lengths, parameters): gradients by autograd, each loss going back so many steps and no more.

    The parameters are leaves that all steps share, and the state before the first step of a window is cut off from
    them, as truncated back-propagation through time does it.
    """
    steps = [
        step for _, step in zip(range(point.horizons[-1]), reference.inputs(point, replicates, tile=TILE), strict=False)
    ]
    v = torch.from_numpy(losses_of(point, replicates))
    starts = reference.initial_state(point, replicates, tile=TILE)
    return np.array([_truncated(point, r, steps, v[:, r], starts[r], lengths) for r in range(replicates)])


def _truncated(point, r, steps, v, start, lengths):
    cell = step_of(point.cell, point.layers, point.residual)
    size = len(start) // point.width // point.layers  # parts of a layer
    shown = slice(0 if point.residual else (point.layers - 1) * size, None, size)
    u, _, inner = ({name: one[r].clone().requires_grad_() for name, one in part.items()} for part in steps[0])
    shift = {gate: torch.zeros_like(one[r], requires_grad=True) for gate, one in steps[0][1].items()}
    leaves = [*u.values(), *shift.values(), *inner.values()]

    def step(t, state):
        return cell(u, {gate: a[r] + shift[gate] for gate, a in steps[t][1].items()}, inner, state)

    states = [start.split(point.width)]
    for t in range(len(steps)):
        states.append(tuple(part.detach() for part in step(t, states[-1])))
    by_time = np.zeros((len(steps), len(lengths), sum(leaf.numel() for leaf in leaves)))
    for (t, _), (i, length) in itertools.product(enumerate(steps), enumerate(lengths)):
        first = max(t - length, 0)
        state = states[first]
        for s in range(first, t + 1):
            state = step(s, state)
        found = torch.autograd.grad(sum(state[shown]) @ v[t], leaves, allow_unused=True)
        flat = [torch.zeros_like(leaf) if one is None else one for leaf, one in zip(leaves, found, strict=True)]
        by_time[t, i] = torch.cat([one.flatten() for one in flat]).numpy()
    return by_time[-1], by_time.sum(axis=0)


def by_truncation(point, replicates):
    """(replicates, losses, rows, columns) as observed, from differences of truncated gradients."""
    g = truncated(point, replicates, [0, *point.horizons])
    contribution = np.diff(g, axis=2, prepend=0)
    whole = np.broadcast_to(g[:, :, -1:], g.shape)
    return np.stack([np.linalg.norm(one, axis=3) for one in (contribution, whole - g, whole)], axis=3)


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "width"), spread([1, 3, 10]))
def test_every_norm_is_that_of_truncated_back_propagation_by_autograd(cell, width):
    point = point_of(cell, width)
    # Differences of gradients of size 1 to 10 in float64: 1e-13 is what cancellation leaves at the least.
    np.testing.assert_allclose(np.exp(observed(point, 3)), by_truncation(point, 3), rtol=1e-10, atol=1e-13)


def test_a_single_horizon_leaves_two_bins_the_immediate_derivative_and_all_else():
    point = point_of("gru_reset_after", horizons=(7,))
    np.testing.assert_allclose(np.exp(observed(point, 3)), by_truncation(point, 3), rtol=1e-10, atol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "width", "layers", "residual"),
    [("lstm", 3, 2, False), ("gru_reset_after", 10, 3, True), ("min_gru", 3, 2, False)],
)
def test_the_loss_of_several_layers_is_on_what_the_last_one_shows(cell, width, layers, residual):
    point = point_of(cell, width, layers=layers, residual=residual)
    np.testing.assert_allclose(np.exp(observed(point, 3)), by_truncation(point, 3), rtol=1e-10, atol=1e-13)


def test_a_float32_chain_gives_the_same_to_float32():
    point = point_of("lstm", 10, dtype="float32")
    np.testing.assert_allclose(np.exp(observed(point, 3)), by_truncation(point, 3), rtol=1e-4, atol=1e-6)


class Odd(Cell):
    """Uses a matrix twice, another after scaling, and brings no tangent of its own."""

    name, formula, source = "odd", "", ""
    gates = recurrent = ("a", "b")
    bounded = True

    def step(self, weights, drive, state):
        (h,), u = state, weights.recurrent
        x = weights.product(h, u["a"]) + weights.product(h * h, u["a"]) + weights.product(h, 2 * u["b"])
        return ((drive["a"] + x + weights.product(x.tanh(), u["b"])).tanh() * drive["b"].sigmoid(),)


def odd(u, a, inner, s):
    (h,) = s
    x = u["a"] @ h + u["a"] @ (h * h) + 2 * u["b"] @ h
    return (torch.tanh(a["a"] + x + u["b"] @ torch.tanh(x)) * torch.sigmoid(a["b"]),)


CELL = Odd()


@pytest.mark.parametrize("width", [1, 3, 10])
def test_a_cell_that_uses_its_weights_in_unusual_ways_is_differentiated_too(width, monkeypatch):
    point = point_of(f"{__name__}:CELL", width, init={"recurrent": {"gaussian": 0.7}}, horizons=(2, 6))
    monkeypatch.setitem(STEPS, point.cell, odd)
    np.testing.assert_allclose(np.exp(observed(point, 2)), by_truncation(point, 2), rtol=1e-10, atol=1e-13)


def test_replicates_taken_backwards_in_slices_give_the_same_bits(monkeypatch):
    point = point_of("lstm", 4, horizons=(3, 8))
    whole = observed(point, 20)
    monkeypatch.setattr(gradient, "BYTES", 1 << 16)  # a few replicates a slice
    np.testing.assert_allclose(observed(point, 20), whole, rtol=1e-12)


def test_what_is_put_by_for_some_steps_is_no_other_sum(monkeypatch):
    point = point_of("gru", 4, horizons=(3, 8))
    whole = observed(point, 5)
    monkeypatch.setattr(gradient, "PUT_BY", 1)
    np.testing.assert_allclose(observed(point, 5), whole, rtol=1e-12)


# --- closed forms and long chains -----------------------------------------------------------------


@pytest.mark.slow
def test_a_linear_unit_has_the_gradient_of_its_closed_form_down_to_ten_to_the_minus_thousands():
    # h_t = u h_(t-1), h_0 given: lag k of the last loss is v_T u^k (h_(T-k-1), 1) = v_T (u^(T-1) h_0, u^k).
    horizons = (10, 1900, 2000)
    point = point_of("linear", 1, drive="none", init={"recurrent": {"gaussian": 0.4}}, horizons=horizons)
    found = observed(point, TILE)[:, 0]
    u, v = (
        one.ravel() for one in (next(reference.inputs(point, TILE, tile=TILE))[0]["hidden"], losses_of(point, TILE)[-1])
    )
    h = reference.initial_state(point, TILE, tile=TILE).ravel().tolist()
    deepest = 0.0
    for r in range(TILE):
        power, start, loss = mpmath.mpf(float(u[r])), mpmath.mpf(h[r]), mpmath.mpf(float(v[r]))

        def norm(lags, power=power, start=start, loss=loss):
            """Log-norm of the sum of lags below 2000 in a range."""
            ks = range(lags.start, min(lags.stop, 2000))
            geometric = power**ks.start * (1 - power ** len(ks)) / (1 - power)
            return float(mpmath.log(mpmath.norm([loss * len(ks) * power**1999 * start, loss * geometric])))

        edges = [-1, 0, *horizons]
        for row, (low, high) in enumerate(itertools.pairwise(edges)):
            wanted = [norm(range(low + 1, high + 1)), norm(range(high + 1, 2000)) if high < 2000 else -np.inf]
            # A power of 2,000 factors in float64: 2,000 roundings of 1e-16.
            np.testing.assert_allclose(found[r, row], [*wanted, norm(range(2000))], rtol=1e-12, atol=1e-11)
            deepest = min(deepest, *(one for one in wanted if np.isfinite(one)))
    assert deepest < -2000


@pytest.mark.slow
def test_a_vanishing_lstm_is_followed_to_eight_hundred_nats():
    horizons = (10, 2396, 2400)
    point = point_of("lstm", 10, horizons=horizons)
    found = observed(point, 2, tile=2)[:, 0, -1, 0]
    for r in range(2):
        assert found[r] == pytest.approx(_last_lags(point, r, 2397), rel=1e-9)
        assert found[r] < -750


def _last_lags(point, r, first_lag):
    """Log-norm of the last loss' gradient from `first_lag` on, by a row that is divided by its size at every step."""
    last = point.horizons[-1]
    steps = [
        tuple({name: one[r : r + 1] for name, one in part.items()} for part in step)
        for _, step in zip(range(last), reference.inputs(point, r + 1, tile=2), strict=False)
    ]
    advance, jacobian = reference.stepper(point)
    states = [reference.initial_state(point, r + 1, tile=2)[r : r + 1]]
    for step in steps:
        states.append(advance(*step, states[-1]))
    cell, log = step_of(point.cell), 0.0
    row = np.zeros(point.state_size)
    row[: point.width] = losses_of(point, r + 1, tile=2)[-1, r]
    total, scale = 0.0, None
    for t in range(last, 0, -1):
        if last - t >= first_lag:
            u, a, inner = ({name: one[0] for name, one in part.items()} for part in steps[t - 1])

            def flat(u, a, inner=inner, t=t):
                return torch.cat(cell(u, a, inner, states[t - 1][0].split(point.width)))

            _, pull = torch.func.vjp(flat, u, a)
            by_u, by_a = pull(torch.from_numpy(row))
            vector = torch.cat([one.flatten() for one in (*by_u.values(), *by_a.values())]).numpy()
            scale = log if scale is None else scale
            total = total + vector * np.exp(log - scale)
        row = row @ jacobian(*steps[t - 1], states[t - 1])[0].numpy()
        size = np.abs(row).max()
        row, log = row / size, log + np.log(size)
    return np.log(np.linalg.norm(total)) + scale


@pytest.mark.slow
def test_an_exploding_chain_keeps_the_digits_of_its_near_lags():
    # The far lags are e^60 times larger: a near bin taken as a difference of them would have no digit of its own.
    init = {"recurrent": {"gaussian": 8.0}}
    point = point_of("tanh", 40, init=init, horizons=(1, 5, 500))
    found = observed(point, 3)[:, 0]
    assert (found[:, 2, 1] > found[:, 2, 0] + 60).all()
    u, v = next(reference.inputs(point, 3, tile=TILE))[0]["hidden"].numpy(), losses_of(point, 3)[-1]
    states = [
        state.numpy() for state in reference.trajectory(point, 3, 500, tile=TILE)
    ]  # the engine's own, for this is chaos
    for r in range(3):
        row, by_u, by_b = v[r], 0.0, 0.0
        for t in range(500, 494, -1):
            slope = 1 - states[t][r] ** 2
            if 500 - t >= 2:
                by_u, by_b = by_u + np.outer(row * slope, states[t - 1][r]), by_b + row * slope
            row = (row * slope) @ u[r]
        assert found[r, 2, 0] == pytest.approx(np.log(np.hypot(np.linalg.norm(by_u), np.linalg.norm(by_b))), rel=1e-9)


def test_after_an_overflow_of_the_state_every_norm_counts_as_infinite():
    flows = point_of("relu", 16, dtype="float32", init={"recurrent": {"gaussian": 6.0}}, horizons=(10, 200))
    assert np.isposinf(observed(flows, 4)).all()


@pytest.mark.slow
def test_a_state_that_has_died_leaves_the_last_loss_without_any_gradient():
    # Without input and bias h_T = P_T h_0, so that a dead chain has a state of zeros, where ReLU has slope zero.
    init = {"recurrent": {"gaussian": 1.0}}
    point = point_of("relu", 2, init=init, drive="none", horizons=(1, 20, 40), state_std=1.0)
    seen_here = seen(point, 200, "gradient", tile=TILE)
    found, status = observed(point, 200), seen_here["samples"]["status"].to_numpy().reshape(200, -1)
    dead = status[:, -1] == "dead"
    assert 20 < dead.sum() < 180
    assert np.isneginf(found[dead, 0]).all()
    assert np.isfinite(found[~dead, 0, :, 2]).all()
    assert not np.isnan(found).any()


def test_with_one_step_the_two_losses_are_one():
    found = observed(point_of("lstm", 5, horizons=(1,)), 10)
    np.testing.assert_array_equal(found[:, 0], found[:, 1])
    assert np.isneginf(found[:, :, 1, 0]).all()  # lag 1 would be before the first step


def test_looking_changes_no_sample():
    point = point_of("lstm", 10, dtype="float32")
    tables = seen(point, 8, "gradient", tile=TILE)
    assert tables["samples"].equals(run_block(point, 0, 8, cut=tiled(point, TILE)))


# --- planted mistakes -----------------------------------------------------------------------------


def test_a_sum_of_norms_is_found_out_as_it_is_not_the_norm_of_the_sum():
    point = point_of("gru", 3)
    g = np.diff(truncated(point, 3, range(10)), axis=2, prepend=0)
    norms = np.linalg.norm(g, axis=3)  # of each lag by itself
    wrong = np.stack([norms[:, :, 3:6].sum(axis=2), norms[:, :, 6:].sum(axis=2)], axis=2)
    found = np.exp(observed(point, 3))[:, :, 3:, 0]
    assert (found < wrong * (1 - 1e-3)).any(axis=(0, 1)).all()


@pytest.mark.parametrize("mistake", ["one step too far", "state after the step", "one power for all rows"])
def test_a_planted_mistake_changes_the_norms(mistake, monkeypatch):
    if mistake == "one step too far":
        right = gradient._Adjoints.by_lag

        def late(self):
            rows, exponent = right(self)
            return rows[:, [0, 1, *range(1, rows.shape[1] - 1)]], exponent[:, [0, 1, *range(1, rows.shape[1] - 1)]]

        monkeypatch.setattr(gradient._Adjoints, "by_lag", late)
    elif mistake == "state after the step":
        see = gradient._Watch.see
        monkeypatch.setattr(
            gradient._Watch, "see", lambda self, step: see(self, type(step)(**{**vars(step), "before": step.after}))
        )
    else:
        total = gradient._total
        monkeypatch.setattr(
            gradient, "_total", lambda rows, exponent: (total(rows, 0 * exponent)[0], total(rows, exponent)[1])
        )
    point = point_of("tanh", 3, horizons=(2, 8, 60), init={"recurrent": {"gaussian": 0.5}})
    found = np.exp(observed(point, 3))
    wanted = by_truncation(point, 3)
    assert not np.allclose(found, wanted, rtol=1e-6, atol=1e-12)


# --- what cannot be -------------------------------------------------------------------------------


def test_untied_weights_and_a_trajectory_too_long_to_keep_are_refused():
    with pytest.raises(UsageError, match="gradient needs one set of parameters for all steps"):
        looking(point_of(weights="untied"), "gradient")
    with pytest.raises(UsageError, match=f"give a last horizon of at most {LONGEST} steps"):
        looking(point_of(horizons=(LONGEST + 1,)), "gradient")


# --- the summary ----------------------------------------------------------------------------------


def summary_of(point, replicates, **settings):
    table = pl.from_arrow(seen(point, replicates, "gradient", tile=TILE)["gradient"])
    return SUMMARY.summarise(gradient.OBSERVABLE(), table, Settings(1e-3, 1e3, **settings))


@pytest.mark.slow
def test_the_summary_of_the_share_is_that_of_numpy():
    point = point_of("lstm", 3, horizons=(1, 3, 20, 40))
    logs = observed(point, 200)
    rows = summary_of(point, 200).filter(pl.col("quantity") == SHARE)
    share = np.exp(logs[..., 1] - logs[..., 2]).reshape(200, -1)
    np.testing.assert_allclose(rows["mean"], share.mean(axis=0), rtol=1e-12)
    for percent in (5, 25, 50, 75, 95):
        wanted = np.quantile(share, percent / 100, axis=0, method="inverted_cdf")
        np.testing.assert_allclose(rows[f"q{percent:02d}"], wanted, rtol=1e-12)
    np.testing.assert_array_equal(rows["negligible_count"], (share < 1e-3).sum(axis=0))
    assert 0 < rows.filter(pl.col("lag") == 20)["p_negligible"].max() < 1
    assert rows["loss"].to_list() == ["last"] * 5 + ["every"] * 5
    assert rows["lag"].to_list() == [0, 1, 3, 20, 40] * 2


@pytest.mark.slow
def test_the_intervals_of_the_share_are_those_of_scipy():
    from scipy.stats import binomtest

    rows = summary_of(point_of("lstm", 3, horizons=(1, 3, 20, 40)), 200).filter(pl.col("quantity") == SHARE)
    for row in rows.iter_rows(named=True):
        interval = binomtest(row["negligible_count"], 200).proportion_ci(method="wilson")
        assert [row["p_negligible_low"], row["p_negligible_high"]] == pytest.approx(
            [interval.low, interval.high], abs=1e-12
        )


@pytest.mark.parametrize(("gain", "width", "drive"), [(6.0, 16, "white"), (0.01, 1, "none")], ids=["overflow", "zero"])
def test_a_share_of_what_is_infinite_or_nothing_is_unknown_and_not_negligible(gain, width, drive):
    init = {"recurrent": {"gaussian": gain}}
    point = point_of("relu", width, init=init, drive=drive, dtype="float32", horizons=(10, 200), state_std=0.0)
    row = summary_of(point, 4).filter(pl.col("quantity") == SHARE).row(0, named=True)
    assert (row["finite"], row["negligible_count"], row["q50"], row["mean"]) == (0, 0, None, None)
    assert row["unknown_count"] == row["replicates"] > 0


def test_a_norm_beyond_float32_has_nothing_left_to_clip_and_the_last_steps_no_share_of_it():
    """h_t = 2.5 h_(t-1) + b, where the gradient of b by lag k is 2.5^k exactly: lag 120 alone is beyond float32."""
    init = {"recurrent": {"constant": 2.5}, "bias": 0.0}
    point = point_of("linear", 1, init=init, drive="none", state_std=0.0, horizons=(1, 10, 120))
    table = summary_of(point, 100)
    total = table.filter(quantity="log_total", loss="last", lag=0).row(0, named=True)
    assert total["beyond_count"] == (total["q50"] > 88.8) * 100 == 100
    here = table.filter(quantity="share_here", loss="last", lag=10).row(0, named=True)
    # of a sum of 2.5^k to k = 119 the lags 2 to 10 are 2.5^-109 or so, whatever v is
    assert (here["negligible_count"], here["beyond_count"]) == (100, None)
    assert np.log(here["q50"]) == pytest.approx(-109 * np.log(2.5), abs=0.1)
    decaying = point_of("linear", 1, init=init | {"recurrent": {"constant": 0.5}}, drive="none", horizons=(1, 10, 120))
    table = summary_of(decaying, 100)
    assert table.filter(quantity="log_total", loss="last", lag=0)["beyond_count"].item() == 0
    assert table.filter(quantity="share_here", loss="last", lag=10)["negligible_count"].item() == 0
