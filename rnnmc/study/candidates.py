"""What a cell could be initialised with: candidates of which one is advised, and the numbers along which they lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rnnmc.cells.cell import Cell
from rnnmc.common.errors import UsageError
from rnnmc.initialisers import presets
from rnnmc.study.initialisation import unsaid
from rnnmc.study.point import DesignPoint

DECADES_BETWEEN = 4  # horizons in a decade: an excursion between two of them leaves no trace
GAINS = {
    "gaussian": (0.5, 0.7, 0.85, 1.0, 1.2, 1.4, 2.0, 3.0),
    "orthogonal": (0.7, 0.85, 0.95, 1.0, 1.05, 1.2, 1.4, 2.0),
}
GATED_GAINS = {"gaussian": (1.0, 2.0, 4.0), "orthogonal": (1.0, 2.0)}
KNOWN_PRESETS = ("pytorch", "keras", "flax")
IDENTITIES = (1.0, 0.9)


@dataclass(frozen=True)
class Line:
    """Candidates along one number x of the initialisation.

    name: of what is set, for people. said: the initialisation at x, as a study file has it. start: values of x to begin
    with, rising. sign: what is set is sign * x. logged: x is a scale, and is looked for in the logarithm.
    """

    name: str
    said: Callable[[float], Any]
    start: tuple[float, ...]
    sign: int = 1
    logged: bool = False

    def scale(self, x: float) -> float:
        """x on the scale along which it is looked for."""
        return math.log(x) if self.logged else x

    def unscale(self, scaled: float) -> float:
        """The inverse of `scale`."""
        return math.exp(scaled) if self.logged else scaled


@dataclass(frozen=True)
class Advised:
    """What is asked: a cell at a width, to be stable for `steps`.

    base: preset that is in force where a candidate says nothing, or None. drive: as in a study file.
    """

    cell: str
    width: int
    steps: int
    base: str | None
    drive: Any = "white"
    weights: str = "tied"
    dtype: str = "float32"
    seed: int = 7888

    def point(self, init: Any, cell: str | None = None, tenfold: bool = False, again: bool = False) -> DesignPoint:
        """The design point of one candidate. tenfold: to ten times the steps. again: by another seed.

        Raises UsageError as a design point does.
        """
        return DesignPoint(
            cell=cell or self.cell,
            width=self.width,
            init=init,
            drive=self.drive,
            weights=self.weights,
            horizons=list(horizons_down_from(self.steps * (10 if tenfold else 1))),
            dtype=self.dtype,
            seed=self.seed + again,
        )


def horizons_down_from(last: int) -> tuple[int, ...]:
    """Horizons (steps) from `last` down to 1, evenly spaced in the logarithm, and the whole steps of last / 10."""
    count = int(DECADES_BETWEEN * math.log10(last)) + 1
    spaced = {max(1, round(last / 10 ** (i / DECADES_BETWEEN))) for i in range(count) if i != DECADES_BETWEEN}
    return tuple(sorted(spaced | {1, max(1, last // 10)}))


def base_of(cell: Cell, wanted: str | None) -> str | None:
    """The preset on which candidates rest: the one that is wanted, else PyTorch's, else the cell's own; or None."""
    names = (wanted, "pytorch", "published")
    return next((name for name in names if name in presets() and presets()[name].serves(cell)), None)


def keeper(cell: Cell) -> tuple[str, int] | None:
    """The gate whose bias sets how long the cell remembers, and the sign that makes it longer; None without one."""
    if not cell.memory:
        return None
    gate = cell.gating.keep if cell.gating else next(iter(cell.memory))
    return gate, cell.memory[gate]


def lines(cell: Cell, base: str | None, steps: int) -> list[Line]:
    """The numbers that are worth setting in a cell: the bias of the gate that remembers, or else the recurrent gain."""
    rest: dict[str, Any] = {"preset": base} if base else {}
    kept = keeper(cell)
    if kept and base:  # a bias alone is no network
        gate, sign = kept
        # sg(b) = 1 - 1/T keeps for T steps: the bias is log T at most, and a little more
        start = tuple(float(bias) for bias in range(math.ceil(math.log(steps)) + 2))
        return [Line(f"{gate} bias", lambda x: rest | {"bias": {gate: sign * x + 0.0}}, start, sign)]
    if cell.diagonal and base:
        return []
    return [
        Line(f"gain of {law} recurrent weights", lambda x, law=law: rest | {"recurrent": {law: x}}, gains, logged=True)
        for law, gains in GAINS.items()
        if law == "gaussian" or not cell.diagonal
    ]


def settings(cell: Cell, base: str | None, steps: int) -> Iterator[Any]:
    """Every initialisation that is tried beside those along `lines`, as a study file would say it; some twice."""
    # of presets that say the same, the first gives its name
    names = dict.fromkeys(name for name in (base, *KNOWN_PRESETS, *presets()) if name)
    yield from (name for name in names if presets()[name].serves(cell))
    rest: dict[str, Any] = {"preset": base} if base else {}
    remembering = {gate: {"chrono": float(steps)} for gate in cell.memory} if steps > 2 and base else {}
    if remembering:
        yield rest | {"bias": remembering}
        if not cell.diagonal:
            yield rest | {"recurrent": {"orthogonal": 1.0}, "bias": remembering}
    if cell.diagonal:
        return
    if cell.memory:
        yield from (rest | {"recurrent": {law: gain}} for law, gains in GATED_GAINS.items() for gain in gains)
    for factor in IDENTITIES:
        yield rest | {"recurrent": {"identity": factor}}
        if not cell.memory:
            yield rest | {"recurrent": {"identity": factor}, "bias": 0.0}


def candidates(question: Advised, cell: Cell) -> tuple[list[DesignPoint], list[tuple[Line, dict[float, int]]]]:
    """Design points that differ in the initialisation alone, each once; and of each line x -> its place among these.

    What a cell has no law for is left out. Raises UsageError where the question itself cannot be, such as its width.
    """
    found: dict[str, DesignPoint] = {}
    along: list[tuple[Line, dict[float, int]]] = []
    for said in (unsaid(question.cell), *settings(cell, question.base, question.steps)):
        _add(found, question, said)
    for line in lines(cell, question.base, question.steps):
        places = {x: _add(found, question, line.said(x)) for x in line.start}
        along.append((line, {x: place for x, place in places.items() if place >= 0}))
    if not found:
        question.point(question.base or {"recurrent": {"gaussian": 1.0}})  # says what is wrong with it
    return list(found.values()), along


def _add(found: dict[str, DesignPoint], question: Advised, said: Any) -> int:
    """Keep the point of this initialisation, if there is one; its place, or -1."""
    try:
        point = question.point(said)
    except UsageError:
        return -1
    found.setdefault(point.key, point)
    return list(found).index(point.key)


def of_other_cells(question: Advised, cells: dict[str, Cell]) -> list[DesignPoint]:
    """Each cell but the one asked about, at every preset that serves it."""
    found = {}
    for cell in cells.values():
        for name, preset in presets().items():
            if cell.name != question.cell and preset.serves(cell):
                try:
                    point = question.point(name, cell.name)
                except UsageError:  # such as a width that the cell cannot have
                    continue
                found.setdefault(point.key, point)
    return list(found.values())
