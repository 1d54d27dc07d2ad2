"""A real series or text from a file, each replicate from an offset of its own, wrapping round."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, Literal
from weakref import WeakValueDictionary

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from rnnmc.common.refusals import refuse
from rnnmc.common.words import number_of
from rnnmc.drives.content import check_utf_8, content_of, digest_of
from rnnmc.drives.drive import Drive
from rnnmc.drives.series import Series, one_hot, standardised
from rnnmc.drives.table import Dialect, complete_rows, gap_words, numbers, read_table

_kept: WeakValueDictionary[str, Series] = WeakValueDictionary()  # what is read -> the series, while a drive has it
_latest: deque[Series] = deque(maxlen=4)  # and a little longer: tasks come one after the other


def _texts(value: Any) -> Any:
    """One text or number, or a list of them, as texts."""
    listed = list(value) if isinstance(value, list | tuple) else [value]
    for one in listed:
        if isinstance(one, bool) or not isinstance(one, str | int | float):
            raise refuse("", one, "is not a text; give one, in quotes, or a list of them")
    return None if value is None else tuple(str(one) for one in listed)


Texts = Annotated[tuple[str, ...] | None, BeforeValidator(lambda value: None if value is None else _texts(value))]


class FileDrive(Drive):
    """Columns of a CSV or Parquet file, or the tokens of a text, standardised to unit variance per component.

    path: from the working directory. column: of a table; may be left out if there is one only. columns: several, a
    component each; `dimension` is then their number.
    header, separator, decimal, comment, missing: how a CSV is written, see `rnnmc.drives.table.Dialect`.
    tokens: read the file as text, by character or by word. vectors: each token has a fixed random embedding of
    `dimension`, or one_hot: a component of its own.
    gaps: a missing value is refused, or interpolated on request.
    wrap: start at a random row and go on from the beginning at the end; without it, all start at the first row.
    digest: SHA-256 of the file, filled in when the study is read, so that the numbers belong to the content.
    """

    name, main, example = "file", "path", "config/data/sunspots.csv"
    formula = "x_t = (s_{t + offset} - mean) / deviation, offset uniform for each replicate"
    source = "any CSV, Parquet or text file"
    path: str
    column: str | None = None
    columns: Texts = None
    header: bool | None = None
    separator: Annotated[str, Field(pattern=r"^[\t -!#-~]$")] | None = None
    decimal: Literal[".", ","] | None = None
    comment: Annotated[str, Field(pattern=r"^[!-~]{0,4}$")] | None = None
    missing: Texts = None
    tokens: Literal["character", "word"] | None = None
    vectors: Literal["random", "one_hot"] | None = None
    gaps: Literal["refuse", "interpolate"] = "refuse"
    wrap: bool = True
    digest: str = ""

    @property
    def is_random(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Where to start is drawn, unless every replicate starts at the first row."""
        return self.wrap

    @model_validator(mode="after")
    def _read(self) -> FileDrive:
        self._refuse_what_does_not_go_together()
        digest = digest_of(self.path)
        if self.digest and self.digest != digest:
            raise ValueError(f"{self.path} is not the file of this study (SHA-256 {self.digest[:12]}); restore it")
        object.__setattr__(self, "digest", digest)
        if self.columns and len(self.columns) == 1:  # the same numbers, the same key
            object.__setattr__(self, "column", self.columns[0])
            object.__setattr__(self, "columns", None)
        if (found := self.series.dimension) != self.dimension:
            if self.dimension != 1:
                raise ValueError(f"{self.path} has {found} components, not {self.dimension}; leave dimension out")
            object.__setattr__(self, "dimension", found)
        return self

    def _refuse_what_does_not_go_together(self) -> None:
        if self.tokens is None:
            if self.vectors is not None:
                raise ValueError("is a series, without vectors; vectors go with tokens")
            if self.decimal == "," and self.separator is None:
                raise ValueError("has decimal: ',', which may separate fields too; give the separator, such as ';'")
            if self.dimension != 1 and self.columns is None:
                raise ValueError("is a series, of dimension 1; a dimension goes with tokens, or give columns")
        else:
            for name in ("column", "columns", *Dialect._fields):
                if getattr(self, name) is not None:
                    raise ValueError(f"is a text, by {self.tokens}, without {name}; remove tokens or {name}")
            if self.gaps != "refuse":
                raise ValueError("is a text, without gaps; remove gaps or tokens")
        if self.columns is not None:
            if self.column is not None:
                raise ValueError(f"has column {self.column} and columns; give one of the two")
            if not self.columns or len(set(self.columns)) < len(self.columns):
                raise ValueError(f"has columns {', '.join(self.columns) or 'of none'}; give each once, at least one")

    @property
    def dialect(self) -> Dialect:
        """How the table is written, as far as that is said."""
        return Dialect(self.header, self.separator, self.decimal, self.comment, self.missing or ())

    def __str__(self) -> str:
        if not self.tokens:
            return f"{self._file} {', '.join(self.columns or (self.column or '',))}".rstrip()
        return f"{self._text}, dimension {self.dimension}"

    @property
    def _text(self) -> str:
        return f"{self._file} by {self.tokens}{', one-hot' if self.vectors == 'one_hot' else ''}"

    @property
    def _file(self) -> str:
        return f"file {self.path.rpartition('/')[2]}"

    @property
    def label(self) -> str:
        """The drive for people, with its dimension m."""
        return f"{self._text if self.tokens else self}, m = {self.dimension}"

    def counted(self) -> Any:
        """All but the path, and a dialect that is as it would be had nothing been said."""
        usual = {"header": True, "separator": ",", "decimal": ".", "comment": "", "missing": [], "vectors": "random"}
        return {self.name: {k: v for k, v in self.said().items() if k != "path" and usual.get(k, ...) != v}}

    @cached_property
    def series(self) -> Series:
        """The rows of the file, standardised; one in memory for all drives that read it alike."""
        found_in_file = {"dimension"} if self.columns or self.vectors == "one_hot" else set()
        said = self.model_dump_json(exclude={"path", "wrap"} | found_in_file)
        found = _kept.get(said)
        if found is None:
            content = content_of(self.path, self.digest)
            if not content.strip():
                raise ValueError(f"{self.path} is empty; give a file with at least 2 rows")
            found = _kept[said] = self._tokens(content) if self.tokens else self._table(content)
        _latest.append(found)
        return found

    @property
    def sequence(self) -> np.ndarray:
        """(rows, dimension) float64, standardised."""
        return self.series.at(np.arange(len(self.series)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileDrive) and self.model_dump() == other.model_dump()  # not the series kept beside

    def __hash__(self) -> int:
        return hash((self.digest, self.path, self.column))

    def _tokens(self, content: bytes) -> Series:
        text = check_utf_8(content, self.path)
        if text.startswith("\ufeff"):
            raise ValueError(f"{self.path} begins with a byte-order mark, no token; save it as UTF-8 without one")
        words = text.split() if self.tokens == "word" else text
        vocabulary = {word: i for i, word in enumerate(sorted(set(words)))}
        codes = np.fromiter((vocabulary[word] for word in words), dtype=np.int32, count=len(words))
        if self.vectors == "one_hot":
            return one_hot(codes, len(vocabulary), self.path)
        embedding = np.random.default_rng(0).standard_normal((len(vocabulary), self.dimension))
        return standardised(embedding, self.path, codes)

    def _table(self, content: bytes) -> Series:
        table = read_table(content, self.dialect, self.path)
        wanted = self.columns or (self.column,)
        if wanted == (None,) and table.width > 1:
            shown = ", ".join(table.columns)
            raise ValueError(f"{self.path} has columns {shown}; name one with column:, or several with columns:")
        found = []
        for name in wanted:
            values = numbers(table, name or table.columns[0], self.dialect, self.path)
            if values.null_count() and self.gaps == "refuse":
                row = int(values.is_null().arg_max() or 0)
                words = gap_words(table, values.name, values.is_null())
                gaps = number_of(values.null_count(), "gap", "gaps")
                raise ValueError(
                    f"{self.path}: {values.name} has {gaps} ({words}), the first in data row {row + 1}; "
                    "fill them or give gaps: interpolate"
                )
            found.append(values)
        return standardised(complete_rows(found), self.path)

    def check(self, horizon: int) -> None:
        if not self.wrap and len(self.series) < horizon:
            raise ValueError(
                f"{self.path} has {len(self.series)} rows, fewer than the horizon {horizon}; "
                "give a shorter horizon or wrap: true"
            )

    def pieces(self, rng: np.random.Generator, shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
        steps, replicates, _ = shape
        rows = len(self.series)
        at = rng.integers(rows, size=replicates) if self.wrap else np.zeros(replicates, dtype=int)
        while True:
            yield self.series.at((at + np.arange(steps)[:, None]) % rows)
            at = at + steps


DRIVE = FileDrive
