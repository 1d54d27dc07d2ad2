"""The log-norms of the chain: how much is left of a perturbation, in its best direction and in a typical one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # a plan needs only the name, and torch takes a second to import
    from rnnmc.chain import Moment

OK, DEAD, OVERFLOW = STATUS = ("ok", "dead", "overflow")


class Norms:
    """log ||P_T||_2 (spectral) and log(||P_T||_F / sqrt d) (RMS), in nats, and what became of the replicate.

    status: index into STATUS. dead: the norm is exactly zero, both logs are -inf. overflow: the state or the product
    left the floating-point range at or before this horizon, with the norm not yet zero; both logs are +inf, so that it
    counts as exploded.
    """

    name = "norms"
    formula = "log ||P_T||_2, log(||P_T||_F / sqrt d)"
    source = "physics.md sections 1 and 3"

    def measure(self, moment: Moment) -> dict[str, np.ndarray]:
        """log_spectral, log_rms: (R,) float64 in nats; status: (R,) int8; resolved: (R,) bool, see `Moment`."""
        import torch

        from rnnmc.spectral import spectral_norm

        product = moment.product.cpu().double()
        scale = moment.exponent.cpu().double() * math.log(2)
        rms = product.square().mean(dim=2).sum(dim=1).sqrt()
        spectral = torch.maximum(spectral_norm(product), rms)  # never below it, but for the last bit
        overflow = ~moment.finite.cpu() | ~rms.isfinite()
        dead = (rms == 0) & ~overflow
        status = torch.where(overflow, 2, torch.where(dead, 1, 0)).to(torch.int8)
        logs = {
            name: torch.where(overflow, math.inf, norm.log() + scale).numpy()
            for name, norm in (("log_spectral", spectral), ("log_rms", rms))
        }
        return logs | {"status": status.numpy(), "resolved": moment.resolved.cpu().numpy()}


OBSERVABLE = Norms()
