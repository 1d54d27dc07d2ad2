"""The kinds of input sequence, one file each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, cast

from rnnmc.common.refusals import choose, refuse
from rnnmc.common.registry import offered
from rnnmc.drives.drive import Drive


def drives() -> dict[str, type[Drive]]:
    """name -> kind of drive."""
    return offered("rnnmc.drives", "DRIVE")


def read_drive(value: Any) -> Drive:
    """Parse what stands under `drive:`: a name, {name: main value} or {name: {parameter: value}}."""
    if isinstance(value, Drive):
        return value
    if isinstance(value, str):
        value = {value: None}
    if not isinstance(value, dict) or len(value) != 1:
        raise refuse("", value, f"does not name one drive; {choose('', drives())}")
    name, parameters = next(iter(value.items()))
    if name not in drives():
        raise refuse("", name, f"is not a drive; {choose(str(name), drives())}")
    return cast(Drive, drives()[name].read(parameters, str(name)))


def label_of(said: Any) -> str:
    """The label of a drive that `Drive.written` said, without reading it again: its file may be gone."""
    drive = _unread(said)
    return drive if isinstance(drive, str) else drive.label


def _unread(said: Any) -> Drive | str:
    """The drive that `Drive.written` said, unchecked; its name where it was somebody's own, which is here no more."""
    name, value = (said, None) if isinstance(said, str) else next(iter(said.items()))
    if name not in drives():
        return str(name)
    kind = drives()[name]
    parameters = value if isinstance(value, dict) else {} if value is None else {str(kind.main): value}
    return kind.model_construct(**parameters)


def is_as_wide(said: Any, width: int) -> bool:
    """Whether the drive that `Drive.written` said has as many dimensions as this network of several units."""
    drive = _unread(said)
    return isinstance(drive, Drive) and not drive.is_field and drive.dimension == width > 1


def labels_of(points: Iterable[str]) -> list[str]:
    """The labels of the drives of design points, each as points.parquet says it in JSON.

    A dimension that is the width is m = n, so that points of all widths can be compared.
    """
    said = [json.loads(one) for one in points]
    labels = [(label_of(one["drive"]), is_as_wide(one["drive"], one.get("width", 0))) for one in said]
    return [f"{label.rpartition(' = ')[0]} = n" if as_wide else label for label, as_wide in labels]
