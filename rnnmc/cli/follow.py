"""A study through Snakemake, with one line that says how far it is."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rnnmc.cli.shared import AsJson, Quiet, StudyFile, app, examples, finished
from rnnmc.common.errors import UsageError


@app.command(epilog=examples("rnnmc study config/default.yaml", "rnnmc study config/article.yaml --jobs 8 --scale 0.1"))
def study(
    study_file: StudyFile,
    jobs: Annotated[
        str, typer.Option(help="of the workflow at a time, and at most so many cores: a number, or all")
    ] = "all",
    cpus: Annotated[int | None, typer.Option(help="cores, where they are to be fewer than jobs", min=1)] = None,
    scale: Annotated[float | None, typer.Option(help="in place of what the file says")] = None,
    results: Annotated[str | None, typer.Option(help="an address to keep them at too: s3://bucket/prefix")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run a whole study through Snakemake. One line while it runs, its table at the end; what is there is kept."""
    if sys.stderr.isatty() and not quiet:  # something to see at once, which the next line is written over
        sys.stderr.write(f"reading {study_file}\r")
        sys.stderr.flush()
    from rnnmc.run.conduct import conduct

    if jobs != "all" and not (jobs.isdigit() and int(jobs)):
        raise UsageError(f"--jobs: {jobs or 'nothing'} is not a number of jobs; give 1 or more, or all")
    finished(as_json, conduct(study_file, None if jobs == "all" else int(jobs), cpus, scale, results))
