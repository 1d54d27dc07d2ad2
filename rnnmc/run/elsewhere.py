"""A study with another place for its results: what its folder lacks is brought from there, and what is new put there.

The folder stays what everything works on. The address, which study.yaml names, has every block that is finished as soon
as it is, so that a run that was killed with its machine goes on from there alone; tables and page follow at the end.
"""

from __future__ import annotations

import logging
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Lock
from typing import TYPE_CHECKING

from rnnmc.common.errors import RunError, UsageError
from rnnmc.common.files import appearing, hold_new, write_whole
from rnnmc.common.quiet import on_the_way
from rnnmc.observables.observable import Observable
from rnnmc.store.folder import MANIFEST, manifest_path, point_folder, shard_name
from rnnmc.store.manifest import write_manifest
from rnnmc.store.marks import MARK
from rnnmc.store.outdated import OUTDATED, SO_FAR
from rnnmc.store.plan import POINTS_PARQUET, STUDY_YAML, planned_rows, study_said
from rnnmc.store.proofs import Damaged
from rnnmc.store.remote import Remote, remote, remote_of
from rnnmc.store.shards import facts_of, lacking_files, proved_shard, replicates_of, serves
from rnnmc.store.stored_point import StoredPoint
from rnnmc.store.verify import Proof, verify
from rnnmc.study.study import Study, Thresholds

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo

AT_A_TIME = 16  # files on their way
HERE_ALONE = {"logs", "stages", "chunks", SO_FAR, OUTDATED}  # what in a folder is of the run on this machine
OF_POINTS = ("samples", "observables")  # folders of shards and manifests
BROUGHT, DAMAGED, POORER, EQUAL = "brought", "damaged", "poorer", "equal"  # what becomes of a shard
Planned = dict[str, tuple[StoredPoint, Observable | None]]  # name of a shard below a folder -> whose, and of what
log = logging.getLogger("rnnmc")


@dataclass(frozen=True)
class Elsewhere:
    """The other place of a study, and the files that lay there when it was looked at."""

    place: Remote
    files: dict[str, FileInfo]

    @classmethod
    def of(cls, study: Study) -> Elsewhere | None:
        """That of a study, where it has one. Raises UsageError where it cannot be used, or holds another study."""
        if study.results is None:
            return None
        place = remote(study.results, study.study)
        files = place.files()
        if STUDY_YAML in files:
            _refuse_other(place, study)
        return cls(place, files)

    def meet(self, directory: Path, points: Sequence[StoredPoint]) -> None:
        """Bring the shards that are planned and lie there alone, each proved, and put there what lies here alone.

        Of a block that both have, the shard with more replicates wins. What is damaged there is told in the log and
        counts as not there, and what cannot be put stays here. Raises RunError for what cannot be read.
        """
        planned, here = _planned(points), _files_of(directory)
        sought = [
            name
            for name in planned.keys() & self.files.keys()
            if name not in here or here[name].st_size != self.files[name].size
        ]

        def bring(name: str) -> str:
            return _bring(self.place, directory, name, *planned[name])

        with ThreadPoolExecutor(AT_A_TIME) as threads:
            became = dict(zip(sought, threads.map(bring, sought), strict=True))
        brought = [name for name in sought if became[name] == BROUGHT]
        damaged = sorted(name for name in sought if became[name] == DAMAGED)
        if brought:
            on_the_way(f"{self.place.told}: {len(brought)} shards brought from there")
        if damaged:
            more = f", as are {len(damaged) - 1} more" if len(damaged) > 1 else ""
            log.warning("%s/%s: is damaged%s; it is not counted, and put anew", self.place.told, damaged[0], more)
        for name in [name for name in sought if became[name] in (DAMAGED, POORER)]:
            del self.files[name]
        if brought:
            _complete(directory, points)
        if error := self.put(directory, planned):
            log.warning("%s; %s keeps it, and it is put there later", error, directory)

    def put(self, directory: Path, planned: Planned, end: bool = False) -> RunError | None:
        """Put there what is new here, shards once they are proved; the first error, after which nothing more is tried.

        end: of a run, when tables and page are new whatever clocks say.
        """
        failed: list[RunError] = []
        names = [
            name
            for name, own in _files_of(directory).items()
            if (name in planned or not _is_shard(name)) and self._is_new(directory, name, own, end)
        ]

        def put(name: str) -> None:
            if failed:  # where one cannot be put, neither can the others, and each would wait
                return
            with suppress(FileNotFoundError, Damaged):  # gone by now; what is damaged is told before it is counted
                content = (directory / name).read_bytes()
                if name in planned:
                    stored, kind = planned[name]
                    proved_shard(directory / name, content, stored.key, kind)
                try:
                    self.place.put(name, content)
                except RunError as error:
                    failed.append(error)

        with ThreadPoolExecutor(AT_A_TIME) as threads:
            list(threads.map(put, names))
        return failed[0] if failed else None

    def _is_new(self, directory: Path, name: str, own: os.stat_result, end: bool) -> bool:
        theirs = self.files.get(name)
        if theirs is None or name in (STUDY_YAML, POINTS_PARQUET):
            return True
        if _is_shard(name):  # which changes where it grows, or is made again in another way
            others = end and own.st_size != theirs.size
            return others and facts_of(directory / name).get("samples") != self.place.facts_of(name).get("samples")
        return own.st_mtime_ns > (theirs.mtime_ns or 0) or (end and not name.startswith(OF_POINTS))


def _refuse_other(place: Remote, study: Study) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / STUDY_YAML).write_bytes(place.read(STUDY_YAML))
        try:
            said = study_said(Path(folder))
        except Damaged:  # it gives way to a whole one
            return
    for name, own in (("study", study.study), ("seed", study.seed)):
        if said.get(name) != own:
            raise UsageError(
                f"results: {place.told}: has the samples of {name} {said.get(name)}, and this is {name} {own}; "
                "give another address"
            )


def _planned(points: Sequence[StoredPoint]) -> Planned:
    """Every shard that the points may have."""
    found: Planned = {}
    for stored in points:
        for kind in stored.kinds:
            folder = point_folder(Path(), stored, kind)
            found |= {f"{folder}/{shard_name(block)}": (stored, kind) for block, _ in stored.blocks()}
    return found


def _files_of(directory: Path) -> dict[str, os.stat_result]:
    """The files of a folder that are to lie elsewhere too, by name: none that is half written, or a link."""
    found = {}
    for folder, inside, names in os.walk(directory):
        below = os.path.relpath(folder, directory)
        if below == ".":
            inside[:] = [name for name in inside if name not in HERE_ALONE]
        for name in names:
            passing = name.startswith(".") or name.endswith(MARK) or name in HERE_ALONE
            with suppress(FileNotFoundError):  # by now
                if not passing and stat.S_ISREG((own := os.lstat(f"{folder}/{name}")).st_mode):
                    found[name if below == "." else f"{below}/{name}"] = own
    return found


def _is_shard(name: str) -> bool:
    return name.startswith(OF_POINTS) and not name.endswith(MANIFEST)


def _bring(place: Remote, directory: Path, name: str, stored: StoredPoint, kind: Observable | None) -> str:
    """Take one shard that lies there where it is whole and holds more than the one here; what became of it."""
    path, content = directory / name, place.read(name)
    try:
        facts = proved_shard(path, content, stored.key, kind).facts
    except Damaged:
        return DAMAGED
    theirs, ours = (replicates_of(one) if serves(one, 1, kind) else 0 for one in (facts, facts_of(path)))
    if theirs > ours:
        write_whole(path, content)
        return BROUGHT
    return POORER if theirs < ours else EQUAL


def _complete(directory: Path, points: Sequence[StoredPoint]) -> None:
    """Leave the manifests of points of which all is there now. What a goal decides, or what is wrong, comes later."""
    for stored in points:
        known = stored.until is not None or manifest_path(directory, stored).exists()
        if not known and not lacking_files(directory, stored):
            with suppress(RunError):
                write_manifest(directory, stored, Thresholds())


@contextmanager
def putting(directory: Path) -> Iterator[Callable[[Iterable[Path]], None]]:
    """Have files put to the other place of a study, if it has one, by threads of its own, as soon as they are named.

    What cannot be is told in one line, stays here, and is tried again once another can be; all have been when the body
    ends, unless nothing can be put any more: that is left to the end of the run.
    """
    place = None
    with suppress(UsageError, Damaged):  # no folder of a study
        place = remote_of(directory)
    if place is None:
        yield lambda paths: None
        return
    late: deque[Path] = deque()
    away, lock = Event(), Lock()

    def put(path: Path) -> None:
        todo = [path]
        while todo:
            path = todo.pop()
            try:
                place.put(str(path.relative_to(directory)), path.read_bytes())
            except RunError as error:
                late.append(path)
                with lock:
                    if not away.is_set():
                        log.warning("%s; %s keeps it, and it is put there later", error, directory)
                    away.set()
            else:
                away.clear()
                with suppress(IndexError):
                    todo.append(late.pop())

    with ThreadPoolExecutor(AT_A_TIME) as threads:

        def all_of(paths: Iterable[Path]) -> None:
            for path in paths:
                threads.submit(put, path)

        try:
            yield all_of
        finally:
            threads.shutdown(cancel_futures=away.is_set())


def put_results(directory: Path) -> None:
    """Put all that a study has to its other place, if it has one, at the end of a run. Raises RunError."""
    place = remote_of(directory)
    if place is None:
        return
    try:
        there = Elsewhere(place, place.files())
        error = there.put(directory, _planned(planned_rows(directory)), end=True)
    except UsageError as said:  # it was there as the run began
        error = said
    if error is not None:
        raise RunError(f"{error}; {directory} has all: run again to put there what is missing") from None


def fetch(address: str, into: Path) -> Proof:
    """Bring all that lies at the address of a study to a new folder; what `verify` finds there.

    Raises UsageError where no study lies there or the folder is not empty, RunError for what cannot be read.
    """
    hold_new(into)
    place = remote(address)
    files = place.files()
    if STUDY_YAML not in files:
        raise UsageError(f"{place.told}: has no {STUDY_YAML}; give the address of a study, with its name at the end")
    for name in files:
        if into.resolve() not in (into / name).resolve().parents:
            raise RunError(f"{place.told}/{name}: would not lie in {into}; remove it there")

    with appearing(into) as new, ThreadPoolExecutor(AT_A_TIME) as threads:
        list(threads.map(lambda name: write_whole(new / name, place.read(name)), files))
    return verify(into)
