"""A9: whether a GRU is less stable than an LSTM, and depends more on its initialisation."""

from __future__ import annotations

from collections import defaultdict

from rnnmc.claims.claim import FACTORS, Claim, Part, Question
from rnnmc.claims.estimate import Gap, Spread, log_of

STABLE = Part(
    "stable",
    "a GRU stays between the thresholds more rarely than an LSTM",
    "P(stable by T) of lstm less that of gru, else equal",
    "above",
    0.01,
)
WIDER = Part(
    "wider",
    "the log-norm of a GRU spreads more widely over random networks than that of an LSTM",
    "log of the standard deviation of l_T of gru less that of lstm",
    "above",
    0,
)
DEPENDS = Part(
    "depends",
    "from one initialiser to the other the growth rate of a GRU moves more than that of an LSTM",
    "largest less smallest growth rate over initialisers of gru, less the same of lstm, nats a step",
    "above",
    0,
)


class GruAgainstLstm(Claim):
    """Every design point that both cells have; their growth rates over all initialisers of the study."""

    name = "A9"
    states = "A GRU is less stable than an LSTM, and depends more on its initialisation."
    parts = (STABLE, WIDER, DEPENDS)

    def questions(self, evidence):
        rates = defaultdict(list)
        for gru, lstm in evidence.pairs("gru", "lstm"):
            where = gru.where(*FACTORS, horizon=gru.last)
            (less, place), (more, other) = (evidence.share(one, "stable_by") for one in (gru, lstm))
            yield Question(STABLE, where, Gap(more, less), (other, place))
            spreads = [evidence.number(one, "deviation", "deviation_error") for one in (gru, lstm)]
            known = [one for one in spreads if one is not None and one[0].value > 0]
            if len(known) == 2:
                logs = [log_of(one.value, one.error, one.replicates) for one, _ in known]
                yield Question(WIDER, where, Gap(*logs), tuple(place for _, place in known))
            both = [
                found
                for one in (gru, lstm)
                if (found := evidence.number(one, "growth_rate", "growth_rate_error")) is not None
            ]
            if len(both) == 2:
                rates[gru.without_cell_and_init].append((gru, both))
        for found in rates.values():
            if len(found) > 1:
                point = found[0][0]
                spreads = [Spread(tuple(both[i][0] for _, both in found)) for i in (0, 1)]
                where = point.where("width", "drive", "weights", "state_std", horizon=point.last)
                places = tuple(both[i][1] for i in (0, 1) for _, both in found)
                yield Question(DEPENDS, where | {"init": f"all {len(found)}"}, Gap(*spreads), places)


CLAIM = GruAgainstLstm()
