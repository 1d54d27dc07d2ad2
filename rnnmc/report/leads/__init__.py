"""What the first screen of a page shows: the study's question, a sentence that answers it, and one figure.

The figure is markup, not a chart: it fits a phone and a desktop, follows light and dark, and needs no script.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from rnnmc.report.leads import learning, lifetimes, maps, rare, shares, verdicts
from rnnmc.report.leads.lead import Lead

LEADS = (verdicts, rare, learning, maps, lifetimes, shares)  # the first that has something to say, speaks


def lead(
    study: Mapping[str, object], rows: pl.DataFrame, points: pl.DataFrame, tables: Mapping[str, pl.DataFrame]
) -> Lead:
    """The first screen. rows: `rnnmc.report.text.main_rows`; points, tables: as `write_report` has them, with points
    that are split for a rare event.

    A `question` that the study asks for itself stands in place of ours.
    """
    found = next(one for kind in LEADS if (one := kind.lead(rows, points, tables)) is not None)
    asked = study.get("question")
    return found._replace(question=str(asked)) if asked else found
