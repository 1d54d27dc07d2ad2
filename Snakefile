# rnnmc: the study as a graph. plan -> sample (a job for each chunk of design points) -> aggregate -> report
#
#   snakemake -j 8                                       the default study
#   snakemake -j 8 --configfile config/real.yaml         another one
#   RAY_ADDRESS=head:6379 snakemake -j 64                on a Ray cluster
#
# A chunk is one design point, or several that are small. -j says how many chunks are in flight; Ray's CPUs say how
# many blocks run.
from pathlib import Path

from snakemake.utils import min_version, validate

from rnnmc.workflow import Run

min_version("9.0")

if not config:

    configfile: "config/default.yaml"


study_run = Run(config, workflow)
validate(study_run.written, "workflow/schemas/study.schema.json", set_default=False)


include: "workflow/rules/sample.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/study.rst"


rule all:
    default_target: True
    input:
        study_run.stages["report"],
        study_run.sampled,  # so that a sample lost since the page was made is filled in


onstart:
    study_run.start()


onsuccess:
    study_run.succeed()


onerror:
    study_run.stop()
