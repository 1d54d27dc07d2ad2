"""How long gradients last, for studies of many cells or settings."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np
import polars as pl

from rnnmc.report.leads.lead import Lead, legend

MANY_CELLS, MANY_SETTINGS = 12, 40  # of either, from which on a study asks how long each cell lasts
WIDE = 10  # by how much settings of one cell differ that it is said
ON_A_PHONE = 6  # of the longest and of the shortest, on a phone


def lead(rows: pl.DataFrame, points: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> Lead | None:
    """A line a cell, from the setting that loses its gradient first to the one that does so last."""
    table = tables.get("lifetime")
    cells = rows["cell"].n_unique()
    settings = rows["series"].n_unique() if "series" in rows.columns else 1
    if table is None or table.is_empty() or (cells < MANY_CELLS and settings < MANY_SETTINGS):
        return None
    half = table.filter(pl.col("percent") == 50).select("point", "by", "vanished")
    networks = [name for name in ("cell", "width") if name in rows.columns]
    known = rows.select("point", *networks, "horizon").join(half, on="point", how="inner", maintain_order="left")
    last, own = 0, known.clear()
    horizons = sorted(map(int, rows["horizon"].unique()), reverse=True)
    for last in horizons:  # the longest to which all were followed
        own = known.filter(pl.col("horizon") >= last)  # of the rest nobody knows what came later
        if own.select(networks).n_unique() == rows.select(networks).n_unique():
            break
    if own["cell"].n_unique() < min(cells, MANY_CELLS):
        return None
    lost = pl.col("by").cast(pl.Float64).fill_null(float("inf"))
    each = (
        own.with_columns(pl.when(lost > last).then(float("inf")).otherwise(lost).alias("at"))
        .group_by("cell", maintain_order=True)
        .agg(
            pl.col("at").min().alias("first"),
            pl.col("at").sort().gather((pl.len() - 1) // 2).first().alias("middle"),
            pl.col("at").max().alias("latest"),
            pl.col("vanished").mean(),
        )
        .sort("middle", "latest", "first", descending=True, maintain_order=True)
    )
    keep = int((each["middle"] == np.inf).sum())
    middles = each["middle"].to_numpy()
    typical = float(np.sort(middles)[(len(middles) - 1) // 2])
    shortest = each.row(-1, named=True)
    kept = f"most networks still have their gradient after {last:,} steps"
    some = f"In {keep} of {each.height} cells {kept}" if keep else f"In none of the {each.height} cells do {kept}"
    first, within = shortest["cell"], float(shortest["middle"])
    if within == np.inf:
        answer = f"In all {each.height} cells {kept}."
    elif typical == np.inf:
        answer = f"{some}; {first} has lost it or blown it up first, within {_steps(within)}."
    else:
        answer = f"{some}; half of the cells have lost it or blown it up within "
        answer += f"{_steps(typical)}, {first} within {_steps(within)}."
    ranges = each.with_columns((pl.col("latest").clip(upper_bound=last) / pl.col("first")).alias("range"))
    widest = ranges.sort("range", descending=True, maintain_order=True).row(0, named=True)
    if widest["range"] >= WIDE:
        most = f"beyond {last:,}" if widest["latest"] == np.inf else f"{int(widest['latest']):,}"
        answer += f" Initialisation, width and input decide: {widest['cell']} has it for {_steps(widest['first'])} to "
        answer += f"{most}."
    names = {"vanish": "most vanish", "explode": "most explode", "stable": f"more than half last {last:,} steps"}
    caption = (
        "Steps until half of the networks have lost their gradient or blown it up, on a logarithmic scale from 1 "
        f"to {last:,}: the dot is the middle of the settings of a cell, the line their range."
    )
    figure = legend(names) + _lines(each, last)
    return Lead(
        "lifetime",
        f"How long does the gradient of {each.height} recurrent cells last?",
        answer,
        figure,
        caption,
        "analysis-lifetime",
    )


def _steps(number: float) -> str:
    return f"{int(number):,} step{'' if number == 1 else 's'}"


def _lines(each: pl.DataFrame, last: int) -> str:
    """One line a cell, the longest first."""

    def place(at: float) -> float:
        return 100 * np.log(min(at, last)) / np.log(last) if last > 1 else 0.0

    lines = []
    for i, row in enumerate(each.iter_rows(named=True)):
        way = "stable" if row["middle"] == np.inf else "vanish" if (row["vanished"] or 0) > 0.5 else "explode"
        ends = [place(row[name]) for name in ("first", "middle", "latest")]
        said = "still there" if row["middle"] == np.inf else f"{int(row['middle']):,}"
        middle = " more" if ON_A_PHONE <= i < each.height - ON_A_PHONE else ""
        gap = (
            f'<li class="gap">{each.height - 2 * ON_A_PHONE} cells in between</li>'
            if i == ON_A_PHONE and middle
            else ""
        )
        track = (
            f'<span class="track"><i class="{way}" style="left:{ends[0]:.1f}%;width:{ends[2] - ends[0]:.1f}%"></i>'
            f'<b class="{way}" style="left:{ends[1]:.1f}%"></b></span>'
        )
        lines.append(
            f'{gap}<li class="line{middle}"><span class="name">{escape(row["cell"])}</span>{track}'
            f'<span class="value">{said}</span></li>'
        )
    return f'<ol class="lifetimes">{"".join(lines)}</ol>'
