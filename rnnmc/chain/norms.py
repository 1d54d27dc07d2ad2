"""The log-norms of the chain: how much is left of a perturbation, in its best direction and in a typical one.

log_spectral = log ||P_T||_2 and log_rms = log(||P_T||_F / sqrt d), in nats; beside them log_tangent = log ||P_T v|| of
one random unit vector v, which no later draw knows of: where weights are fresh at every step its mean growth is the top
Lyapunov exponent at every horizon, which that of a norm is only in the limit. docs/physics.md sections 1 and 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # what is stored can be said without torch, which takes a second to import
    from torch import Tensor

    from rnnmc.chain.product import Moment

SPECTRAL, RMS = MEASURES = ("log_spectral", "log_rms")
TANGENT = "log_tangent"
OK, DEAD, OVERFLOW = STATUS = ("ok", "dead", "overflow")


def log_norms(
    moment: Moment,
    of: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None,
    tangent: Tensor | None = None,
) -> dict[str, np.ndarray]:
    """log_spectral, log_rms: (R,) float64 in nats; status: (R,) int8, index into STATUS; resolved: (R,) bool.

    tangent: (R, d) float64 unit vectors on the CPU, for log_tangent beside them, (R,) float64 in nats.

    of: (||M||_2, ||M||_F / sqrt d), (R,) float64 each, of (R, d, d) matrices M on the CPU, not finite where an entry is
    not; by default `rnnmc.numerics.spectral.plain_norms_of`.

    dead: the norm is exactly zero, all logs are -inf. overflow: the state or the product left the floating-point
    range at or before this horizon, with the norm not yet zero; all logs are +inf, so that it counts as exploded.
    resolved: see `Moment`.
    """
    import torch

    from rnnmc.numerics.spectral import plain_norms_of

    product = moment.product.cpu()
    spectral, rms = (of or plain_norms_of)(product)
    sizes = {SPECTRAL: torch.maximum(spectral, rms), RMS: rms}  # never below it, but for the last bit
    if tangent is not None:
        sizes[TANGENT] = torch.linalg.vector_norm(tangent[:, None] @ product.double(), dim=(1, 2))
    scale = moment.exponent.cpu().double() * math.log(2)
    overflow = ~moment.finite.cpu() | ~rms.isfinite()
    dead = (rms == 0) & ~overflow
    status = torch.where(overflow, 2, torch.where(dead, 1, 0)).to(torch.int8)
    logs = {name: torch.where(overflow, math.inf, norm.log() + scale).numpy() for name, norm in sizes.items()}
    return logs | {"status": status.numpy(), "resolved": moment.resolved.cpu().numpy()}
