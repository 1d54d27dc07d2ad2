"""What was counted by other thresholds or intervals than the study's own lies by itself, and changes nothing else."""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from studies import sample_here, small, study_of

import rnnmc
from rnnmc.common.errors import RunError, UsageError
from rnnmc.engine.block import SAMPLES
from rnnmc.report.terminal import show, study_document
from rnnmc.run.aggregate import aggregate
from rnnmc.run.export import export
from rnnmc.run.look import count_again
from rnnmc.run.pipeline import plan, report
from rnnmc.run.planning import status
from rnnmc.statistics.intervals import KINDS
from rnnmc.store.marks import claimed
from rnnmc.store.plan import AS_IT_RAN, stored_points, write_plan
from rnnmc.store.proofs import TABLES, Damaged
from rnnmc.store.verify import verify
from rnnmc.study.study import Thresholds

POINTS = [{"cell": ["tanh", "lstm"], "width": 2, "observables": ["vector"]}]


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small study that has run to its end."""
    folder = tmp_path_factory.mktemp("looks") / "small"
    study = study_of(small(points=POINTS, replicates=60))
    sample_here(study, folder)
    aggregate(folder, study.thresholds, study.interval)
    return folder


@pytest.fixture
def study(sampled: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(sampled, tmp_path / "small"))


def content(folder: Path) -> dict[str, str]:
    """file -> SHA-256, of all that is the study's own."""
    files = [path for path in folder.rglob("*") if path.is_file() and "what-if" not in path.parts]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def looks(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("what-if/*"))


def counted(path: Path) -> tuple[set[float], set[float], set[str]]:
    """The thresholds and intervals of a table of statistics."""
    table = pl.read_parquet(path)
    return set(table["threshold_vanish"]), set(table["threshold_explode"]), set(table["interval"].cast(pl.String))


@pytest.mark.parametrize(
    ("asked", "name", "says"),
    [
        ({"vanish": 0.01}, "vanish-0.01-explode-1000-wilson", (0.01, 1000, "wilson")),
        ({"explode": 50}, "vanish-0.001-explode-50-wilson", (0.001, 50, "wilson")),
        ({"vanish": 0.5, "explode": 2.0}, "vanish-0.5-explode-2-wilson", (0.5, 2, "wilson")),
        ({"vanish": 1e-12}, "vanish-1e-12-explode-1000-wilson", (1e-12, 1000, "wilson")),
        ({"explode": 1e300}, "vanish-0.001-explode-1e+300-wilson", (0.001, 1e300, "wilson")),
        ({"vanish": 0.0010000000000000002}, "vanish-0.0010000000000000002-explode-1000-wilson",
         (0.0010000000000000002, 1000, "wilson")),
        *(({"interval": kind}, f"vanish-0.001-explode-1000-{kind}", (0.001, 1000, kind)) for kind in [*KINDS][1:]),
        ({"vanish": 0.01, "interval": "jeffreys"}, "vanish-0.01-explode-1000-jeffreys", (0.01, 1000, "jeffreys")),
        ({"vanish": 0.001, "explode": 1000.0, "interval": "jeffreys"}, "vanish-0.001-explode-1000-jeffreys",
         (0.001, 1000, "jeffreys")),
    ],
)  # fmt: skip
def test_a_look_at_others_lies_by_itself_under_its_own_name(
    asked: dict[str, Any], name: str, says: tuple[float, float, str], study: Path
) -> None:
    before = content(study)
    path = count_again(study, **asked)
    assert content(study) == before
    assert looks(study) == [name]
    assert path == study / "what-if" / name / "statistics.parquet"
    assert counted(path) == ({says[0]}, {says[1]}, {says[2]})
    assert counted(study / "statistics.parquet") == ({0.001}, {1000.0}, {"wilson"})
    assert {one.stem for one in path.parent.glob("*.csv")} == {one.stem for one in study.glob("*.csv")}


def test_what_is_counted_in_a_look_is_what_the_samples_say(study: Path) -> None:
    samples = rnnmc.scan(study).filter(pl.col("horizon") == 50).collect()
    low, high = (float(np.exp(samples["log_spectral"].quantile(share))) for share in (0.3, 0.8))  # pyright: ignore
    path = count_again(study, vanish=low, explode=high)
    rows = pl.read_parquet(path).filter(
        (pl.col("horizon") == 50) & (pl.col("measure").cast(pl.String) == "log_spectral")
    )
    shares = {row["point"]: (row["p_vanish_at"], row["p_explode_at"]) for row in rows.iter_rows(named=True)}
    seen = 0
    for (key,), of_point in samples.group_by("point"):
        norm = of_point["log_spectral"].cast(pl.Float64)
        wanted = (norm < np.log(low)).mean(), (norm > np.log(high)).mean()
        assert shares[key] == pytest.approx(wanted, abs=1e-12)
        seen += 0 < wanted[0] < 1
    assert len(shares) == 2
    assert seen, "the thresholds tell replicates apart"


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"vanish": 1e-3},
        {"vanish": 0.001, "explode": 1e3},
        {"explode": 1000},
        {"interval": "wilson"},
        {"vanish": float("1.0e-03"), "explode": float("1e+3"), "interval": "wilson"},
    ],
)
def test_the_studys_own_thresholds_however_they_are_said_write_the_studys_own_tables(
    asked: dict[str, Any], study: Path
) -> None:
    before = content(study)
    (study / "statistics.parquet").unlink()
    assert count_again(study, **asked) == study / "statistics.parquet"
    assert content(study) == before
    assert looks(study) == []


def test_thresholds_that_differ_in_notation_alone_are_one_look_and_two_looks_are_two(study: Path) -> None:
    first = count_again(study, vanish=float("1e-2"))
    assert first == count_again(study, vanish=float("0.01"), explode=float("1E3"))
    table = first.read_bytes()
    count_again(study, vanish=0.02)
    assert first.read_bytes() == table
    assert len(looks(study)) == 2


@pytest.mark.slow
@pytest.mark.process
def test_page_and_table_of_the_study_stay_its_own_after_a_look_and_a_look_has_its_own(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = count_again(study, vanish=0.0371)
    assert "0.0371" not in report(study).read_text()
    page = report(path.parent)
    assert page == path.parent / "report.html"
    assert "0.0371" in page.read_text()
    show(study)
    assert "vanish: norm below 0.001" in capsys.readouterr().out
    show(path.parent)
    assert "vanish: norm below 0.0371" in capsys.readouterr().out
    said = yaml.safe_load((path.parent / "study.yaml").read_text())
    assert said["thresholds"] == {"vanish": 0.0371, "explode": 1000.0}
    assert said["points"] == yaml.safe_load((study / "study.yaml").read_text())["points"]


def test_a_look_before_there_are_statistics_leaves_none_of_the_study(study: Path) -> None:
    for path in study.glob("statistics*"):
        path.unlink()
    count_again(study, vanish=0.01)
    assert not list(study.glob("statistics*"))
    assert looks(study) == ["vanish-0.01-explode-1000-wilson"]


def test_a_look_at_a_study_that_lacks_samples_is_refused_and_leaves_nothing(study: Path) -> None:
    next(study.glob("samples/*/*/*.parquet")).unlink()
    before = content(study)
    with pytest.raises(RunError, match="run the study again to fill it in"):
        count_again(study, vanish=0.01)
    assert content(study) == before
    assert looks(study) == []


def test_a_look_at_a_folder_in_use_neither_waits_nor_disturbs(study: Path) -> None:
    stored = stored_points(study)[0]
    before = content(study)
    with claimed(study, stored, 1):
        count_again(study, vanish=0.01)
    assert content(study) == before
    assert len(looks(study)) == 1


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"vanish": 0.0}, "thresholds.vanish: 0.0 is not a possible vanish; give a number above 0"),
        ({"vanish": -1.0}, "thresholds.vanish: -1.0 is not a possible vanish"),
        ({"vanish": 2000.0}, "is not below explode (1000); give vanish < explode"),
        ({"explode": 1e-4}, "is not below explode (0.0001)"),
        ({"explode": float("inf")}, "thresholds.explode"),
        ({"vanish": float("nan")}, "thresholds.vanish"),
        ({"interval": "wald"}, "--interval: wald is not known; give wilson"),
    ],
)
def test_a_look_that_cannot_be_is_refused_before_anything_is_written(
    asked: dict[str, Any], problem: str, study: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        count_again(study, **asked)
    assert problem in str(caught.value)
    assert looks(study) == []


def test_a_look_again_after_the_study_has_its_thresholds_is_the_studys_own(study: Path) -> None:
    """The name of a look says all, so that it stays true when the study's own thresholds change."""
    count_again(study, vanish=0.01)
    plan(study_of(small(points=POINTS, replicates=60, thresholds={"vanish": 0.01})), study)
    assert (study / "OUTDATED.txt").read_text().startswith("statistics.* and the other tables are of the study as it")
    with pytest.raises(RunError, match=r"its tables were counted before study\.yaml was written anew"):
        show(study)
    assert count_again(study, vanish=0.01) == study / "statistics.parquet"
    assert counted(study / "statistics.parquet")[0] == {0.01}
    assert not (study / "OUTDATED.txt").exists()
    back = count_again(study, vanish=0.001)
    assert back.parent.name == "vanish-0.001-explode-1000-wilson"


def test_looks_are_no_samples(study: Path) -> None:
    before = rnnmc.scan(study).sort("point", "replicate", "horizon").collect()
    count_again(study, vanish=0.01)
    assert rnnmc.scan(study).sort("point", "replicate", "horizon").collect().equals(before)
    assert Thresholds() == Thresholds(vanish=0.001, explode=1000.0)


def test_what_is_counted_without_its_cell_is_said(study, caplog):
    rows = pl.read_parquet(study / "points.parquet")
    gone = rows.with_columns(pl.col("json").str.replace_all('"cell": ?"tanh"', '"cell":"gone:cell"'))
    assert not gone.equals(rows)
    rewritten = io.BytesIO()
    gone.write_parquet(rewritten)
    text = (study / "study.yaml").read_text().partition("\n")[2]
    write_plan(study, text, rewritten.getvalue(), AS_IT_RAN)
    count_again(study)
    (said,) = [one.getMessage() for one in caplog.records if "no theory stands beside it" in one.getMessage()]
    assert "gone:cell cannot be imported" in said
    assert "in the folder where the study ran" in said
    assert set(pl.read_parquet(study / "statistics.parquet")["point"].cast(pl.String)) == set(rows["point"])


@pytest.mark.process
def test_a_page_of_tables_of_another_release_is_refused_with_what_mends_it(study):
    count_again(study)
    path = study / "lifetime.parquet"
    pl.read_parquet(path).drop("percent").write_parquet(path)
    with pytest.raises(Damaged, match=r"lifetime\.parquet: is not as tables.json says"):
        report(study)
    (study / TABLES).unlink()  # which those of another release do not have
    with pytest.raises(RunError, match=r"another release of rnnmc .*run rnnmc statistics .* first"):
        report(study)
    count_again(study)
    assert report(study).exists()


def test_the_table_can_be_had_at_any_horizon_and_another_is_told_what_there_is(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    horizons = pl.read_parquet(study / "statistics.parquet")["horizon"].unique().sort().to_list()
    show(study)
    assert f"At the last horizon ({horizons[-1]:,} step" in capsys.readouterr().out
    show(study, horizon=horizons[0])
    assert f"At {horizons[0]} step" in capsys.readouterr().out
    rows = study_document(study, horizons[0])["statistics"]
    assert {row["horizon"] for row in rows} == {horizons[0]}
    with pytest.raises(UsageError, match=rf"--horizon: 10001 is no horizon of .*; the nearest are .*{horizons[-1]}$"):
        show(study, horizon=10001)


def test_a_look_says_where_the_samples_are_that_it_has_not(study: Path) -> None:
    folder = count_again(study, vanish=0.01).parent
    for asked in (verify, status, rnnmc.scan, lambda one: export(one, "netcdf", SAMPLES, study / "x.nc")):
        with pytest.raises(
            UsageError, match=f"is small, counted otherwise, and holds no samples; give {study.resolve()}"
        ):
            asked(folder)
