"""Tables as people have them: read with every value, or refused with what was seen and the key that settles it.

The values read are held against Python's own float of the same text, which no dialect reaches.
"""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnmc.common.errors import UsageError
from rnnmc.drives import read_drive
from rnnmc.drives.content import unpacked
from rnnmc.drives.file import FileDrive
from rnnmc.drives.table import Dialect, complete_rows, numbers, read_table
from rnnmc.study.point import DesignPoint

VALUES = (0.294055, -0.793204, 7.34642e-1, 12.5, -3.0, 1e-3)
SAVED = "\n".join(f"{value:.18e}" for value in VALUES) + "\n"  # as numpy.savetxt writes them
NAMED = "x\n" + "".join(f"{value}\n" for value in VALUES)
GERMAN = "day;value\n" + "".join(f"0{i}.01.2020;{str(value).replace('.', ',')}\n" for i, value in enumerate(VALUES))


def read(content: bytes, *columns: str, **said: Any) -> np.ndarray:
    """(rows, columns) of a table."""
    dialect = Dialect(**said)
    table = read_table(unpacked(content, "t.csv"), dialect, "t.csv")
    return complete_rows([numbers(table, name, dialect, "t.csv") for name in columns or table.columns])


def drive(folder: Path, content: str | bytes, **said: Any) -> FileDrive:
    path = folder / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read_drive({"file": {"path": str(path)} | said})
    assert isinstance(found, FileDrive)
    return found


def refused(folder: Path, content: str | bytes, **said: Any) -> str:
    path = folder / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError) as caught:
        DesignPoint(cell="tanh", width=2, drive={"file": {"path": str(path)} | said}, horizons=(5,))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("drive")
    return str(caught.value)


READ_AS_THEY_ARE = {
    "plain": NAMED.encode(),
    "a byte-order mark": b"\xef\xbb\xbf" + NAMED.encode(),
    "Windows": NAMED.replace("\n", "\r\n").encode(),
    "an old Macintosh": NAMED.replace("\n", "\r").encode(),
    "no last line end": NAMED.rstrip("\n").encode(),
    "empty lines at the end": (NAMED + "\n\n\r\n").encode(),
    "empty lines before": ("\n\n" + NAMED).encode(),
    "gzip": gzip.compress(NAMED.encode(), mtime=0),
    "quotes": ('"x"\n' + "".join(f'"{value}"\n' for value in VALUES)).encode(),
    "blanks around": (" x \n" + "".join(f"  {value}\t \n" for value in VALUES)).encode(),
    "plus signs": NAMED.replace("\n0", "\n+0").replace("\n1", "\n+1").encode(),
    "bare points": NAMED.replace("\n0.", "\n.").replace("-3.0", "-3.").encode(),
    "capital exponents": ("x\n" + "".join(f"{value:.18E}\n" for value in VALUES)).encode(),
    "UTF-16, little end first": NAMED.encode("utf-16"),
    "UTF-16, big end first": b"\xfe\xff" + NAMED.encode("utf-16-be"),
    "gzip of Windows with a mark": gzip.compress(b"\xef\xbb\xbf" + NAMED.replace("\n", "\r\n").encode(), mtime=0),
}


@pytest.mark.parametrize("content", READ_AS_THEY_ARE.values(), ids=READ_AS_THEY_ARE.keys())
def test_what_can_be_read_in_one_way_only_is_read_with_every_value(content: bytes) -> None:
    assert read(content, "x")[:, 0].tolist() == list(VALUES)


READ_WHEN_TOLD = {
    "no header": (SAVED, {"header": False}),
    "no header, of whole numbers": ("1\n2\n5\n", {"header": False}),
    "names that are numbers": ("2020\n1\n2\n5\n", {"header": True}),
    "semicolons": ("t;x\n1;0.5\n2;0.7\n", {"separator": ";"}),
    "semicolons and decimal commas": (GERMAN, {"separator": ";", "decimal": ","}),
    "quoted decimal commas": ('t,x\n1,"0,5"\n2,"-0,7"\n', {"decimal": ",", "separator": ","}),
    "tabs": ("t\tx\n1\t0.5\n2\t0.7\n", {"separator": "\t"}),
    "bars": ("t|x\n1|0.5\n2|0.7\n", {"separator": "|"}),
    "blanks": ("t x\n1 0.5\n2 0.7\n", {"separator": " "}),
    "columns aligned by blanks": ("  t    x\n  1  0.5\n 20 -0.7\n", {"separator": " "}),
    "aligned, without a header": (" 1.0   0.5\n 2.0  -0.7\n", {"separator": " ", "header": False}),
    "comments": ("# of 2020\nx\n# first\n0.5\n0.7\n# last\n", {"comment": "#"}),
    "per cent signs": ("% of 2020\nx\n0.5\n0.7\n", {"comment": "%"}),
    "a header that numpy comments out": ("# x\n0.5\n0.7\n", {"comment": "#", "header": False}),
    "a name that begins like a comment": ("# x\n0.5\n0.7\n", {"comment": ""}),
    "comments before Windows lines": ("# of 2020\r\nx\r\n0.5\r\n0.7\r\n", {"comment": "#"}),
}
READ_WHEN_TOLD |= {
    "three decimals": ("t;x\n1;1.234\n2;12.345\n", {"decimal": ".", "separator": ";"}),
    "three decimals, one below 1": ("t;x\n1;1.234\n2;0.345\n", {"separator": ";"}),
    "three decimals, once two": ("t\tx\n1\t1.234\n2\t12.34\n", {"separator": "\t"}),
}
TOLD_LAST = {
    "three decimals": (1.234, 12.345),
    "three decimals, one below 1": (1.234, 0.345),
    "three decimals, once two": (1.234, 12.34),
    "no header": VALUES,
    "no header, of whole numbers": (1, 2, 5),
    "names that are numbers": (1, 2, 5),
    "semicolons and decimal commas": VALUES,
}


@pytest.mark.parametrize("name", READ_WHEN_TOLD)
def test_a_dialect_that_is_told_is_read_and_one_that_is_not_is_refused_with_its_key(name: str, tmp_path: Path) -> None:
    content, said = READ_WHEN_TOLD[name]
    last = read_table(content.encode(), Dialect(**said), "t.csv").columns[-1]
    wanted = TOLD_LAST.get(name, (0.5, -0.7 if "-0" in content else 0.7))
    assert read(content.encode(), last, **said)[:, 0].tolist() == list(wanted)
    sentence, key = refused(tmp_path, content, column=last), next(iter(said))
    assert f"give {key}: " in sentence or f"{key}: " in sentence.partition("; ")[2], (
        "the sentence names the key that settles it"
    )
    assert drive(tmp_path, content, **said, column=last).written()["file"][key] == said[key]


def test_the_files_of_the_cases_that_were_read_wrongly(tmp_path: Path) -> None:
    """numpy.savetxt without a header lost its first value; six words for a gap; a German spreadsheet."""
    assert len(drive(tmp_path, SAVED, header=False).sequence) == len(VALUES)
    gaps = "t,value\n0,1\n1,NA\n2,3\n3,NaN\n4,5\n5,nan\n6,7\n7,null\n8,9\n9,N/A\n10,11\n11,.\n12,13.5\n"
    sentence = refused(tmp_path, gaps, column="value")
    assert "value has 6 gaps ('NA', 'NaN', 'nan', 'null', 'N/A'), the first in data row 2; fill them" in sentence
    whole = read(gaps.encode(), "value")[:, 0]
    assert whole == pytest.approx([*range(1, 12), 12.25, 13.5], abs=1e-12)
    assert len(drive(tmp_path, gaps, column="value", gaps="interpolate").sequence) == 13


@pytest.mark.parametrize(
    "gap", ["", " ", "NA", "na", "N/A", "n/a", "nan", "NaN", "-nan", "null", "NULL", "None", ".", "#N/A"]
)
def test_every_usual_word_for_a_gap_is_one(gap: str, tmp_path: Path) -> None:
    content = f"t,x\n1,1\n2,{gap}\n3,5\n4,4\n"
    assert "x has 1 gap" in refused(tmp_path, content, column="x")
    assert read(content.encode(), "x")[:, 0].tolist() == [1, 3, 5, 4]
    quoted = f't,x\n1,1\n2,"{gap}"\n3,5\n4,4\n'
    assert read(quoted.encode(), "x")[:, 0].tolist() == [1, 3, 5, 4]


@pytest.mark.parametrize(
    ("gap", "missing"),
    [
        ("-999", "-999"), ("-999.0", "-999"), ("-99.99", -99.99), ("-99.990", -99.99), ("9999", 9999), ("-", "-"),
        ("?", ["?"]), ("missing", ["-", "missing"]), ("--", "--"), ("1e20", "1e20"),
    ],
)  # fmt: skip
def test_words_and_numbers_that_are_told_to_be_gaps_are_gaps(gap: str, missing: Any, tmp_path: Path) -> None:
    content = f"x\n1\n{gap}\n5\n4\n"
    wanted = np.array([1, 3, 5, 4.0])
    found = drive(tmp_path, content, missing=missing, gaps="interpolate")
    assert found.sequence[:, 0] == pytest.approx((wanted - wanted.mean()) / wanted.std(), abs=1e-12)
    assert read_drive(found.written()) == found
    assert f"1 gap ({gap!r})" in refused(tmp_path, content, missing=missing)


def test_nan_in_a_float_column_of_a_parquet_file_is_a_gap_and_so_is_a_number_that_is_told(tmp_path: Path) -> None:
    for values, said in (
        ([1.0, math.nan, 5.0, 4.0], {}),
        ([1.0, None, 5.0, 4.0], {}),
        ([1, -999, 5, 4], {"missing": -999}),
        (["1", "NA", "5", "4"], {}),
        (["1", "x", "5", "4"], {"missing": "x"}),
    ):
        path = tmp_path / "t.parquet"
        pl.DataFrame({"x": values}).write_parquet(path)
        assert "1 gap (" in refused(tmp_path, path.read_bytes(), **said)
        wanted = np.array([1, 3, 5, 4.0])
        found = drive(tmp_path, path.read_bytes(), gaps="interpolate", **said).sequence[:, 0]
        assert found == pytest.approx((wanted - wanted.mean()) / wanted.std(), abs=1e-12)


@pytest.mark.parametrize(
    ("content", "said", "problem"),
    [
        (SAVED, {}, "'2.940550000000000108e-01' in the first line is no name; give header: false where the first"),
        ("2020-01-01,a\n2020-01-02,b\n", {}, "'2020-01-01' in the first line is no name; give header: false"),
        ("NA\n1\n2\n", {}, "'NA' in the first line is no name; give header: false"),
        ("x,0.5\na,0.6\nb,0.7\n", {"column": "0.5"}, "'0.5' in the first line is no name"),
        ("t;x\n1;2\n3;4\n", {}, "its lines have fields, 2 at ';'; give separator: \";\""),
        ("t\tx\n1\t2\n3\t4\n", {"column": "x"}, "2 at a tab; give separator: \"\\t\""),
        ("a; b\n1; 2\n3; 4\n", {}, "its lines have fields, 2 at ';'; give separator: \";\" (and"),
        ("a b;c d\n1 2;3 4\n", {}, "2 at ';' or 3 at blanks; give separator: \";\" or \" \""),
        ("a,b;c,d\n1,2;3,4\n", {"column": "a"}, "3 at ',' or 2 at ';'; give separator: \",\" or \";\""),
        ("x\n0,29\n0,79\n", {}, "line 2 has 2 fields, and the first has 1, at ','; give decimal: ','"),
        ("x\n0,29\n0,79\n", {"decimal": ","}, "which may separate fields too; give the separator, such as ';'"),
        ("x\n0,29\n0.79\n", {"decimal": ",", "separator": ";"}, "'0.79' in data row 2 has a dot, and decimal is ','"),
        ("x\n1.234,5\n2,5\n", {"decimal": ",", "separator": ";"}, "'1.234,5' in data row 1 has a dot"),
        ("t;x\n1;0,29\n2;0,79\n", {"separator": ";", "column": "x"}, "'0,29' in data row 1 is not a number; give dec"),
        ('x,y\n"1,234",2\n3,4\n', {"column": "x"}, "'1,234' in data row 1 is not a number; give decimal: ',' if that"),
        ("0,29\n0,79\n", {"header": False}, "'0,29' is two fields, or a number with a decimal comma, like every line"),
        ("t;x\n1;1.234\n2;987\n", {"separator": ";", "column": "x"}, "'1.234' may be decimal or thousands, as in"),
        ("t\tx\n1\t12.345\n2\t-1.234\n", {"separator": "\t", "column": "x"}, "give decimal: '.', or take the dots out"),
        ("x\n1,234,567\n2\n", {"decimal": ",", "separator": ";"}, "'1,234,567' in data row 1 is not a number; mend"),
        ("x\n1 234\n2\n", {}, "'1 234' in data row 1 is not a number; mend the file"),
        ("# by me\nx\n1\n2\n", {}, "begins with '# by me'; give comment: '#'"),
        ("x\n1\n# by me\n2\n", {}, "'# by me' in data row 2 is not a number; give comment: '#' if it begins a comment"),
        ("x\n1\n2 # by me\n", {"comment": "#"}, "'2 # by me' in data row 2 is not a number; mend the file"),
        ("x,y\n1,2\n3\n5,6\n", {"column": "x"}, "line 3 has 1 fields, and the first has 2, at ','; mend the file"),
        ("x,y\n1,2\n3,4,5\n5,6\n", {"column": "x"}, "line 3 has 3 fields, and the first has 2"),
        ("x,y\n1,2\n\n5,6\n", {"column": "x"}, "line 3 has 0 fields, and the first has 2"),
        ("x,x\n1,2\n3,4\n", {"column": "x"}, "has 2 columns x; rename all but one"),
        ("x, x\n1,2\n3,4\n", {"column": "x"}, "has 2 columns x; rename all but one"),
        ("x\n1\ninf\n3\n", {"gaps": "interpolate"}, "'inf' in data row 2 is not a number"),
        ("x\n1\n-Infinity\n3\n", {"missing": "x"}, "'-Infinity' in data row 2 is not a number"),
        ("x\n1\n1e999\n3\n", {}, "'1e999' in data row 2 is not a number"),
        ("x\n1\n0x10\n3\n", {}, "'0x10' in data row 2 is not a number"),
        ("x\n1\n50%\n3\n", {}, "'50%' in data row 2 is not a number; give comment: '%' if it begins a comment"),
        ("x\n1\n\u22125\n3\n", {}, "is not a number"),
        ("x\nmm\n1\n2\n", {}, "'mm' in data row 1 is not a number; mend the file, or give missing: 'mm'"),
        ("x\nNA\nNA\n", {"gaps": "interpolate"}, "has 0 rows; a drive needs at least 2"),
        ("x\n1\n2\n".encode("utf-16-le"), {}, "has a zero at byte 1, as UTF-16 has and no UTF-8 text; save"),
        (b"\xff\xfex\x00\n", {}, "begins as UTF-16 does, and is not; save it as UTF-8"),
        ("t,gr\xf6\xdfe\n1,2\n3,4\n".encode("latin-1"), {}, "is not UTF-8 text from byte 4 on; save it as UTF-8"),
        (gzip.compress(NAMED.encode(), mtime=0)[:-12], {}, "is not a whole gzip file"),
        (gzip.compress(b"\n", mtime=0), {}, "is empty"),
        (b"PK\x03\x04 and so on", {}, "is a zip file or an Excel workbook; save the table as CSV"),
        (b"\x93NUMPY\x01\x00", {}, "is a NumPy file; save it with numpy.savetxt, or as Parquet"),
        ('x\n"1\n2\n', {}, "is not a table"),
        ("# a\n# b\n", {"comment": "#"}, "is not a table"),
        (NAMED, {"separator": ";;"}, "is not"),
        (NAMED, {"separator": "\n"}, "is not"),
        (NAMED, {"decimal": ";"}, "is not known; give '.' or ','"),
        (NAMED, {"missing": True}, "is not a text; give one, in quotes"),
        (NAMED, {"header": "no"}, "is not true or false"),
    ],
)  # fmt: skip
def test_what_can_be_read_in_two_ways_or_in_none_is_refused_with_what_was_seen(
    content: str | bytes, said: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    assert problem in refused(tmp_path, content, **said)


@pytest.mark.parametrize("name", ["header", "separator", "decimal", "comment"])
def test_a_parquet_file_has_no_dialect(name: str, tmp_path: Path) -> None:
    pl.DataFrame({"x": [1.0, 2.0]}).write_parquet(tmp_path / "t.parquet")
    said = {"header": True, "separator": ";", "decimal": ".", "comment": "#"}[name]
    sentence = refused(tmp_path, (tmp_path / "t.parquet").read_bytes(), **{name: said})
    assert f"is a Parquet file, which needs no {name}; remove {name}" in sentence


numbers_written = st.floats(allow_nan=False, allow_infinity=False, width=64)


@settings(deadline=None)
@given(
    values=st.lists(st.tuples(numbers_written, numbers_written), min_size=2, max_size=20),
    separator=st.sampled_from([",", ";", "\t", "|", " "]),
    decimal=st.sampled_from([".", ","]),
    end=st.sampled_from(["\n", "\r\n"]),
    header=st.booleans(),
    form=st.sampled_from(["{!r}", "{:.17e}", '"{!r}"', "{:+.17g}"]),
)
def test_every_dialect_gives_back_every_number_to_the_last_bit(
    values: list[tuple[float, float]], separator: str, decimal: str, end: str, header: bool, form: str
) -> None:
    quote = "{}" if separator != decimal else '"{}"'
    written = [[quote.format(form.format(one).strip('"').replace(".", decimal)) for one in row] for row in values]
    lines = ([separator.join("ab")] if header else []) + [separator.join(row) for row in written]
    said = {"separator": separator, "decimal": decimal, "header": header}
    found = read((end.join(lines) + end).encode(), **said)
    assert found.tolist() == [list(row) for row in values]


written_as = st.sampled_from(["{:d}", "{:.1f}", "{:.3f}", "{:.6e}"])


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_whatever_is_said_of_its_dialect_a_table_is_read_rightly_or_refused(data: st.DataObject) -> None:
    """Of a file by somebody who says all of its dialect, some or nothing: never another number, nor one fewer."""
    separator = data.draw(st.sampled_from([",", ";", "\t", "|", " "]))
    decimal = "." if separator == "," else data.draw(st.sampled_from([".", ","]))
    header, comment, single = (data.draw(st.booleans()) for _ in range(3))
    form, end = data.draw(written_as), data.draw(st.sampled_from(["\n", "\r\n"]))
    gaps = data.draw(st.sampled_from(["", "NA", "NaN", ".", "-999"])) if not single and separator != " " else "NA"
    values = data.draw(st.lists(st.one_of(st.none(), st.integers(-3000, 3000)), min_size=3, max_size=8))
    texts = [gaps if v is None else form.format(v if form == "{:d}" else v / 7).replace(".", decimal) for v in values]
    rows = [[text] if single else [str(i), text] for i, text in enumerate(texts)]
    lines = (["# made by us"] if comment else []) + (
        [separator.join(["x"] if single else ["t", "x"])] if header else []
    )
    content = (end.join(lines + [separator.join(row) for row in rows]) + end).encode()
    truth = {"separator": separator, "decimal": decimal, "header": header, "comment": "#" if comment else ""}
    truth |= {"missing": ("-999",)} if gaps == "-999" else {}
    said = {key: value for key, value in truth.items() if data.draw(st.booleans())}
    dialect = Dialect(**said)
    try:
        table = read_table(content, dialect, "t.csv")
        found = numbers(table, table.columns[-1], dialect, "t.csv").to_list()
    except ValueError:
        assert said != truth, "what is told whole is read"
        return
    wanted = [None if v is None else float(text.replace(",", ".")) for v, text in zip(values, texts, strict=True)]
    if "missing" not in said and gaps == "-999":
        wanted = [-999.0 if v is None else v for v in wanted]  # nobody can know
    assert found == wanted
