"""Where gradients vanish and where they explode: a map over gain and input for each cell."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import polars as pl

from rnnmc.common.words import listed
from rnnmc.report.charts.parts import OUTCOMES
from rnnmc.report.leads.lead import Lead, legend, shares_said

GAINS, FIELDS = 4, 2  # fewer make no map
MAPS_SHOWN = 8  # maps on the first screen
MOST_LABELS = 9  # of gains that have room beside each other on a phone; of more, every other one is said
UNKNOWN = "<i></i>"  # a tile that nobody has measured, hatched


def lead(rows: pl.DataFrame, points: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> Lead | None:
    """A map a cell of the widest networks, with tied weights where there are such; where most of a study is in it."""
    table = tables.get("phase")
    if table is None or table["point"].n_unique() < rows.height / 2:
        return None
    table = table.filter(pl.col("weights") == ("tied" if "tied" in set(table["weights"]) else table["weights"][0]))
    enough = (
        table.group_by("cell", "width", maintain_order=True)
        .agg(pl.col("gain").n_unique().alias("gains"), pl.col("field").n_unique().alias("fields"))
        .filter((pl.col("gains") >= GAINS) & (pl.col("fields") >= FIELDS))
    )
    if enough.is_empty():
        return None
    width = enough["width"].max()
    cells = enough.filter(pl.col("width") == width)["cell"].to_list()[:MAPS_SHOWN]
    own = table.filter((pl.col("width") == width) & pl.col("cell").is_in(cells))
    names = {"vanish": "vanished", "stable": "kept", "explode": "exploded"}
    figure = "".join(_map(own.filter(pl.col("cell") == cell), cell) for cell in cells)
    last = int(table["horizon"].to_numpy().max())
    caption = (
        f"Networks of {width} units after {last:,} steps. From left to right: gain of the recurrent weights; "
        "from bottom to top: strength of the input. A tile mixes the three colours by their shares"
        f"{'; hatched, it was not measured' if UNKNOWN in figure else ''}."
    )
    return Lead(
        "map",
        "Where do gradients vanish, and where do they explode?",
        _answer(own, cells),
        f'{legend(names)}<div class="maps">{figure}</div>',
        caption,
        "analysis-phase",
    )


def _answer(own: pl.DataFrame, cells: list[str]) -> str:
    """From which gain on more networks explode than vanish, with the weakest and the strongest input of each cell."""
    known = own.filter(pl.col("p_explode_at").is_not_null())
    field, more = pl.col("field"), known.filter(pl.col("p_explode_at") > pl.col("p_vanish_at"))
    weakest, strongest = (known.filter(field == end.over("cell")) for end in (field.min(), field.max()))
    weak, strong = ({cell: _turn(some, cell) for cell in cells} for some in (weakest, strongest))
    turning = [cell for cell in cells if weak[cell] is not None]
    if more.is_empty():
        return "At none of the gains that were tried does the gradient explode more often than it vanishes."
    if not turning:
        some = listed([cell for cell in cells if cell in set(more["cell"])])
        said = f"At some gains and inputs more networks explode than vanish in {some}"
        return f"{said}, with weak input at the largest in none."
    at_times = set(weakest.join(more, on=("cell", "gain", "field"), how="semi")["cell"])
    never = [cell for cell in cells if cell not in at_times]
    between = [cell for cell in cells if cell in at_times and weak[cell] is None]
    gains = sorted({weak[cell] or 0.0 for cell in turning})
    parts = [f"in {listed([cell for cell in turning if weak[cell] == gain])} from gain {gain:g}" for gain in gains]
    said = f"With weak input more networks explode than vanish {listed(parts)}"
    said += f", in {listed(between)} at some gains but not at the largest" if between else ""
    said += f", and never in {listed(never)}" if never else ""
    later = [cell for cell in turning if strong[cell] is not None and (strong[cell] or 0.0) > (weak[cell] or 0.0)]
    gone = [cell for cell in turning if strong[cell] is None]
    said += "; strong input moves that to larger gains" if later else ""
    said += f" in {len(later)} of these" if later and len(later) < len(turning) else ""
    said += f"; with strong input they do not at the largest gain in {listed(gone)}" if gone else ""
    return f"{said}."


def _turn(known: pl.DataFrame, cell: str) -> float | None:
    """The least gain from which on more networks of the cell explode than vanish; known: with one input."""
    own = known.filter(pl.col("cell") == cell).sort("gain", descending=True)
    turn = None
    for row in own.iter_rows(named=True):
        if row["p_explode_at"] <= row["p_vanish_at"]:
            break
        turn = row["gain"]
    return turn


def _map(own: pl.DataFrame, cell: str) -> str:
    """One map as a grid: the strongest input on top."""
    gains, fields = (sorted(set(own[name].to_list())) for name in ("gain", "field"))
    known = {(row["gain"], row["field"]): row for row in own.iter_rows(named=True)}
    tiles = []
    for field in fields[::-1]:
        tiles.append(f"<span>{field:g}</span>")
        tiles += [_tile(known.get((gain, field)), f"gain {gain:g}, input {field:g}") for gain in gains]
    tiles.append("<span></span>")
    every = 1 + (len(gains) > MOST_LABELS)
    tiles += [f"<span>{f'{gain:g}' if i % every == 0 else ''}</span>" for i, gain in enumerate(gains)]
    return (
        f'<div class="panel map"><h2>{escape(cell)}</h2><div style="--gains:{len(gains)}">{"".join(tiles)}</div></div>'
    )


def _tile(row: dict | None, where: str) -> str:
    if row is None or row["p_vanish_at"] is None:
        return UNKNOWN
    shares = {event: row[f"p_{event}_at"] for event in OUTCOMES}
    mixed = [
        round(sum(shares[event] * int(colour[i : i + 2], 16) for event, colour in OUTCOMES.items())) for i in (1, 3, 5)
    ]
    colour = "#" + "".join(f"{min(part, 255):02x}" for part in mixed)
    return f'<i style="background:{colour}" title="{where}: {shares_said(shares)}"></i>'
