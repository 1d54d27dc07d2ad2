"""Gated cells without recurrent weights in a white field: memories whose logarithms are sums of independent steps."""

from __future__ import annotations

import math

from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import constant, field_variances
from rnnmc.theory.exact.min_gru import LargestEntry, LogKept
from rnnmc.theory.exact.zero_weights import memory_gate, uncoupled
from rnnmc.theory.law import Law, LogNorm, Measure, Prediction, required


class DrivenGates(Law):
    """As of `min_gru`, with f the gate's opening or what it leaves.

    The output-gated cell shows its memory through the gate of the last step alone: dh_T = r_T dc_T. What an LSTM shows
    depends on c_T as well, which is not independent of its gates, so that only its memory has this law.
    """

    name = "driven_gates"
    exact = True
    formula = "U = 0, field: log-entry = sum log f_t, f = sg(+-(b + s N)); output-gated + log(1 + r_T^2)/2; F(x)^n"
    source = "docs/physics.md section 5, derived as that of min_gru"

    def applies(self, point: DesignPoint) -> bool:
        if point.cell_object.gating is None or point.cell == "min_gru" or not uncoupled(point):
            return False
        fields, (gate, _) = field_variances(point), memory_gate(point)
        return fields is not None and fields[gate] > 0 and constant(point, gate) is not None

    def predict(self, point: DesignPoint) -> Prediction:
        fields, (gate, sign) = field_variances(point) or {}, memory_gate(point)
        step = LogKept(-sign * (constant(point, gate) or 0.0), math.sqrt(fields[gate]))
        n, (mean, _) = point.width, step.moments()
        laws: dict[Measure, LogNorm] = {"log_memory": LargestEntry(step, n)}
        gating = required(point.cell_object.gating)
        if len(point.cell_object.parts) == 1:
            laws |= {"log_spectral": LargestEntry(step, n), "log_vector": LargestEntry(step, 1)}
            laws |= {"log_rms": LargestEntry(step, 1)} if n == 1 else {}
        elif not gating.squashed and (bias := constant(point, gating.show)) is not None:
            output = bias, math.sqrt(fields[gating.show])
            laws["log_spectral"] = LargestEntry(step, n, output)
            laws |= {"log_rms": LargestEntry(step, 1, output, -math.log(2) / 2)} if n == 1 else {}
        return Prediction(growth_rate=mean, log_norm=laws)


LAW = DrivenGates()
