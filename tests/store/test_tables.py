"""Each table of a study stands alone, in every reader of CSV and Parquet that our users have."""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest
from synthetic import point_row

from rnnmc.store.tables import DESIGN, csv_of, read_table, write_table

INF = float("inf")
PLACE = {"m": 1, "layers": 1, "residual": False}
POINTS = pl.DataFrame(
    [
        point_row("lstm", 8, "pytorch", 100, 50, point="a", **PLACE),
        point_row("tanh", 4, "keras", 100, 50, point="b", **PLACE),
    ]
)


def test_a_table_says_the_factors_of_its_points_first_and_is_read_as_it_was(tmp_path: Path):
    table = pl.DataFrame({"point": ["b", "a"], "horizon": [10, 10], "q50": [-INF, 1.5], "inside": [[1], [2]]})
    write_table(tmp_path, "statistics", table, POINTS)
    stored = pl.read_parquet(tmp_path / "statistics.parquet")
    assert stored.columns == [*DESIGN, *table.columns]
    assert stored["cell"].to_list() == ["tanh", "lstm"]
    assert stored["width"].to_list() == [4, 8]
    assert read_table(tmp_path / "statistics.parquet").equals(table)
    write_table(tmp_path, "statistics", table, POINTS.drop(PLACE))  # as points.parquet once was
    assert read_table(tmp_path / "statistics.parquet").equals(table)


@pytest.mark.parametrize("table", [{"at": [1.0]}, {"point": ["a"], "cell": ["lstm"], "law": ["irnn"]}])
def test_a_table_without_points_or_with_their_factors_is_left_as_it_is(table: dict, tmp_path: Path):
    write_table(tmp_path, "other", pl.DataFrame(table), POINTS)
    assert pl.read_parquet(tmp_path / "other.parquet").equals(pl.DataFrame(table))
    assert read_table(tmp_path / "other.parquet").equals(pl.DataFrame(table))


@pytest.mark.parametrize("numbers", [[-INF, 2.5, INF], [2.5, -INF, 1e-300], [-INF, -INF, -INF], [INF, None, 0.1]])
def test_infinite_numbers_of_a_csv_are_numbers_to_every_reader(numbers: list[float | None], tmp_path: Path):
    path = tmp_path / "x.csv"
    path.write_bytes(csv_of(pl.DataFrame({"x": numbers, "word": ["inf", "b", "c"]})))
    with duckdb.connect() as found:
        rows = found.execute(f"select typeof(x), x from '{path}'").fetchall()
    assert {kind for kind, _ in rows} == {"DOUBLE"}
    assert [x for _, x in rows] == numbers
    assert pl.read_csv(path)["x"].to_list() == numbers
    assert pd.read_csv(path)["x"].astype(object).where(lambda x: x.notna(), None).tolist() == numbers
    assert pl.read_csv(path)["word"].to_list() == ["inf", "b", "c"]
    told = [row["x"] for row in csv.DictReader(path.open())]
    assert [float(x) if x else None for x in told] == numbers
