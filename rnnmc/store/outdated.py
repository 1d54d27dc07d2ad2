"""Whether the tables and the page of a study folder are as they were written, and of the study that stands there."""

from __future__ import annotations

from pathlib import Path

from rnnmc.common.errors import RunError, UsageError
from rnnmc.common.files import write_whole
from rnnmc.store.plan import STUDY_YAML, settled
from rnnmc.store.proofs import PAGE, TABLES, Damaged, damaged_files, read_list, sha256

OUTDATED = "OUTDATED.txt"
STATISTICS_FILE, PAGE_FILE = "statistics.parquet", "report.html"
SO_FAR = "so-far"  # folder, below that of a study that runs, of its page so far


def check_tables(directory: Path) -> None:
    """Raise Damaged where a table is not as it was written, RunError where they are of another form of the study.

    Tables of before there was a list of them are taken as they are.
    """
    for error in damaged_files(directory / TABLES):
        raise error
    said = read_list(directory / TABLES)
    if said and said.get("of") != settled(directory):
        raise RunError(
            f"{directory}: its tables were counted before {STUDY_YAML} was written anew; "
            f"run the study again, or rnnmc statistics {directory} where all samples are there"
        )


def mark_outdated(directory: Path) -> None:
    """Say in the folder itself, in a file OUTDATED.txt, what is older there than study.yaml, or remove that file.

    A stage that fails leaves the tables and the page of before.
    """
    tables, page = (directory / STATISTICS_FILE).exists(), (directory / PAGE_FILE).exists()
    page = page and not (directory / PAGE_FILE).is_symlink()  # to the one so far, which says so itself
    try:
        counted, drawn = read_list(directory / TABLES), read_list(directory / PAGE)
        new_tables = counted.get("of") == settled(directory)
        new_page = new_tables and drawn.get("tables") == sha256((directory / TABLES).read_bytes())
    except (Damaged, UsageError, OSError):
        new_tables = new_page = False
    old = ["statistics.* and the other tables"] if tables and not new_tables else []
    old += ["report.html and figures/"] if page and not new_page else []
    if old:
        text = f"{' and '.join(old)} are of the study as it was before {STUDY_YAML} was written anew.\n"
        write_whole(
            directory / OUTDATED, f"{text}They give way to new ones when a run of the study has ended.\n".encode()
        )
    else:
        (directory / OUTDATED).unlink(missing_ok=True)
