"""How a study ran, by its own timeline: how many blocks were at work when, and how busy its workers were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import polars as pl
from altair.typing import ChartType
from numpy.typing import NDArray

from rnnmc.report.charts.parts import ROW_WIDTH, SERIES, inline, title
from rnnmc.store.timeline import Ran

PAUSE = 60.0  # seconds without any block, which are a pause and not waiting
SLICES = 120  # of the chart
SLACK = 0.02  # of its time by which a block may seem to outlast the beginning of the next one on its worker


@dataclass(frozen=True)
class Spell:
    """Times without a pause in which blocks were at work. begin, seconds: of it. peak: blocks at a time, at most."""

    begin: float
    seconds: float
    peak: int


def spells(done: Sequence[Ran]) -> list[Spell]:
    """When a study ran, pauses between runs left out."""
    begins, ends = _times(done)
    starts = np.flatnonzero(np.r_[True, begins[1:] > np.maximum.accumulate(ends)[:-1] + PAUSE])
    found = []
    for first, last in zip(starts, [*starts[1:], len(begins)], strict=True):
        own, gone = begins[first:last], ends[first:last]
        when = np.r_[own, gone - SLACK * (gone - own)]
        change = np.repeat([1, -1], len(own))
        at_work = np.cumsum(change[np.lexsort((change, when))])
        found.append(Spell(float(own[0]), float(gone.max() - own[0]), int(at_work.max())))
    return found


def _times(done: Sequence[Ran]) -> tuple[NDArray, NDArray]:
    """(begins, ends) in seconds since 1970, by begin."""
    begins = np.array([one.began for one in done])
    order = np.argsort(begins, kind="stable")
    ends = begins + np.array([one.seconds for one in done])
    return begins[order], ends[order]


def how_it_ran(done: Sequence[Ran], failed: int) -> str:
    """In a sentence or two; "" where no block is known of."""
    if not done:
        return ""
    found, work = spells(done), sum(one.seconds for one in done)
    peak, hosts = max(spell.peak for spell in found), len({one.host for one in done})
    share = work / max(sum(spell.peak * spell.seconds for spell in found), 1e-9)
    again, took = sum(one.retries > 0 for one in done), _time(sum(one.seconds for one in found))
    runs = f" in {len(found)} runs" if len(found) > 1 else ""
    where = "one machine" if hosts == 1 else f"{hosts} machines"
    return (
        f"{_counted(len(done), 'block')} of {_time(work)} in all took {took}{runs}, "
        f"up to {peak} at a time on {where}, whose workers were busy for {100 * min(share, 1):.0f} % of it; "
        f"{_counted(again, 'block')} tried again, "
        f"{f'{failed} left to a later run' if failed else 'none given up'}"
    )


def forecast_and_fact(forecast: Mapping[str, Any], done: Sequence[Ran]) -> str:
    """What `rnnmc.run.forecast.forecast_of` has said beside what it took; "" where either is not known."""
    if not done or not forecast:
        return ""
    how = "" if forecast["tried"] else ", by a model of the work"
    most = "at most " if forecast["at_most"] else ""
    cpus = f"{forecast['cpus']} CPU{'' if forecast['cpus'] == 1 else 's'}"
    took = _time(sum(one.seconds for one in done)), _time(sum(one.seconds for one in spells(done)))
    return (
        f"forecast {most}{_time(forecast['core_seconds'])} of one core, {_time(forecast['seconds'])} on {cpus}{how}; "
        f"took {took[0]} of its workers, {took[1]} by the clock"
    )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}" if number else f"no {what}"


def _time(seconds: float) -> str:
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s" if seconds >= 0.1 else "under 0.1 s"


def charts(done: Sequence[Ran]) -> dict[str, ChartType]:
    """Blocks at work over time, pauses left out, by its name; nothing where no block is known of."""
    if not done:
        return {}
    begins, ends = _times(done)
    found = spells(done)
    # A clock that stands still in pauses, for every time at which a block begins or ends.
    shown = np.cumsum([0.0, *(spell.seconds for spell in found)])
    which = np.searchsorted([spell.begin for spell in found], begins, side="right") - 1
    shift = shown[which] - np.array([spell.begin for spell in found])[which]
    edges = np.linspace(0.0, max(shown[-1], 1e-6), SLICES + 1)
    # What was done until each edge, as the sum of ramps; its slope is how many were at work.
    until = _ramps(begins + shift, edges) - _ramps(ends + shift, edges)
    at_work = np.diff(until) / np.diff(edges)
    size, unit = (
        (3600.0, "hours") if shown[-1] > 2 * 3600 else (60.0, "minutes") if shown[-1] > 120 else (1.0, "seconds")
    )
    table = pl.DataFrame({"from": edges[:-1] / size, "to": edges[1:] / size, "blocks": at_work, "none": 0.0})
    breaks = pl.DataFrame({"at": shown[1:-1] / size}, schema={"at": pl.Float64})
    area = alt.Chart(inline(table)).mark_rect(color=SERIES[1], opacity=0.7)
    area = area.encode(
        x=alt.X("from:Q", title=f"{unit} since the first block, pauses left out"),
        x2="to:Q",
        y=alt.Y("blocks:Q", title="blocks at work", axis=alt.Axis(tickMinStep=1)),
        y2="none:Q",
    )
    rules = alt.Chart(inline(breaks)).mark_rule(style="bound").encode(x="at:Q")
    layers = alt.layer(area, rules) if len(found) > 1 else alt.layer(area)
    said = "Mean number of blocks that were computed at a time" + ("; dotted: a pause" if len(found) > 1 else "")
    return {
        "blocks-at-work": layers.properties(width=ROW_WIDTH, height=110, title=title("How busy the workers were", said))
    }


def _ramps(when: NDArray, edges: NDArray) -> NDArray:
    """The sum over all times of how long ago each was, at each edge; nothing of what is still to come."""
    ordered = np.sort(when)
    count = np.searchsorted(ordered, edges)
    return count * edges - np.r_[0.0, np.cumsum(ordered)][count]
