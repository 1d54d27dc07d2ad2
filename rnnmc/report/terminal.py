"""Tables for the terminal, and how they are printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from rich import box
from rich.table import Table
from rich.text import Text

from rnnmc.claims import verdict_text
from rnnmc.common.checks import CheckResult
from rnnmc.common.errors import UsageError, first_line
from rnnmc.common.words import listed, number_of
from rnnmc.report.printing import WordsTable, console, printed
from rnnmc.report.telling import sentences, telling, telling_events
from rnnmc.report.text import (
    MEASURE_NAMES,
    complete,
    event_text,
    horizon_text,
    interval_names,
    labels,
    log_norm_text,
    main_rows,
    most_text,
    nats_text,
    number_text,
    of_its_file,
    plain_points,
    points_of,
    rare_events,
    rate_text,
    share_text,
    split_events,
    study_points,
    theory_text,
    varying_factors,
)
from rnnmc.statistics.oracles import passed
from rnnmc.statistics.rare import plain_rows
from rnnmc.store.outdated import checked_tables
from rnnmc.store.plan import study_said
from rnnmc.store.reading import planned_points
from rnnmc.store.tables import read_table
from rnnmc.study.options import in_rows

SHOWN = ("statistics-rare", "coverage", "verdicts")  # tables beside the main one
SHARES = ("vanish", "stable", "explode")
LONG_NAME = 20  # of a cell, which is broken where there is no room
NEAREST = 5  # horizons, named where one is asked for that is none
ROOM_FOR_DOUBTS = 120  # columns, from which on sentences have room beside numbers
MOST_WIDTH = 1000  # columns, of a table that is not cut


def show(directory: Path, every: bool = False, horizon: int | None = None) -> None:
    """Print the main table of a study folder and where its page is: the last words of a run.

    Of many design points what each cell does, and those between which it changes; every: all of them. horizon: at which
    to look, in steps, in place of the last. Raises UsageError where there are no statistics.
    """
    there = checked_tables(directory)
    points = study_points(planned_points(directory))
    rows = main_rows(_statistics(directory, horizon), plain_points(points))
    few = rows if every else telling(rows, plain_points(points))
    if few.height < rows.height:
        printed(*(Text(sentence) for sentence in sentences(rows)))
    if not few.is_empty():
        printed(fitting([table(few, horizon is None) for table in (main_table, narrow_table)]))
    if "statistics-rare" in there and horizon is None:
        _show_rare(read_table(directory / "statistics-rare.parquet"), points, directory, every)
    for name, table in (("coverage", coverage_table), ("verdicts", verdicts_table)):
        if name in there and horizon is None:
            printed(table(read_table(directory / f"{name}.parquet")))
    if few.height < rows.height:
        alike = "one of each cell" if few["cell"].is_unique().all() else "neighbours that do not do the same"
        shown = f"{few.height} of {rows.height} design points are shown, {alike}"
        at = "" if horizon is None else f" --horizon {horizon}"
        printed(Text(f"{shown}; all of them: rnnmc show {directory} --all{at}"))
    if than := of_its_file(study_said(directory)):
        printed(Text(than))
    print(directory / "report.html")


def study_document(directory: Path, horizon: int | None = None) -> dict[str, Any]:
    """What `show` tells, of every design point, for programs: the rows of each table. Raises as it does."""
    there = checked_tables(directory)
    rows = main_rows(_statistics(directory, horizon), plain_points(study_points(planned_points(directory))))
    more = {name: read_table(directory / f"{name}.parquet") for name in SHOWN if name in there}
    tables = {"statistics": rows} | more
    return {"page": str(directory / "report.html")} | {name: in_rows(table) for name, table in tables.items()}


def _statistics(directory: Path, horizon: int | None = None) -> pl.DataFrame:
    """Of replicates, at all horizons or at one. Raises UsageError where there are none that can be read."""
    try:
        rows = plain_rows(read_table(directory / "statistics.parquet"))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UsageError(
            f"{directory}: has no statistics that can be read ({first_line(error)}); while it is sampled, "
            f"rnnmc report {directory} --so-far has what is there; once it is, rnnmc statistics {directory} counts it"
        ) from None
    found = rows if horizon is None else rows.filter(pl.col("horizon") == horizon)
    if found.is_empty() and not rows.is_empty():
        known = rows["horizon"].unique().sort()
        near = known.gather((known - horizon).abs().arg_sort().head(NEAREST).sort()).to_list()
        raise UsageError(
            f"--horizon: {horizon} is no horizon of {directory}; the nearest are {listed([str(one) for one in near])}"
        )
    return found


def plain_table(*headers: str) -> Table:
    """A table without lines."""
    return WordsTable(*headers, box=None, header_style="bold", padding=(0, 2, 0, 0))


def described_table(title: str, rows: Mapping[str, Mapping[str, str]]) -> Table:
    """What there is of a kind: name -> header -> text."""
    table = plain_table(title, *next(iter(rows.values())))
    for name, said in rows.items():
        table.add_row(name, *said.values())
    return table


def checks_table(results: Iterable[CheckResult]) -> Table:
    """The results of the checks of one thing."""
    table = plain_table("check", "result", "error", "allowed", "meaning")
    for one in results:
        verdict = "passed" if one.passed else "FAILED"
        table.add_row(one.name, verdict, f"{one.worst_error:.1e}", f"{one.tolerance:.0e}", one.meaning)
    return table


def fitting(tables: Sequence[Table]) -> Table:
    """The first of the tables that has room on the terminal without breaking a line, or else the last."""
    shown = console()
    whole = shown.options.update(width=MOST_WIDTH)
    return next((one for one in tables if shown.measure(one, options=whole).maximum <= shown.width), tables[-1])


def narrow_table(rows: pl.DataFrame, last: bool = True) -> Table:
    """`main_table` for a terminal of 80 columns: one reach of all intervals, and series that may take several lines."""
    table = _table(_main_title(rows, last), _narrow_caption(rows), gap=0)
    table.add_column("cell", no_wrap=max(rows["cell"].str.len_chars().to_list()) <= LONG_NAME)
    table.add_column("width", justify="right", no_wrap=True)
    table.add_column("setting")
    for header in (*SHARES, "+-", "median"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows.iter_rows(named=True):
        names = [row["cell"], str(row["width"]), row["series"]]
        table.add_row(*names, *_shares_and_reach(row), nats_text(row["q50"]))
    return table


def _shares_and_reach(row: dict) -> list[str]:
    """How many vanish, are stable, explode, and how far the farthest end of their intervals is."""
    ends = [abs(row[f"p_{event}_at_{end}"] - row[f"p_{event}_at"]) for event in SHARES for end in ("low", "high")]
    return [*(share_text(row[f"p_{event}_at"]) for event in SHARES), f"{max(ends):.3f}"]


def _narrow_caption(rows: pl.DataFrame) -> str:
    return _caption(rows).replace("brackets:", "+-: to the far end of the widest")


def _main_title(rows: pl.DataFrame, last: bool) -> str:
    at = f"the last horizon ({horizon_text(rows)})" if last else horizon_text(rows)
    return f"At {at}: spectral norm"


def main_table(rows: pl.DataFrame, last: bool = True) -> Table:
    """The main table of a study for the terminal, one row a point at one horizon (spectral norm).

    rows: `rnnmc.report.text.main_rows`. last: whether that is the last of each.
    """
    rare = rare_events(rows)
    table = _table(_main_title(rows, last), _caption(rows))
    table.add_column("cell")
    table.add_column("width", justify="right", no_wrap=True)
    table.add_column("setting")
    # No least widths: where they do not fit, rich would cut the columns at the right off.
    _add_numbers(table, ["N", "P(vanish)", "P(stable)", "P(explode)", *(f"P({event})" for event in rare)])
    _add_numbers(table, ["median [5 %, 95 %]"])
    previous = None
    for row in rows.iter_rows(named=True):
        if previous not in (None, row["cell"]):
            table.add_section()
        previous = row["cell"]
        names = [row["cell"], str(row["width"]), row["series"], f"{row['replicates']:,}"]
        shares = [_narrow(event_text(row, event)) for event in SHARES]
        shares += [share_text(row[f"p_{event}_at"]) for event in rare]
        table.add_row(*names, *shares, _narrow(log_norm_text(row)))
    return table


def rare_table(statistics: pl.DataFrame, title: str, between: bool = False) -> Table:
    """The probability of a rare event at every level of its populations; the last row is the event. between: two
    thresholds, of an event that is no norm beyond one.
    """
    last = statistics.row(-1, named=True)
    size = f"{last['populations']} populations of {last['particles']:,}, {last['evaluations']:,} chains"
    doubt = f"DO NOT TRUST: {last['doubt']}" if last["doubt"] else "nothing speaks against it"
    inside = "; inside: how far between the thresholds, as a factor to the nearer, 1 at it" if between else ""
    table = _table(title, f"{size}; {doubt}{inside}", gap=0)
    told = ("P", "95 %", "error", "taken", "alike", "ancestors", "family")
    _add_numbers(table, ["inside" if between else "norm", *told])
    for row in statistics.filter(pl.col("level").is_not_null()).iter_rows(named=True):
        interval = "-" if row["p_low"] is None else f"[{row['p_low']:.2g},{row['p_high']:.2g}]"
        error = "-" if row["relative_error"] is None else f"{100 * row['relative_error']:.0f} %"
        rest = [row[name] for name in ("acceptance", "alike", "ancestors", "family")]
        numbers = ["-" if one is None else f"{one:.3g}" for one in rest]
        table.add_row(f"{row['threshold']:.3g}", f"{row['p']:.3g}", interval, error, *numbers)
    return table


def _show_rare(rare: pl.DataFrame, points: pl.DataFrame, directory: Path, every: bool) -> None:
    rows = rare_rows(rare, points)
    few = rows if every else telling_events(rows)
    wide = console().width >= ROOM_FOR_DOUBTS
    printed(*(rare_events_table(own, wide) for own in few.partition_by("event", maintain_order=True)))
    if few.height < rows.height:
        shown = f"{few.height} of {rows.height} rare events are shown, at the longest horizon where nothing speaks"
        printed(Text(f"{shown} against the estimate; all of them: rnnmc show {directory} --all"))


def rare_rows(rare: pl.DataFrame, points: pl.DataFrame) -> pl.DataFrame:
    """The last row of each design point that was split for a rare event, with event, cell, width and setting."""
    own = points_of(rare, points)
    factors = [name for name in varying_factors(own) if name != "horizon"]
    named = own.select(
        pl.col("point").cast(pl.String),
        "cell",
        "width",
        event=pl.Series(split_events(own), dtype=pl.String),
        setting=pl.Series(labels(own, factors), dtype=pl.String),
    )
    last = rare.with_columns(pl.col("point").cast(pl.String)).group_by("point", maintain_order=True).last()
    return last.join(named, on="point", maintain_order="left")


def rare_events_table(rows: pl.DataFrame, wide: bool) -> Table:
    """The probabilities of one rare event, a row each; P is "-" where populations gave up before it.

    rows: of `rare_rows`. wide: with room for why not to trust an estimate, in place of a mark on it.
    """
    event, doubted = rows["event"][0], bool((rows["doubt"] != "").any())
    norms = [] if event.startswith("stable") else rows["threshold"].unique().to_list()  # between two, of stable
    at = f", norm {norms[0]:g}" if len(norms) == 1 else ""
    mark = "" if wide or not doubted else "; ?: in doubt, -: not found, and why: --json or statistics-rare.csv"
    table = _table(f"P({event} T){at}", f"brackets: 95 % lognormal interval over populations{mark}", gap=0)
    table.add_column("cell")
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column("setting")
    for header in ("T", *["norm"] * (len(norms) > 1), "P", "95 %"):
        table.add_column(header, justify="right", no_wrap=True)
    if doubted and wide:
        table.add_column("doubt")
    for row in rows.iter_rows(named=True):
        interval = "-" if row["p_low"] is None else f"[{row['p_low']:.2g},{row['p_high']:.2g}]"
        names = [row["cell"], str(row["width"]), row["setting"], f"{row['horizon']:,}"]
        norm = [f"{row['threshold']:.3g}"] * (len(norms) > 1)
        probability = (f"{row['p']:.3g}" + "?" * bool(row["doubt"] and not wide)) if row["reached"] else "-"
        table.add_row(*names, *norm, probability, interval, *[row["doubt"]] * (doubted and wide))
    return table


def horizon_table(statistics: pl.DataFrame, title: str, measure: str = "log_spectral", narrow: bool = False) -> Table:
    """The statistics of one point for the terminal, one row a horizon.

    measure: "log_spectral" or "log_rms". narrow: for 80 columns, with one reach of all intervals. Raises ValueError for
    statistics of several points.
    """
    rows = statistics.filter(pl.col("measure").cast(pl.String) == measure).sort("horizon")
    if rows["point"].n_unique() != 1:
        raise ValueError(f"horizon_table: statistics of {rows['point'].n_unique()} points; give those of one")
    rare = rare_events(rows)
    last = complete(rows).row(-1, named=True)
    unit = "" if last["growth_rate"] is None else " nats a step"
    growth = f"growth rate over the last decade: {told}{unit}" if (told := rate_text(last)) != "-" else ""
    most = most_text(last)
    most = "" if most in growth else most
    theory = f"its theory: {theory_text(last)}" if growth and last["theory_growth_rate"] is not None else ""
    caption = _narrow_caption(rows) if narrow else _caption(rows)
    said = [f"{MEASURE_NAMES[measure]}, {rows['replicates'][0]:,} replicates", caption, growth, most, theory]
    table = _table(title, "; ".join(text for text in said if text))
    _add_numbers(table, ["horizon"])
    if narrow:
        _add_numbers(table, [*SHARES, "+-", *rare, "median", "5 %", "95 %"])
        for row in rows.iter_rows(named=True):
            shares = [*_shares_and_reach(row), *(share_text(row[f"p_{event}_at"]) for event in rare)]
            norms = [nats_text(row[name]) for name in ("q50", "q05", "q95")]
            table.add_row(f"{row['horizon']:,}", *shares, *norms)
        return table
    _add_numbers(table, ["P(vanish)", "P(stable)", "P(explode)", *rare, "median [5 %, 95 %]"])
    for row in rows.iter_rows(named=True):
        shares = [_narrow(event_text(row, event)) for event in SHARES]
        shares += [share_text(row[f"p_{event}_at"]) for event in rare]
        table.add_row(f"{row['horizon']:,}", *shares, _narrow(log_norm_text(row)))
    return table


def coverage_table(coverage: pl.DataFrame) -> Table:
    """Whether the study meets the exact laws of its design points, for the terminal:
    `rnnmc.statistics.oracles.coverage`.
    """
    good = passed(coverage)
    verdict = "every exact law is met" if good else "NOT EVERY EXACT LAW IS MET: do not trust these numbers"
    table = _table(f"Self-validation: {verdict}", "held: intervals that hold the truth; range: where 95 % of such lie")
    table.add_column("law")
    _add_numbers(table, ["cells", "held", "expected", "range", "certain", "p-value", ""])
    for row in coverage.iter_rows(named=True):
        sure = f"{row['certain_held']} of {row['certain']}" if row["certain"] else "-"
        held = [f"{row['cells']}", f"{row['held']}", f"{row['expected']:.1f}", f"{row['low']} to {row['high']}"]
        shown = [*held, sure, f"{row['p_value']:.2g}"] if row["cells"] else ["-", "-", "-", "-", sure, "-"]
        table.add_row(row["law"], *shown, "passed" if row["passed"] else "FAILED")
    return table


def verdicts_table(verdicts: pl.DataFrame) -> Table:
    """What became of the article's claims, for the terminal: `rnnmc.claims.verdicts`."""
    table = _table("The article's claims", "claims.csv has every question with its estimate, interval and rule")
    for word in ("claim", "", "verdict"):
        table.add_column(word)
    for row in verdicts.iter_rows(named=True):
        table.add_row(row["claim"], row["says"], verdict_text(row))
    return table


def frame_table(frame: pl.DataFrame, title: str, rows: int = 60) -> Table:
    """Any table of statistics of one design point for the terminal: its first `rows` rows, as many columns as fit.

    What is the same in all rows stands below. Numbers to four significant digits; a dash where there is none.
    """
    shown = frame.drop("point", strict=False).select(pl.exclude(pl.List, pl.Array))
    words = [name for name, kind in shown.schema.items() if kind == pl.String or name in ("replicates", "finite")]
    constant = [name for name in words if shown.height > 1 and shown[name].n_unique() == 1]
    told = [f"{name} {number_text(shown[name][0])}" for name in constant if shown[name][0] is not None]
    told = [", ".join(told)] if told else []
    told += [f"the first {rows} of {frame.height} rows"] if frame.height > rows else []
    shown = _median_first(shown.drop(constant).head(rows))
    return fitting([_framed(shown, title, told, columns) for columns in range(shown.width, 0, -1)])


def _median_first(shown: pl.DataFrame) -> pl.DataFrame:
    """Median and reach before other numbers, which are left out first where there is no room."""
    numbers = [name for name in ("mean", "q05", "q50") if name in shown.columns]
    if "q50" not in numbers:
        return shown
    at = min(map(shown.columns.index, numbers))
    first = [*shown.columns[:at], *(name for name in ("q50", "q05", "q95") if name in shown.columns)]
    return shown.select(*first, pl.exclude(first))


def _framed(shown: pl.DataFrame, title: str, told: list[str], columns: int) -> Table:
    """The first so many columns as a table."""
    left_out = shown.columns[columns:]
    count = number_of(len(left_out), "more column", "more columns")
    more = [f"--json has {count}, {' to '.join(dict.fromkeys([left_out[0], left_out[-1]]))}"] if left_out else []
    table = _table(title, "; ".join([*told, *more]))
    shown = shown[:, :columns]
    for name, kind in shown.schema.items():
        table.add_column(name, justify="right" if kind.is_numeric() else "left", no_wrap=True)
    for row in shown.iter_rows():
        table.add_row(*(number_text(value) for value in row))
    return table


def _table(title: str, caption: str, gap: int = 1) -> Table:
    return WordsTable(
        title=title,
        caption=caption,
        caption_justify="left",
        title_style="bold",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, gap, 0, 0),
    )


def _add_numbers(table: Table, headers: Iterable[str], min_width: int | None = None) -> None:
    for header in headers:
        table.add_column(header, justify="right", min_width=min_width)


def _narrow(text: str) -> str:
    """An interval without a space inside, so that a narrow terminal breaks the line before it."""
    return text.replace(", ", ",")


def _caption(rows: pl.DataFrame) -> str:
    """What the numbers of a table mean, in one line."""
    row = rows.row(0, named=True)
    return (
        f"vanish: norm below {row['threshold_vanish']:g}; explode: above {row['threshold_explode']:g}; "
        f"brackets: {100 * row['level']:g} % {interval_names(rows)} interval; log-norm in nats"
    )
