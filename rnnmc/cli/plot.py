"""A chart of one's own choosing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rnnmc.cli.shared import AsJson, Folder, app, examples, needing_statistics, wrote
from rnnmc.common.errors import UsageError

PICTURES = (".svg", ".png")


@app.command(epilog=examples("rnnmc plot results/default --where cell=lstm --where m=1"))
def plot(
    directory: Folder,
    x: Annotated[str, typer.Option(help="a column of numbers: horizon, width, gain, init.bias.forget")] = "horizon",
    y: Annotated[str, typer.Option(help="a column of statistics.csv; its interval is drawn too")] = "p_vanish_at",
    by: Annotated[
        str, typer.Option(help="a line for each value of these columns, with commas between; else of all that varies")
    ] = "",
    where: Annotated[list[str] | None, typer.Option(help="COLUMN=VALUE, rows to keep; repeatable")] = None,
    out: Annotated[Path | None, typer.Option(help="a .svg or .png; by default named after the columns")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw one column of the statistics against another."""
    from rnnmc.common.files import write_whole
    from rnnmc.report.plotting import chosen, heading, plotted, with_factors
    from rnnmc.report.rendering import rendered
    from rnnmc.store.outdated import checked_tables
    from rnnmc.store.reading import planned_points
    from rnnmc.store.tables import read_table

    out = out or Path(f"{y}-{x}.svg")
    if out.suffix not in PICTURES:
        raise UsageError(
            f"--out {out}: is no picture that can be drawn; give a name that ends in {' or '.join(PICTURES)}"
        )
    kept: dict[str, str] = {}
    for said in where or []:
        column, equals, value = said.partition("=")
        if not equals:
            raise UsageError(f"--where {said}: says no value; give for example --where width=64")
        kept[column] = value
    with needing_statistics(directory):
        checked_tables(directory)
        statistics, points = read_table(directory / "statistics.parquet"), planned_points(directory)
    table = chosen(with_factors(statistics, points), kept, x)
    chart = plotted(table, x, y, [one.strip() for one in by.split(",") if one.strip()])
    chart = chart.properties(title=heading(directory.resolve().name, kept, x, y))
    write_whole(out, rendered({"chart": chart})[f"chart{out.suffix}"])
    wrote(as_json, out)
