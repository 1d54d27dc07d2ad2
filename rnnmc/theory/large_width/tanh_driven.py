"""The tanh network with a white field on every unit: input suppresses chaos."""

from __future__ import annotations

from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import field_variances, no_bias, spread_gain
from rnnmc.theory.large_width import tanh_field
from rnnmc.theory.law import Law, Prediction


class TanhDriven(Law):
    """For the drive `field` alone: white input of small dimension is the same for all units and moves q itself."""

    name = "tanh_driven"
    exact = False
    formula = "q = g^2 E tanh^2(sqrt(q) z) + nu^2, lambda_1 = log g + log E sech^4(sqrt(q) z) / 2; spectrum parametric"
    source = "Molgedey, Schuchhardt, Schuster 1992; Schuecker, Goedeke, Helias 2018; docs/physics.md section 6"

    def applies(self, point: DesignPoint) -> bool:
        if point.cell != "tanh" or point.width == 1 or not no_bias(point, "hidden"):
            return False
        fields = field_variances(point)
        return fields is not None and fields["hidden"] > 0 and spread_gain(point, "hidden") is not None

    def predict(self, point: DesignPoint) -> Prediction:
        gain, noise = spread_gain(point, "hidden") or 0.0, (field_variances(point) or {})["hidden"]
        q = tanh_field.variance(gain, noise)
        return Prediction(
            growth_rate=tanh_field.growth(gain, q),
            onset_gain=tanh_field.onset(noise),
            spectrum=tanh_field.spectrum(gain, q),
        )


LAW = TanhDriven()
