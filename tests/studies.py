"""Small studies for tests that run the real thing, and ways to look at what a run left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import threads
import yaml

from rnnmc.engine.block import LARGEST_BLOCK
from rnnmc.run.pipeline import plan
from rnnmc.run.sampling import jobs_missing, sample
from rnnmc.store.folder import shard_path
from rnnmc.store.plan import cut_up
from rnnmc.store.verify import verify
from rnnmc.study.study import Study, read_study

ROOT = Path(__file__).parent.parent
HEAD = "study: small\nreplicates: 10\nhorizons: [1, 10]\n"  # of a study file
SECONDS = 180  # that a command may take on a busy machine before a test gives up on it


def small(**changes: Any) -> dict[str, Any]:
    """A study of four design points and a second of work."""
    entry = {"cell": ["tanh", "lstm"], "width": [2, 12]}
    return {"study": "small", "replicates": 300, "horizons": [1, 10, 50], "points": [entry]} | changes


def long(**changes: Any) -> dict[str, Any]:
    """A study of one design point in six blocks of about a second: long enough for an accident."""
    entry = {"cell": "lstm", "width": 1, "replicates": 6 * LARGEST_BLOCK, "horizons": [10, 100, 1000]}
    return {"study": "long", "points": [entry]} | changes


def entry(more: str, cell: str = "tanh", width: int = 2) -> str:
    """A study file's only entry, to go below `HEAD`."""
    return f"points: [{{cell: {cell}, width: {width}, {more}}}]"


def study_of(content: dict[str, Any]) -> Study:
    return read_study(content, "test.yaml")


def write(folder: Path, content: dict[str, Any]) -> Path:
    """The study as a file in `folder`."""
    path = folder / f"{content['study']}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def command(*words: str | Path, cwd: Path, patience: float = SECONDS) -> subprocess.CompletedProcess[str]:
    """Run a command of this environment to its end, away from any Ray that another test may hold."""
    said = [str(word) for word in words]
    return subprocess.run(said, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=patience)


def environment() -> dict[str, str]:
    """The environment with this Python's scripts first, no Ray address, and threads as a user has them."""
    ours = {key for key in os.environ if key.startswith("RAY_")} | threads.VARIABLES
    kept = {key: value for key, value in os.environ.items() if key not in ours}
    return kept | {"PATH": f"{Path(sys.executable).parent}:{kept['PATH']}"}


def snakemake(study_file: Path, *more: str) -> list[str]:
    """The command that runs this project's workflow on a study file, results under the working directory."""
    return ["snakemake", "-s", str(ROOT / "Snakefile"), "-j", "2", "--configfile", str(study_file), *more]


def sample_here(study: Study, directory: Path) -> str:
    """Plan and sample a study in this process; the digest of its samples."""
    plan(study, directory)
    sample(directory, jobs_missing(directory, cut_up(study)), None, "cpu")
    return samples_digest(directory)


def samples_digest(directory: Path) -> str:
    """SHA-256 over all samples of a study folder, every shard proved whole."""
    verdict = verify(directory)
    assert verdict.read
    assert not verdict.damaged
    assert not verdict.missing
    return verdict.digest


def shard_files(directory: Path) -> dict[Path, int]:
    """Every shard there is, with the time in nanoseconds at which it was written."""
    return {path: path.stat().st_mtime_ns for path in sorted(directory.rglob("samples/**/*.parquet"))}


def first_shard(directory: Path, study: Study) -> Path:
    return shard_path(directory, study.points[0].point, 0)
