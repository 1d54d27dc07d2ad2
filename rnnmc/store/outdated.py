"""Whether the tables and the page of a study folder are as they were written, and of the study that stands there."""

from __future__ import annotations

from pathlib import Path

from rnnmc.common.errors import RunError, UsageError
from rnnmc.common.files import write_whole
from rnnmc.store.plan import STUDY_YAML, settled
from rnnmc.store.proofs import PAGE, TABLES, Damaged, damaged_files, read_list, sha256

OUTDATED = "OUTDATED.txt"
STATISTICS_FILE, PAGE_FILE = "statistics.parquet", "report.html"
LOOKS = "what-if"  # folder, below that of a study, of what was counted by others than its own thresholds
SO_FAR = "so-far"  # folder, below that of a study that runs, of its page so far


def checked_tables(directory: Path) -> set[str]:
    """The names of the tables that are there and count. Raises Damaged where one is not as it was written, RunError
    where they are of another form of the study.

    Of before there was a list of them, all that are there. One that no list names is of an earlier form of the study.
    """
    for error in damaged_files(directory / TABLES):
        raise error
    said = read_list(directory / TABLES)
    if said and said.get("of") != settled(directory):
        raise RunError(
            f"{directory}: its tables were counted before {STUDY_YAML} was written anew; "
            f"run the study again, or rnnmc statistics {directory} where all samples are there"
        )
    there = said.get("files") or [path.name for path in directory.glob("*.parquet")]
    return {name.removesuffix(".parquet") for name in there if name.endswith(".parquet")}


def up_to_date(directory: Path) -> tuple[bool, bool]:
    """Whether the tables were counted of the study as it stands there, and the page drawn from these tables."""
    try:
        counted, drawn = read_list(directory / TABLES), read_list(directory / PAGE)
        if counted.get("of") != settled(directory):
            return False, False
        return True, drawn.get("tables") == sha256((directory / TABLES).read_bytes())
    except (Damaged, UsageError, OSError):
        return False, False


def mark_outdated(directory: Path) -> None:
    """Say in the folder itself, in a file OUTDATED.txt, what is older there than study.yaml, or remove that file.

    A stage that fails leaves the tables and the page of before.
    """
    tables, page = (directory / STATISTICS_FILE).exists(), (directory / PAGE_FILE).exists()
    page = page and not (directory / PAGE_FILE).is_symlink()  # to the one so far, which says so itself
    new_tables, new_page = up_to_date(directory)
    old = ["statistics.* and the other tables"] if tables and not new_tables else []
    old += ["report.html and figures/"] if page and not new_page else []
    if old:
        text = f"{' and '.join(old)} are of the study as it was before {STUDY_YAML} was written anew.\n"
        write_whole(
            directory / OUTDATED, f"{text}They give way to new ones when a run of the study has ended.\n".encode()
        )
    elif (directory / OUTDATED).exists():  # a folder that is only to be read is not touched
        (directory / OUTDATED).unlink(missing_ok=True)
