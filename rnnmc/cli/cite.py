"""How a study is cited."""

from __future__ import annotations

from rnnmc.cli.shared import Folder, app, examples, needing_statistics


@app.command(epilog=examples("rnnmc cite results/default > default.bib"))
def cite(directory: Folder) -> None:
    """Print BibTeX of what a study used. Of rnnmc, the article, and the sources of just its cells and laws."""
    from rnnmc.report.cite import bibtex
    from rnnmc.run.aggregate import read_tables
    from rnnmc.store.plan import study_said
    from rnnmc.store.sampled import sampled
    from rnnmc.store.tables import read_table

    study_said(directory)
    points = read_table(directory / "points.parquet")
    with needing_statistics(directory):
        tables = read_tables(directory)
    print(bibtex(points, tables, ", ".join(sampled(directory)["commit"])), end="")
