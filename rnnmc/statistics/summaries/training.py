"""How many networks have learnt their task."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from rnnmc.statistics.summaries.summary import Summary, probability, rectangle, rows_a_replicate

LEARNT = 0.2  # of the loss of the best constant answer; two symbols of four that are taken for each other leave 0.25


class TrainingSummary(Summary):
    """The usual one, of the networks that were trained, with the share of those that have learnt."""

    name = "training"

    def summarise(self, observable, samples, settings):
        """As `Summary.summarise`, of the replicates that were trained, the first of each weight draw.

        Besides learnt_count, p_learnt, p_learnt_low and p_learnt_high: how many have a loss below LEARNT times that of
        the best constant answer.
        """
        known = samples.drop_nulls("loss")
        draw = pl.col("replicate") // settings.group
        if settings.group > 1:  # those that share weights are not independent
            known = known.filter(pl.col("replicate") == pl.col("replicate").min().over(draw))
        alone = replace(settings, group=1)
        usual = super().summarise(observable, known, alone)
        learnt = probability("learnt", rectangle(known, "loss", rows_a_replicate(known)) < LEARNT, alone)
        return usual.with_columns(*pl.DataFrame(learnt))


SUMMARY = TrainingSummary()
