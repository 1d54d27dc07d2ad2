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
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnmc.cells.cell import Cell
from rnnmc.common.arrays import Floats
from rnnmc.initialisers.gaussian import Gaussian
from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import autonomous, constant_biases
from rnnmc.theory.kept import kept_about

NORM, TANGENT_VECTOR = "norm", "tangent"


class Estimator(NamedTuple):
    """by: NORM or TANGENT_VECTOR. is_unbiased: whether it is known to have no systematic error."""

    by: str
    is_unbiased: bool


BY_NORM = Estimator(NORM, False)


def estimator_of(point: DesignPoint) -> Estimator:
    """The one that this design point calls for: the vector where something of every unit is fresh at every step.

    Fresh Gaussian matrices turn any direction into a random one, so that there the growth of the vector is unbiased as
    soon as the state has settled; but where there is a way around the matrices, as in every gated cell, for units that
    are alike alone. Where biases or input weights of its own let one unit keep its part of the direction for longer,
    the direction gathers there in as many steps as that takes.
    """
    if point.weights == "untied":
        settles = point.layers == 1 and _is_isotropic(point)  # what a layer feeds another adds a power of the horizon
        settles = settles and (_units_are_alike(point) or not _around_matrices(point.cell_object))
        return Estimator(TANGENT_VECTOR, settles)
    return Estimator(TANGENT_VECTOR if point.drive.is_field else NORM, False)


def _is_isotropic(point: DesignPoint) -> bool:
    """Whether the recurrent weights are whole Gaussian matrices."""
    cell = point.cell_object
    laws = point.init.laws(cell, point.width, point.drive.dimension)["recurrent"].values()
    return not cell.diagonal and bool(laws) and all(isinstance(law, Gaussian) and law.clip is None for law in laws)


def _units_are_alike(point: DesignPoint) -> bool:
    """Whether what a unit is given for good, its biases and input weights, is the same for all."""
    cell = point.cell_object
    return (autonomous(point) or point.drive.is_field) and constant_biases(point, *cell.gates, *cell.inner_biases)


def _around_matrices(cell: Cell) -> bool:
    """`_leads_around_matrices`, once for each version of it."""
    return kept_about(cell, (__name__, "rnnmc.theory.population"), "leads around matrices", _leads_around_matrices)


@lru_cache(maxsize=256)
def _leads_around_matrices(cell: Cell) -> bool:
    """Whether anything of the state reaches the next one but through recurrent matrices; True where it is not known.

    Tried: with matrices that answer nothing, two states must lead to the same one.
    """
    import torch

    from rnnmc.theory.population import Population

    def stepped(seed: int) -> list[float]:
        drawn = np.random.default_rng(seed).standard_normal
        state = tuple(torch.from_numpy(drawn((1, 1, 4))) for _ in cell.parts)
        inner = {name: torch.zeros(1, 1, 4, dtype=torch.float64) for name in cell.inner_biases}
        weights: Any = Population(cell, inner, lambda name, rows: 0 * rows)
        drive = {gate: torch.ones(1, 1, 4, dtype=torch.float64) for gate in cell.gates}
        return torch.cat([part.ravel() for part in cell.step(weights, drive, state)]).tolist()

    try:
        return stepped(1) != stepped(2)
    except Exception:  # whatever a user's cell does
        return True


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
