"""Several columns, tokens with a component each, one series in memory for a file, and the dimension in the label."""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from reference import measured

from rnnmc.common.errors import UsageError
from rnnmc.drives import content, drives, file, label_of, read_drive
from rnnmc.drives.check_drive import check_drive
from rnnmc.drives.file import FileDrive
from rnnmc.study.point import DesignPoint
from rnnmc.study.study import read_study

DATA = Path(__file__).parents[2] / "config/data"
TEXT = DATA / "us-constitution.txt"
ROWS = "t,a,b,c\n0,1,5,-2\n1,2,3,4\n2,4,-1,0\n3,3,2,9\n"
TABLE = np.array([[1, 5, -2], [2, 3, 4], [4, -1, 0], [3, 2, 9.0]])


def of(path: str | Path, **said: Any) -> FileDrive:
    found = read_drive({"file": {"path": str(path)} | said})
    assert isinstance(found, FileDrive)
    return found


def point(drive: Any, **more: Any) -> DesignPoint:
    return DesignPoint(**{"cell": "tanh", "width": 3, "horizons": (5, 20), "drive": drive} | more)


def refused(path: Path, **said: Any) -> str:
    with pytest.raises(UsageError) as caught:
        point({"file": {"path": str(path)} | said})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def written(folder: Path, text: str = ROWS, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def standard(rows: np.ndarray) -> np.ndarray:
    return (rows - rows.mean(axis=0)) / rows.std(axis=0)


# --- several columns ------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [["a"], ["a", "b"], ["b", "a"], ["c", "a", "b"], ["a", "b", "c"], ["t", "c"]])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_are_a_component_each_in_the_order_in_which_they_are_named(
    columns: list[str], kind: str, tmp_path: Path
) -> None:
    path = written(tmp_path)
    if kind == "parquet":
        pl.read_csv(path).write_parquet(path := tmp_path / "t.parquet")
    found = of(path, columns=columns)
    whole = {"t": np.arange(4.0)} | dict(zip("abc", TABLE.T, strict=True))
    assert found.dimension == len(columns)
    assert found.sequence == pytest.approx(standard(np.column_stack([whole[name] for name in columns])), abs=1e-12)
    assert read_drive(found.written()) == found


def test_replicates_see_the_columns_of_one_row_together(tmp_path: Path) -> None:
    found = of(written(tmp_path), columns=["a", "b", "c"])
    rows = {tuple(row) for row in found.sequence}
    x = next(found.pieces(np.random.default_rng(1), (6, 50, 3)))
    assert {tuple(row) for row in x.reshape(-1, 3)} == rows
    assert np.array_equal(x[4:], x[:2])


def test_gaps_of_each_column_are_interpolated_and_ends_cut_where_any_column_lacks_a_value(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n1,\n2,10\n,20\n4,NA\n5,40\n,50\n")
    assert "a has 2 gaps (nothing), the first in data row 3" in refused(path, columns=["a", "b"])
    found = of(path, columns=["a", "b"], gaps="interpolate").sequence
    assert found == pytest.approx(standard(np.array([[2, 10], [3, 20], [4, 30], [5, 40.0]])), abs=1e-12)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"columns": ["a", "z"]}, "has no column z; there are t, a, b, c"),
        ({"columns": ["a", "a"]}, "has columns a, a; give each once"),
        ({"columns": []}, "has columns of none; give each once, at least one"),
        ({"columns": ["a", "b"], "column": "a"}, "has column a and columns; give one of the two"),
        ({"columns": ["a", "b"], "dimension": 3}, "has 2 components, not 3; leave dimension out"),
        ({"columns": ["a", "b"], "tokens": "word"}, "is a text, by word, without columns"),
        ({"columns": [["a"]]}, "is not a text; give one, in quotes"),
        ({"columns": {"a": 1}}, "is not a text"),
        ({"dimension": 3, "column": "a"}, "is a series, of dimension 1; a dimension goes with tokens, or give columns"),
        ({"column": "a", "vectors": "one_hot"}, "is a series, without vectors; vectors go with tokens"),
        ({"tokens": "word", "gaps": "interpolate"}, "is a text, without gaps; remove gaps or tokens"),
        ({"tokens": "word", "separator": ";"}, "is a text, by word, without separator"),
    ],
)
def test_columns_that_cannot_be_are_refused(said: dict[str, Any], problem: str, tmp_path: Path) -> None:
    assert problem in refused(written(tmp_path), **said)


def test_one_column_of_several_that_is_constant_or_too_large_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b,c\n1,2,1e200\n2,2,-1e200\n")
    assert "is constant" in refused(path, columns=["a", "b"])
    assert "too large to standardise" in refused(path, columns=["a", "c"])


def test_a_list_of_columns_is_one_drive_and_no_product(tmp_path: Path) -> None:
    path = str(written(tmp_path))
    drive = {"file": {"path": path, "columns": ["a", "b"], "missing": ["-", "?"], "wrap": [True, False]}}
    study = {"study": "s", "horizons": [3], "points": [{"cell": "tanh", "width": [1, 2], "drive": drive}]}
    read = read_study(study, "s.yaml")
    assert [one.point.drive.dimension for one in read.points] == [2] * 4
    again = read_study(read.written(), "s.yaml")
    assert [one.point.key for one in again.points] == [one.point.key for one in read.points]


def test_the_key_knows_which_columns_and_not_how_they_were_said(tmp_path: Path) -> None:
    path = written(tmp_path)
    keys = {
        point({"file": {"path": str(path)} | said}).key
        for said in (
            {"columns": ["a", "b"]}, {"columns": ["b", "a"]}, {"columns": ["a", "c"]}, {"columns": ["a"]},
            {"columns": ["a", "b"], "gaps": "interpolate"}, {"columns": ["a", "b", "c"]},
        )
    }  # fmt: skip
    assert len(keys) == 6
    plain = point({"file": {"path": str(path), "column": "a"}})
    for said in (
        {"columns": ["a"]}, {"header": True}, {"separator": ","}, {"decimal": "."}, {"comment": ""}, {"missing": []},
        {"header": True, "separator": ",", "decimal": "."},
    ):  # fmt: skip
        drive = {"file": {"path": str(path)} | ({} if "columns" in said else {"column": "a"}) | said}
        assert point(drive).key == plain.key, said
    other = written(tmp_path, ROWS.replace(",", ";"), "s.csv")
    assert point({"file": {"path": str(other), "column": "a", "separator": ";"}}).key != plain.key


# --- tokens ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokens", ["character", "word"])
@pytest.mark.parametrize("text", ["to be or not to be", "abab", "a b b b b b b b b b", "a a", str(TEXT)])
def test_one_hot_is_a_component_for_each_token_standardised(tokens: str, text: str, tmp_path: Path) -> None:
    path = written(tmp_path, text if text != str(TEXT) else TEXT.read_text()[:3000])
    said = path.read_text()
    words = said.split() if tokens == "word" else list(said)
    if tokens == "word" and len(set(words)) == 1:
        problem = "is constant" if len(words) > 1 else "has 1 rows"
        assert problem in refused(path, tokens=tokens, vectors="one_hot")
        return
    vocabulary = sorted(set(words))
    found = of(path, tokens=tokens, vectors="one_hot")
    assert found.dimension == len(vocabulary)
    place = np.array([vocabulary.index(word) for word in words[:300]])
    hot = np.array([words.count(word) / len(words) for word in vocabulary])  # the mean; p (1 - p) is the variance
    wanted = (np.eye(len(vocabulary))[place] - hot) / np.sqrt(hot * (1 - hot))
    assert found.sequence[:300] == pytest.approx(wanted, abs=1e-9)
    assert found.sequence.mean(axis=0) == pytest.approx(0, abs=1e-9)
    assert found.sequence.std(axis=0) == pytest.approx(1, rel=1e-9)
    assert read_drive(found.written()) == found


def test_an_embedding_is_of_the_dimension_asked_for_and_its_vectors_are_standard_normal(tmp_path: Path) -> None:
    """Every token of a text in which each stands once is one of 20000 draws: sums are normal, within six deviations."""
    path = written(tmp_path, " ".join(f"w{i}" for i in range(20000)))
    for dimension in (1, 2, 3, 8, 64):
        found = of(path, tokens="word", dimension=dimension)
        assert found.sequence.shape == (20000, dimension)
        assert np.abs((found.sequence**4).mean(axis=0) - 3).max() < 6 * np.sqrt(24 / 20000)
        correlation = found.sequence.T @ found.sequence / 20000 - np.eye(dimension)
        assert np.abs(correlation).max() < 6 / np.sqrt(20000)
    random = of(path, tokens="word", dimension=8, vectors="random")
    assert np.array_equal(random.sequence, of(path, tokens="word", dimension=8).sequence)


def test_a_key_of_tokens_knows_the_vectors(tmp_path: Path) -> None:
    path = str(written(tmp_path, "to be or not to be"))
    said = {"path": path, "tokens": "word"}
    keys = [
        point({"file": said | more}).key
        for more in ({}, {"vectors": "one_hot"}, {"dimension": 4}, {"dimension": 2}, {"tokens": "character"})
    ]
    assert len(set(keys)) == 5
    assert point({"file": said | {"vectors": "random"}}).key == keys[0]
    assert point({"file": said | {"vectors": "one_hot", "dimension": 4}}).key == keys[1]


def test_texts_that_cannot_be_tokens_are_refused(tmp_path: Path) -> None:
    many = written(tmp_path, " ".join(f"w{i}" for i in range(5000)), "many.txt")
    assert "has 5000 tokens, too many to be one_hot; give a dimension" in refused(
        many, tokens="word", vectors="one_hot"
    )
    marked = tmp_path / "marked.txt"
    marked.write_bytes(b"\xef\xbb\xbfto be")
    assert "begins with a byte-order mark, no token" in refused(marked, tokens="word")
    few = written(tmp_path, "to be or to be", "few.txt")
    assert "has 3 components, not 5; leave dimension out" in refused(few, tokens="word", vectors="one_hot", dimension=5)
    assert "is not known; give 'random' or 'one_hot'" in refused(few, tokens="word", vectors="hot")


@pytest.mark.parametrize(
    "said", [{"dimension": 3}, {"vectors": "one_hot"}, {"tokens": "character", "vectors": "one_hot"}]
)
def test_tokens_keep_what_every_drive_promises(said: dict[str, Any], tmp_path: Path) -> None:
    found = of(written(tmp_path, "to be or not to be"), **{"tokens": "word"} | said)
    assert [one.name for one in check_drive(found) if not one.passed] == []


def test_a_network_reads_columns_and_one_hot_tokens_through_its_input_weights(tmp_path: Path) -> None:
    """Input weights of zero leave nothing of either."""
    init = {"recurrent": {"gaussian": 1.0}, "input": {"constant": 0.0}}
    text = str(written(tmp_path, "to be or not", "w.txt"))
    for said in (
        {"path": str(written(tmp_path)), "columns": ["a", "b", "c"]},
        {"path": text, "tokens": "word", "vectors": "one_hot"},
    ):
        fed, deaf = (measured(point({"file": said}, **more), 4)[0] for more in ({}, {"init": init}))
        assert np.isfinite(fed).all()
        assert not np.array_equal(fed, deaf)


# --- kept once ------------------------------------------------------------------------------------


def test_a_file_is_read_once_for_all_points_that_read_it_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path)
    reads: list[str] = []
    really = file.read_table
    monkeypatch.setattr(file, "read_table", lambda *a: reads.append(a[2]) or really(*a))
    every = [point({"file": {"path": str(path), "column": "a", "wrap": wrap}}, width=n, horizons=(3,))
             for n in range(1, 8) for wrap in (True, False)]  # fmt: skip
    assert len(reads) == 1
    assert len({id(one.drive.series) for one in every}) == 1  # pyright: ignore[reportAttributeAccessIssue]
    of(path, column="b")
    assert len(reads) == 2
    copy = written(tmp_path, ROWS, "copy.csv")
    of(copy, column="a")
    assert len(reads) == 2, "it is known by its content"


def test_a_series_that_nobody_has_is_let_go(tmp_path: Path) -> None:
    for i in range(9):
        of(written(tmp_path, f"x\n1\n{i + 2}\n4\n", f"{i}.csv"))
    gc.collect()
    assert len([one for one in file._kept.values() if len(one) == 3]) <= 4


@pytest.mark.parametrize(
    "how", ["written again", "of one size", "renamed over", "its time set back", "longer", "linked"]
)
def test_a_file_that_has_changed_is_read_anew_and_refused_where_its_study_has_begun(how: str, tmp_path: Path) -> None:
    path = written(tmp_path, "x\n1\n2\n4\n")
    if how == "linked":
        path = tmp_path / "link.csv"
        path.symlink_to(written(tmp_path, "x\n1\n2\n4\n", "first.csv"))
    before = of(path)
    rows = before.sequence.copy()
    status = path.stat()
    time.sleep(0.02)  # a clock tick of the file system
    new = "x\n1\n2\n9\n"
    if how == "renamed over":
        written(tmp_path, new, "new.csv").replace(path)
    elif how == "linked":
        path.unlink()
        path.symlink_to(written(tmp_path, new, "second.csv"))
    else:
        path.write_text(new + ("7\n" if how == "longer" else ""))
        if how == "its time set back":
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = of(path)
    assert after.digest != before.digest
    assert after.sequence[0] != rows[0]
    assert np.array_equal(before.sequence, rows), "what a drive has, it has"
    with pytest.raises(UsageError, match="is not the file of this study"):
        DesignPoint(cell="tanh", width=2, horizons=(3,), drive=before.written())


def test_a_file_that_changes_between_its_digest_and_its_rows_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path)
    monkeypatch.setattr(file, "digest_of", lambda path: "0" * 64)
    with pytest.raises(UsageError, match="has changed while it was read"):
        point({"file": {"path": str(path), "column": "a"}})
    assert content.digest_of(str(path)) != "0" * 64


# --- labels ---------------------------------------------------------------------------------------

LABELS = {
    "white": ("white", "white, m = 1"),
    "white in many": ({"white": 256}, "white, m = 256"),
    "ar1": ("ar1", "ar1, m = 1"),
    "ar1 in three": ({"ar1": {"correlation": 0.5, "dimension": 3}}, "ar1 0.5, m = 3"),
    "constant": ({"constant": 2.0}, "constant 2, m = 1"),
    "none": ("none", "none"),
    "field": ("field", "field"),
    "adding": ({"adding": 50}, "adding 50, m = 2"),
    "copy": ({"copy": {"steps": 50, "symbols": 2}}, "copy 50 symbols 2, m = 5"),
    "sunspots": ({"file": {"path": str(DATA / "sunspots.csv"), "column": "SUNACTIVITY"}},
                 "file sunspots.csv SUNACTIVITY, m = 1"),
    "columns": ({"file": {"path": str(DATA / "sunspots.csv"), "columns": ["YEAR", "SUNACTIVITY"]}},
                "file sunspots.csv YEAR, SUNACTIVITY, m = 2"),
    "characters": ({"file": {"path": str(TEXT), "tokens": "character", "dimension": 16}},
                   "file us-constitution.txt by character, m = 16"),
    "one-hot": ({"file": {"path": str(TEXT), "tokens": "character", "vectors": "one_hot"}},
                "file us-constitution.txt by character, one-hot, m = "),
}  # fmt: skip


@pytest.mark.parametrize(("said", "label"), LABELS.values(), ids=LABELS.keys())
def test_a_label_says_the_dimension_of_its_drive_also_where_the_file_is_gone(said: Any, label: str) -> None:
    drive = read_drive(said)
    assert drive.label == (f"{label}{drive.dimension}" if label.endswith("= ") else label)
    assert label_of(drive.written()) == drive.label
    init = {"recurrent": {"gaussian": 1.0}, "input": {"gaussian": 1.0}}
    assert f"drive {drive.label}" in point(said, init=init).label
    if drive.name == "file":
        name, value = next(iter(drive.written().items()))
        assert label_of({name: value | {"path": "gone/" + Path(value["path"]).name}}) == drive.label


def test_every_kind_of_drive_has_a_label() -> None:
    assert label_of({"of_mine": {"path": "x"}}) == label_of("of_mine") == "of_mine", "one that is here no more too"
    seen = {next(iter(said)) if isinstance(said, dict) else said for said, _ in LABELS.values()}
    assert seen == set(drives())
