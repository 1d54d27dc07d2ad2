"""What a study found, in sentences of plain words and numbers."""

import math
from typing import NamedTuple

import polars as pl

from rnnmc.claims import EMPTY, FAILS, HOLDS, ONLY_WHEN, UNDECIDED
from rnnmc.common.words import listed
from rnnmc.report.text import event_text, horizon_text, nats_text, probability_text, rate_deviation
from rnnmc.statistics.oracles import ALL, passed

NEAR = 3  # standard errors, as of a normal law, within which a growth rate agrees with a law
VERDICT_WORDS = {
    HOLDS: ("holds", "hold"),
    ONLY_WHEN: ("holds under some conditions alone", "hold under some conditions alone"),
    FAILS: ("fails", "fail"),
    UNDECIDED: ("is undecided", "are undecided"),
    EMPTY: ("has nothing to be seen in", "have nothing to be seen in"),
}
COMPARED = (  # event, what a cell does, how the point is told where it does so most
    ("stable", "keeps the norm between the thresholds", "at its best"),
    ("explode", "explodes", "at its worst"),
)
VERBS = {"vanish": "vanish", "stable": "stay in between", "explode": "explode"}


def findings(rows: pl.DataFrame, statistics: pl.DataFrame) -> list[str]:
    """The sentences that open the report, the most general one first.

    rows: `rnnmc.report.text.main_rows`; statistics: all rows of the same points. A design point "mostly" does what
    more than half of its replicates do, by the lower bound of the interval; a comparison is one only where
    intervals do not overlap, and where they do it is told at the end as open.
    """
    if rows.height == 1:
        opening, still_open = [f"{_thresholds(rows)} {_single(rows.row(0, named=True))}"], []
    else:
        compared, still_open = _comparisons(rows)
        opening = [f"{_thresholds(rows)} {_majorities(rows)}", *compared]
    return [*opening, _longest(rows, statistics), *_agreement(rows), _drives(rows), *still_open]


def _drives(rows: pl.DataFrame) -> str:
    """What the networks are driven by, of which dimension: with another input these numbers may be others."""
    drives = rows["driven"].unique(maintain_order=True).to_list()
    several = f"one of {len(drives)} drives ({'; '.join(drives)})" if len(drives) > 1 else f"the drive {drives[0]}"
    return f"All of this holds for {several}, and need not for another."


def of_claims(verdicts: pl.DataFrame) -> str:
    """Which of the article's claims hold, and which do not; verdicts: `rnnmc.claims.verdicts`."""
    if verdicts.is_empty():
        return "This study has no bearing on any claim of the article."
    kinds = [
        f"{own.height} {VERDICT_WORDS[kind][own.height > 1]} ({listed(list(dict.fromkeys(own['claim'])))})"
        for (kind,), own in verdicts.group_by("verdict", maintain_order=True)
    ]
    total = verdicts.select(pl.col("holds", "fails", "undecided").sum()).row(0)
    empty = verdicts["empty"].sum() if "empty" in verdicts.columns else 0
    seen = f" Another {empty:,} compare what is at a floor or a ceiling, and decide nothing." if empty else ""
    return (
        f"Of the article's claims, {verdicts.height} statements in all, {listed(kinds)}. Of {sum(total):,} "
        f"questions {total[0]:,} were answered as the claim has it, {total[1]:,} the other way, and {total[2]:,} are "
        f"open at this precision.{seen}"
    )


class Validation(NamedTuple):
    """Whether rnnmc has measured what exact laws say, and that in a sentence."""

    passed: bool
    sentence: str


def verdict(coverage: pl.DataFrame) -> Validation:
    """What rows of `rnnmc.statistics.oracles.coverage` come to."""
    every = coverage.row(by_predicate=pl.col("law") == ALL, named=True)
    if passed(coverage):
        certain = f"; of {every['certain']:,} that leave nothing to chance all are right" if every["certain"] else ""
        return Validation(
            True,
            f"Self-validation passed: of {every['cells']:,} measurements whose truth an exact law gives, "
            f"{every['held']:,} have it in their interval, where {every['expected']:,.0f} should and "
            f"{every['least']:,} to {every['most']:,} may{certain}.",
        )
    if not every["cells"] + every["certain"]:
        return Validation(
            False, "Self-validation FAILED: no design point has an exact law, so that nothing was checked."
        )
    where = "; ".join(_failure(row) for row in coverage.iter_rows(named=True) if not row["passed"])
    return Validation(
        False,
        f"Self-validation FAILED: rnnmc has not measured what exact laws give ({where}). Do not rely on the numbers on "
        "this page before this is explained.",
    )


def _failure(row: dict) -> str:
    """Why a law has failed."""
    why = []
    if not row["least"] <= row["held"] <= row["most"]:
        why.append(f"{row['held']:,} of {row['cells']:,} intervals hold, {row['least']:,} to {row['most']:,} may")
    if row["certain_held"] < row["certain"]:
        wrong = row["certain"] - row["certain_held"]
        why.append(f"{wrong:,} of {row['certain']:,} numbers that leave nothing to chance are wrong")
    if not why:
        why.append(f"the places of what was measured in the law have p = {row['p_value']:.1g}")
    return f"{'all together' if row['law'] == ALL else row['law']}: {', '.join(why)}"


def _agreement(rows: pl.DataFrame) -> list[str]:
    """How many design points have an exact law and one of large width, and how the measured growth rates agree."""
    listed = rows.to_dicts()
    exact = [(abs(deviation), row) for row in listed if (deviation := rate_deviation(row)) is not None]
    wide = [
        (abs(row["growth_rate"] - row["theory_growth_rate"]), row)
        for row in listed
        if row["theory_growth_exact"] is False
        and row["growth_rate"] is not None
        and row["theory_growth_rate"] is not None
    ]
    sentences = []
    if exact:
        near = sum(deviation <= NEAR for deviation, _ in exact)
        worst, row = max(exact, key=lambda found: found[0])
        gap = abs(row["growth_rate"] - row["theory_growth_rate"])
        sentences.append(
            f"An exact law gives the growth rate at {_of(exact, rows)}, after infinitely many steps; the measured one, "
            f"over the last decade, agrees within {NEAR} standard errors at "
            f"{'all' if near == len(exact) else near} of them"
            + (
                f"; the furthest, {row['cell']} ({_where(row)}), is {worst:.1f} off, {gap:.2g} nats a step."
                if gap
                else "."
            )
        )
    if wide:
        worst, row = max(wide, key=lambda found: found[0])
        typical = pl.Series([gap for gap, _ in wide]).median()
        sentences.append(
            f"A law of large width gives {'it' if exact else 'the growth rate'} at {_of(wide, rows)}; the measured one "
            f"is {typical:.2g} nats a step off in the median and at most {worst:.2g}, in {row['cell']} ({_where(row)})."
        )
    return sentences


def _of(found: list, rows: pl.DataFrame) -> str:
    return f"{len(found)} of {rows.height} design point{'s' if rows.height > 1 else ''}"


def _thresholds(rows: pl.DataFrame) -> str:
    """After how many steps the norm is judged, and by what."""
    first = rows.row(0, named=True)
    return (
        f"After {horizon_text(rows)}, a norm below {first['threshold_vanish']:g} counts as vanished "
        f"and one above {first['threshold_explode']:g} as exploded."
    )


def _majorities(rows: pl.DataFrame) -> str:
    """How many design points surely vanish, stay and explode for the most part."""
    counts = {event: int((rows[f"p_{event}_at_low"] > 0.5).sum()) for event in VERBS}
    undecided = rows.height - sum(counts.values())
    parts = [f"{count} ({_percent(count / rows.height)}) mostly {VERBS[event]}" for event, count in counts.items()]
    if undecided:
        parts.append(f"{undecided} {'has' if undecided == 1 else 'have'} no clear majority")
    return f"Of {rows.height} design points, {listed(parts)}."


def _comparisons(rows: pl.DataFrame) -> tuple[list[str], list[str]]:
    """(what is found, what is open) of which cell keeps the norm most often and which explodes most.

    Cells are compared over the widths and settings that all of them have; where these are none, nothing is said.
    """
    number = rows["cell"].n_unique()
    shared = rows.filter(pl.col("cell").n_unique().over("width", "series") == number)
    found, questions = [], []
    for event, does, extreme in COMPARED:
        if not (rows[f"{event}_at_count"] > 0).any():
            found.append(_never(rows, event))
        elif number > 1 and not shared.is_empty():
            sentence = _champion(shared, event, does, extreme, "the" if shared.height < rows.height else "its")
            found += [sentence] if sentence else []
            questions += [] if sentence else [f"which cell {does} most often"]
    return found, [f"Too close to tell at this precision: {listed(questions)}."] if questions else []


def _never(rows: pl.DataFrame, event: str) -> str:
    """That no replicate did so, and how often one may at most."""
    none = {"stable": "stayed between the thresholds", "explode": "exploded"}[event]
    bound = max(rows[f"p_{event}_at_high"].to_list())
    return (
        f"Not one of {rows['replicates'].sum():,} replicates {none}; the {100 * rows['level'][0]:g} % "
        f"interval of no design point reaches above {_percent(bound)}."
    )


def _champion(rows: pl.DataFrame, event: str, does: str, extreme: str, whose: str) -> str | None:
    """The cell with the highest mean probability of an event, its own highest point, and the runner-up.

    None where the interval of another cell reaches that of the first. whose: `its` design points, or `the` ones that
    all cells have.
    """
    top, *others = averages(rows, event)
    if any(other["high"] > top["low"] for other in others):
        return None
    of_top = rows.filter(pl.col("cell") == top["cell"]).sort(f"p_{event}_at", descending=True)
    point = of_top.row(0, named=True)
    sentence = f"The {top['cell']} cell {does} most often: {_share(top)} "
    if top["points"] > 1:
        all_have = " that all cells have" if whose == "the" else ""
        sentence += f"on average over {whose} {top['points']} design points{all_have} and "
        sentence += f"{event_text(point, event)} {extreme} "
    return f"{sentence}({_where(point)}); next is {others[0]['cell']} with {_share(others[0])}."


def averages(rows: pl.DataFrame, event: str) -> list[dict]:
    """cell, points, p, low and high of each cell, the highest mean probability p first."""
    cells = [_average(cell, event) for cell in rows.partition_by("cell", maintain_order=True)]
    return sorted(cells, key=lambda found: -found["p"])


def _average(rows: pl.DataFrame, event: str) -> dict:
    """Mean probability over the design points of one cell, with an interval.

    The points are independent, so that the distances from mean to bound add in squares (Newcombe 1998; Zou
    and Donner 2008), which keeps the asymmetry of the single intervals.
    """
    p, low, high = (rows[f"p_{event}_at{end}"].to_numpy() for end in ("", "_low", "_high"))
    mean = float(p.mean())
    down, up = (math.sqrt(((p - bound) ** 2).sum()) / len(p) for bound in (low, high))
    return {"cell": rows["cell"][0], "points": len(p), "p": mean, "low": mean - down, "high": mean + up}


def _longest(rows: pl.DataFrame, statistics: pl.DataFrame) -> str:
    """Where more than half of the replicates surely stay between the thresholds for longest, without a break."""
    spectral = (
        statistics.filter(pl.col("measure").cast(pl.String) == "log_spectral")
        .with_columns(pl.col("point").cast(pl.String))
        .join(rows, on="point", how="semi")
        .sort("horizon", "p_stable_by", descending=True)
    )
    kept = spectral.filter(pl.col("p_stable_by_low") > 0.5)
    if kept.is_empty():
        return "Nowhere do clearly more than half of the replicates stay between the thresholds up to a stored horizon."
    row = kept.row(0, named=True)
    point = rows.row(by_predicate=pl.col("point") == row["point"], named=True)
    last = point["horizon"] == row["horizon"]
    same = spectral.filter(pl.col("horizon") == row["horizon"], pl.col("point") != row["point"])
    others = int((same["p_stable_by_low"] > 0.5).sum())
    perhaps = int((same["p_stable_by_high"] >= 0.5).sum()) - others
    ends = spectral.filter(pl.col("horizon") == pl.col("horizon").max().over("point"))  # not all are followed so far
    perhaps += ends.filter(pl.col("horizon") < row["horizon"], pl.col("p_stable_by_high") >= 0.5).height
    if others and others == rows.height - 1:
        return (
            "At every design point more than half of the replicates have not once left the thresholds up to step "
            f"{row['horizon']:,}{', the last one' if last else ''}."
        )
    company = f", as do more than half at {_points(others)}" if others else ""
    if perhaps:
        company += f", and perhaps at {perhaps} more" if others else f", as perhaps do half at {_points(perhaps)}"
    longest = f"The norm lasts longest in {point['cell']} ({_where(point)}): a share of "
    if others or perhaps:
        longest = f"The norm lasts longest in, among others, {point['cell']} ({_where(point)}): a share of "
    place = longest if rows.height > 1 else "A share of "
    return (
        f"{place}{event_text(row, 'stable', 'by')} of the replicates has not once left the thresholds "
        f"up to step {row['horizon']:,}{', the last one' if last else ''}{company}."
    )


def _points(number: int) -> str:
    return f"{number} other design point{'s' if number > 1 else ''}"


def _single(row: dict) -> str:
    """The probabilities of a study of one point."""
    shares = [f"P({event}) = {event_text(row, event)}" for event in VERBS]
    return (
        f"For {row['cell']} ({_where(row)}), {listed(shares)}; the median log-norm is {nats_text(row['q50'])} "
        f"nats ({row['replicates']:,} replicate{'s' if row['replicates'] > 1 else ''})."
    )


def _where(row: dict) -> str:
    return f"width {row['width']}, {row['series']}"


def _share(found: dict) -> str:
    return f"P = {probability_text(found['p'], found['low'], found['high'])}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 or share == 0 else f"{100 * share:.2g} %"
