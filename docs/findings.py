"""Write docs/findings.md from docs/findings.md.j2 and the results of the studies behind it (make findings).

No number of the page is typed: the template asks for it by study, design point and column, and gets it with its
interval and a note that names the row of the table where it stands. A section that rests on one study of its own is
docs/findings/NAME.md.j2: `make findings SECTION=NAME` writes it anew and leaves the rest of the page as it is.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

import jinja2
import polars as pl

import rnnmc
from rnnmc.claims import CONDITIONS, EMPTY, FAILS, HOLDS, ONLY_WHEN, UNDECIDED, WRONG, verdict_text
from rnnmc.report.text import event_text, lifetime_text, nats_text
from rnnmc.statistics.analyses.against_theory import APART
from rnnmc.study.study import load_study

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from covering import gated_onset as exact_onset  # noqa: E402

PAGE, FIGURES, RESULTS = ROOT / "docs" / "findings.md", ROOT / "docs" / "findings", ROOT / "results"
AGAIN = "article-7888"  # the claims with another seed, where that has been run
FACTORS = ("cell", "width", "layers", "residual", "init", "drive", "m", "weights", "state_std")
SPECTRAL = "log_spectral"
ENDS = ("onset", "low", "high")
ROUNDING = 1e-6  # nats a step, of a rate in single precision


class NotRun(SystemExit):
    """The results that a template asks for are not there."""


class Results:
    """The tables of the studies, as a template asks for them; every number that it gives leaves a note.

    section: whose notes they are; "" is the page itself.
    """

    def __init__(self, folder: Path, section: str = ""):
        self.folder = folder
        self.mark = f"{section}-" if section else ""
        self.known: dict[tuple[str, str], pl.DataFrame] = {}
        self.notes: dict[str, int] = {}
        self.figures: set[Path] = set()

    def table(self, study: str, name: str) -> pl.DataFrame:
        """A table with the factors of its design points. Raises NotRun where the study has not been run."""
        if (study, name) not in self.known:
            path = self.folder / study / f"{name}.parquet"
            if not path.exists():
                raise NotRun(f"{path}: is not there; run make study CONFIG=config/{study}.yaml first")
            table = pl.read_parquet(path)
            if "point" in table.columns and name != "points":
                points = self.table(study, "points")
                kept = [name for name in FACTORS if name in points.columns and name not in table.columns]
                points = points.select("point", *kept)
                table = table.with_columns(pl.col("point").cast(pl.String))
                table = table.join(points, on="point", maintain_order="left")
            self.known[study, name] = table
        return self.known[study, name]

    def rows(self, study: str, name: str, **where: Any) -> list[dict[str, Any]]:
        """The rows of a table with these values."""
        table = self.table(study, name)
        if name == "statistics":
            where = {"measure": SPECTRAL} | where
        for column, value in where.items():
            kept = pl.col(column).cast(pl.String) if isinstance(value, str) else pl.col(column)
            table = table.filter(kept.is_in(value) if isinstance(value, list) else kept == value)
        return table.to_dicts()

    def row(self, study: str, name: str, **where: Any) -> dict[str, Any]:
        """The one row with these values. Raises SystemExit where there is none, or more."""
        found = self.rows(study, name, **where)
        if len(found) != 1:
            sys.exit(f"docs/findings.md.j2: {study}, {name}, {where}: {len(found)} rows, not one")
        return found[0]

    def note(self, study: str, name: str, column: str, row: dict[str, Any]) -> str:
        """A mark that leads to where a number stands."""
        keys = ("point", "horizon", "percent", "mode", "claim", "part", "path", "term", "loss", "lag", "quantity")
        said = ", ".join(f"{key} {row[key]}" for key in keys if row.get(key) is not None)
        text = f"`results/{study}/{name}.csv`, {said}: `{column}`"
        return f"[^{self.mark}{self.notes.setdefault(text, len(self.notes) + 1)}]"

    def p(self, study: str, event: str, horizon: int, mode: str = "at", **where: Any) -> str:
        """`0.734 [0.720, 0.747]`: the share of networks with an event at a horizon, or by it."""
        row = self.row(study, "statistics", horizon=horizon, **where)
        return event_text(row, event, mode) + self.note(study, "statistics", f"p_{event}_{mode}", row)

    def rate(self, study: str, horizon: int, **where: Any) -> str:
        """`-0.440 ± 0.001`: a growth rate in nats a step with its standard error."""
        row = self.row(study, "statistics", horizon=horizon, **where)
        text = error_text(row["growth_rate"], row["growth_rate_error"])
        return text + self.note(study, "statistics", "growth_rate", row)

    def value(self, study: str, name: str, column: str, error: str = "", **where: Any) -> str:
        """A number of any table, with the column of its standard error where it has one."""
        row = self.row(study, name, **where)
        number = row[column]
        plain = f"{number:,}" if isinstance(number, int) else nats_text(number)
        return (error_text(number, row[error]) if error else plain) + self.note(study, name, column, row)

    def onset(self, study: str, **where: Any) -> str:
        """`1.99 [1.97, 2.01]`: the gain at which the growth rate turns positive."""
        row = self.row(study, "onset", **where)
        return onset_text(row) + self.note(study, "onset", "onset", row)

    def exponent(self, study: str, horizon: int, mode: str = "at", **where: Any) -> str:
        """`0.51 [0.48, 0.54]`: how steeply P(stable) falls over the decade that ends with a horizon."""
        row = self.row(study, "decay", horizon=horizon, mode=mode, **where)
        return exponent_text([row]) + self.note(study, "decay", "exponent", row)

    def lasts(self, study: str, percent: int, **where: Any) -> str:
        """`18` or `(18, 24]`: by which step so many per cent have left the thresholds, whichever way."""
        row = self.row(study, "lifetime", percent=percent, **where)
        last = self.row(study, "points", point=row["point"])["horizon"]
        return steps_text(row, last) + self.note(study, "lifetime", "by", row)

    def rare(self, study: str, event: str, horizon: int, above: float | None = None, **where: Any) -> str:
        """`3.4e-6 [3.0e-6, 3.8e-6]`: the probability of a rare event at a horizon, by populations.

        above: a norm on the way to that of the event, a power of ten, to be above instead.
        """
        points = self.rows(study, "points", horizon=horizon, **where)
        said = {row["point"]: (json.loads(row["json"]).get("splitting") or {}).get("event") for row in points}
        found = [point for point, name in said.items() if name == event]
        if not found:
            return "-"
        rows = self.rows(study, "statistics-rare", point=str(found[0]))
        row = max(rows, key=lambda row: row["score"])
        if above and row["threshold"] > above:  # else populations gave up before it
            (row,) = (one for one in rows if math.isclose(one["threshold"], above, rel_tol=1e-9))
        return rare_text(row) + self.note(study, "statistics-rare", "p", row)

    def against_theory(self, *studies: str) -> list[dict[str, Any]]:
        """The rows of against-theory of some studies, each with its `study`."""
        return [row | {"study": study} for study in studies for row in self.rows(study, "against-theory")]

    def sources(self) -> dict[str, str]:
        """Mark -> note, in the order of their numbers."""
        return {f"{self.mark}{number}": note for note, number in self.notes.items()}

    def figure(self, study: str, name: str, words: str) -> str:
        """An image of the page, copied from the study's figures."""
        source = self.folder / study / "figures" / f"{name}.svg"
        if not source.exists():
            raise NotRun(f"{source}: is not there; run rnnmc report results/{study} first")
        target = FIGURES / f"{study}-{name}.svg"
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(source, target)
        self.figures.add(target)
        return f"![{words}](findings/{target.name})"

    def said(self, study: str) -> dict[str, Any]:
        """How a study was run: points, of how many in its file, replicates, seed, core minutes, what made shards."""
        import pyarrow.parquet as pq

        points, seconds, commits = self.table(study, "points"), 0.0, set()
        planned = set(points["point"].cast(pl.String))  # not what an earlier form of the study has left
        for path in sorted((self.folder / study).glob("samples/**/*.parquet")):
            if path.parent.name not in planned:
                continue
            facts = json.loads((pq.read_metadata(path).metadata or {})[b"rnnmc"])
            seconds += facts.get("cpu_seconds", facts["wall_seconds"])
            commits.add(str(facts["commit"])[:12])
        config, sampled = ROOT / "config" / f"{study}.yaml", points["replicates"].sum()
        asked = {one.point.key: one.replicates for one in load_study(config).points} if config.exists() else {}
        whole = sum(asked.get(key, 0) for key in points["point"].cast(pl.String)) or sampled
        scale = round(sampled / whole, 2)
        return {
            "scale": scale,
            "command": f"make study CONFIG=config/{study}.yaml" + ("" if scale == 1 else f" SCALE={scale:g}"),
            "points": points.height,
            "of": len(asked),
            "replicates": sampled,
            "seed": points["seed"][0],
            "core_minutes": round(seconds / 60),
            "commits": ", ".join(sorted(commits)),
            "version": rnnmc.__version__,
        }

    def compared(self, study: str, other: str) -> dict[str, int]:
        """How the answers of two runs of a study's questions agree: asked in both, same, opposite, and open in one."""
        asked = ["claim", "part", *CONDITIONS]
        first, second = (self.table(name, "claims").select(*asked, "verdict") for name in (study, other))
        both = first.join(second, on=asked, nulls_equal=True, suffix="_again")
        same = both.filter(pl.col("verdict") == pl.col("verdict_again")).height
        decided = both.filter(pl.all_horizontal(pl.col("verdict", "verdict_again").is_in((HOLDS, FAILS))))
        opposite = decided.filter(pl.col("verdict") != pl.col("verdict_again")).height
        return {"asked": both.height, "same": same, "opposite": opposite, "open": both.height - same - opposite}


def counted(verdicts: list[dict[str, Any]]) -> str:
    """`9 hold, 2 fail, 25 hold under some conditions alone and 3 are undecided`: how many statements came to what."""
    words = {HOLDS: "hold", FAILS: "fail", ONLY_WHEN: "hold under some conditions alone", UNDECIDED: "are undecided"}
    words |= {EMPTY: "have nothing to see in them"}
    said = {word: sum(row["verdict"] == verdict for row in verdicts) for verdict, word in words.items()}
    *most, last = [f"{number} {word}" for word, number in said.items() if number]
    return f"{', '.join(most)} and {last}" if most else last


def inside(fits: list[dict[str, Any]]) -> int:
    """Of how many rows of finite-width the interval of the limit holds the theory."""
    return sum(fit["limit_low"] <= fit["theory"] <= fit["limit_high"] for fit in fits)


def furthest(fits: list[dict[str, Any]]) -> float:
    """The largest distance between limit and theory of rows of finite-width, nats a step."""
    return max(abs(fit["limit"] - fit["theory"]) for fit in fits)


def extrapolated(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Networks that stand at two widths or more in rows of against-theory, carried on to infinitely many units.

    From the two largest, as if measured less predicted (of each width, for the input may change with it) fell as 1/n.
    Each is the row of the largest width with `remains` of it (nats a step), the `limit` that this makes of theory, its
    `limit_error`, and `left`: standard errors of limit and theory together in `remains`, of which `apart` is the size.
    """
    found: dict[tuple[Any, ...], dict[int, dict[str, Any]]] = {}
    for row in rows:
        if row["growth_rate_error"]:
            same = tuple(row[name] for name in ("study", "cell", "init", "drive", "weights", "state_std", "law"))
            found.setdefault(same, {})[row["width"]] = row
    limits = []
    for by_width in found.values():
        if len(by_width) > 1:
            small, large = sorted(by_width)[-2:]
            near, far = by_width[large], by_width[small]
            remains = (large * near["difference"] - small * far["difference"]) / (large - small)
            parts = large * near["growth_rate_error"], small * far["growth_rate_error"]
            error = math.hypot(*parts) / (large - small)
            left = remains / math.hypot(error, near["theory_error"], ROUNDING)
            said = {"limit": near["theory"] + remains, "limit_error": error, "remains": remains}
            limits.append(near | said | {"left": left, "apart": abs(left)})
    return limits


def typical(rows: list[dict[str, Any]], name: str) -> float:
    """The median size of a column."""
    return statistics.median(abs(row[name]) for row in rows)


def ranked(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of lifetime, those that last longest first; those that last beyond the last horizon by name."""
    return sorted(rows, key=lambda row: (row["by"] is not None, -(row["by"] or 0), row["cell"], row["init"]))


def learnt_text(rows: list[dict[str, Any]]) -> str:
    """`0.13: 3 of 8`: the mean P(stable by T) of rows of trainability, and how many of their networks have learnt."""
    if not rows:
        return "-"
    trained = sum(row["trained"] for row in rows)
    learnt = round(sum(row["trained"] * row["p_learnt"] for row in rows))
    stable = statistics.mean(row["p_stable"] for row in rows)
    return f"{stable:.2f}: {learnt} of {trained}"


def interval_text(value: float, low: float, high: float) -> str:
    """`0.1205 [0.1201, 0.1209]`, to two digits of half the interval."""
    digits = min(max(1 - math.floor(math.log10((high - low) / 2)), 0), 8)
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def rare_text(row: dict[str, Any]) -> str:
    """`3.4e-6 [3.0e-6, 3.8e-6]`, a question mark where it is not to be trusted, or `below 1e-15`."""

    def said(p: float | None) -> str:
        return "?" if p is None else re.sub(r"e-0*", "e-", f"{p:.1e}") if p < 0.001 else f"{p:.2g}"

    first, *others = row["doubt"].split("; ")
    if "gave up" in first:
        return f"below {said(row['p_high'])}{' ?' if others else ''}" if (row["p_high"] or 1) < 1e-9 else "not found"
    interval = "" if row["p_low"] is None else f" [{said(row['p_low'])}, {said(row['p_high'])}]"
    return f"{said(row['p'])}{interval}{' ?' if row['doubt'] else ''}"


def percent_text(share: float | None) -> str:
    """`83 %`, a dash where there is none."""
    return "-" if share is None else f"{100 * share:.0f} %"


def steps_text(row: dict[str, Any], last: int) -> str:
    """`18`, `(18, 24] [18, 32]` or `beyond 10,000`: when so many have left, with its bounds, by a row of lifetime."""
    return lifetime_text(row, last)


def onset_text(row: dict[str, Any]) -> str:
    """`1.99 [1.97, 2.01]`, or on which side of all gains the onset lies, by a row of onset.

    A question mark stands for a bound that the gains do not give. Where the mean turns more than once, `, median 1.35
    [1.33, 1.38]` follows, where half of the networks grow; that alone where the mean is of no number.
    """

    def said(kind: str) -> str:
        onset, low, high = ("?" if row[kind + name] is None else f"{row[kind + name]:.3f}" for name in ENDS)
        return f"{onset} [{low}, {high}]"

    median = f"median {said('median_')}" if row.get("median_onset") is not None else ""
    if row["onset"] is not None:
        return said("") + (f", {median}" if median and row["turns"] > 1 else "")
    if row["below"] is not None:
        return f"above {row['below']:g}"
    return f"below {row['above']:g}" if row["above"] is not None else median or "-"


def exponent_text(rows: list[dict[str, Any]]) -> str:
    """`0.51 [0.48, 0.54]`: the one row of decay, or a dash where too few replicates were left."""
    if not rows:
        return "-"
    row = rows[0]
    return f"{row['exponent']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def error_text(value: float | None, error: float | None) -> str:
    """`-0.4401 ± 0.0012`, to two digits of the error, at least that of rounding; a dash where there is none."""
    if value is None:
        return "-"
    if not error:
        return f"{value:.4g}"
    error = max(error, ROUNDING)
    digits = min(max(1 - math.floor(math.log10(error)), 0), 8)
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def rate_text(row: dict[str, Any], width: int) -> str:
    """`-0.440 ± 0.001`: the growth rate at one of the widths behind a row of finite-width, or a dash."""
    known = dict(zip(row["widths"], zip(row["rates"], row["errors"], strict=True), strict=True))
    return error_text(*known.get(width, (None, None)))


TEXTS = (
    counted,
    extrapolated,
    inside,
    furthest,
    interval_text,
    learnt_text,
    error_text,
    event_text,
    exponent_text,
    onset_text,
    percent_text,
    ranked,
    rate_text,
    steps_text,
    typical,
    verdict_text,
)


def rendered(template: str, results: Results, **also: Any) -> str:
    """A template of this folder with what it asks for."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGE.parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["far"] = lambda score: score is not None and abs(score) > APART
    names = ("table", "rows", "row", "p", "rate", "value", "onset", "exponent", "lasts", "rare")
    functions = {
        name: getattr(results, name) for name in (*names, "figure", "said", "sources", "compared", "against_theory")
    }
    functions |= {one.__name__: one for one in TEXTS} | {"exact_onset": exact_onset}
    return environment.get_template(template).render(**functions, **also).rstrip() + "\n"


def sections() -> list[str]:
    """The names of the sections that have a template of their own."""
    return sorted(path.name.removesuffix(".md.j2") for path in FIGURES.glob("*.md.j2"))


def framed(name: str, text: str) -> str:
    """A section between the marks by which it is found again."""
    return f"<!-- section {name} -->\n{text}<!-- end of section {name} -->"


def section(name: str, figures: set[Path]) -> str:
    """A section, framed, from its own template; adds its figures to `figures`."""
    results = Results(RESULTS, name)
    text = rendered(f"{FIGURES.name}/{name}.md.j2", results)
    notes = "".join(f"[^{mark}]: {note}\n" for mark, note in results.sources().items())
    figures |= results.figures
    return framed(name, text + (f"\n{notes}" if notes else ""))


def parted(page: str, name: str) -> tuple[str, str, str]:
    """A page before its section of this name, the section with its frame, and what follows; empty where it has none."""
    start, end = framed(name, "\0").split("\0")
    before, found, rest = page.partition(start)
    inner, _, after = rest.partition(end)
    return (before, start + inner + end, after) if found else (page, "", "")


def replaced(page: str, name: str, new: str) -> str:
    """The page with its section of this name replaced. Raises SystemExit where it has none."""
    before, old, after = parted(page, name)
    if not old:
        sys.exit(f'{PAGE.name}: has no section {name}; put section("{name}") into {PAGE.name}.j2')
    return before + new + after


def section_or_old(name: str, figures: set[Path], page: str) -> str:
    """A section anew, or as it stands on the page where its studies have not been run here; it says which they are."""
    try:
        return section(name, figures)
    except NotRun as missing:
        old = parted(page, name)[1]
        if not old:
            raise
        print(f"Section {name} stays as it was: {missing}")
        figures |= {PAGE.parent / path for path in re.findall(rf"\(({FIGURES.name}/[^)]+\.svg)\)", old)}
        return old


def write_page() -> None:
    """Write the whole page and its figures; figures that it does not show any more are removed."""
    results, figures = Results(RESULTS), set[Path]()
    known = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    text = rendered(
        f"{PAGE.name}.j2",
        results,
        wrong=WRONG,
        again=AGAIN if (RESULTS / AGAIN).exists() else "",
        section=lambda name: section_or_old(name, figures, known),
    )
    PAGE.write_text(text, encoding="utf-8")
    figures |= results.figures
    for old in set(FIGURES.glob("*.svg")) - figures:
        old.unlink()
    print(f"Wrote {PAGE.relative_to(ROOT)} with {len(results.notes)} numbers and {len(figures)} figures")


def write_section(name: str) -> None:
    """Write one section of the page anew. Raises SystemExit where there is none of this name."""
    if name not in sections():
        sys.exit(f"SECTION={name} is no section; give one of {', '.join(sections())}, or none for the whole page")
    figures: set[Path] = set()
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), name, section(name, figures)), encoding="utf-8")
    print(f"Wrote section {name} of {PAGE.relative_to(ROOT)} with {len(figures)} figures")


if __name__ == "__main__":
    for one in sys.argv[1:]:
        write_section(one)
    if not sys.argv[1:]:
        write_page()
