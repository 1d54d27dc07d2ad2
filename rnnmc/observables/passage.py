"""First passages of the norm, exact to the step: when it first was below, or above, each rung of a ladder.

The norm is looked at after every step, as closely as the next rung asks for and no closer. The exponents of the chain
tell when all rungs are far. ||P||_F / sqrt(d) <= ||P||_2 <= ||P||_F settles most of the other steps. For a replicate
with a rung between these two, a guess v at the top right singular vector is carried along, which hardly turns once
the chain is long. With u = P v, a = |u|^2, B = P^T u - a v and delta = ||P||_F^2 - a (`rnnmc.numerics.spectral`, of one
direction),

    a <= ||P||_2^2 <= a + |B|^2 / (a - delta)    whenever a > delta.

Where the rung t is even between these, a Cholesky factor of t^2 - P P^T decides: there is one just where ||P||_2 < t.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BeforeValidator

from rnnmc.chain.norms import MEASURES
from rnnmc.common.arrays import Floats
from rnnmc.common.refusals import refuse
from rnnmc.observables.observable import Observable

if TYPE_CHECKING:
    from torch import Tensor

    from rnnmc.cells.cell import State
    from rnnmc.chain.product import Step
    from rnnmc.numerics.layout import Layout

BELOW, ABOVE = "below", "above"
_SPECTRAL, _RMS = range(len(MEASURES))  # rows
NEVER = -1
ROUNDING = 1e-3  # nats, of bounds: more than float32 needs, for within it the norm is but looked at more closely
GUESS_FROM = 16  # d; below it a Cholesky factor costs no more
LEAST_MARGIN = 1e-2  # of a - delta, as a share of ||P||_F^2: below it rounding would count

Indices = NDArray[np.int64]


def _ladder(inside: Callable[[float], bool], outwards: int, example: str) -> BeforeValidator:
    """Reads one threshold or a list of them; kept sorted away from 1."""

    def read(value: Any) -> tuple[float, ...]:
        rungs = list(value) if isinstance(value, list | tuple) else [value]
        possible = all(type(rung) in (int, float) and inside(rung) for rung in rungs)
        if not possible or not rungs or len(set(rungs)) < len(rungs):
            raise refuse("", value, f"is not a ladder of thresholds on the norm; give {example}")
        return tuple(sorted((float(rung) for rung in rungs), key=lambda rung: outwards * rung))

    return BeforeValidator(read)


Vanish = _ladder(lambda rung: 0 < rung < 1, -1, "numbers between 0 and 1, each once, such as [0.1, 0.001]")
Explode = _ladder(lambda rung: 1 < rung < math.inf, 1, "finite numbers above 1, each once, such as [10, 1000]")


class Passage(Observable):
    """First step at which the norm is below each of `vanish` and above each of `explode`; null where never so far.

    Thresholds are on the norm itself. A chain that is exactly zero is below, and one whose state has overflowed is
    above, every threshold. A norm is compared as it was computed: in a float32 point the stored log-norms are rounded
    afterwards, so that of those within 1e-7 (relatively) of a threshold's logarithm the two may tell differently.
    """

    name, main, example = "passage", "vanish", "[0.1, 0.001]"
    formula = "min {t: ||P_t|| < threshold}, min {t: ||P_t|| > threshold}"
    source = "docs/physics.md section 3.6"
    labels: ClassVar[Mapping[str, pa.DataType]] = {
        "measure": pa.string(),
        "threshold": pa.float64(),
        "direction": pa.string(),
    }
    columns: ClassVar[Mapping[str, pa.DataType]] = {"first": pa.int32()}

    vanish: Annotated[tuple[float, ...], Vanish] = (1e-1, 1e-3, 1e-6, 1e-9)
    explode: Annotated[tuple[float, ...], Explode] = (1e1, 1e3, 1e6, 1e9)

    def index(self, point):
        rungs = [*self.vanish, *self.explode]
        directions = [BELOW] * len(self.vanish) + [ABOVE] * len(self.explode)
        return {
            "measure": np.repeat(np.array(MEASURES, object), len(rungs)),
            "threshold": np.tile(rungs, len(MEASURES)),
            "direction": np.tile(np.array(directions, object), len(MEASURES)),
        }

    def watch(self, point, layout, start, generators):
        return _Watch(self, layout, start)


class _Watch:
    """Looks at every step as closely as the rungs that are next ask for: exponents, Frobenius norm, guess, Cholesky.

    guess: unit vectors, a direction of length d for each replicate. floor, ceiling: (R,) in nats; while log ||P||_F is
    between them, no rung can have been passed.
    """

    def __init__(self, observable: Passage, layout: Layout, start: State):
        replicates = start[0].shape[layout.replicate_axis]
        self.layout, self.size = layout, len(start) * start[0].shape[layout.out_axis]
        self.to_rms = math.log(self.size) / 2
        self.down, self.up = (_Ladder(rungs, replicates) for rungs in (observable.vanish, observable.explode))
        shape = list(start[0].shape)
        shape[layout.out_axis] = self.size
        self.guess = start[0].new_full(shape, self.size**-0.5)
        self.floor, self.ceiling = np.empty(replicates), np.empty(replicates)
        self._look_again_beyond(np.arange(replicates))

    def _look_again_beyond(self, which: Indices) -> None:
        down, up = self.down.next[:, which], self.up.next[:, which]
        self.floor[which] = down.max(axis=0) + self.to_rms + ROUNDING
        self.ceiling[which] = np.minimum(up[_SPECTRAL], up[_RMS] + self.to_rms) - ROUNDING

    def see(self, step: Step) -> None:
        if not self._near(step):
            return
        log = self._log_frobenius(step)
        which = np.flatnonzero((log < self.floor) | (log > self.ceiling))
        if not len(which):
            return
        rms = log[which] - self.to_rms
        low, high = np.stack([rms, rms]) - ROUNDING, np.stack([log[which], rms]) + ROUNDING
        if self.size >= GUESS_FROM:
            self._draw_closer(low, high, step, which, log[which])
        while True:
            self.down.pass_where(high, np.less, which, step.number)
            self.up.pass_where(low, np.greater, which, step.number)
            down, up = self.down.next[:, which], self.up.next[:, which]
            falling, rising = (low < down) & (high >= down), (high > up) & (low <= up)
            unsure = (falling | rising).any(axis=0)
            if not unsure.any():
                break
            rung = np.where(falling, down, up)[_SPECTRAL, unsure]
            least, most = self._decided(step, which[unsure], rung)
            low[:, unsure], high[:, unsure] = np.maximum(low[:, unsure], least), np.minimum(high[:, unsure], most)
        self._look_again_beyond(which)
        for_good = which[np.isinf(log[which])]  # dead or overflown
        self.floor[for_good], self.ceiling[for_good] = -math.inf, math.inf

    def _near(self, step: Step) -> bool:
        """Whether any rung may be near, from the exponents alone: the chain's largest entry is kept near one."""
        from rnnmc.chain.product import SAFE

        size = step.exponent.flatten().cpu().numpy() * math.log(2)
        if (size - math.log(SAFE) < self.floor).any() or (size + math.log(SAFE * self.size) > self.ceiling).any():
            return True
        first_direction = step.chain[0].narrow(self.layout.direction_axis, 0, 1)
        entry = self.layout.size(first_direction)  # zero where the whole chain may be
        usual = (step.finite & (entry > 0) & entry.isfinite()).flatten().cpu().numpy()
        return bool((~usual & ((self.floor > -math.inf) | (self.ceiling < math.inf))).any())

    def _log_frobenius(self, step: Step) -> Floats:
        """(R,) log ||P_t||_F in nats, within ROUNDING; -inf where dead, +inf where overflown."""
        axes = (self.layout.direction_axis, self.layout.out_axis)
        first, *others = (part.square().sum(axes) for part in step.chain)
        squares = sum(others, first).double().cpu().numpy()
        with np.errstate(divide="ignore"):
            log = np.log(squares) / 2 + step.exponent.flatten().cpu().numpy() * math.log(2)
        log[~step.finite.flatten().cpu().numpy() | np.isnan(log)] = math.inf
        return log

    def _draw_closer(self, low: Floats, high: Floats, step: Step, which: Indices, log: Floats) -> None:
        """The bounds of the spectral norm that the Frobenius norm `log` and one pass with the guess give."""
        import torch

        layout, out, at = self.layout, self.layout.out_axis, torch.from_numpy(which).to(self.guess.device)
        guess = self.guess.index_select(layout.replicate_axis, at)
        image, a = torch.zeros_like(guess), 0.0
        for part in self._some(step, which):
            u = layout.product(guess, part)
            image = layout.product(u, part.transpose(layout.direction_axis, out), plus=image)
            a = a + u.square().sum(out)
        of_image = image.square().sum(out, keepdim=True)
        length = of_image.sqrt()
        self.guess.index_copy_(
            layout.replicate_axis, at, torch.where((length > 0) & length.isfinite(), image / length, guess)
        )
        a, of_image = torch.stack([torch.as_tensor(a).flatten(), of_image.flatten()]).double().cpu().numpy()
        scale = step.exponent.flatten().cpu().numpy()[which] * (2 * math.log(2))
        with np.errstate(all="ignore"):
            total = np.exp(2 * log - scale)
            margin = 2 * a - total
            bound = np.minimum(a + np.maximum(of_image - a**2, 0) / margin, total)
            top = np.where(margin > LEAST_MARGIN * total, bound, total)
            low[_SPECTRAL] = np.fmax(low[_SPECTRAL], (np.log(a) + scale) / 2 - ROUNDING)
            high[_SPECTRAL] = np.fmin(high[_SPECTRAL], (np.log(top) + scale) / 2 + ROUNDING)

    def _decided(self, step: Step, which: Indices, rung: Floats) -> tuple[Floats, Floats]:
        """(low, high), each (measures, some) in nats: the RMS gain itself, and on which side of `rung` ||P_t||_2 is."""
        import torch

        product = torch.cat([self.layout.matrices(part) for part in self._some(step, which)], dim=2).double()
        scale = step.exponent.flatten().cpu()[which].double() * math.log(2)
        rms = (product.square().mean(dim=2).sum(dim=1).sqrt().log().cpu() + scale).numpy()
        scaled = product * (scale - torch.from_numpy(rung)).exp().to(product.device)[:, None, None]
        left = torch.eye(self.size, dtype=scaled.dtype, device=scaled.device) - scaled @ scaled.mT
        below = (torch.linalg.cholesky_ex(left).info == 0).cpu().numpy()
        low = np.where(below, -math.inf, np.nextafter(rung, math.inf))
        high = np.where(below, np.nextafter(rung, -math.inf), math.inf)
        return np.stack([low, rms]), np.stack([high, rms])

    def _some(self, step: Step, which: Indices) -> list[Tensor]:
        """The chain of these replicates alone."""
        import torch

        at = torch.from_numpy(which).to(step.exponent.device)
        return [part.index_select(self.layout.replicate_axis, at) for part in step.chain]

    def values(self) -> dict[str, np.ndarray]:
        first = np.concatenate([self.down.first, self.up.first], axis=1)
        return {"first": first.reshape(-1, first.shape[2]).T}


class _Ladder:
    """Where each replicate stands on one ladder, by each measure.

    first: (measures, rungs, R) int32, the first passage or NEVER. next: (measures, R), the logarithm of the next rung,
    and after the last an infinity that nothing passes.
    """

    def __init__(self, rungs: tuple[float, ...], replicates: int):
        self.logs = np.array([*np.log(rungs), math.copysign(math.inf, math.log(rungs[0]))])
        self.first = np.full((len(MEASURES), len(rungs), replicates), NEVER, np.int32)
        self.passed = np.zeros((len(MEASURES), replicates), int)
        self.next = self.logs[self.passed]

    def pass_where(self, log_norm: Floats, beyond: np.ufunc, which: Indices, step: int) -> None:
        """Note `step` at every rung that `log_norm`, (measures, some) of the replicates `which`, is beyond."""
        while (now := beyond(log_norm, self.next[:, which])).any():
            measure, some = np.nonzero(now)
            at = (measure, which[some])
            self.first[measure, self.passed[at], which[some]] = step
            self.passed[at] += 1
            self.next[at] = self.logs[self.passed[at]]


OBSERVABLE = Passage
