"""The first of three cells that a search over ten thousand found: a GRU whose update gate sees the input alone."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell, Gating, Tangent, Term, Terms
from rnnmc.cells.functions import logistic, sech2


class MUT1(Cell):
    """dh' = (1-z) o dh + z(1-y^2) o U_h( r o dh + h r(1-r) o U_r dh ).

    The candidate sees tanh(W x + b) where the paper has tanh(x), with an x of n numbers; its own bias is
    `candidate_recurrent`.
    """

    name = "mut1"
    formula = "z = sg(W x + b), r = sg(.), y = tanh(U_h (r o h) + tanh(W x + b) + b_h), h' = (1-z) o h + z o y"
    source = "Jozefowicz, Zaremba, Sutskever 2015; docs/physics.md section 2.1"
    gates = ("update", "reset", "candidate")
    recurrent = ("reset", "candidate")
    inner_biases = {"candidate_recurrent": "candidate"}  # noqa: RUF012
    memory = {"update": -1}  # noqa: RUF012
    main_term = "1-z"
    other_terms = ("candidate", "reset")
    bounded = True
    gating = Gating(keep="update", admit="update", show="reset")
    at_zero = AtZero(sources=("candidate", "candidate_recurrent"), matrix="candidate", gates=("update", "reset"))

    def slopes(self, *openings):
        update, reset = openings
        return 1 - update, update * reset

    def linearise(self, weights, drive, state):
        (h,) = state
        u = weights.recurrent
        z, keep, _ = logistic(drive["update"])
        r, _, r_slope = logistic(drive["reset"] + weights.apply(h, "reset")["reset"])
        given = drive["candidate"].tanh() + weights.bias["candidate_recurrent"]
        candidate = weights.product(r * h, u["candidate"], plus=given)
        y = candidate.tanh()
        of_reset, of_candidate = h * r_slope, z * sech2(candidate)
        of_reset_state = (weights.identity * r).addcmul(u["reset"], of_reset)  # d(r o h)/dh
        inner = weights.product(of_reset_state, u["candidate"])
        jacobian = (weights.identity * keep).addcmul(inner, of_candidate)

        def push(directions):
            return (weights.product(directions[0], jacobian),)

        def others():
            through_reset = weights.product(u["reset"] * of_reset, u["candidate"])
            return {
                "candidate": Term(u["candidate"] * weights.transpose(r), of_candidate),
                "reset": Term(through_reset, of_candidate),
            }

        return (keep * h + z * y,), Tangent(push, Terms(keep, others))


CELL = MUT1()
