"""How often intervals hold the truth, by simulation: of rates, onsets, limits, exponents and lifetimes.

Every case has a truth that is exact. "chains" are rnnmc's own, thousands of replicates of one design point dealt out to
studies of a few; "rates" are numbers about an exact curve with the noise of so many replicates, for widths that no few
minutes could sample. A study holds the truth or does not, so that of all of them a binomial number does.
`python benchmarks/covering.py [STUDIES]` prints the table; benchmarks/validate.py puts it into docs/validation.md.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from scipy.optimize import root_scalar
from scipy.special import digamma, ndtri
from scipy.stats import binom, poisson
from sheets import Sheet

from rnnmc import DesignPoint, run_block
from rnnmc.engine.block import blocks, partition
from rnnmc.statistics.analyses import analyses
from rnnmc.statistics.analyses.finite_width import averaged
from rnnmc.statistics.analyses.onset import located, share_score
from rnnmc.statistics.made_up import planned, rows_of_points
from rnnmc.statistics.point import SampleRectangle, growth_rate, joined, point_statistics, rectangle
from rnnmc.statistics.rates import rate_columns
from rnnmc.theory import predictions

STUDIES = 400
LEVEL = 0.95
Z = float(-ndtri((1 - LEVEL) / 2))


class Case(NamedTuple):
    """Intervals of one kind. at_least: promised to cover no less often, not just as often; make: from a number of
    studies whether each interval holds, and whether a normal one of the same error would (empty where there is none).
    """

    of: str
    what: str
    source: str
    at_least: bool
    make: Callable[[int], tuple[NDArray[np.bool_], NDArray[np.bool_]]]


def newman(width: NDArray | float, gain: float = 1.0) -> NDArray:
    """Growth rate of fresh Gaussian matrices: log g + (1/2) E log(chi2_n / n). docs/physics.md section 5."""
    half = np.asarray(width, float) / 2
    return math.log(gain) + (digamma(half) - np.log(half)) / 2


def gated_rate(width: int, gain: float) -> float:
    """Of I/2 + U/4 with fresh U, entries N(0, g^2/n): gated cells at the zero state.

    |J v|^2 is (g/4)^2/n times a noncentral chi-square, whose logarithm has the mean log 2 + E digamma(n/2 + J), J a
    Poisson number with half of the noncentrality. docs/physics.md section 10.
    """
    scale = (gain / 4) ** 2 / width
    half = 0.25 / scale / 2
    least, most = poisson.ppf([1e-15, 1 - 1e-15], half)
    j = np.arange(least, most + 2)
    return float((math.log(2 * scale) + poisson.pmf(j, half) @ digamma(width / 2 + j)) / 2)


def gated_onset(width: int) -> float:
    """The gain at which `gated_rate` is zero."""
    return float(root_scalar(lambda gain: gated_rate(width, gain), bracket=(2, 6), xtol=1e-12).root)


def alive(steps: int) -> float:
    """P(a symmetric walk with continuous steps has not changed its sign before so many): C(2t, t) / 4^t."""
    t = float(steps)
    return math.exp(math.lgamma(2 * t + 1) - 2 * math.lgamma(t + 1) - t * math.log(4))


def chains(number: int, point: DesignPoint) -> SampleRectangle:
    """So many replicates of a design point, as rnnmc samples them."""
    cut = partition(point)
    cut = replace(cut, block=cut.tile)  # no more of them than are asked for
    sizes = [size for _, size in blocks(number, cut.tile)]
    parts = (run_block(point, i, size, cut=cut) for i, size in enumerate(sizes))
    return joined((rectangle(pl.DataFrame(pl.from_arrow(part))) for part in parts), number)


def _rows(samples: SampleRectangle, begin: int, end: int) -> SampleRectangle:
    own = slice(begin, end)
    norms = {name: of[own] for name, of in samples.log_norms.items()}
    tangent, dead, overflow = samples.tangent[own], samples.dead[own], samples.overflow[own]
    return samples._replace(log_norms=norms, tangent=tangent, dead=dead, overflow=overflow)


def dealt(samples: SampleRectangle, studies: int) -> Iterator[SampleRectangle]:
    """The replicates of each of so many studies."""
    each = len(samples.dead) // studies
    return (_rows(samples, i * each, (i + 1) * each) for i in range(studies))


def last_rate(samples: SampleRectangle) -> dict[str, float]:
    """The columns of the growth rate at the last horizon, of fresh Gaussian weights: by a vector, with no bias."""
    logs = samples.tangent
    rate, error = growth_rate(logs, samples.horizons)
    found = rate_columns(logs, samples.horizons, rate, error, 1, "wilson", LEVEL)
    return {name: float(of[-1]) for name, of in (found | {"growth_rate": rate, "growth_rate_error": error}).items()}


ENDS = (30, 300)  # steps: a rate is over the last decade


def fresh(width: int, gain: float = 1.0, cell: str = "linear") -> DesignPoint:
    """Gaussian weights that are fresh at every step, of a network at its zero state."""
    init = {"recurrent": {"gaussian": gain}}
    return DesignPoint(cell=cell, width=width, init=init, weights="untied", drive="none", horizons=ENDS)  # pyright: ignore[reportArgumentType]


def rates(studies: int, replicates: int, width: int = 4) -> tuple[NDArray, NDArray]:
    """Of the mean, against Newman's exponent; the normal interval beside it."""
    found = [last_rate(one) for one in dealt(chains(studies * replicates, fresh(width)), studies)]
    truth = float(newman(width))
    holds = [row["growth_rate_low"] <= truth <= row["growth_rate_high"] for row in found]
    normal = [abs(row["growth_rate"] - truth) <= Z * row["growth_rate_error"] for row in found]
    return np.array(holds), np.array(normal)


def most(studies: int, replicates: int, column: str) -> tuple[NDArray, NDArray]:
    """Of the median rate, or of the share that grows, at one unit and a gain at which two of five grow."""
    point, steps = fresh(1, 1.85), ENDS[1] - ENDS[0]
    law = next(said.log_norm["log_spectral"] for one, said in predictions(point) if one.exact and said.log_norm)
    if column == "p_growing":
        truth = 1 - float(law.below(0.0, steps) or 0)
    else:
        half = root_scalar(lambda x: float(law.below(x, steps) or 0) - 0.5, bracket=(-60, 60), xtol=1e-9)
        truth = half.root / steps
    found = [last_rate(one) for one in dealt(chains(studies * replicates, point), studies)]
    return np.array([row[f"{column}_low"] <= truth <= row[f"{column}_high"] for row in found]), np.array([], bool)


def onset_of(numbers: list[tuple[float, float, float, float]], truth: float) -> tuple[bool, bool]:
    """Whether the interval of the onset of these (gain, rate, error, degrees of freedom) holds the truth."""
    row = located(numbers, LEVEL)
    if row["onset"] is None:  # on one side of all gains, as it is said
        beyond = row["above"] if row["below"] is None else row["below"]
        return (truth <= beyond if row["below"] is None else truth >= beyond), False
    low, high = (row[end] if row[end] is not None else sign * math.inf for end, sign in (("low", -1), ("high", 1)))
    return low <= truth <= high, abs(row["onset"] - truth) <= Z * row["error"]


def onsets(studies: int, replicates: int, cell: str, width: int) -> tuple[NDArray, NDArray]:
    """Of chains: fresh linear ones, whose rate is straight in log gain, or a GRU at its zero state."""
    truth = math.exp(-float(newman(width))) if cell == "linear" else gated_onset(width)
    found = []
    for factor in (0.75, 0.92, 1.1, 1.4):
        samples = chains(studies * replicates, fresh(width, factor * truth, cell))
        rows = [last_rate(one) for one in dealt(samples, studies)]
        found.append([(factor * truth, row["growth_rate"], row["growth_rate_error"], replicates - 1) for row in rows])
    return _apart([onset_of(list(study), truth) for study in zip(*found, strict=True)])


def halves(studies: int, replicates: int) -> tuple[NDArray, NDArray]:
    """Where half of the networks grow, of fresh chains of one unit, whose rate is log g plus a law of no gain."""
    steps = ENDS[1] - ENDS[0]
    law = next(said.log_norm["log_spectral"] for one, said in predictions(fresh(1)) if one.exact and said.log_norm)
    half = root_scalar(lambda x: float(law.below(x, steps) or 0) - 0.5, bracket=(-2.0 * steps, 0), xtol=1e-9)
    truth = math.exp(-half.root / steps)
    gains = [factor * truth for factor in (0.85, 0.95, 1.04, 1.15)]
    dealt_out = [dealt(chains(studies * replicates, fresh(1, gain)), studies) for gain in gains]
    found = []
    for study in zip(*dealt_out, strict=True):
        rows = [last_rate(one) | {"level": LEVEL} for one in study]
        shares = [(gain, *share_score(row), math.inf) for gain, row in zip(gains, rows, strict=True)]
        found.append(onset_of(shares, truth))
    return _apart(found)[0], np.array([], bool)


GAINS = (2.5, 3.0, 3.25, 3.75, 4.0, 4.5)


def gated_onsets(studies: int, replicates: int, width: int) -> tuple[NDArray, NDArray]:
    """Of gated cells at the zero state, rates about the exact curve, whose rate bends in log gain."""
    random, truth = np.random.default_rng(width), gated_onset(width)
    curve = np.array([gated_rate(width, gain) for gain in GAINS])
    deviation = 0.6 / math.sqrt(width * 900)  # of one replicate: of a step about 0.6 / sqrt(n), of 900 steps' mean
    found = []
    for rate, error in _noisy(random, studies, curve, deviation, np.full(len(GAINS), replicates)):
        freedom = np.full(len(GAINS), replicates - 1.0)
        found.append(onset_of([*zip(GAINS, rate, error, freedom, strict=True)], truth))
    return _apart(found)


def _noisy(random, studies: int, curve: NDArray, deviation, replicates: NDArray) -> Iterator[tuple[NDArray, NDArray]]:
    """Means and standard errors of so many normal replicates about a curve, one pair a study."""
    for _ in range(studies):
        own = [random.normal(at, wide, count) for at, wide, count in zip(
            curve, np.broadcast_to(deviation, curve.shape), replicates, strict=True)]  # fmt: skip
        yield np.array([x.mean() for x in own]), np.array([x.std(ddof=1) / math.sqrt(len(x)) for x in own])


def _apart(pairs: list[tuple[bool, bool]]) -> tuple[NDArray, NDArray]:
    first, second = zip(*pairs, strict=True)
    return np.array(first), np.array(second)


WIDTHS = {1: 160, 2: 80, 4: 40, 8: 20, 16: 10}


def limits(studies: int) -> tuple[NDArray, NDArray]:
    """Of fresh linear chains, 0 at infinite width, from five widths with half the replicates at each next."""
    each = {width: [last_rate(one) for one in dealt(chains(studies * count, fresh(width)), studies)]
            for width, count in WIDTHS.items()}  # fmt: skip
    width, freedom = np.array([*WIDTHS], float), np.array([*WIDTHS.values()], float) - 1
    found = []
    for i in range(studies):
        rate, error = (np.array([each[n][i][name] for n in WIDTHS]) for name in ("growth_rate", "growth_rate_error"))
        found.append(_limit(width, rate, error, freedom))
    return _apart(found)


CURVES: dict[str, tuple[Callable[[NDArray], NDArray], dict[int, int]]] = {
    "1/n + 2/n^2, 16 to 1,024 units": (
        lambda n: 1 / n + 2 / n**2,
        {16: 6500, 32: 2600, 64: 830, 128: 210, 256: 52, 512: 18, 1024: 10},
    ),
    "1/n - 3/n^2 + 3/n^3, 1 to 256 units": (
        lambda n: 1 / n - 3 / n**2 + 3 / n**3,
        {1: 2000, 2: 2000, 4: 2000, 8: 2000, 16: 2000, 32: 830, 64: 210, 128: 52, 256: 18},
    ),
    "Newman's, six replicates each": (newman, dict.fromkeys((16, 64, 256, 1024), 6)),
    "1/n, three widths": (lambda n: 1 / n, {16: 200, 64: 50, 256: 12}),
}


def curved_limits(studies: int, name: str) -> tuple[NDArray, NDArray]:
    """Of rates about a curve in 1/n whose limit is 0, one replicate's deviation .3 / sqrt(n)."""
    curve, widths = CURVES[name]
    width, count = np.array([*widths], float), np.array([*widths.values()])
    random = np.random.default_rng(len(name))
    pairs = _noisy(random, studies, curve(width), 0.3 / np.sqrt(width), count)
    return _apart([_limit(width, rate, error, count - 1.0) for rate, error in pairs])


def _limit(width: NDArray, rate: NDArray, error: NDArray, freedom: NDArray) -> tuple[bool, bool]:
    row = averaged(width, rate, error, freedom, LEVEL)
    return row["limit_low"] <= 0 <= row["limit_high"], abs(row["limit"]) <= Z * row["limit_error"]


def walks(studies: int, replicates: int) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Tables of an IRNN of 8 units with white input, one pair a study: P(alive at t) = 2 (1 - 2^-8) C(2t, t) / 4^t."""
    point = DesignPoint(
        cell="relu", width=8, drive="white", horizons=(*range(1, 10), *(10 * k for k in range(1, 11))),
        init={"recurrent": {"identity": 1.0}, "input": {"gaussian": 1.0}},
    )  # fmt: skip
    points = rows_of_points([planned(point)])
    for one in dealt(chains(studies * replicates, point), studies):
        yield points, point_statistics(one, 1e-3, 1e3)


def exponents(studies: int, replicates: int) -> tuple[NDArray, NDArray]:
    """Of P(stable by T) of an IRNN between 10 and 100 steps."""
    truth, found = math.log10(alive(10) / alive(100)), []
    for tables in walks(studies, replicates):
        row = analyses()["decay"].table(*tables).filter(mode="by", horizon=100).row(0, named=True)
        found.append(row["low"] <= truth <= row["high"])
    return np.array(found), np.array([], bool)


def lifetimes(studies: int, replicates: int, percent: int) -> tuple[NDArray, NDArray]:
    """Of an IRNN; 99 of 100 have left by step 12,700 or so, far beyond the last horizon."""
    last, found = 100, []
    truth = next((t for t in range(1, last + 1) if 2 * (1 - 2.0**-8) * alive(t) <= 1 - percent / 100), math.inf)
    for tables in walks(studies, replicates):
        row = analyses()["lifetime"].table(*tables).filter(percent=percent).row(0, named=True)
        low, high = (math.inf if row[end] is None else row[end] for end in ("earliest", "latest"))
        found.append(low <= truth <= high)
    return np.array(found), np.array([], bool)


def rings(studies: int, replicates: int, percent: int) -> tuple[NDArray, NDArray]:
    """Lifetimes of linear recurrent units, whose |lambda|^2 is uniform on [0, .98]: P_T is gone once the larger is."""
    horizons = (*range(1, 10), *(round(10 ** (k / 16)) for k in range(16, 49)))
    init = {"recurrent": {"ring": 0.98**0.5}}
    point = DesignPoint(cell="lru", width=2, drive="none", horizons=horizons, init=init)  # pyright: ignore[reportArgumentType]
    gone = [min(1.0, 1e-3 ** (2 / t) / 0.98) ** 2 for t in point.horizons]
    truth = next(t for t, p in zip(point.horizons, gone, strict=True) if p >= percent / 100)
    points, found = rows_of_points([planned(point)]), []
    for one in dealt(chains(studies * replicates, point), studies):
        table = analyses()["lifetime"].table(points, point_statistics(one, 1e-3, 1e3))
        row = table.filter(percent=percent).row(0, named=True)
        low, high = (math.inf if row[end] is None else row[end] for end in ("earliest", "latest"))
        found.append(low <= truth <= high)
    return np.array(found), np.array([], bool)


CASES = [
    *(Case("rate", f"fresh linear, {width} units, {count} replicates", "chains", False,
           functools.partial(rates, replicates=count, width=width))
      for width, count in ((4, 3), (4, 6), (4, 20), (32, 6))),
    Case("median rate", "fresh linear, 1 unit, 6 replicates", "chains", True,
         functools.partial(most, replicates=6, column="growth_median")),
    Case("median rate", "fresh linear, 1 unit, 40 replicates", "chains", True,
         functools.partial(most, replicates=40, column="growth_median")),
    Case("share that grows", "fresh linear, 1 unit, 100 replicates", "chains", False,
         functools.partial(most, replicates=100, column="p_growing")),
    *(Case("onset", f"{cell}, fresh weights, {width} units, 6 replicates a gain", "chains", True,
           functools.partial(onsets, replicates=6, cell=cell, width=width))
      for cell, width in (("linear", 4), ("gru", 4), ("gru", 16))),
    *(Case("onset", f"gated cells at rest, fresh weights, {width} units ({gated_onset(width):.4f}), {count} replicates "
           "a gain", "rates", True, functools.partial(gated_onsets, replicates=count, width=width))
      for width, count in ((16, 200), (16, 3), (64, 30), (256, 6))),
    *(Case("onset of the median", f"fresh linear, 1 unit, {count} replicates a gain", "chains", True,
           functools.partial(halves, replicates=count)) for count in (12, 60)),
    Case("limit", "fresh linear, 1 to 16 units", "chains", True, limits),
    *(Case("limit", name, "rates", True, functools.partial(curved_limits, name=name)) for name in CURVES),
    *(Case("exponent", f"IRNN by 10 to 100 steps, {count} replicates", "chains", True,
           functools.partial(exponents, replicates=count)) for count in (100, 400)),
    *(Case("lifetime", f"IRNN, {percent} %, {count} replicates", "chains", True,
           functools.partial(lifetimes, replicates=count, percent=percent))
      for percent, count in ((50, 30), (50, 300), (99, 300))),
    *(Case("lifetime", f"LRU, 2 units, {percent} %, {count} replicates", "chains", True,
           functools.partial(rings, replicates=count, percent=percent)) for percent, count in ((50, 100), (99, 300))),
]  # fmt: skip


def allowed(studies: int, at_least: bool, risk: float = 0.05) -> tuple[int, int]:
    """Between which numbers those lie that hold, with `risk` of a miss in all."""
    least = int(binom.ppf(risk if at_least else risk / 2, studies, LEVEL))
    return least, studies if at_least else int(binom.ppf(1 - risk / 2, studies, LEVEL))


def sheet(studies: int = STUDIES, cases: list[Case] | None = None) -> Sheet:
    """One row a case."""
    head = ["interval", "case", "source", "studies", "hold", "should", "", "a normal one would"]
    found = Sheet("intervals", "How often 95 % intervals hold the truth", head)
    for case in cases or CASES:
        holds, normal = case.make(studies)
        least, greatest = allowed(studies, case.at_least)
        held, beside = int(holds.sum()), f"{normal.mean():.3f}" if len(normal) else "-"
        verdict = "yes" if least <= held <= greatest else "NO"
        span = f"{least / studies:.3f} to {greatest / studies:.3f}"
        found.rows.append(
            [case.of, case.what, case.source, f"{studies}", f"{held / studies:.3f}", span, verdict, beside]
        )
    return found


if __name__ == "__main__":
    Console().print(sheet(int(sys.argv[1]) if len(sys.argv) > 1 else STUDIES).for_terminal())
