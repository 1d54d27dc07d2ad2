"""What is missing of a study is sampled, over Ray or in this process, until nothing is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rnnmc.common.errors import RunError, UsageError
from rnnmc.run.cluster import Cluster
from rnnmc.run.counting import CountedBy, count_early
from rnnmc.run.dispatcher import fan_out
from rnnmc.run.elsewhere import putting
from rnnmc.run.fanout import Done, Job, block_name, in_process
from rnnmc.run.progress import Tell
from rnnmc.statistics.growth import estimator_of
from rnnmc.statistics.point import rectangle
from rnnmc.statistics.stopping import replicates_enough, seen_of, together
from rnnmc.store.folder import shard_path
from rnnmc.store.manifest import is_complete, prove, write_manifest
from rnnmc.store.marks import remove_parts
from rnnmc.store.proofs import Damaged
from rnnmc.store.reading import as_frame
from rnnmc.store.shards import found_shard, lacking
from rnnmc.store.stored_point import StoredPoint
from rnnmc.store.timeline import Timeline
from rnnmc.study.study import Thresholds


def jobs_of(points: Sequence[StoredPoint]) -> list[Job]:
    """Every block of the points, in plan order."""
    return [Job(stored, block, count) for stored in points for block, count in stored.blocks()]


def jobs_missing(
    directory: Path, points: Sequence[StoredPoint], thresholds: Thresholds | None = None, slots: int = 1
) -> list[Job]:
    """The blocks that are to be sampled next, in plan order. Raises Damaged for what is there but not whole.

    None of a point whose manifest says that it is complete, and whose shards are there. Of a point with a goal, as
    many blocks as there are again, and no fewer than `slots`, which keep a cluster busy; none once the `thresholds`
    of the study say that it has enough. Of any other, all that are missing.
    """
    jobs, counted = [], thresholds or Thresholds()
    for stored in points:
        if is_complete(directory, stored, counted):
            prove(directory, stored)
            continue
        lost = lacking(directory, stored)
        if lost and stored.until is not None:
            known = lost[0][0]
            enough = enough_seen(directory, stored, counted) is not None
            lost = [] if enough else [one for one in lost if one[0] < known + max(known, slots)]
        jobs += [Job(stored, block, count) for block, count in lost]
    return jobs


def replicates_of(jobs: Sequence[Job], points: Sequence[StoredPoint]) -> int | None:
    """Replicates of these jobs, the next of these points; None where a goal decides whether more will follow."""
    return None if any(stored.until for stored in points) else sum(job.replicates for job in jobs)


def enough_seen(directory: Path, stored: StoredPoint, thresholds: Thresholds) -> int | None:
    """How many replicates of a point are enough, or None while that is not known. Without a goal, all of them.

    Looks at the contiguous run of blocks from the first on: see `rnnmc.statistics.stopping`.
    """
    if stored.until is None:
        return stored.replicates
    parts, estimator = [], estimator_of(stored.design)
    for block, count in stored.first(stored.most).blocks():
        every = [found_shard(directory, stored, block, count, kind) for kind in stored.kinds]
        if every[0] is None or None in every:
            break
        samples = rectangle(as_frame(every[0].first(count)))
        parts.append(seen_of(samples, stored.until, thresholds, estimator))
    return replicates_enough(together(parts), stored.cut.block, stored.most, stored.until) if parts else None


def sample_all(
    directory: Path,
    points: Sequence[StoredPoint],
    thresholds: Thresholds,
    cluster: Cluster | None,
    device: str,
    tell: Tell | None = None,
    jobs: Sequence[Job] | None = None,
) -> None:
    """Sample what is missing of the planned points until nothing is; leave the manifest of each. Raises RunError.

    jobs: what `jobs_missing` gave, where it was asked already. A point is counted as soon as it is complete, while
    others are still sampled, and that is kept: see `rnnmc.run.counting`. Where the study has another place for its
    results, each finished block is put there too: see `rnnmc.run.elsewhere`.
    """
    if jobs is None:
        jobs = jobs_missing(directory, points, thresholds)
    undecided = [stored for stored in points if stored.until is not None]
    known = {stored.key: stored for stored in points}
    blocks = Counter(job.stored.key for job in jobs)
    ends = {job.stored.key: job.stored for job in jobs if job.stored.until is None}  # with the last of these blocks
    with _counting(directory if cluster else None) as count, putting(directory) as put:

        def note(done: Done) -> None:
            blocks[done.key] -= not done.error
            if not done.error:
                put(shard_path(directory, known[done.key], done.block, kind) for kind in known[done.key].kinds)
            if not blocks[done.key] and done.key in ends:
                with suppress(RunError):  # which is told when all others are done
                    put([write_manifest(directory, ends[done.key], thresholds)])
                    count(ends[done.key])
            if tell:
                tell(done)

        while jobs:
            sample(directory, jobs, cluster, device, note)
            jobs = jobs_missing(directory, undecided, thresholds, cluster.cpus if cluster else 1)
        for stored in points:
            if not is_complete(directory, stored, thresholds):
                enough = enough_seen(directory, stored, thresholds)
                complete = stored.first(stored.replicates if enough is None else enough)
                put([write_manifest(directory, complete, thresholds)])
            remove_parts(directory, stored, stored.kinds)


@contextmanager
def _counting(directory: Path | None) -> Iterator[Callable[[StoredPoint], None]]:
    """Have points counted by a thread of its own; what has not begun when the body ends is left to the statistics.

    None: not at all, where blocks are computed in this very process, whose settings of torch they would share.
    """
    by = None
    with suppress(UsageError, Damaged):  # no folder of a study, or none that can be counted
        by = CountedBy.study(directory) if directory else None
    if directory is None or by is None:
        yield lambda stored: None
        return
    with ThreadPoolExecutor(1) as thread:
        try:
            yield lambda stored: thread.submit(count_early, directory, stored, by) and None
        finally:
            thread.shutdown(wait=False, cancel_futures=True)


def sample(
    directory: Path | None, jobs: Sequence[Job], cluster: Cluster | None, device: str, tell: Tell | None = None
) -> list[Done]:
    """Sample `jobs` over Ray, or in this process where `cluster` is None.

    The samples go to shards below `directory`; where it is None they come back, in no order. A failure of one block
    stops no other, and all finished blocks are kept. Raises RunError naming what failed.
    """
    if cluster and device != "cuda":
        _tell_of_kernels(jobs)
    every, failed = [], []
    timeline = Timeline(directory) if directory else None
    points = {job.stored.key: job.stored for job in jobs}
    for done in fan_out(cluster, jobs, directory, device) if cluster else in_process(jobs, directory, device):
        if not directory:  # of a million blocks their summaries would be most of what this process holds
            every.append(done)
        if done.error:
            failed.append(done.error)
        if timeline:
            _note(timeline, points[done.key], done)
        if tell:
            tell(done)
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        kept = "; finished blocks are kept: run again to go on" if directory else ""
        raise RunError(f"{failed[0]}{more}{kept}")
    return every


def _note(timeline: Timeline, stored: StoredPoint, done: Done) -> None:
    name = block_name(stored.label, done.block, stored.most, stored.cut.block)
    said: dict[str, Any] = {"point": done.key, "block": done.block, "cell": stored.cell, "width": stored.design.width}
    said |= {"replicates": done.replicates, "retries": done.retries} | ({"error": done.error} if done.error else {})
    timeline.note(name, done.worker, done.began, done.seconds, **said)


def _tell_of_kernels(jobs: Sequence[Job]) -> None:
    """What workers say is not shown: where a kernel is not what a cell of one's own does, the log says so here."""
    from rnnmc.engine.run import made_by

    for stored in {job.stored.key: job.stored for job in jobs if ":" in job.stored.cell}.values():
        made_by(stored.design, "cpu", stored.cut.kernel)
