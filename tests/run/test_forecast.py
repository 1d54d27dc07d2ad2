"""What a study will take, told of a machine that may be busy."""

from __future__ import annotations

import time

import pytest
from studies import small, study_of

from rnnmc.run import forecast, planning
from rnnmc.run.forecast import Clock, costs
from rnnmc.store.plan import cut_up

STUDY = study_of(small())


def spin(seconds: float) -> None:
    """Keep the processor busy for so long."""
    begin = time.process_time()
    while time.process_time() - begin < seconds:
        pass


def test_what_waits_costs_no_time_of_the_processor_and_shows_in_the_share_of_a_core() -> None:
    clock = Clock()
    assert clock.share == 1.0
    assert clock.timed(lambda: spin(0.02)) == pytest.approx(0.02, rel=0.5)
    assert clock.timed(lambda: time.sleep(0.2)) < 0.05
    assert clock.share < 0.5


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The points that are tried, on a machine that counts as free and remembers no trial of before."""
    found: list[object] = []
    trial = forecast._trial
    monkeypatch.setattr(forecast, "_trial", lambda stored, clock: found.append(stored) or trial(stored, clock))
    monkeypatch.setattr(forecast, "_known", lambda name: None)
    monkeypatch.setattr(forecast, "BUSY", 0.0)
    return found


@pytest.mark.slow
def test_no_trial_is_begun_late_and_the_model_stands_in(tried: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "ALL_TRIALS", 0.0)
    found = costs(cut_up(STUDY))
    assert len(tried) == forecast.FEWEST_TRIALS < len(found) == 4
    assert all(one.seconds > 0 for one in found)


@pytest.mark.slow
def test_a_plan_says_that_the_machine_is_busy_and_times_nothing_there(
    tried: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "This machine is busy" not in str(planning.cost_tables(STUDY)[-1])
    assert tried
    tried.clear()
    monkeypatch.setattr(forecast, "BUSY", 1.1)
    told = str(planning.cost_tables(STUDY)[-1])
    assert "This machine is busy" in told
    assert "by a model of the work" in told
    assert not tried


@pytest.mark.slow
def test_what_a_trial_took_is_known_the_next_time_even_where_the_machine_is_busy(
    tried: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    points = cut_up(STUDY)
    before = costs(points)
    assert len(tried) >= forecast.FEWEST_TRIALS
    tried.clear()
    monkeypatch.undo()
    monkeypatch.setattr(forecast, "BUSY", 1.1)
    after = costs(points)
    assert all(one == again for one, again in zip(before, after, strict=True) if one.tried)
    other = costs(cut_up(study_of(small(points=[{"cell": "tanh", "width": 37, "dtype": "float64"}]))))
    assert not other[0].tried
