"""Theory beside statistics: the right law at the right row, and null where none speaks."""

import math
import time

import polars as pl
import pytest
from scipy.special import ndtr
from synthetic import samples_of, walks

from rnnmc.statistics.point import point_statistics
from rnnmc.study.point import DesignPoint
from rnnmc.study.study import Thresholds
from rnnmc.theory import predictions
from rnnmc.theory.beside import COLUMNS, beside

HORIZONS = (1, 10, 100)
VANISH, EXPLODE = 0.02, 40.0


def rows(**said):
    """(statistics of made-up samples, the same beside theory, the point)."""
    point = DesignPoint(**{"drive": "none", "horizons": HORIZONS} | said)
    samples = samples_of(walks(HORIZONS, 50, -0.1, 1.0), HORIZONS, point=point.key)
    statistics = point_statistics(samples, VANISH, EXPLODE)
    return statistics, beside(point, statistics), point


def test_statistics_are_left_as_they_are_and_every_column_is_added():
    statistics, both, _ = rows(cell="lstm", width=1, init="pytorch", drive="white")
    assert both.select(statistics.columns).equals(statistics)
    assert both.columns == statistics.columns + list(COLUMNS)
    added = both.select(*COLUMNS)
    assert dict(added.schema) == {name: kind() for name, kind in COLUMNS.items()}
    assert added.null_count().row(0) == (both.height,) * len(COLUMNS)  # no law knows such a point


def test_probabilities_and_moments_are_those_of_the_exact_law_at_the_row_s_own_thresholds():
    _, both, point = rows(cell="linear", width=1, init={"recurrent": {"gaussian": 1.2}})
    (_, prediction) = predictions(point)[0]
    for row in both.iter_rows(named=True):
        below = 2 * ndtr(VANISH ** (1 / row["horizon"]) / 1.2) - 1
        assert row["theory_law"] == row["theory_growth_law"] == "linear_one_unit"
        assert row["theory_p_vanish_at"] == pytest.approx(below, rel=1e-12)
        for event in ("stable", "explode", "dead"):
            wanted = prediction.probability(event, row["horizon"], Thresholds(vanish=VANISH, explode=EXPLODE))
            assert row[f"theory_p_{event}_at"] == wanted
        mean, variance = prediction.moments(row["horizon"])
        assert (row["theory_mean"], row["theory_deviation"]) == (mean, math.sqrt(variance))
        assert row["theory_growth_rate"] == prediction.growth_rate
        assert row["theory_growth_exact"] is True
        assert row["theory_onset_gain"] is None


def test_exact_laws_win_and_a_large_width_law_says_what_they_do_not():
    _, both, point = rows(cell="gru", width=8, weights="untied", init={"recurrent": {"gaussian": 2.0}})
    row = both.row(0, named=True)
    assert (row["theory_growth_law"], row["theory_growth_exact"]) == ("zero_state_vector", True)
    assert row["theory_onset_gain"] == pytest.approx(math.sqrt(12), rel=1e-6)
    assert row["theory_law"] is None  # it is about one vector, and there is no such row
    vector = both.head(1).select(pl.exclude(*COLUMNS)).with_columns(measure=pl.lit("log_vector"))
    row = beside(point, vector).row(0, named=True)
    assert row["theory_law"] == "zero_state_vector"
    assert 0 < row["theory_p_vanish_at"] < 1
    assert row["theory_growth_rate"] is None


def test_a_bound_of_the_spectral_norm_bounds_the_rms_norm_too():
    _, both, _ = rows(cell="tanh", width=1, state_std=0.5, init={"recurrent": {"gaussian": 2.0}})
    bound = math.erf(1 / EXPLODE / 0.5 / math.sqrt(2))
    assert both["theory_p_explode_at_most"].to_list() == pytest.approx([bound] * both.height)
    assert both["theory_p_explode_at"].null_count() == both.height


@pytest.mark.slow
def test_the_lstm_s_population_states_its_errors_and_gains_of_a_study_share_one_onset():
    found, start = [], time.process_time()
    for gain in (1.0, 1.5, 2.0, 2.5, 3.0, 3.5):
        init = {"recurrent": {"gaussian": gain}, "input": {"gaussian": 0.6}}
        _, both, _ = rows(cell="lstm", width=8, weights="untied", init=init, drive="field")
        found.append(both.row(0, named=True))
    assert {row["theory_growth_law"] for row in found} == {"untied_lstm"}
    assert len({row["theory_onset_gain"] for row in found}) == 1
    assert all(
        0 < row["theory_growth_rate_error"] < 2e-3 and 0 < row["theory_onset_gain_error"] < 0.01 for row in found
    )
    assert time.process_time() - start < 20  # seconds, about 3 on one free core
    _, both, _ = rows(cell="tanh", width=8, init={"recurrent": {"gaussian": 2.0}}, state_std=1.0)
    assert set(both["theory_growth_rate_error"]) == {0.0}
    assert not both["theory_growth_exact"].any()


def test_where_only_moments_are_known_probabilities_are_null():
    init = {"recurrent": {"constant": 0.0}, "input": {"gaussian": 1.0}}
    _, both, _ = rows(cell="gru", width=1, init=init, drive="white")
    assert set(both["theory_law"]) == {"white_gates"}
    assert both["theory_mean"].null_count() == 0
    assert both["theory_p_vanish_at"].null_count() == both.height
    assert both["theory_p_dead_at"].to_list() == [0.0] * both.height
