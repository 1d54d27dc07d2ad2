#!/usr/bin/env bash
# duckdb 2.0.0 and pyarrow 26.0.1 (pyarrow.dataset) reading Parquet written by polars 2.1.0 and pyarrow 26.0.1. Found 2026-11-28.
#
# Expected: a condition finds the same rows in a Parquet file as in the same table in memory.
# What happens: writers leave NaN out of the smallest and largest value of a row group (here 1 and 3), as the format tells them to, and duckdb
# skips the row group by those two even where the condition asks for NaN, which in duckdb is larger than every number. Of 400 rows 100 are NaN:
#                        in memory   file of pyarrow   file of polars   file of duckdb
#     isnan(x)           100         0                 0                100
#     x = 'nan'          100         0                 0                100
#     x > 5              100         0                 0                100
#     not (x <= 3)       100         0                 0                100
# With a value above 5 beside them in the group the same query finds them again. polars finds all 100 in every file;
# pyarrow.dataset finds them by is_nan, and by ~(x <= 3) in memory only (0 in its own file).
#
# Why it matters: `where isnan(log_norm)` over a store of samples is the check that nothing diverged. On files from the usual writers it answers "none"
# whatever they hold; it was silent for every row group whose finite part is ordinary, which is nearly all of them.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q duckdb==2.0.0 polars==2.1.0 pyarrow==26.0.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import duckdb
import polars
import pyarrow
import pyarrow.compute
import pyarrow.dataset
import pyarrow.parquet

table = pyarrow.table({"x": [1.0, 2.0, 3.0, float("nan")] * 100})
pyarrow.parquet.write_table(table, "pyarrow.parquet")
polars.from_arrow(table).write_parquet("polars.parquet")
given = table
duckdb.sql("copy given to 'duckdb.parquet' (format parquet)")
wider = pyarrow.table({"x": [1.0, 2.0, 9.0, float("nan")] * 100})
pyarrow.parquet.write_table(wider, "wider.parquet")


def count(source, condition):
    return duckdb.sql(f"select count(*) from {source} where {condition}").fetchall()[0][0]


files = ("pyarrow", "polars", "duckdb")
for condition in ("isnan(x)", "x = 'nan'::double", "x > 5", "not (x <= 3)"):
    found = [count("given", condition)] + [count(f"'{name}.parquet'", condition) for name in files]
    print(f"{condition:20}", dict(zip(("memory",) + files, found)))
    assert found == [100, 0, 0, 100], "duckdb looks into the row groups now"
print("x > 5 with a 9 in the group:", count("'wider.parquet'", "x > 5"), "of", count("wider", "x > 5"))

for name in files:
    assert polars.scan_parquet(f"{name}.parquet").filter(polars.col("x").is_nan()).collect().height == 100
field = pyarrow.compute.field("x")
stored = pyarrow.dataset.dataset("pyarrow.parquet")
print("pyarrow ~(x <= 3):", table.filter(~(field <= 3)).num_rows, "in memory,", stored.to_table(filter=~(field <= 3)).num_rows, "in the file")
assert table.filter(~(field <= 3)).num_rows == 100 and stored.to_table(filter=~(field <= 3)).num_rows == 0
assert stored.to_table(filter=pyarrow.compute.is_nan(field)).num_rows == 100
PY
