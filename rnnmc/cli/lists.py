"""What there is to choose from."""

from __future__ import annotations

from rnnmc.cli.shared import app, examples, told


@app.command(epilog=examples("rnnmc cells | grep -i lstm"))
def cells() -> None:
    """List the cells, with formula and source."""
    from rnnmc.cells import cells as all_cells

    told("cell", {name: (cell.formula, cell.source) for name, cell in all_cells().items()})


@app.command(epilog=examples("rnnmc initialisers | grep keras"))
def initialisers() -> None:
    """List presets, layers of frameworks, and laws of weights. Of each layer the cell that it is."""
    from itertools import groupby

    from rnnmc.initialisers import laws, layers, presets

    whole = {name: preset for name, preset in presets().items() if name not in layers()}
    told("preset", {name: (preset.formula, preset.source) for name, preset in whole.items()})
    for framework, named in groupby(layers(), lambda name: name.partition(".")[0]):
        rows = {name: (" or ".join(layers()[name].cells), layers()[name].formula) for name in named}
        told(f"layer of {framework}", rows, "cell", "what it draws")
    told("law", {name: (law.formula, law.source) for name, law in laws().items()})


@app.command(epilog=examples("rnnmc observables"))
def observables() -> None:
    """List what can be looked at beside the norm. With formula and source."""
    from rnnmc.observables import observables as all_observables

    told("observable", {name: (one.formula, one.source) for name, one in all_observables().items()})


@app.command(epilog=examples("rnnmc drives"))
def drives() -> None:
    """List the kinds of input sequence, with formula and source."""
    from rnnmc.drives import drives as all_drives

    told("drive", {name: (drive.formula, drive.source) for name, drive in all_drives().items()})


@app.command(epilog=examples("rnnmc claims"))
def claims() -> None:
    """List the article's claims as questions. What is estimated, and the rule that decides."""
    from rnnmc.claims import claims as every

    for claim in every().values():
        parts = {part.name: (f"{part.says}; {part.quantity}", part.rule) for part in claim.parts}
        told(f"{claim.name}: {claim.states}", parts, "what is decided, and the estimate", "rule")
