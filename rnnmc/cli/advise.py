"""What to set instead."""

from __future__ import annotations

from typing import Annotated

import typer

from rnnmc.cli.shared import (
    AsJson,
    CellOrLayer,
    Dtype,
    ExplodeAbove,
    Quiet,
    VanishBelow,
    Width,
    app,
    examples,
    print_document,
)
from rnnmc.common.quiet import say
from rnnmc.study.options import parsed


@app.command(
    epilog=examples(
        "rnnmc advise torch.nn.LSTM --width 64 --steps 1000", "rnnmc advise gru_reset_after --framework keras --cells"
    )
)
def advise(
    cell: CellOrLayer,
    width: Width = 64,
    steps: Annotated[int, typer.Option(help="T, for which the gradient is to stay within the thresholds")] = 1000,
    framework: Annotated[
        str | None, typer.Option(help="torch, keras, flax.linen, flax.nnx, haiku or equinox: its default, its code")
    ] = None,
    other_cells: Annotated[
        bool, typer.Option("--cells", help="also the other cells, at the presets they have")
    ] = False,
    drive: Annotated[str, typer.Option(help="a drive (see `rnnmc drives`), or a mapping in YAML")] = "white",
    vanish: VanishBelow = 1e-3,
    explode: ExplodeAbove = 1e3,
    dtype: Dtype = "float32",
    seed: Annotated[int, typer.Option(help="of every draw; what is measured afresh has the next")] = 7888,
    everything: Annotated[bool, typer.Option("--all", help="every candidate in the table")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Rank initialisations by P(stable by T). Finds the best forget bias or gain too, and prints code for it."""
    from rnnmc.report.printing import printed
    from rnnmc.run.advice_told import as_json as in_json
    from rnnmc.run.advice_told import code_lines, sentences, table
    from rnnmc.run.advised import advise as advised
    from rnnmc.run.progress import progress

    with progress(f"{cell} n={width}, T = {steps:,}", None) as tell:
        answer = advised(
            cell, width, steps, framework=framework, other_cells=other_cells, drive=parsed(drive),
            vanish=vanish, explode=explode, dtype=dtype, seed=seed, tell=tell,
        )  # fmt: skip
    advice, framework = answer.advice, answer.framework
    if as_json:
        print_document(in_json(advice, framework))
        return
    printed(table(advice, everything))
    for sentence in sentences(advice):
        say(sentence)
    if framework is not None:
        print(f"\n{code_lines(advice, framework)}")
