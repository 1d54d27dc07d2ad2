"""How a study ran is told from its timeline: pauses are no waiting, and what is drawn is what was done."""

from __future__ import annotations

import random

import polars as pl
import pytest

from rnnmc.report.how_it_ran import charts, forecast_and_fact, how_it_ran, spells
from rnnmc.store.timeline import Ran


def block(began: float, seconds: float, worker: str = "1", host: str = "a", retries: int = 0) -> Ran:
    return Ran(1e9 + began, seconds, host, worker, 100, retries)


# Two workers, ten blocks of a second each, without a gap; after a pause of an hour one alone for ten seconds.
FIRST = [block(begin, 1.0, worker) for begin in range(10) for worker in "12"]
SECOND = [block(3600.0, 10.0, "3", retries=1)]


def drawn(done: list[Ran]) -> pl.DataFrame:
    (chart,) = charts(done).values()
    (data,) = [one for one in chart.to_dict(validate=False)["datasets"].values() if one.startswith("from")]
    return pl.read_csv(data.encode())


def test_a_study_that_was_stopped_is_told_without_the_time_in_which_it_stood_still():
    assert [(spell.begin - 1e9, spell.seconds, spell.peak) for spell in spells(SECOND + FIRST)] == [
        (0.0, 10.0, 2),
        (3600.0, 10.0, 1),
    ]
    said = how_it_ran(SECOND + FIRST, 3)
    assert said.startswith("21 blocks of 30.0 s in all took 20.0 s in 2 runs, up to 2 at a time on one machine")
    assert said.endswith("busy for 100 % of it; 1 block tried again, 3 left to a later run")


def test_a_worker_that_stands_idle_is_told_of():
    half = [one for one in FIRST if one.worker == "1" or one.began >= 1e9 + 9]
    assert "11 blocks of 11.0 s in all took 10.0 s, up to 2 at a time on one machine" in how_it_ran(half, 0)
    assert "busy for 55 % of it; no block tried again, none given up" in how_it_ran(half, 0)
    elsewhere = [one._replace(host="b") for one in half if one.worker == "2"]
    assert "on 2 machines" in how_it_ran([*elsewhere, *half], 0)


def test_what_is_drawn_is_how_many_blocks_were_at_work_and_its_area_all_that_was_done():
    shown = drawn(SECOND + FIRST)
    halves = shown.filter(pl.col("to") < 9.9)["blocks"], shown.filter(pl.col("from") > 10.1)["blocks"]
    assert [(half.min(), half.max()) for half in halves] == [
        (pytest.approx(2, abs=1e-3), pytest.approx(2, abs=1e-3)),
        (pytest.approx(1, abs=1e-3), pytest.approx(1, abs=1e-3)),
    ]
    chance = random.Random(1)
    some = [block(chance.uniform(0, 100), chance.expovariate(0.1), str(i)) for i in range(50)]
    area = drawn(some).select(((pl.col("to") - pl.col("from")) * pl.col("blocks")).sum()).item()
    assert area * (60 if max(one.began + one.seconds for one in some) - 1e9 > 120 else 1) == pytest.approx(
        sum(one.seconds for one in some), rel=1e-3
    )


def test_a_study_of_before_there_were_timelines_has_a_page_without_a_word_of_it():
    assert how_it_ran([], 0) == ""
    assert charts([]) == {}


def test_the_forecast_stands_beside_what_it_took_and_old_folders_say_nothing():
    said = {"core_seconds": 7200.0, "seconds": 3600.0, "cpus": 2, "tried": True, "at_most": False}
    took = "took 30.0 s of its workers, 20.0 s by the clock"
    assert forecast_and_fact(said, FIRST + SECOND) == f"forecast 2.0 h of one core, 60.0 min on 2 CPUs; {took}"
    guessed = said | {"core_seconds": 5.0, "seconds": 5.0, "cpus": 1, "tried": False, "at_most": True}
    model = "forecast at most 5.0 s of one core, 5.0 s on 1 CPU, by a model of the work"
    assert forecast_and_fact(guessed, FIRST + SECOND) == f"{model}; {took}"
    assert forecast_and_fact({}, FIRST) == forecast_and_fact(said, []) == ""
