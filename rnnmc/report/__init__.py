"""The report of a study: one page that needs nothing but itself, and the figures beside it as SVG and PNG."""

import importlib.metadata
import json
import platform
import re
from pathlib import Path

import jinja2
import polars as pl
import vl_convert
from altair.typing import ChartType

from rnnmc import figures
from rnnmc.report.findings import findings
from rnnmc.store import write_whole
from rnnmc.tables import (
    INTERVAL_NAMES,
    event_text,
    log_norm_text,
    main_rows,
    rare_events,
    rate_text,
    varying_factors,
)

LIBRARIES = ("rnnmc", "torch", "numpy", "scipy", "polars", "pyarrow", "ray", "snakemake", "altair")
HEADERS = {
    "init": "initialiser",
    "drive": "drive",
    "weights": "weights",
    "state_std": "state std",
    "dtype": "dtype",
}


def write_report(directory: Path, study: dict, points: pl.DataFrame, statistics: pl.DataFrame) -> Path:
    """Writes figures/*.svg, figures/*.png and report.html into the study's directory; returns the page's
    path.

    study: the study as it ran (study, seed, replicates, horizons, thresholds; what is missing is left out,
    and `versions`, library -> version, defaults to what is installed now); points: the rows of
    points.parquet; statistics: rows of `rnnmc.statistics.point_statistics`. Every file appears whole or not at
    all, equal input gives equal files, and figures of an earlier run that are not made again are removed. Raises
    ValueError when there is no statistic of any of the points, RunError when a file cannot be written.
    """
    rows = main_rows(statistics, points)
    if rows.is_empty():
        raise ValueError(f"{directory}: no statistics of any of its {points.height} points; run rnnmc statistics first")
    drawn = figures.charts(statistics, points)
    pictures = figures.rendered(drawn)
    page = _page(study | {"study": study.get("study", directory.name)}, points, statistics, rows, drawn)
    folder, path = directory / "figures", directory / "report.html"
    for name, content in pictures.items():
        write_whole(folder / name, content)
    write_whole(path, page.encode())
    for old in [*folder.glob("*.svg"), *folder.glob("*.png")]:
        if old.name not in pictures:
            old.unlink(missing_ok=True)
    return path


def _page(
    study: dict,
    points: pl.DataFrame,
    statistics: pl.DataFrame,
    rows: pl.DataFrame,
    drawn: dict[str, ChartType],
) -> str:
    """The whole page as text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["typeset"] = typeset
    specifications = {name: chart.to_dict(validate=False) for name, chart in drawn.items()}
    titles = {name: specification.pop("title") for name, specification in specifications.items()}
    return environment.get_template("page.html.j2").render(
        study=study["study"],
        findings=findings(rows, statistics),
        facts=_facts(study, points, statistics, rows),
        table=_table(rows, points),
        cells=rows["cell"].unique(maintain_order=True).to_list(),
        titles=titles,
        settings=rows.row(0, named=True),
        interval=INTERVAL_NAMES[rows["interval"][0]],
        outcomes=figures.OUTCOMES,
        vega=vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", figures.VL_VERSION).replace(
            "</script", r"<\/script"
        ),
        specifications=_for_script(specifications),
        # The ink is the colour of the text round about, so that a chart follows the page from light to dark
        # and paper.
        config=_for_script(figures.config("currentColor", background=None)),
    )


def typeset(text: str) -> str:
    """Plain numbers with a true minus, infinity and plus-minus sign; ranges and names keep their hyphens."""
    text = re.sub(r"\binf\b", "\u221e", text.replace(" +- ", " \u00b1 "))
    return re.sub(r"(?<!\w)-(?=[\d\u221e])", "\u2212", text)


def _table(rows: pl.DataFrame, points: pl.DataFrame) -> dict:
    """The main table: its headers, and for each row the cells as (text, number to sort by or None)."""
    factors, rare = varying_factors(points), rare_events(rows)
    ends = ["horizon"] if rows["horizon"].n_unique() > 1 else []  # a common one stands above all figures
    headers = ["cell", "width", *(HEADERS[factor] for factor in factors), "replicates", *ends]
    headers += [*(f"P({event})" for event in figures.OUTCOMES), "log-norm: median [5\u00a0%, 95\u00a0%]", "growth rate"]
    headers += [f"P({event})" for event in rare]
    lines = []
    for row in rows.iter_rows(named=True):
        cells: list[tuple[str, float | None]] = [(row["cell"], None), (str(row["width"]), row["width"])]
        for factor in factors:
            value = row[factor]
            cells.append((str(value), None) if isinstance(value, str) else (f"{value:g}", value))
        cells += [(f"{row[name]:,}", row[name]) for name in ("replicates", *ends)]
        shares = [(event_text(row, event), row[f"p_{event}_at"]) for event in (*figures.OUTCOMES, *rare)]
        cells += [
            *shares[:3],
            (log_norm_text(row), row["q50"]),
            (rate_text(row), row["growth_rate"]),
            *shares[3:],
        ]
        bar = {event: 100 * row[f"p_{event}_at"] for event in figures.OUTCOMES}
        lines.append({"cells": cells, "bar": bar})
    return {"headers": headers, "text": 2 + len(factors), "lines": lines}


def _facts(study: dict, points: pl.DataFrame, statistics: pl.DataFrame, rows: pl.DataFrame) -> list[tuple[str, str]]:
    """What was run, as (term, description)."""
    first = rows.row(0, named=True)
    horizons = sorted(set(statistics["horizon"].to_list()))
    listed = ", ".join(f"{horizon:,}" for horizon in horizons[:40]) + (", ..." if len(horizons) > 40 else "")
    per_point = sorted(set(rows["replicates"].to_list()))
    many = f"{per_point[0]:,}" if len(per_point) == 1 else f"{per_point[0]:,} to {per_point[-1]:,}"
    facts = [("Study", str(study["study"]))]
    seed = study.get("seed", points["seed"][0] if "seed" in points.columns else None)
    if seed is not None:
        facts.append(("Seed", str(seed)))
    facts += [
        (
            "Design points",
            f"{rows.height:,}: {', '.join(rows['cell'].unique(maintain_order=True).to_list())}",
        ),
        ("Widths", ", ".join(str(width) for width in sorted(set(rows["width"].to_list())))),
        *((label, _values(points, name)) for label, name in FACTOR_FACTS.items() if name in points.columns),
        ("Replicates", f"{rows['replicates'].sum():,} in total, {many} a design point"),
        ("Horizons", f"{listed} steps"),
        (
            "Thresholds",
            f"vanish below {first['threshold_vanish']:g}, explode above {first['threshold_explode']:g}",
        ),
        ("Intervals", f"{INTERVAL_NAMES[first['interval']]}, {100 * first['level']:g} %, two-sided, pointwise"),
    ]
    if rows.height < points.height:
        facts.append(("Missing", f"{points.height - rows.height} design points have no statistics yet"))
    versions = study.get("versions") or _installed()
    return [*facts, ("Versions", ", ".join(f"{name} {version}" for name, version in versions.items()))]


FACTOR_FACTS = {
    "Initialisers": "init",
    "Drive": "drive",
    "Weights": "weights",
    "Initial state": "state_std",
    "Arithmetic": "dtype",
    "Kernel": "kernel",
}


def _values(points: pl.DataFrame, name: str) -> str:
    """All values that a factor takes, in the order of the points."""
    values = points[name].unique(maintain_order=True).to_list()
    if name == "state_std":
        return "; ".join("zero" if value == 0 else f"N(0, {value:g}²)" for value in values)
    return "; ".join(str(value) for value in values)


def _installed() -> dict[str, str]:
    """Versions of the libraries behind the numbers, as far as installed; nothing is imported for it."""
    versions = {"Python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _for_script(value: object) -> str:
    """A value as JSON for a script element: no "<" is left in it to end the element."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
