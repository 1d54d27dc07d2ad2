"""How many replicates: a number, as many as a precision needs, a nested design, or populations for a rare event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rnnmc.common.refusals import choose, explain, refuse
from rnnmc.study.rare import Splitting

MOST = 2**31 - 1  # horizons and replicates are stored as int32
MOST_SHARING = 4096  # replicates of one weight draw: they run together

POPULATIONS, FEWEST_POPULATIONS = 20, 3  # of a rare event: unless said, and of which an interval can be made

Count = Annotated[int, Field(ge=1, le=MOST)]


class Nested(BaseModel):
    """Which replicates share draws: each weight draw meets `drives` drives, and each of those `states` initial states.

    Replicate r has weight draw r // (drives states), and drive r // states; every replicate has a state of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    drives: Annotated[int, Field(ge=1, le=MOST_SHARING)] = 1
    states: Annotated[int, Field(ge=1, le=MOST_SHARING)] = 1

    @property
    def group(self) -> int:
        """Replicates of one weight draw."""
        return self.drives * self.states


class Replicates(BaseModel):
    """What a study file says under `replicates:`.

    most: replicates in all. half_width: stop before, once the 95 % confidence sequences of P(vanish) and P(explode)
    at the last horizon are that narrow. nested: which of them share draws. splitting: how `most` populations look for a
    rare event, as far as that is said; None where replicates are plain.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    most: Count
    half_width: Annotated[float, Field(gt=0, lt=0.5, allow_inf_nan=False)] | None = None
    nested: Nested = Nested()
    splitting: dict[str, Any] | None = None

    @classmethod
    def read(cls, value: Any) -> Replicates:
        """A number, {half_width: h, max: N}, {weights: W, drives: D, states: S}, or {splitting: {event: explode}}."""
        if isinstance(value, cls):
            return value
        if isinstance(value, dict) and "splitting" in value:
            return cls._read_splitting(value)
        said = value if isinstance(value, dict) else {"max": value}
        known = said.keys() <= {"half_width", "max"} or said.keys() <= {"weights", "drives", "states"}
        if isinstance(value, list) or not said or not known:
            forms = "{half_width: 0.01, max: 100000}, {weights: 200, drives: 10} or {splitting: {event: explode}}"
            raise refuse("", value, f"is not a number of replicates; give a number, {forms}")
        for name in said:
            most = MOST_SHARING if name in ("drives", "states") else MOST
            if name != "half_width" and (type(said[name]) is not int or not 1 <= said[name] <= most):
                path = name if isinstance(value, dict) else ""
                raise refuse(path, said[name], f"is not possible; give a whole number of at least 1 and at most {most}")
        if isinstance(value, dict):
            for needed in ("half_width", "max") if said.keys() & {"half_width", "max"} else ("weights",):
                if said.get(needed) is None:
                    raise refuse(needed, "nothing", "is given; this key is needed")
        nested = Nested(drives=said.get("drives", 1), states=said.get("states", 1))
        if nested.group > MOST_SHARING or said.get("weights", 1) * nested.group > MOST:
            raise refuse("", value, f"are too many; give at most {MOST_SHARING} a weight draw and {MOST} in all")
        most = said["weights"] * nested.group if "weights" in said else said["max"]
        try:
            return cls(most=most, half_width=said.get("half_width"), nested=nested)
        except ValidationError as error:
            raise refuse("half_width", *explain(error.errors()[0])) from None

    @classmethod
    def _read_splitting(cls, value: dict[str, Any]) -> Replicates:
        said = value["splitting"]
        for key in value:
            if key != "splitting":
                raise refuse(
                    str(key), value[key], "does not go with splitting, which draws every network anew; leave it"
                )
        known = ("populations", *Splitting.model_fields)
        if not isinstance(said, dict) or "event" not in said:
            raise refuse("splitting", said, f"does not say the event; give {{event: explode}}, with {', '.join(known)}")
        for key in said:
            if key not in known:
                raise refuse(f"splitting.{key}", said[key], f"is under an unknown key; {choose(str(key), known)}")
        count = said.get("populations", POPULATIONS)
        if type(count) is not int or not FEWEST_POPULATIONS <= count <= MOST:
            problem = f"is not possible; give a whole number of at least {FEWEST_POPULATIONS}"
            raise refuse("splitting.populations", count, problem)
        return cls(most=count, splitting={key: one for key, one in said.items() if key != "populations"})

    def split(self, thresholds: Mapping[str, float]) -> Splitting | None:
        """How populations look for the rare event, None where replicates are plain; raises UsageError.

        thresholds: vanish and explode of the study, unless splitting says its own.
        """
        if self.splitting is None:
            return None
        return Splitting.checked(**{name: float(one) for name, one in thresholds.items()} | self.splitting)

    def scaled(self, factor: float) -> Replicates:
        """So many times as many, at least one: of weight draws in a nested design, of the most there may be otherwise.

        Raises a refusal where they are too many.
        """
        fewest = 1 if self.splitting is None else FEWEST_POPULATIONS
        whole = max(fewest, round(self.most / self.nested.group * factor)) * self.nested.group
        if whole > MOST:
            raise refuse("", whole, f"replicates are too many; give a smaller scale, for at most {MOST}")
        return self.model_copy(update={"most": whole})

    def written(self) -> Any:
        """The inverse of `read`."""
        if self.splitting is not None:
            return {"splitting": self.splitting | {"populations": self.most}}
        if self.half_width is not None:
            return {"half_width": self.half_width, "max": self.most}
        if self.nested.group > 1:
            return {"weights": self.most // self.nested.group} | self.nested.model_dump()
        return self.most
