"""What to set instead: initialisations of a cell ranked by P(stable by T), and the number at which that is largest."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np

from rnnmc.cells import cell as cell_named
from rnnmc.cells import cells
from rnnmc.cells.cell import Cell
from rnnmc.common.arrays import Flags, Floats
from rnnmc.common.errors import RunError, first_line
from rnnmc.common.granted import own_cpus
from rnnmc.engine.block import Partition, block_seconds, partition, run_block
from rnnmc.run.checks.sound import hold_sound, warn_unseen
from rnnmc.run.fanout import Done
from rnnmc.run.progress import Tell
from rnnmc.statistics.intervals import binomial_interval
from rnnmc.statistics.peak import Peak, bracket, peak
from rnnmc.statistics.point import growth_rate
from rnnmc.statistics.ranking import Standing, Turn, order, race, standing
from rnnmc.study.candidates import Advised, Line, candidates, of_other_cells
from rnnmc.study.point import DesignPoint
from rnnmc.study.study import PlannedPoint, Thresholds

BATCH = 32  # replicates of a job: as many as a first look needs
RACE_SECONDS, LINE_SECONDS, TENFOLD_SECONDS, AGAIN_SECONDS = 35.0, 15.0, 15.0, 5.0  # nominal, of one core
MOST_OF_ONE = 512  # replicates of a candidate
REFINED = 8  # values between which the maximum along a line is looked for, beside those to begin with
FOLLOWED = 3  # candidates that are measured to ten times the steps, of those that are not told apart from the best


@dataclass
class Measured:
    """A candidate and what was seen of it. log_norm: (replicates, horizons), spectral, in nats."""

    point: DesignPoint
    cut: Partition
    log_norm: Floats

    @classmethod
    def nothing(cls, point: DesignPoint) -> Measured:
        """The candidate before its first replicate."""
        usual = partition(point)
        tile = min(usual.tile, BATCH)
        return cls(point, Partition(tile, BATCH, usual.kernel), np.empty((0, len(point.horizons))))

    @property
    def seconds(self) -> float:
        """Nominal, of one replicate on one core."""
        return block_seconds(self.point, 1, self.cut)

    def first(self, thresholds: Thresholds, upto: int | None = None) -> tuple[Flags, Flags]:
        """(replicates,) each: whether a replicate vanished, or exploded, first, at a stored horizon up to `upto`."""
        known = np.array(self.point.horizons) <= (upto or self.point.horizons[-1])
        vanished = self.log_norm[:, known] < np.log(thresholds.vanish)
        out = vanished | (self.log_norm[:, known] > np.log(thresholds.explode))
        went_down = np.take_along_axis(vanished, out.argmax(1)[:, None], 1)[:, 0]
        return went_down, out.any(1) & ~went_down

    def stable(self, thresholds: Thresholds, upto: int | None = None) -> int:
        """How many replicates have neither vanished nor exploded by then."""
        return len(self.log_norm) - int(np.count_nonzero(np.logical_or(*self.first(thresholds, upto))))


@dataclass(frozen=True)
class Measurement:
    """A share `p` of replicates, and the interval of the probability behind it."""

    p: float
    low: float
    high: float
    replicates: int

    @classmethod
    def of(cls, measured: Measured, thresholds: Thresholds, upto: int | None = None) -> Measurement:
        """P(stable by `upto`), Wilson: for a number of replicates that was fixed beforehand."""
        count, total = measured.stable(thresholds, upto), len(measured.log_norm)
        low, high = binomial_interval(count, total)
        return cls(count / total, float(low), float(high), total)


@dataclass(frozen=True)
class Row:
    """One candidate of the ranking. `by`: P(stable by T), its interval that of the ranking. tenth, tenfold: by other
    steps; tenfold is None where it was not measured. rate: mean growth and its error, nats a step. apart: whether it is
    told apart from the first.
    """

    point: DesignPoint
    by: Measurement
    tenth: Measurement
    tenfold: Measurement | None
    rate: tuple[float, float]
    apart: bool


@dataclass(frozen=True)
class Advice:
    """What came of a question.

    ranking: best first. line, top, there: the number looked for, where its maximum is, and the candidate there, which
    are None for a cell without such a number, or where nothing along it was ever stable. best_again, there_again:
    `best`, and the candidate there, measured afresh by another seed.
    """

    question: Advised
    thresholds: Thresholds
    ranking: list[Row]
    line: Line | None
    top: Peak | None
    there: Row | None
    best_again: Measurement
    there_again: Measurement | None

    @property
    def best(self) -> Row:
        """The first of the ranking that is of the cell asked about."""
        return next(row for row in self.ranking if row.point.cell == self.question.cell)


@dataclass
class _Bench:
    """Where candidates are measured: threads of this process, for chains are C or torch, which let others run."""

    thresholds: Thresholds
    pool: ThreadPoolExecutor
    tell: Tell | None
    all: list[Measured] = field(default_factory=list)
    alone: threading.Lock = field(default_factory=threading.Lock)

    def measure(self, wanted: Sequence[tuple[Measured, int]]) -> None:
        """So many more replicates of each, in whole jobs; what they are rests on neither threads nor timing."""
        jobs = [
            (one, start) for one, more in wanted for start in range(len(one.log_norm), len(one.log_norm) + more, BATCH)
        ]
        seen: dict[int, list[Floats]] = {}
        for (one, _), log_norm in zip(jobs, self.pool.map(self._run, jobs), strict=True):
            seen.setdefault(id(one), []).append(log_norm)
        for one, _ in wanted:
            one.log_norm = np.concatenate([one.log_norm, *seen.pop(id(one), [])])

    def _run(self, job: tuple[Measured, int]) -> Floats:
        one, start = job
        begin = time.monotonic()
        try:
            with self.alone if _by_autodiff(one.point) else nullcontext():
                table = run_block(one.point, start // BATCH, BATCH, cut=one.cut)
        except (ArithmeticError, RuntimeError, ValueError) as error:  # of a cell of one's own, say
            raise RunError(f"{one.point.label}: {type(error).__name__}: {first_line(error)}") from error
        if self.tell:
            self.tell(Done(one.point.key, start // BATCH, BATCH, time.monotonic() - begin))
        return table["log_spectral"].to_numpy().reshape(BATCH, -1)

    def draw(self, turns: Sequence[Turn]) -> list[int]:
        """As `rnnmc.statistics.ranking.Draw`, of `all`."""
        before = [len(self.all[one].log_norm) for one, _ in turns]
        self.measure([(self.all[one], more) for one, more in turns])
        events = [np.logical_or(*self.all[one].first(self.thresholds)) for one, _ in turns]
        return [int(np.count_nonzero(~event[start:])) for event, start in zip(events, before, strict=True)]

    def standing(self, family: int) -> Standing:
        """How all stand."""
        stable = np.array([one.stable(self.thresholds) for one in self.all])
        return standing(stable, np.array([len(one.log_norm) for one in self.all]), family)


def advise(
    question: Advised, other_cells: bool = False, thresholds: Thresholds | None = None, tell: Tell | None = None
) -> Advice:
    """Rank candidates, look for the best number, and measure what is best afresh.

    other_cells: whether the other cells that come with rnnmc run too, each at the presets that serve it. How many
    replicates are drawn rests on the question alone, and is chosen so that two processors need about a minute at width
    64 and 1,000 steps. Raises UsageError for a question that cannot be.
    """
    import torch

    wanted, cell = thresholds or Thresholds(), cell_named(question.cell)
    points, along = candidates(question, cell)
    points += of_other_cells(question, cells()) if other_cells else []
    hold_sound(points[0])
    warn_unseen([PlannedPoint(point=points[0], replicates=1)])
    with ThreadPoolExecutor(own_cpus(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        bench = _Bench(wanted, pool, tell, [Measured.nothing(point) for point in points])
        family = len(points) + REFINED + 1
        costs = np.array([one.seconds for one in bench.all])
        race(bench.draw, costs, BATCH, MOST_OF_ONE, RACE_SECONDS, family)
        line, top, place = _along_a_line(bench, question, along, family)
        now = bench.standing(family)
        besides = np.array([_middle(one) for one in bench.all])
        if place is not None:
            besides[place] = -1.0  # of what is as stable, the middle of the plateau is the furthest from where it ends
        ranked = order(now, besides)
        listed = [int(one) for one in ranked if one < len(points) or one == place]
        rows = _rows(bench, question, now, listed)
        best = next(row for row in rows if row.point.cell == question.cell)
        there = None if place is None else rows[listed.index(place)]
        afresh = [
            Measured.nothing(question.point(row.point.init, row.point.cell, again=True))
            for row in ([best] if there is None or there is best else [best, there])
        ]
        bench.measure([(one, _affordable(AGAIN_SECONDS, one.seconds)) for one in afresh])
    known = [Measurement.of(one, wanted) for one in afresh]
    return Advice(question, wanted, rows, line, top, there, known[0], None if there is None else known[-1])


def _by_autodiff(point: DesignPoint) -> bool:
    """Whether the tangent may be torch's, whose levels of forward differentiation are shared by all threads."""
    return ":" in point.cell or type(point.cell_object).linearise is Cell.linearise


def _middle(one: Measured) -> float:
    """How far the middle replicate is from a norm of one at last, in nats."""
    return abs(float(np.quantile(one.log_norm[:, -1], 0.5, method="inverted_cdf")))


def _affordable(seconds: float, cost: float) -> int:
    """Replicates in whole jobs that so many seconds pay for: one job at least, and no more than MOST_OF_ONE."""
    return int(np.clip(seconds / cost // BATCH, 1, MOST_OF_ONE // BATCH)) * BATCH


def _along_a_line(
    bench: _Bench, question: Advised, along: Sequence[tuple[Line, dict[float, int]]], family: int
) -> tuple[Line | None, Peak | None, int | None]:
    """(the line with the best start, where its maximum is, the place in `bench.all` of the candidate there)."""
    now = bench.standing(family)
    started = [(line, places) for line, places in along if len(places) > 2]
    if not started:
        return None, None, None
    line, places = max(started, key=lambda one: max(now.share[place] for place in one[1].values()))
    if max(now.stable[place] for place in places.values()) == 0:
        return line, None, None
    low, high = _bracket(line, places, now)
    known = dict(places)
    for x in np.linspace(low, high, REFINED + 2)[1:-1]:
        _place(bench, question, line, known, float(f"{line.unscale(x):.4g}"))
    new = [bench.all[place] for place in known.values() if place not in places.values()]
    bench.measure([(one, _affordable(LINE_SECONDS / REFINED, one.seconds)) for one in new])
    top = _fitted(bench, line, known, family)
    at = float(f"{top.at:.3g}")
    place = _place(bench, question, line, known, at)
    most = max(len(one.log_norm) for one in bench.all)
    bench.measure([(bench.all[place], max(0, most - len(bench.all[place].log_norm)))])
    return line, top._replace(at=at), place


def _place(bench: _Bench, question: Advised, line: Line, known: dict[float, int], x: float) -> int:
    """The place in `bench.all` of the candidate at x, which is added, also to `known`, where it is not there yet."""
    if x not in known:
        known[x] = len(bench.all)
        bench.all.append(Measured.nothing(question.point(line.said(x))))
    return known[x]


def _bracket(line: Line, places: dict[float, int], now: Standing) -> tuple[float, float]:
    """The bracket of the maximum on the scale of the line."""
    x = np.array(sorted(places))
    some = np.array([places[one] for one in x])
    of_line = Standing(now.stable[some], now.replicates[some], now.low[some], now.high[some], now.left[some])
    return bracket(np.array([line.scale(one) for one in x]), of_line)


def _fitted(bench: _Bench, line: Line, places: dict[float, int], family: int) -> Peak:
    """The maximum of the fit, between what intervals tell to lie on either side of it; x, not its scale."""
    low, high = _bracket(line, places, bench.standing(family))
    inside = {line.scale(x): bench.all[place] for x, place in sorted(places.items()) if low <= line.scale(x) <= high}
    events = [[int(np.count_nonzero(one)) for one in each.first(bench.thresholds)] for each in inside.values()]
    vanished, exploded = np.array(events).T
    replicates = np.array([len(one.log_norm) for one in inside.values()])
    top = peak(np.array(list(inside)), vanished, exploded, replicates)
    at, left, right = (line.unscale(x) for x in top[:3])
    return Peak(at, left, right, top.share)


def _rows(bench: _Bench, question: Advised, now: Standing, listed: list[int]) -> list[Row]:
    """The ranking; the first few that are not told apart from the best are followed to ten times the steps."""
    followed = [one for one in listed if not now.told_apart(one, listed[0])][:FOLLOWED]
    best = next(one for one in listed if bench.all[one].point.cell == question.cell)
    followed += [] if best in followed else [best]
    longer = {}
    for one in followed:
        point = bench.all[one].point
        longer[one] = Measured.nothing(question.point(point.init, point.cell, tenfold=True))
    bench.measure([(one, _affordable(TENFOLD_SECONDS / FOLLOWED, one.seconds)) for one in longer.values()])

    def rows() -> Iterator[Row]:
        for one in listed:
            seen = bench.all[one]
            rate, error = growth_rate(seen.log_norm, np.array(seen.point.horizons))
            p, low, high = (float(of[one]) for of in (now.share, now.low, now.high))
            by = Measurement(p, low, high, int(now.replicates[one]))
            yield Row(
                seen.point,
                by,
                Measurement.of(seen, bench.thresholds, max(1, question.steps // 10)),
                Measurement.of(longer[one], bench.thresholds) if one in longer else None,
                (float(rate[-1]), float(error[-1])),
                now.told_apart(one, listed[0]),
            )

    return list(rows())
