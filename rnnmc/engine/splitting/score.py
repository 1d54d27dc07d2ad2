"""The score of replicates whose draws are given, by their chain."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from rnnmc.chain.norms import log_norms
from rnnmc.common.arrays import Floats
from rnnmc.engine.choice import cached_tile, compiled_or_plain
from rnnmc.engine.run import layout_of, moments
from rnnmc.engine.splitting.coordinates import given_draws, sizes
from rnnmc.engine.splitting.population import ByRole
from rnnmc.numerics.norms import norms_of
from rnnmc.study.point import DesignPoint
from rnnmc.study.rare import RareEvent

TANGENT_ROLE = "tangent"


@dataclass(frozen=True)
class Scorer:
    """Scores replicates of a design point, a tile at a time, on one thread.

    Replicates that float32 cannot resolve are followed again in float64, as in `rnnmc.engine.block`.
    """

    point: DesignPoint
    event: RareEvent

    @cached_property
    def cut_off(self) -> DesignPoint:
        """The point to the last horizon that the event looks at."""
        return self.point.model_copy(update={"horizons": self.event.horizons})

    @cached_property
    def kernel(self) -> str:
        """Its name."""
        return compiled_or_plain(self.cut_off)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """role -> how many coordinates a replicate has; raises as `rnnmc.engine.splitting.coordinates.sizes`."""
        found = sizes(self.cut_off)
        if self.event.splitting.norm == "log_tangent":
            found[TANGENT_ROLE] = self.point.state_size
        return found

    def __call__(self, coordinates: ByRole) -> Floats:
        """(R,) scores, nats, of R replicates with these coordinates."""
        count, tile = len(next(iter(coordinates.values()))), cached_tile(self.point)
        parts = [
            self._scores({role: z[first : first + tile] for role, z in coordinates.items()})
            for first in range(0, count, tile)
        ]
        return np.concatenate(parts)

    def _scores(self, coordinates: ByRole) -> Floats:
        log_norm, resolved = self._log_norms(coordinates, self.point.chain_dtype)
        lost = ~resolved
        if self.point.chain_dtype == "float32" and lost.any():
            log_norm[lost], _ = self._log_norms({role: z[lost] for role, z in coordinates.items()}, "float64")
        if self.point.dtype == "float32":
            log_norm = log_norm.astype(np.float32).astype(np.float64)
        return self.event.score(log_norm)

    def _log_norms(self, coordinates: ByRole, dtype: str) -> tuple[Floats, np.ndarray]:
        """((R, horizons) log-norms in nats, (R,) whether the dtype has resolved them)."""
        draws = given_draws(self.cut_off, coordinates, layout_of(self.kernel), dtype)
        tangent = None
        if TANGENT_ROLE in coordinates:
            rows = coordinates[TANGENT_ROLE].astype(np.float64)
            tangent = torch.from_numpy(rows / np.linalg.norm(rows, axis=1, keepdims=True))
        found = [log_norms(moment, norms_of, tangent) for moment in moments(self.kernel, draws, self.event.horizons)]
        return np.stack([one[self.event.splitting.norm] for one in found], axis=1), found[-1]["resolved"]
