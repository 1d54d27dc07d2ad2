"""A study file becomes a validated Study: a list of design points, and how many replicates of each are wanted."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from rnnmc.common.errors import UsageError
from rnnmc.common.refusals import choose, refuse, refused, sentence, shown
from rnnmc.common.sources import OwnSource, source_of
from rnnmc.observables import read_observables
from rnnmc.observables.observable import Observable
from rnnmc.study.address import ResultsAddress
from rnnmc.study.limits import Limits
from rnnmc.study.oracle_points import STANDARD
from rnnmc.study.point import LOGGED_TO, OF_REPLICATES, DesignPoint, Horizons, Model, Seed, horizons_up_to
from rnnmc.study.replicates import GROWTHS, MOST, Replicates, Until
from rnnmc.study.yaml_file import check_nesting, read_yaml

MOST_POINTS = 1_000_000


def _read_thresholds(value: Any) -> Any:
    if not isinstance(value, dict | Thresholds):
        raise refuse("", value, "is not a mapping; give for example {vanish: 1.0e-3, explode: 1.0e+3}")
    return value


class Thresholds(Limits, Model):
    """Below `vanish` a norm has vanished, above `explode` it has exploded (both on the norm itself, not its log)."""

    @classmethod
    def checked(cls, **values: Any) -> Thresholds:
        """Thresholds(**values), with UsageError for what cannot be."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise sentence(error, "thresholds.") from None


class PlannedPoint(Model):
    """A design point, how many replicates of it the study wants, and what it looks at along their chains.

    until: sample only until this is reached; `replicates` is then the most there are.
    observables: what is stored beside the samples; they look on, and change no number of these.
    oracle: it is there to check the study against its exact law, and is no part of the study's findings.
    """

    point: DesignPoint
    replicates: Annotated[int, Field(ge=1, le=MOST)]
    until: Until | None = None
    observables: Annotated[tuple[Observable, ...], BeforeValidator(read_observables)] = ()
    oracle: bool = False

    @model_validator(mode="after")
    def _can_be_known(self) -> PlannedPoint:
        first, last = self.point.horizons[0], self.point.horizons[-1]
        if self.until is not None and self.until.of in GROWTHS and 10 * first > last:
            problem = f"is of the last decade; give a horizon of at most {last / 10:g}, a tenth of the last"
            raise refuse("replicates.of", self.until.of, problem)
        return self

    @model_validator(mode="after")
    def _can_be_seen(self) -> PlannedPoint:
        for one in self.observables:
            try:
                one.check(self.point)
            except ValueError as error:
                raise refuse("observables", one.name, str(error)) from None
        return self

    def sources(self) -> dict[str, OwnSource]:
        """As of its design point, and with `observable` before theirs those of what it looks at."""
        return self.point.sources() | {f"observable {one.name}": source_of(type(one)) for one in self.observables}

    def row(self) -> dict[str, Any]:
        """As a row of a table: the key, every factor as text or number, what is wanted; and as an entry, in JSON."""
        point = self.point
        return {
            "point": point.key,
            "cell": point.cell,
            "width": point.width,
            "layers": point.layers,
            "residual": point.residual,
            "init": str(point.init),
            "drive": str(point.drive),
            "m": None if point.drive.is_field else point.drive.dimension,
            "weights": point.weights,
            "state_std": float(point.state_std),
            "dtype": point.dtype,
            "seed": point.seed,
            "horizon": point.horizons[-1],
            "replicates": self.replicates,
            "half_width": self.until.value if self.until is not None and self.until.goal == "half_width" else None,
            "until": None if self.until is None else json.dumps(self.until.written()),
            "oracle": self.oracle,
            "nested": point.nested.group,
            "json": json.dumps(point.written() | {"observables": [one.written() for one in self.observables]}),
        }

    @classmethod
    def checked(cls, **values: Any) -> PlannedPoint:
        """PlannedPoint(**values), with UsageError for what cannot be."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise sentence(error, "") from None


class Study(Model):
    """A validated study: what to sample, and how to look at it.

    scale: what the numbers of replicates of the file are multiplied with. scaled: by how much they have been multiplied
    already, a record that changes nothing. oracles: also sample the points of
    `rnnmc.study.oracle_points`, and check every exact law of the study. claims: decide what the article claims.
    question: what the page asks at its head, in place of words of its own. results: an address where a copy of all that
    the study leaves is to lie, below its name.
    """

    study: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: Seed = 7888
    replicates: Annotated[Replicates, BeforeValidator(Replicates.read)] = Replicates(most=1000)
    horizons: Horizons = horizons_up_to(LOGGED_TO)
    thresholds: Annotated[Thresholds, BeforeValidator(_read_thresholds)] = Thresholds()
    interval: Literal["wilson", "jeffreys", "clopper-pearson", "confidence-sequence"] = "wilson"
    oracles: bool = False
    claims: bool = False
    question: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    results: ResultsAddress | None = None
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    scaled: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    points: tuple[PlannedPoint, ...]

    def written(self) -> dict[str, Any]:
        """The study as it runs, every default written out and every product taken; reads back to the same keys."""
        entries = []
        shared = {"horizons": list(self.horizons), "seed": self.seed, "replicates": self.replicates.written()}
        for planned in self.points:
            if planned.oracle:
                continue  # `oracles` says so
            entry = planned.point.written()
            for name in OF_REPLICATES:  # said under replicates
                entry.pop(name, None)
            entry["observables"] = [one.written() for one in planned.observables]
            split = planned.point.splitting
            wanted = Replicates(
                most=planned.replicates,
                until=planned.until,
                nested=planned.point.nested,
                splitting=None if split is None else split.model_dump(),
            )
            entry["replicates"] = wanted.written()
            entries.append({key: value for key, value in entry.items() if shared.get(key, ...) != value})
        head = self.model_dump(exclude={"points", "horizons", "replicates", "scale"})  # the numbers below are scaled
        head["scaled"] = by if (by := self.scale * (self.scaled or 1.0)) != 1.0 else None
        head = {name: value for name, value in head.items() if value is not None}
        return head | shared | {"points": entries}


HEAD = tuple(name for name in Study.model_fields if name != "points")
_INHERITED = ("seed", "horizons")
_NEVER_A_LIST_OF_LEVELS = ("horizons", "observables", "columns", "missing")


Hold = Callable[[DesignPoint], None]  # raises UsageError where a design point is not to be measured


def read_study(content: Any, source: str, hold: Hold | None = None) -> Study:
    """The Study that `content`, the parsed YAML of `source`, describes. Raises UsageError, one sentence.

    hold: what every design point is held to beside what is said here.
    """
    if not isinstance(content, dict):
        raise UsageError(f"{source}: is not a mapping; start from a file in config/")
    check_nesting(content, f"{source}: ")
    for key in content:
        if key not in Study.model_fields:
            raise UsageError(f"{source}: {key}: is an unknown key; {choose(str(key), Study.model_fields)}")
    entries = content.get("points")
    if not isinstance(entries, list) or not entries:
        problem = (
            "nothing is given"
            if entries is None
            else f"{shown(entries)} is {'empty' if entries == [] else 'not a list'}"
        )
        raise UsageError(f"{source}: points: {problem}; give a list of entries, such as - {{cell: lstm, width: 16}}")
    _refuse_too_many(entries, f"{source}: points")
    try:
        head = Study(**{key: content[key] for key in HEAD if key in content}, points=())
    except ValidationError as error:
        raise sentence(error, f"{source}: ") from None
    points, seen = [], {}
    for i, entry in enumerate(entries):
        for planned in _planned(entry, f"{source}: points[{i}]", head, hold):
            if planned.point.key in seen:
                raise UsageError(
                    f"{source}: points[{i}]: {planned.point.label!r} is the same design point as one of "
                    f"points[{seen[planned.point.key]}]; remove one of the two"
                )
            seen[planned.point.key] = i
            points.append(planned)
    if all(planned.point.splitting for planned in points):
        raise UsageError(
            f"{source}: points: every entry has splitting; give one more of plain replicates, to compare with"
        )
    standard, whole = STANDARD if head.oracles else (), head.model_copy(update={"scale": 1.0})
    oracles = [planned for entry in standard for planned in _planned(dict(entry), f"{source}: oracles", whole)]
    points += [one.model_copy(update={"oracle": True}) for one in oracles if one.point.key not in seen]
    return head.model_copy(update={"points": tuple(points)})


def load_study(path: str | Path, hold: Hold | None = None, instead: Mapping[str, Any] | None = None) -> Study:
    """Read and validate a study file, as `read_study` does what is in it.

    instead: values of the file's top level that replace what it says. Raises UsageError, one sentence naming file, key
    path, value and remedy.
    """
    said = read_yaml(path)
    return read_study(said | dict(instead) if instead and isinstance(said, dict) else said, str(path), hold)


def _planned(entry: Any, place: str, head: Study, hold: Hold | None = None) -> Iterator[PlannedPoint]:
    """The product of the lists of one entry of `points`."""
    if not isinstance(entry, dict):
        raise UsageError(
            f"{place}: {shown(entry)} is not a mapping; give cell, width and what else differs from the default"
        )
    known = [*(name for name in DesignPoint.model_fields if name not in OF_REPLICATES), "observables", "replicates"]
    for key in entry:
        if key not in known:
            raise UsageError(f"{place}.{key}: is an unknown key; {choose(str(key), known)}")
    for chosen in _products(entry, place):
        values = {key: getattr(head, key) for key in _INHERITED} | chosen
        try:
            wanted = Replicates.read(values.pop("replicates", head.replicates)).scaled(head.scale)
            seen = {"observables": values.pop("observables")} if "observables" in values else {}
            splitting = wanted.split(head.thresholds.model_dump())
            point = DesignPoint(**values, nested=wanted.nested, splitting=splitting)
            if hold:
                hold(point)
            yield PlannedPoint.checked(point=point, replicates=wanted.most, until=wanted.until, **seen)
        except PydanticCustomError as error:
            raise refused(error, f"{place}.replicates") from None
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
            raise UsageError(f"{place}[{i}]: {count} design points are too many; give at most {MOST_POINTS} in a study")
