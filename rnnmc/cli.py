"""The command line. Exit codes: 0 done, 1 a run or check failed, 2 wrong usage, 130 interrupted."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from rnnmc.common.errors import RunError, UsageError
from rnnmc.study.options import initialisation, known_device, parsed

app = typer.Typer(
    help="How probable is it that the gradient of a recurrent network vanishes, or explodes? Measured.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

StudyFile = Annotated[Path, typer.Argument(help="study file, such as config/default.yaml")]
Folder = Annotated[Path, typer.Argument(help="folder of a study, such as results/default")]
CellName = Annotated[str, typer.Argument(help="a cell (see `rnnmc cells`) or module:attribute of your own")]
Width = Annotated[int, typer.Option(help="n, units")]
Dtype = Annotated[str, typer.Option(help="float32 or float64")]
Device = Annotated[str, typer.Option(help="auto (a GPU where there is one), cpu or cuda")]
Address = Annotated[str | None, typer.Option(help="of a Ray cluster; else RAY_ADDRESS, else a local Ray")]


def main() -> None:
    """Run a command, and turn every foreseen failure into one sentence and an exit code."""
    code: int | None = 0
    try:
        code = app(standalone_mode=False)
    except UsageError as error:
        _fail(str(error), 2)
    except RunError as error:
        _fail(str(error), 1)
    except TyperException as error:  # every mistake in options and arguments
        context = getattr(error, "ctx", None)
        said = getattr(error, "format_message", error.__str__)()
        _fail(f"{said.rstrip('.')}; see {context.command_path if context else 'rnnmc'} --help", 2)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except MemoryError as error:
        _fail(f"not enough memory ({error or 'no word'}); give a smaller width or fewer replicates", 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `| head` closed the pipe: nothing to tell
    if code == 130:  # what typer itself returns when interrupted
        _fail("interrupted; finished blocks are kept: run again to go on", 130)
    sys.exit(code or 0)


def _fail(sentence: str, code: int) -> None:
    print(f"rnnmc: {sentence}", file=sys.stderr)
    sys.exit(code)


@app.command()
def measure(
    cell: CellName,
    width: Width = 16,
    init: Annotated[
        str, typer.Option(help="preset or law (see `rnnmc initialisers`), or a mapping in YAML")
    ] = "pytorch",
    gain: Annotated[float | None, typer.Option(help="of the recurrent law: gaussian means N(0, gain^2/n)")] = None,
    input_std: Annotated[float | None, typer.Option(help="deviation of the input weights or of the field")] = None,
    bias: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, for example forget=1; repeatable")] = None,
    weights: Annotated[str, typer.Option(help="tied (a real RNN) or untied (recurrent ones fresh each step)")] = "tied",
    drive: Annotated[str, typer.Option(help="a drive (see `rnnmc drives`), or a mapping in YAML")] = "white",
    state_std: Annotated[float, typer.Option(help="deviation of the initial state")] = 0.0,
    horizons: Annotated[str, typer.Option(help="steps, in rising order")] = "10,100,1000",
    replicates: Annotated[int, typer.Option(help="random initialisations")] = 1000,
    target_half_width: Annotated[
        float | None, typer.Option(help="sample, up to a million, until P(vanish) and P(explode) are known so well")
    ] = None,
    vanish: Annotated[float, typer.Option(help="a norm below this has vanished")] = 1e-3,
    explode: Annotated[float, typer.Option(help="a norm above this has exploded")] = 1e3,
    dtype: Dtype = "float32",
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="of every draw")] = 7888,
    observables: Annotated[
        str, typer.Option(help="what else to look at (see `rnnmc observables`): names with commas, or a list in YAML")
    ] = "norms",
    out: Annotated[Path | None, typer.Option(help="also write the samples to this Parquet file")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the statistics as JSON")] = False,
    address: Address = None,
) -> None:
    """Measure one design point, now, and print a table by horizon."""
    from rnnmc.report.terminal import printed
    from rnnmc.run.answer import answered
    from rnnmc.study.point import DesignPoint
    from rnnmc.study.study import PlannedPoint, Thresholds

    try:
        steps = [int(part) for part in horizons.split(",")]
    except ValueError:
        raise UsageError(f"--horizons: {horizons!r} is not a list of steps; give for example 10,100,1000") from None
    point = DesignPoint(
        cell=cell, width=width, init=initialisation(init, gain, input_std, bias or []), drive=parsed(drive),
        weights=weights, state_std=state_std, horizons=steps, dtype=dtype, seed=seed,
    )  # fmt: skip
    looked_at = parsed(observables) if observables[:1] in ("[", "{") else observables.split(",")
    wanted = PlannedPoint.checked(point=point, replicates=1, observables=looked_at)
    thresholds = Thresholds.checked(vanish=vanish, explode=explode)
    if out is not None and out.is_dir():
        raise UsageError(f"--out: {out} is a folder; give a file")
    if out is not None and not out.parent.is_dir():
        raise UsageError(f"--out: {out.parent} is not a folder; make it first")
    answer = answered(wanted, replicates, target_half_width, thresholds, known_device(device), address)
    if answer.short_of is not None:
        print(
            f"rnnmc: a million replicates give +- {answer.short_of:.2g}, not yet +- {target_half_width:g}",
            file=sys.stderr,
        )
    if out is not None:
        answer.write(out)
    if as_json:
        print(answer.as_json())
    else:
        printed(*answer.tables())


@app.command()
def run(
    study_file: StudyFile, address: Address = None, device: Device = "auto", results: Path = Path("results")
) -> None:
    """Run a whole study without Snakemake: the same results in the same files."""
    from rnnmc.report.terminal import show
    from rnnmc.run.aggregate import aggregate
    from rnnmc.run.checks.sound import sound_study
    from rnnmc.run.cluster import connected
    from rnnmc.run.pipeline import folder_of
    from rnnmc.run.pipeline import plan as write_plan
    from rnnmc.run.pipeline import report as write_report
    from rnnmc.run.progress import progress
    from rnnmc.run.sampling import jobs_missing, replicates_of, sample_all

    study, device = sound_study(study_file), known_device(device)
    if results.exists() and not results.is_dir():
        raise UsageError(f"--results: {results} is a file; give a folder")
    directory = folder_of(study, results)
    points = write_plan(study, directory)
    jobs = jobs_missing(directory, points, study.thresholds)
    if jobs:
        with (
            connected(address, dashboard=True) as cluster,
            progress(study.study, replicates_of(jobs, points)) as tell,
        ):
            print(
                f"Ray on {cluster.cpus} CPUs and {cluster.gpus} GPUs; dashboard: {cluster.dashboard or 'none'}",
                file=sys.stderr,
            )
            sample_all(directory, points, study.thresholds, cluster, device, tell, jobs)
    else:
        print("nothing to sample: every block is there", file=sys.stderr)
        sample_all(directory, points, study.thresholds, None, device, jobs=jobs)
    aggregate(directory, study.thresholds, study.interval, study.oracles, study.claims)
    write_report(directory)
    show(directory)


@app.command()
def plan(study_file: StudyFile) -> None:
    """Say what a study is, what it will cost and what its keys do not see, before anything runs."""
    from rnnmc.report.terminal import printed
    from rnnmc.run.checks.sound import sound_study, unseen
    from rnnmc.run.planning import cost_tables

    study = sound_study(study_file)
    printed(*cost_tables(study))
    for sentence in unseen(study.points):
        print(sentence)


@app.command(hidden=True)
def sample(directory: Folder, keys: str, device: Device = "auto", cpus: int | None = None) -> None:
    """Sample design points of a planned study, keys with commas between, over Ray: a job of the workflow."""
    from rnnmc.run.cluster import connected
    from rnnmc.run.progress import progress
    from rnnmc.run.sampling import jobs_missing, replicates_of, sample_all
    from rnnmc.store.plan import planned, study_said
    from rnnmc.study.study import Thresholds

    points = planned(directory, set(keys.split(",")))
    thresholds = Thresholds.checked(**study_said(directory)["thresholds"])
    jobs = jobs_missing(directory, points, thresholds)
    title = points[0].label + (f" and {len(points) - 1} more" if len(points) > 1 else "")
    if not jobs:
        sample_all(directory, points, thresholds, None, known_device(device), jobs=jobs)
        return
    with (
        connected(cpus=cpus) as cluster,
        progress(title, replicates_of(jobs, points)) as tell,
    ):
        sample_all(directory, points, thresholds, cluster, known_device(device), tell, jobs)


@app.command()
def status(directory: Folder) -> None:
    """Say what is done, running and missing."""
    from rnnmc.report.terminal import printed
    from rnnmc.run.planning import status_table

    printed(status_table(directory))


@app.command()
def verify(
    directory: Folder, repair: Annotated[bool, typer.Option(help="compute damaged and missing shards again")] = False
) -> None:
    """Check every shard against its checksum and schema; exit 1 and a list if any is bad."""
    from rnnmc.run.sampling import repair as compute_again
    from rnnmc.store.folder import shard_path
    from rnnmc.store.verify import verify as prove

    proof = prove(directory)
    for error in proof.damaged:
        print(error)
    for stored, block in proof.missing:
        print(
            f"{shard_path(directory, stored, block)}: is missing; rnnmc verify --repair or another run will compute it"
        )
    for path in proof.unplanned:
        print(f"{path}: is no part of this study as it stands; no statistic counts it")
    if repair and (proof.damaged or proof.missing):
        compute_again(directory, proof)
        proof = prove(directory)
        print(f"repaired; {len(proof.damaged)} damaged and {len(proof.missing)} missing shards are left")
    if proof.damaged:
        raise RunError(f"{directory}: {len(proof.damaged)} of {proof.read} shards are damaged")
    if proof.missing and not proof.read:
        raise RunError(f"{directory}: no shard is there")
    also = f", {len(proof.missing)} missing" if proof.missing else ""
    print(f"{proof.read} shards whole{also}; samples SHA-256 {proof.digest}")


@app.command()
def statistics(
    directory: Folder,
    vanish: Annotated[float | None, typer.Option(help="another threshold than the study's")] = None,
    explode: Annotated[float | None, typer.Option(help="another threshold than the study's")] = None,
    interval: Annotated[
        str | None, typer.Option(help="wilson, jeffreys, clopper-pearson or confidence-sequence")
    ] = None,
) -> None:
    """Aggregate the samples again. Other thresholds or intervals go to a folder of their own. Samples nothing."""
    from rnnmc.run.look import count_again

    print(count_again(directory, vanish, explode, interval))


@app.command()
def report(directory: Folder) -> None:
    """Write figures and page from the statistics that are there. Samples nothing."""
    from rnnmc.run.pipeline import report as write_report

    print(write_report(directory))


@app.command(hidden=True)
def show(directory: Folder) -> None:
    """Print the main table and where the page is: the last words of a run."""
    from rnnmc.report.terminal import show as show_study

    show_study(directory)


@app.command()
def cells() -> None:
    """List the cells, with formula and source."""
    from rnnmc.cells import cells as all_cells

    _list("cell", {name: (cell.formula, cell.source) for name, cell in all_cells().items()})


@app.command()
def initialisers() -> None:
    """List the presets and laws of weights, with formula and source."""
    from rnnmc.initialisers import laws, presets

    _list("preset", {name: (preset.formula, preset.source) for name, preset in presets().items()})
    _list("law", {name: (law.formula, law.source) for name, law in laws().items()})


@app.command()
def observables() -> None:
    """List what can be looked at along a chain beside its norm, with formula and source."""
    from rnnmc.observables import observables as all_observables

    _list("observable", {name: (one.formula, one.source) for name, one in all_observables().items()})


@app.command()
def drives() -> None:
    """List the kinds of input sequence, with formula and source."""
    from rnnmc.drives import drives as all_drives

    _list("drive", {name: (drive.formula, drive.source) for name, drive in all_drives().items()})


def _list(title: str, rows: dict[str, tuple[str, str]], first: str = "formula", second: str = "source") -> None:
    from rnnmc.report.terminal import described_table, printed

    printed(described_table(title, rows, first, second))


@app.command()
def claims() -> None:
    """The article's claims as questions: what is estimated, and the rule that decides; every study may ask them."""
    from rnnmc.claims import claims as every

    for claim in every().values():
        parts = {part.name: (f"{part.says}; {part.quantity}", part.rule) for part in claim.parts}
        _list(f"{claim.name}: {claim.states}", parts, "what is decided, and the estimate", "rule")


@app.command()
def dataset(
    directories: Annotated[list[Path], typer.Argument(help="folders of studies, such as results/article")],
    out: Annotated[Path, typer.Option(help="the folder to write")] = Path("results/dataset"),
    samples: Annotated[list[Path] | None, typer.Option(help="of these studies the samples too; repeatable")] = None,
) -> None:
    """Write the statistics of studies, and the samples of some, as a folder to publish: readable without rnnmc."""
    from rnnmc.run.publish import write_dataset

    size = write_dataset(out, directories, samples or [])
    print(f"{out}: {size / 1e6:.1f} MB")


@app.command()
def kernel(cell: CellName, width: Width = 16, dtype: Dtype = "float32") -> None:
    """Print the C that is made for a cell; docs/design.md walks through one."""
    from rnnmc.engine.kernel_source import kernel_source

    print(kernel_source(cell, width, dtype), end="")


@app.command(name="check-cell")
def check_cell(
    cell: CellName,
    width: Annotated[int, typer.Option(help="n, units", min=1, max=256)] = 5,
    seed: Annotated[int, typer.Option(help="of the draws", min=0)] = 0,
) -> None:
    """Check a cell against autograd, finite differences, batch independence and its exact laws; exit 1 on a mistake."""
    from rnnmc.run.checks import check_cell_and_kernels

    _tell(cell, check_cell_and_kernels(cell, width, seed))


@app.command(name="check")
def check_one(
    kind: Annotated[str, typer.Argument(help="cell, initialiser, drive, observable, law, analysis, picture or claim")],
    name: Annotated[str, typer.Argument(help="its name, or a mapping in YAML, such as '{ar1: 0.5}'")],
) -> None:
    """Check one thing of any kind against what its kind promises; exit 1 on a mistake."""
    from rnnmc.run.checks import check

    _tell(f"{kind} {name}", check(kind, name))


def _tell(name: str, results: list[Any]) -> None:
    from rnnmc.report.terminal import checks_table, printed

    printed(checks_table(results))
    wrong = [one.name for one in results if not one.passed]
    if wrong:
        raise RunError(f"{name}: {len(wrong)} of {len(results)} checks failed: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
