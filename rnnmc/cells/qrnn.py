"""The quasi-recurrent network's fo-pooling: gates see only the input."""

from __future__ import annotations

from rnnmc.cells.cell import Cell, Gating, Tangent, Terms


class QRNN(Cell):
    """dc' = f o dc: P_T is diagonal.

    The output o o c' is no part of the state, since nothing feeds it back. Of the convolution over time that feeds the
    gates this has the width 1; wider ones see more of the input and nothing of the state.
    """

    name = "qrnn"
    formula = "f = sg(W_f x + b_f), y = tanh(W_y x + b_y), c' = f o c + (1-f) o y"
    source = "Bradbury, Merity, Xiong, Socher 2017 (ICLR), fo-pooling; docs/physics.md section 2.2"
    gates = ("forget", "candidate")
    recurrent = ()
    parts = ("c",)
    memory = {"forget": 1}  # noqa: RUF012
    main_term = "f"
    bounded = True
    gating = Gating(keep="forget")

    def linearise(self, weights, drive, state):
        (c,) = state
        f, rest = drive["forget"].sigmoid(), (-drive["forget"]).sigmoid()

        def push(directions):
            return (directions[0] * f,)

        return (f * c + rest * drive["candidate"].tanh(),), Tangent(push, Terms(f, dict))


CELL = QRNN()
