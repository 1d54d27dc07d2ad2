"""ro-crate-metadata.json: a workflow-run RO-Crate, an action for each study that was run.

Source: w3id.org/ro/wfrun/workflow/0.5, on RO-Crate 1.1.
"""

from __future__ import annotations

import json
from typing import Any

from rnnmc.run.packages.package import (
    ABOUT,
    AUTHORS,
    KEYWORDS,
    LICENCE_ADDRESS,
    LICENCE_NAME,
    TITLE,
    Contents,
    DataFile,
    Making,
    Package,
)

AGAIN_FILE, README = "Snakefile", "README.md"
WORKFLOW = """\
# Makes every study of this folder anew, below again/, with rnnmc: snakemake --cores 4 --workflow-profile none
# (Without the option Snakemake would take a study that is called default for its profile.)
STUDIES = glob_wildcards("{study,[^/]+}/study.yaml").study


rule all:
    input:
        expand("again/{study}/statistics.parquet", study=STUDIES),


rule study:
    input:
        "{study}/study.yaml",
    output:
        "again/{study}/statistics.parquet",
    shell:
        "rnnmc run {input} --results again"
"""
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
CRATE, WORKFLOW_CRATE = "https://w3id.org/ro/crate/1.1", "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
MORE_TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}  # than RO-Crate 1.1 knows
SNAKEMAKE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
MAKERS, ASKS, GIVES = "#authors", "#study-file", "#statistics"  # entities that are no files


class RoCrate(Package):
    """A crate of all files, in which each study is the result of a run of WORKFLOW."""

    name = "ro-crate-metadata.json"

    def text(self, contents):
        files = [*contents.files]
        studies = contents.studies
        graph = [
            _entity("ro-crate-metadata.json", "CreativeWork", about=_at("./"), conformsTo=_at(CRATE, WORKFLOW_CRATE)),
            _entity(
                "./",
                "Dataset",
                name=TITLE,
                description=ABOUT,
                datePublished=contents.published,
                license=_at(LICENCE_ADDRESS),
                keywords=", ".join(KEYWORDS),
                author=_at(MAKERS),
                publisher=_at(MAKERS),
                conformsTo=_at(*PROFILES),
                mainEntity=_at(AGAIN_FILE),
                hasPart=_at(README, *(one.path for one in files)),
                mentions=_at(*(f"#run-{name}" for name in studies)),
            ),
            *(_entity(at, "CreativeWork", name=name, version=version) for at, (name, version) in PROFILES.items()),
            _entity(LICENCE_ADDRESS, "CreativeWork", name=LICENCE_NAME, identifier=LICENCE_ADDRESS),
            _entity(MAKERS, "Organization", name=AUTHORS),
            _entity(
                SNAKEMAKE,
                "ComputerLanguage",
                name="Snakemake",
                identifier="https://doi.org/10.1093/bioinformatics/bts480",
                url="https://snakemake.readthedocs.io",
            ),
            _parameter(ASKS, "study file", [f"{name}/study.yaml" for name in studies]),
            _parameter(GIVES, "statistics", [f"{name}/statistics.parquet" for name in studies]),
            _entity(README, "File", name=README, encodingFormat="text/markdown", about=_at("./")),
            *(_file(one, contents) for one in files),
            *(_run(name, making, files) for name, making in studies.items()),
        ]
        return json.dumps({"@context": [f"{CRATE}/context", MORE_TERMS], "@graph": graph}, indent=1) + "\n"


def _entity(at: str, kind: str | list[str], **said: Any) -> dict[str, Any]:
    return {"@id": at, "@type": kind} | said


def _at(*places: str) -> Any:
    found = [{"@id": place} for place in places]
    return found[0] if len(found) == 1 else found


def _parameter(at: str, name: str, examples: list[str]) -> dict[str, Any]:
    return _entity(
        at,
        "FormalParameter",
        name=name,
        description=f"the {name} of one study",
        additionalType="File",
        workExample=_at(*examples),
    )


def _file(file: DataFile, contents: Contents) -> dict[str, Any]:
    said: dict[str, Any] = {
        "name": file.path,
        "contentSize": str(file.size),
        "encodingFormat": file.media,
        "sha256": file.sha256,
    }
    if file.path == AGAIN_FILE:
        more = {"name": "Every study of this folder", "programmingLanguage": _at(SNAKEMAKE)}
        more |= {"input": _at(ASKS), "output": _at(GIVES), "version": contents.version, "creator": _at(MAKERS)}
        more |= {
            "license": _at(LICENCE_ADDRESS),
            "conformsTo": _at("https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"),
        }
        return _entity(file.path, ["File", "SoftwareSourceCode", "ComputationalWorkflow"], **(said | more))
    if file.path.endswith("/study.yaml"):
        said["exampleOfWork"] = _at(ASKS)
    if file.path.endswith("/statistics.parquet"):
        said["exampleOfWork"] = _at(GIVES)
    return _entity(file.path, "File", **said)


def _run(name: str, making: Making, files: list[DataFile]) -> dict[str, Any]:
    """The run of one study."""
    commit = f", commit {', '.join(making.commits)}" if making.commits else ""
    results = [one.path for one in files if one.study == name and one.path != f"{name}/study.yaml"]
    said: dict[str, Any] = {
        "name": f"Run of the study {name}",
        "description": f"As `rnnmc run {name}/study.yaml` does, by {', '.join(making.versions) or 'rnnmc'}{commit}",
        "instrument": _at(AGAIN_FILE),
        "agent": _at(MAKERS),
        "object": _at(f"{name}/study.yaml"),
        "result": _at(*results),
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }
    said |= {key: f"{value}+00:00" for key, value in (("startTime", making.start), ("endTime", making.end)) if value}
    return _entity(f"#run-{name}", "CreateAction", **said)


PACKAGE = RoCrate()
