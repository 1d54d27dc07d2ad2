"""Weights that stay, at infinite width: a population of sites whose fields are Gaussian, with its own memory of time.

At infinite width U_k x_t is, over sites, a Gaussian field whose covariance in time is g_k^2 E[x_t x_s], the
population's own mean over sites. Its draw given the past is exact and cheap: what of x_t lies in the span of what U_k
has met before is answered as before, and the rest freshly (an incremental Cholesky factor). Directions are answered
likewise, by fields independent of those of the state. The cell itself is run, its own `linearise` or `step` with a
`Population` in the place of its weights, so that any cell whose units meet in products alone has its theory. Tensors
are laid out as in `rnnmc.numerics.layout.Rows`: (populations, rows, sites). Of orthogonal weights, and blocks of a
stacked one, the fields are the same, given their radius for g_k. Source: docs/physics.md section 9.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from rnnmc.cells.cell import Cell
from rnnmc.numerics.layout import Rows
from rnnmc.numerics.normal import SinglePrecision
from rnnmc.numerics.threads import one_thread
from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import field_variances

State = tuple[Tensor, ...]

ALIKE = 1e-6  # of the variance of a field is fresh at least, or float32 could not tell vectors that are so alike apart
NOTHING = 1e-30  # a length of zero has no direction
OF_FINITE = 2.0  # nats a step times sites: how far a finite population may be off, as networks of so many units are
ALONE = Lock()  # forward mode knows one level in a process, whatever the thread


class Extent(NamedTuple):
    """Independent populations, sites of each, and steps, of which the last half is used."""

    populations: int
    sites: int
    steps: int


class Met:
    """The vectors that some matrices have met, all the same ones, and what Gaussian matrices of variance 1/n answered.

    units: (populations, times, sites), the vectors at length 1. factor: (populations, times, times), the Cholesky
    factor of their products. said: matrix -> (populations, times, sites), what it answered to these; told: to how many.
    """

    def __init__(self, extent: Extent, rng: np.random.Generator):
        self.extent, self.rng, self.time, self.now = extent, rng, 0, None
        self.units = torch.empty(extent.populations, extent.steps, extent.sites, dtype=torch.float64)
        self.factor = torch.zeros(extent.populations, extent.steps, extent.steps, dtype=torch.float64)
        self.said: dict[str, Tensor] = {}
        self.told: Counter[str] = Counter()

    def ask(self, matrix: str, x: Tensor, known_as: Any = None) -> Tensor:
        """What the matrix answers to x, (populations, 1, sites). Raises TypeError where it has missed a vector.

        known_as: what tells whether x is the vector that was asked about last; itself unless given.
        """
        known_as = x if known_as is None else known_as
        if known_as is not self.now:
            self._meet(x)
            self.now = known_as
        last = self.time - 1
        if self.told[matrix] < last:
            raise TypeError(f"{matrix} does not meet the vectors that another matrix meets, but some of them")
        if matrix not in self.said:
            self.said[matrix] = torch.empty(self.units.shape, dtype=torch.float32)
        said = self.said[matrix]
        if self.told[matrix] == last:
            fresh = torch.from_numpy(self.rng.standard_normal((len(x), self.extent.sites), np.float32))
            answer = (self.weights @ said[:, :last])[:, 0] + self.left * fresh / math.sqrt(self.extent.sites)
            said[:, last] = answer
            self.told[matrix] += 1
        return self.length * said[:, last, None]

    def _meet(self, x: Tensor) -> None:
        now, past = self.time, slice(0, self.time)
        length = x.double().norm(dim=2, keepdim=True)
        self.units[:, now] = (x / length.clamp_min(NOTHING))[:, 0]
        alike = self.units[:, past] @ self.units[:, now, :, None]
        factor = self.factor[:, past, past]
        of_past = torch.linalg.solve_triangular(factor, alike, upper=False)
        left = (1 + ALIKE - of_past.square().sum(1)).clamp_min(ALIKE).sqrt()
        self.factor[:, now, past], self.factor[:, now, now] = of_past[..., 0], left[:, 0]
        self.weights = torch.linalg.solve_triangular(factor.mT, of_past, upper=True).mT.float()
        self.left, self.length, self.time = left.float(), length.float(), now + 1


class Fields:
    """What recurrent matrices of these gains answer: to states and, apart from them, to directions.

    asking: of which of the two a plain vector is; one with a tangent (forward mode) is both.
    """

    def __init__(self, gains: Mapping[str, float], extent: Extent, rng: np.random.Generator):
        self.gains, self.extent, self.rng, self.asking = gains, extent, rng, "states"
        self.met: dict[str, dict[str, Met]] = {"states": {}, "directions": {}}

    def __call__(self, name: str, x: Tensor) -> Tensor:
        if self.asking != "both":
            return self._answer(self.asking, name, x, x)
        value, tangent = forward_ad.unpack_dual(x)
        along = torch.zeros_like(value) if tangent is None else tangent
        return forward_ad.make_dual(self._answer("states", name, value, x), self._answer("directions", name, along, x))

    def _answer(self, asking: str, name: str, x: Tensor, known_as: Tensor) -> Tensor:
        met = self.met[asking]
        if name not in met:
            same = (one for one in met.values() if one.now is known_as)
            met[name] = next(same, None) or Met(self.extent, self.rng)
        return self.gains[name] * met[name].ask(name, x, known_as)


class Rowwise:
    """A matrix that is not there, known by what it does to rows; scaled, added and multiplied as a cell does it."""

    def __init__(self, act: Callable[[Any], Any]):
        self.act = act

    def __mul__(self, scale: Any) -> Rowwise:
        return Rowwise(lambda rows: self.act(rows) * scale)

    def __add__(self, other: Rowwise) -> Rowwise:
        return Rowwise(lambda rows: self.act(rows) + other.act(rows))

    def addcmul(self, matrix: Rowwise, scale: Any) -> Rowwise:
        return self + matrix * scale

    __rmul__ = __mul__


class Population:
    """Stands in for `rnnmc.numerics.weights.Weights`; `answer(name, rows)` is the product with a recurrent matrix."""

    layout, identity = Rows(), Rowwise(lambda rows: rows)

    def __init__(self, cell: Cell, bias: Mapping[str, Tensor], answer: Callable[[str, Tensor], Tensor]):
        self.answer, self.bias = answer, bias
        self.recurrent = {name: Rowwise(partial(answer, name)) for name in cell.recurrent}

    def apply(self, h: Tensor, *gates: str) -> dict[str, Tensor]:
        return {gate: self.answer(gate, h) for gate in gates}

    def product(self, rows: Any, matrix: Rowwise, plus: Any = None) -> Any:
        if isinstance(rows, Rowwise):
            return Rowwise(lambda further: matrix.act(rows.act(further)))
        return matrix.act(rows) if plus is None else matrix.act(rows) + plus


def log_growth(point: DesignPoint, gains: Mapping[str, float], extent: Extent, seed: int) -> np.ndarray:
    """(populations, steps) float64: logarithm of what the root of E[ds^2] grows by in every step, nats.

    gains: recurrent matrix -> g, whatever the point says. Everything else is drawn as the point says it, at its width;
    each population has an input of its own.
    """
    cell, rng = point.cell_object, SinglePrecision(np.random.SFC64(seed))
    drives, inner = _drives(point, extent, rng)
    fields = Fields(gains, extent, rng)
    population = Population(cell, inner, fields)

    def drawn(scale: float) -> State:
        shape = (extent.populations, 1, extent.sites)
        return tuple(torch.from_numpy(rng.standard_normal(shape, np.float32) * np.float32(scale)) for _ in cell.parts)

    state, direction = drawn(point.state_std), drawn(1.0)
    logs = np.empty((extent.populations, extent.steps))
    with one_thread():  # equal bits whatever the number of processors
        for step in range(extent.steps):
            state, direction = _advanced(cell, population, fields, next(drives), state, direction)
            length = torch.stack([part.double().square().mean(2) for part in direction]).sum(0).sqrt()
            logs[:, step] = length.log()[:, 0].numpy()
            direction = tuple((part / length[:, None]).float() for part in direction)
    return logs


def _advanced(
    cell: Cell, population: Any, fields: Fields, drive: dict[str, Tensor], state: State, direction: State
) -> tuple[State, State]:
    """(next state, next direction), by the cell's own tangent, or by forward mode where it has none."""
    if type(cell).linearise is not Cell.linearise:
        fields.asking = "states"
        after, push = cell.linearise(population, drive, state)
        fields.asking = "directions"
        return after, push(direction)
    fields.asking = "both"
    with ALONE, forward_ad.dual_level():
        duals = tuple(forward_ad.make_dual(*pair) for pair in zip(state, direction, strict=True))
        found = [forward_ad.unpack_dual(part) for part in cell.step(population, drive, duals)]
    return tuple(one for one, _ in found), tuple(torch.zeros_like(one) if d is None else d for one, d in found)


def rate(logs: np.ndarray, sites: int) -> tuple[float, float]:
    """(growth rate, its standard error), nats a step, of (populations, steps) logarithms of growth.

    Of the last half of all steps. The error has three parts: what scatters between populations; what the quarter before
    is further off than its scatter, which is what a power of time that is still there adds; and OF_FINITE over the
    sites.
    """
    steps, root = logs.shape[1], math.sqrt(len(logs))
    late, before = logs[:, steps // 2 :].mean(1), logs[:, steps // 4 : steps // 2].mean(1)
    gap, scatter = (before - late).mean(), (before - late).std(ddof=1) / root
    drift = max(gap**2 - scatter**2, 0.0)
    return float(late.mean()), float(math.sqrt(late.var(ddof=1) / len(logs) + drift + (OF_FINITE / sites) ** 2))


def _drives(
    point: DesignPoint, extent: Extent, rng: np.random.Generator
) -> tuple[Iterator[dict[str, Tensor]], dict[str, Tensor]]:
    """(gate -> W x + b or the field plus b, step by step without end; name -> inner bias), as the point draws them."""
    cell = point.cell_object
    laws = point.init.assignments(cell, point.width, point.drive.dimension)

    def drawn(role: str, rows: int) -> dict[str, Tensor]:
        parts: dict[str, Tensor] = {}
        for gates, law in laws[role]:
            signs = tuple(cell.memory.get(gate, 1) for gate in gates)
            matrix = law.draw(rng, (extent.populations, rows, len(gates) * extent.sites), signs)
            with np.errstate(over="ignore"):  # infinite in float32, where the population then leaves the range
                whole = torch.from_numpy(matrix.astype(np.float32))
            parts |= dict(zip(gates, whole.split(extent.sites, 2), strict=True))
        return parts

    bias = drawn("bias", 1)
    inputs = drawn("input", point.drive.dimension) if point.drive.dimension and not point.drive.is_field else {}
    deviations = {gate: math.sqrt(v) for gate, v in (field_variances(point) or {}).items()}

    def fields() -> Iterator[dict[str, Tensor]]:
        while True:
            drive = {gate: bias[gate] for gate in cell.gates}
            for gate in cell.gates if point.drive.is_field else ():
                fresh = rng.standard_normal((extent.populations, 1, extent.sites), np.float32)
                drive[gate] = drive[gate] + deviations[gate] * torch.from_numpy(fresh)
            yield drive

    def through_weights() -> Iterator[dict[str, Tensor]]:
        for piece in point.drive.pieces(rng, (extent.steps, extent.populations, point.drive.dimension)):
            for x in torch.from_numpy(piece.astype(np.float32)):
                yield {gate: bias[gate] + x[:, None] @ inputs[gate] for gate in cell.gates}

    return through_weights() if inputs else fields(), {name: bias[name] for name in cell.inner_biases}


@lru_cache(maxsize=256)
def units_meet_in_products_alone(cell: Cell) -> bool:
    """Whether a population can stand in for the weights of this cell: what a unit does rests on itself otherwise.

    Tried: with products that answer a vector by a multiple of itself, no unit may see another one, or their number.
    """
    generator = torch.Generator().manual_seed(0)
    drive = {gate: torch.randn(1, 1, 5, generator=generator) for gate in cell.gates}
    state = tuple(torch.randn(1, 1, 5, generator=generator) for _ in cell.parts)
    inner = {name: torch.randn(1, 1, 5, generator=generator) for name in cell.inner_biases}

    def stepped(units: slice) -> State:
        population: Any = Population(cell, {name: b[..., units] for name, b in inner.items()}, lambda name, x: x / 2)
        return cell.step(population, {g: d[..., units] for g, d in drive.items()}, tuple(s[..., units] for s in state))

    try:
        whole, some = stepped(slice(0, 5)), stepped(slice(1, 4))
        return all(torch.allclose(a[..., 1:4], b, rtol=1e-5, atol=1e-6) for a, b in zip(whole, some, strict=True))
    except Exception:  # whatever a user's cell does
        return False
