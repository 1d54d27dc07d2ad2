"""What a study folder plans: study.yaml, points.parquet, and of each design point what is needed to find its shards."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import PydanticCustomError

from rnnmc.common.errors import UsageError
from rnnmc.common.files import write_whole
from rnnmc.common.registry import refused
from rnnmc.engine.block import blocks, partition
from rnnmc.observables import read_observables
from rnnmc.observables.observable import Observable
from rnnmc.study.study import DesignPoint, PlannedPoint, Study, Thresholds


@dataclass(frozen=True)
class Place:
    """A planned point as far as its samples are concerned: read without importing a cell or opening a drive's file.

    horizons: in steps. replicates: wanted. block: replicates of a block. label: for people. observables: what is stored
    beside the samples. half_width: the precision that decides how many replicates there are, of at most `most`; once
    that is decided, `replicates` are so many. group: replicates that share one weight draw.
    """

    key: str
    cell: str
    horizons: tuple[int, ...]
    replicates: int
    block: int
    label: str
    observables: tuple[Observable, ...] = ()
    half_width: float | None = None
    most: int = 0
    group: int = 1

    @classmethod
    def of(cls, planned: PlannedPoint) -> Place:
        """The place of a planned point."""
        point = planned.point
        return cls(
            point.key,
            point.cell,
            point.horizons,
            planned.replicates,
            partition(point).block,
            point.label,
            point.observables,
            planned.half_width,
            planned.replicates,
            point.nested.group,
        )

    def first(self, replicates: int) -> Place:
        """The same with so many replicates."""
        return replace(self, replicates=replicates)

    def blocks(self) -> list[tuple[int, int]]:
        """(block number, replicates wanted of it) for each block."""
        return blocks(self.replicates, self.block)


Keyed = DesignPoint | Place  # what has a place in the store


def point_folder(directory: Path, point: Keyed, observable: Observable | None = None) -> Path:
    """Where the shards of a design point lie: its samples, or what an observable saw."""
    kind = directory / "observables" / observable.name if observable else directory / "samples"
    return kind / f"cell={point.cell}" / point.key


def manifest_path(directory: Path, place: Keyed) -> Path:
    """Where the manifest of a place lies; readers of Parquet folders pass over such a name."""
    return point_folder(directory, place) / "_manifest.json"


def describe_points(study: Study) -> pa.Table:
    """One row a design point: its key, every factor as text or number, and the whole of it as JSON."""
    rows = []
    for planned in study.points:
        point, cut = planned.point, partition(planned.point)
        rows.append(
            {
                "point": point.key,
                "cell": point.cell,
                "width": point.width,
                "init": str(point.init),
                "drive": str(point.drive),
                "weights": point.weights,
                "state_std": float(point.state_std),
                "dtype": point.dtype,
                "seed": point.seed,
                "horizon": point.horizons[-1],
                "replicates": planned.replicates,
                "half_width": planned.half_width,
                "oracle": planned.oracle,
                "nested": point.nested.group,
                "block": cut.block,
                "tile": cut.tile,
                "kernel": cut.kernel,
                "json": json.dumps(point.written()),
            }
        )
    table = pa.Table.from_pylist(rows)
    half_width = table["half_width"].cast("double")  # where no point has one, its type would be null
    return table.set_column(table.schema.get_field_index("half_width"), "half_width", half_width)


def write_study(directory: Path, study: Study) -> None:
    """Leave study.yaml and points.parquet; a file that would not change is not touched."""
    written = study.written()
    entries = written.pop("points")  # one at a time, which is quicker for a long list
    text = "# The study as it ran, every default written out.\n" + _yaml(written)
    text += "points:\n" + "".join(_yaml([entry]) for entry in entries)
    buffer = io.BytesIO()
    pq.write_table(describe_points(study), buffer)
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


def places(directory: Path) -> list[Place]:
    """The places of all planned points of a study folder, in plan order. Raises UsageError."""
    return [_place(directory, row) for row in _rows(directory)]


def places_and_points(directory: Path) -> Iterator[tuple[Place, DesignPoint | None]]:
    """Every place with its design point, or None where what that needs (a drive's file, one's own cell) is gone."""
    for row in _rows(directory):
        try:
            point = DesignPoint(**json.loads(row["json"]))
        except UsageError:
            point = None
        yield _place(directory, row), point if point is not None and point.key == row["point"] else None


def _place(directory: Path, row: dict[str, Any]) -> Place:
    said = json.loads(row["json"])
    place = Place(
        row["point"],
        row["cell"],
        tuple(said["horizons"]),
        row["replicates"],
        row["block"],
        f"{row['cell']} n={row['width']} {row['init']}, drive {row['drive']}",
        _observables(said["observables"], directory / "points.parquet"),
        row.get("half_width"),
        row["replicates"],
        row.get("nested", 1),
    )
    enough = decided(directory, place)
    return place if enough is None else place.first(enough)


def _observables(said: Any, path: Path) -> tuple[Observable, ...]:
    try:
        return read_observables(said)
    except PydanticCustomError as error:
        raise refused(error, f"{path}: observables") from None


def wanted(place: Place, thresholds: Thresholds) -> dict[str, Any]:
    """All that decides what is to be stored of a place, as its manifest repeats it."""
    said: dict[str, Any] = {"replicates": place.most, "observables": [one.written() for one in place.observables]}
    if place.half_width is not None:
        said |= {"half_width": place.half_width, "thresholds": thresholds.model_dump()}
    return json.loads(json.dumps(said))


def manifest(directory: Path, place: Place) -> dict[str, Any]:
    """What the manifest of a place says; nothing where there is none that can be read."""
    try:
        said = json.loads(manifest_path(directory, place).read_bytes())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def decided(directory: Path, place: Place) -> int | None:
    """How many replicates a manifest says are enough for the half-width of this place, or None."""
    if place.half_width is None:
        return None
    said = manifest(directory, place)
    enough = said.get("replicates") if said.get("half_width") == place.half_width else None
    return min(enough, place.most) if isinstance(enough, int) else None


def planned_points(directory: Path, keys: set[str]) -> list[PlannedPoint]:
    """The planned points of a study folder with these keys, in plan order. Raises UsageError where one is not there."""
    rows = [row for row in _rows(directory) if row["point"] in keys]
    strange = keys - {row["point"] for row in rows}
    if strange:
        raise UsageError(f"{directory / 'points.parquet'}: {strange.pop()} is not a design point of this study")
    planned = [
        PlannedPoint(
            point=DesignPoint(**json.loads(row["json"])),
            replicates=row["replicates"],
            half_width=row.get("half_width"),
            oracle=row.get("oracle", False),
        )
        for row in rows
    ]
    for row, one in zip(rows, planned, strict=True):
        if row["point"] != one.point.key:
            raise UsageError(
                f"{directory / 'points.parquet'}: {row['point']} was planned by another version of rnnmc or of its "
                "cell; plan the study again"
            )
    return planned
