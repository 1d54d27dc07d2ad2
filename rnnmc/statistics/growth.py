"""Which growth stands for the top Lyapunov exponent of a design point, and by how much it may be off.

Two estimators, both from the last decade before a horizon. The norm of P_T lies above the growth of any one vector by a
constant that is reached late: where weights are fresh at every step, and where noise makes tied ones nearly so, by
(1/2) log of the ratio of horizons over the decade (docs/physics.md section 5). One tangent vector, fixed before
anything was drawn, has no such transient there. Around a state at rest it is the other way round: J^T of one constant
J, far from normal, soon grows as its spectral radius in its norm, and later along a given vector.
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
    """The one that this design point calls for, by what is fresh at every step.

    Fresh Gaussian matrices turn any direction into a random one, so that the growth of one vector has the same law at
    every step once the state has; nothing of the kind is known of other laws, or of weights that stay.
    """
    if point.weights == "untied":
        return Estimator(TANGENT_VECTOR, _is_isotropic(point))
    return Estimator(NORM if point.drive.is_still else TANGENT_VECTOR, False)


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
