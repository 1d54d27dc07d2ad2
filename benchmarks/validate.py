"""Fill the tables of docs/validation.md from the studies behind it, and from simulations of its own (make validate)."""

from __future__ import annotations

import shutil
from pathlib import Path

import covering
import polars as pl
import rare_events
from sheets import filled

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "validation.md"
RESULTS = Path("results")


def table(rows: list[dict[str, str]]) -> str:
    """Rows as Markdown."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([row[name] for name in names] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def measured(value: float | None, error: float | None) -> str:
    """`-0.4401 +- 0.0003`, or a dash."""
    if value is None:
        return "-"
    return f"{value:.4f}" if error is None else f"{value:.4f} ± {error:.4f}"


def growth_rates() -> str:
    """Measured growth rates of every gated cell, tied and untied, at two widths, beside theory."""
    points = pl.read_parquet(RESULTS / "validation/points.parquet")
    statistics = pl.read_parquet(RESULTS / "validation/statistics.parquet").filter(
        pl.col("horizon") == pl.col("horizon").max(), pl.col("measure").cast(pl.String) == "log_spectral"
    )
    rows = points.join(statistics, on="point").with_columns(
        pl.col("init").str.extract(r"([\d.]+)").cast(pl.Float64).alias("gain"),
        pl.when(pl.col("drive") == "field")
        .then(pl.lit("white field"))
        .when(pl.col("state_std") > 0)
        .then(pl.lit("none"))
        .otherwise(pl.lit("none, zero state"))
        .alias("input"),
    )
    lines = []
    for (cell, source, gain), group in rows.group_by(["cell", "input", "gain"], maintain_order=True):
        line = {"cell": f"`{cell}`", "input": str(source), "gain": f"{gain:g}"}
        for weights in ("tied", "untied"):
            of = group.filter(weights=weights).sort("width")
            for row in of.iter_rows(named=True):
                line[f"{weights}, n = {row['width']}"] = measured(row["growth_rate"], row["growth_rate_error"])
            last = of.row(-1, named=True)
            theory, error = last["theory_growth_rate"], last["theory_growth_rate_error"] or 0.0
            line[f"theory, {weights}"] = measured(theory, error if error >= 5e-5 else None)
        lines.append(line)
    order = {"none, zero state": 0, "none": 1, "white field": 2}
    return table(sorted(lines, key=lambda line: (line["cell"], order[line["input"]], float(line["gain"]))))


def spectrum() -> str:
    """Share of positive exponents, entropy and Kaplan-Yorke dimension per unit, beside the parametric curve."""
    points = pl.read_parquet(RESULTS / "spectrum/points.parquet").select("point", "cell", "width", "init", "drive")
    rows = points.join(pl.read_parquet(RESULTS / "spectrum/statistics-spectrum.parquet"), on="point")
    lines = []
    for row in rows.filter(pl.col("quantity") != "exponent").iter_rows(named=True):
        theory, mean = row["theory"], row["mean"]
        away = f"{100 * (mean / theory - 1):+.2f} %" if theory and mean is not None else "-"
        errors = [row["error_over_replicates"], row["error_in_time"]]
        lines.append(
            {
                "point": f"`{row['cell']}`, n = {row['width']}, {row['init']}, drive {row['drive']}",
                "quantity": row["quantity"].replace("_", " "),
                "measured": "-" if mean is None else f"{mean:.5f}",
                "error over replicates": "-" if errors[0] is None else f"{errors[0]:.5f}",
                "error in time": "-" if errors[1] is None else f"{errors[1]:.5f}",
                "theory": "-" if theory is None else f"{theory:.5f}",
                "difference": away,
            }
        )
    return table(lines)


def paths() -> str:
    """Growth rates of the four curves of the LSTM, at each gain and drive."""
    points = pl.read_parquet(RESULTS / "paths/points.parquet").select("point", "cell", "width", "init", "drive")
    rows = points.join(pl.read_parquet(RESULTS / "paths/statistics-paths.parquet"), on="point")
    rows = rows.filter(pl.col("measure") == "log_spectral", pl.col("horizon") == pl.col("horizon").max())
    lines = []
    for _, group in rows.group_by("point", maintain_order=True):
        first = group.row(0, named=True)
        line = {"point": f"`{first['cell']}`, n = {first['width']}, {first['init']}, drive {first['drive']}"}
        for name in ("joint", "c_path", "main_term", "h_only"):
            row = group.filter(path=name).row(0, named=True)
            line[name.replace("_", " ")] = measured(row["growth_rate"], row["growth_rate_error"])
        lines.append(line)
    return table(lines)


def coverage() -> str:
    """The coverage table of the oracle study."""
    rows = pl.read_parquet(RESULTS / "oracle/coverage.parquet").to_dicts()
    return table([{name: f"{v:.4g}" if isinstance(v, float) else str(v) for name, v in row.items()} for row in rows])


def main() -> None:
    """Write docs/validation.md and its figures."""
    page = PAGE.read_text(encoding="utf-8")
    tables = {"growth-rates": growth_rates, "spectrum": spectrum, "paths": paths, "coverage": coverage}
    tables["intervals"] = lambda: covering.sheet().for_page()
    tables["rare-events"] = lambda: rare_events.sheet().for_page()
    tables["rare-events-default"] = lambda: rare_events.sheet_by_default().for_page()
    tables["rare-beside"] = lambda: rare_events.sheet_beside().for_page()
    for name, make in tables.items():
        page = filled(page, name, make(), PAGE)
    PAGE.write_text(page, encoding="utf-8")
    figures = {"paths/figures/paths-lstm.svg": "paths.svg", "spectrum/figures/spectrum-tanh.svg": "spectrum.svg"}
    for source, target in figures.items():
        shutil.copyfile(RESULTS / source, PAGE.parent / target)
    print(f"Wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
