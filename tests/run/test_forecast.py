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


@pytest.mark.slow
def test_no_trial_is_begun_late_and_the_model_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []
    trial = forecast._trial
    monkeypatch.setattr(forecast, "_trial", lambda stored, clock: tried.append(stored) or trial(stored, clock))
    monkeypatch.setattr(forecast, "ALL_TRIALS", 0.0)
    found = costs(cut_up(STUDY))
    assert len(tried) == forecast.FEWEST_TRIALS < len(found) == 4
    assert all(one.seconds > 0 for one in found)


@pytest.mark.slow
def test_a_plan_says_that_the_machine_was_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    for least, said in ((0.0, False), (1.1, True)):
        monkeypatch.setattr(planning, "BUSY", least)
        assert ("This machine is busy" in str(planning.cost_tables(STUDY)[-1])) is said
