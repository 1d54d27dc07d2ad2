"""What `rnnmc inspect` found, as tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
from rich.table import Table

from rnnmc.report.terminal import frame_table


def inspection_tables(
    layers: pl.DataFrame, lags: pl.DataFrame, paths: pl.DataFrame, names: Sequence[str], steps: int
) -> Iterator[Table]:
    """How fast and how long by layer; the norm by lag, networks beside each other; and the paths."""
    several = len(names) > 1
    rows = []
    for row in layers.iter_rows(named=True):
        error = "" if row["growth_rate_error"] is None else f" +- {row['growth_rate_error']:.1g}"
        rows.append(
            ({"network": row["network"]} if several else {})
            | {"layer": row["layer"], "cell": f"{row['cell']} n={row['width']} m={row['inputs']}"}
            | {"nats a step": f"{row['growth_rate']:.4g}{error}"}
            | {"vanishes at lag": _lag(row, "vanishes_at", steps), "explodes at lag": _lag(row, "explodes_at", steps)}
            | _fresh(row)
        )
    title = (
        f"How fast the gradient grows, and how long it lasts: {layers['sequences'][0]} sequences, brackets: 5 and 95 %"
    )
    yield frame_table(pl.DataFrame(rows), title)
    keys = ["layer", "lag"] if lags["layer"].n_unique() > 1 else ["lag"]
    found = []
    for name in names:
        own = lags.filter(pl.col("network") == name)
        mark = f"{name}: " if several else ""
        columns = {
            f"{mark}by lag": "by_lag",
            f"{mark}h alone": "h_by_lag",
            f"{mark}from the first step": "from_first_step",
        }
        if several:
            columns = {f"{mark}by lag": "by_lag"}
        if not several and not (own["by_lag"] == own["h_by_lag"]).all():
            columns["h alone"] = "h_by_lag"
        if not several:
            columns["from the first step"] = "from_first_step"
        texts = [pl.Series(new, [_log(row, old) for row in own.iter_rows(named=True)]) for new, old in columns.items()]
        found.append(own.select(*keys).with_columns(texts))
    table = found[0]
    for other in found[1:]:
        table = table.join(other, on=keys, how="full", coalesce=True, maintain_order="left_right")
    yield frame_table(table, "Log-norm of ds_T/ds_(T-k) by lag k, in nats", rows=200)
    if not paths.is_empty():
        shown = [
            ({"network": row["network"]} if several else {})
            | {"layer": row["layer"], "path": row["path"]}
            | {"nats a step": row["growth_rate"], "log-norm": _log(row, "log_norm")}
            for row in paths.iter_rows(named=True)
        ]
        yield frame_table(pl.DataFrame(shown), f"Which path carries it, over {steps} steps from the first", rows=200)


def _lag(row: dict[str, Any], name: str, steps: int) -> str:
    low, middle, high = (_steps(row[key], steps) for key in (f"{name}_low", name, f"{name}_high"))
    return middle if low == middle == high else f"{middle} [{low}, {high}]"


def _steps(lag: float | None, steps: int) -> str:
    return "-" if lag is None else f"> {steps}" if math.isinf(lag) else f"{lag:.3g}"


def _log(row: dict[str, Any], name: str) -> str:
    if row[name] is None:
        return "-"
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{row[name]:.3g}" if low == high else f"{row[name]:.3g} [{low:.3g}, {high:.3g}]"


def _fresh(row: dict[str, Any]) -> dict[str, str]:
    if not row["fresh"]:
        return {"percentile": "-", "fresh networks": "-"}
    return {"percentile": f"{row['percentile']:.3g}", "fresh networks": _log(row, "fresh_growth_rate")}
