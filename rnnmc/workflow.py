"""What the Snakefile needs to know of a study, and the Ray head that lives as long as a run does."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from rnnmc.common.errors import RunError, UsageError
from rnnmc.common.granted import CPUS
from rnnmc.common.quiet import say
from rnnmc.run.checks.sound import hold_sound, warn_unseen
from rnnmc.run.cluster import dashboard_told, ray_address
from rnnmc.run.fanout import expected_seconds
from rnnmc.run.head import HEAD_FILE, Head, start_head
from rnnmc.run.pipeline import folder_of, leave_plan
from rnnmc.store.manifest import is_complete, promised, prove
from rnnmc.store.plan import cut_up, points_file, study_said
from rnnmc.store.proofs import PAGE, TABLES, Damaged, damaged_files
from rnnmc.store.stored_point import StoredPoint
from rnnmc.study.study import Study, load_study, read_study

CHUNK_SECONDS = 60.0  # nominal, on one core, of a sampling job, where there are points enough: it takes one to start
STUDY_FILE = "study_file"  # a word of --config
LONGEST_NAME = 60  # characters of a design point in the name of a chunk, which is that of a job, its log and its marker
MOST_OF_A_CHUNK = 500  # design points of a job, which are named on one command line


def chunks(points: Iterable[StoredPoint]) -> Iterator[list[StoredPoint]]:
    """The points of a study in their order, as many together as one job of the workflow samples."""
    chunk, seconds = [], 0.0
    for stored in points:
        chunk.append(stored)
        seconds += expected_seconds(stored, stored.replicates)
        if seconds >= CHUNK_SECONDS or len(chunk) == MOST_OF_A_CHUNK:
            yield chunk
            chunk, seconds = [], 0.0
    if chunk:
        yield chunk


def _then(ours: Callable[[], None], theirs: Callable[[Any], None]) -> Callable[[Any], None]:
    """A handler of Snakemake's that calls theirs, and then ours."""

    def handler(log: Any) -> None:
        theirs(log)
        ours()

    return handler


class Run:
    """One run of Snakemake over one study.

    config, workflow: Snakemake's own. A mistake in the study, or in a cell of one's own, ends the process with one
    sentence and exit code 2 before anything is written.
    """

    def __init__(self, config: dict[str, Any], workflow: Any):
        self.device = "auto"
        try:
            self.study = self._study(config, workflow)
            self.points = cut_up(self.study)
        except UsageError as error:
            say(f"rnnmc: {error}", sys.stderr)
            sys.exit(2)
        if workflow.is_main_process:
            warn_unseen(self.study.points)
        self.directory = folder_of(self.study).as_posix()
        self.written = self.study.written()
        own = {name: one.digest for point in self.study.points for name, one in point.sources().items() if one.digest}
        self.fingerprint = json.dumps(self.written | ({"sources": own} if own else {}), sort_keys=True)
        self.keys: dict[str, str] = {}  # name of a chunk -> the keys of its design points, with commas between
        try:
            for chunk in chunks(self.points):
                self._add(chunk, workflow.is_main_process)
        except Damaged as error:
            say(f"rnnmc: {error}", sys.stderr)
            sys.exit(1)
        if workflow.is_main_process:
            self._take_back_what_is_damaged()
        self.sampled = [self.marker(name) for name in self.keys]
        self.workflow = workflow
        # jobs find this environment's `rnnmc` though nobody has activated it
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.head: Head | None = None
        if not workflow.modifier.is_main_snakefile():
            self._be_called_of_a_module()

    def _be_called_of_a_module(self) -> None:
        """Have a run begin and end with us as well: Snakemake calls the main file's handlers, and none of a module.

        `snakedeploy` writes a main file that makes a module of ours. Its own handlers are called first, whether they
        stand before the module or after it.
        """
        for name, ours in (("onstart", self.start), ("onsuccess", self.succeed), ("onerror", self.stop)):
            setattr(self.workflow, f"_{name}", _then(ours, getattr(self.workflow, f"_{name}")))
            register = getattr(self.workflow, name)
            setattr(self.workflow, name, lambda theirs, ours=ours, register=register: register(_then(ours, theirs)))

    @staticmethod
    def _study(config: dict[str, Any], workflow: Any) -> Study:
        """The study of the one file given, read as `rnnmc run` reads it; of Snakemake's own merged config otherwise.

        The file is that of `--config study_file=...`, which Snakemake does not read, or of `--configfile`; what else
        `--config` says stands in place of what the file says.
        """
        files = [Path(path) for path in workflow.configfiles]
        hold = hold_sound if workflow.is_main_process else None  # its jobs need not check again
        instead = dict(workflow.config_settings.config)
        if STUDY_FILE in instead:
            return load_study(str(instead.pop(STUDY_FILE)), hold, instead)
        if len(files) == 1:
            (path,) = files
            return load_study(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path, hold, instead)
        return read_study(dict(config), " and ".join(path.name for path in files) or "config", hold)

    def _add(self, chunk: list[StoredPoint], main: bool) -> None:
        """Name a chunk after its first point and all that decides what it is to leave; take back its marker where that
        is there no more.
        """
        thresholds = self.study.thresholds
        said = json.dumps([[stored.key, promised(stored, thresholds)] for stored in chunk], sort_keys=True)
        first = re.sub(r"[^A-Za-z0-9.]+", "-", chunk[0].label)[:LONGEST_NAME].strip("-.")
        more = f"-and-{len(chunk) - 1}-more" if len(chunk) > 1 else ""
        name = f"{first}{more}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"
        self.keys[name] = ",".join(stored.key for stored in chunk)
        marker = Path(self.marker(name))
        folder = Path(self.directory)
        if not main or not marker.exists():
            return
        if not all(is_complete(folder, stored, thresholds) for stored in chunk):
            marker.unlink(missing_ok=True)
            return
        for stored in chunk:
            prove(folder, stored)

    def _take_back_what_is_damaged(self) -> None:
        """Have a stage made again whose files are not as it left them, and say so."""
        folder, stages = Path(self.directory), self.stages
        wrong: list[tuple[str, Exception]] = []
        if Path(stages["plan"]).exists():
            try:
                study_said(folder)
                points_file(folder)
            except (Damaged, UsageError) as error:
                wrong.append(("plan", error))
        for stage, listed in (("statistics", TABLES), ("report", PAGE)):
            if Path(stages[stage]).exists():
                wrong += [(stage, error) for error in damaged_files(folder / listed)]
                if not (folder / listed).exists():
                    wrong.append((stage, Damaged(folder / listed, "is not there")))
        for stage, error in wrong:
            Path(stages[stage]).unlink(missing_ok=True)
            say(f"rnnmc: {str(error).partition(';')[0]}; it is made again", sys.stderr)

    @property
    def stages(self) -> dict[str, str]:
        """What stands for a stage in Snakemake's eyes: a marker that all is planned, and links to what was made."""
        names = {"plan": "plan", "statistics": "statistics.csv", "report": "report.html", "figures": "figures"}
        return {stage: f"{self.directory}/stages/{name}" for stage, name in names.items()}

    def marker(self, chunk: str) -> str:
        """The file that says that a chunk has been sampled."""
        return f"{self.directory}/chunks/{chunk}"

    def start(self) -> None:
        """Leave study.yaml and points.parquet, and start one Ray head for all jobs (or join the one at RAY_ADDRESS).

        No head where `rnnmc study` has started one, nor where no design point lacks anything.
        """
        if HEAD_FILE in os.environ or self.head:  # `rnnmc study` has done both; who has a module may call its handler
            return
        try:
            leave_plan(Path(self.directory), self.study, self.points)
        except (RunError, UsageError) as error:
            say(f"rnnmc: {error}", sys.stderr)
            sys.exit(1 if isinstance(error, RunError) else 2)
        joined = bool(ray_address())
        if not self.workflow.local_exec and not joined:
            return  # without either, each job starts a Ray of its own inside its allocation
        folder, thresholds = Path(self.directory), self.study.thresholds
        if all(is_complete(folder, stored, thresholds) for stored in self.points):
            return
        cores = self.workflow.resource_settings.cores
        environment = os.environ | ({CPUS: str(cores)} if self.workflow.local_exec and cores else {})
        try:
            self.head = start_head(folder / "logs" / "ray-head.log", environment)
            address, dashboard = self.head.wait()
        except (RunError, UsageError) as error:
            self.stop()
            say(f"rnnmc: {error}", sys.stderr)
            sys.exit(1 if isinstance(error, RunError) else 2)
        os.environ |= {"RAY_ADDRESS": address, **self.head.of_jobs}
        os.environ["RAY_AUTH_MODE"] = os.environ.get("RAY_AUTH_MODE", "token")
        say(f"Ray at {address}; dashboard: {dashboard_told(dashboard, joined)}", sys.stderr)

    def succeed(self) -> None:
        """Stop the head and print the main table and where the page is; `rnnmc study` does that itself."""
        from rnnmc.report.terminal import show

        self.stop()
        if HEAD_FILE not in os.environ:
            show(Path(self.directory))

    def stop(self) -> None:
        """Stop the head, and with it a Ray that it started."""
        if self.head is not None:
            self.head.stop()
            self.head = None
