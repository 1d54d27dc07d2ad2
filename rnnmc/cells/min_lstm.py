"""The minimal LSTM, whose gates see only the input and share what they let through."""

from __future__ import annotations

from rnnmc.cells.cell import Cell, Tangent, Terms
from rnnmc.cells.functions import softplus


class MinLSTM(Cell):
    """dh' = f / (f + i) o dh: P_T is diagonal."""

    name = "min_lstm"
    formula = "f,i = sg(W x + b), y = W_y x + b_y, h' = f / (f + i) o h + i / (f + i) o y"
    source = "Feng et al. 2024 (Were RNNs all we needed?); docs/physics.md section 2.2"
    gates = ("forget", "input", "candidate")
    recurrent = ()
    memory = {"forget": 1, "input": -1}  # noqa: RUF012
    main_term = "f/(f+i)"
    bounded = True

    def linearise(self, weights, drive, state):
        (h,) = state
        log_odds = softplus(-drive["input"]) - softplus(-drive["forget"])  # log f - log i, where both may be zero
        keep, admit = log_odds.sigmoid(), (-log_odds).sigmoid()

        def push(directions):
            return (directions[0] * keep,)

        return (keep * h + admit * drive["candidate"],), Tangent(push, Terms(keep, dict))


CELL = MinLSTM()
