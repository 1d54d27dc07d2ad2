"""Success of training against P(stable by T): joined by T, over initialisations, and said in sentences."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

from rnnmc.statistics.analyses import analysed, analyses
from rnnmc.statistics.made_up import planned, study_of
from rnnmc.study.point import DesignPoint

T = 10
RATES = (-2.0, -0.79, -0.76, -0.73, -0.7, -0.68, -0.66, -0.6, -0.55, 0.0)  # nats a step: all vanished to all stable


def study(learnt):
    """Two widths of ten initialisations, and what a training of so many of 20 networks each comes to."""
    points = [
        DesignPoint(
            cell="tanh", width=width, drive={"adding": T}, horizons=(1, T), init={"recurrent": {"gaussian": gain}}
        )
        for gain in range(1, 1 + len(RATES))
        for width in (4, 8)
    ]  # fmt: skip
    rows, statistics = study_of(
        [planned(point) for point in points], lambda point: RATES[int(point.init.roles["recurrent"]["every"].gain) - 1]
    )
    counts = np.repeat(learnt, 2)
    summary = pl.DataFrame(
        {
            "point": rows["point"], "horizon": pl.Series([T] * 20, dtype=pl.Int32), "clipped": ["yes"] * 20,
            "quantity": ["loss"] * 20, "replicates": [20] * 20, "mean": [0.5] * 20, "learnt_count": counts,
            "p_learnt": counts / 20, "p_learnt_low": counts / 40, "p_learnt_high": (counts + 20) / 40,
        }
    )  # fmt: skip
    return rows, statistics, summary


def test_success_stands_beside_the_stability_of_the_same_steps_and_is_correlated_over_initialisations():
    learnt = (0, 4, 2, 6, 5, 7, 8, 9, 12, 20)
    rows, statistics, summary = study(learnt)
    table = analysed(rows, statistics, {"training": summary})["trainability"]
    of_t = statistics.filter(pl.col("horizon") == T, pl.col("measure").cast(pl.String) == "log_spectral")
    assert table["point"].to_list() == rows["point"].to_list()
    assert table["p_stable"].to_list() == of_t["p_stable_by"].to_list()
    assert (table["replicates"].unique().to_list(), table["trained"].unique().to_list()) == ([200], [20])
    stable = table["p_stable"].to_numpy().reshape(-1, 2).mean(axis=1)
    assert len(np.unique(stable)) >= 8
    assert table["rank_correlation"].unique().to_list() == pytest.approx([spearmanr(stable, learnt).statistic])
    losing = stable < 0.5
    share = np.array(learnt) / 20
    assert table["losing_initialisations"][0] == losing.sum()
    assert table["learnt_losing"][0] == pytest.approx(share[losing].mean())
    assert table["learnt_keeping"][0] == pytest.approx(share[~losing].mean())
    (said,) = analyses()["trainability"].found(table)
    assert said.startswith(
        f"adding {T}, T = {T}, gradients clipped: {100 * share[losing].mean():.0f} % of the networks"
    )
    # planted: points counted as initialisations would double their number
    assert table["initialisations"].unique().to_list() == [10]


def test_without_a_training_or_of_too_few_initialisations_nothing_is_correlated():
    rows, statistics, summary = study((0,) * 10)
    assert "trainability" not in analysed(rows, statistics)
    few = rows.head(6)
    table = analysed(few, statistics, {"training": summary})["trainability"]
    assert table["rank_correlation"].null_count() == table.height == 6
    assert "rank correlation" not in analyses()["trainability"].found(table)[0]
