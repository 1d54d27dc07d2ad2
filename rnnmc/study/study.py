"""A study file becomes a validated Study, and a Study a list of design points, each with a key."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from rnnmc.cells import cell as cell_named
from rnnmc.cells import source_digest
from rnnmc.cells.cell import Cell
from rnnmc.common.errors import UsageError
from rnnmc.common.registry import choose, refuse, refused, sentence, shown, usage_error
from rnnmc.drives import read_drive
from rnnmc.drives.drive import Drive
from rnnmc.drives.white import White
from rnnmc.initialisers.gaussian import Gaussian
from rnnmc.initialisers.law import NonNegative
from rnnmc.observables import read_observables
from rnnmc.observables.observable import Observable
from rnnmc.study.initialisation import Initialisation
from rnnmc.study.oracle_points import STANDARD
from rnnmc.study.replicates import MOST, Nested, Replicates
from rnnmc.study.yaml_file import check_nesting, read_yaml

ENGINE = 2  # raised whenever the same design point would give other numbers; part of every key

LOGGED_TO = 1000
PER_DECADE = 8

MOST_HORIZONS = 100_000
MOST_PER_DECADE = 10_000
MOST_POINTS = 1_000_000


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
                str(unknown[0]) if unknown else "", value, "is not {to: steps, per_decade: number} nor a list of steps"
            )
        for key in value:
            most = MOST if key == "to" else MOST_PER_DECADE
            if type(value[key]) is not int or not 1 <= value[key] <= most:
                raise refuse(key, value[key], f"is not possible; give a whole number of at least 1 and at most {most}")
        value = horizons_up_to(value["to"], value.get("per_decade", PER_DECADE))
    if not isinstance(value, (list, tuple)) or not value:
        raise refuse("", value, "is not a list of steps; give for example [10, 100, 1000] or {to: 1000, per_decade: 8}")
    if len(value) > MOST_HORIZONS:
        raise refuse("", len(value), f"horizons are too many; give at most {MOST_HORIZONS}")
    for i, step in enumerate(value):
        if type(step) is not int or not 1 <= step <= MOST:
            problem = f"is not a horizon; give a whole number of steps, at least 1 and at most {MOST}"
            raise refuse(f"[{i}]", step, problem)
        if i and step <= value[i - 1]:
            problem = "is repeated" if step == value[i - 1] else "is smaller than the one before it"
            raise refuse(f"[{i}]", step, f"{problem}; give each horizon once, in rising order")
    return tuple(value)


def _read_thresholds(value: Any) -> Any:
    if not isinstance(value, dict | Thresholds):
        raise refuse("", value, "is not a mapping; give for example {vanish: 1.0e-3, explode: 1.0e+3}")
    return value


Horizons = Annotated[tuple[int, ...], BeforeValidator(_read_horizons)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


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
            raise sentence(error, "thresholds.") from None


class DesignPoint(_Model):
    """Everything that determines the numbers of one design point, and nothing else.

    cell: name or module:attribute. width: n. init: see `rnnmc.study.initialisation`. drive: see `rnnmc.drives`.
    weights: tied (one draw for all steps) or untied (recurrent weights fresh at every step, the rest drawn once).
    state_std: of the initial state.
    horizons: steps at which the norms are stored. dtype: of the chain. seed: of the study.
    nested: how many drives share a weight draw, and how many initial states a drive. observables: what else to store
    along the chain; they look on, and change no number of the samples.
    Raises UsageError when anything is wrong, naming the key.
    """

    cell: str
    width: Annotated[int, Field(ge=1, le=100_000)]
    init: Annotated[Initialisation, BeforeValidator(Initialisation.read)] = Field(
        default="pytorch", validate_default=True
    )
    drive: Annotated[Drive, BeforeValidator(read_drive)] = White()
    weights: Literal["tied", "untied"] = "tied"
    state_std: NonNegative = 0.0
    horizons: Horizons = horizons_up_to(LOGGED_TO)
    dtype: Literal["float32", "float64"] = "float32"
    seed: Seed = 7888
    nested: Nested = Nested()
    observables: Annotated[tuple[Observable, ...], BeforeValidator(read_observables)] = ()

    def __init__(self, **values: Any) -> None:
        check_nesting(values, "")
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise sentence(error, "") from None

    @model_validator(mode="after")
    def _fits_together(self) -> DesignPoint:
        try:
            cell = self.cell_object
        except ValueError as error:
            raise refuse("cell", self.cell, str(error)) from None
        try:
            laws = self.init.laws(cell, self.width, self.drive.dimension)
            self.init.assignments(cell, self.width, self.drive.dimension)
        except PydanticCustomError as error:
            context = error.context or {}
            raise refuse(f"init.{context['path']}".strip("."), context["value"], context["problem"]) from None
        fields = laws["input"].values() if self.drive.is_field else ()
        for law in fields:
            if not isinstance(law, Gaussian):
                raise refuse("drive", self.drive.name, "needs its deviation; give init: {input: {gaussian: s}}")
            if law.modifiers():
                names = ", ".join(law.modifiers())
                raise refuse("drive", self.drive.name, f"has no input weights; remove {names} under init.input")
        try:
            self.drive.check(self.horizons[-1])
        except ValueError as error:
            raise refuse("drive", self.drive.name, str(error)) from None
        if self.nested.drives > 1 and not self.drive.is_random:
            raise refuse("drive", self.drive.name, "is the same in every draw; nest only a drive that is random")
        if self.nested.states > 1 and not self.state_std:
            raise refuse("state_std", self.state_std, "is one and the same state; nest states with state_std above 0")
        for one in self.observables:
            try:
                one.check(self)
            except ValueError as error:
                raise refuse("observables", one.name, str(error)) from None
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
            "nested": self.nested.model_dump(),
            "observables": [one.written() for one in self.observables],
        }

    @cached_property
    def key(self) -> str:
        """12 hexadecimal digits that name what determines the numbers, however it was said.

        Laws count as filled in for each gate, a file by content and not by path, a user's own cell by its source.
        """
        laws = self.init.written_laws(self.cell_object, self.width, self.drive.dimension)
        said = self.written() | {"engine": ENGINE, "init": laws}
        said.pop("observables")  # they look on; they change nothing
        if self.nested.group == 1:
            said.pop("nested")  # keys of before nested designs stay
        if digest := source_digest(self.cell):
            said["cell_source"] = digest
        if isinstance(said["drive"], dict):
            said["drive"] = {
                name: {k: v for k, v in value.items() if k != "path"} if isinstance(value, dict) else value
                for name, value in said["drive"].items()
            }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """The design point for people: `lstm n=64 pytorch white`."""
        extra = []
        if self.weights != "tied":
            extra.append(self.weights)
        if self.state_std > 0:
            extra.append(f"state {self.state_std:g}")
        if self.nested.group > 1:
            extra.append(f"nested {self.nested.drives} x {self.nested.states}")
        return " ".join([f"{self.cell} n={self.width} {self.init}, drive {self.drive}", *extra])


class PlannedPoint(_Model):
    """A design point and how many replicates of it the study wants.

    half_width: sample only until P(vanish) and P(explode) are known so well; `replicates` is then the most there are.
    oracle: it is there to check the study against its exact law, and is no part of the study's findings.
    """

    point: DesignPoint
    replicates: Annotated[int, Field(ge=1, le=MOST)]
    half_width: float | None = None
    oracle: bool = False


class Study(_Model):
    """A validated study: what to sample, and how to look at it.

    scale: what the numbers of replicates of the file were multiplied with. oracles: also sample the points of
    `rnnmc.study.oracle_points`, and check every exact law of the study. claims: decide what the article claims.
    """

    study: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: Seed = 7888
    replicates: Annotated[Replicates, BeforeValidator(Replicates.read)] = Replicates(most=1000)
    horizons: Horizons = horizons_up_to(LOGGED_TO)
    thresholds: Annotated[Thresholds, BeforeValidator(_read_thresholds)] = Thresholds()
    interval: Literal["wilson", "jeffreys", "clopper-pearson", "confidence-sequence"] = "wilson"
    oracles: bool = False
    claims: bool = False
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    points: tuple[PlannedPoint, ...]

    def written(self) -> dict[str, Any]:
        """The study as it runs, every default written out and every product taken; reads back to the same keys."""
        entries = []
        shared = {"horizons": list(self.horizons), "seed": self.seed, "replicates": self.replicates.written()}
        for planned in self.points:
            if planned.oracle:
                continue  # `oracles` says so
            entry = planned.point.written()
            entry.pop("nested")  # said under replicates
            wanted = Replicates(most=planned.replicates, half_width=planned.half_width, nested=planned.point.nested)
            entry["replicates"] = wanted.written()
            entries.append({key: value for key, value in entry.items() if shared.get(key, ...) != value})
        head = self.model_dump(exclude={"points", "horizons", "replicates", "scale"})  # the numbers below are scaled
        return head | shared | {"points": entries}


HEAD = tuple(name for name in Study.model_fields if name != "points")
_INHERITED = ("seed", "horizons")
_NEVER_A_LIST_OF_LEVELS = ("horizons", "observables")


def read_study(content: Any, source: str) -> Study:
    """The Study that `content`, the parsed YAML of `source`, describes. Raises UsageError, one sentence."""
    if not isinstance(content, dict):
        raise usage_error(f"{source}: is not a mapping; start from a file in config/")
    check_nesting(content, f"{source}: ")
    for key in content:
        if key not in Study.model_fields:
            raise usage_error(f"{source}: {key}: is an unknown key; {choose(str(key), Study.model_fields)}")
    entries = content.get("points")
    if not isinstance(entries, list) or not entries:
        problem = (
            "nothing is given"
            if entries is None
            else f"{shown(entries)} is {'empty' if entries == [] else 'not a list'}"
        )
        raise usage_error(f"{source}: points: {problem}; give a list of entries, such as - {{cell: lstm, width: 16}}")
    _refuse_too_many(entries, f"{source}: points")
    try:
        head = Study(**{key: content[key] for key in HEAD if key in content}, points=())
    except ValidationError as error:
        raise sentence(error, f"{source}: ") from None
    points, seen = [], {}
    for i, entry in enumerate(entries):
        for planned in _planned(entry, f"{source}: points[{i}]", head):
            if planned.point.key in seen:
                raise usage_error(
                    f"{source}: points[{i}]: {planned.point.label!r} is the same design point as one of "
                    f"points[{seen[planned.point.key]}]; remove one of the two"
                )
            seen[planned.point.key] = i
            points.append(planned)
    standard, whole = STANDARD if head.oracles else (), head.model_copy(update={"scale": 1.0})
    oracles = [planned for entry in standard for planned in _planned(dict(entry), f"{source}: oracles", whole)]
    points += [one.model_copy(update={"oracle": True}) for one in oracles if one.point.key not in seen]
    return head.model_copy(update={"points": tuple(points)})


def load_study(path: str | Path) -> Study:
    """Read and validate a study file. Raises UsageError, one sentence naming file, key path, value and remedy."""
    return read_study(read_yaml(path), str(path))


def _planned(entry: Any, place: str, head: Study) -> Iterator[PlannedPoint]:
    """The product of the lists of one entry of `points`."""
    if not isinstance(entry, dict):
        raise usage_error(
            f"{place}: {shown(entry)} is not a mapping; give cell, width and what else differs from the default"
        )
    known = [*(name for name in DesignPoint.model_fields if name != "nested"), "replicates"]
    for key in entry:
        if key not in known:
            raise usage_error(f"{place}.{key}: is an unknown key; {choose(str(key), known)}")
    for chosen in _products(entry, place):
        values = {key: getattr(head, key) for key in _INHERITED} | chosen
        try:
            wanted = Replicates.read(values.pop("replicates", head.replicates)).scaled(head.scale)
            point = DesignPoint(**values, nested=wanted.nested)
            yield PlannedPoint(point=point, replicates=wanted.most, half_width=wanted.half_width)
        except PydanticCustomError as error:
            raise refused(error, f"{place}.replicates") from None
        except UsageError as error:
            raise usage_error(f"{place}.{error}") from None


def _products(value: Any, place: str, key: str = "") -> list[Any]:
    """Every choice of one element from each list in `value`, as a nested structure without lists."""
    if key in _NEVER_A_LIST_OF_LEVELS:
        return [value]
    if isinstance(value, list):
        if not value:
            raise usage_error(f"{place}: [] is an empty product; give at least one value")
        return [choice for element in value for choice in _products(element, place)]
    if isinstance(value, dict):
        levels = [_products(inner, f"{place}.{name}", str(name)) for name, inner in value.items()]
        return [dict(zip(value, choice, strict=True)) for choice in itertools.product(*levels)]
    return [value]


def _refuse_too_many(entries: list[Any], place: str) -> None:
    """Raise UsageError where the products of `entries` are more than a study may have, before any is taken."""
    known: dict[int, int] = {}  # mapping or list -> number of choices: anchors may make a short file a long study

    def choices(value: Any, key: Any = "") -> int:
        if key in _NEVER_A_LIST_OF_LEVELS or not isinstance(value, dict | list):
            return 1
        if id(value) not in known:
            known[id(value)] = (
                math.prod(choices(inner, name) for name, inner in value.items())
                if isinstance(value, dict)
                else sum(choices(element) for element in value)
            )
        return known[id(value)]

    total = 0
    for i, entry in enumerate(entries):
        total += choices(entry)
        if total > MOST_POINTS:
            count = f"{total}" if total < 10**15 else "more than 10^15"
            raise usage_error(
                f"{place}[{i}]: {count} design points are too many; give at most {MOST_POINTS} in a study"
            )
