"""Norms of P_T at all horizons from a few directions that are swept along the trajectory by compiled code.

At many horizons one sweep serves all, of all columns at first and of fewer and fewer later (`narrowing`). At a few,
random directions go forwards with the state; their images at some horizons, the anchors, come back by the transposed
Jacobians, and those go forwards again, to the anchor and the horizons before it: right singular directions settle
exponentially, so that those of a long product serve shorter ones too. Rows of normal numbers that went along say how
much was missed (`bounds`). What is not known well enough goes back and forth once more, each replicate and horizon by
itself; where that does not do, and at horizons so short that it costs little, the full product is taken, along the same
trajectory. So the numbers of a replicate rest on its own draws alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from rnnmc.chain.norms import RMS, SPECTRAL, TANGENT
from rnnmc.engine.draws import Draws
from rnnmc.engine.few_directions.norms import Numbers, wide_norms
from rnnmc.engine.few_directions.subspace import LOG_TWO
from rnnmc.engine.swept.bounds import Told, orthonormal_rows, told_by_left, told_by_right
from rnnmc.engine.swept.kernels import Kernels
from rnnmc.engine.swept.narrowing import NORMAL_ROWS, functions, narrowed
from rnnmc.engine.swept.plan import LEAST_DIRECTIONS, Group, groups_of, narrows
from rnnmc.engine.swept.trajectory import Swept, walked
from rnnmc.engine.swept.trust import kernels
from rnnmc.numerics.layout import Rows
from rnnmc.numerics.norms import norms_of
from rnnmc.study.point import DesignPoint

TOLERANCE = 1e-4  # nats of log_spectral that may remain, by a bound that is mostly far above what does
SHARES = 1e-7, 1e-9  # of the square of the norm, that may be dropped at a time; the second where the first is too much
NOTHING = -(2**40)  # the exponent of zero
MOST_ROUNDS = 6  # back and forth, of what is not known well enough; fewer where the full product costs no more

Scaled = tuple[Tensor, Tensor]  # rows (..., k, d), and by which power of two they are divided, (..., k)


def swept_norms(point: DesignPoint, tiles: list[tuple[int, int]], replicates: int, device: str, dtype: str) -> Numbers:
    """The norms of some tiles at every logged horizon, as `rnnmc.engine.few_directions.norms.wide_norms` gives them.

    log_spectral is never above the norm but for rounding, and below it by more than log_spectral_error in fewer than
    one of 10,000; where that is NaN, it is the full product's. Without a C compiler: `wide_norms`.
    """
    draws = Draws(point, tiles, replicates, Rows(), device, dtype)
    run = kernels(point.cell, point.width, draws.dtype, point.layers, point.residual)
    return _Norms(draws, run).numbers() if run else wide_norms(point, tiles, replicates, device, dtype)


class _Norms:
    """The norms of one tile as far as they are known; arrays are (R, horizons).

    spectral, frobenius: logs, nats, with their errors; todo: what is not known well enough. start, normal: (R, k, d)
    random orthonormal and normal rows, in the dtype of the sweeps; images: time -> of the normal rows.
    """

    def __init__(self, draws: Draws, run: Kernels):
        self.draws, self.along = draws, (along := walked(run, draws))
        self.horizons, self.d = draws.point.horizons, draws.point.state_size
        narrow = narrows(self.horizons) and functions() is not None
        self.groups = [] if narrow else groups_of(self.horizons, self.d)
        self.all = torch.arange(along.replicates)
        shape = along.replicates, len(self.horizons)
        self.spectral, self.frobenius = torch.zeros(2, *shape, dtype=torch.float64)
        self.spectral_error, self.frobenius_error = torch.full((2, *shape), math.nan, dtype=torch.float64)
        self.todo = torch.ones(shape, dtype=torch.bool)
        if narrow:
            self._by_narrowing()
        else:
            self._first_sweep()

    def _by_narrowing(self) -> None:
        """From all columns, fewer and fewer; who has a norm at all."""
        along, streams = self.along, self.draws.streams("wide")
        shape = along.replicates // len(streams), NORMAL_ROWS, self.d
        normal = torch.from_numpy(np.concatenate([rng.standard_normal(shape) for rng in streams])).double()
        at, which = torch.tensor(self.horizons), self.all
        for share in SHARES:
            found = narrowed(along, which, self.horizons, normal[which], share)
            if share == SHARES[0]:
                finite = (along.overflow[:, None] > at) | (found.died < along.overflow)[:, None]
                self.finite, self.dead = finite & found.finite, finite & (found.died[:, None] <= at)
                self.resolved = torch.minimum(found.lost, along.faded)[:, None] > at
                self.tangent = found.tangent
                self.todo &= self.finite & ~self.dead
            everywhere = torch.arange(len(self.horizons)).expand(len(which), -1)
            self._keep(which[:, None].expand_as(everywhere), everywhere, found.told, torch.zeros(()))
            which = self.todo.any(1).nonzero()[:, 0]
            if not len(which):
                return

    def _first_sweep(self) -> None:
        """Random rows forwards, each to the last horizon of the groups that need it; who has a norm at all."""
        along, streams = self.along, self.draws.streams("wide")
        groups = self.groups or [Group(self.horizons, LEAST_DIRECTIONS)]
        most = groups[-1].directions
        shape = along.replicates // len(streams), 2 * most, self.d
        drawn = torch.from_numpy(np.concatenate([rng.standard_normal(shape) for rng in streams]))
        self.start, self.normal = (
            one.to(self.draws.dtype) for one in (orthonormal_rows(drawn[:, :most]), drawn[:, most:])
        )
        self.images: list[tuple[list[int], Swept, int]] = []  # (times, images, how many are of the start)
        before = 0
        for group in groups:
            times = [horizon for horizon in self.horizons if horizon <= group.times[-1]]
            some = slice(before, group.directions)
            rows = torch.cat([self.start[:, some], self.normal[:, some]], dim=1)
            self.images.append((times, along.sweep(self.all, rows, self._times(times)), group.directions - before))
            before = group.directions
        _, image, _ = self.images[0]
        at, dead = torch.tensor(self.horizons), image.dead.amax(1)
        finite = (along.overflow[:, None] > at) | (dead < along.overflow)[:, None]
        self.finite = finite & image.rows.isfinite().all(3).all(2)
        self.resolved = torch.minimum(image.lost.amin(1), along.faded)[:, None] > at
        self.dead = (image.rows == 0).all(3).all(2) & self.finite
        length = torch.linalg.vector_norm(image.rows[:, :, 0].double(), dim=2)
        self.tangent = length.log() + image.exponent[:, :, 0].double() * LOG_TWO
        self.todo &= self.finite & ~self.dead

    def _times(self, times: list[int], count: int = 0) -> Tensor:
        return torch.tensor(times).expand(count or len(self.all), -1).contiguous()

    def _of_first_sweep(self, group: Group, time: int, of_start: bool) -> tuple[Tensor, Tensor]:
        """((R, k, d), (R, k)) images and exponents at this time of the start or the normal rows of a group."""
        rows, exponents = [], []
        for (times, image, start), _ in zip(self.images, range(self.groups.index(group) + 1), strict=False):
            some, at = slice(0, start) if of_start else slice(start, None), times.index(time)
            rows.append(image.rows[:, at, some])
            exponents.append(image.exponent[:, at, some])
        return torch.cat(rows, dim=1), torch.cat(exponents, dim=1)

    def numbers(self) -> Numbers:
        """What `swept_norms` gives."""
        for group in self.groups:
            self._by_group(group)
        self._by_full_product()
        status = torch.where(~self.finite, 2, torch.where(self.dead, 1, 0)).to(torch.int8)
        logs = {SPECTRAL: self.spectral, RMS: self.frobenius - 0.5 * math.log(self.d), TANGENT: self.tangent}
        found = {
            name: torch.where(self.finite, torch.where(self.dead, -math.inf, log), math.inf).numpy()
            for name, log in logs.items()
        }
        errors = {"log_spectral_error": self.spectral_error, "log_rms_error": self.frobenius_error}
        found |= {name: torch.where(status > 0, math.nan, error).numpy() for name, error in errors.items()}
        return found | {"status": status.numpy(), "resolved": self.resolved.numpy()}

    def _by_group(self, group: Group) -> None:
        """Back from the anchor and forth to all horizons, then each horizon by itself."""
        columns = torch.tensor([self.horizons.index(time) for time in group.times])
        which = self.todo[:, columns].any(1).nonzero()[:, 0]
        if not len(which):
            return
        normal = [self._of_first_sweep(group, time, False) for time in group.times]
        probed = torch.stack([rows for rows, _ in normal], dim=1), torch.stack([shift for _, shift in normal], dim=1)
        anchor = torch.full_like(which, len(columns) - 1)
        images = self._of_first_sweep(group, group.times[-1], True)[0][which]
        left, back = self._back(which, group.times, anchor, images)
        self._keep(which, columns[anchor], *_scaled_told(told_by_left, left, back, _at(probed, which, anchor)))
        right = orthonormal_rows(_of_size_one(back[0])).to(images.dtype)
        pairs: list[tuple[Tensor, Tensor, Tensor]] = []
        anchored = self.todo[which, columns[-1]]
        for some, count in ((anchored, len(columns)), (~anchored, len(columns) - 1)):
            if count and bool(some.any()):
                rows, times = right[some], self._times(list(group.times[:count]), int(some.sum()))
                image = self.along.sweep(which[some], rows, times)
                at = torch.arange(count).repeat(int(some.sum()))
                one = which[some].repeat_interleave(count), at, image.rows.flatten(0, 1)
                shift = image.exponent.flatten(0, 1)
                self._judge(one, shift, rows.repeat_interleave(count, 0), columns, probed)
                pairs.append(one)
        if not pairs:
            return
        which, at, images = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        for _ in range(min(MOST_ROUNDS, self.d // (4 * group.directions))):
            left_over = self.todo[which, columns[at]]
            if not bool(left_over.any()):
                return
            which, at, images = which[left_over], at[left_over], images[left_over]
            _, back = self._back(which, group.times, at, images)
            rows = orthonormal_rows(_of_size_one(back[0])).to(images.dtype)
            image = self.along.sweep(which, rows, torch.tensor(group.times)[at][:, None])
            images = image.rows[:, 0]
            self._judge((which, at, images), image.exponent[:, 0], rows, columns, probed)

    def _back(self, which: Tensor, times: tuple[int, ...], at: Tensor, images: Tensor) -> tuple[Tensor, Scaled]:
        """(what images are brought to: orthonormal rows, their images by the transposed product of these times)."""
        rows = orthonormal_rows(_of_size_one(images)).to(images.dtype)
        image = self.along.sweep(which, rows, torch.tensor(times)[at][:, None], backward=True)
        return rows, (image.rows[:, 0], image.exponent[:, 0])

    def _judge(
        self,
        pairs: tuple[Tensor, Tensor, Tensor],
        shift: Tensor,
        rows: Tensor,
        columns: Tensor,
        probed: Scaled,
    ) -> None:
        """What the images of right directions say, for pairs of a replicate and a horizon of the group."""
        which, at, images = pairs
        normal = self.normal[which, : probed[0].shape[2]].double()

        def told(rows: Tensor, images: Tensor, of_normal: Tensor) -> Told:
            return told_by_right(rows, images, normal, of_normal)

        self._keep(which, columns[at], *_scaled_told(told, rows, (images, shift), _at(probed, which, at)))

    def _keep(self, which: Tensor, column: Tensor, told: Told, exponent: Tensor) -> None:
        """Take what is known well enough."""
        good = (told.spectral_error <= TOLERANCE) & self.todo[which, column]
        at = which[good], column[good]
        self.spectral[at], self.spectral_error[at] = (told.spectral + exponent)[good], told.spectral_error[good]
        self.frobenius[at] = (told.frobenius + exponent)[good]
        self.frobenius_error[at] = told.frobenius_error[good]
        self.todo[at] = False

    def _by_full_product(self) -> None:
        """All unit directions forwards, of each replicate to the last horizon that is still to do."""
        before, dtype, active = 0, self.draws.dtype, self.all
        rows = torch.eye(self.d, dtype=dtype).expand(len(self.all), -1, -1)
        exponent = torch.zeros(*rows.shape[:2], dtype=torch.int64)
        for column, horizon in enumerate(self.horizons):
            left = self.todo[active, column:].any(1)
            if not bool(left.any()):
                return
            active, rows, exponent = active[left], rows[left], exponent[left]
            image = self.along.sweep(active, rows, self._times([horizon], len(active)), first=before)
            rows, exponent, before = image.rows[:, 0], exponent + image.exponent[:, 0], horizon
            now = self.todo[active, column]
            if not bool(now.any()):
                continue
            most = _most(rows[now], exponent[now])
            shift = (exponent[now] - most[:, None]).clamp(max=0)  # of rows of zeros it may be above
            scaled = torch.ldexp(rows[now], shift[:, :, None].to(dtype))
            spectral, rms = norms_of(scaled)
            at, scale = active[now], most.double() * LOG_TWO
            self.frobenius[at, column] = rms.log() + 0.5 * math.log(self.d) + scale
            self.spectral[at, column] = torch.maximum(spectral, rms).log() + scale
            self.finite[at, column] &= rms.isfinite()
            self.todo[at, column] = False


def _most(rows: Tensor, exponent: Tensor) -> Tensor:
    """(...,) the largest exponent of rows (..., k, d) that are not zero: one that has become so keeps what it had."""
    return exponent.masked_fill((rows == 0).all(-1), NOTHING).amax(-1)


def _at(scaled: Scaled, which: Tensor, at: Tensor) -> Scaled:
    return scaled[0][which, at], scaled[1][which, at]


def _of_size_one(rows: Tensor) -> Tensor:
    """Rows in float64, zero where they are not finite; each has a size near one already, or is zero."""
    return torch.where(rows.isfinite().all(2, keepdim=True), rows, 0.0).double()


def _scaled_told(told: Callable[..., Told], rows: Tensor, images: Scaled, of_normal: Scaled) -> tuple[Told, Tensor]:
    """(what is told by images that are brought to a common exponent, what logs lack by it)."""
    most = torch.maximum(_most(*images), _most(*of_normal))
    both = [
        _of_size_one(one) * torch.exp2((exponent - most[:, None]).clamp(-1000, 0).double())[:, :, None]
        for one, exponent in (images, of_normal)
    ]
    return told(rows.double(), *both), most.double() * LOG_TWO
