"""Whether networks learn whose gradient lasts: share that has learnt against the chance that the gradient is kept."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import polars as pl

from rnnmc.report.leads.lead import Lead, percent

QUARTERS = (
    "0\u201325",
    "25\u201350",
    "50\u201375",
    "75\u2013100",
)  # of the chance that the gradient is kept, in per cent


def lead(rows: pl.DataFrame, points: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> Lead | None:
    """A panel a task and number of steps; where the study has trained any."""
    table = tables.get("trainability")
    if table is None or table.is_empty():
        return None
    clipped = table.filter(pl.col("clipped") == "yes") if "yes" in set(table["clipped"]) else table
    task = pl.col("drive").str.split(",").list.first().str.replace(r" \d+\b", "")
    quarter = (pl.col("p_stable") * 4).floor().clip(0, 3).cast(pl.Int64)
    own = clipped.with_columns(task.alias("task"), quarter.alias("quarter")).sort(
        "task", "horizon", maintain_order=True
    )
    panels = "".join(_panel(part) for part in own.partition_by("task", "horizon", maintain_order=True))
    how = "clipped" if clipped["clipped"][0] == "yes" else "as they are"
    caption = (
        f"Share of networks that have learnt (bars, 0 to 100\u00a0%), gradients {how}, by the chance that the "
        "untrained network keeps its gradient over the length of the task, in per cent. Pale: no setting lies there."
    )
    question = "Do networks whose gradient lasts learn better?"
    return Lead(
        "learning", question, _answer(table), f'<div class="learning">{panels}</div>', caption, "analysis-trainability"
    )


def _answer(table: pl.DataFrame) -> str:
    """What is learnt by those that keep their gradient and by those that lose it, and where that is sure."""
    each = table.unique(["drive", "horizon", "clipped"], maintain_order=True, keep="first")
    losing, keeping = (
        [share for share in each[f"learnt_{name}"].to_list() if share is not None] for name in ("losing", "keeping")
    )
    sure = each.filter(pl.col("rank_correlation_low") > 0).height
    against = each.filter(pl.col("rank_correlation_high") < 0).height
    tasks = f"{each.height} comparisons" if each.height > 1 else "one comparison"
    settled = f"the link is sure in {sure} of {tasks}" if sure else f"in none of {tasks} is the link sure"
    settled += f", the reverse in {against}" if against else ""
    if not losing or not keeping:
        return "Not to be told: the gradient is likely to last in all settings, or in none."
    shares = [sum(one) / len(one) for one in (keeping, losing)]
    return (
        f"{percent(shares[0])} of the networks learn where the gradient is likely to last, "
        f"{percent(shares[1])} where it is likely to be lost; {settled}."
    )


def _panel(own: pl.DataFrame) -> str:
    """Four bars of one task."""
    bars = []
    for i, quarter in enumerate(QUARTERS):
        part = own.filter(pl.col("quarter") == i)
        if part.is_empty():
            bars.append(f'<span class="none"><em>{quarter}</em></span>')
            continue
        share = float(part["p_learnt"].to_numpy().mean())
        told = f"{percent(share)} of the networks of {part.height} settings"
        bars.append(
            f'<span title="{told}"><small>{percent(share)}</small><i style="height:{100 * share:.0f}%"></i>'
            f"<em>{quarter}</em></span>"
        )
    heading = escape(f"{own['task'][0]}, {own['horizon'][0]} steps")
    return f'<div class="panel"><h2>{heading}</h2><div class="columns">{"".join(bars)}</div></div>'
