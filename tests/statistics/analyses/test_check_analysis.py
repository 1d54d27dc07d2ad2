"""Every analysis keeps the contract of its kind, and one with a mistake does not."""

import polars as pl
import pytest

from rnnmc.statistics.analyses import analyses
from rnnmc.statistics.analyses.analysis import Analysis, last_rows
from rnnmc.statistics.check_analysis import check_analysis


def failed(analysis) -> set[str]:
    return {result.name for result in check_analysis(analysis) if not result.passed}


@pytest.mark.parametrize("name", analyses())
def test_an_analysis_keeps_the_contract_of_its_kind(name):
    assert not failed(analyses()[name])


class Planted(Analysis):
    """The growth rates, with one mistake."""

    name, says, source = "planted", "Growth rates", "this test"

    def __init__(self, mistake: str):
        self.mistake = mistake

    def table(self, points, statistics):
        ours = points.with_columns(oracle=pl.lit(False)) if self.mistake == "oracles" else points
        found = last_rows(ours, statistics).select("point", "growth_rate")
        if self.mistake == "speaks":
            return found.clear()
        if self.mistake == "points":
            return found.select("growth_rate", "point")
        if self.mistake == "nothing":
            found.row(0)
        if self.mistake == "columns" and found.height == 1:
            return found.with_columns(more=1)
        if self.mistake == "unknown":
            assert found["growth_rate"].null_count() < max(found.height, 1)
        return found

    def found(self, table):
        return ["no sentence"] if self.mistake == "found" else []


def test_the_one_that_mistakes_are_planted_in_is_right_without():
    assert not failed(Planted(""))


@pytest.mark.parametrize("check", ["speaks", "points", "nothing", "columns", "unknown", "oracles", "found"])
def test_a_mistake_is_found_by_the_check_of_its_name(check):
    assert check in failed(Planted(check))
