"""The tables of the page: what stands in each cell, and by what number a click on its header sorts."""

from typing import NamedTuple

import polars as pl

from rnnmc.claims import ANSWERS, CONDITIONS, UNDECIDED, verdict_text
from rnnmc.report.charts.parts import OUTCOMES
from rnnmc.report.repeat import command, rare_command
from rnnmc.report.text import (
    event_text,
    log_norm_text,
    most_text,
    number_text,
    passage_text,
    rare_events,
    rate_text,
    theory_text,
    varying_factors,
    with_series,
)
from rnnmc.statistics.point import PERCENTS
from rnnmc.theory import laws

HEADERS = {"layers": "layers", "residual": "residual", "init": "initialiser", "drive": "drive"}
HEADERS |= {"weights": "weights", "state_std": "state std", "dtype": "dtype"}
OUTER = ("vanish", "explode")
PASSED, FAILED = "passed", "FAILED"
NAMED = {"cell", "width", "series", *HEADERS} - {"dtype"}  # what names a design point
FIRST = 20  # rows of a table that has no figure


class Entry(NamedTuple):
    """A cell. number: to sort by, if not by the text. title: what the pointer over it says. bar: event -> percent.

    command: what a click on it copies. known: of a bar, what the page works other thresholds out from.
    """

    text: str
    number: float | None = None
    title: str = ""
    bar: dict[str, float] | None = None
    command: str = ""
    known: str = ""


class PageTable(NamedTuple):
    """name: its id on the page. headers: of the columns, as (text, whether its entries are words).

    others: lines in place of these where the reader asks for the other norm.
    """

    name: str
    headers: list[tuple[str, bool]]
    lines: list[list[Entry]]
    others: list[list[Entry]] = []  # noqa: RUF012


def main_table(rows: pl.DataFrame, points: pl.DataFrame, others: pl.DataFrame | None = None) -> PageTable:
    """One line a design point at its last horizon; rows: `rnnmc.report.text.main_rows`, others: of the RMS gain."""
    table = _main(rows, points)
    return table if others is None else table._replace(others=_main(others, points, like=rows).lines)


def _main(rows: pl.DataFrame, points: pl.DataFrame, like: pl.DataFrame | None = None) -> PageTable:
    """like: the rows that decide which columns there are."""
    like = rows if like is None else like
    rare = rare_events(like)
    ends = ["horizon"] if like["horizon"].n_unique() > 1 else []  # a common one stands above all figures
    theory = like["theory_growth_rate"].is_not_null().any()
    headers, names = _named(rows, points)
    written = dict(points.select(pl.col("point").cast(pl.String), "json").iter_rows()) if "json" in points else {}
    numbers = ["replicates", *ends, *(f"P({event})" for event in OUTCOMES), "log-norm: median [5\u00a0%, 95\u00a0%]"]
    numbers += ["growth rate", *(["theory"] if theory else []), *(f"P({event})" for event in rare)]
    lines = []
    for row, named in zip(rows.iter_rows(named=True), names, strict=True):
        said, limits = written.get(row["point"], "{}"), [row[f"threshold_{event}"] for event in OUTER]
        shares = {event: _share(row, event, said, limits) for event in (*OUTCOMES, *rare)}
        line = [*named, Entry("", bar={event: 100 * row[f"p_{event}_at"] for event in OUTCOMES}, known=_known(row))]
        line += [Entry("", command=command(said, row["replicates"], *limits))] if written else []
        line += [_replicates(row), *(Entry(f"{row[end]:,}", row[end]) for end in ends)]
        line += [shares[event] for event in OUTCOMES]
        line += [Entry(log_norm_text(row), row["q50"]), Entry(rate_text(row), row["growth_rate"], most_text(row))]
        if theory:
            line.append(Entry(theory_text(row), row["theory_growth_rate"], _law(row["theory_growth_law"])))
        lines.append([*line, *(shares[event] for event in rare)])
    numbers = [*(["again"] if written else []), *numbers]
    return PageTable("main", [*headers, ("", True), *((text, False) for text in numbers)], lines)


def _known(row: dict) -> str:
    """`replicates dead vanished exploded overflown q05 q25 q50 q75 q95`: counts, and log-norms in nats, in full."""
    counts = [row[f"{event}_at_count"] for event in ("dead", "vanish", "explode", "overflow")]
    return " ".join(map(str, [row["replicates"], *counts, *(row[f"q{percent:02d}"] for percent in PERCENTS)]))


def _share(row: dict, event: str, written: str, limits: list[float]) -> Entry:
    """The probability of an event and, where no replicate has had it, the command that would find it."""
    said = ""
    if event in OUTCOMES and row.get(f"{event}_at_count") == 0:
        found = rare_command(written, event, *limits)
        said = f"none of {row['replicates']:,}{f'; to find it: {found}' if found else ''}"
    return Entry(event_text(row, event), row[f"p_{event}_at"], said)


def _named(rows: pl.DataFrame, points: pl.DataFrame) -> tuple[list[tuple[str, bool]], list[list[Entry]]]:
    """Headers and, for each row, entries that say which design point it is about."""
    factors = varying_factors(points)
    headers = [("cell", True), ("width", False), *((HEADERS[factor], True) for factor in factors)]
    names = []
    for row in rows.iter_rows(named=True):
        values = [row[factor] for factor in factors]
        told = [Entry(value) if isinstance(value, str) else Entry(f"{value:g}", value) for value in values]
        names.append([Entry(row["cell"]), Entry(str(row["width"]), row["width"]), *told])
    return headers, names


def _replicates(row: dict) -> Entry:
    """How many there are, of how many weight draws, and whether their number was chosen by looking."""
    text, number, draws = f"{row['replicates']:,}", row["replicates"], row.get("weight_draws")
    if draws is not None and draws < number:
        text += f" ({draws:,} draws)"
    if row["goal"] is None:
        return Entry(text, number)
    wanted = f"as many as it took {row['goal']}, or all that were allowed"
    return Entry(f"{text} *", number, wanted)


def _law(name: str | None) -> str:
    """A law for the pointer: its name and, where it is one of ours, its formula."""
    law = laws().get(name or "")
    return f"{name}: {law.formula}" if law else name or ""


def first_passages(passages: pl.DataFrame, rows: pl.DataFrame, points: pl.DataFrame) -> PageTable:
    """One line a design point: between which horizons so many per cent have first vanished, and exploded."""
    spectral = passages.filter(pl.col("measure").cast(pl.String) == "log_spectral").with_columns(
        pl.col("point", "event").cast(pl.String)
    )
    found = spectral.rows_by_key(["point", "event", "percent"], named=True, unique=True)
    percents = [percent for percent in (5, 50, 95) if percent in set(spectral["percent"])]
    shown = {"vanish": "vanished", "explode": "exploded"}
    headers, names = _named(rows, points)
    words = {50: "half"}
    headers += [(f"{words.get(q, f'{q} %')} {shown[event]}", False) for event in shown for q in percents]
    lines = []
    for row, named in zip(rows.iter_rows(named=True), names, strict=True):
        line = [found.get((row["point"], event, percent)) for event in shown for percent in percents]
        lines.append([*named, *(_passage(one, row["level"]) for one in line)])
    return PageTable("passages", headers, lines)


def _passage(found: dict | None, level: float) -> Entry:
    if found is None:
        return Entry("-")
    earliest, latest, beyond = found["earliest"], found["latest"], "not by the last horizon"
    if earliest is None:
        sure = beyond
    elif latest is None:
        sure = f"{earliest:,} or later, or {beyond}"
    else:
        sure = f"{earliest:,} to {latest:,}"
    title = f"{100 * level:g} % interval of the later bound: {sure}"
    return Entry(passage_text(found["after"], found["by"]), found["by"], title)


def coverage(table: pl.DataFrame) -> PageTable:
    """One line a law, and one for all of them: how many intervals hold the truth, and how many should."""
    words = ["intervals", "that hold", "expected", "95\u00a0% range", "allowed", "certain", "p-value", "verdict"]
    lines = []
    for row in table.iter_rows(named=True):
        line = [Entry(row["law"], title=_law(row["law"]))]
        line += [Entry(f"{row[name]:,}", row[name]) for name in ("cells", "held")]
        line += [Entry(f"{row['expected']:,.1f}", row["expected"])]
        line += [Entry(f"{row[a]:,} to {row[b]:,}", row[a]) for a, b in (("low", "high"), ("least", "most"))]
        certain = f"{row['certain_held']:,} of {row['certain']:,}" if row["certain"] else "-"
        line += [Entry(certain, row["certain_held"]), Entry(f"{row['p_value']:.2g}", row["p_value"])]
        lines.append([*line, Entry(PASSED if row["passed"] else FAILED)])
    return PageTable("coverage", [("law", True), *((word, False) for word in words)], lines)


def verdicts(table: pl.DataFrame) -> PageTable:
    """One line a claim and part: what it says, and when it holds."""
    shown = {kind: {UNDECIDED: "open"}.get(kind, kind) for kind in ANSWERS if kind in table.columns}
    headers = [("claim", True), ("says", True), ("verdict", True), *((word, False) for word in shown.values())]
    lines = []
    for place, row in enumerate(table.iter_rows(named=True)):
        counts = [Entry(f"{row[kind]:,}", row[kind]) for kind in shown]
        told = [Entry(row["claim"], place, row["states"]), Entry(row["says"]), Entry(verdict_text(row))]
        lines.append([*told, *counts])
    return PageTable("verdicts-table", headers, lines)


def decisions(table: pl.DataFrame) -> PageTable:
    """One line a claim, part and condition, with the estimate, its interval, the rule, and the rows behind it."""
    told = [name for name in CONDITIONS if table[name].n_unique() > 1]
    headers = [
        ("claim", True),
        ("part", True),
        *((HEADERS.get(name, name), table[name].dtype == pl.String) for name in told),
    ]
    headers += [("verdict", True), ("estimate", False), ("bound", False), ("replicates", False)]
    lines = []
    for row in table.iter_rows(named=True):
        interval = f"{row['value']:.4g} [{row['low']:.4g}, {row['high']:.4g}]"
        needed = row["replicates_needed"]
        enough = f"about {needed:,} would decide it" if needed else ""
        line = [Entry(row["claim"], title=row["states"]), Entry(row["part"], title=row["says"])]
        line += [_value(row[name]) for name in told]
        line += [Entry(row["verdict"]), Entry(interval, row["value"], f"{row['quantity']}; {row['rows']}")]
        line += [Entry(f"{row['side']} {row['bound']:.4g}", row["bound"], row["rule"])]
        lines.append([*line, Entry(f"{row['replicates']:,}", row["replicates"], enough)])
    return PageTable("decisions-table", headers, lines)


def _value(value: str | float | None) -> Entry:
    return Entry(number_text(value), value if isinstance(value, int | float) else None)


def first_rows(name: str, table: pl.DataFrame, points: pl.DataFrame) -> PageTable:
    """The first rows of any table of statistics, with the names of its design points."""
    named = with_series(points).select("point", "cell", "width", "series")
    own = table.head(FIRST).drop(*(set(table.columns) & NAMED)).select(pl.exclude(pl.List, pl.Array))
    shown = own.join(named, on="point", maintain_order="left")
    front = "cell", "width", pl.col("series").alias("setting")
    shown = shown.select(*front, pl.exclude("point", "cell", "width", "series"))
    lines = [
        [Entry(number_text(value), value if isinstance(value, int | float) else None) for value in row]
        for row in shown.iter_rows()
    ]
    return PageTable(name, [(column, not kind.is_numeric()) for column, kind in shown.schema.items()], lines)
