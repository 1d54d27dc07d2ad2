"""A score reaches the level of an event exactly where plain sampling counts that event."""

import numpy as np
import pytest

from rnnmc.common.errors import UsageError
from rnnmc.statistics.point import SampleRectangle, events_of
from rnnmc.study.point import DesignPoint
from rnnmc.study.rare import EVENTS, RareEvent, Splitting
from rnnmc.study.study import Study, read_study

HORIZONS = (1, 3, 10, 30)


def log_norms() -> np.ndarray:
    """Random walks that cross both thresholds, go back, die and overflow, or stand on a threshold exactly."""
    rng = np.random.default_rng(1)
    walks = np.cumsum(rng.normal(0, 6, (4000, len(HORIZONS))), axis=1)
    walks[rng.random(walks.shape) < 0.05] = np.log(1e3)
    walks[rng.random(walks.shape) < 0.05] = np.log(1e-3)
    walks[:200, 2:], walks[200:400, 3:] = -np.inf, np.inf
    return walks


@pytest.mark.parametrize("name", EVENTS)
def test_the_score_reaches_its_level_where_the_event_is_counted(name):
    walks = log_norms()
    nothing = np.zeros(walks.shape, bool)
    samples = SampleRectangle("", np.array(HORIZONS), {}, walks, nothing, nothing, {})
    counted = events_of(walks, 1e-3, 1e3, samples)[name]
    event = RareEvent.of(Splitting(event=name), HORIZONS)
    seen = walks if name.endswith("_by") else walks[:, -1:]
    reached = event.score(seen) >= event.level
    assert np.array_equal(reached, counted[:, -1])
    assert 0 < reached.mean() < 1


def test_a_threshold_belongs_to_its_score():
    for name, thresholds in (("vanish", {"vanish": 1e-5}), ("explode", {"explode": 20.0})):
        event = RareEvent.of(Splitting(event=name, **thresholds), HORIZONS)
        assert event.threshold(np.array([event.level]))[0] == pytest.approx(next(iter(thresholds.values())))


def test_splitting_is_part_of_the_key_and_no_other_key_changes():
    plain = DesignPoint(cell="tanh", width=4, horizons=(10,))
    split = [
        DesignPoint(cell="tanh", width=4, horizons=(10,), splitting=Splitting(event=event, particles=count))
        for event in ("explode", "vanish")
        for count in (100, 200)
    ]
    assert "splitting" not in plain.written()
    assert len({point.key for point in (plain, *split)}) == 5
    assert DesignPoint(**split[0].written() | {"nested": plain.nested, "splitting": split[0].splitting}) == split[0]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"event": "melt"}, "is not an event; .*vanish_at"),
        ({"event": "explode", "particles": 10}, "particles"),
        ({"event": "explode", "vanish": 5.0, "explode": 2.0}, "vanish < explode"),
    ],
)
def test_an_impossible_event_is_one_sentence(said, sentence):
    with pytest.raises((ValueError, UsageError), match=sentence):
        DesignPoint(cell="tanh", width=4, splitting=Splitting(**said))


def study(replicates) -> Study:
    split = {"cell": "tanh", "width": 2, "replicates": replicates}
    points = [{"cell": "tanh", "width": 2}, split]
    return read_study({"study": "rare", "horizons": [10], "thresholds": {"explode": 50}, "points": points}, "rare.yaml")


def test_a_study_reads_splitting_and_writes_it_so_that_it_reads_to_the_same_keys():
    first = study({"splitting": {"event": "explode", "populations": 5, "particles": 300}})
    planned = first.points[1]
    assert planned.replicates == 5
    assert planned.point.splitting == Splitting(event="explode_at", particles=300, explode=50.0)
    again = read_study(first.written(), "written")
    assert [one.point.key for one in again.points] == [one.point.key for one in first.points]


@pytest.mark.parametrize(
    ("replicates", "sentence"),
    [
        ({"splitting": {"particles": 300}}, "does not say the event"),
        ({"splitting": {"event": "explode", "levels": 3}}, "unknown key"),
        ({"splitting": {"event": "explode", "populations": 1}}, "at least 3"),
        ({"splitting": {"event": "explode"}, "weights": 3}, "does not go with splitting"),
    ],
)
def test_splitting_that_cannot_be_is_one_sentence(replicates, sentence):
    with pytest.raises(UsageError, match=sentence):
        study(replicates)


def test_the_powers_of_ten_are_thresholds_on_the_way():
    for name, sign in (("explode_at", 1), ("vanish_by", -1)):
        event = RareEvent.of(Splitting(event=name), HORIZONS)
        assert event.threshold(np.array(event.asked)) == pytest.approx(10.0 ** (sign * np.arange(-15.0, 16)), rel=1e-12)
        assert np.diff(event.asked).min() > 2
    assert RareEvent.of(Splitting(event="stable_by"), HORIZONS).asked == []
