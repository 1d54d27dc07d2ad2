"""Options of the command line become what a study file would say, and numbers what JSON can say."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticCustomError

from rnnmc.common.errors import UsageError
from rnnmc.common.refusals import refused, shown
from rnnmc.study.rare import Splitting
from rnnmc.study.replicates import GOALS, Replicates

if TYPE_CHECKING:
    import polars as pl

    from rnnmc.cells.cell import Cell


MOST_UNASKED = 1_000_000  # replicates until a goal is reached, where nobody says how many


def parsed(text: str) -> Any:
    """An option's value, in YAML as in a study file: a plain word or number, or a mapping. Raises UsageError."""
    from rnnmc.study.yaml_file import yaml_of

    return yaml_of(text, f"{text!r} is neither a name nor a mapping such as '{{ar1: 0.9}}':")


def replicates_wanted(replicates: int, half_width: float | None, until: str | None) -> Replicates:
    """What --replicates, --target-half-width and --until say: so many, or up to a million until a goal is reached.

    until: in YAML, as a study file would say it under `replicates`; a max is not needed. Raises UsageError.
    """
    if half_width is not None and until is not None:
        raise UsageError(f"--until: {until} is a second goal beside --target-half-width; give one of the two")
    if half_width is not None and not 0 < half_width < 0.5:
        raise UsageError(f"--target-half-width: {half_width:g} is not possible; give a number between 0 and 0.5")
    said = replicates if until is None else parsed(until)
    if until is not None and not (isinstance(said, dict) and said.keys() & GOALS.keys()):
        raise UsageError(
            f"--until: {shown(said)} is not a goal; give for example '{{relative: 0.1, of: p_explode_at}}'"
        )
    if half_width is not None:
        said = {"half_width": half_width}
    try:
        return Replicates.read({"max": MOST_UNASKED} | said if isinstance(said, dict) else said)
    except PydanticCustomError as error:
        raise refused(error, "--replicates" if until is None else "--until") from None


def splitting_wanted(**said: Any) -> Splitting:
    """What --rare, --particles, --smallest, --vanish and --explode say. Raises UsageError, which names the option."""
    try:
        return Splitting.checked(**said)
    except UsageError as error:
        raise UsageError(re.sub(r"^splitting\.", "--", str(error)).replace("--event:", "--rare:", 1)) from None


def known_device(value: str) -> str:
    """`value`, if it is a device. Raises UsageError."""
    if value not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device: {value} is not a device; give auto, cpu or cuda")
    return value


def known_cell(name: str) -> Cell:
    """The cell of this name, or one's own by module:attribute. Raises UsageError."""
    from rnnmc.cells import cell

    try:
        return cell(name)
    except ValueError as error:
        raise UsageError(f"{name} {error}") from None


def initialisation(
    init: str | None, gain: float | None, input_std: float | None, bias: list[str], cell: str = ""
) -> Any:
    """The initialisation that --init, --gain, --input-std and --bias describe, as a study file would say it.

    init: None where nothing is said, which is what `unsaid` gives for the cell.
    """
    from rnnmc.initialisers import laws
    from rnnmc.study.initialisation import unsaid

    said: Any = unsaid(cell) if init is None else parsed(init)
    if isinstance(said, str) and said in laws():
        if gain is None and laws()[said].model_fields[laws()[said].main or ""].is_required():
            raise UsageError(f"--gain: nothing is given; --init {said} needs it, for example --gain 1")
        said = {"recurrent": {said: gain}}
    elif gain is not None:
        raise UsageError(f"--gain: {gain:g} goes with a law such as --init gaussian, not with {shown(said)}")
    if input_std is None and not bias:
        return said
    roles: dict[str, Any] = dict(said) if isinstance(said, dict) else {"preset": said}
    if input_std is not None:
        roles["input"] = {"gaussian": input_std}
    of_gates = roles.get("bias", {})
    of_gates = dict(of_gates) if isinstance(of_gates, dict) else {"constant": of_gates}
    for one in bias:
        name, _, value = one.partition("=")
        try:
            of_gates[name] = float(value)
        except ValueError:
            raise UsageError(f"--bias: {one!r} is not NAME=VALUE; give for example --bias forget=1") from None
    return roles | ({"bias": of_gates} if of_gates else {})


def in_rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table for JSON, which has no infinities: they become the texts "Infinity" and "-Infinity"."""
    return [{name: _in_json(value) for name, value in row.items()} for row in frame.to_dicts()]


def _in_json(value: Any) -> Any:
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def steps_of(horizons: str) -> tuple[int, ...]:
    """The steps of --horizons, with commas between. Raises UsageError for what is no whole number."""
    try:
        return tuple(int(part) for part in horizons.split(","))
    except ValueError:
        raise UsageError(f"--horizons: {horizons!r} is not a list of steps; give for example 10,100,1000") from None
