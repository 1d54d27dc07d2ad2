"""PyTorch's default without input: biases of order 1/sqrt n leave the state near zero."""

from __future__ import annotations

from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import autonomous, radius
from rnnmc.theory.large_width.zero_state import Rest, growth, onset
from rnnmc.theory.law import Law, Prediction, required


class FrameworkDefault(Law):
    """The rate of the zero state, to which the state stays within 1/sqrt n as it is attracting.

    Keras's and Flax's biases are constants: their state is exactly zero, and `zero_state` says their rates.
    """

    name = "framework_default"
    exact = False
    formula = "U(-1/sqrt n, 1/sqrt n): g = 0.577; lambda_1 = log(a + b g): tanh -0.549, LSTM and GRU -0.440"
    source = "torch.nn.RNN, LSTM, GRU; docs/physics.md section 6"

    def applies(self, point: DesignPoint) -> bool:
        plain = point.init.preset == "pytorch" and not point.init.roles
        if not (plain and point.width > 1 and autonomous(point) and point.state_std == 0 and point.weights == "tied"):
            return False
        rest = self._rest(point)
        gain = radius(point, rest.matrix) if rest else None
        return rest is not None and gain is not None and growth(rest.a, rest.b, gain, "tied") < 0

    def predict(self, point: DesignPoint) -> Prediction:
        rest = required(self._rest(point))
        return Prediction(
            growth_rate=growth(rest.a, rest.b, radius(point, rest.matrix) or 0.0, "tied"),
            onset_gain=onset(rest.a, rest.b, "tied"),
        )

    @staticmethod
    def _rest(point: DesignPoint) -> Rest | None:
        """Every gate at 1/2; None for a state that is not bounded, and where U has no part in the Jacobian at zero."""
        cell = point.cell_object
        if cell.at_zero is None or not cell.bounded:
            return None
        a, b = cell.slopes(*(0.5 for _ in cell.at_zero.gates))
        return Rest(cell.at_zero.matrix, a, b) if b else None


LAW = FrameworkDefault()
