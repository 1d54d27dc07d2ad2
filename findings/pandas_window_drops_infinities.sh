#!/usr/bin/env bash
# pandas 3.1.1 (polars 2.1.0 and duckdb 2.0.0 beside it), Series.expanding and Series.rolling. Found 2026-11-29.
#
# Expected: the largest value so far of a series is that of cummax, with infinity the largest number of all, as it is for
# max, cummax, sort_values and rank of the same series.
# What happens: every window takes infinities for missing values, without a word. Of the log-norms 1, 5, inf, inf, 2, 3 nats:
#     cummax                       1  5  inf  inf  inf  inf      polars cum_max and duckdb max(x) over (...) the same
#     expanding().max()            1  5    5    5    5    5
#     expanding().mean()           1  3    3    3    2.67 2.75   infinity from the third on, in polars rolling_mean and duckdb
#     rolling(2).max()            nan 5  nan  nan  nan    3      polars rolling_max(2): none, 5, inf, inf, inf, 3
#     expanding().count()          1  2    3    4    5    6      so nothing says that two were left out
# groupby(...).expanding().max() does the same, and so a minus infinity: of -inf, -inf, -3, -2 the smallest so far is nan, nan, -3, -3.
#
# Why it matters: "has exploded by step T" is the running maximum of the log-norm above a threshold, and "has vanished by T" the running
# minimum below one. A network whose state overflowed counts as one that never exploded, and one that came to rest at exactly
# zero as one that never vanished: here 200 of 1,000 networks have overflowed, and expanding().max() > 3 finds none of them.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pandas==3.1.1 polars==2.1.0 duckdb==2.0.0 numpy==2.4.6 pyarrow==26.0.1
"$folder/venv/bin/python" - <<'PY'
import duckdb
import numpy as np
import pandas as pd
import polars as pl

inf = float("inf")
values = [1.0, 5.0, inf, inf, 2.0, 3.0]
series, frame = pd.Series(values), pl.DataFrame({"t": range(6), "x": values})
print("cummax           ", series.cummax().tolist())
print("expanding().max()", series.expanding().max().tolist())
print("expanding().mean()", series.expanding().mean().round(2).tolist())
print("rolling(2).max() ", series.rolling(2).max().tolist(), "polars", frame["x"].rolling_max(2).to_list())
print("expanding().count()", series.expanding().count().tolist())
found = duckdb.sql("select max(x) over (order by t), avg(x) over (order by t) from frame order by t").fetchall()
print("duckdb", found)
assert series.cummax().tolist() == frame["x"].cum_max().to_list() == [row[0] for row in found] == [1, 5, inf, inf, inf, inf]
assert [row[1] for row in found] == [1, 3, inf, inf, inf, inf]
assert frame["x"].rolling_max(2).to_list() == [None, 5, inf, inf, inf, 3]
assert series.max() == inf and series.rank().tolist() == [1, 4, 5.5, 5.5, 2, 3]
assert series.expanding().max().tolist() == [1, 5, 5, 5, 5, 5], "pandas sees infinities in a window now"
assert np.array_equal(series.rolling(2).max(), [np.nan, 5, np.nan, np.nan, np.nan, 3], equal_nan=True)
assert series.expanding().mean().round(2).tolist() == [1, 3, 3, 3, 2.67, 2.75]
assert series.expanding().count().tolist() == [1, 2, 3, 4, 5, 6]
assert np.array_equal(pd.Series([-inf, -inf, -3.0, -2.0]).expanding().min(), [np.nan, np.nan, -3, -3], equal_nan=True)

log_norms = pd.DataFrame({"network": np.repeat(np.arange(1000), 3), "x": np.tile([0.5, 1.0, 2.0], 1000)})
log_norms.loc[(log_norms.network < 200) & (log_norms.index % 3 == 1), "x"] = inf  # overflow in the middle
of_network = log_norms.groupby("network").x
by_cummax = (of_network.cummax() > 3).groupby(log_norms.network).last().sum()
by_window = (of_network.expanding().max() > 3).groupby(level=0).last().sum()
print("exploded by the end:", by_cummax, "by cummax,", by_window, "by expanding().max()")
assert (by_cummax, by_window) == (200, 0)
PY
