"""What the folder of a study plans: study.yaml and points.parquet, written and read."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import PydanticCustomError

from rnnmc.cells.stacked import stack_name
from rnnmc.common.errors import UsageError
from rnnmc.common.files import write_whole
from rnnmc.common.refusals import refused
from rnnmc.drives import label_of
from rnnmc.engine.block import Partition
from rnnmc.observables import read_observables
from rnnmc.observables.observable import Observable
from rnnmc.store.manifest import enough_said
from rnnmc.store.proofs import STUDY_YAML, Damaged, repairing, sha256
from rnnmc.store.stored_point import StoredPoint
from rnnmc.study.point import DesignPoint
from rnnmc.study.replicates import Until
from rnnmc.study.study import PlannedPoint, Study
from rnnmc.study.yaml_file import yaml_of

POINTS_PARQUET = "points.parquet"
AS_IT_RAN = "The study as it ran, every default written out"  # the first words of study.yaml
OF_THIS, OF_POINTS = "SHA-256 of this and what is below", f"of {POINTS_PARQUET}"
OTHERWISE = ", counted otherwise"  # ends the first words of study.yaml of a look at other thresholds
SEALED = re.compile(rf"# ([^\n]+); {OF_THIS} ([0-9a-f]{{64}}), {re.escape(OF_POINTS)} ([0-9a-f]{{64}})\n")
BEFORE_SEALS = re.compile(rf"# ({AS_IT_RAN}|[\w.-]+, counted otherwise)\.\n")
NOT_OURS = "give the folder of a study, such as results/default"
NO_FOLDER = f"there is no such folder; {NOT_OURS}, once `make study` has made it"
AGAIN = "mends what it can; else run the study again from its file"


def cut_up(study: Study) -> list[StoredPoint]:
    """The points of a study, each cut into blocks once. Raises UsageError."""
    return [StoredPoint.of(planned) for planned in study.points]


def describe_points(points: Sequence[PlannedPoint], stored: Sequence[StoredPoint]) -> pa.Table:
    """One row a design point: what is planned, and how it is cut up."""
    rows = [planned.row() | asdict(one.cut) for planned, one in zip(points, stored, strict=True)]
    table = pa.Table.from_pylist(rows)
    for name, kind in (("half_width", "double"), ("until", "string")):  # where no point has one, its type would be null
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(kind))
    return table


def write_study(directory: Path, study: Study, stored: Sequence[StoredPoint]) -> None:
    """Leave study.yaml and points.parquet; a file that would not change is not touched."""
    written = study.written()
    entries = written.pop("points")  # one at a time, which is quicker for a long list
    text = _yaml(written) + "points:\n" + "".join(_yaml([entry]) for entry in entries)
    buffer = io.BytesIO()
    pq.write_table(describe_points(study.points, stored), buffer)
    write_plan(directory, text, buffer.getvalue(), AS_IT_RAN)


def write_plan(directory: Path, text: str, points: bytes, what: str) -> None:
    """Leave study.yaml, which says `what` it is and proves both files, and points.parquet. Raises RunError."""
    own, of_points = sha256(f"{what}\n{text}".encode()), sha256(points)
    head = f"# {what}; {OF_THIS} {own}, {OF_POINTS} {of_points}\n"
    for name, content in ((POINTS_PARQUET, points), (STUDY_YAML, (head + text).encode())):
        path = directory / name
        if not path.exists() or path.read_bytes() != content:
            write_whole(path, content)


def _yaml(value: Any) -> str:
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # several times as fast, where PyYAML was built with it
    return yaml.dump(value, Dumper=dumper, sort_keys=False, default_flow_style=None, width=100, allow_unicode=True)


def hold_samples(directory: Path) -> None:
    """Raise UsageError for a folder that holds a look at a study and none of its samples."""
    with suppress(OSError), (directory / STUDY_YAML).open(encoding="utf-8", errors="replace") as file:
        if OTHERWISE in file.readline():
            own = directory.resolve().parents[1]
            raise UsageError(f"{directory}: is {own.name}{OTHERWISE}, and holds no samples; give {own}")


def points_file(directory: Path) -> bytes:
    """The content of points.parquet, proved by study.yaml. Raises UsageError where it is not there, Damaged."""
    path = directory / POINTS_PARQUET
    try:
        content = path.read_bytes()
    except OSError:
        raise UsageError(
            f"{path}: cannot be read; {NOT_OURS}" if directory.exists() else f"{directory}: {NO_FOLDER}"
        ) from None
    digest = _proved(directory)[1]
    if digest and sha256(content) != digest:
        raise Damaged(path, f"is not the one that {STUDY_YAML} was written with", f"{repairing(directory)} {AGAIN}")
    return content


def _rows(directory: Path) -> list[dict[str, Any]]:
    try:
        return pq.ParquetFile(pa.BufferReader(points_file(directory))).read().to_pylist()  # read_table imports pandas
    except (OSError, pa.ArrowException):
        raise UsageError(f"{directory / POINTS_PARQUET}: cannot be read; {NOT_OURS}") from None


def keys_before(directory: Path) -> set[str]:
    """The design points that were planned here; none where no plan can be read."""
    with suppress(UsageError, Damaged):
        return {row["point"] for row in _rows(directory)}
    return set()


def _proved(directory: Path) -> tuple[str, str]:
    """(study.yaml, the digest of points.parquet that it names); "" each where there is none. Raises Damaged.

    Of one of before there were seals the log says that nothing proves it.
    """
    path = directory / STUDY_YAML
    try:
        text = path.read_bytes().decode()  # as it is: no line ending becomes another
    except FileNotFoundError:
        _unproved(path, "is not there")
        return "", ""
    except (OSError, UnicodeDecodeError):
        raise Damaged(path, "cannot be read", f"{repairing(directory)} {AGAIN}") from None
    head, below = text[: text.find("\n") + 1], text[text.find("\n") + 1 :]
    if found := SEALED.fullmatch(head):
        if sha256(f"{found[1]}\n{below}".encode()) != found[2]:
            raise Damaged(path, "is not as it was written", f"{repairing(directory)} {AGAIN}")
        return text, found[3]
    if not BEFORE_SEALS.fullmatch(head):
        raise Damaged(path, "is not as it was written", f"{repairing(directory)} {AGAIN}")
    _unproved(path, "is of an earlier release of rnnmc")
    return text, ""


@cache
def _unproved(path: Path, why: str) -> None:
    """Once a process."""
    log.warning(
        "%s: %s, so that nothing proves it or %s; run the study again to have both proved", path, why, POINTS_PARQUET
    )


WITHOUT_POINT = (
    "so no theory stands beside it, no law judges it, and its growth rate is that of the norm, whatever its design "
    "calls for; count again in the folder where the study ran, with what it ran with"
)
log = logging.getLogger("rnnmc")


def stored_points(directory: Path) -> list[StoredPoint]:
    """All planned points of a study folder, in plan order, without their design points; where a half-width has
    decided, with so many replicates. Raises UsageError, Damaged.
    """
    return [_decided(directory, stored) for stored in planned_rows(directory)]


def planned_rows(directory: Path) -> list[StoredPoint]:
    """As `stored_points`, with the most replicates that there may be. Reads no manifest."""
    return [_stored(directory, row) for row in _rows(directory)]


def _decided(directory: Path, stored: StoredPoint) -> StoredPoint:
    enough = enough_said(directory, stored)
    return stored if enough is None else stored.first(enough)


def with_points(directory: Path) -> Iterator[StoredPoint]:
    """Every stored point, with its design point where what that needs (a drive's file, one's own cell) is there.

    Where it is not, a warning in the log says so, once for each cause.
    """
    causes: set[str] = set()
    for row in _rows(directory):
        point, error = _design(row)
        stored = _decided(directory, _stored(directory, row))
        if point is None or point.key != row["point"]:
            point, cause = None, str(error or f"{row['cell']}, its drive or rnnmc itself is not as it was planned")
            if cause not in causes:
                causes.add(cause)
                log.warning("%s: %s; %s", stored.label, cause, WITHOUT_POINT)
        yield replace(stored, point=point)


def _design(row: dict[str, Any]) -> tuple[DesignPoint | None, UsageError | None]:
    """(the design point of a row, or what is wrong with it)."""
    said = json.loads(row["json"])
    try:
        return DesignPoint(**{name: value for name, value in said.items() if name != "observables"}), None
    except UsageError as error:
        return None, error


def _stored(directory: Path, row: dict[str, Any]) -> StoredPoint:
    said = json.loads(row["json"])
    stack = stack_name(row["cell"], said.get("layers", 1), said.get("residual", False))
    return StoredPoint(
        row["point"],
        row["cell"],
        tuple(said["horizons"]),
        row["replicates"],
        Partition(row["tile"], row["block"], row["kernel"]),
        f"{stack} n={row['width']} {row['init']}, drive {label_of(said['drive'])}",
        _observables(said["observables"], directory / POINTS_PARQUET),
        _until(row),
        row["replicates"],
        row.get("nested", 1),
        bool(said.get("splitting")),
    )


def _until(row: dict[str, Any]) -> Until | None:
    if row.get("until") is not None:
        return Until.read(json.loads(row["until"]))
    half_width = row.get("half_width")  # as of a plan from before there were other goals
    return None if half_width is None else Until(goal="half_width", value=half_width)


def _observables(said: Any, path: Path) -> tuple[Observable, ...]:
    try:
        return read_observables(said)
    except PydanticCustomError as error:
        raise refused(error, f"{path}: observables") from None


def planned(directory: Path, keys: set[str]) -> list[StoredPoint]:
    """The planned points of a study folder with these keys, in plan order, with their design points, as planned.

    Raises UsageError where one is not there, or not as it was planned.
    """
    rows = [row for row in _rows(directory) if row["point"] in keys]
    strange = keys - {row["point"] for row in rows}
    if strange:
        raise UsageError(f"{directory / 'points.parquet'}: {strange.pop()} is not a design point of this study")
    found = []
    for row in rows:
        point, error = _design(row)
        if error is not None:
            raise error
        if point is None or row["point"] != point.key:
            raise UsageError(
                f"{directory / 'points.parquet'}: {row['point']} was planned by another version of rnnmc or of its "
                "cell; plan the study again"
            )
        stored = _stored(directory, row)
        found.append(replace(stored, point=point, label=point.label))
    return found


def study_said(directory: Path) -> dict[str, Any]:
    """What study.yaml says about the study as a whole (without its points). Raises as `read_head` does."""
    return read_head(directory)[0]


def read_head(directory: Path) -> tuple[dict[str, Any], str]:
    """What study.yaml says about the study as a whole, and the rest of it, the points, as text.

    Raises UsageError for what is no study, Damaged for what is not as it was written.
    """
    path = directory / STUDY_YAML
    if not path.exists():
        raise UsageError(f"{path}: is not there; {NOT_OURS}, or run the study again")
    # without the list of points, which is long and slow to parse
    head, key, points = _proved(directory)[0].partition("\npoints:")
    try:
        said = yaml_of(head, f"{path}:")
    except UsageError:
        raise Damaged(path, "cannot be read", f"{repairing(directory)} {AGAIN}") from None
    if not isinstance(said, dict) or not {"study", "thresholds", "interval"} <= said.keys():
        raise Damaged(path, "is not a study as it ran", f"{repairing(directory)} {AGAIN}")
    return said, f"{key}{points}".lstrip()


def settled(directory: Path) -> dict[str, Any]:
    """All that decides what is counted of a study folder, for a table to say of which it is. Raises as `read_head`."""
    said = study_said(directory)
    asked = {name: said.get(name, False) for name in ("thresholds", "interval", "oracles", "claims")}
    return {"points": sha256(points_file(directory))} | asked
