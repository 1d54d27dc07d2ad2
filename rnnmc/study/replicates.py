"""How many replicates: a number, as many as a precision needs, or a nested design whose draws are shared."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rnnmc.common.refusals import explain, refuse

MOST = 2**31 - 1  # horizons and replicates are stored as int32
MOST_SHARING = 4096  # replicates of one weight draw: they run together

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
    at the last horizon are that narrow. nested: which of them share draws.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    most: Count
    half_width: Annotated[float, Field(gt=0, lt=0.5, allow_inf_nan=False)] | None = None
    nested: Nested = Nested()

    @classmethod
    def read(cls, value: Any) -> Replicates:
        """A number, {half_width: h, max: N}, or {weights: W, drives: D, states: S}."""
        if isinstance(value, cls):
            return value
        said = value if isinstance(value, dict) else {"max": value}
        known = said.keys() <= {"half_width", "max"} or said.keys() <= {"weights", "drives", "states"}
        if isinstance(value, list) or not said or not known:
            forms = "{half_width: 0.01, max: 100000} or {weights: 200, drives: 10}"
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

    def scaled(self, factor: float) -> Replicates:
        """So many times as many, at least one: of weight draws in a nested design, of the most there may be otherwise.

        Raises a refusal where they are too many.
        """
        whole = max(1, round(self.most / self.nested.group * factor)) * self.nested.group
        if whole > MOST:
            raise refuse("", whole, f"replicates are too many; give a smaller scale, for at most {MOST}")
        return self.model_copy(update={"most": whole})

    def written(self) -> Any:
        """The inverse of `read`."""
        if self.half_width is not None:
            return {"half_width": self.half_width, "max": self.most}
        if self.nested.group > 1:
            return {"weights": self.most // self.nested.group} | self.nested.model_dump()
        return self.most
