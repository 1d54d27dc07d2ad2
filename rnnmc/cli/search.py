"""What was never seen: impossible, or only rare."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from rnnmc.cli.shared import OF_POPULATIONS, AsJson, CellOrLayer, Width, app, examples, hold_unsaid, print_document
from rnnmc.common.errors import UsageError
from rnnmc.common.quiet import say
from rnnmc.study.options import initialisation, parsed


@app.command(
    epilog=examples(
        "rnnmc search torch.nn.LSTM --width 4 --out found",
        "rnnmc search torch.nn.LSTM --threshold 1 --probable",
    )
)
def search(
    command: typer.Context,
    cell: CellOrLayer,
    width: Width = 4,
    init: Annotated[
        str | None, typer.Option(help="of bounded laws, as for `rnnmc measure`", show_default="as for measure")
    ] = None,
    gain: Annotated[float | None, typer.Option(help="of the recurrent law")] = None,
    input_std: Annotated[float | None, typer.Option(help="deviation of the input weights, which needs a clip")] = None,
    bias: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, for example forget=1; repeatable")] = None,
    drive: Annotated[str, typer.Option(help="white is searched over typical sequences; any other is held")] = "white",
    hold_drive: Annotated[bool, typer.Option("--hold-drive", help="hold the white drive too, as it was drawn")] = False,
    state_std: Annotated[float, typer.Option(help="deviation of the initial state")] = 0.0,
    steps: Annotated[int, typer.Option(help="T, at which the norm of P_T counts")] = 100,
    event: Annotated[str, typer.Option(help="explode: a norm above the threshold; vanish: one below it")] = "explode",
    threshold: Annotated[float | None, typer.Option(help="of the norm", show_default="1e3, or 1e-3 to vanish")] = None,
    starts: Annotated[int, typer.Option(help="draws from which an ascent begins")] = 64,
    rounds: Annotated[int, typer.Option(help="steps of each ascent")] = 300,
    seed: Annotated[int, typer.Option(help="of every draw", min=0)] = 7888,
    probable: Annotated[
        bool,
        typer.Option("--probable", help="also how probable it is, and whether that misses where these networks lie"),
    ] = False,
    particles: Annotated[int, typer.Option(help="of a population, for --probable")] = 1000,
    populations: Annotated[int, typer.Option(help="independent estimates, for --probable")] = 8,
    smallest: Annotated[float, typer.Option(help="probability at which populations give up")] = 1e-15,
    out: Annotated[Path | None, typer.Option(help="folder for network, drive, tables and figure")] = None,
    as_json: AsJson = False,
) -> None:
    """Search for a network that explodes, or vanishes. Among those that bounded laws can draw at all."""
    from rnnmc.common.files import is_taken, write_whole
    from rnnmc.report.printing import printed
    from rnnmc.report.rendering import rendered
    from rnnmc.report.search import search_charts, search_tables
    from rnnmc.run.probable import probable as how_probable
    from rnnmc.run.probable import split_for
    from rnnmc.run.search import Wanted, searched
    from rnnmc.study.point import DesignPoint

    if not probable:
        hold_unsaid(command, OF_POPULATIONS, "it belongs to --probable; give --probable too")
    if event not in ("explode", "vanish"):
        raise UsageError(f"--event: {event} is not known; give explode or vanish")
    if out is not None and is_taken(out) and not (out / "search.json").is_file():
        raise UsageError(f"--out: {out} is there already and is no earlier search; give a new folder")
    point = DesignPoint(
        cell=cell, width=width, init=initialisation(init, gain, input_std, bias or [], cell), drive=parsed(drive),
        state_std=state_std, horizons=[steps], dtype="float64", seed=seed,
    )  # fmt: skip
    grow = event == "explode"
    above = (1e3 if grow else 1e-3) if threshold is None else threshold
    wanted = Wanted(point, grow, above, starts, rounds, hold_drive)
    split = split_for(wanted, particles, smallest) if probable else None  # before the search, for it may refuse
    found = searched(wanted)
    chance = None if split is None else how_probable(found, split, populations)
    again = None if out is None else found.write(out)
    if out is not None:
        for name, content in rendered(search_charts(found.paths, point.label)).items():
            (out / "figures").mkdir(exist_ok=True)
            write_whole(out / "figures" / name, content)
        if chance is not None:
            chance.write(out)
    if as_json:
        more = {"probable": chance.document()} if chance else {}
        print_document(json.dumps(found.document() | more, allow_nan=False))
        return
    for sentence in [f"{point.label}: {found.verdict()}", *(chance.told if chance else [])]:
        say(sentence)
    printed(*search_tables(found.starts, found.gates, found.paths))
    if again is not None:
        print(again)
    elif out is not None:
        say(f"rnnmc: {out} has tables alone; rnnmc inspect reads layers of PyTorch, from a state of zero", sys.stderr)
