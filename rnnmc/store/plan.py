"""What the folder of a study plans: study.yaml and points.parquet, written and read."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
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
from rnnmc.store.stored_point import StoredPoint
from rnnmc.study.point import DesignPoint
from rnnmc.study.study import PlannedPoint, Study


def cut_up(study: Study) -> list[StoredPoint]:
    """The points of a study, each cut into blocks once. Raises UsageError."""
    return [StoredPoint.of(planned) for planned in study.points]


def describe_points(points: Sequence[PlannedPoint], stored: Sequence[StoredPoint]) -> pa.Table:
    """One row a design point: what is planned, and how it is cut up."""
    rows = [planned.row() | asdict(one.cut) for planned, one in zip(points, stored, strict=True)]
    table = pa.Table.from_pylist(rows)
    half_width = table["half_width"].cast("double")  # where no point has one, its type would be null
    return table.set_column(table.schema.get_field_index("half_width"), "half_width", half_width)


def write_study(directory: Path, study: Study, stored: Sequence[StoredPoint]) -> None:
    """Leave study.yaml and points.parquet; a file that would not change is not touched."""
    written = study.written()
    entries = written.pop("points")  # one at a time, which is quicker for a long list
    text = "# The study as it ran, every default written out.\n" + _yaml(written)
    text += "points:\n" + "".join(_yaml([entry]) for entry in entries)
    buffer = io.BytesIO()
    pq.write_table(describe_points(study.points, stored), buffer)
    for name, content in (("study.yaml", text.encode()), ("points.parquet", buffer.getvalue())):
        path = directory / name
        if not path.exists() or path.read_bytes() != content:
            write_whole(path, content)


def _yaml(value: Any) -> str:
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # several times as fast, where PyYAML was built with it
    return yaml.dump(value, Dumper=dumper, sort_keys=False, default_flow_style=None, width=100, allow_unicode=True)


def _rows(directory: Path) -> list[dict[str, Any]]:
    path = directory / "points.parquet"
    try:
        return pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException):
        raise UsageError(f"{path}: cannot be read; give the folder of a study, such as results/default") from None


WITHOUT_POINT = (
    "so no theory stands beside it, no law judges it, and its growth rate is that of the norm, whatever its design "
    "calls for; count again in the folder where the study ran, with what it ran with"
)
log = logging.getLogger("rnnmc")


def stored_points(directory: Path) -> list[StoredPoint]:
    """All planned points of a study folder, in plan order, without their design points. Raises UsageError."""
    return [_stored(directory, row) for row in _rows(directory)]


def with_points(directory: Path) -> Iterator[StoredPoint]:
    """Every stored point, with its design point where what that needs (a drive's file, one's own cell) is there.

    Where it is not, a warning in the log says so, once for each cause.
    """
    causes: set[str] = set()
    for row in _rows(directory):
        point, error = _design(row)
        stored = _stored(directory, row)
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
    stored = StoredPoint(
        row["point"],
        row["cell"],
        tuple(said["horizons"]),
        row["replicates"],
        Partition(row["tile"], row["block"], row["kernel"]),
        f"{stack} n={row['width']} {row['init']}, drive {label_of(said['drive'])}",
        _observables(said["observables"], directory / "points.parquet"),
        row.get("half_width"),
        row["replicates"],
        row.get("nested", 1),
        bool(said.get("splitting")),
    )
    enough = enough_said(directory, stored)
    return stored if enough is None else stored.first(enough)


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
        found.append(replace(stored.first(stored.most), point=point, label=point.label))
    return found


def study_said(directory: Path) -> dict[str, Any]:
    """What study.yaml of a study folder says about the study as a whole (without its points). Raises UsageError."""
    return read_head(directory)[0]


def read_head(directory: Path) -> tuple[dict[str, Any], str]:
    """What study.yaml says about the study as a whole, and the rest of it, the points, as text. Raises UsageError."""
    import yaml

    path = directory / "study.yaml"
    remedy = "give the folder of a study, such as results/default, or run the study again"
    try:
        # without the list of points, which is long and slow to parse
        head, key, points = path.read_text(encoding="utf-8").partition("\npoints:")
        said = yaml.safe_load(head)
    except FileNotFoundError:
        raise UsageError(f"{path}: is not there; {remedy}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise UsageError(f"{path}: cannot be read; {remedy}") from None
    if not isinstance(said, dict) or not {"study", "thresholds", "interval"} <= said.keys():
        raise UsageError(f"{path}: is not a study as it ran; {remedy}")
    return said, f"{key}{points}".lstrip()
