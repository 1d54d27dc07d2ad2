"""The LSTM that shows a projection of what it would."""

from __future__ import annotations

from rnnmc.cells.cell import Cell
from rnnmc.cells.functions import logistic, scaled_sum, sech2


class LSTMProjected(Cell):
    """dc' = f o dc + K dh, dh' = P (o sech^2(c') o dc' + L dh), with K and L of the LSTM. Without peepholes.

    share: of the n units so many are shown, n share, rounded down, and at least one; the others of h stay at zero, and
    P_T has rows and columns of zeros for them, which log_rms counts: its d is 2n. What is shown feeds as a gain of
    g sqrt(share) does, for entries N(0, g^2 / n). dh'/dc' is a matrix, so that the cell has no terms. Raises ValueError
    for a share outside of (0, 1].
    """

    name = "lstm_projected"
    formula = "c' = f o c + i o g, h' = P (o o tanh(c')), P of n share rows, share = 0.5 unless said"
    source = "Sak, Senior, Beaufays 2014; torch.nn.LSTM(proj_size); docs/physics.md section 2.1"
    gates = ("forget", "input", "output", "candidate")
    recurrent, parts = (*gates, "projection"), ("h", "c")
    memory = {"forget": 1, "input": -1}  # noqa: RUF012
    bounded = True
    fields = ("share",)

    def __init__(self, share: float = 0.5):
        if not 0 < share <= 1:
            raise ValueError(f"share: {share!r} is not possible; give a number above 0 and at most 1")
        self.share = float(share)

    def linearise(self, weights, drive, state):
        h, c = state
        mask = weights.constant(lambda n: [float(unit < max(1, int(n * self.share))) for unit in range(n)], like=h)
        u, at_h = weights.recurrent, weights.apply(h * mask, *self.gates)
        f, _, f_slope = logistic(drive["forget"] + at_h["forget"])
        i, _, i_slope = logistic(drive["input"] + at_h["input"])
        o, _, o_slope = logistic(drive["output"] + at_h["output"])
        candidate = drive["candidate"] + at_h["candidate"]
        g = candidate.tanh()
        c_next = f * c + i * g
        squashed = c_next.tanh()
        h_to_c = scaled_sum(u, {"forget": c * f_slope, "input": g * i_slope, "candidate": i * sech2(candidate)})
        through_output = u["output"] * (squashed * o_slope)
        through_c = o * sech2(c_next)

        def push(directions):
            dh, dc = directions[0] * mask, directions[1]
            dc_next = weights.product(dh, h_to_c, plus=dc * f)
            hidden = weights.product(dh, through_output, plus=dc_next * through_c)
            return weights.product(hidden, u["projection"]) * mask, dc_next

        return (weights.product(o * squashed, u["projection"]) * mask, c_next), push


CELL = LSTMProjected()
