"""A study file becomes a validated Study, and a Study a list of design points, each with a key."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model, model_validator

from rnnmc.cells import cell as cell_named
from rnnmc.cells.cell import Cell
from rnnmc.drives import read_drive
from rnnmc.drives.drive import Drive
from rnnmc.drives.white import White
from rnnmc.errors import UsageError
from rnnmc.initialisation import Initialisation
from rnnmc.initialisers.gaussian import Gaussian
from rnnmc.observables import observables as known_observables
from rnnmc.registry import choose, explain, refuse

ENGINE = 1  # raised whenever the same design point would give other numbers; part of every key

LOGGED_TO = 1000
PER_DECADE = 8


def horizons_up_to(last: int, per_decade: int = PER_DECADE) -> tuple[int, ...]:
    """Horizons (steps) evenly spaced in the logarithm from 1 to `last`, `last` included."""
    count = int(per_decade * len(str(last))) + 1
    grid = {round(10 ** (i / per_decade)) for i in range(count)}
    return (*sorted(h for h in grid if h < last), last)


def _read_horizons(value: Any) -> Any:
    if isinstance(value, dict):
        unknown = [key for key in value if key not in ("to", "per_decade")]
        if unknown or "to" not in value:
            raise refuse(
                unknown[0] if unknown else "", value, "is not {to: steps, per_decade: number} nor a list of steps"
            )
        for key in value:
            if type(value[key]) is not int or value[key] < 1:
                raise refuse(key, value[key], "is not possible; give a whole number of at least 1")
        return horizons_up_to(value["to"], value.get("per_decade", PER_DECADE))
    if not isinstance(value, (list, tuple)) or not value:
        raise refuse("", value, "is not a list of steps; give for example [10, 100, 1000] or {to: 1000, per_decade: 8}")
    for i, step in enumerate(value):
        if type(step) is not int or step < 1:
            raise refuse(f"[{i}]", step, "is not a horizon; give a whole number of steps, at least 1")
        if i and step <= value[i - 1]:
            problem = "is repeated" if step == value[i - 1] else "is smaller than the one before it"
            raise refuse(f"[{i}]", step, f"{problem}; give each horizon once, in rising order")
    return tuple(value)


def _read_observables(value: Any) -> Any:
    for name in value if isinstance(value, (list, tuple)) else [value]:
        if name not in known_observables():
            raise refuse("", name, f"is not an observable; {choose(str(name), known_observables())}")
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)


class Thresholds(_Model):
    """Below `vanish` a norm has vanished, above `explode` it has exploded (both on the norm itself, not its log)."""

    vanish: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-3
    explode: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e3

    @model_validator(mode="after")
    def _ordered(self) -> Thresholds:
        if self.vanish >= self.explode:
            raise refuse("vanish", self.vanish, f"is not below explode ({self.explode:g}); give vanish < explode")
        return self

    @classmethod
    def checked(cls, **values: Any) -> Thresholds:
        """Thresholds(**values), with UsageError for what cannot be."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise UsageError(_sentence(error, "thresholds.")) from None


class DesignPoint(_Model):
    """Everything that determines the numbers of one design point, and nothing else.

    cell: name or module:attribute. width: n. init: see `rnnmc.initialisation`. drive: see `rnnmc.drives`.
    weights: tied (one draw for all steps) or untied (fresh at every step). state_std: of the initial state.
    horizons: steps at which the norms are stored. dtype: of the chain. seed: of the study.
    Raises UsageError when anything is wrong, naming the key.
    """

    cell: str
    width: Annotated[int, Field(ge=1)]
    init: Annotated[Initialisation, BeforeValidator(Initialisation.read)] = Field(
        default="pytorch", validate_default=True
    )
    drive: Annotated[Drive, BeforeValidator(read_drive)] = White()
    weights: Literal["tied", "untied"] = "tied"
    state_std: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    horizons: Annotated[tuple[int, ...], BeforeValidator(_read_horizons)] = horizons_up_to(LOGGED_TO)
    dtype: Literal["float32", "float64"] = "float32"
    seed: Annotated[int, Field(ge=0)] = 7888
    observables: Annotated[tuple[str, ...], BeforeValidator(_read_observables)] = ("norms",)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise UsageError(_sentence(error, "")) from None

    @model_validator(mode="after")
    def _fits_together(self) -> DesignPoint:
        try:
            cell = self.cell_object
        except ValueError as error:
            raise refuse("cell", self.cell, str(error)) from None
        try:
            laws = self.init.laws(cell, self.width, self.drive.dimension)
            self.init.assignments(cell, self.width, self.drive.dimension)
        except Exception as error:
            if getattr(error, "type", "") != "refused":
                raise
            context = error.context  # pyright: ignore[reportAttributeAccessIssue]
            raise refuse(f"init.{context['path']}".strip("."), context["value"], context["problem"]) from None
        if self.drive.is_field and not all(isinstance(law, Gaussian) for law in laws["input"].values()):
            raise refuse("drive", self.drive.name, "needs its deviation; give init: {input: {gaussian: s}}")
        try:
            self.drive.check(self.horizons[-1])
        except ValueError as error:
            raise refuse("drive", self.drive.name, str(error)) from None
        return self

    @cached_property
    def cell_object(self) -> Cell:
        """The cell that `cell` names."""
        return cell_named(self.cell)

    @property
    def state_size(self) -> int:
        """d, the length of the joint state."""
        return self.width * len(self.cell_object.parts)

    def written(self) -> dict[str, Any]:
        """The design point as an entry of a study file would say it, every default written out."""
        return {
            "cell": self.cell,
            "width": self.width,
            "init": self.init.written(),
            "drive": self.drive.written(),
            "weights": self.weights,
            "state_std": self.state_std,
            "dtype": self.dtype,
            "horizons": list(self.horizons),
            "seed": self.seed,
            "observables": list(self.observables),
        }

    @cached_property
    def key(self) -> str:
        """12 hexadecimal digits that name what determines the numbers (a file counts by content, not by path)."""
        said = self.written() | {"engine": ENGINE}
        said.pop("observables")  # they look on; they change nothing
        if isinstance(said["drive"], dict):
            said["drive"] = {
                name: {k: v for k, v in value.items() if k != "path"} if isinstance(value, dict) else value
                for name, value in said["drive"].items()
            }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """The design point for people: `lstm n=64 pytorch white`."""
        extra = [self.weights] * (self.weights != "tied") + [f"state {self.state_std:g}"] * (self.state_std > 0)
        return " ".join([f"{self.cell} n={self.width} {self.init}, drive {self.drive}", *extra])


class PlannedPoint(_Model):
    """A design point and how many replicates of it the study wants."""

    point: DesignPoint
    replicates: Annotated[int, Field(ge=1)]


class Study(_Model):
    """A validated study: what to sample, and how to look at it."""

    study: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: Annotated[int, Field(ge=0)] = 7888
    replicates: Annotated[int, Field(ge=1)] = 1000
    horizons: Annotated[tuple[int, ...], BeforeValidator(_read_horizons)] = horizons_up_to(LOGGED_TO)
    thresholds: Thresholds = Thresholds()
    interval: Literal["wilson", "jeffreys", "clopper-pearson", "confidence-sequence"] = "wilson"
    points: tuple[PlannedPoint, ...]

    def written(self) -> dict[str, Any]:
        """The study as it runs, every default written out and every product taken; reads back to the same keys."""
        entries = []
        for planned in self.points:
            entry = planned.point.written() | {"replicates": planned.replicates}
            shared = {"horizons": list(self.horizons), "seed": self.seed, "replicates": self.replicates}
            entries.append({key: value for key, value in entry.items() if shared.get(key, ...) != value})
        head = self.model_dump(exclude={"points", "horizons"})
        return head | {"horizons": list(self.horizons), "points": entries}


_HEAD = tuple(name for name in Study.model_fields if name != "points")
_INHERITED = ("seed", "horizons")
_NEVER_A_LIST_OF_LEVELS = ("horizons", "observables")


def read_study(content: Any, source: str) -> Study:
    """The Study that `content`, the parsed YAML of `source`, describes. Raises UsageError, one sentence."""
    if not isinstance(content, dict):
        raise UsageError(f"{source}: is not a mapping; start from a file in config/")
    for key in content:
        if key not in Study.model_fields:
            raise UsageError(f"{source}: {key}: is an unknown key; {choose(str(key), Study.model_fields)}")
    entries = content.get("points")
    if not isinstance(entries, list) or not entries:
        raise UsageError(
            f"{source}: points: {entries!r} is empty; give a list of entries, such as - {{cell: lstm, width: 16}}"
        )
    try:
        head = Study(**{key: content[key] for key in _HEAD if key in content}, points=())
    except ValidationError as error:
        raise UsageError(_sentence(error, f"{source}: ")) from None
    points, seen = [], {}
    for i, entry in enumerate(entries):
        for planned in _planned(entry, f"{source}: points[{i}]", head):
            if planned.point.key in seen:
                raise UsageError(
                    f"{source}: points[{i}]: {planned.point.label!r} is the same design point as one of "
                    f"points[{seen[planned.point.key]}]; remove one of the two"
                )
            seen[planned.point.key] = i
            points.append(planned)
    return head.model_copy(update={"points": tuple(points)})


def load_study(path: str | Path) -> Study:
    """Read and validate a study file. Raises UsageError, one sentence naming file, key path, value and remedy."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{path}: cannot be read: {reason}; give a study file such as config/default.yaml") from None
    try:
        content = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}" if mark else ""
        raise UsageError(f"{path}:{place} is not YAML: {getattr(error, 'problem', error)}") from None
    return read_study(content, str(path))


class _Loader(yaml.SafeLoader):
    """YAML with two traps closed: 1e-3 is a number, and a key given twice is refused."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(problem=f"the key {key!r} is given twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


_EXPONENT = re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))


def _planned(entry: Any, place: str, head: Study) -> Iterator[PlannedPoint]:
    """The product of the lists of one entry of `points`."""
    if not isinstance(entry, dict):
        raise UsageError(
            f"{place}: {entry!r} is not a mapping; give cell, width and what else differs from the default"
        )
    known = [*DesignPoint.model_fields, "replicates"]
    for key in entry:
        if key not in known:
            raise UsageError(f"{place}.{key}: is an unknown key; {choose(str(key), known)}")
    for chosen in _products(entry, place):
        values = {key: getattr(head, key) for key in _INHERITED} | chosen
        replicates = values.pop("replicates", head.replicates)
        try:
            yield PlannedPoint(point=DesignPoint(**values), replicates=replicates)
        except ValidationError as error:
            raise UsageError(_sentence(error, f"{place}.")) from None
        except UsageError as error:
            raise UsageError(f"{place}.{error}") from None


def _products(value: Any, place: str, key: str = "") -> list[Any]:
    """Every choice of one element from each list in `value`, as a nested structure without lists."""
    if key in _NEVER_A_LIST_OF_LEVELS:
        return [value]
    if isinstance(value, list):
        if not value:
            raise UsageError(f"{place}: [] is an empty product; give at least one value")
        return [choice for element in value for choice in _products(element, place)]
    if isinstance(value, dict):
        levels = [_products(inner, f"{place}.{name}", str(name)) for name, inner in value.items()]
        return [dict(zip(value, choice, strict=True)) for choice in itertools.product(*levels)]
    return [value]


def _sentence(error: ValidationError, prefix: str) -> str:
    """The first mistake of a pydantic error as one sentence: prefix, key path, value, problem and remedy."""
    first = error.errors()[0]
    value, problem = explain(first)
    path = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
    inner = (first.get("ctx") or {}).get("path", "")
    path = f"{path}{'' if inner.startswith('[') or not inner or not path else '.'}{inner}"
    shown = value if isinstance(value, str) else json.dumps(value, default=str)
    return f"{prefix}{path}: {shown} {problem}"


def study_schema() -> dict[str, Any]:
    """The JSON schema of a study file, for editors and Snakemake; every factor may be a list of levels."""
    number = {"type": "integer", "minimum": 1}
    horizons = {"oneOf": [{"type": "object"}, {"type": "array", "items": number, "minItems": 1}]}
    anything = {"type": ["string", "object", "array"]}
    custom = {"horizons": horizons, "init": anything, "drive": anything, "observables": {"type": ["string", "array"]}}
    shapes = {name: DesignPoint.model_fields[name] for name in DesignPoint.model_fields if name not in custom}
    factors: dict[str, Any] = dict(custom)
    for name, field in [*shapes.items(), ("replicates", PlannedPoint.model_fields["replicates"])]:
        one = _json_type(field)
        factors[name] = {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}
    head = {name: _json_type(Study.model_fields[name]) for name in _HEAD if name not in ("horizons", "thresholds")}
    entry = {"type": "object", "additionalProperties": False, "required": ["cell", "width"], "properties": factors}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rnnmc study",
        "type": "object",
        "additionalProperties": False,
        "required": ["study", "points"],
        "properties": head
        | {"horizons": horizons, "thresholds": Thresholds.model_json_schema()}
        | {"points": {"type": "array", "minItems": 1, "items": entry}},
    }


def _json_type(field: Any) -> dict[str, Any]:
    schema = create_model("One", value=(field.annotation, field)).model_json_schema()["properties"]["value"]
    return {key: value for key, value in schema.items() if key != "title"}
