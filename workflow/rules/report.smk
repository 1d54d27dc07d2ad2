# From statistics to figures and the page.


rule report:
    input:
        study_run.stages["plan"],
        study_run.stages["statistics"],
    output:
        page=report(
            study_run.stages["report"],
            caption="../report/page.rst",
            category="Page",
        ),
        figures=report(
            directory(study_run.stages["figures"]),
            patterns=["{name}.png"],
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{name}"},
        ),
    log:
        f"{study_run.directory}/logs/report.log",
    conda:
        "../../environment.yml"
    params:
        directory=lambda wildcards, input: Path(input[0]).parent.parent,
    shell:
        "rnnmc report {params.directory} > {log} 2>&1 && ln -sfn ../report.html {output.page}"
        " && ln -sfn ../figures {output.figures}"
