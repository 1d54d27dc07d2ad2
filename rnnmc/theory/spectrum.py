"""The Lyapunov spectrum as a curve or a list, and what follows from it: entropy, share positive, dimension."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from rnnmc.theory.quadrature import root


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Lyapunov exponents in falling order against the share of exponents that are larger.

    share: (k,) in [0, 1], rising: the x of the curve, or (i - 1/2) / n for a list.
    exponents: (k,) nats a step, falling.
    listed: these are the k = n exponents themselves (finite width), not points of a limiting curve.
    Everything below is per unit, that is divided by n.
    """

    share: NDArray[np.float64]
    exponents: NDArray[np.float64]
    listed: bool = False

    @property
    def share_positive(self) -> float:
        """Share of exponents above zero."""
        if self.listed or self.exponents[0] <= 0 or self.exponents[-1] > 0:
            return float(np.mean(self.exponents > 0)) if self.listed else float(self.exponents[0] > 0)
        curve = CubicSpline(self.share, self.exponents)
        last = int(np.count_nonzero(self.exponents > 0)) - 1
        return root(curve, self.share[last], self.share[last + 1])

    @property
    def entropy(self) -> float:
        """Sum of the positive exponents per unit, nats a step: Pesin's value of the entropy rate."""
        if self.listed:
            return float(np.maximum(self.exponents, 0).mean())
        return float(CubicSpline(self.share, self.exponents).antiderivative()(self.share_positive))

    @property
    def kaplan_yorke(self) -> float:
        """Kaplan-Yorke dimension per unit: the share at which the cumulative sum of exponents returns to zero."""
        if self.exponents[0] <= 0:
            return 0.0
        if self.listed:
            return self._listed_dimension()
        area = CubicSpline(self.share, self.exponents).antiderivative()
        end = float(self.share[-1])
        return 1.0 if area(end) > 0 else root(area, self.share_positive, end)

    def _listed_dimension(self) -> float:
        sums, n = np.cumsum(self.exponents), len(self.exponents)
        if sums[-1] >= 0:
            return 1.0
        whole = int(np.argmax(sums < 0))
        return float((whole + sums[whole - 1] / abs(self.exponents[whole])) / n)
