"""What a network may be at all: the support of each law of its weights, and how a point is brought back onto it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rnnmc.initialisers.constant import Constant
from rnnmc.initialisers.law import WeightLaw
from rnnmc.initialisers.orthogonal import Orthogonal
from rnnmc.initialisers.truncated_gaussian import DEVIATION_WITHIN_TWO, TruncatedGaussian
from rnnmc.initialisers.uniform import Uniform

WITH_BOUND = "uniform, truncated_gaussian, orthogonal, constant, or any law with clip"


@dataclass(frozen=True)
class Support:
    """All values that a matrix of a law may have.

    size: how far an entry lies from the middle of them; 0 where there is one value alone. back: takes (starts, rows,
    columns) to a value that is one, near by. said: for people.
    """

    size: float
    back: Callable[[Tensor], Tensor]
    said: str


def support_of(law: WeightLaw, rows: int) -> Support | None:
    """The support of a matrix of fan_in `rows`; None where it has no bound, or one that is not known here."""
    if law.spectral_radius is not None:
        return None
    bound = _bound(law, rows)
    if law.clip is not None:
        bound = min(law.clip, float("inf") if bound is None else bound)
    if isinstance(law, Constant):
        value = law.value if law.clip is None else max(-law.clip, min(law.clip, law.value))
        return Support(0.0, lambda at: torch.full_like(at, value), f"{value:g}")
    if isinstance(law, Orthogonal) and law.clip is None:
        return Support(law.gain, lambda at: law.gain * _polar(at), f"{law.gain:g} times an orthogonal matrix")
    if bound is None:
        return None
    return Support(bound, lambda at: at.clamp(-bound, bound), f"[-{bound:.4g}, {bound:.4g}]")


def _bound(law: WeightLaw, rows: int) -> float | None:
    """The largest absolute entry that a law gives before it is clipped."""
    if isinstance(law, Uniform):
        return law.terms * (law.limit if law.limit is not None else (law.gain or 0.0) * (3 / rows) ** 0.5)
    if isinstance(law, TruncatedGaussian):
        return 2 * law.gain / DEVIATION_WITHIN_TWO / rows**0.5
    return law.gain if isinstance(law, Orthogonal) else None


def _polar(matrix: Tensor) -> Tensor:
    """The nearest matrix with orthonormal rows or columns, whichever are fewer."""
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    return left @ right
