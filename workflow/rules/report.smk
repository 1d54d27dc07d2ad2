# From statistics to figures and the page.


rule report:
    input:
        f"{study_run.directory}/study.yaml",
        f"{study_run.directory}/points.parquet",
        f"{study_run.directory}/statistics.parquet",
    output:
        report(
            f"{study_run.directory}/report.html",
            caption="../report/page.rst",
            category="Page",
        ),
        report(
            directory(f"{study_run.directory}/figures"),
            patterns=["{name}.png"],
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{name}"},
        ),
    params:
        directory=lambda wildcards, input: Path(input[0]).parent,
    log:
        f"{study_run.directory}/logs/report.log",
    conda:
        "../../environment.yml"
    shell:
        "rnnmc report {params.directory} > {log} 2>&1"
