"""How many replicates: a number, as many as a precision needs, a nested design, or populations for a rare event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from rnnmc.common.refusals import choose, explain, not_number, refuse
from rnnmc.study.rare import Splitting

MOST = 2**31 - 1  # horizons and replicates are stored as int32
MOST_SHARING = 4096  # replicates of one weight draw: they run together

USUAL_POPULATIONS, FEWEST_POPULATIONS = 20, 3  # of a rare event: unless said, and of which an interval can be made

Count = Annotated[int, Field(ge=1, le=MOST)]

Goal = Literal["half_width", "relative", "events", "deviation"]
GOALS: dict[Goal, TypeAdapter[Any]] = {  # what stops, and which values it may have
    "half_width": TypeAdapter(Annotated[float, Field(gt=0, lt=0.5, allow_inf_nan=False)]),
    "relative": TypeAdapter(Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]),
    "events": TypeAdapter(Count),
    "deviation": TypeAdapter(Annotated[float, Field(gt=0, allow_inf_nan=False)]),
}
WHEN = {"at": "", "by": " by T"}
PROBABILITIES = {
    f"p_{event}_{mode}": f"P({event}{said})"
    for event in ("vanish", "stable", "explode", "dead", "overflow")
    for mode, said in WHEN.items()
} | {"p_growing": "P(growing)"}
MEAN_COLUMNS = {"mean": "the mean log-norm", "growth_rate": "the growth rate"}
QUANTILE_COLUMNS = {f"q{percent:02d}": f"the {percent} % quantile" for percent in (5, 25, 50, 75, 95)} | {
    "growth_median": "the median growth rate"
}
KNOWABLE = (
    PROBABILITIES | MEAN_COLUMNS | QUANTILE_COLUMNS
)  # columns of the statistics that may decide, and their names in a sentence
GROWTHS = ("p_growing", "growth_rate", "growth_median")  # they need a horizon at a tenth of the last
BOTH_EVENTS = ("p_vanish_at", "p_explode_at")


class Until(BaseModel):
    """When replicates are enough, looked at after every block: all at the last horizon, of the spectral norm.

    goal and value: `half_width` and `deviation`, the columns are known to +- value; `relative`, to within this part of
    themselves; `events`, so many replicates have been counted. of: one of `KNOWABLE`, or None for `BOTH_EVENTS`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    goal: Goal
    value: float
    of: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """All of these have to be known."""
        return BOTH_EVENTS if self.of is None else (self.of,)

    @classmethod
    def read(cls, said: dict[str, Any]) -> Until:
        """{relative: 0.1, of: p_explode_at}, and so on: one goal, and of what where that is said."""
        goal: Goal = next(one for one in GOALS if one in said)
        try:
            value = GOALS[goal].validate_python(said[goal], strict=True)
        except ValidationError as error:
            raise refuse(goal, *explain(error.errors()[0] | {"loc": (goal,)})) from None
        of = said.get("of")
        if goal == "deviation" and of is None:
            raise refuse("of", "nothing", "is given; name a column of the statistics, such as growth_rate")
        if goal == "half_width" and of is not None:
            raise refuse("of", of, "is not for half_width; give deviation in its place")
        known = PROBABILITIES if goal == "events" else KNOWABLE
        if of is not None and of not in known:
            raise refuse(
                "of", of, f"cannot be {'counted' if goal == 'events' else 'waited for'}; {choose(str(of), known)}"
            )
        return cls(goal=goal, value=value, of=of)

    def written(self) -> dict[str, Any]:
        """The inverse of `read`."""
        value = int(self.value) if self.goal == "events" else self.value
        return {self.goal: value} | ({} if self.of is None else {"of": self.of})

    def told(self) -> str:
        """For a sentence: `to know P(explode) to within 10 %`."""
        what = " and ".join(KNOWABLE[column] for column in self.columns)
        if self.goal == "events":
            return f"to count {self.value:,.0f} replicates {'each ' if self.of is None else ''}of {what}"
        return f"to know {what} " + (
            f"to within {self.value:.3g} of {'themselves' if self.of is None else 'itself'}"
            if self.goal == "relative"
            else f"to +- {self.value:g}"
        )


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

    most: replicates in all. until: stop before, once this is reached. nested: which of them share draws. splitting: how
    `most` populations look for a rare event, as far as that is said; None where replicates are plain.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    most: Count
    until: Until | None = None
    nested: Nested = Nested()
    splitting: dict[str, Any] | None = None

    @classmethod
    def read(cls, value: Any) -> Replicates:
        """A number, what `Until` reads with a max, {weights: W, drives: D, states: S}, or {splitting: {...}}."""
        if isinstance(value, cls):
            return value
        if isinstance(value, dict) and "splitting" in value:
            return cls._read_splitting(value)
        said = value if isinstance(value, dict) else {"max": value}
        goals = [goal for goal in GOALS if goal in said]
        stops = said.keys() <= {*GOALS, "of", "max"} and len(goals) <= 1
        if isinstance(value, list) or not said or not (stops or said.keys() <= {"weights", "drives", "states"}):
            forms = "{half_width: 0.01, max: 100000}, {relative: 0.1, max: 100000}, {events: 100, max: 100000}, "
            forms += "{deviation: 0.001, of: growth_rate, max: 100000} {weights: 200, drives: 10} "
            forms += "or {splitting: {event: explode}}"
            raise refuse("", value, f"is not a number of replicates; give a number, {forms}")
        for name in said.keys() - {*GOALS, "of"}:
            most = MOST_SHARING if name in ("drives", "states") else MOST
            if type(said[name]) is not int or not 1 <= said[name] <= most:
                path = name if isinstance(value, dict) else ""
                problem = (
                    f"is {not_number(said[name])}not possible; give a whole number of at least 1 and at most {most}"
                )
                raise refuse(path, said[name], problem)
        if isinstance(value, dict):
            for needed in ((goals or ["half_width"])[0], "max") if stops else ("weights",):
                if said.get(needed) is None:
                    raise refuse(needed, "nothing", "is given; this key is needed")
        nested = Nested(drives=said.get("drives", 1), states=said.get("states", 1))
        if nested.group > MOST_SHARING or said.get("weights", 1) * nested.group > MOST:
            raise refuse("", value, f"are too many; give at most {MOST_SHARING} a weight draw and {MOST} in all")
        most = said["weights"] * nested.group if "weights" in said else said["max"]
        until = Until.read(said) if goals else None
        if until is not None and until.goal == "events" and until.value > most:
            raise refuse("events", said["events"], f"is more than max ({most}); give fewer, or more replicates")
        return cls(most=most, until=until, nested=nested)

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
        count = said.get("populations", USUAL_POPULATIONS)
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

        A goal is kept, but no more events are waited for than there may be replicates. Raises a refusal where these are
        too many.
        """
        fewest = 1 if self.splitting is None else FEWEST_POPULATIONS
        whole = max(fewest, round(min(self.most / self.nested.group * factor, MOST + 1.0))) * self.nested.group
        if whole > MOST:
            wanted = f"{self.most * factor:.4g}"
            raise refuse("", wanted, f"replicates are too many; give a smaller scale, for at most {MOST}")
        until = self.until
        if until is not None and until.goal == "events":
            until = until.model_copy(update={"value": min(until.value, float(whole))})
        return self.model_copy(update={"most": whole, "until": until})

    def written(self) -> Any:
        """The inverse of `read`."""
        if self.splitting is not None:
            return {"splitting": self.splitting | {"populations": self.most}}
        if self.until is not None:
            return self.until.written() | {"max": self.most}
        if self.nested.group > 1:
            return {"weights": self.most // self.nested.group} | self.nested.model_dump()
        return self.most
