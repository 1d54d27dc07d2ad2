"""A new cell is one new file: nobody else names leaky_tanh, and one file more in a copy of the package is enough."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from reference import measured
from studies import ROOT, command

from rnnmc.cells import cells, source_digest
from rnnmc.cells.leaky_tanh import LeakyTanh
from rnnmc.chain.check_cell import check_cell
from rnnmc.engine.compiled.trace import traced
from rnnmc.study.study import DesignPoint
from rnnmc.theory import predictions

NAMES = ("leaky_tanh", "LeakyTanh")
OWN = {"rnnmc/cells/leaky_tanh.py", "tests/cells/test_one_new_file.py"}
BUILT_ON_IT = {"rnnmc/cells/esn.py"}

# The forget gate alone: with a gate, a main term and a law of its own.
FORGET_ONLY = """
from rnnmc.cells.cell import AtZero, Cell, Gating, Tangent, Terms, scaled_terms
from rnnmc.cells.functions import logistic, scaled_sum, sech2


class ForgetOnly(Cell):
    name = "forget_only"
    formula = "f = sg(.), h' = f o h + (1-f) o tanh(W x + U h + b)"
    source = "a file of its own"
    gates = ("forget", "candidate")
    memory = {"forget": 1}
    main_term = "f"
    other_terms = ("forget", "candidate")
    bounded = True
    at_zero = AtZero(sources=("candidate",), matrix="candidate", gates=("forget",))
    gating = Gating(keep="forget")

    def slopes(self, *openings):
        (forget,) = openings
        return forget, 1 - forget

    def linearise(self, weights, drive, state):
        (h,) = state
        at_h = weights.apply(h, *self.gates)
        f, rest, slope = logistic(drive["forget"] + at_h["forget"])
        candidate = drive["candidate"] + at_h["candidate"]
        y = candidate.tanh()
        scales = {"forget": (h - y) * slope, "candidate": rest * sech2(candidate)}
        jacobian = scaled_sum(weights.recurrent, scales)

        def push(directions):
            return (weights.product(directions[0], jacobian, plus=f * directions[0]),)

        return (f * h + rest * y,), Tangent(push, Terms(f, scaled_terms(weights.recurrent, scales)))


CELL = ForgetOnly()
"""


def test_nobody_else_names_the_newest_cell():
    files = [path for folder in ("rnnmc", "benchmarks", "tests") for path in (ROOT / folder).rglob("*.py")]
    named = {
        path.relative_to(ROOT).as_posix()
        for path in files
        if any(name in path.read_text(encoding="utf-8") for name in NAMES)
    }
    assert named == OWN | BUILT_ON_IT


# --- a file put into a copy of the package --------------------------------------------------------


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A copy of the package, and of the tests of cells, with one file more."""
    folder = tmp_path_factory.mktemp("house")
    for part in ("rnnmc", "tests/cells"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (*(ROOT / "tests").glob("reference*.py"), ROOT / "tests/grids.py", ROOT / "pyproject.toml"):
        shutil.copy(file, folder / file.relative_to(ROOT))
    (folder / "tests/cells" / Path(__file__).name).unlink()
    (folder / "rnnmc/cells/forget_only.py").write_text(FORGET_ONLY, encoding="utf-8")
    return folder


COMMANDS = {
    "cells": "cells",
    "check": "check-cell forget_only",
    "plan": "plan new.yaml",
    "measure": "measure forget_only --width 24 --init gaussian --gain 1.5 --drive none --bias forget=1 --replicates 40 "
    "--horizons 10,100 --json",
}
ALL_OF_THEM = f"""
from rnnmc.cli import app
for name, words in {COMMANDS!r}.items():
    print(f"<{{name}}>")
    assert not app(words.split(), standalone_mode=False), words
"""  # in one process, as most of a command is the import of torch


@pytest.fixture(scope="module")
def told(house):
    """What each of COMMANDS says in the copy."""
    study = "study: new\nreplicates: 100\nhorizons: [10]\npoints:\n  - {cell: forget_only, width: 4}\n"
    (house / "new.yaml").write_text(study, encoding="utf-8")
    said = run_in(house, "python", "-c", ALL_OF_THEM)
    return {name: said.split(f"<{name}>\n")[1].split("\n<")[0] for name in COMMANDS}


def run_in(house, *words):
    """What a command that must not fail says in the copy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(house))
        done = command(*words, cwd=house)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.process
def test_a_cell_in_a_new_file_is_listed_checked_and_planned(told):
    assert "a file of its own" in told["cells"]
    assert "law of zero weights" in told["check"]
    assert "law of the zero state" in told["check"]
    assert "forget_only" in told["plan"]


@pytest.mark.process
def test_it_is_measured_beside_the_laws_that_it_states(told):
    rows = json.loads(told["measure"])["statistics"]
    (late,) = [row for row in rows if (row["horizon"], row["measure"]) == (100, "log_rms")]
    keep = 1 / (1 + math.exp(-1))
    assert late["theory_growth_rate"] == pytest.approx(math.log(keep + 1.5 * (1 - keep)))
    # large width, at n = 24: the edge of the spectrum scatters by about (1 - f) g / sqrt n
    assert abs(late["growth_rate"] - late["theory_growth_rate"]) < 0.08


@pytest.mark.slow
@pytest.mark.process
def test_the_tests_over_all_cells_hold_it_to_what_they_hold_ours(house):
    general = "most_cells or every_cell_with_gates or no_law_of"  # which must not mind it either
    said = run_in(house, "pytest", "tests/cells", "-q", "-k", f"forget_only or {general}")
    assert int(said.split(" passed")[0].split()[-1]) >= 3 + 5


# --- the leaky tanh itself ------------------------------------------------------------------------


@pytest.mark.parametrize("leak", [0.05, 0.3, 1.0])
def test_any_leak_passes_every_check_and_is_traced(leak):
    assert all(result.passed for result in check_cell(LeakyTanh(leak)))
    assert traced(LeakyTanh(leak)).pushed


@pytest.mark.parametrize("leak", [0.0, -0.1, 1.5, math.nan])
def test_what_is_no_leak_is_refused(leak):
    with pytest.raises(ValueError, match="is not possible; give a number above 0"):
        LeakyTanh(leak)


def own_point(tmp_path, monkeypatch, module, leak, **more):
    (tmp_path / f"{module}.py").write_text(f"from rnnmc.cells.leaky_tanh import LeakyTanh\nCELL = LeakyTanh({leak})\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return DesignPoint(cell=f"{module}:CELL", **more)


def test_a_leak_of_ones_own_is_another_key(tmp_path, monkeypatch):
    one, other = (own_point(tmp_path, monkeypatch, f"leak{i}", leak, width=2) for i, leak in enumerate((0.3, 0.4)))
    digests = [source_digest(point.cell) for point in (one, other)]
    assert all(digests)
    assert digests[0] != digests[1]
    assert source_digest("leaky_tanh") == ""
    assert cells()["leaky_tanh"].leak == 0.5


@pytest.mark.parametrize(("leak", "gain"), [(0.5, 0.7), (0.5, 2.0), (0.2, 2.0)])
def test_it_turns_where_its_zero_state_says_at_gain_one_whatever_the_leak(leak, gain, tmp_path, monkeypatch):
    """Large width, at n = 100 to 0.04 nats: the edge of the spectrum scatters by about a g / sqrt n."""
    said = {"init": {"recurrent": {"gaussian": gain}}, "drive": "none", "horizons": (60, 200), "dtype": "float64"}
    module = f"turns{round(10 * leak)}_{round(10 * gain)}"
    point = own_point(tmp_path, monkeypatch, module, leak, width=100, **said)
    found = {law.name: prediction for law, prediction in predictions(point)}
    assert set(found) == {"zero_state"}
    assert found["zero_state"].growth_rate == pytest.approx(math.log(1 - leak + leak * gain))
    assert found["zero_state"].onset_gain == pytest.approx(1.0)
    _, rms, _ = measured(point, 6)
    rate = float(np.diff(rms, axis=1).mean() / 140)
    assert abs(rate - found["zero_state"].growth_rate) < 0.04
    assert (rate > 0) == (gain > 1)


def test_fresh_weights_turn_a_fixed_vector_as_the_exact_law_says(tmp_path, monkeypatch):
    """At n = 1 it is the law of the norm: the mean of 4,000 products within 6.1 standard errors."""
    said = {"init": {"recurrent": {"gaussian": 1.4}}, "drive": "none", "weights": "untied", "dtype": "float64"}
    point = own_point(tmp_path, monkeypatch, "fresh", 0.3, width=1, horizons=(1, 20), **said)
    (norm,) = [found.log_norm["log_spectral"] for law, found in predictions(point) if law.name == "zero_state_vector"]
    spectral, _, _ = measured(point, 4000)
    for column, horizon in enumerate(point.horizons):
        mean, variance = norm.moments(horizon)
        assert abs(spectral[:, column].mean() - mean) < 6.1 * math.sqrt(variance / len(spectral))
