"""A real series or text from a file, each replicate from an offset of its own, wrapping round."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import model_validator

from rnnmc.drives.drive import Drive


class FileDrive(Drive):
    """A column of a CSV or Parquet file, or the tokens of a text, standardised to unit variance per component.

    path: from the working directory. column: of a table; may be left out if there is one numeric column only.
    tokens: read the file as text, by character or by word; each token has a fixed random embedding of `dimension`.
    gaps: a missing value is refused, or interpolated on request.
    wrap: start at a random row and go on from the beginning at the end; without it, all start at the first row.
    digest: SHA-256 of the file, filled in when the study is read, so that the numbers belong to the content.
    """

    name, main, example = "file", "path", "config/data/sunspots.csv"
    formula = "x_t = (s_{t + offset} - mean) / deviation, offset uniform for each replicate"
    source = "any CSV, Parquet or text file"
    path: str
    column: str | None = None
    tokens: Literal["character", "word"] | None = None
    gaps: Literal["refuse", "interpolate"] = "refuse"
    wrap: bool = True
    digest: str = ""

    @property
    def is_random(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Where to start is drawn, unless every replicate starts at the first row."""
        return self.wrap

    @model_validator(mode="after")
    def _read(self) -> FileDrive:
        digest, _ = _content(self.path)
        if self.digest and self.digest != digest:
            raise ValueError(f"{self.path} is not the file of this study (SHA-256 {self.digest[:12]}); restore it")
        object.__setattr__(self, "digest", digest)
        if self.tokens is None and self.dimension != 1:
            raise ValueError("is a series, of dimension 1; a dimension goes with tokens")
        _ = self.sequence
        return self

    def __str__(self) -> str:
        how = f" by {self.tokens}, dimension {self.dimension}" if self.tokens else f" {self.column or ''}".rstrip()
        return f"file {Path(self.path).name}{how}"

    @cached_property
    def sequence(self) -> np.ndarray:
        """(rows, dimension) float64, standardised."""
        _, content = _content(self.path)
        rows = self._embedded(content) if self.tokens else self._column(content)[:, None]
        if len(rows) < 2:
            raise ValueError(f"{self.path} has {len(rows)} rows; a drive needs at least 2")
        with np.errstate(over="ignore", invalid="ignore"):
            deviation = rows.std(axis=0)
        if not np.isfinite(deviation).all():
            raise ValueError(f"{self.path} has values too large to standardise; rescale it, below 1e150")
        if not (deviation > 0).all() or (rows == rows[0]).all(axis=0).any():
            raise ValueError(f"{self.path} is constant; use the drive constant instead")
        return (rows - rows.mean(axis=0)) / deviation

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileDrive) and self.model_dump() == other.model_dump()  # not the sequence kept beside

    def __hash__(self) -> int:
        return hash((self.digest, self.path, self.column))

    def _embedded(self, content: bytes) -> np.ndarray:
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.path} is not UTF-8 text from byte {error.start} on; save it as UTF-8") from error
        words = text.split() if self.tokens == "word" else list(text)
        vocabulary = {word: i for i, word in enumerate(sorted(set(words)))}
        embedding = np.random.default_rng(0).standard_normal((len(vocabulary), self.dimension))
        return embedding[[vocabulary[word] for word in words]]

    def _column(self, content: bytes) -> np.ndarray:
        import polars as pl

        try:
            table = pl.read_parquet(content) if content[:4] == b"PAR1" else pl.read_csv(content, infer_schema=False)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ValueError(f"{self.path} is not a table ({reason}); give a CSV or Parquet file") from error
        if self.column is None and table.width > 1:
            raise ValueError(f"{self.path} has columns {', '.join(table.columns)}; name one with column:")
        name = self.column or table.columns[0]
        if name not in table.columns:
            raise ValueError(f"{self.path} has no column {name}; there are {', '.join(table.columns)}")
        kind = table.schema[name]
        if not (kind.is_numeric() or kind == pl.String):
            raise ValueError(f"{self.path}: {name} is of type {kind}; give a column of numbers")
        values = table[name].cast(pl.Float64, strict=False)
        bad = (values.is_null() | values.is_nan() | values.is_infinite()) & table[name].is_not_null()
        if kind == pl.String:
            bad &= table[name].str.strip_chars() != ""
        if bad.any():
            row = int(bad.arg_max() or 0)
            raise ValueError(
                f"{self.path}: {name}: {table[name][row]!r} in data row {row + 1} is not a number; mend the file"
            )
        if values.null_count() and self.gaps == "refuse":
            row = int(values.is_null().arg_max() or 0)
            raise ValueError(
                f"{self.path}: {name} has {values.null_count()} gaps, the first in data row {row + 1}; "
                "fill them or give gaps: interpolate"
            )
        return values.interpolate().drop_nulls().to_numpy()  # gaps at the ends have nothing to lean on: cut off

    def check(self, horizon: int) -> None:
        if not self.wrap and len(self.sequence) < horizon:
            raise ValueError(
                f"{self.path} has {len(self.sequence)} rows, fewer than the horizon {horizon}; "
                "give a shorter horizon or wrap: true"
            )

    def pieces(self, rng: np.random.Generator, shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
        steps, replicates, _ = shape
        rows = len(self.sequence)
        at = rng.integers(rows, size=replicates) if self.wrap else np.zeros(replicates, dtype=int)
        while True:
            yield self.sequence[(at + np.arange(steps)[:, None]) % rows]
            at = at + steps


@lru_cache(maxsize=16)
def _content_at(path: str, modified: int, size: int) -> tuple[str, bytes]:
    content = Path(path).read_bytes()
    return hashlib.sha256(content).hexdigest(), content


def _content(path: str) -> tuple[str, bytes]:
    """(SHA-256, bytes) of the file, read once for each version of it."""
    if "\0" in path or path != path.encode(errors="replace").decode():  # no file has such a name
        raise ValueError("is not a possible path; give a file, from the working directory")
    try:
        status = Path(path).stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise ValueError(f"{path} is not a regular file; give a file, from the working directory")
        digest, content = _content_at(path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}); give a file, from the working directory"
        ) from error
    if not content.strip():
        raise ValueError(f"{path} is empty; give a file with at least 2 rows")
    return digest, content


DRIVE = FileDrive
