"""The Ray that is running: its dashboard, and Ray's own tools."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from rnnmc.cli.shared import Address, AsJson, answer, app, examples, wrote
from rnnmc.common.errors import RunError, UsageError


@app.command(epilog=examples("rnnmc dashboard --print"))
def dashboard(
    only_said: Annotated[bool, typer.Option("--print", help="do not open it in a browser")] = False,
    targets: Annotated[
        bool, typer.Option("--targets", help="print the folder in which Prometheus finds each run, and no more")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say where Ray's dashboard is, and how it is unlocked. Opens it in a browser, from a terminal that has one."""
    from dataclasses import asdict

    from rnnmc.run.running import has_browser, running, scraped, token_place

    if targets:
        wrote(as_json, scraped())
        return
    shown = [one for one in running() if one.dashboard]
    if not shown:
        raise UsageError("no Ray of rnnmc with a dashboard is running for this user; start a study, then ask again")
    token = token_place(os.environ)
    words = [
        *(f"http://{one.dashboard}  ({one.purpose})" for one in shown),
        f"It asks for a token, which is {token}; copy what stands there into its form.",
        f"From another machine: ssh -L 8265:{shown[0].dashboard} THIS_MACHINE, then http://127.0.0.1:8265",
    ]
    answer(as_json, {"token": token, "running": [asdict(one) for one in shown]}, lambda _: words)
    if not (only_said or as_json) and sys.stdout.isatty() and has_browser(os.environ):
        typer.launch(f"http://{shown[0].dashboard}")


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog=examples("rnnmc ray -- status", "rnnmc ray -- list tasks"),
)
def ray(
    words: Annotated[list[str], typer.Argument(help="of Ray's own command, behind --, such as: -- status")],
    address: Address = None,
) -> None:
    """Run Ray's own command on it. With the environment that it needs."""
    from pathlib import Path

    from rnnmc.run.running import environment

    said = os.environ | environment(address)
    command = Path(sys.executable).with_name("ray")
    try:
        os.execve(command, ["ray", *words], said)
    except OSError as error:
        raise RunError(f"{command}: cannot be run: {error.strerror}") from None
