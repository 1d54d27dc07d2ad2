"""Norms of P_T of wide cells from a few directions, where carrying all d of them would cost d / 8 times as much.

The trajectory is walked once forwards with random directions, then back and forth with those that have grown the most,
for all logged horizons together, until the error of log ||P_T||_2 is known to be small
(`rnnmc.engine.few_directions.subspace`). Long products have few large singular values and need one round; short ones
need some, over few steps. Where that does not do, and at horizons so short that it costs little beside the rest, the
full product is taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rnnmc.chain.norms import RMS, SPECTRAL, TANGENT, log_norms
from rnnmc.chain.product import Moment, follow, judged
from rnnmc.engine.few_directions.path import Path
from rnnmc.engine.few_directions.subspace import LOG_TWO, Subspace
from rnnmc.engine.few_directions.sweeps import Image, ScaledRows, backward, forward
from rnnmc.numerics.spectral import spectral_norm
from rnnmc.study.point import DesignPoint

DIRECTIONS = 8  # taken at a time
TOLERANCE = 1e-3  # nats of log_spectral that may remain, by an estimate that is mostly far above what does
RMS_WANTED = 0.02  # nats of log_rms, for so many rounds as
ROUNDS_FOR_RMS = 3
LEAST_ROUNDS_OF_ALL = 4  # that may be taken before the full product is; more in wider cells, where it costs more
ROUNDS_OF_PRODUCT = 24  # on a product that is there, where a round is two small multiplies
LONG_WALK = 64  # steps: where fewer are left to walk, to ask for an error takes longer than half a round more
PROBES, MOST_PROBES = 8, 256
FULL_SHARE = 0.02  # of the expected work of the sweeps, for the full product at short horizons
ROWS_A_STEP = 50.0  # that the sweeps multiply in all
LEAST_SIZE = 4 * DIRECTIONS  # of the state: below it there is nothing to save
BY_SUBSPACE_FROM = 256  # of the state: below it LAPACK is as fast on a product that is there

Numbers = dict[str, np.ndarray]


def wide_norms(
    point: DesignPoint,
    tiles: list[tuple[int, int]],
    replicates: int,
    device: str,
    dtype: str,
    full_up_to: int | None = None,
) -> Numbers:
    """The norms of some tiles at every logged horizon, (R, horizons) each, R = replicates * len(tiles).

    log_spectral, log_rms, status, resolved: as `rnnmc.chain.norms.log_norms` gives them for the plain chain, of the
    same weights and drives. log_spectral_error, log_rms_error: nats by which they may be off beside rounding, NaN where
    nothing was estimated: ten times the estimate of what is missing, and four standard errors
    (`rnnmc.engine.few_directions.subspace`). log_tangent: of the first of the random directions. full_up_to: take
    the full product up to this horizon; unless said, as far as it costs little.
    """
    path = Path(point, tiles, replicates, device, dtype)
    limit = _full_up_to(point) if full_up_to is None else full_up_to
    if point.state_size < LEAST_SIZE:
        limit = point.horizons[-1]
    swept = [horizon for horizon in point.horizons if horizon > limit]
    found, tangent = _by_sweeps(path, swept) if swept else ({}, path.draws.tangent())
    full = tuple(horizon for horizon in point.horizons if horizon not in found)
    if full:
        steps = path.replay.steps_after(0)
        for moment in follow(path.cell, path.draws.layout, steps, path.start, full):
            found[moment.horizon] = _of_product(moment, path, tangent)
    columns = [found[horizon] for horizon in point.horizons]
    return {name: np.stack([column[name] for column in columns], axis=1) for name in columns[0]}


def _full_up_to(point: DesignPoint) -> int:
    """The last horizon up to which the full product takes at most FULL_SHARE of the multiplications of the sweeps."""
    matrices, parts = max(1, len(point.cell_object.recurrent)), len(point.cell_object.parts)
    products = parts + (parts == 1 and matrices > 1)  # of d x n with n x n
    return int(FULL_SHARE * ROWS_A_STEP * point.horizons[-1] * matrices / (products * point.state_size))


def _by_sweeps(path: Path, horizons: list[int]) -> tuple[dict[int, Numbers], Tensor]:
    """(horizon -> its numbers, for those of the rising `horizons` at which a few directions were enough; the first of
    them, (R, d) float64 on the CPU).
    """
    known = _first_sweep(path, horizons)
    state_size = len(path.start) * path.start[0].shape[2]
    most = max(LEAST_ROUNDS_OF_ALL, state_size // 64)
    active = [horizon for horizon in horizons[::-1] if bool(known[horizon].living.any())]
    for half_rounds in range(1, 2 * most + 1):
        if not active:
            break
        of_left = half_rounds % 2 == 1
        asked = {horizon: rows for horizon in active if (rows := known[horizon].wanted(of_left)) is not None}
        images = (backward if of_left else forward)(path, list(asked), list(asked.values())) if asked else []
        for (horizon, rows), image in zip(asked.items(), images, strict=True):
            known[horizon].take(of_left, rows, image)
        certain = half_rounds > 1 and (not of_left or max(asked, default=0) >= LONG_WALK)
        active = [horizon for horizon in asked if not (certain and _enough(known[horizon], half_rounds))]
    enough = {horizon: _numbers(one) for horizon, one in known.items() if _error_of_living(one) <= TOLERANCE}
    return enough, known[horizons[0]].right.rows[:, 0].cpu()


def _first_sweep(path: Path, horizons: Sequence[int]) -> dict[int, Subspace]:
    """horizon -> what random directions and probes say of it, and whether it is finite and resolved, as in `Moment`."""
    counts = [_probes(horizon, horizons[-1]) for horizon in horizons]
    rows = _random_rows(path, DIRECTIONS + counts[0])
    start, probes = rows[:, :DIRECTIONS], rows[:, DIRECTIONS:]
    carried = ScaledRows(path)
    carried.join(rows)
    finite = resolved = torch.ones(len(rows), 1, 1, dtype=torch.bool, device=rows.device)
    known: dict[int, Subspace] = {}
    for step in path.forward(horizons[-1]):
        if step.state_size is not None:
            finite, resolved = judged(path.cell, step.state_size, carried.nothing_left(), finite, resolved)
        carried.through(step.factors.times)
        if step.number == horizons[len(known)]:
            count = counts[len(known)]
            carried.leave(carried.count - DIRECTIONS - count)
            images = carried.image(0, DIRECTIONS), carried.image(DIRECTIONS, DIRECTIONS + count)
            subspace = Subspace((start, images[0]), (probes[:, :count], images[1]))
            subspace.finite = subspace.finite & finite.flatten()
            subspace.resolved = subspace.resolved & resolved.flatten()
            known[step.number] = subspace
    return known


def _probes(horizon: int, last: int) -> int:
    """Probes that are still carried at this horizon: twice as many where it is four times shorter, and so on."""
    return min(MOST_PROBES, PROBES * 2 ** int(math.log(last / horizon, 4) + 1e-9))


def _random_rows(path: Path, count: int) -> Tensor:
    """(R, count, d) standard normal rows in the chain's dtype, of which the first DIRECTIONS are made orthonormal."""
    first, streams = path.start[0], path.draws.streams("wide")
    shape = (len(first) // len(streams), count, len(path.start) * first.shape[2])
    rows = torch.from_numpy(np.concatenate([rng.standard_normal(shape) for rng in streams])).to(first.device)
    rows[:, :DIRECTIONS] = torch.linalg.qr(rows[:, :DIRECTIONS].mT).Q.mT
    return rows.to(first.dtype)


def _enough(subspace: Subspace, half_rounds: int) -> bool:
    if _error_of_living(subspace) > TOLERANCE:
        return False
    return half_rounds >= 2 * ROUNDS_FOR_RMS or bool((subspace.log_frobenius()[1][subspace.living] < RMS_WANTED).all())


def _error_of_living(subspace: Subspace) -> float:
    """The largest error of log_spectral, of the replicates that have a norm."""
    error = subspace.log_spectral()[1][subspace.living]
    return float(error.max()) if len(error) else 0.0


def _numbers(subspace: Subspace) -> Numbers:
    """What `wide_norms` gives at one horizon."""
    spectral, spectral_error = subspace.log_spectral()
    frobenius, rms_error = subspace.log_frobenius()
    rms = frobenius - 0.5 * math.log(subspace.right.rows.shape[2])
    logs = {SPECTRAL: spectral, RMS: rms, TANGENT: subspace.log_first()}
    numbers = _with_status(logs, subspace.finite, subspace.resolved)
    exact = numbers["status"] > 0
    errors = {"log_spectral_error": spectral_error, "log_rms_error": rms_error}
    return numbers | {name: np.where(exact, math.nan, error.cpu().numpy()) for name, error in errors.items()}


def _with_status(logs: dict[str, Tensor], finite: Tensor, resolved: Tensor) -> Numbers:
    """Log-norms by name, (R,) each, with what `rnnmc.chain.norms.log_norms` says of them."""
    status = torch.where(~finite, 2, torch.where(logs[RMS].isneginf(), 1, 0)).to(torch.int8)
    numbers = {name: torch.where(finite, log, math.inf).cpu().numpy() for name, log in logs.items()}
    return numbers | {"status": status.cpu().numpy(), "resolved": resolved.cpu().numpy()}


def _of_product(moment: Moment, path: Path, tangent: Tensor) -> Numbers:
    """What `wide_norms` gives at one horizon from the product itself: its spectral norm from a few directions too."""
    unknown = np.full(len(moment.product), math.nan)
    if moment.product.shape[1] < BY_SUBSPACE_FROM:
        return log_norms(moment, tangent=tangent) | {"log_spectral_error": unknown, "log_rms_error": unknown}
    finite = moment.finite & moment.product.isfinite().all(2).all(1)
    product = torch.where(finite[:, None, None], moment.product, 0.0)
    rms = torch.linalg.vector_norm(product, dim=(1, 2), dtype=torch.float64).log() - 0.5 * math.log(product.shape[1])
    spectral, error = _spectral_of(product, path)
    length = torch.linalg.vector_norm(tangent.to(product)[:, None] @ product, dim=(1, 2), dtype=torch.float64)
    scale = moment.exponent.double() * LOG_TWO
    logs = {SPECTRAL: spectral.maximum(rms), RMS: rms, TANGENT: length.log()}
    numbers = _with_status({name: log + scale for name, log in logs.items()}, finite, moment.resolved)
    return numbers | {"log_spectral_error": np.where(numbers["status"] > 0, math.nan, error), "log_rms_error": unknown}


def _spectral_of(product: Tensor, path: Path) -> tuple[Tensor, np.ndarray]:
    """((R,) log of the spectral norm of products (R, d, d), (R,) its error, NaN where LAPACK found it)."""
    resolved = torch.ones(len(product), dtype=torch.bool, device=product.device)

    def image(rows: Tensor, of_left: bool) -> Image:
        images = (rows @ (product.mT if of_left else product)).double()
        return Image(images, torch.zeros_like(rows[:, :, :1], dtype=torch.int64), resolved)

    start = _random_rows(path, DIRECTIONS)
    subspace = Subspace((start, image(start, False)), (start[:, :0], image(start[:, :0], False)))
    for rounds in range(1, ROUNDS_OF_PRODUCT + 1):
        for of_left in (True, False):
            rows = subspace.wanted(of_left)
            if rows is not None:
                subspace.take(of_left, rows, image(rows, of_left))
        if rounds % 2 == 0 and _error_of_living(subspace) <= TOLERANCE:  # to ask costs as much as to go on
            log, error = subspace.log_spectral()
            return log, error.cpu().numpy()
    return spectral_norm(product.double()).log(), np.full(len(product), math.nan)
