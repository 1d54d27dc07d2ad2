"""A table of texts or numbers from a file, as its dialect says: nothing is guessed where two readings fit."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnnmc.common.errors import first_line
from rnnmc.common.words import listed
from rnnmc.drives.content import plain_text

if TYPE_CHECKING:
    import polars as pl

GAPS = ("", "na", "n/a", "#n/a", "nan", "-nan", "+nan", "null", "none", ".")  # in whatever case
SEPARATORS = {",": "','", ";": "';'", "\t": "a tab", "|": "'|'", " ": "blanks"}
COMMENTS = ("#", "%", "//", "!")
LOOKED_AT = 100  # lines from which is seen what else may separate fields
NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?|\d+([-/.:]\d+)+.*", re.IGNORECASE)
THOUSANDS = r"^[+-]?[1-9]\d{0,2}(\.\d{3})+$"
COMMA = re.compile(r"[+-]?\d*(\.\d{3})*,\d+([eE][+-]?\d+)?")


class Dialect(NamedTuple):
    """How a table is written; None: not said.

    header: whether its first line has names. separator: of fields; a blank stands for any number of them. decimal:
    '.' or ','. comment: what a line begins with that is none; '' where none does. missing: texts of gaps beside GAPS.
    """

    header: bool | None = None
    separator: str | None = None
    decimal: str | None = None
    comment: str | None = None
    missing: tuple[str, ...] = ()


def read_table(content: bytes, dialect: Dialect, path: str) -> pl.DataFrame:
    """The table: of texts where it is CSV. Raises ValueError, the rest of a sentence that names the key to give."""
    import polars as pl

    if content[:4] != b"PAR1":
        return _read_csv(plain_text(content, path).strip(b"\n"), dialect, path)
    for name in ("header", "separator", "decimal", "comment"):
        if getattr(dialect, name) is not None:
            raise ValueError(f"{path} is a Parquet file, which needs no {name}; remove {name}")
    try:
        return pl.read_parquet(content)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise _no_table(path, error) from error


def numbers(table: pl.DataFrame, name: str, dialect: Dialect, path: str) -> pl.Series:
    """A column as float64, null where there is a gap. Raises ValueError where it holds something else."""
    import polars as pl

    if name not in table.columns:
        raise ValueError(f"{path} has no column {name}; there are {', '.join(table.columns)}")
    texts = table[name]
    if texts.dtype.is_numeric():
        values = texts.cast(pl.Float64)
        infinite = values.is_infinite().fill_null(False)
        if infinite.any():
            row = int(infinite.arg_max() or 0)
            raise ValueError(f"{path}: {name}: '{values[row]}' in data row {row + 1} is not a number; mend the file")
        return _without_missing(values.set(values.is_nan().fill_null(False), None), dialect)
    if texts.dtype != pl.String:
        raise ValueError(f"{path}: {name} is of type {texts.dtype}; give a column of numbers")
    texts = texts.str.strip_chars().fill_null("")
    written = texts
    if dialect.decimal == ",":
        _refuse_dots(texts, dialect, f"{path}: {name}")
        written = texts.str.replace_all(",", ".", literal=True)
    elif dialect.decimal is None and dialect.separator in (";", "\t"):
        _refuse_thousands(texts, f"{path}: {name}")
    values = written.cast(pl.Float64, strict=False)
    odd = values.is_null() | ~values.is_finite()
    if odd.any():
        at = odd.arg_true()
        wrong = ~_is_gap(texts.gather(at), dialect)
        if wrong.any():
            row = int(at[int(wrong.arg_max() or 0)])
            remedy = _remedy(texts[row], dialect)
            raise ValueError(f"{path}: {name}: {texts[row]!r} in data row {row + 1} is not a number; {remedy}")
        values = values.set(odd, None)
    return _without_missing(values, dialect)


def gap_words(table: pl.DataFrame, name: str, gaps: pl.Series) -> str:
    """What stands in the gaps of a column: `'NA', 'nan', nothing`."""
    words = [str("" if word is None else word).strip() for word in table[name].filter(gaps).unique(maintain_order=True)]
    return ", ".join(list(dict.fromkeys(repr(word) if word else "nothing" for word in words))[:5])


def _is_gap(texts: pl.Series, dialect: Dialect) -> pl.Series:
    return texts.str.to_lowercase().is_in(GAPS) | texts.is_in(dialect.missing)


def _refuse_dots(texts: pl.Series, dialect: Dialect, place: str) -> None:
    """Raise ValueError where a dot stands beside decimal commas: it may part thousands, or be the decimal point."""
    dotted = texts.str.contains(".", literal=True) & ~_is_gap(texts, dialect)
    if dotted.any():
        row = int(dotted.arg_max() or 0)
        raise ValueError(f"{place}: {texts[row]!r} in data row {row + 1} has a dot, and decimal is ','; mend the file")


def _refuse_thousands(texts: pl.Series, place: str) -> None:
    """Raise ValueError where every number with a dot may as well have it between thousands."""
    dotted = texts.filter(texts.str.contains(".", literal=True) & (texts != "."))
    if len(dotted) and dotted.str.contains(THOUSANDS).all():
        problem = "may be decimal or thousands, as in every number of the column with a dot"
        raise ValueError(f"{place}: {dotted[0]!r} {problem}; give decimal: '.', or take the dots out of thousands")


def _without_missing(values: pl.Series, dialect: Dialect) -> pl.Series:
    """The numbers with null for those that `missing` says, however they are written."""
    words = [word.replace(",", ".") for word in dialect.missing]
    meant = [float(word) for word in words if _is_float(word)]
    return values.set(values.is_in(meant).fill_null(False), None) if meant else values


def _is_float(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _remedy(text: str, dialect: Dialect) -> str:
    """What to do about a text that is not a number."""
    if dialect.decimal is None and COMMA.fullmatch(text):
        return "give decimal: ',' if that is what its comma is, or write it without the comma"
    if (mark := next((mark for mark in COMMENTS if mark in text), None)) and dialect.comment is None:
        return f"give comment: {mark!r} if it begins a comment"
    return f"mend the file, or give missing: {text!r} if it stands for a gap"


def _read_csv(content: bytes, dialect: Dialect, path: str) -> pl.DataFrame:
    import polars as pl

    first = content.split(b"\n", 1)[0].decode().strip()
    mark = next((mark for mark in COMMENTS if first.startswith(mark)), None)
    if dialect.comment is None and mark:
        raise ValueError(
            f"{path} begins with {first[:40]!r}; give comment: {mark!r}, with header: false where no line of names "
            "follows, or comment: '' where that is the line of names"
        )
    _refuse_other_separators(content, dialect, path)
    separator = dialect.separator or ","
    if separator == " ":
        content = re.sub(rb"(?m)^ +| +$", b"", re.sub(rb"[ \t]+", b" ", content))
    try:
        table = pl.read_csv(
            content, has_header=False, infer_schema=False, separator=separator, comment_prefix=dialect.comment or None
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        _refuse_ragged(content, dialect, path)
        raise _no_table(path, error) from error
    if table.width > 1 and table[:, -1].null_count():  # a short line, or one that ends in a gap
        _refuse_ragged(content, dialect, path)
    return _named(table, dialect, path)


def _named(table: pl.DataFrame, dialect: Dialect, path: str) -> pl.DataFrame:
    """The table with the names of its first line; column_1, column_2 and so on where there is none."""
    said = [""] * table.width if dialect.header is False else [(name or "").strip() for name in table.row(0)]
    if dialect.header is None:
        for name in said:
            if name and (NUMBER.fullmatch(name) or name.lower() in GAPS):
                problem = "is no name; give header: false where the first line is data, or header: true where it is not"
                raise ValueError(f"{path}: {name!r} in the first line {problem}")
    names = [name or f"column_{i}" for i, name in enumerate(said, 1)]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise ValueError(f"{path} has {names.count(twice[0])} columns {twice[0]}; rename all but one")
    rows = table if dialect.header is False else table.slice(1)
    return rows.rename(dict(zip(table.columns, names, strict=True)))


def _lines(content: bytes, dialect: Dialect) -> Iterator[str]:
    """Lines that are no comments."""
    for line in io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline="\n"):
        if not dialect.comment or not line.startswith(dialect.comment):
            yield line


def _fields(lines: Iterator[str], separator: str) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=separator, skipinitialspace=separator == " ")


def _splitting(content: bytes, dialect: Dialect) -> dict[str, int]:
    """separator -> fields in each of the first lines, of those that split them all alike, in two at least."""
    lines = [re.sub(r" *([,;|\t]) *", r"\1", line.strip(" \n")) for line in islice(_lines(content, dialect), LOOKED_AT)]
    found = {}
    for separator in SEPARATORS:
        try:
            widths = {len(fields) for fields in _fields(iter(lines), separator) if fields}
        except csv.Error:
            continue
        if len(widths) == 1 and (width := widths.pop()) > 1:
            found[separator] = width
    return found


def _refuse_other_separators(content: bytes, dialect: Dialect, path: str) -> None:
    """Raise ValueError where no separator is said, and another than a comma may be meant."""
    if dialect.separator is not None:
        return
    seen = _splitting(content, dialect)
    if seen == {",": 2} and dialect.header is False:
        lines = [line.strip() for line in islice(_lines(content, dialect), LOOKED_AT)]
        if all(COMMA.fullmatch(line) for line in lines):
            problem = "is two fields, or a number with a decimal comma, like every line"
            raise ValueError(f"{path}: {lines[0]!r} {problem}; give separator: ',', or ';' and decimal: ','")
    if seen.keys() <= {","}:
        return
    told = [f"{width} at {SEPARATORS[separator]}" for separator, width in seen.items()]
    decimal = " (and decimal: ',' where its numbers have a comma)" if dialect.decimal is None else ""
    remedy = listed([repr(separator).replace("'", '"') for separator in seen], "or")
    raise ValueError(f"{path}: its lines have fields, {listed(told, 'or')}; give separator: {remedy}{decimal}")


def _refuse_ragged(content: bytes, dialect: Dialect, path: str) -> None:
    """Raise ValueError where lines have unequal numbers of fields."""
    separator, width = dialect.separator or ",", 0
    try:
        for number, fields in enumerate(_fields(_lines(content, dialect), separator), 1):
            width = width or len(fields)
            if len(fields) != width:
                decimal = (
                    "; give decimal: ',' and the separator, or quote the numbers, if they have a comma"
                    if separator == "," and len(fields) > width and dialect.decimal is None
                    else "; mend the file, or give the separator"
                )
                seen = f"line {number} has {len(fields)} fields, and the first has {width}"
                raise ValueError(f"{path}: {seen}, at {SEPARATORS.get(separator, repr(separator))}{decimal}")
    except csv.Error:
        return


def _no_table(path: str, error: BaseException) -> ValueError:
    return ValueError(f"{path} is not a table ({first_line(error)}); give a CSV or Parquet file")


def complete_rows(columns: list[pl.Series]) -> np.ndarray:
    """(rows, columns) with gaps interpolated, from the first row to the last in which all have a value.

    A gap at an end has nothing to lean on: it is cut off.
    """
    import polars as pl

    filled = pl.DataFrame([column.alias(str(i)).interpolate() for i, column in enumerate(columns)]).drop_nulls()
    return np.column_stack([filled[name].to_numpy() for name in filled.columns])
