"""What there is to choose from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnnmc.cli.shared import AsJson, app, examples, listed


@app.command(epilog=examples("rnnmc cells | grep -i lstm"))
def cells(as_json: AsJson = False) -> None:
    """List the cells, with formula and source."""
    from rnnmc.cells import cells as all_cells

    listed(as_json, {"cell": _sourced(all_cells())})


@app.command(epilog=examples("rnnmc initialisers | grep keras"))
def initialisers(as_json: AsJson = False) -> None:
    """List presets, layers of frameworks, and laws of weights. Of each layer the cell that it is."""
    from rnnmc.initialisers import laws, layers, presets

    kinds = {"preset": _sourced({name: one for name, one in presets().items() if name not in layers()})}
    for name, layer in layers().items():
        of_framework = kinds.setdefault(f"layer of {name.partition('.')[0]}", {})
        of_framework[name] = {"cell": " or ".join(layer.cells), "what it draws": layer.formula}
    listed(as_json, kinds | {"law": _sourced(laws())})


@app.command(epilog=examples("rnnmc observables", "rnnmc observables --json"))
def observables(as_json: AsJson = False) -> None:
    """List what can be looked at beside the norm. With formula and source."""
    from rnnmc.observables import observables as all_observables

    listed(as_json, {"observable": _sourced(all_observables())})


@app.command(epilog=examples("rnnmc drives"))
def drives(as_json: AsJson = False) -> None:
    """List the kinds of input sequence, with formula and source."""
    from rnnmc.drives import drives as all_drives

    listed(as_json, {"drive": _sourced(all_drives())})


def _sourced(things: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    return {name: {"formula": one.formula, "source": one.source} for name, one in things.items()}


@app.command(epilog=examples("rnnmc claims"))
def claims(as_json: AsJson = False) -> None:
    """List the article's claims as questions. What is estimated, and the rule that decides."""
    from rnnmc.claims import claims as every

    decided = "what is decided, and the estimate"
    said = {
        f"{claim.name}: {claim.states}": {
            part.name: {decided: f"{part.says}; {part.quantity}", "rule": part.rule} for part in claim.parts
        }
        for claim in every().values()
    }
    listed(as_json, said)
