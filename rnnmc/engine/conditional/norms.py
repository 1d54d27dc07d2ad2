"""The norms of chains with Gaussian weights at any width, with the error of each.

log_spectral is that of `rnnmc.engine.conditional.spectral`. As to log_rms: E ||P e||^2 = ||P||_F^2 / d for a random
unit direction e. What P does to the directions found on the way to log_spectral is known, and random test directions
tell the rest (`rnnmc.numerics.frobenius`).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from rnnmc.engine.conditional.chain import Followed, Logged, follow
from rnnmc.engine.conditional.spectral import Krylov, squared
from rnnmc.numerics.frobenius import square_and_error
from rnnmc.study.point import DesignPoint


def conditional_norms(
    point: DesignPoint,
    tiles: list[tuple[int, int]],
    replicates: int,
    device: str = "cpu",
    dtype: str = "",
) -> dict[str, np.ndarray]:
    """Log-norms of some tiles of a point that `applies`, from weights that are drawn as far as they are seen.

    Arguments as in `rnnmc.engine.draws.Draws`. Each (R, H), in the order of `point.horizons`: log_spectral, log_rms:
    float64, nats; status: int8, index into `rnnmc.chain.norms.STATUS`; resolved: bool, as in
    `rnnmc.chain.product.Moment`; log_tangent: of the first direction; log_spectral_error, log_rms_error: nats by which
    they may be off beside rounding (about epsilon a step), float64; NaN where they are exact, which is where the state
    has no more than 8 entries or the status is not ok. log_spectral is NaN, its error inf, where memory
    (`rnnmc.engine.conditional.chain.MEMORY`) does not suffice for one sweep back.
    """
    chain = follow(point, tiles, replicates, device, dtype)
    falling = [_norms(chain, here) for here in reversed(chain.logged)]  # the last horizon is the first to get memory
    columns = falling[::-1]
    return {name: np.stack([column[name].cpu().numpy() for column in columns], axis=1) for name in columns[0]}


def _norms(chain: Followed, here: Logged) -> dict[str, Tensor]:
    """Columns of one horizon."""
    krylov = Krylov(chain, here)
    log_rms, rms_error = _rms(chain, here, krylov.search())
    if chain.tests.shape[1]:
        log_spectral, spectral_error = krylov.log_norm, krylov.error
    else:  # all of P is known; its spectral norm is never below the other but for the last bit
        log_spectral = torch.maximum(squared(krylov.images)[:, -1].log() / 2, log_rms)
        spectral_error = torch.zeros_like(log_spectral)
    overflow = ~here.finite | log_rms.isnan() | (log_rms == math.inf)
    dead = log_rms.isneginf() & ~overflow
    log_tangent = torch.linalg.vector_norm(here.images[:, 0], dim=1, dtype=torch.float64).log()
    exact = overflow | dead if chain.tests.shape[1] else torch.ones_like(dead)
    scale = here.exponent.flatten().double() * math.log(2)
    return {
        "log_spectral": (log_spectral + scale).masked_fill(dead, -math.inf).masked_fill(overflow, math.inf),
        "log_rms": (log_rms + scale).masked_fill(overflow, math.inf),
        "log_tangent": (log_tangent + scale).masked_fill(overflow, math.inf),
        "log_spectral_error": spectral_error.masked_fill(exact, math.nan),
        "log_rms_error": rms_error.masked_fill(exact, math.nan),
        "status": torch.where(overflow, 2, torch.where(dead, 1, 0)).to(torch.int8),
        "resolved": here.resolved,
    }


def _rms(chain: Followed, here: Logged, krylov: Krylov) -> tuple[Tensor, Tensor]:
    """((R,) log of ||P||_F / sqrt d over 2^exponent, (R,) its error), in nats."""
    found, images = torch.cat(krylov.found, dim=1), torch.cat(krylov.images, dim=1)
    size = found.shape[2]
    known = images.double().square().sum((1, 2))
    if not chain.tests.shape[1]:
        return (known / size).log() / 2, torch.zeros_like(known)
    rest = here.tests - (chain.tests @ found.mT) @ images
    gram = (rest.double() @ rest.double().mT) * (size - 1)  # tests lie beyond the first direction
    total, error = square_and_error(known, gram)
    return (total / size).log() / 2, error
