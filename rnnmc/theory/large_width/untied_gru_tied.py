"""The article's tied GRU with fresh weights at every step."""

from __future__ import annotations

from rnnmc.theory.large_width.untied_gru import UntiedGRU


class UntiedGRUTied(UntiedGRU):
    """The GRU's law with r = z.

    U_z dh reaches a unit directly, and through U_h from all others: the two are uncorrelated at large width, so one
    gate in both places adds no term.
    """

    name, cell, reset = "untied_gru_tied", "gru_tied", "update"
    formula = "chi of the GRU with r = z"
    source = "derived as that of the GRU in docs/physics.md section 6"


LAW = UntiedGRUTied()
