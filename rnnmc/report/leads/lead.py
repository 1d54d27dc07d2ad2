"""What a first screen consists of, and the pieces of markup that its figures share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import NamedTuple

from rnnmc.report.charts.parts import OUTCOMES

SUPERSCRIPT = str.maketrans("0123456789", "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")
OUTCOME_WORDS = {"vanish": "vanished", "stable": "kept", "explode": "exploded"}


class Lead(NamedTuple):
    """kind: of the figure. question, answer: a sentence each, for people who know no statistics. figure: markup.

    caption: how to read the figure. section: the id of the section that says more.
    """

    kind: str
    question: str
    answer: str
    figure: str
    caption: str
    section: str


def percent(share: float) -> str:
    """`63 %`; neither nothing nor all unless it is so."""
    if share in (0, 1):
        return f"{100 * share:.0f}\u00a0%"
    if share < 0.01:
        return "under 1\u00a0%"
    return "over 99\u00a0%" if share > 0.99 else f"{100 * share:.0f}\u00a0%"


def bar(shares: Mapping[str, float], said: str) -> str:
    """A bar of vanished, kept and exploded; said: what the pointer over it tells."""
    pieces = "".join(f'<i class="{event}" style="width:{100 * shares[event]:.1f}%"></i>' for event in OUTCOMES)
    return f'<span class="share" role="img" aria-label="{escape(said)}" title="{escape(said)}">{pieces}</span>'


def shares_said(shares: Mapping[str, float]) -> str:
    """`vanished 63 %, kept 20 %, exploded 17 %`."""
    return ", ".join(f"{OUTCOME_WORDS[event]} {percent(shares[event])}" for event in OUTCOMES)


def legend(words: Mapping[str, str]) -> str:
    """class of a colour -> what it means."""
    keys = "".join(f'<span><i class="key {name}"></i>{escape(said)}</span>' for name, said in words.items())
    return f'<p class="legend">{keys}</p>'


def times(threshold: float) -> str:
    """`0.001` or `1,000`."""
    return f"{threshold:,.0f}" if threshold >= 1 else f"{threshold:g}"


def units(count: int) -> str:
    """`1 unit`, `16 units`."""
    return f"{count} unit{'' if count == 1 else 's'}"


def one_in(p: float) -> str:
    """`5 million`, of a probability of 2e-7: in how many there is one, to a digit; from 1e15 on a power of ten."""
    number = float(f"{1 / p:.0e}") if p < 0.1 else float(f"{1 / p:.1f}")
    if number >= 1e15:
        return "10" + str(round(math.log10(number))).translate(SUPERSCRIPT)
    for name, size in (("trillion", 1e12), ("billion", 1e9), ("million", 1e6)):
        if number >= size:
            return f"{number / size:,.0f} {name}"
    return f"{number:,.0f}" if number >= 10 else f"{number:g}"
