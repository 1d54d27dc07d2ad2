"""A design point: everything that determines the numbers, and the key that is made of it."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from rnnmc.cells import cell as cell_named
from rnnmc.cells import cell_source
from rnnmc.cells.cell import Cell
from rnnmc.cells.stacked import stack_name
from rnnmc.common.arrays import plain
from rnnmc.common.refusals import refuse, sentence
from rnnmc.common.sources import OwnSource, source_of
from rnnmc.drives import read_drive
from rnnmc.drives.drive import Drive
from rnnmc.drives.white import White
from rnnmc.initialisers.constant import Constant
from rnnmc.initialisers.gaussian import Gaussian
from rnnmc.initialisers.identity import Identity
from rnnmc.initialisers.law import NonNegative
from rnnmc.initialisers.rotations import Rotations
from rnnmc.study.initialisation import LAYERS_LISTED, Initialisation, near_layers, of_layer, unsaid
from rnnmc.study.rare import RareEvent, Splitting
from rnnmc.study.replicates import MOST, Nested
from rnnmc.study.yaml_file import check_nesting

OF_REPLICATES = ("nested", "splitting")  # factors that a study file says under replicates
ENGINE = 4  # raised whenever the same design point would give other numbers; part of every key. The next is 13
ENGINE_ABOVE = 1024, 5  # with more units in all layers: they have the few directions of torch again
ENGINE_UP_TO = 16, 9  # with at most so many: replicates are carried otherwise
ENGINE_APART = 10  # units of a layer have nothing to do with each other: most are followed unit by unit
ENGINE_SPLITTING = 13  # populations

MOST_LAYERS = 64
LOGGED_TO = 1000
PER_DECADE = 8

MOST_HORIZONS = 100_000
MOST_PER_DECADE = 10_000


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


Horizons = Annotated[tuple[int, ...], BeforeValidator(_read_horizons)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class Model(BaseModel):
    """What a study file says is read strictly, and is the same ever after."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)


class DesignPoint(Model):
    """Everything that determines the numbers of one design point, and nothing else.

    cell: name or module:attribute. width: n, of each layer. layers, residual: see `rnnmc.cells.stacked`. init: see
    `rnnmc.study.initialisation`, where `unsaid` is the default. drive: see `rnnmc.drives`. A layer of a framework, such
    as torch.nn.LSTM, may stand for both cell and init, or under init in place of the cell.
    weights: tied (one draw for all steps) or untied (recurrent weights, and those between layers, fresh at every step,
    the rest drawn once).
    state_std: of the initial state.
    horizons: steps at which the norms are stored. dtype: of the chain. seed: of the study.
    nested: how many drives share a weight draw, and how many initial states a drive.
    splitting: how populations estimate the probability of one rare event; None where replicates are plain.
    Raises UsageError when anything is wrong, naming the key.
    """

    cell: str
    width: Annotated[int, Field(ge=1, le=100_000)]
    layers: Annotated[int, Field(ge=1, le=MOST_LAYERS)] = 1
    residual: bool = False
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
    splitting: Splitting | None = None

    def __init__(self, **values: Any) -> None:
        check_nesting(values, "")
        try:
            super().__init__(**plain(values))
        except ValidationError as error:
            raise sentence(error, "") from None

    @model_validator(mode="before")
    @classmethod
    def _of_layer(cls, values: Any) -> Any:
        said = of_layer(values)
        return said | {"init": unsaid(said.get("cell"))} if isinstance(said, dict) and "init" not in said else said

    @model_validator(mode="after")
    def _fits_together(self) -> DesignPoint:
        try:
            cell_named(self.cell)
        except ValueError as error:
            near = near_layers(self.cell) if "." in self.cell and ":" not in self.cell else []
            layer = f"is neither a cell nor a layer; did you mean {' or '.join(near)}? {LAYERS_LISTED}"
            raise refuse("cell", self.cell, layer if near else str(error)) from None
        try:
            cell = self.cell_object
        except ValueError as error:
            where = "residual" if self.residual else "layers"
            raise refuse(where, getattr(self, where), str(error)) from None
        try:
            laws = self.init.laws(cell, self.width, self.drive.dimension)
            self.init.assignments(cell, self.width, self.drive.dimension)
        except PydanticCustomError as error:
            context = error.context or {}
            raise refuse(f"init.{context['path']}".strip("."), context["value"], context["problem"]) from None
        if cell.vectors and self.weights == "untied":
            raise refuse("weights", self.weights, f"is for matrices, and {cell.name} has vector weights; give tied")
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
        if self.splitting and self.nested.group > 1:
            raise refuse("nested", self.nested.group, "replicates that share draws do not go with splitting; leave it")
        return self

    @property
    def rare_event(self) -> RareEvent:
        """The event that is split for. Raises ValueError where there is none."""
        if self.splitting is None:
            raise ValueError(f"{self.label} has plain replicates")
        return RareEvent.of(self.splitting, self.horizons)

    @cached_property
    def cell_object(self) -> Cell:
        """The cell that `cell` names, in so many layers."""
        return cell_named(self.cell, self.layers, self.residual)

    @property
    def state_size(self) -> int:
        """d, the length of the joint state."""
        return self.width * len(self.cell_object.parts)

    def written(self) -> dict[str, Any]:
        """The design point as an entry of a study file would say it, every default written out."""
        return {
            "cell": self.cell,
            "width": self.width,
            "layers": self.layers,
            "residual": self.residual,
            "init": self.init.written(),
            "drive": self.drive.written(),
            "weights": self.weights,
            "state_std": self.state_std,
            "dtype": self.dtype,
            "horizons": list(self.horizons),
            "seed": self.seed,
            "nested": self.nested.model_dump(),
        } | ({"splitting": self.splitting.model_dump()} if self.splitting else {})

    @cached_property
    def key(self) -> str:
        """12 hexadecimal digits that name what determines the numbers, however it was said.

        Laws count as filled in for each gate, a file by content and not by path; a cell, a law or a drive of one's own
        by its source and all that this imports.
        """
        laws = self.init.written_laws(self.cell_object, self.width, self.drive.dimension)
        said = self.written() | {"engine": self._engine(), "init": laws, "drive": self.drive.counted()}
        if self.nested.group == 1:
            said.pop("nested")  # keys of before nested designs stay
        if self.layers == 1:  # and of before layers
            del said["layers"]
        if not self.residual:
            del said["residual"]
        names = {self.cell: "cell_source"}
        sources = {names.get(name, f"source of {name}"): one.digest for name, one in self.sources().items()}
        said |= {name: digest for name, digest in sources.items() if digest}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]

    def _engine(self) -> int:
        """The `ENGINE` since which points of this kind have their numbers."""
        units, (above, wide), (up_to, narrow) = self.width * self.layers, ENGINE_ABOVE, ENGINE_UP_TO
        if self.splitting:
            return ENGINE_SPLITTING
        if self.units_apart:
            return ENGINE_APART
        return narrow if units <= up_to else wide if units > above else ENGINE

    @cached_property
    def units_apart(self) -> bool:
        """Whether units of a layer have nothing to do with each other: recurrent matrices are multiples of the
        identity, zero, turn pairs alone, or are none.

        Their products may differ by any power, and change their order, so that neither few directions nor one exponent
        can stand for all of them.
        """
        if not cell_named(self.cell).has_matrices:
            return True
        laws = self.init.laws(self.cell_object, self.width, self.drive.dimension).get("recurrent", {}).values()
        alone = [
            isinstance(law, (Identity, Rotations)) or (isinstance(law, Constant) and law.value == 0) for law in laws
        ]
        return self.layers == 1 and all(alone)

    @property
    def chain_dtype(self) -> str:
        """dtype of the chain: float64 for units that are apart in several layers, whatever is asked for.

        What a unit of a lower layer does to those above is a row of numbers that drift apart among themselves.
        """
        return "float64" if self.units_apart and self.layers > 1 else self.dtype

    def sources(self) -> dict[str, OwnSource]:
        """What of it may be somebody's own -> its source: the cell by name, `drive` and `law` before theirs."""
        roles = self.init.laws(self.cell_object, self.width, self.drive.dimension).values()
        kinds = {f"drive {self.drive.name}": type(self.drive)}
        kinds |= {f"law {law.name}": type(law) for law_of in roles for law in law_of.values()}
        return {self.cell: cell_source(self.cell)} | {name: source_of(kind) for name, kind in kinds.items()}

    @property
    def label(self) -> str:
        """The design point for people: `lstm n=64 pytorch, drive white, m = 1, untied`."""
        extra = []
        if self.weights != "tied":
            extra.append(self.weights)
        if self.state_std > 0:
            extra.append(f"state {self.state_std:g}")
        if self.nested.group > 1:
            extra.append(f"nested {self.nested.drives} x {self.nested.states}")
        if self.splitting:
            extra.append(f"split for {self.splitting.event.replace('_', ' ')} {self.horizons[-1]}")
        cell = stack_name(self.cell, self.layers, self.residual)
        return ", ".join([f"{cell} n={self.width} {self.init}, drive {self.drive.label}", *extra])
