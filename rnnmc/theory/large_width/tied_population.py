"""The same weights at every step, input or not, at infinite width: what every trained network starts as."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import brentq

from rnnmc.cells import source_digest
from rnnmc.cells.cell import Cell
from rnnmc.initialisers.chrono import Chrono
from rnnmc.initialisers.constant import Constant
from rnnmc.initialisers.gaussian import Gaussian
from rnnmc.initialisers.truncated_gaussian import TruncatedGaussian
from rnnmc.initialisers.uniform import Uniform
from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import autonomous, no_bias, radius
from rnnmc.theory.kept import code_digest, digest, kept, kept_about
from rnnmc.theory.large_width import framework_default, frozen_edge, tanh_autonomous, tanh_driven, zero_state
from rnnmc.theory.law import Law, Prediction

if TYPE_CHECKING:
    from rnnmc.theory.population import Extent

CLOSED = (framework_default, frozen_edge, tanh_autonomous, tanh_driven, zero_state)  # laws that need no population
OF_UNITS = (Constant, Uniform, Gaussian, TruncatedGaussian, Chrono)  # laws by which each unit draws by itself
WHOLE, SMALL, ROUGH = (12, 1000, 128), (8, 400, 64), (6, 500, 64)  # populations, sites, steps
NARROW = 64  # units, below which a network is so far from infinite width that SMALL is precise enough
SPAN = 0.04  # of the onset gain, on either side of where it was roughly found
POPULATION = "rnnmc.theory.population"  # which imports torch
LARGEST = 100.0  # gain up to which an onset is looked for


class TiedPopulation(Law):
    """Cells whose state is bounded and whose units meet in products alone, ours and a user's; see `population`.

    Recurrent weights independent or orthogonal (stacked too), whose fields at infinite width are the same; input
    weights and biases by laws of which each unit draws for itself, with the scale that they have at this width.
    """

    name = "tied_population"
    exact = False
    formula = "a_k = g_k F_k + W_k x + b_k, E F_k(t) F_k(s) = E h_t h_s; lambda_1 = lim log E |ds_t|^2 / (2 t)"
    source = "Sompolinsky, Crisanti, Sommers 1988; Can, Krishnamurthy, Schwab 2020; docs/physics.md section 6"
    examples = (
        {
            "cell": "lstm", "width": 64, "drive": "field",
            "init": {"recurrent": {"gaussian": 2.0}, "input": {"gaussian": 0.5}},
        },
        {"cell": "gru_reset_after", "width": 64, "init": "keras", "drive": {"white": 16}},
    )  # fmt: skip

    def applies(self, point: DesignPoint) -> bool:
        cell = point.cell_object
        tied = point.weights == "tied" and point.width > 1 and not cell.diagonal and cell.bounded and cell.recurrent
        if not tied or _gains(point) is None or not _by_unit(point):
            return False
        still = autonomous(point) and not point.state_std and no_bias(point, *cell.gates, *cell.inner_biases)
        if still or any(closed.LAW.applies(point) for closed in CLOSED):
            return False
        return kept_about(cell, (POPULATION,), "units meet in products alone", _units_meet_in_products_alone)

    def predict(self, point: DesignPoint) -> Prediction:
        gains = _gains(point)
        if gains is None:
            raise ValueError(f"{point.label}: {self.name} does not apply; ask applies first")
        rate, error = growth(point, gains, WHOLE if point.width >= NARROW else SMALL)
        if not math.isfinite(rate + error):
            raise ArithmeticError(f"{point.label}: the population left the floating-point range")
        onset, of_onset = None, 0.0
        if not point.init.preset and not autonomous(point) and len(set(gains.values())) == 1:
            onset, of_onset = self.onset(point, WHOLE if point.width >= NARROW else SMALL)
        return Prediction(growth_rate=rate, growth_error=error, onset_gain=onset, onset_error=of_onset)

    def onset(self, point: DesignPoint, size: tuple[int, int, int]) -> tuple[float | None, float]:
        """The smallest gain, one for all matrices, at which the growth rate is zero, and its standard error.

        Looked for with the ROUGH population, then on the line through two gains near it; None where there is none.
        """
        names = point.cell_object.recurrent

        def rough(gain: float) -> float:
            return growth(point, dict.fromkeys(names, gain), ROUGH)[0]

        low, high = 0.25, 0.5
        if rough(low) >= 0:
            return None, 0.0
        while rough(high) < 0:
            low, high = high, 2 * high
            if high > LARGEST:
                return None, 0.0
        near = float(f"{brentq(rough, low, high, xtol=SPAN * low / 4):.12g}")
        ends = [near * (1 + side * SPAN) for side in (-1, 1)]
        (first, error), (last, other) = (growth(point, dict.fromkeys(names, gain), size) for gain in ends)
        slope = (last - first) / (ends[1] - ends[0])
        if not slope > 0:
            return None, 0.0
        return ends[0] - first / slope, max(error, other) / slope


def _units_meet_in_products_alone(cell: Cell) -> bool:
    from rnnmc.theory.population import units_meet_in_products_alone

    return units_meet_in_products_alone(cell)


def growth(point: DesignPoint, gains: Mapping[str, float], size: tuple[int, int, int]) -> tuple[float, float]:
    """(growth rate, its standard error), nats a step, with these recurrent gains; what was computed once is kept.

    size: populations, sites, steps. The random numbers are set by what the number depends on.
    """
    facts = _facts(point, gains) | {"size": list(size)}

    def compute() -> tuple[float, float]:
        from rnnmc.theory import population

        extent: Extent = population.Extent(*size)
        return population.rate(population.log_growth(point, gains, extent, int(digest(facts), 16)), extent.sites)

    rate, error = kept(facts | {"method": _method()}, compute)
    return rate or 0.0, error or 0.0


def _gains(point: DesignPoint) -> dict[str, float] | None:
    """Recurrent matrix -> g of its fields; None where the law of one is another than is meant here."""
    gains = {name: radius(point, name) for name in point.cell_object.recurrent}
    return None if None in gains.values() else {name: float(f"{gain:.12g}") for name, gain in gains.items()}


def _by_unit(point: DesignPoint) -> bool:
    """Input weights and biases are drawn by each unit for itself."""
    laws = point.init.laws(point.cell_object, point.width, point.drive.dimension)
    roles = ("input", "bias") if point.drive.dimension else ("bias",)
    asked = [law for role in roles for law in laws[role].values()]
    return all(law.is_zero or (isinstance(law, OF_UNITS) and law.spectral_radius is None) for law in asked)


def _facts(point: DesignPoint, gains: Mapping[str, float]) -> dict[str, Any]:
    """All that the population depends on, and not the width, but through the laws at it."""
    laws = point.init.written_laws(point.cell_object, point.width, point.drive.dimension)
    return {
        "cell": [point.cell, source_digest(point.cell)], "gains": dict(gains),
        "laws": {role: laws[role] for role in laws if role != "recurrent"}, "state_std": point.state_std,
        "drive": point.drive.written(),
    }  # fmt: skip


@cache
def _method() -> list[str]:
    """What else a number that is kept on disk was made by."""
    return [code_digest(POPULATION), version("torch"), np.__version__]


LAW = TiedPopulation()
