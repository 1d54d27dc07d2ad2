"""The scalar LSTM of xLSTM: an exponential input gate, a normaliser and a stabiliser."""

from __future__ import annotations

from rnnmc.cells.cell import Cell
from rnnmc.cells.functions import logistic, sech2, softplus


class SLSTM(Cell):
    """The joint tangent of (h, c, n, m): m is as much a part of the state as c, and dm' is that of the larger term.

    With a dash for pre-activations, q = log sg(f-) + m: dm' = dq where q > i-, else di-; f = e^(q - m'), i = e^(i- -
    m') with df = f (dq - dm'), di = i (di- - dm'); dc' = f dc + c df + i dz + z di, dn' = f dn + n df + di, and dh' =
    o/n' (dc' - c'/n' dn') + c'/n' do. As in the authors' code the forget gate is logistic (the paper allows it to be
    exponential too), and the first step, from n = 0, has m' = i-. From there n' is at least 1 on every trajectory, so
    that max(n', 1) changes nothing there, and no division can fail elsewhere. One head. Published: recurrent weights 0,
    as the code has it unless told otherwise, and forget biases that fall from 5 to -7, as in its first block.
    """

    name = "slstm"
    formula = (
        "m' = max(log sg(f-) + m, i-), f = e^(log sg(f-) + m - m'), i = e^(i- - m'), c' = f c + i tanh(z-), "
        "n' = f n + i, h' = sg(o-) c' / n', each k- = W_k x + U_k h + b_k"
    )
    source = "Beck et al. 2024 (xLSTM), with the authors' code; docs/physics.md section 2.2"
    gates = ("input", "forget", "candidate", "output")
    parts = ("h", "c", "n", "m")
    bounded = True

    def published(self, width, inputs):
        forget = {"ramp": {"first": 5.0, "last": -7.0, "power": 0.3}}
        return {"recurrent": 0.0, "input": {"gaussian": 0.4**0.5}, "bias": {"constant": 0.0, "forget": forget}}

    def linearise(self, weights, drive, state):
        h, c, n, m = state
        u, at_h = weights.recurrent, weights.apply(h, *self.gates)
        raw = {gate: drive[gate] + at_h[gate] for gate in self.gates}
        kept = m - softplus(-raw["forget"])  # log sg(f-) + m
        forgets = (kept > raw["input"]) & (n != 0)
        peak = kept.where(forgets, raw["input"])
        f, i = (-(peak - kept).relu()).exp(), (raw["input"] - peak).exp()
        z = raw["candidate"].tanh()
        o, _, o_slope = logistic(raw["output"])
        c_next, n_next = f * c + i * z, f * n + i
        above = n_next > 1
        share = 1 / n_next.where(above, 1.0)
        ratio = c_next * share
        f_slope, f_scale = (-raw["forget"]).sigmoid(), f * (peak > kept)
        z_scale, o_scale = i * sech2(raw["candidate"]), ratio * o_slope
        into = {"input": u["input"], "forget": u["forget"] * f_slope}
        into |= {"candidate": u["candidate"] * z_scale, "output": u["output"] * o_scale}

        def push(directions):
            dh, dc, dn, dm = directions
            of = {gate: weights.product(dh, matrix) for gate, matrix in into.items()}
            dkept = of["forget"] + dm
            dm_next = dkept * forgets + of["input"] * ~forgets
            df, di = f_scale * (dkept - dm_next), i * (of["input"] - dm_next)
            dc_next = f * dc + c * df + z * di + of["candidate"]
            dn_next = f * dn + n * df + di
            return of["output"] + o * share * (dc_next - (ratio * above) * dn_next), dc_next, dn_next, dm_next

        return (o * ratio, c_next, n_next, peak), push


CELL = SLSTM()
