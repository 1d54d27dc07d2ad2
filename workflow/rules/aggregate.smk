# From shards to statistics: thresholds and intervals are applied here, and only here.


rule aggregate:
    input:
        f"{study_run.directory}/points.parquet",
        study_run.sampled,
    output:
        report(
            f"{study_run.directory}/statistics.csv",
            caption="../report/statistics.rst",
            category="Numbers",
        ),
        f"{study_run.directory}/statistics.parquet",
    params:
        directory=lambda wildcards, input: Path(input[0]).parent,
        counted_by=[
            study_run.study.thresholds.model_dump(),
            study_run.study.interval,
            study_run.study.oracles,
            study_run.study.claims,
        ],
    log:
        f"{study_run.directory}/logs/aggregate.log",
    conda:
        "../../environment.yml"
    shell:
        "rnnmc statistics {params.directory} > {log} 2>&1"
