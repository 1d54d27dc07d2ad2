"""PyTorch's default without input: biases of order 1/sqrt n leave the state near zero."""

from __future__ import annotations

from scipy.special import expit

from rnnmc.initialisers import presets
from rnnmc.initialisers.pytorch import PRESET
from rnnmc.study.initialisation import EVERY
from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import autonomous, constant, radius
from rnnmc.theory.large_width.zero_state import Rest, growth, onset
from rnnmc.theory.law import Law, Prediction, required


class FrameworkDefault(Law):
    """The rate of the zero state, to which the state stays within 1/sqrt n as it is attracting.

    Gates may have constant biases instead of PyTorch's, as people give a forget gate; the others are at 1/2. Keras's
    and Flax's biases are constants: their state is exactly zero, and `zero_state` says their rates.
    """

    name = "framework_default"
    exact = False
    formula = (
        "U(-1/sqrt n, 1/sqrt n): g = 0.577; lambda_1 = log(a + b g): tanh -0.549, LSTM and GRU -0.440; "
        "LSTM of forget bias b log(sg(b) + g/4)"
    )
    source = "torch.nn.RNN, LSTM, GRU; docs/physics.md section 6"

    def applies(self, point: DesignPoint) -> bool:
        still = autonomous(point) and point.state_std == 0 and point.weights == "tied" and point.width > 1
        rest = self._rest(point) if still and self._drawn_as_pytorch(point) else None
        gain = radius(point, rest.matrix) if rest else None
        return rest is not None and gain is not None and growth(rest.a, rest.b, gain, "tied") < 0

    def predict(self, point: DesignPoint) -> Prediction:
        rest = required(self._rest(point))
        return Prediction(
            growth_rate=growth(rest.a, rest.b, radius(point, rest.matrix) or 0.0, "tied"),
            onset_gain=onset(rest.a, rest.b, "tied"),
        )

    @staticmethod
    def _drawn_as_pytorch(point: DesignPoint) -> bool:
        return point.init.preset is not None and presets()[point.init.preset].roles is PRESET.roles

    @staticmethod
    def _rest(point: DesignPoint) -> Rest | None:
        """None for a state that is not bounded, where U has no part in the Jacobian at zero, and where anything but a
        constant bias of a gate is said beside the preset.
        """
        cell, said = point.cell_object, point.init.roles
        if cell.at_zero is None or not cell.bounded or set(said) - {"bias"}:
            return None
        biases = {gate: constant(point, gate) for gate in said.get("bias", {}) if gate != EVERY}
        if EVERY in said.get("bias", {}) or None in biases.values() or set(biases) - set(cell.at_zero.gates):
            return None
        a, b = cell.slopes(*(float(expit(biases.get(gate) or 0.0)) for gate in cell.at_zero.gates))
        return Rest(cell.at_zero.matrix, a, b) if b else None


LAW = FrameworkDefault()
