"""What a study will cost, and how far it has come: as a document for programs, and as tables for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from rnnmc.common.granted import own_cpus
from rnnmc.engine.choice import FEW_ROWS
from rnnmc.report.terminal import plain_table
from rnnmc.run.checks.sound import unseen
from rnnmc.run.cluster import connected, ray_address
from rnnmc.run.forecast import Clock, by_the_clock, costs
from rnnmc.run.how_far import begun
from rnnmc.store.manifest import enough_said, made_by
from rnnmc.store.marks import running
from rnnmc.store.plan import cut_up, hold_samples, stored_points
from rnnmc.store.shards import lacking_files
from rnnmc.store.stored_point import StoredPoint
from rnnmc.study.study import Study

TELLING = 20  # design points named one by one, unless all are asked for

Document = dict[str, Any]


def cost(study: Study) -> Document:
    """What a study will cost on the resources at hand, in all and by design point: blocks, rows, bytes, core-seconds.

    observables: seconds on one core that looking adds, part of `core_seconds`. notes: sentences that qualify the sum.
    """
    cpus = own_cpus()
    if ray_address():
        with connected() as cluster:
            cpus = cluster.cpus
    points = cut_up(study)
    found = costs(points, clock := Clock())
    rows = [
        {
            "key": stored.key, "design_point": stored.label,
            "replicates": stored.replicates, "until": _goal(stored), "horizon": stored.horizons[-1],
            "blocks": one.blocks, "rows": one.rows, "bytes": one.size, "core_seconds": one.seconds,
            "observables": one.observables,
        }
        for stored, one in zip(points, found, strict=True)
    ]  # fmt: skip
    tried = any(one.tried for one in found)
    return {
        "study": study.study,
        "design_points": len(rows),
        **{name: sum(row[name] for row in rows) for name in ("blocks", "rows", "bytes", "core_seconds")},
        "cpus": cpus,
        "seconds": by_the_clock(found, cpus),
        "notes": [*_how_found(tried, clock), *_whole_chains(points), *unseen(study.points)],
        "points": rows,
    }


def _how_found(tried: bool, clock: Clock) -> Iterable[str]:
    if not tried:
        why = "" if clock.busy else ", for no point of it can be tried in a moment"
        yield f"The time is by a model of the work, without what observables add{why}."
    if clock.busy:
        yield (
            f"This machine is busy: it gave {100 * clock.share:.0f} % of a core, so that nothing was timed. What was "
            "not timed before goes by a model of the work, on a free machine."
        )


def _whole_chains(points: list[StoredPoint]) -> Iterable[str]:
    few = (point for point in points if point.cut.kernel in FEW_ROWS)
    if whole := {one.name for point in few for one in point.observables if one.whole_chain}:
        yield f"looking at whole products, beside norms that need none: {', '.join(sorted(whole))}"


def cost_told(said: Document, every: bool = False) -> list[Table | Text]:
    """The sum, and one row for each of the dearest design points; every: for all of them, with keys."""
    points, looking = said["points"], dict[str, float]()
    for name, seconds in (pair for point in points for pair in point["observables"].items()):
        looking[name] = looking.get(name, 0.0) + seconds
    adds = f" ({', '.join(f'looking at {name} {_time(took)}' for name, took in looking.items())})" if looking else ""
    total = (
        f"study {said['study']}: {len(points):,} design points, {said['blocks']:,} blocks, {said['rows']:,} rows, "
        f"about {_size(said['bytes'])}; {_time(said['core_seconds'])} of one core{adds}, "
        f"{_time(said['seconds'])} on the {said['cpus']} CPUs at hand"
    )
    shown = _telling(points, every, lambda point: -point["core_seconds"])
    table, of_all = _table(every, "replicates", "T", "size", "core time"), _of_all(points)
    for point in shown:
        most = "up to " if point["until"] else ""
        numbers = (f"{most}{point['replicates']:,}", f"{point['horizon']:,}")
        table.add_row(*_names(point, of_all, every), *numbers, _size(point["bytes"]), _time(point["core_seconds"]))
        for name, seconds in point["observables"].items() if every else ():
            table.add_row(f"  of which {name}", *[""] * (3 + every), _time(seconds))
    part = 100 * sum(point["core_seconds"] for point in shown) / said["core_seconds"]
    more = [f"the {len(shown)} dearest of {len(points):,}, {part:.0f} % of the time; --all lists each"]
    return _together(
        [total, *_shared(of_all), *_goals(points)], table, [*more * (len(shown) < len(points)), *said["notes"]]
    )


def status(directory: Path) -> Document:
    """How far a study has come, in all and by design point: blocks done, running, missing, and of how many.

    several: design points that were made in several ways. Looks at names and marks, reads no shard.
    """
    hold_samples(directory)
    points = stored_points(directory)
    rows = [_progress(directory, one) for one in points]
    return {
        "folder": str(directory),
        "design_points": len(rows),
        "design_points_done": sum(row["done"] == row["blocks"] for row in rows),
        **{name: sum(row[name] for row in rows) for name in ("done", "running", "missing", "blocks")},
        "several": made_by(directory, points).get("several", []),
        "points": rows,
    }


def _progress(directory: Path, stored: StoredPoint) -> Document:
    """Of one design point."""
    lost, number = lacking_files(directory, stored), len(stored.blocks())
    left = begun(directory, stored)
    if left.block not in lost and left.lasts(directory, stored):  # there, but of a study with fewer replicates
        lost.append(left.block)
    busy = len(running(directory, stored).intersection(lost)) if lost else 0
    counts = {"done": number - len(lost), "running": busy, "missing": len(lost) - busy, "blocks": number}
    decided = stored.until is None or enough_said(directory, stored) is not None
    return {"key": stored.key, "design_point": stored.label, **counts, "until": None if decided else _goal(stored)}


def status_told(said: Document, every: bool = False) -> list[Table | Text]:
    """The sum, and one row for each design point that is not done, what runs first; every: for all, with keys."""
    points = said["points"]
    most = "up to " if any(point["until"] for point in points) else ""
    total = (
        f"{said['folder']}: {said['design_points_done']:,} of {len(points):,} design points are done; of {most}"
        f"{said['blocks']:,} blocks {said['done']:,} are done, {said['running']:,} running, {said['missing']:,} missing"
    )
    shown = _telling(points, every, lambda point: (-point["running"], -point["done"]), _unfinished)
    table, of_all = _table(every, "done", "running", "missing", "of"), _of_all(points)
    for point in shown:
        counts = [f"{point[name]:,}" for name in ("done", "running", "missing")]
        table.add_row(
            *_names(point, of_all, every), *counts, f"{'up to ' if point['until'] else ''}{point['blocks']:,}"
        )
    notes = []
    if len(shown) < len(points):
        left = sum(map(_unfinished, points)) - len(shown)
        notes.append(f"{f'and {left:,} more that are not done; ' if left else ''}--all lists each design point")
    if several := said["several"]:
        more = f" and {len(several) - 1} more" if len(several) > 1 else ""
        notes.append(f"made in several ways: {several[0]}{more}; rnnmc verify tells which shards")
    return _together([total, *_shared(of_all), *_goals(points)], table, notes)


def _unfinished(point: Document) -> bool:
    return point["done"] < point["blocks"]


def _telling(
    points: list[Document], every: bool, rank: Callable[[Document], Any], wanted: Callable[[Document], bool] = bool
) -> list[Document]:
    """All of few design points; of many, unless every one is asked for, the first by rank of those that are wanted."""
    if every or len(points) <= TELLING:
        return points
    return sorted(filter(wanted, points), key=rank)[:TELLING]


def _table(every: bool, *numbers: str) -> Table:
    table = plain_table("design point", *["key"] * every)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _of_all(points: list[Document]) -> list[str]:
    """What the names of all design points say behind cell, width and laws, such as `drive white`."""
    said = [point["design_point"].split(", ")[1:] for point in points]
    return [part for part in said[0] if all(part in one for one in said)] if len(said) > 1 else []


def _names(point: Document, of_all: list[str], every: bool) -> list[str]:
    first, *rest = point["design_point"].split(", ")
    return [", ".join([first, *(part for part in rest if part not in of_all)]), *[point["key"]] * every]


def _shared(of_all: list[str]) -> list[str]:
    return [f"all with {', '.join(of_all)}"] * bool(of_all)


def _goal(stored: StoredPoint) -> str | None:
    return stored.until.told() if stored.until else None


def _goals(points: list[Document]) -> list[str]:
    """What decides, where that is not known, how many there will be in the end."""
    return [f"up to: as many as it takes {goal}" for goal in sorted({one["until"] for one in points} - {None})]


def _together(before: list[str], table: Table, after: list[str]) -> list[Table | Text]:
    return [*map(Text, before), *[table] * (table.row_count > 0), *map(Text, after)]


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _time(seconds: float) -> str:
    if seconds < 0.1:
        return "under 0.1 s"
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
