"""The numbers of a study as rows and as text: for the terminal, the page and the figures.

Text is plain ASCII (any terminal can print it); the page sets minus signs and infinities its own way.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from rnnmc.common.errors import UsageError
from rnnmc.drives import labels_of
from rnnmc.statistics.rates import deviation_from, student_half
from rnnmc.study.replicates import Until

# What may tell two points of the same cell and width apart, and how a value of it reads in a label.
FACTOR_LABELS = {
    "layers": "layers {}",
    "residual": "{}",
    "init": "{}",
    "drive": "drive {}",
    "weights": "{}",
    "state_std": "state std {:g}",
    "dtype": "{}",
}
MEASURE_NAMES = {"log_spectral": "spectral norm", "log_rms": "RMS gain"}
INTERVAL_NAMES = {
    "wilson": "Wilson",
    "jeffreys": "Jeffreys",
    "clopper-pearson": "Clopper-Pearson",
    "confidence-sequence": "confidence-sequence",
}
# Columns of statistics that an earlier rnnmc has not written.
BANDS = {
    f"p_{event}_{mode}_band_{end}": pl.Float64
    for event in ("vanish", "explode")
    for mode in ("at", "by")
    for end in ("low", "high")
}
THEORY = {
    "theory_growth_rate": pl.Float64,
    "theory_growth_rate_error": pl.Float64,
    "theory_growth_law": pl.String,
    "theory_growth_exact": pl.Boolean,
    "theory_mean": pl.Float64,
    "theory_p_vanish_at": pl.Float64,
    "theory_p_explode_at": pl.Float64,
    "theory_p_explode_at_most": pl.Float64,
    "theory_law": pl.String,
}
GROWTH = dict.fromkeys(
    [
        "growth_rate_freedom",
        *(f"{name}_{end}" for name in ("growth_rate", "growth_median", "p_growing") for end in ("low", "high")),
        "growth_median",
        "p_growing",
    ],
    pl.Float64,
)


def study_points(points: pl.DataFrame) -> pl.DataFrame:
    """The points that the study asks for, without those that were added to prove rnnmc itself; `drive` and `residual`
    for people.
    """
    if points.schema.get("residual") == pl.Boolean:
        said = pl.when("residual").then(pl.lit("residual")).otherwise(pl.lit("plain"))
        points = points.with_columns(said.alias("residual"))
    if "json" in points.columns:
        points = points.with_columns(pl.Series("drive", labels_of(points["json"]), dtype=pl.String))
    return points.filter(~pl.col("oracle").fill_null(False)) if "oracle" in points.columns else points


def plain_points(points: pl.DataFrame) -> pl.DataFrame:
    """The points whose replicates are plain: without those that were split for a rare event."""
    return points.filter(~pl.col("json").str.contains('"splitting"')) if "json" in points.columns else points


def points_of(table: pl.DataFrame, points: pl.DataFrame) -> pl.DataFrame:
    """The points that a table has rows of: labels of what varies among others would say too much."""
    keys = table["point"].cast(pl.String).unique().to_list()
    return points.filter(pl.col("point").cast(pl.String).is_in(keys))


def complete(statistics: pl.DataFrame) -> pl.DataFrame:
    """The statistics with every column of bands, theory and rates; null where an earlier rnnmc has not written it.

    But for the interval of the growth rate, which follows from its error.
    """
    wanted = BANDS | THEORY | GROWTH
    there = set(statistics.columns)
    whole = statistics.with_columns(
        pl.col("point").cast(pl.String),
        pl.col("measure").cast(pl.String),
        *((pl.col(name) if name in there else pl.lit(None)).cast(kind).alias(name) for name, kind in wanted.items()),
    )
    if "growth_rate_low" in there or whole.is_empty():
        return whole
    draws = pl.min_horizontal("ok_count", *({"weight_draws"} & there))
    whole = whole.with_columns(pl.when(draws > 1).then(draws - 1.0).alias("growth_rate_freedom"))
    error, freedom = (whole[name].to_numpy() for name in ("growth_rate_error", "growth_rate_freedom"))
    half = pl.Series("half", student_half(error, freedom, whole["level"][0]), nan_to_null=True)
    rate = pl.col("growth_rate")
    return whole.with_columns((rate - half).alias("growth_rate_low"), (rate + half).alias("growth_rate_high"))


def varying_factors(points: pl.DataFrame) -> list[str]:
    """Those of the `FACTOR_LABELS` that take more than one value; init if none does."""
    varying = [name for name in FACTOR_LABELS if name in points.columns and points[name].n_unique() > 1]
    return varying or ["init"]


def with_series(points: pl.DataFrame) -> pl.DataFrame:
    """The points with a column `series`: a short text of what varies beside cell and width, unique within
    these.

    points: the rows of points.parquet. Of a file only the name is told, not its folder. Points whose text is
    the same nevertheless say what looks on, then how far they go, and at last the beginning of their key, so that no
    two are ever drawn as one.
    """
    factors = varying_factors(points)
    labelled = points.with_columns(
        pl.Series("series", labels(points, factors), dtype=pl.String),
        pl.col("point", "cell", *(name for name in factors if not points.schema[name].is_numeric())).cast(pl.String),
    )
    twin = pl.struct("cell", "width", "series").is_duplicated()
    for more in (*_of_entries(points), " #" + pl.col("point").str.slice(0, 6)):
        longer = pl.concat_str("series", more)
        labelled = labelled.with_columns(pl.when(twin).then(longer).otherwise(pl.col("series")).alias("series"))
    return labelled


def _of_entries(points: pl.DataFrame) -> list[pl.Series]:
    """What is split for, what looks on, and how far points go, as ends of labels; nothing where they do not say."""
    if "json" not in points.columns:
        return []
    said = [json.loads(text) for text in points["json"]]
    looking = [
        [one if isinstance(one, str) else next(iter(one)) for one in each.get("observables", ())] for each in said
    ]
    last = [each.get("horizons", [0])[-1] for each in said]
    return [
        pl.Series([f"; split for {event}" if event else "" for event in split_events(points)], dtype=pl.String),
        pl.Series([f"; with {', '.join(names)}" if names else "" for names in looking], dtype=pl.String),
        pl.Series([f"; to T = {steps:,}" if steps else "" for steps in last], dtype=pl.String),
    ]


def split_events(points: pl.DataFrame) -> list[str]:
    """`explode at`, and so on: what each point was split for; "" for plain points."""
    said = [json.loads(text).get("splitting") or {} for text in points["json"]]
    return [one.get("event", "").replace("_", " ") for one in said]


def labels(points: pl.DataFrame, factors: list[str]) -> list[str]:
    """What these factors are, point by point; of a file only its name."""
    return [
        re.sub(
            r"\S*/(?=\S)", "", "; ".join(FACTOR_LABELS[name].format(row[name]) for name in factors if row[name] != 0)
        )
        for row in points.iter_rows(named=True)
    ]


def goal_of(point: Mapping[str, Any]) -> str | None:
    """What decided how many replicates a row of points.parquet has, for a sentence: see `Until.told`."""
    if point.get("until") is not None:
        return Until.read(json.loads(point["until"])).told()
    half_width = point.get("half_width")  # as of a plan from before there were other goals
    return None if half_width is None else Until(goal="half_width", value=half_width).told()


def main_rows(statistics: pl.DataFrame, points: pl.DataFrame, measure: str = "log_spectral") -> pl.DataFrame:
    """One row a point, in the order of `points`: its factors, its series, what it is `driven` by and its statistics at
    its last horizon, `complete`; and goal, what decided how many replicates it has, `to know ... to +- 0.01`, or null.

    statistics: rows of `rnnmc.statistics.point.point_statistics` of any number of points; points without any are
    left out, and those that prove rnnmc itself. Raises UsageError for statistics of an rnnmc that still averaged over
    survivors of an overflow.
    """
    if "ok_count" not in statistics.columns:
        raise UsageError("the statistics are of an earlier rnnmc; run rnnmc statistics on this study's folder first")
    last = (
        complete(statistics)
        .filter(pl.col("measure") == measure)
        .filter(pl.col("horizon") == pl.col("horizon").max().over("point"))
    )
    points = study_points(points)
    named = with_series(points).select(
        "point",
        "cell",
        "width",
        *varying_factors(points),
        "series",
        pl.col("drive").alias("driven"),
        pl.Series("goal", [goal_of(row) for row in points.iter_rows(named=True)], dtype=pl.String),
    )
    return named.join(last, on="point", how="inner", maintain_order="left")


def interval_names(rows: pl.DataFrame) -> str:
    """`Wilson`, or `Wilson or confidence-sequence` where it differs by point."""
    return " or ".join(INTERVAL_NAMES[kind] for kind in rows["interval"].unique(maintain_order=True))


def probability_text(p: float, low: float, high: float) -> str:
    """`0.734 [0.720, 0.747]`: a probability and its interval, to two digits of the interval's width."""
    # An interval of no width does not occur; the floor keeps a rounded one from asking for endless digits.
    digits = min(max(1 - math.floor(math.log10(max(high - low, 1e-7))), 2), 7)

    def text(value: float) -> str:
        return f"{value:.0f}" if value in (0, 1) else f"{value:.{digits}f}"

    return f"{text(p)} [{text(low)}, {text(high)}]"


def nats_text(value: float | None) -> str:
    """A log-norm to about three digits, `-inf` and `inf` included; a dash where there is none."""
    if value is None:
        return "-"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{round(value, digits) + 0.0:.{digits}f}"


def log_norm_text(row: dict) -> str:
    """`-12.3 [-20.1, -5.20]`: median and 5-95 % of the log-norm, in nats; and whether some are beyond float64."""
    return f"{nats_text(row['q50'])} [{nats_text(row['q05'])}, {nats_text(row['q95'])}]{beyond_text(row)}"


def beyond_text(row: dict) -> str:
    """` (some beyond float64)` where a step has shrunk norms beyond its range: some may be higher, if still tiny."""
    return " (some beyond float64)" if row.get("numerical_error") == math.inf else ""


def rate_text(row: dict) -> str:
    """`-0.4401 [-0.4425, -0.4377]`: growth rate and its interval in nats a step; a dash where undefined.

    `-0.4401 [-0.4425, -0.4377] (12 of 400)` is the rate of the 12 that have not died, and `not known: 3 % overflowed`
    says why there is none. Where most networks do the opposite of the mean, `; median 0.02 [0.01, 0.03], 0.90 [0.88,
    0.92] grow` follows. `+- 0.0012`, the standard error, stands for the interval in tables of an earlier rnnmc.
    """
    rate, error = row["growth_rate"], row["growth_rate_error"]
    if rate is None:
        return overflow_text(row) if row["overflow_by_count"] else "-"
    survivors = f" ({row['ok_count']:,} of {row['replicates']:,})" if row["ok_count"] < row["replicates"] else ""
    survivors += beyond_text(row)
    if error is None:
        return f"{rate:.4g}{survivors}"
    if error == 0:  # every replicate has the same, as on a unit that is the identity
        return f"{rate:.4g} +- 0{survivors}"
    opposite = f"; {most_text(row)}" if (row.get("growth_median") or 0.0) * rate < 0 else ""
    if row.get("growth_rate_low") is None:
        digits = _digits(error)
        return f"{rate:.{digits}f} +- {error:.{digits}f}{survivors}{opposite}"
    return _bounded(rate, row["growth_rate_low"], row["growth_rate_high"]) + survivors + opposite


def most_text(row: dict) -> str:
    """`median -0.441 [-0.445, -0.437], 0.02 [0.01, 0.03] grow`: what most networks do; nothing where not known."""
    if row.get("growth_median") is None or row.get("p_growing") is None:
        return ""
    median, ends = row["growth_median"], (row["growth_median_low"], row["growth_median_high"])
    said = nats_text(median)
    if all(end is not None and math.isfinite(end) for end in (median, *ends)) and ends[0] < ends[1]:
        said = _bounded(median, *ends)
    return f"median {said}, {event_text(row, 'growing', '')} grow"


def _digits(error: float) -> int:
    """Decimals that show two digits of an error; the fewest where there are too few replicates to bound it."""
    if not math.isfinite(error):
        return 2
    return min(max(1 - math.floor(math.log10(max(error, 1e-9))), 2), 8)


def _bounded(value: float, low: float, high: float) -> str:
    """`-0.4401 [-0.4425, -0.4377]`, to two digits of half the interval's width."""
    digits = _digits((high - low) / 2)
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def rate_deviation(row: dict) -> float | None:
    """`rnnmc.statistics.rates.deviation_from` an exact law; None unless measured and predicted rate are known."""
    rate, predicted = row["growth_rate"], row["theory_growth_rate"]
    if rate is None or predicted is None or not row["theory_growth_exact"] or row["growth_rate_error"] is None:
        return None
    errors = (row["growth_rate_error"], row["theory_growth_rate_error"] or 0.0)
    freedom = row.get("growth_rate_freedom") or math.inf
    return deviation_from(predicted, rate, row.get("growth_systematic") or 0.0, errors, freedom)


def theory_text(row: dict) -> str:
    """`-0.4401 exact (+0.8 s.e.)`, `-0.44 large width`, or `-0.363 ± 0.002 large width` where the law samples: the
    predicted growth rate in nats a step; a dash if none.
    """
    predicted = row["theory_growth_rate"]
    if predicted is None:
        return "-"
    if not row["theory_growth_exact"]:
        error = row["theory_growth_rate_error"]
        return f"{predicted:.4g}" + (f" ± {error:.1g}" if error else "") + " large width"
    deviation = rate_deviation(row)
    return f"{predicted:.4g} exact" + ("" if deviation is None else f" ({deviation:+.1f} s.e.)")


def passage_text(after: int | None, by: int | None) -> str:
    """`(10, 13]`: between which horizons; one number where every step is stored, a dash where not reached."""
    if after is None or by is None:
        return "-"
    return f"{by:,}" if by == after + 1 else f"({after:,}, {by:,}]"


def lifetime_text(row: dict, last: int) -> str:
    """`(75, 100] [75, 133]`: when so many have left, then the stored horizons between which the later bound lies.

    The second, at 95 %, is left out where it is that bound alone; `beyond` stands for later than the last horizon.
    """
    beyond = f"beyond {last:,}"
    said = beyond if row["by"] is None else passage_text(row["after"], row["by"])
    ends = [beyond if row[name] is None else f"{row[name]:,}" for name in ("earliest", "latest")]
    alone = row["earliest"] == row["latest"] == row["by"]
    return said if alone else f"{said} [{ends[0]}, {ends[1].replace(beyond, 'beyond')}]"


def overflow_text(row: dict) -> str:
    """`not known: 3 % overflowed`, in place of a mean or a rate."""
    share = 100 * row["overflow_by_count"] / row["replicates"]
    # Neither all nor none unless it is so.
    percent = "100" if share == 100 else f"{min(share, 99):.0f}" if share >= 10 else f"{share:.2g}"
    return f"not known: {percent} % overflowed"


def event_text(row: dict, event: str, mode: str = "at") -> str:
    """The probability of an event with its interval, from a row of statistics."""
    name = f"p_{event}_{mode}".rstrip("_")
    return probability_text(row[name], row[f"{name}_low"], row[f"{name}_high"])


def rare_events(rows: pl.DataFrame) -> list[str]:
    """Those of dead and overflow that happened at all, which alone are worth a column."""
    return [event for event in ("dead", "overflow") if (rows[f"{event}_by_count"] > 0).any()]


def horizon_text(rows: pl.DataFrame) -> str:
    """`1,000 steps`, or `100 to 1,000 steps` where the points end at different horizons."""
    first, last = min(rows["horizon"].to_list()), max(rows["horizon"].to_list())
    number = f"{last:,}" if first == last else f"{first:,} to {last:,}"
    return f"{number} step" if first == last == 1 else f"{number} steps"


def share_text(p: float) -> str:
    """A probability where its interval has no room; exact zeros and ones look so."""
    return f"{p:.0f}" if p in (0, 1) else f"{p:.3f}" if p >= 0.001 else f"{p:.1g}"


def number_text(value: object) -> str:
    """To four significant digits where it is no whole number; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def of_its_file(study: Mapping[str, Any]) -> str:
    """How many replicates a study has beside those that its file says, where they are not the same; else empty."""
    return f"{by:g} times as many replicates as its file says" if (by := study.get("scaled")) else ""
