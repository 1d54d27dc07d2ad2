# pyright: reportIncompatibleMethodOverride=false
"""What a cell states of itself: a lie fails the check, what names nothing is refused, a field is part of the key."""

import sys

import pytest

from rnnmc.cells.cell import AtZero, Cell, Gating
from rnnmc.cells.gru import GRU
from rnnmc.cells.lstm import LSTM
from rnnmc.cells.min_gru import MinGRU
from rnnmc.cells.tanh import Tanh
from rnnmc.chain.check_cell import check_cell
from rnnmc.study.study import DesignPoint


class SlopesOfAnother(LSTM):
    """b forgets the output gate: right where every gate is 1/2 but for a factor, wrong elsewhere."""

    at_zero, gating = LSTM.at_zero, LSTM.gating

    def slopes(self, *openings):
        forget, admit, _ = openings
        return forget, admit


class HalfOpenOnly(GRU):
    """Right where every gate is 1/2, and nowhere else."""

    at_zero, gating = GRU.at_zero, GRU.gating

    def slopes(self, *openings):
        return 0.5 + 0 * openings[0], 0.25 + 0 * openings[1]


class MovedByItsBias(Tanh):
    """The state does not stay zero, whatever it says."""

    at_zero = AtZero(sources=(), matrix="hidden")


class WrongKeeper(LSTM):
    at_zero, gating = LSTM.at_zero, Gating(keep="input", admit="input", show="output", squashed=True)


class NotSquashed(LSTM):
    at_zero, gating = LSTM.at_zero, Gating(keep="forget", admit="input", show="output")


class WrongAdmission(GRU):
    at_zero, gating = GRU.at_zero, Gating(keep="update", admit="reset", show="reset")


class Coupled(MinGRU):
    """The memory of one unit is mixed with another's, with a tangent that fits."""

    gating = MinGRU.gating

    def linearise(self, weights, drive, state):
        axis = weights.layout.out_axis
        return super().linearise(weights, {**drive, "update": drive["update"].flip(axis)}, state)


@pytest.mark.parametrize(
    ("cell", "laws"),
    [
        (SlopesOfAnother(), {"law of the zero state"}),
        (HalfOpenOnly(), {"law of the zero state"}),
        (MovedByItsBias(), {"law of the zero state"}),
        (WrongKeeper(), {"law of zero weights", "law of the zero state"}),
        (NotSquashed(), {"law of zero weights"}),
        (WrongAdmission(), {"law of the zero state"}),
        (Coupled(), {"law of zero weights"}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Cell) else "",
)
def test_a_cell_that_states_what_does_not_hold_fails_the_law_of_it_and_nothing_else(cell, laws):
    assert {result.name for result in check_cell(cell) if not result.passed} == laws


@pytest.mark.parametrize(
    ("base", "stated"),
    [
        (Tanh, {"at_zero": AtZero(("hidden",), "recurrent")}),
        (Tanh, {"at_zero": AtZero(("biass",), "hidden")}),
        (Tanh, {"at_zero": AtZero((), "hidden", ("gate",))}),
        (Tanh, {"at_zero": Tanh.at_zero, "diagonal": True}),
        (Tanh, {"at_zero": Tanh.at_zero, "slopes": Cell.slopes}),
        (Tanh, {"gating": Gating("hidden")}),
        (GRU, {"gating": Gating("reset")}),
        (GRU, {"gating": Gating("update", show="restart")}),
        (LSTM, {"gating": Gating("forget")}),
        (LSTM, {"gating": Gating("forget", admit="input")}),
        (GRU, {"gating": Gating("update", squashed=True)}),
    ],
)
def test_facts_that_name_what_the_cell_does_not_have_are_refused_when_it_is_written(base, stated):
    with pytest.raises(TypeError, match="Odd: "):
        type("Odd", (base,), stated)


USERS_CELL = """
import os
from rnnmc.cells.cell import Cell

class Slow(Cell):
    name, gates, {fields} = "slow", ("hidden",), {value}

    def __init__(self, rate):
        self.rate = rate

    def step(self, weights, drive, state):
        return (state[0] * self.rate + drive["hidden"],)

CELL = Slow(float(os.environ["RATE"]))
"""


@pytest.mark.parametrize(("value", "told_apart"), [('("rate",)', True), ("()", False)])
def test_the_key_of_a_cell_of_ones_own_sees_a_field_wherever_its_value_comes_from(
    value, told_apart, tmp_path, monkeypatch
):
    (tmp_path / "slow_cell.py").write_text(USERS_CELL.format(fields="fields", value=value))
    monkeypatch.syspath_prepend(str(tmp_path))

    def key(rate):
        monkeypatch.setenv("RATE", rate)
        monkeypatch.delitem(sys.modules, "slow_cell", raising=False)
        return DesignPoint(cell="slow_cell:CELL", width=2).key

    assert (key("0.1") != key("0.2")) == told_apart
    assert key("0.1") == key("0.1")
