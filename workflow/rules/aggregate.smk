# From shards to statistics: thresholds and intervals are applied here, and only here.


# Of tables and page links are declared, for what is declared is removed as soon as its stage starts: one that fails
# leaves what was there.
rule aggregate:
    input:
        study_run.stages["plan"],
        study_run.sampled,
    output:
        report(
            study_run.stages["statistics"],
            caption="../report/statistics.rst",
            category="Numbers",
        ),
    log:
        f"{study_run.directory}/logs/aggregate.log",
    conda:
        "../../environment.yml"
    params:
        directory=lambda wildcards, input: Path(input[0]).parent.parent,
        counted_by=[
            study_run.study.thresholds.model_dump(),
            study_run.study.interval,
            study_run.study.oracles,
            study_run.study.claims,
        ],
    shell:
        "rnnmc statistics {params.directory} > {log} 2>&1 && ln -sfn ../statistics.csv {output}"
