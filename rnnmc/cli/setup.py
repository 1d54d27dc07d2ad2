"""Before the first study: this machine, and a study file to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rnnmc.cli.shared import AsJson, answer, app, examples, wrote
from rnnmc.common.errors import RunError


@app.command(epilog=examples("rnnmc doctor"))
def doctor(
    results: Annotated[Path, typer.Option(help="where studies are to go")] = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Say what this machine has and lacks. Processors, memory, compiler, Ray, folders; exit 1 where studies fail."""
    from dataclasses import asdict

    from rnnmc.report.terminal import plain_table
    from rnnmc.run.doctor import FATAL, examined

    found = examined(results)
    table = plain_table("what", "is", "found", "what to do")
    for one in found:
        table.add_row(one.name, one.state, one.said, one.remedy)
    answer(as_json, [asdict(one) for one in found], lambda _: [table])
    wrong = [one.name for one in found if one.state == FATAL]
    if wrong:
        raise RunError(f"a study would not run here, for {', '.join(wrong)}")


@app.command(
    epilog=examples("rnnmc init config/mine.yaml", "rnnmc init mine.yaml --cell lstm,gru --width 16,64 --init pytorch")
)
def init(
    path: Annotated[Path, typer.Argument(help="the file to write; its name is that of the study")] = Path("mine.yaml"),
    cell: Annotated[str, typer.Option(help="cells, with commas between (see `rnnmc cells`)")] = "lstm, gru_reset_after",
    width: Annotated[str, typer.Option(help="units, with commas between")] = "16, 64",
    init: Annotated[str, typer.Option(help="presets or layers, with commas between")] = "pytorch, keras",
    steps: Annotated[int, typer.Option(help="the last horizon T", min=1)] = 1000,
    as_json: AsJson = False,
) -> None:
    """Write a study file with comments. It runs as it is, and is there to be changed."""
    from rnnmc.run.starting import write_first_study

    points = write_first_study(path, cell, width, init, steps)
    words = f"{path}: a study of {points} design points; see what it costs: rnnmc plan {path}"
    wrote(as_json, path, words, design_points=points)
