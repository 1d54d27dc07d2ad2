"""How often the intervals of rare events hold probabilities that are known exactly, from 1e-3 to 1e-30.

Every run is what a user runs: levels and steps found by one adaptive run, populations of chains through the kernels,
and the interval of `rnnmc.statistics.rare`. Truths are closed forms, or inverted from the moment generating functions
of sums of independent steps by Bromwich's integral through the saddle point. `python benchmarks/rare_events.py [RUNS]`
prints the tables; benchmarks/validate.py puts them into docs/validation.md. CPUS=1 for one process.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from rich.console import Console
from scipy.optimize import minimize_scalar, root_scalar
from scipy.special import log_expit, log_ndtr, loggamma
from sheets import Sheet, number

from rnnmc import DesignPoint, run_block
from rnnmc.engine.block import blocks, partition
from rnnmc.engine.splitting.population import PopulationFound, plan_of, population
from rnnmc.engine.splitting.run import as_table
from rnnmc.engine.splitting.score import Scorer
from rnnmc.numerics.threads import one_thread
from rnnmc.run.rare import rare_answer
from rnnmc.statistics.intervals import binomial_interval
from rnnmc.statistics.rare import rare_statistics
from rnnmc.store.reading import as_frame
from rnnmc.study.rare import Splitting

RUNS, SIDE_BY_SIDE, STEPS = 200, 10, 4
SMALLEST = 1e-300  # never reached: a run ends at its event
PROBABILITIES, FARTHEST = (1e-3, 1e-6, 1e-9, 1e-12, 1e-30), (1e-30,)
HEAD = ["law", "P", "mean estimate / P", "errors from 1", "hold", "doubted", "of the others hold", "chains for 10 %"]
HELD, FEW = 4, 3
LogTail = Callable[[float], float]  # of a log-norm, nats: log P beyond it


def beyond(cumulant: Callable[[Any], Any]) -> LogTail:
    """log P(l > x) of l with E e^(s l) = e^cumulant(s), for x in the upper tail."""

    def exponent(x: float, s: Any) -> Any:
        return cumulant(s) - s * x - np.log(s)

    def log_tail(x: float) -> float:
        found: Any = minimize_scalar(lambda u: float(exponent(x, math.exp(u)).real), bounds=(-4, 9), method="bounded")
        saddle = math.exp(found.x)
        step = 1e-3 * saddle
        around = exponent(x, saddle + np.array([-step, 0.0, step])).real
        curvature = max(float(around[0] - 2 * around[1] + around[2]) / step**2, 1e-12)
        y = np.linspace(-24, 24, 481) / math.sqrt(curvature)
        values = np.exp(exponent(x, saddle + 1j * y) - around[1]).real
        return float(around[1]) + math.log(values.sum() * (y[1] - y[0]) / (2 * math.pi))

    return log_tail


def chi(n: float, gain: float, s: Any) -> Any:
    """log E (g^2/n chi2_n)^(s/2)."""
    return loggamma((n + s) / 2) - loggamma(n / 2) + s / 2 * math.log(2 * gain**2 / n)


def mixed(log_weights: np.ndarray, cumulants: Any) -> Any:
    """log of a mixture: (k,) and (k, ...)."""
    shifted = log_weights.reshape(-1, *[1] * (cumulants.ndim - 1)) + cumulants
    most = shifted.real.max(axis=0)
    return most + np.log(np.exp(shifted - most).sum(axis=0))


def off_centre(n: int, scale: float, delta: float, s: Any) -> Any:
    """log E (scale^2/n chi2_n(delta))^(s/2): chi2 of n + 2j degrees of freedom, j Poisson of mean delta/2."""
    j, s = np.arange(200.0), np.asarray(s)
    weights = j * math.log(delta / 2) - delta / 2 - loggamma(j + 1)
    half = n / 2 + j.reshape(-1, *[1] * s.ndim)
    moments = np.log1p(s / 2 / half)  # of chi2_(k + 2) over that of chi2_k
    moments = np.concatenate([np.zeros_like(moments[:1]), np.cumsum(moments[:-1], axis=0)])
    return chi(n, scale, s) + mixed(weights.real, moments)


def halved(n: int, gain: float, s: Any) -> Any:
    """log E[(g^2/n chi2_K)^(s/2); K > 0], K of Bin(n, 1/2): a step of the living."""
    k = np.arange(1.0, n + 1)
    weights = loggamma(n + 1) - loggamma(k + 1) - loggamma(n - k + 1) - n * math.log(2)
    s = np.asarray(s)
    half = k.reshape(-1, *[1] * s.ndim) / 2
    return mixed(weights.real, loggamma(half + s / 2) - loggamma(half) + s / 2 * math.log(2 * gain**2 / n))


def kept(deviation: float, s: Any) -> Any:
    """log E (1 - sg(deviation N(0, 1)))^s."""
    z = np.linspace(-14, 14, 1001)
    s = np.asarray(s)
    gate = log_expit(-deviation * z).reshape(-1, *[1] * s.ndim)
    return mixed(-(z**2) / 2 + math.log((z[1] - z[0]) / math.sqrt(2 * math.pi)), gate * s)


class Size(NamedTuple):
    """Of a run: independent populations of so many particles."""

    populations: int
    particles: int


FEW_POPULATIONS, AS_BY_DEFAULT = Size(8, 300), Size(20, 500)


class Case(NamedTuple):
    """A law: its design point, the event, and log P of a log-norm beyond x, nats, falling or rising in x."""

    what: str
    point: dict[str, Any]
    event: str
    log_tail: LogTail
    norm: str = "log_spectral"

    def level(self, p: float) -> float:
        """The log-norm that is passed with probability p."""
        excess = lambda x: self.log_tail(x) - math.log(p)  # noqa: E731
        inner, sign = self.middle, 1 if self.event == "explode" else -1
        width = next(w for w in (2.0**k for k in range(-12, 12)) if excess(inner + sign * w) < 0)
        return float(root_scalar(excess, bracket=(inner, inner + sign * width), xtol=1e-12).root)

    @property
    def middle(self) -> float:
        """A log-norm that is passed with a probability well above 1e-3."""
        sign = 1 if self.event == "explode" else -1
        grid = [-sign * k / 4 for k in range(-20, 100)]
        return next(x for x in grid if self.log_tail(x) > math.log(0.02))

    def design(self, p: float, particles: int) -> DesignPoint:
        """With the threshold that this probability belongs to."""
        at = math.exp(self.level(p))
        limits = (
            {"vanish": at * 1e-9, "explode": at} if self.event == "explode" else {"vanish": at, "explode": 1e9 * at}
        )
        said = {"event": self.event, "norm": self.norm, "smallest": SMALLEST, "particles": particles} | limits
        return DesignPoint(horizons=(STEPS,), splitting=Splitting.checked(**said), **self.point)


def _gaussian(gain: float) -> dict[str, Any]:
    return {"recurrent": {"gaussian": gain}}


FRESH = {"weights": "untied", "drive": "none", "init": _gaussian(1.0)}
INNER, OUTER, UNITS = 0.4, 0.99, 8
FIELD, GAIN = 1.5, 3.0
RING = {"recurrent": {"ring": {"outer": OUTER, "inner": INNER}}}
HE = {"weights": "untied", "drive": "field", "init": _gaussian(math.sqrt(2)), "state_std": 1.0}


def _largest_below(x: float) -> float:
    """log P(all moduli on the ring are below e^(x/T))."""
    share = (math.exp(2 * x / STEPS) - INNER**2) / (OUTER**2 - INNER**2)
    return UNITS * math.log(min(1.0, share)) if share > 0 else -math.inf


def _largest_kept(x: float) -> float:
    """log P(either of two entries is above e^x); far below all that is asked for where that cannot be."""
    if x > -1e-6:
        return -1e3
    one = math.exp(min(0.0, beyond(lambda s: STEPS * kept(FIELD, s))(x)))
    return math.log(2 * one) + math.log1p(-one / 2)


CASES = (
    Case(
        "`linear`, n = 1, tied: norm",
        {"cell": "linear", "width": 1, "drive": "none", "init": _gaussian(1.0)},
        "explode",
        lambda x: math.log(2) + float(log_ndtr(-math.exp(x / STEPS))),
    ),
    Case(
        "`linear`, n = 2, untied: one vector",
        {"cell": "linear", "width": 2, **FRESH},
        "explode",
        beyond(lambda s: STEPS * chi(2, 1.0, s)),
        "log_tangent",
    ),
    Case(
        "`lru`, n = 8: norm",
        {"cell": "lru", "width": UNITS, "drive": "none", "init": RING},
        "vanish",
        _largest_below,
    ),
    Case(
        "`relu`, n = 3, gain sqrt 2, untied, field: one vector",
        {"cell": "relu", "width": 3, **HE},
        "explode",
        beyond(lambda s: STEPS * halved(3, math.sqrt(2), s)),
        "log_tangent",
    ),
    Case(
        "`min_gru`, n = 2, field: norm",
        {"cell": "min_gru", "width": 2, "drive": "field", "init": {"input": {"gaussian": FIELD}}},
        "explode",
        _largest_kept,
    ),
    Case(
        "`gru`, n = 2, zero state, untied: one vector",
        {"cell": "gru", "width": 2, "weights": "untied", "drive": "none", "init": _gaussian(GAIN)},
        "explode",
        beyond(lambda s: STEPS * off_centre(2, GAIN / 4, 0.25 * 2 / (GAIN / 4) ** 2, s)),
        "log_tangent",
    ),
)


def together(score: Scorer, particles: int, plan: Any, generators: list[np.random.Generator]) -> list[PopulationFound]:
    """Populations side by side, so that a call of the kernel has the proposals of all of them."""
    runs = [population(score.sizes, particles, plan, rng) for rng in generators]
    asked, ended = {i: next(run) for i, run in enumerate(runs)}, {}
    while asked:
        scores = score({role: np.concatenate([x[role] for x in asked.values()]) for role in score.sizes})
        lengths = [len(next(iter(x.values()))) for x in asked.values()]
        for i, part in zip(list(asked), np.split(scores, np.cumsum(lengths)[:-1]), strict=True):
            try:
                asked[i] = runs[i].send(part)
            except StopIteration as end:
                ended[i] = end.value
                del asked[i]
    return [ended[i] for i in range(len(runs))]


def row(case: Case, p: float, runs: int, size: Size) -> list[str]:
    """Of one law at one probability. SIDE_BY_SIDE runs share an adaptive run, given which they are independent."""
    point, (populations, particles) = case.design(p, size.particles), size
    score, wanted = Scorer(point, point.rare_event), point.rare_event.level
    ends, variance, evaluations = [], [], []
    with one_thread():
        for first in range(0, runs, SIDE_BY_SIDE):
            some = range(first, min(first + SIDE_BY_SIDE, runs))
            plan = plan_of(score, score.sizes, particles, wanted, SMALLEST, np.random.default_rng(first))
            seeds = [np.random.default_rng([run, i]) for run in some for i in range(populations)]
            found = together(score, particles, plan, seeds)
            for of_run in (found[i : i + populations] for i in range(0, len(found), populations)):
                tables = [as_table(point, number, plan, one) for number, one in enumerate(of_run)]
                ends.append(rare_statistics(pl.concat(map(as_frame, tables))).row(-1, named=True))
                variance.append(np.exp([one.log_probability[-1] - math.log(p) for one in of_run]).var(ddof=1))
                evaluations.append(np.mean([one.evaluations for one in of_run]))
    ratios = np.array([end["p"] / p for end in ends])
    trusted = [end for end in ends if not end["doubt"]]
    mean, error = float(ratios.mean()), float(ratios.std(ddof=1) / math.sqrt(runs))
    said = f"{mean:.3f} ± {error:.3f}"
    ten_percent = float(np.mean(variance) * np.mean(evaluations) / 0.01)
    doubted = f"{1 - len(trusted) / runs:.0%}"
    return [
        case.what,
        f"{p:g}",
        said,
        f"{(mean - 1) / error:+.1f}",
        held(ends, p),
        doubted,
        held(trusted, p),
        number(ten_percent),
    ]


def held(ends: list[dict[str, Any]], p: float) -> str:
    """The share of intervals that hold p, a dash of fewer than FEW."""
    holds = [end["p_low"] is not None and end["p_low"] <= p <= end["p_high"] for end in ends]
    return f"{np.mean(holds):.3f}" if len(holds) >= FEW else "-"


def sheet(runs: int = RUNS) -> Sheet:
    """Of small runs, at every probability."""
    return _sheet("rare-events", runs, FEW_POPULATIONS, PROBABILITIES)


def sheet_by_default(runs: int = RUNS) -> Sheet:
    """Of runs as large as a user's, where small ones are too small."""
    return _sheet("rare-events-default", runs, AS_BY_DEFAULT, FARTHEST)


def _sheet(name: str, runs: int, size: Size, probabilities: tuple[float, ...]) -> Sheet:
    """Cases side by side in as many processes as there are cores, each row told as it is known."""
    jobs = [(case, p, runs, size) for case, p in product(range(len(CASES)), probabilities)]
    rows = []
    # Not forked: what has threads by now, as after `sheet_beside`, would wait for them for ever.
    with ProcessPoolExecutor(int(os.environ.get("CPUS", os.cpu_count() or 1)), get_context("spawn")) as pool:
        for found in pool.map(_row, jobs):
            print(*found, sep="  ", file=sys.stderr, flush=True)
            rows.append(found)
    title = f"Rare events: {runs} runs of {size.populations} populations of {size.particles} particles each"
    return Sheet(name, title, HEAD, rows)


class Beside(NamedTuple):
    """A network without a law: with so many plain replicates, and so many populations of 1,000."""

    what: str
    init: dict[str, Any]
    width: int
    horizon: int
    explode: float
    replicates: int
    populations: int

    def point(self, splitting: Splitting | None = None) -> DesignPoint:
        """With plain replicates, or with populations."""
        made_of = {"cell": "lstm", "init": self.init, "width": self.width, "horizons": (self.horizon,)}
        return DesignPoint(**made_of, splitting=splitting)


PYTORCH, OPEN = {"preset": "pytorch"}, {"preset": "pytorch", "bias": {"forget": 3.0}}
LSTMS = (
    Beside("4 units, T = 100", PYTORCH, 4, 100, 1e-3, 10_000_000, 100),
    Beside("4 units, T = 100", PYTORCH, 4, 100, 1.0, 10_000_000, 100),
    Beside("16 units, forget bias 3, T = 1,000", OPEN, 16, 1000, 1e3, 300_000, 20),
)


def counted(one: Beside) -> int:
    """How many of its plain replicates end above the norm."""
    point = one.point()
    cut = partition(point)
    parts = (run_block(point, i, size, cut=cut)["log_spectral"] for i, size in blocks(one.replicates, cut.block))
    return sum(int((part.to_numpy() > math.log(one.explode)).sum()) for part in parts)


def beside(one: Beside) -> list[str]:
    """What plain sampling and what populations find, each with its 95 % interval."""
    plainly = counted(one)
    low, high = (float(end) for end in binomial_interval(plainly, one.replicates))
    split = Splitting.checked(event="explode", vanish=one.explode * 1e-9, explode=one.explode, particles=1000)
    found = rare_answer(one.point(split), one.populations).statistics.row(-1, named=True)
    plain = f"{plainly / one.replicates:.3g} [{low:.3g}, {high:.3g}]"
    rare = f"{found['p']:.3g} [{found['p_low']:.3g}, {found['p_high']:.3g}]"
    return [one.what, f"{one.explode:g}", plain, f"{one.replicates:,}", rare, f"{found['evaluations']:,}"]


def sheet_beside() -> Sheet:
    """Networks for which there is no law, by both ways."""
    head = ["PyTorch's LSTM", "norm above", "P by plain replicates", "of them", "P by populations", "chains"]
    return Sheet("rare-beside", "Rare events beside plain sampling", head, [beside(one) for one in LSTMS])


def _row(job: tuple[int, float, int, Size]) -> list[str]:
    case, p, runs, size = job
    return row(CASES[case], p, runs, size)


if __name__ == "__main__":
    many = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    for table in (sheet_beside(), sheet(many), sheet_by_default(many)):
        Console().print(table.for_terminal())
