"""A rare event: what is to happen to the norm, by which step, and the score that says how near a replicate comes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import numpy as np
from pydantic import ConfigDict, Field, ValidationError, model_validator

from rnnmc.common.arrays import Floats
from rnnmc.common.refusals import choose, refuse, sentence
from rnnmc.study.limits import Limits

EventName = Literal["vanish_at", "vanish_by", "stable_at", "stable_by", "explode_at", "explode_by"]
EVENTS: tuple[EventName, ...] = get_args(EventName)
LEAST_PARTICLES, MOST_PARTICLES = 100, 1_000_000
SMALLEST = 1e-12
POWERS = range(-15, 16)


class Splitting(Limits):
    """How the populations of a design point are run, beside how many: part of its key.

    event: of `rnnmc.statistics.point`, at or by the last horizon. particles: networks of a population. smallest:
    probability at which a population gives up. vanish, explode: thresholds on the norm itself. norm: that is meant.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    event: EventName
    particles: Annotated[int, Field(ge=LEAST_PARTICLES, le=MOST_PARTICLES)] = 500
    smallest: Annotated[float, Field(ge=1e-300, lt=1, allow_inf_nan=False)] = SMALLEST
    norm: Literal["log_spectral", "log_rms", "log_tangent"] = "log_spectral"

    @classmethod
    def checked(cls, **values: Any) -> Splitting:
        """Splitting(**values), with UsageError for what cannot be."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise sentence(error, "splitting.") from None

    @model_validator(mode="before")
    @classmethod
    def _event(cls, values: Any) -> Any:
        """`explode` means `explode_at`."""
        said = values.get("event") if isinstance(values, dict) else None
        if said is None:
            return values
        name = f"{said}_at" if f"{said}_at" in EVENTS else said
        if name not in EVENTS:
            raise refuse("event", said, f"is not an event; {choose(str(said), EVENTS)}")
        return values | {"event": name}


@dataclass(frozen=True)
class RareEvent:
    """An event with the horizons (steps, rising) at which the norm is looked at: of "at" T the last alone."""

    splitting: Splitting
    horizons: tuple[int, ...]

    @classmethod
    def of(cls, splitting: Splitting, horizons: tuple[int, ...]) -> RareEvent:
        """That of a design point with these horizons."""
        return cls(splitting, horizons if splitting.event.endswith("_by") else horizons[-1:])

    @property
    def told(self) -> str:
        """For people: `explode at 100 (norm above 1000)`."""
        limits = {"vanish": f"below {self.splitting.vanish:g}", "explode": f"above {self.splitting.explode:g}"}
        limits["stable"] = f"from {self.splitting.vanish:g} to {self.splitting.explode:g}"
        return f"{self.splitting.event.replace('_', ' ')} {self.horizons[-1]} (norm {limits[self.kind]})"

    @property
    def kind(self) -> str:
        """vanish, stable or explode."""
        return self.splitting.event.partition("_")[0]

    @property
    def level(self) -> float:
        """The event is a score of at least so much, nats."""
        if self.kind == "stable":
            return 0.0
        return self._beyond(self.splitting.explode if self.kind == "explode" else self.splitting.vanish)

    @property
    def asked(self) -> list[float]:
        """Scores of the powers of ten, so that P against the threshold has numbers that others can be held against."""
        return [] if self.kind == "stable" else sorted(self._beyond(10.0**power) for power in POWERS)

    def _beyond(self, norm: float) -> float:
        """The least score of a norm that passes this one, which itself is stable."""
        return math.nextafter(math.log(norm) if self.kind == "explode" else -math.log(norm), math.inf)

    def threshold(self, score: Floats) -> Floats:
        """The threshold on the norm of which these scores would be the level; of `stable`, e^score."""
        with np.errstate(over="ignore"):
            return np.exp(-score if self.kind == "vanish" else score)

    def score(self, log_norm: Floats) -> Floats:
        """(R,) how near each replicate comes, nats, of (R, horizons) log-norms.

        explode: the log-norm, by T the largest before any that has vanished; vanish: the same upside down; stable: how
        far inside the thresholds, by T at the nearest.
        """
        low, high = math.log(self.splitting.vanish), math.log(self.splitting.explode)
        if self.kind == "stable":
            return np.minimum(high - log_norm, log_norm - low).min(axis=1)
        sign = 1.0 if self.kind == "explode" else -1.0
        lost = log_norm < low if self.kind == "explode" else log_norm > high
        before = np.ones_like(lost)
        before[:, 1:] = ~np.logical_or.accumulate(lost, axis=1)[:, :-1]
        return np.where(before, sign * log_norm, -np.inf).max(axis=1)
