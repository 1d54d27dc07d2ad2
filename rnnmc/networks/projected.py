"""The LSTM with a projection, as torch.nn.LSTM(proj_size=...) has it."""

from __future__ import annotations

from rnnmc.cells.cell import Cell
from rnnmc.cells.functions import logistic, scaled_sum, sech2


class ProjectedLSTM(Cell):
    """As the LSTM, but h' = P (o o tanh(c')): dh' = P d(o o tanh(c')).

    Of the n units of h those beyond the projection are zero, as the rows of P and the columns of the others are: P_T
    has rows and columns of zeros for them, which no spectral norm sees.
    """

    name, gates = "lstm with projection", ("forget", "input", "output", "candidate")
    formula, source = "c' = f o c + i o g, h' = P (o o tanh(c'))", "Sak, Senior, Beaufays 2014; torch.nn.LSTM"
    recurrent, parts = (*gates, "projection"), ("h", "c")
    memory = {"forget": 1, "input": -1}  # noqa: RUF012

    def linearise(self, weights, drive, state):
        h, c = state
        u, at_h = weights.recurrent, weights.apply(h, *self.gates)
        f, _, f_slope = logistic(drive["forget"] + at_h["forget"])
        i, _, i_slope = logistic(drive["input"] + at_h["input"])
        o, _, o_slope = logistic(drive["output"] + at_h["output"])
        candidate = drive["candidate"] + at_h["candidate"]
        g = candidate.tanh()
        c_next = f * c + i * g
        squashed = c_next.tanh()
        scales = {"forget": c * f_slope, "input": g * i_slope, "candidate": i * sech2(candidate)}
        h_to_c = scaled_sum(u, scales)
        through_output = u["output"] * (squashed * o_slope)
        through_c = o * sech2(c_next)

        def push(directions):
            dh, dc = directions
            dc_next = weights.product(dh, h_to_c, plus=dc * f)
            shown = weights.product(dh, through_output, plus=dc_next * through_c)
            return weights.product(shown, u["projection"]), dc_next

        return (weights.product(o * squashed, u["projection"]), c_next), push


PROJECTED = ProjectedLSTM()
