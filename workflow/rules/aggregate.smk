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
        thresholds=study_run.study.thresholds.model_dump(),
        interval=study_run.study.interval,
        oracles=study_run.study.oracles,
        claims=study_run.study.claims,
    log:
        f"{study_run.directory}/logs/aggregate.log",
    conda:
        "../../environment.yml"
    shell:
        "rnnmc statistics {params.directory} --vanish {params.thresholds[vanish]} "
        "--explode {params.thresholds[explode]} --interval {params.interval} > {log} 2>&1"
