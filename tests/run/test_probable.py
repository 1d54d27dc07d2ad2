"""How probable what a search has found is: by populations, held against chains that go down from what was found."""

import dataclasses
import math
from pathlib import Path

import polars as pl
import pytest

from rnnmc.common.errors import UsageError
from rnnmc.engine.splitting import descent
from rnnmc.run import probable as run
from rnnmc.run.probable import APART, Probable, probable, split_for
from rnnmc.run.search import Wanted, searched
from rnnmc.study.point import DesignPoint

LIMIT, STEPS, P = 1.5, 20, 1e-5
LAWS = {"recurrent": {"uniform": {"limit": LIMIT}}, "input": {"uniform": 1.0}, "bias": {"constant": 0.0}}
POINT = DesignPoint(cell="linear", width=1, init=LAWS, horizons=(STEPS,), dtype="float64")


def wanted(p: float) -> Wanted:
    """|U|^T, U uniform on [-LIMIT, LIMIT], above what it is with this probability."""
    return Wanted(POINT, True, (LIMIT * (1 - p)) ** STEPS, starts=6, rounds=60)


def asked(about: Wanted) -> Probable:
    return probable(searched(about), split_for(about, 500, 1e-12), 8)


@pytest.fixture(scope="module")
def found() -> Probable:
    with pytest.MonkeyPatch.context() as short:
        short.setattr(descent, "STATES", 60)
        short.setattr(run, "MOST_NETWORKS", 2)
        return asked(wanted(P))


def test_the_exact_probability_of_one_linear_unit_is_found_from_below_and_from_above(found: Probable, tmp_path: Path):
    event = found.rare.statistics.row(-1, named=True)
    assert event["reached"]
    assert event["p"] == pytest.approx(P, rel=0.6)
    assert found.found["p"].null_count() == 0
    for p in found.found["p"]:
        assert math.log(p / P) == pytest.approx(0.0, abs=1.2)
    assert "have not missed where these lie" in found.told[-1]
    assert found.missed == 0
    found.write(tmp_path)
    assert pl.read_parquet(tmp_path / "networks.parquet").equals(found.found)
    assert pl.read_parquet(tmp_path / "curve.parquet")["p"][-1] == event["p"]


def test_networks_from_where_no_population_was_speak_against_them(found: Probable):
    apart = dataclasses.replace(found, found=found.found.with_columns(pl.col("p") * 3 * APART))
    assert apart.missed == apart.found.height
    assert "DO NOT TRUST the populations" in apart.told[-1]
    corners = dataclasses.replace(found, found=found.found.with_columns(p=pl.lit(None, pl.Float64)))
    assert "do not get away from any" in corners.told[-1]
    assert set(found.document()) == {"told", "networks", "curve"}


def test_of_what_no_search_reaches_populations_say_how_far_they_came():
    never = asked(dataclasses.replace(wanted(P), threshold=(LIMIT * 1.01) ** STEPS))
    assert never.found.is_empty()
    assert "as far as they came" in never.told[0]
    assert "no network with it" in never.told[1]
    assert never.missed == 0


def test_what_is_not_rare_is_not_split_and_numbers_that_cannot_be_are_refused_before_the_search():
    with pytest.raises(UsageError, match="rnnmc measure finds it"):
        asked(dataclasses.replace(wanted(P), threshold=0.5**STEPS))
    with pytest.raises(UsageError, match="--particles: 2 is not a possible particles"):
        split_for(wanted(P), 2, 1e-12)
