"""A study, from its file to its page, and what is told of its folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rnnmc.cli.shared import (
    Address,
    AsJson,
    Device,
    EveryPoint,
    Folder,
    Quiet,
    StudyFile,
    answer,
    app,
    examples,
    finished,
    wrote,
)
from rnnmc.common.errors import RunError, UsageError
from rnnmc.common.quiet import on_the_way, say
from rnnmc.common.words import number_of
from rnnmc.study.options import known_device

RESULTS = "results"  # the folder


@app.command(epilog=examples("rnnmc run config/smoke.yaml", "rnnmc run config/smoke.yaml --results s3://bucket/prefix"))
def run(
    study_file: StudyFile,
    address: Address = None,
    device: Device = "auto",
    results: Annotated[
        str, typer.Option(help="folder, or an address to keep them at too: s3://bucket/prefix")
    ] = RESULTS,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run a whole study without Snakemake. The same results in the same files."""
    from rnnmc.run.aggregate import aggregate
    from rnnmc.run.checks.sound import sound_study
    from rnnmc.run.cluster import connected, dashboard_told, ray_address
    from rnnmc.run.dispatcher import start_dispatcher
    from rnnmc.run.pipeline import folder_of, tell_of_another
    from rnnmc.run.pipeline import plan as write_plan
    from rnnmc.run.pipeline import report as write_report
    from rnnmc.run.progress import progress
    from rnnmc.run.sampling import jobs_missing, replicates_of, sample_all
    from rnnmc.run.settled import hold_form
    from rnnmc.run.so_far import with_pages
    from rnnmc.store.plan import settled

    there = {"results": results} if "://" in results else {}
    study, device = sound_study(study_file, there), known_device(device)
    folder = Path(RESULTS if there else results)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--results: {folder} is a file; give a folder")
    directory = folder_of(study, folder)
    points = write_plan(study, directory)
    form = settled(directory)
    jobs = jobs_missing(directory, points, study.thresholds)
    if jobs:
        tell_of_another(directory, list({job.stored.key: job.stored for job in jobs}.values()))
        with (
            connected(address, dashboard=True, name=study.study) as cluster,
            progress(study.study, replicates_of(jobs, points)) as told,
            with_pages(directory, told) as tell,
        ):
            where = dashboard_told(cluster.dashboard, bool(address or ray_address()))
            on_the_way(f"Ray on {cluster.cpus} CPUs and {cluster.gpus} GPUs; dashboard: {where}")
            dispatcher = start_dispatcher(cluster, shared=True)  # one to the end, whose counts Prometheus can follow
            sample_all(directory, points, study.thresholds, cluster, device, tell, jobs)
            del dispatcher
    else:
        on_the_way("nothing to sample: every block is there")
        sample_all(directory, points, study.thresholds, None, device, jobs=jobs)
    hold_form(directory, form)
    aggregate(directory, study.thresholds, study.interval, study.oracles, study.claims)
    write_report(directory)
    hold_form(directory, form)
    finished(as_json, directory)


@app.command(epilog=examples("rnnmc plan config/default.yaml", "rnnmc plan config/default.yaml --all"))
def plan(study_file: StudyFile, every: EveryPoint = False, as_json: AsJson = False) -> None:
    """Say what a study will cost, before anything runs. What it is, and what its keys do not see."""
    from rnnmc.run.checks.sound import sound_study
    from rnnmc.run.planning import cost, cost_told

    answer(as_json, cost(sound_study(study_file)), lambda said: cost_told(said, every))


@app.command(hidden=True)
def sample(directory: Folder, keys: str, device: Device = "auto", cpus: int | None = None) -> None:
    """Sample design points of a planned study over Ray: a job of the workflow.

    keys: of the points, with commas between; "-" for those that standard input has, which no list of processes or of
    Ray's jobs then shows.
    """
    from rnnmc.run.cluster import connected
    from rnnmc.run.head import address_of_head, end_with_run
    from rnnmc.run.progress import progress
    from rnnmc.run.sampling import jobs_missing, replicates_of, sample_all
    from rnnmc.store.plan import planned, study_said
    from rnnmc.study.study import Thresholds

    end_with_run()
    points = planned(directory, set((sys.stdin.read().strip() if keys == "-" else keys).split(",")))
    thresholds = Thresholds.checked(**study_said(directory)["thresholds"])
    jobs = jobs_missing(directory, points, thresholds)
    title = points[0].label + (f" and {len(points) - 1} more" if len(points) > 1 else "")
    if not jobs:
        sample_all(directory, points, thresholds, None, known_device(device), jobs=jobs)
        return
    with (
        connected(address_of_head(), cpus, name=f"{directory.resolve().name}: {title}") as cluster,
        progress(title, replicates_of(jobs, points)) as tell,
    ):
        sample_all(directory, points, thresholds, cluster, known_device(device), tell, jobs)


@app.command(epilog=examples("rnnmc status results/default --watch", "rnnmc status results/default --all"))
def status(
    directory: Folder,
    watched: Annotated[bool, typer.Option("--watch", help="one line that follows it until it is finished")] = False,
    every: EveryPoint = False,
    as_json: AsJson = False,
) -> None:
    """Say what is done, running and missing."""
    from rnnmc.run.live import watch
    from rnnmc.run.planning import status as how_far
    from rnnmc.run.planning import status_told

    if watched and as_json:
        raise UsageError("--json: is given beside --watch, which prints no document; give one of the two")
    if watched:
        try:
            watch(directory)
        except KeyboardInterrupt:  # of who watches, not of the study
            return
        say(f"{directory} is finished: rnnmc show {directory}")
        return
    answer(as_json, how_far(directory), lambda said: status_told(said, every))


@app.command(epilog=examples("rnnmc verify results/default", "rnnmc verify results/default --repair"))
def verify(
    directory: Folder,
    repair: Annotated[bool, typer.Option(help="make what is damaged or missing again")] = False,
    as_json: AsJson = False,
) -> None:
    """Check every file that is trusted later. Each shard against its checksum and schema; exit 1 and a list if any
    is bad.
    """
    from rnnmc.store.verify import verify as prove

    proof = prove(directory)
    words = proof.told(directory)
    if not as_json:  # at once, for a repair takes its time
        print(*words, sep="\n", end="\n" * bool(words))
    if repair and (proof.damaged or proof.missing or proof.fewer):
        from rnnmc.run.repair import repair as make_again

        proof = make_again(directory, proof)
        left = f"{len(proof.damaged)} damaged files and {len(proof.missing)} missing shards are left"
        if not as_json:
            print(f"repaired; {left}", *proof.damaged, sep="\n")
    sound = not proof.damaged and bool(proof.read or not proof.missing)
    answer(as_json, proof.document(directory), lambda _: [proof.whole] * sound)
    if proof.damaged:
        wrong = number_of(len(proof.damaged), "file is", "files are")
        raise RunError(f"{directory}: {wrong} damaged; {proof.read} shards were read")
    if proof.missing and not proof.read:
        raise RunError(f"{directory}: no shard is there")


@app.command(
    epilog=examples(
        "rnnmc statistics results/default --vanish 1e-2", "rnnmc statistics results/default --interval jeffreys"
    )
)
def statistics(
    directory: Folder,
    vanish: Annotated[float | None, typer.Option(help="another threshold than the study's")] = None,
    explode: Annotated[float | None, typer.Option(help="another threshold than the study's")] = None,
    interval: Annotated[
        str | None, typer.Option(help="wilson, jeffreys, clopper-pearson or confidence-sequence")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Aggregate the samples again. Other thresholds or intervals go to a folder of their own. Samples nothing."""
    from rnnmc.run.look import count_again

    wrote(as_json, count_again(directory, vanish, explode, interval))


@app.command(epilog=examples("rnnmc report results/default", "rnnmc report results/default --so-far"))
def report(
    directory: Folder,
    so_far: Annotated[
        bool, typer.Option("--so-far", help="a page of what is there, of a study that still runs or was stopped")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write figures and page from the statistics. Samples nothing."""
    if so_far:
        from rnnmc.run.so_far import report_so_far

        wrote(as_json, report_so_far(directory))
        return
    from rnnmc.run.pipeline import report as write_report

    wrote(as_json, write_report(directory))


@app.command(epilog=examples("rnnmc show results/default --all", "rnnmc show results/default --horizon 100"))
def show(
    directory: Folder,
    every: Annotated[bool, typer.Option("--all", help="every design point, however many there are")] = False,
    horizon: Annotated[int | None, typer.Option(help="steps at which to look, in place of the last")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the main table and where the page is. The last words of a run."""
    finished(as_json, directory, every, horizon)
