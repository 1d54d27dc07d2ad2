"""Which growth stands for the top Lyapunov exponent of a design point, and by how much it may be off.

Two estimators, both from the last decade before a horizon: the growth of the norm of P_T, and that of one tangent
vector, fixed before anything was drawn. The first lies above the second by what grows from zero to a constant, within
some multiple of the time in which directions align; which of the two has no part in it depends on the chain. With fresh
Gaussian weights at every step the vector has the growth of its law from the first step on, and the norm is too large by
(1/2) log of the ratio of horizons over the decade (docs/physics.md, section 8). Around a state at rest P_T is a power of
one matrix, and the norm settles first. In between, the truth lies in between, and the distance is the systematic error.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnnmc.common.arrays import Floats
from rnnmc.initialisers.gaussian import Gaussian
from rnnmc.study.point import DesignPoint

NORM, TANGENT_VECTOR = "norm", "tangent"


class Estimator(NamedTuple):
    """by: NORM or TANGENT_VECTOR. is_unbiased: whether it is known to have no systematic error."""

    by: str
    is_unbiased: bool


BY_NORM = Estimator(NORM, False)


def estimator_of(point: DesignPoint) -> Estimator:
    """The one that this design point calls for: the vector where something of every unit is fresh at every step.

    Fresh Gaussian matrices turn any direction into a random one, so that there the growth of the vector is unbiased as
    soon as the state has settled.
    """
    if point.weights == "untied":
        return Estimator(TANGENT_VECTOR, _is_isotropic(point))
    return Estimator(TANGENT_VECTOR if point.drive.is_field else NORM, False)


def _is_isotropic(point: DesignPoint) -> bool:
    """Whether the recurrent weights are whole Gaussian matrices."""
    cell = point.cell_object
    laws = point.init.laws(cell, point.width, point.drive.dimension)["recurrent"].values()
    return not cell.diagonal and bool(laws) and all(isinstance(law, Gaussian) and law.clip is None for law in laws)


def growth_columns(
    norm: tuple[Floats, Floats], tangent: tuple[Floats, Floats], estimator: Estimator
) -> dict[str, Floats | np.ndarray]:
    """Columns of the growth rate, in nats a step, (horizons,) each, from (rate, its standard error) of either kind.

    growth_rate and growth_rate_error: of the kind named in growth_by, which is the estimator's unless no tangent vector
    was stored. growth_systematic: how far it may be off beside that error: the distance of the two rates, 0 where the
    estimator is known to be unbiased; NaN with one of them alone. norm_growth_rate, tangent_growth_rate and their
    errors: both kinds.
    """
    known = ~np.isnan(tangent[0])
    by_tangent = known & (estimator.by == TANGENT_VECTOR)
    rate, error = (np.where(by_tangent, own, other) for own, other in zip(tangent, norm, strict=True))
    systematic = np.where(by_tangent & estimator.is_unbiased, 0.0, np.abs(tangent[0] - norm[0]))
    return {
        "growth_rate": rate,
        "growth_rate_error": error,
        "growth_systematic": systematic,
        "growth_by": np.where(by_tangent, TANGENT_VECTOR, NORM),
        "norm_growth_rate": norm[0],
        "norm_growth_rate_error": norm[1],
        "tangent_growth_rate": tangent[0],
        "tangent_growth_rate_error": tangent[1],
    }
