"""Folders of studies: joined, cleaned, and brought from an address."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rnnmc.cli.shared import Folder, app, examples
from rnnmc.common.errors import RunError, UsageError


@app.command(epilog=examples("rnnmc merge here/mine there/mine --into results/mine"))
def merge(
    directories: Annotated[list[Path], typer.Argument(help="folders of one study, sampled in several places")],
    into: Annotated[Path, typer.Option(help="a new folder")],
) -> None:
    """Join folders of one study in a new one. Every shard is proved; what differs is refused."""
    from rnnmc.run.merge import merge as join

    if len(directories) < 2:
        raise UsageError("rnnmc merge: one folder is nothing to join; give two or more of one study")
    taken, proof = join(directories, into)
    for folder, count in zip(directories, taken, strict=True):
        print(f"{count} shards from {folder}")
    also = f", {len(proof.missing)} missing" if proof.missing else ""
    print(f"{into}: {proof.read} shards whole{also}; samples SHA-256 {proof.digest}")
    print(f"rnnmc statistics {into} counts them")


@app.command(epilog=examples("rnnmc clean results/mine"))
def clean(
    directory: Folder,
    yes: Annotated[bool, typer.Option("--yes", help="remove it without asking")] = False,
) -> None:
    """Remove what no statistic counts, after saying what. Such as samples of points that the study has no more."""
    from rnnmc.run.clean import remove, uncounted

    found = uncounted(directory)
    if not found:
        print(f"{directory}: every file is counted; nothing to remove")
        return
    for path in found:
        print(path)
    size = sum(path.lstat().st_size for path in found)
    print(f"{len(found)} files, {size / 1e6:.1f} MB, are counted by no statistic of this study as it stands")
    if not yes and not (sys.stdin.isatty() and typer.confirm("Remove them?")):
        print("nothing was removed; give --yes to do so")
        return
    print(f"{remove(directory, found) / 1e6:.1f} MB removed")


@app.command(epilog=examples("rnnmc fetch s3://bucket/prefix/mine"))
def fetch(
    address: Annotated[str, typer.Argument(help="where the results of a study lie: s3://bucket/prefix/NAME")],
    into: Annotated[Path | None, typer.Option(help="a new folder; else results/NAME")] = None,
) -> None:
    """Bring the results of a study from an address to a new folder. Every file that is trusted later is proved."""
    from rnnmc.run.elsewhere import fetch as bring

    into = into or Path("results") / address.partition("?")[0].rstrip("/").rpartition("/")[2]
    proof = bring(address, into)
    for error in proof.damaged:
        print(error)
    also = f", {len(proof.missing)} missing" if proof.missing else ""
    print(f"{into}: {proof.read} shards whole{also}; samples SHA-256 {proof.digest}")
    if proof.damaged:
        raise RunError(
            f"{into}: {len(proof.damaged)} files are damaged; rnnmc verify --repair {into} mends what it can"
        )
