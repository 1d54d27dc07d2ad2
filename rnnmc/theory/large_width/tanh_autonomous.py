"""The tanh network without input: decay below gain 1, chaos above it."""

from __future__ import annotations

from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import autonomous, no_bias, spread_gain
from rnnmc.theory.large_width import tanh_field
from rnnmc.theory.law import Law, Prediction


class TanhAutonomous(Law):
    """Needs a state that does not start at zero, which is a fixed point, and independent weights.

    Pre-activations are then uncorrelated in time, and tied weights grow as untied ones. At finite width and gains
    little above 1 the network may settle on a cycle.
    """

    name = "tanh_autonomous"
    exact = False
    formula = "q = g^2 E tanh^2(sqrt(q) z), lambda_1 = log g + log E sech^4(sqrt(q) z) / 2; spectrum parametric"
    source = "Molgedey, Schuchhardt, Schuster 1992; docs/physics.md section 6"

    def applies(self, point: DesignPoint) -> bool:
        moving = point.cell == "tanh" and autonomous(point) and point.state_std > 0
        return moving and point.width > 1 and no_bias(point, "hidden") and spread_gain(point, "hidden") is not None

    def predict(self, point: DesignPoint) -> Prediction:
        gain = spread_gain(point, "hidden") or 0.0
        q = tanh_field.variance(gain, 0.0)
        return Prediction(growth_rate=tanh_field.growth(gain, q), onset_gain=1.0, spectrum=tanh_field.spectrum(gain, q))


LAW = TanhAutonomous()
