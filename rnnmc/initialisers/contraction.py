"""Independent normal entries, then no singular value above 1: what [-1, 1] is for one number, for a matrix."""

from __future__ import annotations

import numpy as np

from rnnmc.initialisers.law import Positive, Signs, WeightLaw


class Contraction(WeightLaw):
    """A Gaussian matrix of this gain with its singular values cut to at most `norm`, its operator norm.

    Of one gate: it is the nearest such matrix to the Gaussian one, in any norm that knows singular values alone. With
    n = 1 it is a Gaussian number cut to [-norm, norm].
    """

    name, main = "contraction", "gain"
    formula = "Q S V^T -> Q min(S, norm) V^T of N(0, gain^2 / fan_in)"
    source = "docs/physics.md section 7, claim A4"
    gain: Positive
    norm: Positive = 1.0

    def entries(self, rng: np.random.Generator, shape: tuple[int, int, int], signs: Signs) -> np.ndarray:
        drawn = rng.standard_normal(shape) * (self.gain / np.sqrt(shape[1]))
        return np.concatenate([self._cut(part) for part in np.split(drawn, len(signs), axis=2)], axis=2)

    def _cut(self, matrix: np.ndarray) -> np.ndarray:
        import torch  # LAPACK on the one thread that a block runs on

        left, singular, right = torch.linalg.svd(torch.from_numpy(matrix), full_matrices=False)
        return ((left * singular.clamp(max=self.norm)[:, None]) @ right).numpy()


LAW = Contraction
