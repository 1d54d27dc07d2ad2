"""Results taken away: published, or as arrays for xarray."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rnnmc.cli.shared import AsJson, Folder, app, examples, wrote
from rnnmc.common.errors import UsageError


@app.command(
    epilog=examples(
        "rnnmc dataset results/default --samples results/default",
        "rnnmc dataset results/default --for archive --out results/archive",
    )
)
def dataset(
    directories: Annotated[list[Path], typer.Argument(help="folders of studies, such as results/article")],
    out: Annotated[Path, typer.Option(help="the folder to write")] = Path("results/dataset"),
    samples: Annotated[list[Path] | None, typer.Option(help="of these studies the samples too; repeatable")] = None,
    size: Annotated[str, typer.Option("--for", help="release: at most 200 MB; archive: all there is")] = "release",
    as_json: AsJson = False,
) -> None:
    """Write studies as a folder to publish. Their statistics, and the samples of some; readable without rnnmc."""
    from rnnmc.run.publish import ARCHIVE, RELEASE, write_dataset

    if size not in (RELEASE, ARCHIVE):
        raise UsageError(f"--for {size}: is not a size of a data set; give {RELEASE} or {ARCHIVE}")
    if samples and size == ARCHIVE:
        raise UsageError(f"--samples: an {ARCHIVE} has those of every study; leave it out, or give --for {RELEASE}")
    written = write_dataset(out, directories, samples or [], size)
    wrote(as_json, out, f"{out}: {written / 1e6:.1f} MB", bytes=written)


@app.command(
    epilog=examples(
        "rnnmc export results/default", "rnnmc export results/default --to zarr --what both --out default.zarr"
    )
)
def export(
    directory: Folder,
    form: Annotated[str, typer.Option("--to", help="netcdf or zarr")] = "netcdf",
    what: Annotated[str, typer.Option(help="statistics, samples or both")] = "statistics",
    out: Annotated[Path | None, typer.Option(help="a new file, or folder of Zarr; else named after the study")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a study as netCDF or Zarr, for xarray. By point, horizon and norm; samples by replicate too."""
    from rnnmc.engine.block import SAMPLES
    from rnnmc.run.export import BOTH, ENDINGS, STATISTICS
    from rnnmc.run.export import export as write

    if form not in ENDINGS:
        raise UsageError(f"--to {form}: is not a form of export; give {' or '.join(ENDINGS)}")
    if what not in (STATISTICS, SAMPLES, BOTH):
        raise UsageError(f"--what {what}: cannot be exported; give {STATISTICS}, {SAMPLES} or {BOTH}")
    out = out or Path(f"{directory.resolve().name}{ENDINGS[form]}")
    sizes = {str(name): count for name, count in write(directory, form, what, out).sizes.items()}
    words = f"{out}: {', '.join(f'{count} {name}s' for name, count in sizes.items())}"
    wrote(as_json, out, words, sizes=sizes)
