"""The report of a study: one page that needs nothing but itself, and the figures beside it as SVG and PNG."""

import base64
import gzip
import json
import re
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import polars as pl
import vl_convert
from altair.typing import ChartType

from rnnmc.claims import WRONG
from rnnmc.common.files import write_whole
from rnnmc.numerics import trusted
from rnnmc.observables import observables
from rnnmc.report import how_it_ran, page_tables
from rnnmc.report.charts import claims as verdict_charts
from rnnmc.report.charts import overview as figures
from rnnmc.report.charts.parts import VL_VERSION, config
from rnnmc.report.cite import bibtex
from rnnmc.report.facts import facts_of
from rnnmc.report.findings import findings, of_claims, verdict
from rnnmc.report.leads import lead
from rnnmc.report.pictures import picture_of
from rnnmc.report.rendering import drawing
from rnnmc.report.text import interval_names, main_rows, of_its_file, plain_points, study_points
from rnnmc.statistics.analyses import analyses
from rnnmc.statistics.point import PERCENTS
from rnnmc.statistics.rates import GROWTH_ROUNDING
from rnnmc.store.outdated import PAGE_FILE, SO_FAR

OTHER_NORM = "log_rms"  # the norm that the reader may ask for in place of the spectral one
OF_OBSERVABLE = "statistics-"  # what the name of a table starts with that sums up an observable
RARE = f"{OF_OBSERVABLE}rare"  # what populations found
FEW_SENTENCES = 3  # sentences of an analysis that stand among the findings; more stand with it alone
WRITTEN_AS = ("csv", "parquet")  # in which every table is written
SCRIPTS = "scripts"  # of what is kept for this user
UNKEYED = ("oracles", "coverage", "claims", "verdicts")  # tables that are not of one design point a row


def write_report(
    directory: Path,
    study: dict,
    points: pl.DataFrame,
    tables: Mapping[str, pl.DataFrame],
    so_far: tuple[float, int, int] | None = None,
) -> Path:
    """Writes figures/*.svg, figures/*.png and report.html into the study's directory; returns the page's
    path.

    study: the study as it ran (study, seed, replicates, horizons, thresholds; what is missing is left out, and
    `versions`, library -> version, defaults to what is installed now, and to nothing `made`, what manifests say,
    `sampled`, of `rnnmc.store.sampled`, `ran`, of `rnnmc.store.timeline`, and `forecast`, of `rnnmc.run.forecast`);
    points: the rows of points.parquet; tables: name
    -> table, as `rnnmc.run.aggregate` writes them: "statistics" and, where they are there, first-passage, variance,
    statistics-<observable>, those of analyses, oracles and coverage, claims and verdicts.

    so_far: of a study that still runs, the share of its replicates that are there, of how many design points, and how
    many these are in all: the page says so at its head, is so-far/report.html, and goes without figures beside it.

    Every file appears whole or not at all, equal input gives equal files, and figures of an earlier run that are not
    made again are removed. Raises ValueError when there is no statistic of any of the points, RunError when a file
    cannot be written.
    """
    every = study_points(points)
    points = plain_points(every)
    split = tables.get(RARE)
    tables = {name: table if name in UNKEYED else _of(points, table) for name, table in tables.items()}
    rows = main_rows(tables["statistics"], points)
    if rows.is_empty():
        raise ValueError(f"{directory}: no statistics of any of its {points.height} points; run rnnmc statistics first")
    summed = [name for name in sorted(tables) if name.startswith(OF_OBSERVABLE) and not tables[name].is_empty()]
    specifications: dict[str, dict[str, Any]] = {}
    with nullcontext() if so_far is not None else drawing() as pictures:

        def draw(charts: Mapping[str, ChartType]) -> list[str]:
            for name, chart in charts.items():
                specifications[name] = chart.to_dict(validate=False)
                if pictures is not None:
                    pictures.draw(name, specifications[name])
            return list(charts)

        draw(figures.charts(tables["statistics"], points, tables.get("variance")))
        seen = [_observed(name, tables[name], points) for name in summed]
        if split is not None:
            seen.append(_observed(RARE, split, every))
        followed = [_followed(name, tables[name], points) for name in analyses() if name in tables]
        for one in (*seen, *followed):
            one["charts"] = draw(one.pop("drawn"))
        decided = draw(verdict_charts.charts(tables["claims"]) if "claims" in tables else {})
        checks = draw(figures.oracle_charts(tables["oracles"]) if "oracles" in tables else {})
        draw(how_it_ran.charts(study.get("ran", ((), 0))[0]))
        study = study | {"study": study.get("study", directory.name)}
        first = lead(study, rows, every, tables if split is None else tables | {RARE: split})
        sections = {
            "lead": first,
            "observables": seen,
            "analyses": followed,
            "decided": decided,
            "checks": checks,
            "so_far": so_far,
        }
        sections["files"] = [name for name in _files(tables) if (directory / name).exists()]
        page = _page(study, points, tables, rows, specifications, sections).encode()
        files = {} if pictures is None else pictures.files()
    if so_far is not None:
        write_whole(directory / SO_FAR / PAGE_FILE, page)
        return directory / SO_FAR / PAGE_FILE
    folder, path = directory / "figures", directory / PAGE_FILE
    for name, content in files.items():
        write_whole(folder / name, content)
    write_whole(path, page)
    for old in [*folder.glob("*.svg"), *folder.glob("*.png")]:
        if old.name not in files:
            old.unlink(missing_ok=True)
    return path


def _files(tables: Mapping[str, pl.DataFrame]) -> list[str]:
    """What the folder of a study may hold beside the page, what is read first at the head."""
    of_tables = [
        f"{name}.{kind}" for name in ("statistics", *sorted(set(tables) - {"statistics"})) for kind in WRITTEN_AS
    ]
    return ["README.md", "study.yaml", "dictionary.csv", "points.csv", "points.parquet", *of_tables]


def _of(points: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """The rows of these points."""
    keys = points.select(pl.col("point").cast(pl.String))
    return table.with_columns(pl.col("point").cast(pl.String)).join(keys, on="point", how="semi", maintain_order="left")


def _observed(table_name: str, table: pl.DataFrame, points: pl.DataFrame) -> dict[str, Any]:
    """What the page says of one observable: its figures or, where it has none, the first rows of its table."""
    name = table_name.removeprefix(OF_OBSERVABLE)
    kind, picture = observables().get(name), picture_of(name)
    charts = picture.charts(table, points) if picture else {}
    # Beside the names of other figures.
    drawn = {key if key.startswith(name) else f"{name}-{key}": chart for key, chart in charts.items()}
    return {
        "name": name,
        "formula": kind.formula if kind else "",
        "sentence": re.split(r"(?<=\.)\s", (kind.__doc__ or "").strip())[0].replace("`", "") if kind else "",
        "drawn": drawn,
        "rows": table.height,
        "table": None if drawn else page_tables.first_rows(f"table-{name}", table, points),
    }


def _followed(name: str, table: pl.DataFrame, points: pl.DataFrame) -> dict[str, Any]:
    """What the page says of one analysis: its figures, and the first rows of its table."""
    analysis, picture = analyses()[name], picture_of(name)
    charts = picture.charts(table, points) if picture else {}
    shown = page_tables.first_rows(f"table-{name}", table, points)
    return {
        "name": name,
        "says": analysis.says,
        "found": analysis.found(table),
        "drawn": charts,
        "rows": table.height,
        "table": shown,
    }


def _page(
    study: dict,
    points: pl.DataFrame,
    tables: Mapping[str, pl.DataFrame],
    rows: pl.DataFrame,
    specifications: dict[str, dict[str, Any]],
    sections: dict[str, Any],
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
    titles = {name: _title(name, said.get("title", {})) for name, said in specifications.items()}
    untitled = {name: {key: said[key] for key in said if key != "title"} for name, said in specifications.items()}
    passages, coverage = tables.get("first-passage"), tables.get("coverage")
    checked = verdict(coverage) if coverage is not None else None
    measures = set(tables["statistics"]["measure"].cast(pl.String))
    others = main_rows(tables["statistics"], points, OTHER_NORM) if OTHER_NORM in measures else None
    statistics = tables["statistics"]
    general = findings(rows, statistics)
    seen = study.get("sampled") or {}
    return environment.get_template("page.html.j2").render(
        study=study["study"],
        of_its_file=of_its_file(study),
        findings=[
            *([of_claims(tables["verdicts"])] if "verdicts" in tables else []),
            general[0],
            *(
                sentence
                for one in sections["analyses"]
                if len(one["found"]) <= FEW_SENTENCES
                for sentence in one["found"]
            ),
            *general[1:],
            *([checked.sentence] if checked and checked.passed else []),
        ],
        verdict=checked.sentence if checked else "",
        failed=checked is not None and not checked.passed,
        facts=facts_of(study, points, statistics, rows),
        networks=rows["replicates"].sum(),
        table=page_tables.main_table(rows, points, others),
        verdicts=page_tables.verdicts(tables["verdicts"]) if "verdicts" in tables else None,
        decisions=page_tables.decisions(tables["claims"]) if "claims" in tables else None,
        passages=None if passages is None else page_tables.first_passages(passages, rows, points),
        coverage=None if coverage is None else page_tables.coverage(coverage),
        cells=rows["cell"].unique(maintain_order=True).to_list(),
        titles=titles,
        settings=rows.row(0, named=True),
        thresholds=[repr(rows[f"threshold_{event}"][0]).removesuffix(".0") for event in page_tables.OUTER],
        percents=list(PERCENTS),
        interval=interval_names(rows),
        sequences=(rows["interval"] == "confidence-sequence").any(),
        fixed=(rows["interval"] != "confidence-sequence").any(),
        stopped=rows["goal"].is_not_null().any(),
        banded=rows["p_vanish_at_band_low"].is_not_null().any(),
        shared="weight_draws" in rows.columns and (rows["weight_draws"] < rows["replicates"]).any(),
        medians=rows["growth_median"].is_not_null().any(),
        theory=rows["theory_growth_rate"].is_not_null().any() or rows["theory_law"].is_not_null().any(),
        rounding=GROWTH_ROUNDING,
        wrong=WRONG,
        others=sorted(name for name in tables if name != "statistics"),
        outcomes=figures.OUTCOMES,
        few=FEW_SENTENCES,
        citation=bibtex(points, tables, ", ".join(seen.get("commit", []))) if "json" in points.columns else "",
        vega=_vega(),
        specifications=_packed(json.dumps(untitled, allow_nan=False, separators=(",", ":"))),
        # The ink is the colour of the text round about, so that a chart follows the page from light to dark
        # and paper.
        config=_for_script(config("currentColor", background=None)),
        **sections,
    )


def _title(name: str, title: str | dict) -> dict[str, str]:
    """A chart's title and the one or more lines below it as plain text."""
    said = {"text": title} if isinstance(title, str) else title
    lines = {
        key: value if isinstance(value, str) else " ".join(value) for key, value in said.items() if key != "anchor"
    }
    return {"text": lines.get("text", name), "subtitle": lines.get("subtitle", "")}


def typeset(text: str) -> str:
    """Plain numbers with a true minus, infinity and plus-minus sign; ranges and names keep their hyphens."""
    text = re.sub(r"\binf\b", "\u221e", text.replace(" +- ", " \u00b1 "))
    return re.sub(r"(?<!\w)-(?=[\d\u221e])", "\u2212", text)


def _vega() -> str:
    """The scripts that draw the charts, packed: the same for every page of one release, and seconds to put together."""
    name = f"vega-{version('vl-convert-python')}-{VL_VERSION}.txt"
    if path := trusted.found(SCRIPTS, name):
        return trusted.content(path).decode()
    script = _packed(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", VL_VERSION))
    with suppress(OSError):
        trusted.keep(SCRIPTS, name, script.encode())
    return script


def _packed(text: str) -> str:
    """For a script element whose content the page unpacks when the first chart is looked at: a third of the size."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _for_script(value: object) -> str:
    """A value as JSON for a script element: no "<" is left in it to end the element."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
