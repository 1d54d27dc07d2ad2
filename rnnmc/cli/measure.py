"""One design point, now."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rnnmc.cli.shared import (
    OF_POPULATIONS,
    Address,
    AsJson,
    CellOrLayer,
    Device,
    Dtype,
    ExplodeAbove,
    Layers,
    Quiet,
    Residual,
    VanishBelow,
    Width,
    app,
    examples,
    hold_unsaid,
    print_document,
)
from rnnmc.common.errors import UsageError
from rnnmc.common.quiet import say
from rnnmc.study.options import initialisation, known_device, parsed, replicates_wanted, splitting_wanted, steps_of

OF_PLAIN = ("replicates", "target_half_width", "until", "observables", "device")


@app.command(
    epilog=examples(
        "rnnmc measure torch.nn.LSTM --width 64 --horizons 10,100",
        "rnnmc measure gru --init gaussian --gain 2 --drive '{ar1: 0.9}' --json",
    )
)
def measure(
    command: typer.Context,
    cell: CellOrLayer,
    width: Width = 16,
    layers: Layers = 1,
    residual: Residual = False,
    init: Annotated[
        str | None,
        typer.Option(
            help="preset, layer or law (see `rnnmc initialisers`), or a mapping in YAML",
            show_default="the layer's; pytorch for a cell, published where its weights are vectors",
        ),
    ] = None,
    gain: Annotated[float | None, typer.Option(help="of the recurrent law: gaussian means N(0, gain^2/n)")] = None,
    input_std: Annotated[float | None, typer.Option(help="deviation of the input weights or of the field")] = None,
    bias: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, for example forget=1; repeatable")] = None,
    weights: Annotated[str, typer.Option(help="tied (a real RNN) or untied (recurrent ones fresh each step)")] = "tied",
    drive: Annotated[str, typer.Option(help="a drive (see `rnnmc drives`), or a mapping in YAML")] = "white",
    state_std: Annotated[float, typer.Option(help="deviation of the initial state")] = 0.0,
    horizons: Annotated[str, typer.Option("--horizons", "--steps", help="steps, in rising order")] = "10,100,1000",
    replicates: Annotated[int, typer.Option(help="random initialisations")] = 1000,
    target_half_width: Annotated[
        float | None, typer.Option(help="sample, up to a million, until P(vanish) and P(explode) are known so well")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(help="sample until this is reached, as under `replicates` of a study: {relative: 0.1, max: 1e6}"),
    ] = None,
    rare: Annotated[
        str | None,
        typer.Option(
            help="a rare event to find the probability of, at the last step: explode, vanish, stable, vanish_by, ..."
        ),
    ] = None,
    particles: Annotated[int, typer.Option(help="of a population, for --rare")] = 500,
    populations: Annotated[int, typer.Option(help="independent estimates of a rare event")] = 20,
    smallest: Annotated[float, typer.Option(help="probability at which --rare gives up")] = 1e-12,
    vanish: VanishBelow = 1e-3,
    explode: ExplodeAbove = 1e3,
    dtype: Dtype = "float32",
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="of every draw")] = 7888,
    observables: Annotated[
        str, typer.Option(help="what else to look at (see `rnnmc observables`): names with commas, or a list in YAML")
    ] = "norms",
    out: Annotated[Path | None, typer.Option(help="also write the samples to this Parquet file")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    address: Address = None,
) -> None:
    """Measure one design point, now. Prints a table by horizon, or the probability of a rare event."""
    from rnnmc.report.printing import printed
    from rnnmc.run.answer import answered
    from rnnmc.run.rare import rare_answer
    from rnnmc.study.point import DesignPoint
    from rnnmc.study.study import PlannedPoint, Thresholds

    if rare is None:
        hold_unsaid(command, OF_POPULATIONS, "it belongs to --rare; give --rare explode too")
    else:
        hold_unsaid(command, OF_PLAIN, "--rare runs populations, on the CPU; give --populations and --particles")
    if target_half_width is not None or until is not None:
        hold_unsaid(command, ["replicates"], "a goal decides on them; give --until '{half_width: 0.1, max: 500}'")
    splitting = (
        splitting_wanted(
            event=rare, particles=particles, smallest=smallest, vanish=float(vanish), explode=float(explode)
        )
        if rare is not None
        else None
    )
    point = DesignPoint(
        cell=cell, width=width, layers=layers, residual=residual,
        init=initialisation(init, gain, input_std, bias or [], cell), drive=parsed(drive),
        weights=weights, state_std=state_std, horizons=steps_of(horizons), dtype=dtype, seed=seed, splitting=splitting,
    )  # fmt: skip
    looked_at = parsed(observables) if observables[:1] in ("[", "{") else observables.split(",")
    many = replicates_wanted(replicates, target_half_width, until)
    plainly = {"until": many.until, "observables": looked_at} if rare is None else {}
    wanted = PlannedPoint.checked(point=point, replicates=many.most, **plainly)
    thresholds = Thresholds.checked(vanish=vanish, explode=explode)
    if out is not None:
        _hold_out(out)
    if rare is not None:
        answer = rare_answer(point, populations, address)
    else:
        answer = answered(wanted, thresholds, known_device(device), address)
        if answer.short_of is not None:
            say(f"rnnmc: {wanted.replicates:,} replicates only allowed to {answer.short_of}", sys.stderr)
    if out is not None:
        answer.write(out)
    if as_json:
        print_document(answer.as_json())
    else:
        printed(*answer.tables())


def _hold_out(out: Path) -> None:
    """Refuse a file that samples are not to be written to: one that is none, or that no `measure` has written."""
    from rnnmc.store.shards import metadata_of

    if out.is_dir():
        raise UsageError(f"--out: {out} is a folder; give a file")
    if not out.parent.is_dir():
        raise UsageError(f"--out: {out.parent} is not a folder; make it first")
    if out.suffix != ".parquet":
        raise UsageError(f"--out: {out} would hold Parquet; give a name that ends in .parquet")
    if out.exists() and metadata_of(out).keys() & {b"rnnmc", b"checksum"} != {b"rnnmc"}:  # of a study's: both
        raise UsageError(f"--out: {out} is there already and is of no earlier measurement; give another name")
