"""Whether a cell, or any one thing, keeps what its kind promises."""

from __future__ import annotations

from typing import Annotated

import typer

from rnnmc.cli.shared import AsJson, CellName, Dtype, Layers, Residual, Width, app, examples, judged


@app.command(epilog=examples("rnnmc kernel tanh --width 4", "rnnmc kernel lstm --width 8 --layers 2"))
def kernel(
    cell: CellName, width: Width = 16, layers: Layers = 1, residual: Residual = False, dtype: Dtype = "float32"
) -> None:
    """Print the C that is made for a cell. docs/design.md walks through one."""
    from rnnmc.engine.kernel_source import kernel_source

    print(kernel_source(cell, width, dtype, layers, residual), end="")


@app.command(name="check-cell", epilog=examples("rnnmc check-cell lstm", "rnnmc check-cell mycell:leaky --width 8"))
def check_cell(
    cell: CellName,
    width: Annotated[int, typer.Option(help="n, units", min=1, max=256)] = 5,
    seed: Annotated[int, typer.Option(help="of the draws", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """Check a cell. Against autograd, finite differences, batch independence and exact laws; exit 1 on a mistake."""
    from rnnmc.run.checks import check_cell_and_kernels

    judged(as_json, cell, check_cell_and_kernels(cell, width, seed))


@app.command(name="check", epilog=examples("rnnmc check drive '{ar1: 0.5}'", "rnnmc check law zero_weights"))
def check_one(
    kind: Annotated[str, typer.Argument(help="cell, initialiser, drive, observable, law, analysis, picture or claim")],
    name: Annotated[str, typer.Argument(help="its name, or a mapping in YAML, such as '{ar1: 0.5}'")],
    as_json: AsJson = False,
) -> None:
    """Check one thing against what its kind promises. Exit 1 on a mistake."""
    from rnnmc.run.checks import check

    judged(as_json, f"{kind} {name}", check(kind, name))
