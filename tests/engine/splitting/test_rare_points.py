"""Populations of a design point: scores are those of its chain, numbers those of its law, bits those of its key."""

import json
import math

import numpy as np
import polars as pl
import pytest
from scipy.special import erfc

from rnnmc.common.errors import UsageError
from rnnmc.engine.block import run_block
from rnnmc.engine.splitting.coordinates import sizes
from rnnmc.engine.splitting.run import hold_rare, plan, population_table
from rnnmc.engine.splitting.score import Scorer
from rnnmc.run.measure import measure_samples
from rnnmc.run.rare import rare_answer
from rnnmc.statistics.rare import rare_statistics
from rnnmc.store.reading import as_frame
from rnnmc.study.point import DesignPoint
from rnnmc.study.rare import Splitting

DEAD = {"preset": "pytorch", "bias": {"hidden": -100.0}}
LINEAR = {"cell": "linear", "width": 1, "init": {"recurrent": {"gaussian": 1.0}}, "drive": "none"}


def split(event="explode", steps=5, point=LINEAR, **said) -> DesignPoint:
    return DesignPoint(**point, horizons=(steps,), splitting=Splitting(event=event, **{"particles": 300} | said))


def test_a_score_is_the_norm_of_the_chain_with_these_draws():
    point = split(steps=7, point=LINEAR | {"dtype": "float64"})
    z = np.random.default_rng(1).standard_normal((50, sizes(point)["weights"]))
    found = Scorer(point, point.rare_event)({"weights": z})
    assert np.allclose(found, 7 * np.log(np.abs(z[:, 0])), rtol=1e-12)


@pytest.mark.slow
def test_scores_of_fresh_coordinates_have_the_law_of_plain_samples():
    point = split("explode_by", 30, {"cell": "lstm", "width": 3}, vanish=1e-20, explode=1e-6)
    score = Scorer(point, point.rare_event)
    rng = np.random.default_rng(2)
    z = {role: rng.standard_normal((4000, size)) for role, size in score.sizes.items()}
    share = (score(z) >= point.rare_event.level).mean()
    samples = as_frame(run_block(DesignPoint(cell="lstm", width=3, horizons=(30,)), 0, 4000))
    plain = (samples["log_spectral"] > math.log(1e-6)).mean()
    assert 0.01 < plain < 0.99
    assert abs(share - plain) < 5 * math.sqrt(2 * plain * (1 - plain) / 4000)


def test_a_population_has_the_same_bits_alone_and_among_others():
    point = split(explode=4.0**5, particles=100)
    alone = as_frame(population_table(point, 2))
    among = measure_samples(point, 3).filter(pl.col("block") == 2)
    assert alone.equals(among)
    assert not alone["log_probability"].equals(as_frame(population_table(point, 1))["log_probability"])


def test_an_interval_holds_the_exact_tail():
    found = rare_answer(split(explode=4.5**5, particles=500), 10)
    last = found.statistics.row(-1, named=True)
    assert last["doubt"] == ""
    assert last["p_low"] < erfc(4.5 / math.sqrt(2)) < last["p_high"]
    assert last["threshold"] == pytest.approx(4.5**5)
    said = json.loads(found.as_json())
    assert said["rare"]["low"] < said["rare"]["p"] < said["rare"]["high"]
    assert said["rare"]["chains"] == last["evaluations"]
    assert said["curve"][-1]["p"] == said["rare"]["p"] == last["p"]


def test_what_keeps_a_gradient_is_the_other_side_of_what_loses_it():
    """P(stable) of a norm between thresholds, where nearly all explode: by the exact law of one linear unit."""
    row = rare_statistics(measure_samples(split("stable", 5, vanish=0.9**5, explode=0.9002**5), 6)).row(-1, named=True)
    exact = 0.0002 * math.sqrt(2 / math.pi) * math.exp(-(0.9001**2) / 2)
    assert row["p_low"] < exact < row["p_high"]


@pytest.mark.parametrize(
    ("point", "sentence"),
    [
        (split("vanish", 5, LINEAR | {"init": {"recurrent": {"gaussian": 0.01}}}), "all of 300 replicates have it"),
        (split(point=LINEAR | {"init": {"recurrent": {"constant": 1.0}}}), "nothing of this point is random"),
        (split(point={"cell": "relu", "width": 2, "init": DEAD}), "none of 300 replicates is nearer to it"),
        (split(point={"cell": "tanh", "width": 64}, steps=1000, particles=1_000_000), "particles: .* give at most"),
    ],
    ids=["certain", "nothing is random", "all are dead", "too large"],
)
def test_what_cannot_be_split_for_is_told_in_a_sentence(point, sentence):
    with pytest.raises(UsageError, match=sentence):
        plan(point)
    with pytest.raises(UsageError, match=sentence):
        hold_rare(point)


def test_an_event_that_no_network_has_is_no_probability_but_said_to_be_perhaps_impossible():
    bounded = split(point=LINEAR | {"init": {"recurrent": {"uniform": {"limit": 1.0}}}}, explode=2.0)
    hold_rare(bounded)
    last = rare_statistics(measure_samples(bounded, 3)).row(-1, named=True)
    assert not last["reached"]
    assert last["threshold"] < 1 + 1e-9
    assert "may be impossible" in last["doubt"]


def test_observables_do_not_go_with_splitting():
    from rnnmc.engine.block import partition
    from rnnmc.observables import read_observables

    with pytest.raises(UsageError, match="leave it out of splitting"):
        partition(split(), read_observables(["vector"]))
