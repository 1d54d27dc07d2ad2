"""Folders of studies: joined, cleaned, and brought from an address."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rnnmc.cli.shared import AsJson, Folder, Quiet, answer, app, examples
from rnnmc.common.errors import RunError, UsageError
from rnnmc.common.words import number_of


@app.command(epilog=examples("rnnmc merge here/mine there/mine --into results/mine"))
def merge(
    directories: Annotated[list[Path], typer.Argument(help="folders of one study, sampled in several places")],
    into: Annotated[Path, typer.Option(help="a new folder")],
    as_json: AsJson = False,
) -> None:
    """Join folders of one study in a new one. Every shard is proved; what differs is refused."""
    from rnnmc.run.merge import merge as join

    if len(directories) < 2:
        raise UsageError("rnnmc merge: one folder is nothing to join; give two or more of one study")
    taken, proof = join(directories, into)
    words = [f"{count} shards from {folder}" for folder, count in zip(directories, taken, strict=True)]
    words += [f"{into}: {proof.whole}", f"rnnmc statistics {into} counts them"]
    answer(as_json, {"path": str(into), "taken": taken} | proof.document(into), lambda _: words)


@app.command(epilog=examples("rnnmc clean results/mine"))
def clean(
    directory: Folder,
    yes: Annotated[bool, typer.Option("--yes", help="remove it without asking")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove what no statistic counts, after saying what. Such as samples of points that the study has no more."""
    from rnnmc.run.clean import remove, uncounted

    found = uncounted(directory)
    size = sum(path.lstat().st_size for path in found)
    told = f"{len(found)} files, {size / 1e6:.1f} MB, are counted by no statistic of this study as it stands"
    if not as_json:
        print(*found, told if found else f"{directory}: every file is counted; nothing to remove", sep="\n")
    asked = bool(found) and not yes and not as_json and sys.stdin.isatty()
    removed = remove(directory, found) if found and (yes or (asked and typer.confirm("Remove them?"))) else None
    last = "nothing was removed; give --yes to do so" if removed is None else f"{removed / 1e6:.1f} MB removed"
    document = {"files": [str(path) for path in found], "bytes": size, "bytes_removed": removed or 0}
    answer(as_json, document, lambda _: [last] * bool(found))


@app.command(epilog=examples("rnnmc fetch s3://bucket/prefix/mine"))
def fetch(
    address: Annotated[str, typer.Argument(help="where the results of a study lie: s3://bucket/prefix/NAME")],
    into: Annotated[Path | None, typer.Option(help="a new folder; else results/NAME")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Bring results from an address to a new folder. Every file that is trusted later is proved."""
    from rnnmc.run.elsewhere import fetch as bring

    into = into or Path("results") / address.partition("?")[0].rstrip("/").rpartition("/")[2]
    proof = bring(address, into)
    words = [*map(str, proof.damaged), f"{into}: {proof.whole}"]
    answer(as_json, {"path": str(into)} | proof.document(into), lambda _: words)
    if proof.damaged:
        raise RunError(
            f"{into}: {number_of(len(proof.damaged), 'file is', 'files are')} damaged; "
            f"rnnmc verify --repair {into} mends what it can"
        )
