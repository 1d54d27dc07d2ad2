"""Running maxima of the state: against the reference's own trajectory, and the bounds that claim A8 is about."""

import numpy as np
import polars as pl
import pytest
import reference
import torch
from looking import seen
from scipy.stats import binomtest

from rnnmc.observables import extremes
from rnnmc.statistics.summaries.extremes import ROUNDING, SUMMARY
from rnnmc.statistics.summaries.summary import Settings
from rnnmc.study.point import DesignPoint

HORIZONS = (1, 3, 10, 40)
TILE = 256  # replicates that run together, in place of the thousands of a narrow cell
SATURATED = {"recurrent": {"gaussian": 30.0}, "bias": {"gaussian": 3.0}}


def point_of(cell, width, **changes):
    settings = {"horizons": HORIZONS, "dtype": "float64", "state_std": 0.5} | changes
    return DesignPoint(cell=cell, width=width, **settings)


def table_of(point, replicates):
    return pl.from_arrow(seen(point, replicates, "extremes", tile=TILE)["extremes"])


def observed(point, replicates):
    """(replicates, horizons, parts)."""
    return table_of(point, replicates)["largest"].to_numpy().reshape(replicates, len(point.horizons), -1)


def maxima(point, replicates):
    """The same from the reference's own cell, states 0 to T one after another."""
    advance, _ = reference.stepper(point)
    states = [reference.initial_state(point, replicates, tile=TILE)]
    for _, step in zip(range(point.horizons[-1]), reference.inputs(point, replicates, tile=TILE), strict=False):
        states.append(advance(*step, states[-1]))
    sizes = torch.stack(states).unflatten(2, (-1, point.width)).abs().amax(3)
    return sizes.cummax(0).values.numpy().transpose(1, 0, 2)[:, list(point.horizons)]


@pytest.mark.parametrize("width", [1, 4, 12])
@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru_output_gated"])
def test_maxima_are_those_of_the_trajectory_from_the_initial_state_on(cell, width):
    point = point_of(cell, width, state_std=1.0)
    np.testing.assert_allclose(observed(point, 6), maxima(point, 6), rtol=1e-12)


def test_parts_stand_under_their_names_in_the_cell_s_order():
    table = table_of(point_of("lstm", 4), 2)
    assert table["part"].to_list() == ["h", "c"] * len(HORIZONS) * 2
    assert table["horizon"].to_list() == [t for t in HORIZONS for _ in "hc"] * 2


def test_an_initial_state_that_is_never_exceeded_stays_the_maximum():
    point = point_of("linear", 4, drive="none", init={"recurrent": {"constant": 0.0}}, state_std=1.0)
    start = reference.initial_state(point, 20, tile=TILE).abs().amax(1).numpy()
    np.testing.assert_array_equal(observed(point, 20)[:, :, 0], np.repeat(start[:, None], len(HORIZONS), axis=1))


def test_a_state_that_overflows_is_infinite_from_its_step_on_and_never_nan():
    point = point_of("relu", 16, dtype="float32", init={"recurrent": {"gaussian": 20.0}}, horizons=(1, 30, 60))
    found = observed(point, 8)
    assert np.isfinite(found[:, 0]).all()
    assert np.isposinf(found[:, 2]).all()
    assert table_of(point, 8)["largest"].null_count() == 0
    row = SUMMARY.summarise(extremes.OBSERVABLE(), table_of(point, 8), Settings(1e-3, 1e3)).row(2, named=True)
    assert (row["finite"], row["mean"], row["q05"], row["above_count"]) == (0, None, np.inf, 8)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", ["gru", "gru_reset_after", "gru_tied", "gru_output_gated"])
def test_no_gru_ever_leaves_one_though_rounding_may(cell, dtype):
    # |h'| <= (1-z) |h| + z |y| <= 1 exactly; in arithmetic 1 - z and z may add up to more by a bit.
    point = point_of(cell, 4, dtype=dtype, init=SATURATED, horizons=(10, 500), state_std=0.0, drive={"white": 16})
    largest = observed(point, 256)
    assert largest.max() < 1 + ROUNDING / 10
    summary = SUMMARY.summarise(extremes.OBSERVABLE(), table_of(point, 256), Settings(1e-3, 1e3))
    assert summary["above_count"].to_list() == [0] * summary.height


def test_rounding_alone_would_count_many_a_gru_as_above_one():
    # Planted: the bare comparison with 1, which two fifths of these saturated replicates pass by less than 2e-6.
    point = point_of("gru", 4, dtype="float32", init=SATURATED, horizons=(500,), state_std=0.0, drive={"white": 16})
    assert (observed(point, 256) > 1).mean() > 0.2


def test_an_lstm_with_open_gates_counts_up_as_far_as_there_are_steps():
    # Forget and input gate at sg(40) = 1, candidate at tanh(40) = 1, no weights: c_t = t, h_t = tanh(t) / 2.
    init = {
        "recurrent": {"constant": 0.0},
        "bias": {"constant": 40.0, "output": {"constant": 0.0}},
    }
    point = point_of("lstm", 3, drive="none", init=init, state_std=0.0)
    found = observed(point, 2)
    np.testing.assert_allclose(found[:, :, 1], [HORIZONS] * 2, rtol=1e-12)
    np.testing.assert_allclose(found[:, :, 0], [np.tanh(HORIZONS) / 2] * 2, rtol=1e-12)


def test_the_summary_is_that_of_numpy_and_scipy():
    point = point_of("lstm", 4, init={"recurrent": {"gaussian": 1.0}, "bias": {"forget": {"constant": 3.0}}})
    values = observed(point, 200)
    summary = SUMMARY.summarise(extremes.OBSERVABLE(), table_of(point, 200), Settings(1e-3, 1e3))
    assert summary["part"].to_list() == ["h", "c"] * len(HORIZONS)
    for row, column in zip(summary.iter_rows(named=True), values.reshape(200, -1).T, strict=True):
        above = int((column > 1 + ROUNDING).sum())
        interval = binomtest(above, 200).proportion_ci(method="wilson")
        assert row["mean"] == pytest.approx(column.mean(), rel=1e-12)
        assert row["q95"] == np.quantile(column, 0.95, method="inverted_cdf")
        assert (row["above_count"], row["p_above"]) == (above, above / 200)
        assert [row["p_above_low"], row["p_above_high"]] == pytest.approx([interval.low, interval.high], abs=1e-12)
    assert 0 < summary["above_count"].min() < summary["above_count"].median() < 200


def test_a_maximum_of_the_last_state_alone_would_be_found_out(monkeypatch):
    point = point_of("tanh", 4, state_std=1.0)

    def forgetful(self, step):
        self.largest = [0 * largest for largest in self.largest]
        see(self, step)

    see = extremes._Watch.see
    monkeypatch.setattr(extremes._Watch, "see", forgetful)
    assert not np.allclose(observed(point, 6), maxima(point, 6), rtol=1e-6)


@pytest.mark.parametrize(("forget", "wanted"), [(40.0, 20), (0.0, 0)])
def test_a_cell_state_that_counts_steps_has_doubled_since_a_tenth_of_them(forget, wanted):
    # Forget gate at 1: c_t = t; at 1/2: c_t = 2 (1 - 2^-t) of input gate and candidate at 1, which is 2 by step 30.
    bias = {"constant": 40.0, "forget": forget}
    init = {"recurrent": {"constant": 0.0}, "bias": bias}
    point = point_of("lstm", 2, drive="none", init=init, state_std=0.0, horizons=(30, 300, 450))
    summary = SUMMARY.summarise(extremes.OBSERVABLE(), table_of(point, 20), Settings(1e-3, 1e3))
    of_c = summary.filter(pl.col("part") == "c")
    assert of_c["doubled_count"].to_list() == [None, wanted, None], "a tenth of 30 and of 450 steps are not stored"


def test_a_state_that_stays_zero_has_not_doubled():
    point = point_of("tanh", 2, drive="none", state_std=0.0, horizons=(1, 10))
    summary = SUMMARY.summarise(extremes.OBSERVABLE(), table_of(point, 20), Settings(1e-3, 1e3))
    assert summary["doubled_count"].to_list() == [None, 0]
