"""What a design point begins with where nothing is said of its initialisation."""

import pytest
from studies import command

from rnnmc.cells.cell import Cell
from rnnmc.common.errors import UsageError
from rnnmc.study.options import initialisation
from rnnmc.study.point import DesignPoint


class Silent(Cell):
    """Diagonal, of a paper that says nothing."""

    name, formula, source, gates, diagonal = "silent", "h' = u h + a", "nobody", ("hidden",), True

    def step(self, weights, drive, state):
        return (weights.recurrent["hidden"] * state[0] + drive["hidden"],)


SILENT = Silent()


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("lstm", "pytorch"),
        ("min_lstm", "pytorch"),
        ("lru", "published"),
        ("indrnn", "published"),
        ("gru_diagonal", {"recurrent": {"gaussian": 1.0}}),
        ("tests.study.test_unsaid:SILENT", {"recurrent": {"gaussian": 1.0}}),
    ],
)
def test_where_no_initialisation_is_said_vectors_have_that_of_the_paper(cell, said):
    assert DesignPoint(cell=cell, width=3) == DesignPoint(cell=cell, width=3, init=said)
    assert DesignPoint(cell=cell, width=3).key == DesignPoint(cell=cell, width=3, init=said).key


def test_the_options_of_the_command_line_begin_from_it():
    assert initialisation(None, None, None, [], "indrnn") == "published"
    assert initialisation(None, None, 0.5, [], "lru") == {"preset": "published", "input": {"gaussian": 0.5}}
    assert initialisation(None, None, None, ["forget=1"], "lstm") == {"preset": "pytorch", "bias": {"forget": 1.0}}
    assert initialisation("keras", None, None, [], "lru") == "keras"
    with pytest.raises(UsageError, match="goes with a law such as --init gaussian, not with published"):
        initialisation(None, 2.0, None, [], "lru")


@pytest.mark.process
def test_measure_says_which_initialisation_it_chose(tmp_path):
    run = command("rnnmc", "measure", "sru", "--replicates", "20", "--horizons", "10", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "sru n=16 published" in run.stdout
