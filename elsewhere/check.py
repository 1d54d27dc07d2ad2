"""Have a data set of `rnnmc dataset` judged by the validators of its forms, and read by the tools that our users have.

    python elsewhere/check.py FOLDER [PAGE]

Each tool is asked in an environment of its own (elsewhere/requirements.txt), without rnnmc; make elsewhere does it all.
A reader must find in every Parquet file the numbers that Arrow finds there, infinities and missing ones too. PAGE: of
its code blocks those that ask for one of these tools are run as they stand there. Exit 1 where one finds fault.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

CRATE_CONTEXT = "https://w3id.org/ro/crate/1.1/context"
BIOSCHEMAS = "https://bioschemas.org/"
STAND_IN = {  # for that context where there is no network: the words of our crates mean in it what they mean there
    "@vocab": "http://schema.org/",
    "conformsTo": "http://purl.org/dc/terms/conformsTo",
    "File": "http://schema.org/MediaObject",
    "ComputationalWorkflow": f"{BIOSCHEMAS}ComputationalWorkflow",
    "FormalParameter": f"{BIOSCHEMAS}FormalParameter",
    "input": f"{BIOSCHEMAS}ComputationalWorkflow#input",
    "output": f"{BIOSCHEMAS}ComputationalWorkflow#output",
}
FETCHED = ["ro-crate-1.1_3.1", "ro-crate-1.1_3.2"]  # checks that only fetch the context
NO_ADDRESS = ("SHOULD have a url", "SHOULD have a URL", "SHOULD be an absolute URI")  # rnnmc has no page of its own
TOOLS = ("datasets", "fastparquet", "frictionless", "mlcroissant", "pyspark")  # whose code on a page is run here


def frictionless_validates(folder: Path) -> str:
    from frictionless import validate

    report = validate(str(folder / "datapackage.json"))
    errors = [f"{task.name}: {error.message}" for task in report.tasks for error in task.errors] + [
        error.message for error in report.errors
    ]
    assert report.valid, errors[:5]
    return f"{len(report.tasks)} resources valid"


def croissant_validates(folder: Path) -> str:
    import mlcroissant

    metadata = mlcroissant.Dataset(str(folder / "croissant.json")).metadata
    assert not metadata.ctx.issues.errors, metadata.ctx.issues.report()
    return f"{len(metadata.record_sets)} record sets valid"


def ro_crate_validates(folder: Path) -> str:
    """Against the profile of a workflow run, what it recommends too."""
    import requests
    from rocrate_validator import models, services
    from rocrate_validator.utils import document_loader

    settings: dict[str, Any] = {"rocrate_uri": str(folder), "profile_identifier": "workflow-run-crate-0.5"}
    how = ""
    try:
        requests.get(CRATE_CONTEXT, timeout=10).raise_for_status()
    except requests.RequestException:
        fetch = document_loader._fetch_json_ld
        document_loader._fetch_json_ld = lambda url: {"@context": STAND_IN} if url == CRATE_CONTEXT else fetch(url)
        settings["skip_checks"] = FETCHED
        how = "; without the network, by a stand-in for the context of RO-Crate"
    result = services.validate(
        services.ValidationSettings(**settings, requirement_severity=models.Severity.RECOMMENDED)
    )
    issues = [str(one.message) for one in result.get_issues()]
    faults = [one for one in issues if not one.rstrip(".").endswith(NO_ADDRESS)]
    assert not faults, faults
    return f"no fault, but for {len(issues)} recommended addresses{how}"


CROISSANTS: dict[Path, Any] = {}  # folder -> its data set, once read
Read = Callable[[Path, list[str]], dict[str, Iterable[Any]]]


def by_croissant(path: Path, names: list[str]) -> dict[str, Iterable[Any]]:
    import mlcroissant

    folder = path.parents[1]
    place = path.relative_to(folder).as_posix()
    data = CROISSANTS.get(folder) or CROISSANTS.setdefault(folder, mlcroissant.Dataset(str(folder / "croissant.json")))
    (record_set,) = (
        one["@id"]
        for one in json.loads((folder / "croissant.json").read_text())["recordSet"]
        if one["field"][0]["source"]["fileObject"]["@id"] == place
    )
    records = list(data.records(record_set))
    found = {name: [row[f"{record_set}/{name}"] for row in records] for name in names}
    return {name: [one.decode() if isinstance(one, bytes) else one for one in found[name]] for name in names}


def by_datasets(path: Path, names: list[str]) -> dict[str, Iterable[Any]]:
    import datasets
    import yaml

    datasets.disable_progress_bars()
    folder = path.parents[1]
    place = path.relative_to(folder).as_posix()
    head = yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])
    (config,) = (one["config_name"] for one in head["configs"] if one["data_files"] == place)
    with tempfile.TemporaryDirectory() as cache:
        rows = datasets.load_dataset(str(folder), config, split="train", cache_dir=cache)
        return {name: rows[name][:] for name in names}


def by_duckdb(path: Path, names: list[str]) -> dict[str, Iterable[Any]]:
    import duckdb

    quoted = ", ".join(f'"{name}"' for name in names)
    rows = duckdb.sql(f"select {quoted} from '{path}'").fetchall()
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def by_fastparquet(path: Path, names: list[str]) -> dict[str, Iterable[Any]]:
    import fastparquet

    frame = fastparquet.ParquetFile(str(path)).to_pandas(columns=names)
    return {name: frame[name].tolist() for name in names}


def by_pandas(path: Path, names: list[str]) -> dict[str, Iterable[Any]]:
    import pandas as pd

    frame = pd.read_parquet(path, columns=names)
    return {name: frame[name].tolist() for name in names}


def by_polars(path: Path, names: list[str]) -> dict[str, Iterable[Any]]:
    import polars as pl

    return pl.read_parquet(path, columns=names).to_dict(as_series=False)


def by_spark(path: Path, names: list[str]) -> dict[str, Iterable[Any]]:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    spark = builder.config("spark.driver.host", "127.0.0.1").config("spark.log.level", "OFF").getOrCreate()
    rows = spark.read.parquet(str(path)).select(*(f"`{name}`" for name in names)).collect()
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


READERS: dict[str, Read] = {
    "datasets": by_datasets,
    "duckdb": by_duckdb,
    "fastparquet": by_fastparquet,
    "mlcroissant": by_croissant,
    "pandas": by_pandas,
    "polars": by_polars,
    "pyspark": by_spark,
}
NO_LISTS = {"fastparquet", "mlcroissant"}  # they give something else, or nothing, for a column of lists


def told(values: Iterable[Any]) -> tuple[Any, ...]:
    """What two columns share if they are the same: what is missing and infinite, the sum of the rest, the words."""
    flat: list[Any] = []
    for one in values:
        flat += list(one) if hasattr(one, "__len__") and not isinstance(one, str | bytes) else [one]
    known = [one for one in flat if one is not None and type(one).__name__ != "NAType" and one == one]
    if known and isinstance(known[0], str | bytes):
        words = sorted(str(one.decode() if isinstance(one, bytes) else one) for one in known)
        return len(flat), len(known), hash(tuple(words))
    numbers = [float(one) for one in known]
    finite = [one for one in numbers if math.isfinite(one)]
    return len(flat), len(known), numbers.count(math.inf), numbers.count(-math.inf), math.fsum(finite)


def reads(name: str, folder: Path) -> str:
    """Every table by one reader, beside what Arrow finds in it."""
    read, columns, paths = READERS[name], 0, sorted(folder.rglob("*.parquet"))
    for path in paths:
        schema = pq.read_schema(path)
        names = [field.name for field in schema if name not in NO_LISTS or "list" not in str(field.type)]
        truth = pq.read_table(path, columns=names).to_pydict()
        found = read(path, names)
        for column in names:
            assert told(found[column]) == told(truth[column]), (path.name, column)
            columns += 1
    return f"{columns} columns of {len(paths)} tables as Arrow reads them"


def runs(page: Path, folder: Path) -> str:
    """The code of a page that asks for one of these tools, in a folder in which the data set is results/dataset."""
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    ours = [one for one in blocks if re.search(rf"(?:import|from) (?:{'|'.join(TOOLS)})\b|engine=.fastparquet", one)]
    assert ours
    with tempfile.TemporaryDirectory() as there:
        (Path(there) / "results").mkdir()
        (Path(there) / "results/dataset").symlink_to(folder.resolve())
        for one in ours:  # in a process of its own, for the Java of Spark keeps the folder that it began in
            place = there if "results/" in one else folder
            done = subprocess.run([sys.executable, "-c", one], cwd=place, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
    return f"{len(ours)} pieces of code run as they stand there"


def main(folder: Path, pages: list[Path]) -> int:
    checks: list[tuple[str, str, Callable[[], str]]] = [
        ("frictionless", "validates", lambda: frictionless_validates(folder)),
        ("mlcroissant", "validates", lambda: croissant_validates(folder)),
        ("roc-validator", "validates", lambda: ro_crate_validates(folder)),
        *((name, "reads", lambda name=name: reads(name, folder)) for name in READERS),
        *((page.name, "runs", lambda page=page: runs(page, folder)) for page in [folder / "README.md", *pages]),
    ]
    failed = 0
    for tool, does, check in checks:
        known = "" if does == "runs" else f" {version(tool)}"
        if tool == "pyspark" and shutil.which("java") is None:
            print(f"{tool}{known}: not asked, it needs Java", flush=True)
            continue
        try:
            print(f"{tool}{known} {does}: {check()}", flush=True)
        except Exception:
            failed += 1
            print(f"{tool}{known} {does}: FAILED\n{traceback.format_exc(limit=-3)}", flush=True)
    return failed


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    sys.exit(min(1, main(Path(sys.argv[1]), [Path(page) for page in sys.argv[2:]])))
