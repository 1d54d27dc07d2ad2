"""What every form of description offers, and what it is told of the folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

TITLE = "How probable is it that the gradient of a recurrent network vanishes, or explodes?"
ABOUT = (
    "Measurements of random recurrent networks before any training: the norm of the product of Jacobians "
    "P_T = J_T ... J_1 after T steps, by cell, width, initialisation and input."
)
AUTHORS = "The rnnmc authors"
LICENCE_NAME, LICENCE_ADDRESS = "CC-BY-4.0", "https://creativecommons.org/licenses/by/4.0/"
KEYWORDS = (
    "recurrent neural networks",
    "vanishing gradients",
    "exploding gradients",
    "Lyapunov exponents",
    "Monte Carlo",
)
PARQUET = "application/vnd.apache.parquet"
MEDIA = {"parquet": PARQUET, "csv": "text/csv", "yaml": "application/yaml", "json": "application/json"}
MEDIA |= {"html": "text/html", "svg": "image/svg+xml", "png": "image/png", "md": "text/markdown"}
ColumnKind = Literal["string", "integer", "number", "boolean", "list"]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    kind: as people say it; a list is one of numbers. missing: whether any value is, told of whole numbers only.
    """

    name: str
    kind: ColumnKind
    missing: bool
    unit: str
    meaning: str

    @property
    def told(self) -> str:
        """Its meaning, with its unit in brackets."""
        return f"{self.meaning} [{self.unit}]" if self.unit else self.meaning


@dataclass(frozen=True)
class DataFile:
    """A file of the folder. path: below it, with slashes. size: bytes. columns, rows: of a Parquet file."""

    path: str
    size: int
    sha256: str
    columns: tuple[Column, ...] = ()
    rows: int = 0

    @property
    def _last(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def study(self) -> str:
        """The study in whose folder it lies, "" beside them."""
        return self.path.partition("/")[0] if "/" in self.path else ""

    @property
    def table(self) -> str:
        """Its name without ending."""
        return self._last.rpartition(".")[0] or self._last

    @property
    def name(self) -> str:
        """What catalogues call it: article.statistics. Letters are small, and no sign is there but dot and hyphen."""
        return ".".join(re.sub(r"[^a-z0-9]+", "-", part.lower()) for part in (self.study, self.table))

    @property
    def media(self) -> str:
        """Its media type."""
        return MEDIA.get(self._last.rpartition(".")[2], "text/plain")


@dataclass(frozen=True)
class Making:
    """How a study was made. start, end: first and last shard, UTC, as 2026-01-31T12:00:00, "" where no shard says.

    commits, versions: of what made it (`torch 2.13.0`).
    """

    start: str
    end: str
    commits: tuple[str, ...]
    versions: tuple[str, ...]


@dataclass(frozen=True)
class Contents:
    """What a published folder holds, and how it was made.

    studies: by name, in order. files: all but those that tell of them. published: the day of the last sample,
    2026-01-31. version: of the rnnmc that publishes.
    """

    studies: Mapping[str, Making]
    files: tuple[DataFile, ...]
    published: str
    version: str

    @property
    def tables(self) -> list[DataFile]:
        """Its Parquet files."""
        return [one for one in self.files if one.columns]

    def named(self, study: str, table: str) -> str:
        """What catalogues call a file of a study, "" where there is none of this name."""
        return next((one.name for one in self.files if (one.study, one.table) == (study, table)), "")

    @property
    def sampled(self) -> list[str]:
        """The studies whose samples are there."""
        return [one.study for one in self.tables if one.table == "samples"]


class Package:
    """Subclass it, set the attributes, write `text`; the instance is `PACKAGE`. name: of the file that it writes."""

    name: ClassVar[str]

    def text(self, contents: Contents) -> str:
        """The content of the file."""
        raise NotImplementedError
