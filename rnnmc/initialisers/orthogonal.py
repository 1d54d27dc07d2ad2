"""Haar-distributed orthogonal matrices."""

from __future__ import annotations

import numpy as np

from rnnmc.initialisers.law import NonNegative, Signs, WeightLaw


class Orthogonal(WeightLaw):
    """gain times a Haar-distributed matrix with orthonormal rows (or columns, whichever are fewer)."""

    name, main = "orthogonal", "gain"
    formula = "gain * Q, Q Q^T = I, Haar"
    source = "Saxe et al. 2014; Mezzadri 2007 for the sign rule"
    gain: NonNegative = 1.0

    def moments(self, rows: int, columns: int) -> tuple[float, float] | None:
        return 0.0, self.gain**2 / max(rows, columns)

    def entries(self, rng: np.random.Generator, shape: tuple[int, int, int], signs: Signs) -> np.ndarray:
        import torch  # LAPACK on the one thread that a block runs on

        count, rows, columns = shape
        normal = rng.standard_normal((count, max(rows, columns), min(rows, columns)))
        q, r = torch.linalg.qr(torch.from_numpy(normal))
        # without this sign rule QR is not Haar: LAPACK fixes signs by its own convention
        q = (q * torch.where(torch.diagonal(r, dim1=1, dim2=2) < 0, -1.0, 1.0)[:, None]).numpy()
        return self.gain * (q if rows >= columns else q.transpose(0, 2, 1))


LAW = Orthogonal
