"""A9: whether a GRU is less stable than an LSTM, and depends more on its initialisation.

The article argues from the one-step derivative: with one gate fewer, and a factor 1 + (1-r) h U_r where the LSTM has
two that are below 1, the other terms of a GRU are larger beside its main one. So they are asked of first, then how
often they lift the derivative above 1, and only then what becomes of whole chains.
"""

from __future__ import annotations

from collections import defaultdict

from rnnmc.claims.claim import FACTORS, Claim, Evidence, Part, Question, Seen
from rnnmc.claims.estimate import Gap, Median, Share, Spread
from rnnmc.statistics.summaries.terms import MINOR

TERMS = Part(
    "terms",
    "the other terms of a GRU are larger beside its main one than those of an LSTM",
    "median over networks of the mean log ratio of the other terms, added up, to the main one, of gru less that of "
    "lstm, nats",
    "above",
    0,
)
EXPANDS = Part(
    "expands",
    "the one-step derivative of a GRU is above 1 more often than that of an LSTM",
    "median over networks of the share of (step, unit) pairs above 1, of gru less that of lstm, else equal",
    "above",
    0.01,
)
FACTOR = Part(
    "factor",
    "the factor 1 + (1-r) h U_r of a GRU stays near 1: in most networks what it adds is typically below a tenth",
    f"P(a network's mean log of |(1-r) h U_r|, as the reset term beside the candidate's, is below log {MINOR:g})",
    "above",
    0.5,
)
EXPLODES = Part(
    "explodes",
    "a GRU explodes more often than an LSTM",
    "P(explode at T) of gru less that of lstm, else equal",
    "above",
    0.01,
)
STABLE = Part(
    "stable",
    "a GRU stays between the thresholds more rarely than an LSTM",
    "P(stable by T) of lstm less that of gru, else equal",
    "above",
    0.01,
)
DEPENDS = Part(
    "depends",
    "from one initialiser to the other the probability that a GRU explodes moves more than that of an LSTM",
    "largest less smallest P(explode at T) over initialisers of gru, less the same of lstm, else equal",
    "above",
    0.01,
)


class GruAgainstLstm(Claim):
    """Every design point that both cells have, and both with all initialisers of the study."""

    name = "A9"
    states = "A GRU is less stable than an LSTM, and depends more on its initialisation."
    parts = (TERMS, EXPANDS, FACTOR, EXPLODES, STABLE, DEPENDS)

    def questions(self, evidence):
        yield from _one_step(evidence)
        found = defaultdict(list)
        for gru, lstm in evidence.pairs("gru", "lstm"):
            where = gru.where(*FACTORS, horizon=gru.last)
            exploded = [evidence.share(one, "explode_at") for one in (gru, lstm)]
            (more, place), (less, other) = exploded
            yield Question(EXPLODES, where, Gap(more, less), (place, other))
            (less, place), (more, other) = (evidence.share(one, "stable_by") for one in (gru, lstm))
            yield Question(STABLE, where, Gap(more, less), (other, place))
            found[gru.without_cell_and_init].append((gru, exploded))
        for own in (own for own in found.values() if len(own) > 1):
            point = own[0][0]
            spreads = [Spread(tuple(exploded[i][0] for _, exploded in own)) for i in (0, 1)]
            where = point.where("width", "drive", "weights", "state_std", horizon=point.last)
            places = tuple(exploded[i][1] for i in (0, 1) for _, exploded in own)
            yield Question(DEPENDS, where | {"init": f"all {len(own)}"}, Gap(*spreads), places)


def _one_step(evidence: Evidence):
    """The questions of single steps."""
    for gru, lstm in evidence.pairs("gru", "lstm", "one_step"):
        where = gru.where(*FACTORS, horizon=gru.last)
        for part, name, share in ((TERMS, "typical", False), (EXPANDS, "expanding", True)):
            (more, place), (less, other) = (_median(evidence, one, name, share) for one in (gru, lstm))
            yield Question(part, where, Gap(more, less), (place, other))
    for gru in evidence.observed("terms", cells=("gru",)):
        for row in evidence.rows("terms", gru, horizon=gru.last, term="reset"):
            share = Share(row["mild_count"], row["replicates"])
            yield Question(FACTOR, gru.where(*FACTORS, horizon=gru.last), share, (f"{row['place']}, mild_count",))


def _median(evidence: Evidence, point: Seen, name: str, share: bool) -> tuple[Median, str]:
    """Of what `one_step` saw, and where it stands."""
    (row,) = evidence.rows("one_step", point, horizon=point.last)
    found = Median(row[name], row[f"{name}_low"], row[f"{name}_high"], row["replicates"], share)
    return found, f"{row['place']}, {name}"


CLAIM = GruAgainstLstm()
