"""Of many design points the few that tell most, and what each cell does, in sentences."""

from __future__ import annotations

import io
import re

import polars as pl
import pytest
from rich.console import Console

from rnnmc.cells import cells
from rnnmc.initialisers import laws, layers
from rnnmc.report.printing import broken, console
from rnnmc.report.telling import MOST_ROWS, class_of, sentences, telling, telling_events
from rnnmc.report.terminal import described_table, frame_table, narrow_table, rare_events_table

GAINS = ("gaussian 1", "gaussian 2", "gaussian 4")


def rows_of(cells: dict[str, dict[tuple[int, str], str]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(rows, points): cell -> (width, init) -> what its replicates surely do."""
    rows = [
        {"point": f"{cell}{width}{init}", "cell": cell, "width": width, "init": init, "series": init}
        | {f"p_{event}_at_low": 0.9 if event == does else 0.0 for event in ("vanish", "stable", "explode")}
        for cell, of in cells.items()
        for (width, init), does in of.items()
    ]
    frame = pl.DataFrame(rows)
    return frame, frame.select("point", "cell", "width", "init")


def ladder(turns_at: int, widths: tuple[int, ...] = (1, 16, 64)) -> dict[tuple[int, str], str]:
    """A cell that vanishes below the gain of this place and explodes from it on, at every width."""
    return {(width, gain): "explode" if i >= turns_at else "vanish" for width in widths for i, gain in enumerate(GAINS)}


def test_all_are_told_where_they_are_few():
    rows, points = rows_of({"tanh": ladder(1), "lstm": ladder(2)})
    assert telling(rows, points).equals(rows)


def test_of_many_those_are_told_between_which_a_cell_turns_at_its_widest():
    rows, points = rows_of({f"cell{i}": ladder(i % 3) for i in range(9)})
    found = telling(rows, points)
    assert found.height <= MOST_ROWS
    assert set(found["width"]) == {16, 64}
    for (cell,), pair in found.filter(pl.col("width") == 64).group_by("cell"):
        assert [class_of(row) for row in pair.iter_rows(named=True)] == ["vanish", "explode"], cell
    turning = {f"cell{i}" for i in range(9) if i % 3}
    assert set(found.filter(pl.col("width") == 64)["cell"]) == turning


def rare_events(cells: tuple[str, ...] = ("lstm", "gru_reset_after")) -> pl.DataFrame:
    """Of each event, cell and setting three horizons, of which nothing speaks against the first two."""
    rows = [
        {"event": event, "cell": cell, "width": width, "setting": "flax.linen.OptimizedLSTMCell", "horizon": horizon}
        | {"threshold": threshold if horizon < 300 else 0.5, "p": 1.23e-14, "p_low": 1.25e-15, "p_high": 1.36e-13}
        | {"reached": horizon < 300, "doubt": "" if horizon < 300 else "populations gave up at P = 1e-15"}
        for event, threshold in {"explode at": 1e3, "stable by": 1.0}.items()
        for cell in cells
        for width in (4, 16)
        for horizon in (30, 100, 300)
    ]
    return pl.DataFrame(rows)


def test_of_many_rare_events_the_longest_that_nothing_speaks_against_are_told_and_of_few_all():
    rows = rare_events()
    told = telling_events(rows)
    assert told.height == 8 < rows.height
    assert set(told["horizon"]) == {100}
    few = rows.head(MOST_ROWS)
    assert telling_events(few).equals(few)


def test_rare_events_fit_80_columns_without_a_number_broken_and_doubts_are_told():
    for event, norm in (("explode at", ", norm 1000"), ("stable by", "")):
        own = telling_events(rare_events()).filter(pl.col("event") == event)
        text = in_80_columns(rare_events_table(own, wide=False))
        assert f"P({event} T){norm} " in text
        assert text.count("1.23e-14 [1.2e-15,1.4e-13]") == own.height
        assert "doubt" not in text
    rows = rare_events().filter(pl.col("event") == "explode at").with_columns(doubt=pl.lit("few ancestors"))
    text = in_80_columns(rare_events_table(rows, wide=False))
    assert text.count(" 1.23e-14? [1.2e-15,1.4e-13]") == 8
    assert text.count(" 0.5         - [1.2e-15,1.4e-13]") == 4, "the estimate of the event is not what was reached"
    assert "?: in doubt" in text
    assert str(rare_events_table(rows, wide=True).columns[-1].header) == "doubt"


def test_neighbours_that_differ_in_more_than_one_factor_are_no_change():
    own = {(width, "pytorch"): "vanish" for width in range(1, 13)}
    own |= {(width, "keras"): "explode" for width in range(21, 33)}
    rows, points = rows_of({"tanh": own})
    assert telling(rows, points)["width"].to_list() == [32], "the last one stands for a cell that turns nowhere"


def test_cells_that_do_the_same_share_a_sentence():
    mixed = {(n, "pytorch"): does for n, does in enumerate(("stable", "stable", "", "vanish"), 1)}
    alone = {(1, "published"): "stable"}
    rows, _ = rows_of({"tanh": ladder(2), "gru": ladder(2), "relu": ladder(3), "lstm": mixed, "lru": alone})
    assert sentences(rows) == [
        "tanh and gru: 6 of 9 design points of each mostly vanish, 3 mostly explode.",
        "relu: all 9 design points mostly vanish.",
        "lstm: 2 of 4 design points mostly stay, 1 mostly vanish, 1 without a clear majority.",
        "lru: 1 of 1 design point mostly stay.",
    ]
    assert sentences(rows, 2)[1:] == ["And 3 more kinds of cell."]


def test_a_table_of_many_columns_breaks_no_number_on_a_narrow_terminal_and_says_what_it_leaves_out(monkeypatch):
    monkeypatch.setattr("rnnmc.report.terminal.console", lambda: Console(width=80))
    numbers = {f"column_{i}": [-438.512, 1.0e-6] for i in range(20)}
    console = Console(width=80)
    with console.capture() as seen:
        console.print(frame_table(pl.DataFrame({"path": ["joint", "c_to_c"]} | numbers), "paths"))
    lines = seen.get().splitlines()
    assert all(len(line.rstrip()) <= 80 for line in lines)
    (joint,) = (line.split() for line in lines if "joint" in line)
    shown = len(joint) - 1
    assert joint[1:] == ["-438.5"] * shown
    assert 3 < shown < 20
    assert f"--json has {20 - shown} more columns, column_{shown} to column_19" in " ".join(lines)


def test_where_columns_are_left_out_the_median_is_not():
    frame = pl.DataFrame({"path": ["c"], "mean": 1.0, "q05": 2.0, "q25": 3.0, "q50": 4.0, "q95": 5.0, "error": 6.0})
    assert [column.header.plain for column in frame_table(frame, "paths").columns] == [
        "path", "q50", "q05", "q95", "mean", "q25", "error",
    ]  # fmt: skip
    other = pl.DataFrame({"start": [1], "mean": 1.0})
    assert [column.header.plain for column in frame_table(other, "starts").columns] == ["start", "mean"]


def in_80_columns(table) -> str:
    """What is printed where a terminal is that narrow."""
    console = Console(width=80)
    with console.capture() as seen:
        console.print(table)
    assert all(len(line.rstrip()) <= 80 for line in seen.get().splitlines())
    return seen.get()


LONGEST = ("gru_output_gated", "gru_reset_after")
SERIES = ("gaussian 2 spectral_radius 1.0; drive white, m = 1", "flax.linen.GRUCell", "drive file us-constitution.txt")


def test_the_main_table_in_80_columns_breaks_no_word_of_a_cell_or_a_series():
    shares = {f"p_{event}_at{end}": 0.125 for event in ("vanish", "stable", "explode") for end in ("", "_low", "_high")}
    row = shares | {"width": 1024, "q50": -12345.0, "horizon": 100000, "interval": "confidence-sequence", "level": 0.95}
    row |= {"threshold_vanish": 1e-3, "threshold_explode": 1e3}
    rows = pl.DataFrame([row | {"cell": cell, "series": series} for cell in LONGEST for series in SERIES])
    shown = in_80_columns(narrow_table(rows)).split()
    assert {word for text in (*LONGEST, *SERIES) for word in text.split()} <= set(shown)


@pytest.mark.parametrize("kind", [cells(), laws(), {name: layers()[name] for name in list(layers())[:20]}])
def test_lists_in_80_columns_lose_nothing_and_break_words_only_where_they_have_parts(kind):
    rows = {name: {"formula": one.formula, "source": str(getattr(one, "source", ""))} for name, one in kind.items()}
    text = in_80_columns(described_table("name", rows))
    assert "\u2026" not in text
    shown = set(text.split())
    for said in (*rows, *(word for texts in rows.values() for text in texts.values() for word in text.split())):
        assert said in shown or re.search(r"[_./(,;:=]", said), said


def test_a_word_longer_than_its_column_is_broken_between_its_parts_and_only_then_anywhere():
    assert broken("gaussian 2 spectral_radius 1.0", 12) == "gaussian 2 spectral_\nradius 1.0"
    assert broken("keras.layers.GRU(reset_after=True)", 20) == "keras.layers.GRU(\nreset_after=True)"
    assert broken("abcdefghij", 4) == "abcd\nefgh\nij"
    assert broken("short words", 5) == "short words"


class Stream(io.StringIO):
    """One that is a terminal, or a pipe, or neither."""

    def __init__(self, seen=False, piped=False):
        super().__init__()
        self.isatty, self.seekable = (lambda: seen), (lambda: not piped)


def test_tables_are_as_wide_as_the_terminal_also_at_the_end_of_a_pipe_and_wider_in_a_file(monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    for out, err, width in (
        (Stream(seen=True), Stream(seen=True), 70),
        (Stream(piped=True), Stream(seen=True), 70),
        (Stream(piped=True), Stream(), 160),
        (Stream(), Stream(seen=True), 160),
    ):
        monkeypatch.setattr("sys.stdout", out)
        monkeypatch.setattr("sys.stderr", err)
        assert console().width == width
