"""Laws of the drives' sequences, files of every kind, and refusals; test_check_drive has what every drive promises.

Statistical assertions: ALPHA = 1e-9 each (or a normal score of 6.1), about twenty: a false alarm below 1e-7.
"""

import json
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from reference import measured
from scipy import stats

from rnnmc.common.errors import UsageError
from rnnmc.drives import labels_of, read_drive
from rnnmc.drives.file import FileDrive
from rnnmc.study.point import DesignPoint

ALPHA, SIGMAS = 1e-9, 6.1
DATA = Path(__file__).parents[2] / "config/data"
SUNSPOTS = {"path": str(DATA / "sunspots.csv"), "column": "SUNACTIVITY"}
TEXT = str(DATA / "us-constitution.txt")


def sequence(said, steps, replicates, piece=64, seed=3):
    """(steps, replicates, dimension) of a drive, in pieces of `piece` steps."""
    drive = read_drive(said)
    source = drive.pieces(np.random.default_rng(seed), (piece, replicates, max(drive.dimension, 1)))
    parts = [next(source).copy() for _ in range(-(-steps // piece))]
    return np.concatenate(parts)[:steps]


def rows_of(said):
    """(rows, dimension) of a file, standardised."""
    drive = read_drive({"file": said})
    assert isinstance(drive, FileDrive)
    return drive.sequence


def point(drive, **more):
    return DesignPoint(cell="tanh", width=3, drive=drive, **{"horizons": (5, 20)} | more)


def refused(drive, **more):
    with pytest.raises(UsageError) as caught:
        point(drive, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- laws of the sequences ------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["white", {"white": 3}, "field"])
def test_white_and_field_are_standard_normal_and_fresh_at_every_step(said):
    x = sequence(said, 200, 300)
    assert stats.kstest(x.ravel(), stats.norm.cdf).pvalue > ALPHA
    for lag in (1, 2):
        assert abs(np.mean(x[lag:] * x[:-lag])) < SIGMAS / np.sqrt(x[lag:].size)


@pytest.mark.parametrize("correlation", [-0.8, 0.5, 0.95])
def test_ar1_is_stationary_from_the_first_step_with_its_correlation_at_every_lag(correlation):
    x = sequence({"ar1": {"correlation": correlation, "dimension": 2}}, 40, 20000)
    for step in (0, 1, 5, 39):
        assert stats.kstest(x[step].ravel(), stats.norm.cdf).pvalue > ALPHA
    for lag in (1, 2, 7):
        product = x[3 + lag] * x[3]
        assert abs(product.mean() - correlation**lag) < SIGMAS * product.std() / np.sqrt(product.size)
    assert abs(np.mean(x[..., 0] * x[..., 1])) < SIGMAS * np.sqrt(40 / (1 - correlation**2)) / np.sqrt(x[..., 0].size)


def test_constant_and_none_are_what_they_say():
    assert (sequence({"constant": 2.5}, 70, 4) == 2.5).all()
    assert not sequence("none", 70, 4).any()
    assert read_drive("none").dimension == 0


def test_piece_length_changes_no_sample_either(monkeypatch):
    design = DesignPoint(cell="tanh", width=3, drive={"ar1": 0.5}, horizons=(50,), dtype="float64")
    before = measured(design, 5)[0]
    monkeypatch.setattr("rnnmc.engine.draws.PIECE_ENTRIES", 3 * 4096)
    assert np.array_equal(measured(design, 5)[0], before)


# --- files ----------------------------------------------------------------------------------------


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    "said",
    [
        SUNSPOTS,
        {"path": str(DATA / "co2.csv"), "column": "co2", "gaps": "interpolate"},
        {"path": TEXT, "tokens": "character", "dimension": 3},
        {"path": TEXT, "tokens": "word"},
    ],
    ids=["sunspots", "co2", "characters", "words"],
)
def test_a_file_is_standardised_to_unit_variance_in_every_component(said):
    rows = rows_of(said)
    assert rows.shape[1] == said.get("dimension", 1)
    assert rows.mean(axis=0) == pytest.approx(0, abs=1e-12)
    assert rows.std(axis=0) == pytest.approx(1, rel=1e-12)


def test_sunspots_are_the_numbers_of_the_file_in_its_order():
    table = pl.read_csv(SUNSPOTS["path"])["SUNACTIVITY"].to_numpy()
    rows = rows_of(SUNSPOTS)[:, 0]
    assert rows * table.std() + table.mean() == pytest.approx(table, abs=1e-9)


def test_every_replicate_starts_at_a_row_of_its_own_and_wraps_round():
    rows = rows_of(SUNSPOTS)[:, 0]
    count = 6000
    x = sequence({"file": SUNSPOTS}, 2 * len(rows), count, piece=100)[:, :, 0]
    assert np.array_equal(x[: len(rows)], x[len(rows) :])
    sorted_rows = np.sort(rows)
    assert np.array_equal(np.sort(x[: len(rows), :50], axis=0), np.repeat(sorted_rows[:, None], 50, axis=1))
    # which row: the first thirty values tell them all apart; 309 offsets, uniform
    at = {tuple(np.concatenate([rows, rows])[i : i + 30]): i for i in range(len(rows))}
    assert len(at) == len(rows)
    offsets = np.array([at[tuple(column)] for column in x[:30].T])
    assert stats.chisquare(np.bincount(offsets, minlength=len(rows))).pvalue > ALPHA


def test_without_wrap_all_start_at_the_first_row_and_go_as_far_as_it_reaches():
    said = {"file": SUNSPOTS | {"wrap": False}}
    x = sequence(said, 309, 4)[:, :, 0]
    assert np.array_equal(x, np.repeat(rows_of(said["file"]), 4, axis=1))
    assert point(said, horizons=(309,))
    assert "has 309 rows, fewer than the horizon 310" in refused(said, horizons=(310,))


def test_a_text_gives_equal_tokens_equal_vectors_and_others_others(tmp_path):
    path = write(tmp_path, "text.txt", "to be or not to be")
    words = rows_of({"path": path, "tokens": "word", "dimension": 4})
    assert words.shape == (6, 4)
    assert np.array_equal(words[0], words[4])
    assert np.array_equal(words[1], words[5])
    assert len(np.unique(words, axis=0)) == 4
    assert rows_of({"path": path, "tokens": "character"}).shape == (18, 1)


def test_csv_and_parquet_with_the_same_column_are_the_same_series(tmp_path):
    values = [1.5, -2.0, 1e3, 4.0]
    pl.DataFrame({"x": values, "y": [1.0] * 4}).write_parquet(tmp_path / "t.parquet")
    csv = write(tmp_path, "t.csv", "x,y\n" + "".join(f"{v},1\n" for v in values))
    one, other = (rows_of({"path": path, "column": "x"}) for path in (str(tmp_path / "t.parquet"), csv))
    assert np.array_equal(one, other)
    pl.DataFrame({"n": [1, 2, 4]}).write_parquet(tmp_path / "whole.parquet")
    assert len(rows_of(str(tmp_path / "whole.parquet"))) == 3


def test_gaps_are_refused_by_name_and_interpolated_on_request(tmp_path):
    path = write(tmp_path, "gaps.csv", "t,x\n1,1\n2,\n3,3\n4,8\n")
    said = {"path": path, "column": "x"}
    assert "x has 1 gap (nothing), the first in data row 2; fill them or give gaps: interpolate" in refused(
        {"file": said}
    )
    rows = rows_of(said | {"gaps": "interpolate"})[:, 0]
    wanted = np.array([1, 2, 3, 8.0])
    assert rows == pytest.approx((wanted - wanted.mean()) / wanted.std(), rel=1e-12)
    ends = write(tmp_path, "ends.csv", "t,x\n0,\n1,1\n2,2\n3,\n")
    assert len(rows_of({"path": ends, "column": "x", "gaps": "interpolate"})) == 2


def test_a_file_counts_by_its_content_and_not_by_its_path(tmp_path):
    paths = [write(tmp_path, name, "x\n1\n2\n4\n") for name in ("a.csv", "b.csv")]
    one, other = (point({"file": path}) for path in paths)
    assert one.key == other.key
    changed = point({"file": write(tmp_path, "c.csv", "x\n1\n2\n5\n")})
    assert changed.key != one.key
    assert np.array_equal(measured(one, 3)[0], measured(other, 3)[0])
    Path(paths[0]).write_text("x\n1\n2\n6\n7\n")
    assert point({"file": paths[0]}).key != one.key
    assert "is not the file of this study" in refused(one.drive.written())


@pytest.mark.parametrize(
    ("content", "said", "problem"),
    [
        (None, {}, "cannot be read (No such file or directory); give a file"),
        ("", {}, "is empty; give a file with at least 2 rows"),
        ("  \n \n", {}, "is empty"),
        ("x\n1\ntwo\n3\n", {}, "x: 'two' in data row 2 is not a number; mend the file"),
        ("x\n1\ninf\n3\n", {}, "'inf' in data row 2 is not a number"),
        ("x\n1\nnan\n3\n", {}, "x has 1 gap ('nan'), the first in data row 2; fill them"),
        ("x\n1\n", {}, "has 1 rows; a drive needs at least 2"),
        ("x\n", {}, "has 0 rows; a drive needs at least 2"),
        ("x\n2\n2\n2\n", {}, "is constant; use the drive constant instead"),
        ("a,b\n1,2\n3,4\n", {}, "has columns a, b; name one with column:"),
        ("a,b\n1,2\n3,4\n", {"column": "c"}, "has no column c; there are a, b"),
        ("x\n1\n2\n", {"dimension": 2}, "is a series, of dimension 1; a dimension goes with tokens"),
        ("x\n1\n2\n", {"wrap": False}, "has 2 rows, fewer than the horizon 20; give a shorter horizon or wrap: true"),
        ("x\n1\n2\n", {"wrap": 1}, "is not true or false"),
        ("x\n1\n2\n", {"gaps": "skip"}, "is not known; give 'refuse' or 'interpolate'"),
        ("x\n1\n2\n", {"tokens": "letter"}, "is not known; give 'character' or 'word'"),
        ("a", {"tokens": "character"}, "has 1 rows; a drive needs at least 2"),
        ("aaa", {"tokens": "character"}, "is constant"),
        ("PAR1 but not really", {}, "is not a table"),
        ("x\n1\n2\n", {"colunm": "x"}, "is under an unknown key"),
    ],
)
def test_a_file_that_cannot_drive_is_refused_in_one_sentence(tmp_path, content, said, problem):
    path = tmp_path / "series.csv"
    if content is not None:
        path.write_text(content)
    sentence = refused({"file": {"path": str(path)} | said})
    assert problem in sentence
    assert sentence.startswith("drive")


def test_a_binary_file_or_a_folder_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "noise.bin"
    path.write_bytes(bytes(np.random.default_rng(0).integers(0, 256, 4000, dtype=np.uint8)))
    assert refused({"file": str(path)}).startswith("drive")
    assert "cannot be read (Is a directory)" in refused({"file": str(tmp_path)})


def test_values_that_cannot_be_standardised_are_refused(tmp_path):
    path = write(tmp_path, "huge.csv", "x\n1e200\n-1e200\n1e200\n")
    assert "has values too large to standardise; rescale it" in refused({"file": path})
    path = write(tmp_path, "tenth.csv", "x\n" + "0.1\n" * 1000)  # its mean is 0.1 but for rounding
    assert "is constant; use the drive constant instead" in refused({"file": path})


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([[1.0], [2.0]], "List"),
        ([True, False], "Boolean"),
        ([date(2020, 1, 1), date(2021, 1, 1)], "Date"),
        ([None, None], "Null"),
        ([{"a": 1}, {"a": 2}], "Struct"),
    ],
)
def test_a_column_that_holds_no_numbers_is_refused(tmp_path, values, kind):
    pl.DataFrame({"x": values}).write_parquet(tmp_path / "t.parquet")
    sentence = refused({"file": str(tmp_path / "t.parquet")})
    assert f"x is of type {kind}" in sentence
    assert "give a column of numbers" in sentence


def test_numbers_written_as_text_in_parquet_are_numbers(tmp_path):
    pl.DataFrame({"x": ["1", "2.5", "4"]}).write_parquet(tmp_path / "t.parquet")
    assert len(rows_of(str(tmp_path / "t.parquet"))) == 3


@pytest.mark.parametrize("tokens", ["character", "word"])
def test_a_text_that_is_not_utf_8_is_refused(tmp_path, tokens):
    path = tmp_path / "latin.txt"
    path.write_bytes("to be or n\xf6t".encode("latin-1"))
    said = {"file": {"path": str(path), "tokens": tokens}}
    assert "is not UTF-8 text from byte 10 on; save it as UTF-8" in refused(said)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("whit", "is not a drive; did you mean white?"),
        ({"white": 1, "ar1": 0.5}, "does not name one drive"),
        ({}, "does not name one drive"),
        (3, "does not name one drive"),
        ({"white": 0}, "is not a possible dimension; give a number of at least 1"),
        ({"white": 2.5}, "is not a whole number"),
        ({"white": True}, "is not a whole number"),
        ({"ar1": 1.0}, "is not a possible correlation; give a number below 1"),
        ({"ar1": -1.0}, "is not a possible correlation; give a number above -1"),
        ({"ar1": float("nan")}, "correlation"),
        ({"constant": "one"}, "is not a number"),
        ({"constant": float("inf")}, "finite"),
        ({"none": 1}, "takes no value; write none"),
        ({"field": 2}, "takes no value; write field"),
        ({"none": {"dimension": 2}}, "dimension"),
        ("field", "needs its deviation; give init: {input: {gaussian: s}}"),
        ({"ar1": {"correlaton": 0.5}}, "is under an unknown key"),
    ],
)
def test_a_drive_that_is_none_is_refused_in_one_sentence(said, problem):
    sentence = refused(said)
    assert problem in sentence
    assert sentence.startswith("drive")


def test_the_field_needs_no_more_than_a_gaussian_input():
    init = {"recurrent": {"gaussian": 1.0}, "input": {"gaussian": 0.5}}
    assert point("field", init=init)
    assert "drive: field needs its deviation" in refused("field", init=init | {"input": {"uniform": 1.0}})


def test_a_dimension_that_is_the_width_reads_m_equals_n_whatever_the_width():
    points = [
        DesignPoint(cell="tanh", width=width, drive=drive).written()
        for width, drive in ((16, {"white": 16}), (64, {"white": 64}), (64, {"white": 16}), (64, "white"), (1, "white"))
    ]
    wanted = ["white, m = n", "white, m = n", "white, m = 16", "white, m = 1", "white, m = 1"]
    assert labels_of([json.dumps(one) for one in points]) == wanted
    still = [DesignPoint(cell="tanh", width=1, drive="none").written()]
    assert labels_of([json.dumps(one) for one in still]) == ["none"]
