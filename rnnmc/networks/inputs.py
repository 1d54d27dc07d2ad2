"""What a given network reads: sequences of a drive, or numbers from a file as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydantic_core import PydanticCustomError

from rnnmc.common.arrays import Floats
from rnnmc.common.errors import UsageError
from rnnmc.common.refusals import refused
from rnnmc.drives import read_drive
from rnnmc.drives.drive import Drive

ARRAY = "give (steps, inputs), or (sequences, steps, inputs), of finite numbers"


def inputs_of(
    said: Any, dimension: int, steps: int, sequences: int, seed: int, place: str = "--drive"
) -> tuple[Floats, str]:
    """(x, (steps, sequences, dimension) float64; its name for people).

    said: as under `drive:` of a study file, or the path of a .npy file, whose numbers are taken as they are: those of a
    drive have unit variance. There is one sequence where a drive has but one. place: the option that says it.
    Raises UsageError.
    """
    if isinstance(said, Path):
        return _array(said, dimension, steps, sequences), said.name
    try:
        drive = _as_wide(said, dimension)
        drive.check(steps)
    except PydanticCustomError as error:
        raise refused(error, place) from None
    except ValueError as error:
        raise UsageError(f"{place}: {error}") from None
    if drive.dimension == 0:
        return np.zeros((steps, 1, dimension)), drive.label
    many = sequences if drive.is_random else 1
    piece = next(iter(drive.pieces(np.random.default_rng(seed), (steps, many, dimension))))
    return np.asarray(piece, np.float64), drive.label


def _as_wide(said: Any, dimension: int) -> Drive:
    """The drive, of this dimension where it says none. Raises ValueError for one of another."""
    drive = read_drive(said)
    if drive.is_field:
        raise ValueError(f"{drive.name} is a field on every gate, and a given network has input weights; give another")
    if drive.dimension in (0, dimension):
        return drive
    if "dimension" not in drive.model_fields_set and drive.dimension == 1 and not hasattr(drive, "columns"):
        return type(drive).model_validate(drive.said() | {"dimension": dimension})
    raise ValueError(f"{drive.label} has {drive.dimension} inputs, and the layer reads {dimension}; give as many")


def _array(path: Path, dimension: int, steps: int, sequences: int) -> Floats:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"--series: {path} is no array that can be read ({error}); {ARRAY}") from None
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu" or not np.isfinite(found).all():
        raise UsageError(f"--series: {path} is no array of finite numbers; {ARRAY}")
    found = found[:, None] if found.ndim == 1 else found
    if found.ndim not in (2, 3) or found.shape[-1] != dimension:
        shape = " x ".join(str(size) for size in found.shape)
        raise UsageError(f"--series: {path} is {shape}, and the layer reads {dimension} inputs; {ARRAY}")
    have = found.shape[-2]
    if have < steps:
        raise UsageError(f"--series: {path} has {have} steps, fewer than {steps}; give --steps {have} or a longer one")
    if found.ndim == 3:
        return np.asarray(found[:sequences, :steps].swapaxes(0, 1), np.float64)
    starts = np.unique(np.linspace(0, have - steps, sequences).astype(int))  # evenly over the series
    return np.stack([found[at : at + steps] for at in starts], axis=1).astype(np.float64)
