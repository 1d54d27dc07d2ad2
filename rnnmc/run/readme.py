"""What a folder of results says of itself: a README, a dictionary of every column, and the design points as CSV."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from rnnmc.common.files import write_whole
from rnnmc.run.aggregate import STATISTICS, read_tables
from rnnmc.run.dictionary import csv_text, described
from rnnmc.statistics.analyses import analyses
from rnnmc.store.plan import stored_points
from rnnmc.store.tables import csv_of, read_table

EXPLAINED = ("README.md", "dictionary.csv", "points.csv")
SAMPLE_FILES = "samples/**/*.parquet"
WORDS = {
    "claims": "the article's claims, one row a claim and condition",
    "coverage": "how many intervals hold what is known exactly",
    "first-passage": "by when so many replicates have vanished, exploded or left the thresholds",
    "oracles": "every cell of a table that an exact law judges",
    "variance": "the share of the variance that comes from weights, drives and initial states",
    "verdicts": "what became of each claim",
}


def explain(directory: Path) -> None:
    """Leave README.md, dictionary.csv and points.csv in the folder of a study, or of a look at one.

    Raises RunError when the disk refuses, UsageError where the folder is not one of a study.
    """
    import pyarrow.parquet as pq

    from rnnmc.engine.block import SCHEMA

    tables = ["points", *sorted(read_tables(directory))]
    points = read_table(directory / "points.parquet")
    write_whole(directory / "points.csv", csv_of(points.drop("json")))
    rows = [row for name in tables for row in described(name, pq.read_schema(directory / f"{name}.parquet"))]
    stored = stored_points(directory)
    sampled = (directory / "samples").is_dir()
    seen = {observable.name: observable for one in stored for observable in one.observables} if sampled else {}
    if sampled:
        rows += described(SAMPLE_FILES, SCHEMA)
    for name, observable in sorted(seen.items()):
        rows += described(f"observables/{name}/**/*.parquet", observable.schema())
    write_whole(directory / "dictionary.csv", csv_text(rows))
    others = {name: _words(name) for name in tables if name not in ("points", STATISTICS)}
    said = {"study": directory.name, "points": len(stored), "others": others, "sampled": sampled, "seen": sorted(seen)}
    write_whole(directory / "README.md", rendered("folder.md.j2", **said).encode())


def _words(table: str) -> str:
    """What a table holds, in words."""
    if table.startswith(f"{STATISTICS}-"):
        return f"what `{table.removeprefix(f'{STATISTICS}-')}` saw, summed up by design point and horizon"
    return WORDS.get(table) or (type(analyses()[table]).__doc__ or "").splitlines()[0].rstrip(".")


def rendered(template: str, **said: Any) -> str:
    """A template beside this module, filled in; `version` is that of rnnmc."""
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.get_template(template).render(version=importlib.metadata.version("rnnmc"), **said)
