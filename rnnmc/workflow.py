"""What the Snakefile needs to know of a study, and the Ray head that lives as long as a run does."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from rnnmc import pipeline
from rnnmc.errors import RunError, UsageError
from rnnmc.head import Head, start_head
from rnnmc.places import Place
from rnnmc.study import Study, load_study, read_study


class Run:
    """One run of Snakemake over one study.

    config, workflow: Snakemake's own. A mistake in the study ends the process with one sentence and exit code 2
    before anything is written.
    """

    def __init__(self, config: dict[str, Any], workflow: Any):
        self.device = "auto"
        try:
            self.study = self._study(config, workflow)
        except UsageError as error:
            print(f"rnnmc: {error}", file=sys.stderr)
            sys.exit(2)
        self.directory = pipeline.folder_of(self.study).as_posix()
        places = [Place.of(planned) for planned in self.study.points]
        self.wanted = {place.key: self._wanted(place) for place in places}
        self.manifests = [pipeline.manifest_path(Path(self.directory), place).as_posix() for place in places]
        if workflow.is_main_process:
            pipeline.drop_stale_manifests(Path(self.directory), places)
        self.fingerprint = json.dumps(self.study.written(), sort_keys=True)
        self.workflow = workflow
        # jobs find this environment's `rnnmc` though nobody has activated it
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.head: Head | None = None

    @staticmethod
    def _study(config: dict[str, Any], workflow: Any) -> Study:
        """The study of the one file given, read as `rnnmc run` reads it; of Snakemake's own merged config otherwise."""
        files = [Path(path) for path in workflow.configfiles]
        if len(files) == 1 and not workflow.config_settings.config:
            (path,) = files
            return load_study(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
        return read_study(dict(config), " and ".join(path.name for path in files) or "config")

    def _wanted(self, place: Place) -> str:
        """What a place must hold, as text: its job runs again when that changes."""
        looking = [one.written() for one in place.observables]
        decided = [place.half_width, self.study.thresholds.model_dump()] if place.half_width else None
        return json.dumps([place.replicates, looking, decided])

    def plan(self) -> None:
        """Leave study.yaml and points.parquet."""
        pipeline.plan(self.study, Path(self.directory))

    def start(self) -> None:
        """Start one Ray head for all jobs (in the cluster at RAY_ADDRESS, if that is set), and tell the jobs of it."""
        if not self.workflow.local_exec and not os.environ.get("RAY_ADDRESS"):
            return  # each job starts a Ray of its own inside its allocation
        try:
            self.head = start_head(Path(self.directory) / "logs" / "ray-head.log")
        except (RunError, UsageError) as error:
            print(f"rnnmc: {error}", file=sys.stderr)
            sys.exit(1)
        os.environ["RAY_ADDRESS"] = self.head.address
        os.environ["RAY_AUTH_MODE"] = os.environ.get("RAY_AUTH_MODE", "token")
        print(f"Ray at {self.head.address}; dashboard: {self.head.dashboard or 'none'}", file=sys.stderr)

    def succeed(self) -> None:
        """Stop the head and print the main table and where the page is."""
        from rnnmc.cli import show

        self.stop()
        show(Path(self.directory))

    def stop(self) -> None:
        """Stop the head, and with it a Ray that it started."""
        if self.head is not None:
            self.head.stop()
            self.head = None
