"""PyTorch's default without input: biases of order 1/sqrt n leave the state near zero."""

from __future__ import annotations

from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import autonomous, radius
from rnnmc.theory.large_width.zero_state import GATES, growth, onset, slopes
from rnnmc.theory.law import Law, Prediction


class FrameworkDefault(Law):
    """The rate of the zero state, to which the state stays within 1/sqrt n as it is attracting.

    Keras's and Flax's biases are constants: their state is exactly zero, and `zero_state` says their rates.
    """

    name = "framework_default"
    exact = False
    formula = "U(-1/sqrt n, 1/sqrt n): g = 0.577; lambda_1 = log(a + b g): tanh -0.549, LSTM and GRU -0.440"
    source = "torch.nn.RNN, LSTM, GRU; physics.md section 6"

    def applies(self, point: DesignPoint) -> bool:
        plain = point.init.preset == "pytorch" and not point.init.roles
        known = point.width > 1 and point.cell in GATES and point.cell not in ("linear", "minimal_rnn")
        return known and plain and autonomous(point) and point.state_std == 0 and point.weights == "tied"

    def predict(self, point: DesignPoint) -> Prediction:
        matrix, gates = GATES[point.cell]
        a, b = slopes(point.cell, *(0.5 for _ in gates))
        return Prediction(
            growth_rate=growth(a, b, radius(point, matrix) or 0.0, "tied"), onset_gain=onset(a, b, "tied")
        )


LAW = FrameworkDefault()
