"""A law of theory against what every law promises, and against chains at design points where it says it holds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from scipy.special import ndtri

from rnnmc.cells import cells
from rnnmc.common.checks import CHECK_FALSE_ALARM, CheckResult, Mistake, checked, described, hold
from rnnmc.common.errors import UsageError, raised
from rnnmc.statistics.oracles import FEWEST_OF_A_MEAN, LADDER, judged, of_measure
from rnnmc.study.oracle_points import STANDARD
from rnnmc.study.point import DesignPoint
from rnnmc.theory.law import Law, LogNorm, Prediction

REPLICATES = 2000  # of an exact law; the mean of so many is normal
WIDE = {"width": 128, "dtype": "float64", "horizons": (20, 60)}  # where a law of large width is measured
WIDE_REPLICATES = 4
SCATTER = 0.06  # nats a step, at that width: half of 1/sqrt n = 0.088 of the edge of a spectrum of 128 eigenvalues
PREDICTED_AT = 4  # points at which predictions are looked at
MEASURED = 2  # of them, where chains are run
LEVELS = (-20.0, -2.0, 0.1, 2.0)  # nats
TURNS = (4, 6, 8, len(LADDER))  # probabilities near 0.1, 0.5 and 0.9, and a mean
SIGMAS = -float(ndtri(CHECK_FALSE_ALARM / 2 / 400))  # no law is judged on more numbers than 400

FED = {"input": {"gaussian": 0.5}}
INITS: tuple[Any, ...] = (
    "pytorch", "keras", "flax",
    *(FED | {"recurrent": law} for law in (
        {"gaussian": 1.2}, {"gaussian": 2**0.5}, {"gaussian": 1.2, "clip": 1.0}, {"uniform": 1.2}, {"orthogonal": 1.0},
        {"orthogonal": 1.2}, {"identity": 1.0}, {"constant": 0.0},
    )),
    FED | {"recurrent": {"constant": 0.0}, "bias": {"uniform": 1.0}},
    FED | {"recurrent": {"gaussian": 1.2}, "bias": {"chrono": 20.0}},
    FED, {"recurrent": {"ring": {"outer": 1.0, "inner": 0.9}}}, {"recurrent": {"ring": 1.1}},
)  # fmt: skip
DRIVES = ("none", "field", {"white": 2}, "ar1", "constant")


@cache
def wide_list() -> tuple[DesignPoint, ...]:
    """Design points of every cell, initialisation, drive and kind of weights, and those of `oracle_points`."""
    known = [{key: value for key, value in one.items() if key != "replicates"} for one in STANDARD]
    for cell, init, drive, weights in itertools.product(cells(), INITS, DRIVES, ("tied", "untied")):
        said = {"cell": cell, "init": init, "drive": drive, "weights": weights, "horizons": (1, 4, 20)}
        known += [said | {"width": width, "state_std": state} for width in (1, 6) for state in (0.0, 1.0)]
    return tuple(point for said in known if (point := _point(said)) is not None)


def _point(said: Mapping[str, Any]) -> DesignPoint | None:
    try:
        return DesignPoint(**said)
    except UsageError:  # a cell that has no such weights
        return None


def check_law(law: Law, seed: int = 7888) -> list[CheckResult]:
    """The results of every check of this law of theory; never raises for a mistake of the law.

    Where it holds is looked for among its `examples` and the `wide_list`. seed: of the chains. False alarms have a
    probability of at most CHECK_FALSE_ALARM over all seeds, but for what a law of large width leaves to a finite one:
    SCATTER nats a step, which holds for the cells and laws that are there.
    """
    fit: list[DesignPoint] = []

    def over(check, points: int, *more: int) -> Any:
        def each() -> Iterator[float]:
            hold(bool(fit), "there is no point where it holds")
            own = fit[: len(law.examples)]
            several = {point.key: point for point in (*own, *fit[:: max(1, len(fit) // points)])}
            for point in list(several.values())[:points]:
                yield from check(law, point, *more) or ()

        return each

    found = [
        described(law, "name", "formula", "source"),
        checked(
            "applies", "it says of any design point whether it holds, and holds at some", lambda: _applies(law, fit)
        ),
        checked("predicts", "it says something where it holds, and no number is NaN", over(_predicts, PREDICTED_AT)),
        checked(
            "probabilities",
            "between 0 and 1, of all events together 1, rising with the level",
            over(_events, PREDICTED_AT),
            1e-9,
        ),
        checked("moments", "means are finite, and no variance is below 0", over(_moments, PREDICTED_AT), 1e-12),
    ]
    if law.exact:
        said = f"chains are as it says, in standard errors: beyond the allowed with probability {CHECK_FALSE_ALARM:.0e}"
        found.append(checked("chains", said, over(_exactly, MEASURED, seed), SIGMAS))
    else:
        said = f"chains of width {WIDE['width']} grow as it says, nats a step"
        found.append(checked("chains", said, over(_growth, MEASURED, seed), SCATTER))
    return found


def _applies(law: Law, fit: list[DesignPoint]) -> None:
    hold(isinstance(law.exact, bool), f"exact is {law.exact!r}")
    for said in law.examples:
        hold(law.applies(DesignPoint(**said)), f"it does not hold at its own example {said}")
    for point in (*(DesignPoint(**said) for said in law.examples), *wide_list()):
        try:
            holds = law.applies(point)
        except Exception as error:
            raise Mistake(f"at {point.label} it raises {raised(error)}") from None
        hold(isinstance(holds, (bool, np.bool_)), f"at {point.label} it says {holds!r}")
        fit += [point] if holds else []
    hold(bool(fit), "no point is one where it holds; give it `examples`, as a study file would say them")


def _predicts(law: Law, point: DesignPoint) -> None:
    said = law.predict(point)
    hold(isinstance(said, Prediction), f"at {point.label} it predicts {said!r}")
    numbers = [said.growth_rate, said.onset_gain, said.growth_error]
    told = [number for number in numbers[:-1] if number is not None]
    hold(bool(told or said.log_norm or said.explode_at_most or said.spectrum), f"at {point.label} it says nothing")
    hold(not any(math.isnan(number) for number in told), f"at {point.label} a number is NaN")
    hold(min(said.growth_error, said.onset_error) >= 0, "an error is below 0")


def _norms(law: Law, point: DesignPoint) -> Iterator[tuple[str, LogNorm, int]]:
    for measure, norm in law.predict(point).log_norm.items():
        yield from ((measure, norm, horizon) for horizon in point.horizons)


def _events(law: Law, point: DesignPoint) -> Iterator[float]:
    for measure, norm, horizon in _norms(law, point):
        dead, below = norm.dead(horizon), [norm.below(level, horizon) for level in LEVELS]
        known = [one for one in below if one is not None]
        above = [one for level in LEVELS if (one := norm.above(level, horizon)) is not None]
        for p in (dead, *known, *above):
            yield max(0.0, -p, p - 1)
        yield from (max(0.0, a - b) for a, b in itertools.pairwise([dead, *known]))
        yield from (max(0.0, b - a) for a, b in itertools.pairwise(above))
        for low, high in itertools.combinations(LEVELS, 2):
            one, other = norm.below(low, horizon), norm.above(high, horizon)
            yield 0.0 if one is None or other is None else max(0.0, one + other - 1)
        values = norm.values(horizon)
        hold(list(values) == sorted(values), f"the values of {measure} are not in rising order at {point.label}")
        if not values:  # no value has a probability of its own
            pairs = zip(below, (norm.above(level, horizon) for level in LEVELS), strict=True)
            yield from (abs(one + other - 1) for one, other in pairs if one is not None and other is not None)
    if bound := law.predict(point).explode_at_most:
        most = [bound(level, horizon) for horizon in point.horizons for level in LEVELS]
        yield from (max(0.0, -p, p - 1) for p in most)


def _moments(law: Law, point: DesignPoint) -> Iterator[float]:
    for measure, norm, horizon in _norms(law, point):
        if (moments := norm.moments(horizon)) is not None:
            hold(
                math.isfinite(sum(moments)),
                f"{measure} has the moments {moments} after {horizon} steps of {point.label}",
            )
            yield max(0.0, -moments[1])


def _measured(point: DesignPoint, replicates: int, seed: int) -> pl.DataFrame:
    """The samples of the first so many replicates of the design point with this seed, log_vector beside the norms."""
    from rnnmc.engine.block import partition
    from rnnmc.observables import read_observables
    from rnnmc.run.checks.observable import looked

    said = {name: getattr(point, name) for name in DesignPoint.model_fields} | {"seed": seed}
    _, tables = looked(said, read_observables("vector"), min(replicates, partition(point).block))
    samples, seen = (pl.DataFrame(pl.from_arrow(tables[name])) for name in ("samples", "vector"))
    return samples.hstack(seen.select("log_vector"))


def _exactly(law: Law, point: DesignPoint, seed: int) -> Iterator[float]:
    said, samples = law.predict(point), _measured(point, REPLICATES, seed)
    point = point.model_copy(update={"seed": seed})
    for measure, norm, horizon in _norms(law, point):
        if measure in samples.columns:
            own = of_measure(samples.filter(pl.col("horizon") == horizon), measure)
            for turn in TURNS:
                found = judged(norm, horizon, own, turn, "wilson", 0.95, point)
                few = (1 - norm.dead(horizon)) * own.height < FEWEST_OF_A_MEAN
                if found is not None and not (few and found["quantity"] == "mean"):
                    where = (
                        f"{measure} after {horizon} steps of {point.label}: {found['estimate']}, not {found['truth']}"
                    )
                    score = abs(found["score"] or 0.0)
                    hold(found["holds"] if found["quantity"] == "certain" else score <= SIGMAS, where)
                    yield score
    if (bound := said.explode_at_most) is None:
        return
    for horizon in point.horizons:
        own = samples.filter(pl.col("horizon") == horizon)["log_spectral"].to_numpy()
        for level in (*LEVELS, float(own.max()) - 1e-6):
            most = bound(level, horizon)
            yield max(0.0, float((own > level).mean()) - most) / math.sqrt(max(most * (1 - most), 1e-9) / len(own))


def _growth(law: Law, point: DesignPoint, seed: int) -> Iterator[float]:
    """Of the RMS norm between two horizons of a wide network, less what is predicted there."""
    wide = _point({name: getattr(point, name) for name in DesignPoint.model_fields} | WIDE)
    if wide is None or not law.applies(wide):
        return
    said, samples = law.predict(wide), _measured(wide, WIDE_REPLICATES, seed)
    if said.growth_rate is not None:
        first, last = (samples.filter(pl.col("horizon") == horizon)["log_rms"].to_numpy() for horizon in wide.horizons)
        rate = float((last - first).mean()) / (wide.horizons[1] - wide.horizons[0])
        hold(math.isfinite(rate), f"the chain of {wide.label} has died or overflowed")
        yield max(0.0, abs(rate - said.growth_rate) - SIGMAS * said.growth_error)
