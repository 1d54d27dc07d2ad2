# From the study file to shards: what is planned, and one sampling job for each chunk of design points.


rule plan:
    output:
        touch(study_run.stages["plan"]),
    log:
        f"{study_run.directory}/logs/plan.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        study=study_run.fingerprint,
    shell:
        ":"  # the plan is left before the first job starts, by a process that has read the study anyway


# Shards and manifests are not declared: Snakemake removes the declared outputs of a job that fails, and a finished
# block must stay. The marker says that all of a chunk are there. `ancient`: what a chunk is to leave, its name says.
rule sample:
    input:
        ancient(study_run.stages["plan"]),
    output:
        touch(study_run.marker("{chunk}")),
    log:
        f"{study_run.directory}/logs/sample/{{chunk}}.log",
    conda:
        "../../environment.yml"
    threads: 1  # a light driver; in a cluster's job without RAY_ADDRESS, the CPUs of its own Ray
    params:
        directory=lambda wildcards, input: Path(input[0]).parent.parent,
        points=lambda wildcards: study_run.keys[wildcards.chunk],
        device=study_run.device,
    shell:
        "echo {params.points} | rnnmc sample {params.directory} - --device {params.device} --cpus {threads} 2> {log}"
