"""From samples to statistics: what the replicates of one design point say at every stored horizon.

Log-norms are natural logarithms (nats), horizons numbers of steps. Infinities are results and stay in: a dead
chain has log-norm -inf and has vanished, an overflown one +inf and has exploded; both count in every
probability and quantile. The dead have no finite log-norm to average: means leave them out and are conditional
on survival. The overflown have one that is not known: means over the others would leave out the fastest, and
are null. Nothing is NaN: what is undefined or not known is null. docs/physics.md sections 3.6, 4 and 8.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rnnmc.chain.norms import MEASURES, TANGENT
from rnnmc.common.arrays import Flags, Floats
from rnnmc.statistics.growth import BY_NORM, NORM, TANGENT_VECTOR, Estimator, growth_columns
from rnnmc.statistics.intervals import binomial_interval
from rnnmc.statistics.rates import decade_start, rate_columns
from rnnmc.statistics.resampling import share_bands, share_intervals, shares, sums_by_draw

EVENTS = ("vanish", "stable", "explode", "dead", "overflow")
BANDED = EVENTS[:3]  # those with a simultaneous band
MODES = ("at", "by")
PERCENTS = (5, 25, 50, 75, 95)


class SampleRectangle(NamedTuple):
    """The samples of one design point as a rectangle: rows are replicates, columns horizons.

    In memory a horizon lies in one piece, for that is what statistics are made of.
    """

    point: str
    horizons: NDArray[np.int64]  # (horizons,) in steps, rising
    log_norms: dict[str, Floats]  # measure -> (replicates, horizons) in nats
    tangent: Floats  # (replicates, horizons) log_tangent in nats, NaN where it was not stored
    dead: Flags  # (replicates, horizons)
    overflow: Flags  # (replicates, horizons)
    errors: dict[str, Floats]  # measure -> (horizons,) largest that a log-norm is said to be off by, nats; NaN: none


def point_statistics(
    samples: pl.DataFrame | SampleRectangle,
    vanish: float,
    explode: float,
    interval: str = "wilson",
    level: float = 0.95,
    group: int = 1,
    estimator: Estimator = BY_NORM,
    can_die: bool = True,
) -> pl.DataFrame:
    """Probabilities, moments, quantiles and growth rate of one design point, one row a (horizon, measure).

    samples: one row a (replicate, horizon), in any order: point, block, replicate, horizon (steps),
    log_spectral and log_rms (nats; -inf where dead, +inf where overflown), status (ok, dead or overflow), and
    log_tangent (nats) unless they were stored before there was one.
    Every replicate must have every horizon. Or what `rectangle` has made of them.
    vanish, explode: thresholds on the norm itself. Vanished is log-norm < log(vanish), exploded
    > log(explode), stable everything between, the thresholds included.
    group: replicates that share one weight draw: those that follow each other in (block, replicate), of which the last
    draw may have fewer. Intervals, bands and errors are from weight draws, never from rows: see `resampling`.
    estimator: of the growth rate (`rnnmc.statistics.growth.estimator_of` a design point). can_die: whether a norm of
    zero is one, as `rnnmc.Cell.can_die` says, and not one that a step has shrunk beyond the range of float64.

    Columns: point, horizon, measure ("log_spectral", "log_rms"), replicates, weight_draws; for each event of vanish,
    stable, explode, dead, overflow and each mode of at, by the columns `<event>_<mode>_count`, `p_<event>_<mode>` and,
    pointwise, `p_<event>_<mode>_low` and `p_<event>_<mode>_high`, and for vanish, stable and explode the band over all
    horizons at once, `p_<event>_<mode>_band_low` and `p_<event>_<mode>_band_high`; ok_count, the replicates with status
    ok, which are those behind the next three and the growth rate; mean and deviation (ddof = 1) of their log-norms, and
    deviation_error, the standard error of the latter to first order, from three weight draws on; q05 to q95 of all
    log-norms, infinities included: order statistics, NumPy's "inverted_cdf", which never interpolate; the growth rate
    and its errors (nats a step; see `rnnmc.statistics.growth.growth_columns` and `growth_rate`), the interval of that
    mean, the median and the share that grows, each with its own (see `rnnmc.statistics.rates.rate_columns`);
    numerical_error, the largest that any log-norm is said to be off by beside rounding (nats), null where all are
    computed in full, infinite where a step was beyond the range of float64; and the settings behind the row:
    threshold_vanish, threshold_explode, interval, level.

    Where ok_count < replicates, mean, deviation and growth rate are conditional on survival: of those that have not
    died. From the first horizon at which any replicate has overflowed, they and their errors are null: what the fastest
    replicates have grown to is not known, and the rest are no fair sample.

    "At" T is where the norm is at T. "By" T is what happened first: vanish_by, explode_by are the shares
    whose first excursion beyond a threshold, at or before T, went down or up, stable_by the share that has
    had none; the three sum to one (competing risks: as all are followed to the end, the cumulative incidence is this
    plain share). dead_by and overflow_by are the shares that have ever been so. Crossings are seen at stored
    horizons only (interval-censored): an excursion between two of them leaves no trace, and a first passage
    lies somewhere in the interval before the horizon that shows it.

    Raises ValueError, naming the point, for samples that are no such rectangle, hold more than one point, or
    whose log-norms and status contradict each other; and, before any work, for thresholds that are not
    0 < vanish < explode, an unknown interval, an impossible level and a group below 1.
    """
    refuse_impossible(vanish, explode, interval, level, group)
    replicates = samples if isinstance(samples, SampleRectangle) else rectangle(samples)
    ok_count = np.count_nonzero(~(replicates.dead | replicates.overflow), axis=0)
    of_measures = []
    growth = _growth(replicates, estimator, group, interval, level)
    for (name, log_norm), of_growth in zip(replicates.log_norms.items(), growth, strict=True):
        columns = _shares(events_of(log_norm, vanish, explode, replicates), interval, level, group)
        columns |= {"ok_count": ok_count} | _moments(log_norm, group) | _quantiles(log_norm)
        columns |= of_growth
        beyond = replicates.dead.any(axis=0) & (not can_die)
        columns["numerical_error"] = np.where(beyond, np.inf, replicates.errors[name])
        of_measures.append(columns)
    number, horizons = replicates.dead.shape
    keys = {
        "point": replicates.point,
        "horizon": np.repeat(replicates.horizons, len(MEASURES)).astype(np.int32),
        "measure": MEASURES * horizons,
        "replicates": number,
        "weight_draws": -(-number // group),
    }
    columns = {name: np.stack([of[name] for of in of_measures], axis=1).ravel() for name in of_measures[0]}
    settings = {"threshold_vanish": vanish, "threshold_explode": explode, "interval": interval, "level": level}
    types = {"measure": pl.Enum(MEASURES), "replicates": pl.Int64, "weight_draws": pl.Int64}
    return pl.DataFrame(keys | columns | settings, schema_overrides=types, nan_to_null=True)


def refuse_impossible(vanish: float, explode: float, interval: str, level: float, group: int) -> None:
    """Raises ValueError for thresholds, an interval, a level or a group that no statistic can be made with."""
    if not 0 < vanish < explode < np.inf:
        raise ValueError(f"thresholds: vanish {vanish}, explode {explode}; give finite 0 < vanish < explode")
    binomial_interval(0, 0, level, interval)
    if group < 1:
        raise ValueError(f"group: {group} replicates cannot share a weight draw; give a whole number from 1 up")


def rectangle(samples: pl.DataFrame) -> SampleRectangle:
    """The samples of one point sorted by (block, replicate, horizon) and cut into rows, one a replicate.

    Raises ValueError, naming the point, unless every replicate has the same horizons, once each, with log-
    norms that are numbers and agree with their status.
    """
    if samples.is_empty():
        raise ValueError("no samples: a statistic needs at least one replicate")
    names = sorted(str(name) for name in samples["point"].unique())
    if len(names) > 1:
        raise ValueError(f"samples of {len(names)} points ({names[0]}, {names[1]}, ...); give one point at a time")
    point = names[0]
    horizons = np.unique(samples["horizon"].to_numpy()).astype(np.int64)
    if not _in_order(samples, horizons):
        samples = samples.sort("block", "replicate", "horizon")
        if not _in_order(samples, horizons):
            raise ValueError(
                f"point {point}: not every replicate has each of the {len(horizons)} horizons exactly once; "
                "a block is missing, cut off or there twice (rnnmc verify names it)"
            )
    log_norms = {name: _columns(samples[name].cast(pl.Float64), len(horizons)) for name in MEASURES}
    ok, dead, overflow = (
        _columns(samples["status"].eq_missing(status), len(horizons)) for status in ("ok", "dead", "overflow")
    )
    known = ok | dead | overflow
    for name, log_norm in log_norms.items():
        agrees = known & (np.isfinite(log_norm) == ok)
        agrees &= ((log_norm == -np.inf) == dead) & ((log_norm == np.inf) == overflow)
        if not agrees.all():
            raise ValueError(
                f"point {point}: {name} contradicts status in {np.count_nonzero(~agrees)} rows; "
                "ok goes with a finite number, dead with -inf, overflow with +inf, and nothing is null or NaN"
            )
    errors = {name: _largest(samples, f"{name}_error", len(horizons)) for name in MEASURES}
    stored = samples[TANGENT] if TANGENT in samples.columns else pl.repeat(None, samples.height, eager=True)
    tangent = _columns(stored.cast(pl.Float64).fill_null(np.nan), len(horizons))
    return SampleRectangle(point, horizons, log_norms, tangent, dead, overflow, errors)


def joined(parts: Iterable[SampleRectangle], replicates: int) -> SampleRectangle:
    """The rectangle of blocks that follow each other, each a rectangle already, with so many replicates in all.

    No more than one of them need be in memory. Raises ValueError, naming the point, where they are not of one point
    with the same horizons.
    """
    whole, filled = None, 0
    for part in parts:
        shape = (len(part.horizons), replicates)
        if whole is None:
            log_norms = {name: np.empty(shape).T for name in MEASURES}
            dead, overflow = np.empty(shape, bool).T, np.empty(shape, bool).T
            of_tangent, errors = np.empty(shape).T, dict(part.errors)
            whole = SampleRectangle(part.point, part.horizons, log_norms, of_tangent, dead, overflow, errors)
        if part.point != whole.point or not np.array_equal(part.horizons, whole.horizons):
            raise ValueError(
                f"point {whole.point}: its blocks are of other points or horizons (rnnmc verify names them)"
            )
        rows = slice(filled, filled + len(part.dead))
        for own, other in zip(_arrays(whole), _arrays(part), strict=True):
            own[rows] = other
        for name in MEASURES:
            whole.errors[name] = np.fmax(whole.errors[name], part.errors[name])
        filled = rows.stop
    if whole is None or filled != replicates:
        raise ValueError(f"{filled} of {replicates} replicates are there")
    return whole


def _arrays(replicates: SampleRectangle) -> list[NDArray]:
    return [*replicates.log_norms.values(), replicates.tangent, replicates.dead, replicates.overflow]


def _columns(values: pl.Series, horizons: int) -> NDArray:
    """(replicates, horizons), a horizon in one piece."""
    return np.asfortranarray(values.to_numpy().reshape(-1, horizons))


def _largest(samples: pl.DataFrame, column: str, horizons: int) -> Floats:
    """(horizons,): the largest of the values that are there, NaN where none is."""
    if column not in samples.columns or samples[column].null_count() == samples.height:
        return np.full(horizons, np.nan)
    return np.fmax.reduce(samples[column].cast(pl.Float64).to_numpy().reshape(-1, horizons), axis=0)


def _in_order(samples: pl.DataFrame, horizons: NDArray[np.int64]) -> bool:
    """Whether the rows are whole replicates with all horizons rising, one after another by (block, replicate)."""
    if samples.height % len(horizons):
        return False
    shape = (-1, len(horizons))
    horizon, block, replicate = (samples[name].to_numpy().reshape(shape) for name in ("horizon", "block", "replicate"))
    owner = block[:, 0].astype(np.int64) * 2**32 + replicate[:, 0]
    return bool(
        np.all(horizon == horizons)
        and np.all(block == block[:, :1])
        and np.all(replicate == replicate[:, :1])
        and np.all(np.diff(owner) > 0)
    )


def growth_rate(log_norm: Floats, horizons: NDArray[np.int64], group: int = 1) -> tuple[Floats, Floats]:
    """Mean growth rate of the norm over the last decade before each horizon and its standard error, nats a
    step.

    log_norm: (replicates, horizons) in nats; horizons: (horizons,) in steps, rising. Both results:
    (horizons,), NaN where undefined. For horizon T each replicate gives the slope (l_T - l_T0)/(T - T0), T0
    the largest stored horizon <= T/10, so that the transient drops out; without such a T0 the rate is
    undefined. The mean is over replicates; the error is that of means over weight draws of `group` replicates each,
    weighted by how many take part, and undefined with fewer than two. Only replicates with finite norms at both ends
    take part: with dead ones about, the rate is conditional on survival. Once one has overflowed (+inf), both are
    undefined: the fastest would be left out. With all replicates alive, an estimate of the top Lyapunov exponent.
    docs/physics.md section 1.
    """
    unknown = _overflowed(log_norm)
    rate = np.full(len(horizons), np.nan)
    error = np.full(len(horizons), np.nan)
    for j, horizon in enumerate(horizons):
        start = decade_start(horizons, horizon)
        if start < 0 or unknown[j]:
            continue
        finite = np.isfinite(log_norm[:, j]) & np.isfinite(log_norm[:, start])
        slope = (log_norm[finite, j] - log_norm[finite, start]) / (horizon - horizons[start])
        if len(slope) > 0:
            rate[j] = slope.mean()
        draws = np.count_nonzero(sums_by_draw(finite, group))
        if draws > 1:
            deviation = np.zeros(len(log_norm))
            deviation[finite] = slope - rate[j]
            squares = (sums_by_draw(deviation, group) ** 2).sum()
            error[j] = np.sqrt(squares * draws / (draws - 1)) / len(slope)
    return rate, error


def _growth(
    replicates: SampleRectangle, estimator: Estimator, group: int, interval: str, level: float
) -> Iterator[dict[str, Floats | NDArray[np.str_]]]:
    """For each measure the columns of the growth rate: its value by the estimator and by the other, and what
    `rate_columns` adds to it.
    """
    stored = not np.isnan(replicates.tangent).any()  # of some alone, the gap would be between unlike replicates
    tangent = replicates.tangent if stored else np.full_like(replicates.tangent, np.nan)
    by, horizons, settings = estimator.by if stored else NORM, replicates.horizons, (group, interval, level)
    of_tangent = growth_rate(tangent, horizons, group)
    beside_tangent = rate_columns(tangent, horizons, *of_tangent, *settings) if by == TANGENT_VECTOR else None
    for log_norm in replicates.log_norms.values():
        of_norm = growth_rate(log_norm, horizons, group)
        columns = growth_columns({NORM: of_norm, TANGENT_VECTOR: of_tangent}, by, estimator.is_unbiased)
        columns |= beside_tangent or rate_columns(log_norm, horizons, *of_norm, *settings)
        for end, further in (("low", np.fmin), ("high", np.fmax)):  # as far as the other estimator is off
            columns[f"growth_rate_{end}"] = columns[f"growth_rate_{end}"] + further(columns["growth_systematic"], 0.0)
        yield columns


def first_excursions(log_norm: Floats, vanish: float, explode: float) -> tuple[Flags, Flags]:
    """Whether each replicate has by each horizon left the thresholds and gone down first, and the same for up.

    log_norm and both results: (replicates, horizons).
    """
    below, above = log_norm < np.log(vanish), log_norm > np.log(explode)
    outside = _ever(below | above)
    # A replicate belongs for good to the side of its first excursion.
    below[:, 1:] &= ~outside[:, :-1]
    vanished = _ever(below)
    return vanished, outside & ~vanished


def _ever(flags: Flags) -> Flags:
    """(replicates, horizons): whether a flag has been up at or before each horizon."""
    ever = flags.copy(order="K")
    for j in range(1, flags.shape[1]):
        ever[:, j] |= ever[:, j - 1]
    return ever


def events_of(log_norm: Floats, vanish: float, explode: float, replicates: SampleRectangle) -> dict[str, Flags]:
    """`<event>_<mode>` -> (replicates, horizons), those of `BANDED` first."""
    below, above = log_norm < np.log(vanish), log_norm > np.log(explode)
    vanished, exploded = first_excursions(log_norm, vanish, explode)
    return {
        "vanish_at": below,
        "vanish_by": vanished,
        "stable_at": ~(below | above),
        "stable_by": ~(vanished | exploded),
        "explode_at": above,
        "explode_by": exploded,
        "dead_at": replicates.dead,
        "dead_by": _ever(replicates.dead),
        "overflow_at": replicates.overflow,
        "overflow_by": _ever(replicates.overflow),
    }


def _shares(events: dict[str, Flags], interval: str, level: float, group: int) -> dict[str, NDArray[np.int64] | Floats]:
    """Columns of each event and mode, (horizons,): count, share, the share's interval and, for some, its band."""
    found = shares(list(events.values()), group)
    low, high = share_intervals(found, (1 - level) / 2, interval)
    banded = len(BANDED) * len(MODES)
    band_low, band_high = share_bands(
        found._replace(
            count=found.count[:banded], covariance=found.covariance[:banded], freedom=found.freedom[:banded]
        ),
        level,
        interval,
    )
    columns: dict[str, NDArray[np.int64] | Floats] = {}
    for i, name in enumerate(events):
        columns |= {
            f"{name}_count": found.count[i].astype(np.int64),
            f"p_{name}": found.count[i] / found.replicates,
            f"p_{name}_low": low[i],
            f"p_{name}_high": high[i],
        }
        if i < banded:
            columns |= {f"p_{name}_band_low": band_low[i], f"p_{name}_band_high": band_high[i]}
    return columns


def _overflowed(log_norm: Floats) -> Flags:
    """(horizons,): whether any replicate has overflowed by then, so that a mean would leave out the fastest."""
    return np.logical_or.accumulate((log_norm == np.inf).any(axis=0))


def _moments(log_norm: Floats, group: int) -> dict[str, Floats]:
    """Mean, sample deviation and the error of the latter over finite log-norms, each (horizons,).

    NaN where there are too few, for the error fewer than three weight draws, and once a replicate has overflowed. The
    error is that of the mean of what each replicate adds to the deviation, ((x - mean)^2 - deviation^2) / (2
    deviation).
    """
    mean, deviation, error = np.full((3, log_norm.shape[1]), np.nan)
    for j in np.flatnonzero(~_overflowed(log_norm)):
        is_finite = np.isfinite(log_norm[:, j])
        finite = log_norm[is_finite, j]
        mean[j] = finite.mean() if len(finite) else np.nan
        deviation[j] = finite.std(ddof=1) if len(finite) > 1 else np.nan
        draws = np.count_nonzero(sums_by_draw(is_finite, group))
        if draws > 2 and deviation[j] > 0:  # two lie equally far from their mean, whatever they are
            added = np.zeros(len(log_norm))
            added[is_finite] = ((finite - mean[j]) ** 2 - finite.var()) / (2 * deviation[j])
            error[j] = np.sqrt((sums_by_draw(added, group) ** 2).sum() * draws / (draws - 1)) / len(finite)
    return {"mean": mean, "deviation": deviation, "deviation_error": error}


def _quantiles(log_norm: Floats) -> dict[str, Floats]:
    """`q05` ... `q95` -> (horizons,), the smallest log-norm that at least this share of replicates does not
    exceed.

    In whole numbers, for 0.05 times a number of replicates need not be whole in floating point.
    """
    ranks = [-(-len(log_norm) * percent // 100) - 1 for percent in PERCENTS]
    ordered = np.array([np.partition(column, ranks)[ranks] for column in log_norm.T])
    return {f"q{percent:02d}": ordered[:, i] for i, percent in enumerate(PERCENTS)}
