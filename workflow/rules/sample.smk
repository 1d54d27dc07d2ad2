# From the study file to shards: what is planned, and one sampling job for each design point.


rule plan:
    output:
        f"{study_run.directory}/study.yaml",
        f"{study_run.directory}/points.parquet",
    params:
        study=study_run.fingerprint,
    log:
        f"{study_run.directory}/logs/plan.log",
    conda:
        "../../environment.yml"
    localrule: True
    run:
        study_run.plan()


# Shards are not declared: Snakemake removes the declared outputs of a job that fails, and a finished block must stay.
# The manifest says that all of them are there. `ancient`: what a point is, its key and params say, not a file's time.
rule sample:
    input:
        ancient(f"{study_run.directory}/points.parquet"),
    output:
        f"{study_run.directory}/samples/cell={{cell}}/{{key}}/_manifest.json",
    params:
        directory=lambda wildcards, input: Path(input[0]).parent,
        wanted=lambda wildcards: study_run.wanted[wildcards.key],
        device=study_run.device,
    log:
        f"{study_run.directory}/logs/sample/{{cell}}/{{key}}.log",
    conda:
        "../../environment.yml"
    threads: 1  # a light driver; in a cluster's job without RAY_ADDRESS, the CPUs of its own Ray
    shell:
        "rnnmc sample {params.directory} {wildcards.key} --device {params.device} --cpus {threads} 2> {log}"
