"""The network that somebody has."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rnnmc.cli.shared import AsJson, ExplodeAbove, VanishBelow, app, examples, print_document
from rnnmc.common.errors import UsageError
from rnnmc.common.quiet import say
from rnnmc.study.options import parsed, steps_of

STEPS = 1000  # unless said


@app.command(
    epilog=examples(
        "rnnmc inspect model.pt --series readings.csv --column value",
        "rnnmc inspect before.pt after.pt --steps 200 --fresh 100",
    )
)
def inspect(
    what: Annotated[
        str, typer.Argument(help="state_dict (.pt), .safetensors, .onnx, .keras, .weights.h5, module:factory")
    ],
    after: Annotated[list[str] | None, typer.Argument(help="others to show beside it, such as after training")] = None,
    series: Annotated[
        Path | None,
        typer.Option("--series", "--data", help="what it reads: a CSV or Parquet file, standardised, or .npy as it is"),
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="of the series, where it has several; repeatable, one an input")
    ] = None,
    drive: Annotated[str, typer.Option(help="or a drive (see `rnnmc drives`), or a mapping in YAML")] = "white",
    steps: Annotated[int, typer.Option(help="length T of each sequence")] = STEPS,
    horizons: Annotated[str | None, typer.Option(help="lags to tell, in rising order; the last is T")] = None,
    sequences: Annotated[int, typer.Option(help="input sequences; their spread is the interval")] = 32,
    layer: Annotated[str | None, typer.Option(help="name of the recurrent layer, where there are several")] = None,
    nonlinearity: Annotated[str | None, typer.Option(help="of an RNN whose file does not say it: tanh or relu")] = None,
    init: Annotated[
        str | None, typer.Option(help="of the fresh networks beside it: a preset or a mapping; else its framework's")
    ] = None,
    fresh: Annotated[int, typer.Option(help="fresh networks to compare with; 0 for none")] = 1000,
    vanish: VanishBelow = 1e-3,
    explode: ExplodeAbove = 1e3,
    seed: Annotated[int, typer.Option(help="of sequences and fresh networks", min=0)] = 7888,
    as_json: AsJson = False,
) -> None:
    """How long the gradient of a given network lasts. Along its own inputs, beside fresh networks of its shape."""
    from rnnmc.report.inspection import inspection_tables
    from rnnmc.report.printing import printed
    from rnnmc.run.inspection import Asked, inspected
    from rnnmc.study.study import Thresholds

    if series is not None and drive != "white":
        raise UsageError(f"--drive: {drive} is given beside --series {series}; give one of the two")
    read: Any = parsed(drive)
    if series is not None:
        read = series if series.suffix == ".npy" else {"file": {"path": str(series)}}
    if column and series is None:
        raise UsageError("--column: goes with --series; give the file that has it")
    if column and isinstance(read, Path):
        raise UsageError(f"--column: {series} is an array without names; leave it out")
    if column:
        read["file"]["columns"] = column
    lags = () if horizons is None else steps_of(horizons)
    if lags and steps not in (STEPS, lags[-1]):
        raise UsageError(f"--steps: {steps} is given beside --horizons {horizons}; give one of the two")
    steps = lags[-1] if lags else steps
    thresholds = Thresholds.checked(vanish=vanish, explode=explode)
    place = "--drive" if series is None else "--series"
    law = None if init is None else parsed(init)
    asked = Asked(read, thresholds, steps, sequences, layer, nonlinearity, law, fresh, seed, place, lags)
    found = inspected([what, *(after or ())], asked)
    if as_json:
        print_document(found.as_json())
        return
    say(f"along {found.inputs}, {asked.steps} steps")
    printed(*inspection_tables(found.layers, found.lags, found.paths, asked.steps))
    for note in found.notes:
        say(f"rnnmc: {note}", sys.stderr)
