"""What `verify` found damaged or missing in the folder of a study is made again from what proves it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rnnmc.common.errors import RunError
from rnnmc.observables.observable import Observable
from rnnmc.run.checks.sound import hold_sound
from rnnmc.run.look import count_again
from rnnmc.run.pipeline import leave_plan, report
from rnnmc.run.sampling import jobs_of, sample_all
from rnnmc.store.folder import MANIFEST, manifest_path, point_folder
from rnnmc.store.manifest import named
from rnnmc.store.outdated import LOOKS, PAGE_FILE
from rnnmc.store.plan import POINTS_PARQUET, STUDY_YAML, cut_up, planned, planned_rows, study_said
from rnnmc.store.proofs import PAGE, TABLES, Damaged
from rnnmc.store.shards import DamagedShard, read_shard
from rnnmc.store.stored_point import StoredPoint
from rnnmc.store.verify import Proof, verify
from rnnmc.study.study import Thresholds, load_study


def repair(directory: Path, proof: Proof) -> Proof:
    """Mend what `proof` says, in this process; what is then left.

    points.parquet is planned again from study.yaml; damaged and missing blocks are computed again, a damaged file
    giving way to a whole one only, and so are those of another route than most of their point; manifests, tables and
    pages are made again from the samples.
    Raises RunError where study.yaml itself is damaged, for nothing else says what the study is.
    """
    proof = _plan(directory, proof)
    before = _named(directory, planned_rows(directory))
    _samples(directory, proof)
    proof = verify(directory)
    if proof.missing or any(isinstance(one, DamagedShard) for one in proof.damaged):
        return proof
    old = {_top(directory, one.path) for one in proof.damaged}
    if _named(directory, planned_rows(directory)) != before:  # other samples, such as of another device
        old |= {path.parent for path in (directory / TABLES, *directory.glob(f"{LOOKS}/*/{TABLES}")) if path.exists()}
    if old:
        _tables(old)
        proof = verify(directory)
    return proof


def _plan(directory: Path, proof: Proof) -> Proof:
    """What is damaged beside the plan, once that is whole."""
    wrong = {one.path for one in proof.damaged} & {directory / STUDY_YAML, directory / POINTS_PARQUET}
    if not wrong:
        return proof
    if (path := directory / STUDY_YAML) in wrong:
        raise RunError(f"{path}: is damaged, and nothing else says what the study is; run it again from its file")
    study = load_study(directory / STUDY_YAML, hold_sound)
    leave_plan(directory, study, cut_up(study))
    return verify(directory)


def _samples(directory: Path, proof: Proof) -> None:
    shards = [one.path for one in proof.damaged if isinstance(one, DamagedShard)] + proof.fewer
    manifests = [one.path for one in proof.damaged if one.path.name == MANIFEST]
    lost = {(path.parent.name, int(path.stem)) for path in shards}
    lost |= {(stored.key, block) for stored, block in proof.missing}
    points = planned(directory, {key for key, _ in lost} | {path.parent.name for path in manifests})
    for stored in points:
        hold_sound(stored.design)
    manifests += [manifest_path(directory, stored) for stored in points if stored.until]  # it is decided anew
    whole = []  # but not what its manifest names, or of another route: it would pass for what is wanted
    for path in shards:
        with suppress(Damaged):
            read_shard(path, path.parent.name, _observable(path, points))
            whole.append(path)
    for path in manifests:
        path.unlink(missing_ok=True)
    jobs = [job for job in jobs_of(points) if (job.stored.key, job.block) in lost]
    thresholds = Thresholds.checked(**study_said(directory)["thresholds"])
    with _aside(whole):
        sample_all(directory, points, thresholds, None, "cpu", jobs=jobs)


@contextmanager
def _aside(shards: list[Path]) -> Iterator[None]:
    """Have no such shards for the duration; afterwards each is there again of which no other has been made."""
    kept = {path: path.with_name(f".{path.name}.aside") for path in shards}
    for path, aside in kept.items():
        path.replace(aside)
    try:
        yield
    finally:
        for path, aside in kept.items():
            if path.exists():
                aside.unlink()
            else:
                aside.replace(path)


def _named(directory: Path, points: Iterable[StoredPoint]) -> dict[str, Any]:
    """The digests of samples that the manifests of these points name; none where one is damaged, or not there."""
    found: dict[str, Any] = {}
    for stored in points:
        for kind in stored.kinds:
            with suppress(Damaged):
                found[str(point_folder(directory, stored, kind))] = named(directory, stored, kind).samples
    return found


def _observable(path: Path, points: list[StoredPoint]) -> Observable | None:
    """Whose shard lies at DIR/observables/NAME/cell=CELL/KEY/BLOCK.parquet; None for one of samples."""
    kinds = [kind for stored in points if stored.key == path.parent.name for kind in stored.observables]
    return next((kind for kind in kinds if path.parts[-5:-3] == ("observables", kind.name)), None)


def _top(directory: Path, path: Path) -> Path:
    """The folder of the tables to which a file belongs: that of the study, or of a look."""
    parts = path.relative_to(directory).parts
    return directory.joinpath(*parts[:2]) if parts[0] == LOOKS else directory


def _tables(folders: Iterable[Path]) -> None:
    """Count again, and draw again what was drawn."""
    for top in folders:
        directory = top.parent.parent if top.parent.name == LOOKS else top
        for name in (TABLES, PAGE):
            (top / name).unlink(missing_ok=True)
        said = study_said(top)
        count_again(directory, **said["thresholds"], interval=said["interval"])
        if (top / PAGE_FILE).exists():
            report(top)
