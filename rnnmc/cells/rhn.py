"""The recurrent highway network: several layers of a highway network in each step."""

from __future__ import annotations

from rnnmc.cells.cell import Cell
from rnnmc.cells.functions import logistic, sech2

LAYERS = ("1", "2", "3")  # three in a step
NAMES = tuple(f"{kind}_{layer}" for layer in LAYERS for kind in ("transform", "candidate"))


class RHN(Cell):
    """Layer by layer ds' = (1-t) o ds + (y-s) t(1-t) o R_t ds + t (1-y^2) o R_y ds; P_T is over steps, not layers.

    The first layer sees the input; the others have a bias of their own. The carry gate is 1 - t, as in the paper's
    experiments. As the memory is kept by several gates in turn, no one of them stands for a time scale.
    """

    name = "rhn"
    formula = "s = h, three times s' = (1-t) o s + t o y with t = sg(R_t s + b), y = tanh(R_y s + b), then h' = s"
    source = "Zilly, Srivastava, Koutnik, Schmidhuber 2017; docs/physics.md section 2.1"
    gates, recurrent = NAMES[:2], NAMES
    inner_biases = {name: NAMES[at % 2] for at, name in enumerate(NAMES) if at > 1}  # noqa: RUF012
    bounded = True

    def linearise(self, weights, drive, state):
        (s,) = state
        u, layers = weights.recurrent, []
        for layer in LAYERS:
            transform, candidate = f"transform_{layer}", f"candidate_{layer}"
            given = drive if transform in drive else weights.bias
            at_s = weights.apply(s, transform, candidate)
            t, keep, t_slope = logistic(given[transform] + at_s[transform])
            a = given[candidate] + at_s[candidate]
            y = a.tanh()
            jacobian = (u[transform] * ((y - s) * t_slope)).addcmul(u[candidate], t * sech2(a))
            layers.append((keep, jacobian))
            s = keep * s + t * y

        def push(directions):
            (ds,) = directions
            for keep, jacobian in layers:
                ds = weights.product(ds, jacobian, plus=ds * keep)
            return (ds,)

        return (s,), push


CELL = RHN()
