"""Which growth stands for the top Lyapunov exponent of a design point, and by how much it may be off.

Two estimators, both from the last decade before a horizon: the growth of the norm of P_T, and that of one tangent
vector, fixed before anything was drawn. The first lies above the second by what grows from zero to a constant, within
some multiple of the time in which directions align; which of the two has no part in it depends on the chain. With fresh
Gaussian weights at every step the vector has the growth of its law from the first step on, and the norm is too large by
(1/2) log of the ratio of horizons over the decade (docs/physics.md, section 8). Around a state at rest P_T is a power
of one matrix, and the norm settles first. In between, the truth lies in between, and the distance is the systematic
error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
    rates: Mapping[str, tuple[Floats, Floats]], by: str, is_unbiased: bool
) -> dict[str, Floats | NDArray[np.str_]]:
    """Columns of the growth rate, in nats a step, (horizons,) each.

    rates: NORM and TANGENT_VECTOR -> (rate, its standard error). growth_rate and growth_rate_error: of the kind named
    in growth_by. growth_systematic: how far, and to which side, it may be off beside that error: what brings it to the
    other rate; 0 where it is unbiased, NaN without the other. norm_growth_rate, tangent_growth_rate and their errors:
    both kinds.
    """
    rate, error = rates[by]
    other, _ = rates[NORM if by == TANGENT_VECTOR else TANGENT_VECTOR]
    return {
        "growth_rate": rate,
        "growth_rate_error": error,
        "growth_systematic": (other - rate) * (0.0 if by == TANGENT_VECTOR and is_unbiased else 1.0),
        "growth_by": np.full(len(rate), by),
        **{f"{kind}_growth_rate": of for kind, (of, _) in rates.items()},
        **{f"{kind}_growth_rate_error": of for kind, (_, of) in rates.items()},
    }
