"""Tables for people: what a study will cost, and how far it has come."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from rnnmc.common.granted import own_cpus
from rnnmc.engine.choice import FEW_ROWS
from rnnmc.report.terminal import plain_table
from rnnmc.run.cluster import connected, ray_address
from rnnmc.run.forecast import Clock, by_the_clock, costs
from rnnmc.store.manifest import enough_said, made_by
from rnnmc.store.marks import running
from rnnmc.store.plan import cut_up, stored_points
from rnnmc.store.shards import lacking_files
from rnnmc.store.stored_point import StoredPoint
from rnnmc.study.study import Study

LISTED = 200  # design points named one by one; of more, only the sum is told


def cost_tables(study: Study) -> list[Table | str]:
    """One row a design point with blocks, rows, bytes and core-seconds, and the sum on the resources at hand."""
    cpus = own_cpus()
    if ray_address():
        with connected() as cluster:
            cpus = cluster.cpus
    points = cut_up(study)
    cost = costs(points, clock := Clock())
    table = plain_table("design point")
    table.title = f"study {study.study}"
    for name in ("replicates", "horizon", "blocks", "size", "core time"):
        table.add_column(name, justify="right", no_wrap=True)
    for point, one in list(zip(points, cost, strict=True))[:LISTED]:
        most = "up to " if point.until else ""
        numbers = (f"{most}{point.replicates:,}", f"{point.horizons[-1]:,}", f"{one.blocks:,}")
        table.add_row(point.label, *numbers, _size(one.size), _time(one.seconds))
        for name, seconds in one.observables.items():
            table.add_row(f"  of which {name}", *[""] * 4, _time(seconds))
    seconds = sum(one.seconds for one in cost)
    total = (
        f"{len(cost):,} design points, {sum(c.blocks for c in cost):,} blocks, {sum(c.rows for c in cost):,} rows, "
        f"about {_size(sum(c.size for c in cost))}; about {_time(seconds)} of one core, "
        f"{_time(by_the_clock(cost, cpus))} on the {cpus} CPUs at hand"
    )
    if len(points) > LISTED:
        total = f"the first {LISTED} of {len(points):,} design points stand above\n{total}"
    if not any(one.tried for one in cost):
        why = "" if clock.busy else ", for no point of it can be tried in a moment"
        total += f"; by a model of the work, without what observables add{why}"
    if clock.busy:
        busy = f"This machine is busy: it gave {100 * clock.share:.0f} % of a core, so that nothing was timed"
        total += f"\n{busy}. What was not timed before goes by a model of the work, on a free machine."
    whole = {
        one.name for point in points if point.cut.kernel in FEW_ROWS for one in point.observables if one.whole_chain
    }
    if whole:
        total += f"\nlooking at whole products, beside norms from a few directions: {', '.join(sorted(whole))}"
    goals = {point.until.told() for point in points if point.until}
    return [table, "\n".join([total, *(f"up to: as many as it takes {goal}" for goal in sorted(goals))])]


def status_table(directory: Path) -> Table:
    """One row a design point: blocks done, running and missing; of many, those that are not done come first.

    Looks at names and marks, reads no shard.
    """
    table = plain_table("design point")
    table.title = str(directory)
    for name in ("key", "done", "running", "missing", "of"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    points = stored_points(directory)
    if several := made_by(directory, points).get("several"):
        more = f" and {len(several) - 1} more" if len(several) > 1 else ""
        table.caption = f"made in several ways: {several[0]}{more}; rnnmc verify tells which shards"
    rows = [(one, *_counts(directory, one)) for one in points]
    shown = rows if len(rows) <= LISTED else sorted(rows, key=lambda row: row[1] == row[4])[:LISTED]
    for one, *counts in shown:
        table.add_row(one.label, one.key, *map(str, counts), _goal(directory, one))
    if len(rows) > len(shown):
        table.add_row(f"and {len(rows) - len(shown):,} more")
    table.add_row("all", "", *(str(sum(column)) for column in list(zip(*rows, strict=True))[1:]), style="bold")
    return table


def _goal(directory: Path, stored: StoredPoint) -> str:
    """What decides how many blocks a point has in the end, while that is not known."""
    if stored.until is None or enough_said(directory, stored) is not None:
        return ""
    return f"at most, {stored.until.told()}"


def _counts(directory: Path, stored: StoredPoint) -> tuple[int, int, int, int]:
    """Blocks of a point: done, running, missing, of how many."""
    lost, number = lacking_files(directory, stored), len(stored.blocks())
    busy = len(running(directory, stored).intersection(lost)) if lost else 0
    return number - len(lost), busy, len(lost) - busy, number


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
