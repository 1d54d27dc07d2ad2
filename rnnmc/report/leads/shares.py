"""How often gradients vanish, stay and explode, cell by cell: the first screen of most studies."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import polars as pl

from rnnmc.common.words import listed
from rnnmc.report.charts.parts import OUTCOMES
from rnnmc.report.findings import averages
from rnnmc.report.leads.lead import Lead, bar, legend, percent, shares_said, times, units
from rnnmc.report.text import FACTOR_LABELS, horizon_text, plain_points

SPLIT_BY = {"init": "initialisation", "width": "width", "drive": "input", "layers": "number of layers"}
SPLIT_BY |= {"weights": "kind of weights", "residual": "residual connections", "state_std": "initial state"}
DOES = {"vanish": "vanishes", "stable": "lasts", "explode": "explodes"}
NEARLY_ALL = 0.95  # of the networks: nearly all
DIFFERENT = 0.05  # share of networks, that is worth a sentence
SIDE_BY_SIDE = 6  # values of a factor that still find room beside each other


def lead(rows: pl.DataFrame, points: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> Lead:
    """A bar a cell and, on wide screens, one for each value of the factor that splits it."""
    points = plain_points(points)
    own = rows.join(points.select("point", *_beside(points, rows)), on="point", how="left")
    varied = [words for name, words in SPLIT_BY.items() if name in points.columns and points[name].n_unique() > 1]
    number = rows["cell"].n_unique()
    cells = f"{number} recurrent cells" if number > 1 else f"the {rows['cell'][0]} cell"
    depends = [*(["cell"] if number > 1 else []), *varied]
    question = f"How often do the gradients of {cells} vanish, or explode, within {horizon_text(rows)}?"
    if len(depends) > 1:
        question = (
            f"Do gradients vanish or explode within {horizon_text(rows)}, and does it depend on {listed(depends)}?"
        )
    vanish, explode = times(rows["threshold_vanish"][0]), times(rows["threshold_explode"][0])
    names = {
        "vanish": f"vanished: below {vanish}\u00a0\u00d7",
        "stable": "kept",
        "explode": f"exploded: above {explode}\u00a0\u00d7",
    }
    factor = next((name for name in SPLIT_BY if name in own.columns and 1 < own[name].n_unique() <= SIDE_BY_SIDE), None)
    over = "; each setting counts alike" if rows.height > number else ""
    after = f"after {horizon_text(rows)}, has vanished, is kept, or has exploded"
    caption = f"Share of random networks whose gradient, {after}{over}."
    return Lead(
        "shares",
        question,
        _answer(rows, own, factor) + _wider(rows),
        legend(names) + _grid(own, factor),
        caption,
        "overview-section",
    )


def _beside(points: pl.DataFrame, rows: pl.DataFrame) -> list[str]:
    """The factors that rows lack."""
    return [name for name in SPLIT_BY if name in points.columns and name not in rows.columns]


def _mean(rows: pl.DataFrame) -> dict[str, float]:
    """The mean share of each outcome over design points."""
    return {event: float(rows[f"p_{event}_at"].to_numpy().mean()) for event in OUTCOMES}


def _answer(rows: pl.DataFrame, own: pl.DataFrame, factor: str | None) -> str:
    """How often, over all; then with what it nearly always does the same, or which cell surely keeps it most often."""
    shares = _mean(rows)
    parts = [f"vanished in {percent(shares['vanish'])} of the networks", f"exploded in {percent(shares['explode'])}"]
    if shares["explode"] > shares["vanish"]:
        parts = [
            f"exploded in {percent(shares['explode'])} of the networks",
            f"vanished in {percent(shares['vanish'])}",
        ]
    said = f"After {horizon_text(rows)} the gradient has {parts[0]} and {parts[1]}; {percent(shares['stable'])} keep it"
    if factor == "init" and (always := _always(own)):
        return f"{said}; {always}."
    order = averages(rows, "stable")
    if len(order) < 2:
        return f"{said}."
    first, second, last = order[0], order[1], order[-1]
    if second["high"] < first["low"]:
        least = f", {last['cell']} least ({percent(last['p'])})" if last["high"] < order[-2]["low"] else ""
        return f"{said}, {first['cell']} most often ({percent(first['p'])}){least}."
    leaders = [one["cell"] for one in order if one["high"] >= first["low"]]
    if first["p"] > 0 and len(leaders) <= 3:
        most = f" (up to {percent(first['p'])})" if first["p"] >= 0.01 else ""
        return f"{said}, most often {listed(leaders)}{most}."
    return f"{said}."


def _wider(rows: pl.DataFrame) -> str:
    """` It has exploded in 3 % of networks of 1 unit and in 31 % of 64.`, where that differs and all else is alike."""
    ends = [rows.filter(pl.col("width") == width) for width in (rows["width"].min(), rows["width"].max())]
    every = dict.fromkeys((*FACTOR_LABELS, "cell", "driven", "horizon"))
    alike = [name for name in every if name in rows.columns and name not in ("width", "m")]
    narrow, wide = ends
    both = narrow.join(wide, on=alike, how="inner", nulls_equal=True, suffix="_wide")
    if both["cell"].n_unique() < rows["cell"].n_unique():
        return ""
    shares = [float(both[f"p_explode_at{end}"].to_numpy().mean()) for end in ("", "_wide")]
    if abs(shares[1] - shares[0]) < DIFFERENT:
        return ""
    few, many = units(narrow["width"][0]), wide["width"][0]
    return f" It has exploded in {percent(shares[0])} of networks of {few} and in {percent(shares[1])} of {many}."


def _always(rows: pl.DataFrame) -> str:
    """`with pytorch and keras it nearly always vanishes`: initialisations whose networks nearly all do the same."""
    said = []
    between = "; " if any("," in str(init) for init in rows["init"]) else ", "
    for event, does in DOES.items():
        means = rows.group_by("init", maintain_order=True).agg(pl.col(f"p_{event}_at").mean())
        sure = means.filter(pl.col(f"p_{event}_at") >= NEARLY_ALL)["init"].to_list()
        said += [f"with {listed(sure, between=between)} it nearly always {does}"] if sure else []
    return ", ".join(said)


def _grid(rows: pl.DataFrame, factor: str | None) -> str:
    """A line a cell: its name, its bar, and a bar for each value of the factor."""
    values = rows[factor].unique(maintain_order=True).to_list() if factor else []
    said = [value if isinstance(value, str) else f"{SPLIT_BY[str(factor)]} {value}" for value in values]
    heads = "".join(f'<span class="head more">{escape(one)}</span>' for one in said)
    lines = [f'<span class="head"></span><span class="head">{"all settings" if values else ""}</span>{heads}']
    for own in rows.partition_by("cell", maintain_order=True):
        shares, cell = _mean(own), escape(own["cell"][0])
        line = f'<span class="name">{cell}</span>{bar(shares, shares_said(shares))}'
        for value in values:
            part = own.filter(pl.col(str(factor)) == value)
            split = _mean(part) if part.height else None
            line += f'<span class="more">{bar(split, shares_said(split)) if split else ""}</span>'
        lines.append(line)
    many = " many" if len(lines) > 14 else ""
    return f'<div class="shares{many}" style="--columns:{len(values)}">{"".join(lines)}</div>'
