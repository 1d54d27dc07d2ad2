"""What `rnnmc inspect` found, as tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import polars as pl
from rich.table import Table

from rnnmc.report.terminal import frame_table
from rnnmc.report.text import number_text


def inspection_tables(layers: pl.DataFrame, lags: pl.DataFrame, paths: pl.DataFrame, steps: int) -> Iterator[Table]:
    """How fast and how long by layer; the norm by lag, networks and layers beside each other; and the paths.

    The tables are those of `rnnmc.run.inspection.Inspection`. steps: T.
    """
    title = "How fast the gradient grows, and how long it lasts"
    said = f"{title}: {layers['sequences'][0]} sequences; brackets: 5 % and 95 % of them"
    yield frame_table(pl.DataFrame([_layer(row, steps) for row in layers.iter_rows(named=True)]), said)
    yield frame_table(_by_lag(lags), "Log-norm of ds_T/ds_(T-k) by lag k, in nats", rows=200)
    if not paths.is_empty():
        shown = [
            {name: row[name] for name in ("network", "layer", "path")}
            | {"nats a step": row["growth_rate"], "log-norm": _spread(row, "log_norm")}
            for row in paths.iter_rows(named=True)
        ]
        yield frame_table(pl.DataFrame(shown), f"Which path carries it, over {steps} steps from the first", rows=200)


def _layer(row: dict[str, Any], steps: int) -> dict[str, str]:
    error = "" if row["growth_rate_error"] is None else f" +- {row['growth_rate_error']:.1g}"
    lasts = {event: _lags(row, f"{event}_at", steps) for event in ("vanishes", "explodes")}
    return {
        "network": row["network"],
        "layer": row["layer"],
        "cell": f"{row['cell']} n={row['width']} m={row['inputs']}",
        "nats a step": f"{number_text(row['growth_rate'])}{error}",
        "vanishes at lag": lasts["vanishes"],
        "explodes at lag": lasts["explodes"],
        "percentile": f"{row['percentile']:.3g}" if row["fresh"] else "-",
        "fresh networks": f"{row['fresh']:,}: {_spread(row, 'fresh_growth_rate')}" if row["fresh"] else "-",
    }


def _by_lag(lags: pl.DataFrame) -> pl.DataFrame:
    """One row a lag: of one layer of one network all that is known, of several each by lag."""
    columns: dict[str, list[Any]] = {"lag": lags["lag"].unique(maintain_order=True).to_list()}
    groups = list(lags.group_by("network", "layer", maintain_order=True))
    networks, names = lags["network"].n_unique(), lags["layer"].n_unique()
    for (network, layer), rows in groups:
        mark = ": ".join([str(network)] * (networks > 1) + [str(layer)] * (names > 1))
        shown = {mark or "by lag": "by_lag"}
        if len(groups) == 1:
            alone = {} if (rows["by_lag"] == rows["h_by_lag"]).all() else {"h to h": "h_by_lag"}
            shown |= alone | {"from the first step": "from_first_step"}
        columns |= {title: [_spread(row, name) for row in rows.iter_rows(named=True)] for title, name in shown.items()}
    return pl.DataFrame(columns)


def _lags(row: dict[str, Any], name: str, steps: int) -> str:
    low, middle, high = (_steps(row[key], steps) for key in (f"{name}_low", name, f"{name}_high"))
    return middle if low == middle == high else f"{middle} [{low}, {high}]"


def _steps(lag: float | None, steps: int) -> str:
    return "-" if lag is None else f"> {steps}" if math.isinf(lag) else f"{lag:.3g}"


def _spread(row: dict[str, Any], name: str) -> str:
    if row[name] is None:
        return "-"
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{row[name]:.3g}" if low == high else f"{row[name]:.3g} [{low:.3g}, {high:.3g}]"
