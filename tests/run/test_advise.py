"""What is advised is better than what frameworks do, keeps its promise with another seed, and rests on nothing else."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

import rnnmc
from rnnmc import DesignPoint, cli, run_block
from rnnmc.cells import cells
from rnnmc.run import advise as module
from rnnmc.run.advice_told import code_lines, sentences, table
from rnnmc.run.advise import BATCH, Measured, advise
from rnnmc.run.measure import measure_samples
from rnnmc.statistics.intervals import binomial_interval
from rnnmc.study.candidates import Advised, base_of, candidates, horizons_down_from, keeper, lines, of_other_cells
from rnnmc.study.study import Thresholds

THRESHOLDS = Thresholds()


@pytest.fixture
def quick(monkeypatch):
    """So few replicates of each that a test takes seconds."""
    monkeypatch.setattr(module, "MOST_OF_ONE", 64)
    monkeypatch.setattr(module, "REFINED", 3)


def counted(point, replicates):
    """How many replicates stay within the thresholds at every horizon, by the samples alone."""
    log_norm = measure_samples(point, replicates)["log_spectral"].to_numpy().reshape(replicates, -1)
    return int(np.count_nonzero((np.abs(log_norm) <= np.log(1e3)).all(axis=1)))


def told(shown: Table) -> list[str]:
    """The lines of a table on a terminal of 80 columns."""
    console = Console(width=80)
    with console.capture() as seen:
        console.print(shown)
    return seen.get().splitlines()


@pytest.mark.slow
def test_the_advice_beats_the_defaults_of_pytorch_and_keras_and_keeps_to_its_intervals(quick, monkeypatch):
    """`rnnmc advise lstm --width 64 --steps 1000` in small; docs/advise.md has the whole."""
    question = Advised("lstm", 8, 60, "pytorch")
    advice = advise(question)
    names = [str(row.point.init) for row in advice.ranking]
    assert {"pytorch", "keras", "flax"} <= set(names)
    best, there = advice.best, advice.there
    assert there is not None
    assert advice.line is not None
    assert advice.line.name == "forget bias"
    assert advice.top is not None
    assert advice.top.low <= advice.top.at <= advice.top.high
    for row, again in ((best, advice.best_again), (there, advice.there_again)):
        assert row.by.low <= again.p <= row.by.high
        afresh = question.point(row.point.init).model_copy(update={"seed": 99})
        count = counted(afresh, 256)
        low, high = binomial_interval(count, 256, 1 - 1e-6)
        assert low <= row.by.high
        assert high >= row.by.low
        for default in ("pytorch", "keras"):
            worse = counted(question.point(default).model_copy(update={"seed": 99}), 256)
            assert count > worse + 6 * np.sqrt(256)  # six deviations of the difference, at the most
            assert advice.ranking[names.index(default)].apart
    shares = [row.by.p for row in advice.ranking]
    assert shares == sorted(shares, reverse=True)
    assert "layer.bias_ih_l0" in code_lines(advice, "torch")
    assert "measured afresh" in " ".join(sentences(advice))
    monkeypatch.setattr("rnnmc.report.terminal.console", lambda: Console(width=80))
    brief, whole = (told(table(advice, everything)) for everything in (False, True))
    assert all(len(line.rstrip()) <= 80 for line in (*brief, *whole))
    rows = [re.findall(r"^\d+ +(\S.*?)  ", "\n".join(some), re.MULTILINE) for some in (brief, whole)]
    assert len(rows[1]) == len(names)
    assert len(rows[0]) <= 20 < len(names)
    assert {"pytorch", "keras", "flax"} <= set(rows[0])
    assert f"{len(names) - len(rows[0])} more candidates: --all" in brief[-1]
    at_end = dataclasses.replace(advice, top=advice.top._replace(high=advice.line.start[-1]))
    assert f"nothing beyond {advice.line.start[-1]:g} was tried" in " ".join(sentences(at_end))


def test_replicates_rest_on_neither_threads_nor_order():
    points = [DesignPoint(cell="tanh", width=3, init=init, horizons=[1, 10]) for init in ("pytorch", "keras")]
    seen = []
    for threads, steps in ((1, (2 * BATCH,)), (3, (BATCH, BATCH))):
        with ThreadPoolExecutor(threads) as pool:
            bench = module._Bench(THRESHOLDS, pool, None, [Measured.nothing(point) for point in points])
            for more in steps:
                bench.measure([(one, more) for one in bench.all])
        seen.append([one.log_norm for one in bench.all])
    for one, other in zip(*seen, strict=True):
        assert np.array_equal(one, other)
        assert one.shape == (2 * BATCH, 2)
        assert not np.array_equal(one[:BATCH], one[BATCH:])
    first = Measured.nothing(points[0])
    block = run_block(points[0], 1, BATCH, cut=first.cut)["log_spectral"].to_numpy()
    assert np.array_equal(block.reshape(BATCH, 2), seen[0][0][BATCH:])


STEP_ALONE = """
from rnnmc.cells.cell import Cell


class Softsign(Cell):
    name, gates, formula, source = "softsign", ("hidden",), "", ""

    def step(self, weights, drive, state):
        a = drive["hidden"] + weights.apply(state[0], "hidden")["hidden"]
        return (a / (1 + a.abs()),)


CELL = Softsign()
"""


@pytest.mark.slow
def test_a_tangent_by_autodiff_is_right_beside_others_of_its_kind(tmp_path, monkeypatch):
    """torch.func.jvp in several threads at once raises, or worse, uses the level of another."""
    (tmp_path / "advised_softsign.py").write_text(STEP_ALONE)
    monkeypatch.syspath_prepend(tmp_path)
    point = DesignPoint(cell="advised_softsign:CELL", width=9, init="pytorch", horizons=[1, 20])
    with ThreadPoolExecutor(4) as pool:
        bench = module._Bench(THRESHOLDS, pool, None, [Measured.nothing(point)])
        bench.measure([(bench.all[0], 6 * BATCH)])
    one = bench.all[0]
    blocks = [run_block(point, block, BATCH, cut=one.cut)["log_spectral"].to_numpy() for block in range(6)]
    assert np.array_equal(one.log_norm, np.concatenate(blocks).reshape(-1, 2))


def test_what_happens_first_counts_and_infinities_do():
    point = DesignPoint(cell="tanh", width=1, init="pytorch", horizons=[1, 10, 100])
    one = Measured.nothing(point)
    one.log_norm = np.array(
        [[0, 1, 2], [0, -8, 9], [7, -9, 0], [0, 0, -np.inf], [0, np.inf, 0], [-6.9, 6.9, 0], [0, -6.91, 0]]
    )
    vanished, exploded = one.first(THRESHOLDS)
    assert vanished.tolist() == [False, True, False, True, False, False, True]
    assert exploded.tolist() == [False, False, True, False, True, False, False]
    assert one.stable(THRESHOLDS) == 2
    assert one.stable(THRESHOLDS, 1) == 6
    assert one.stable(Thresholds(vanish=1e-9, explode=1e9)) == 5


def test_candidates_are_told_apart_by_their_keys_and_lines_know_their_places():
    for name in ("lstm", "gru", "gru_reset_after", "tanh", "relu"):
        cell = cells()[name]
        question = Advised(name, 4, 100, "pytorch")
        points, along = candidates(question, cell)
        assert len({point.key for point in points}) == len(points) > 12
        assert {"pytorch", "keras", "flax"} <= {str(point.init) for point in points}
        for line, places in along:
            assert tuple(places) == line.start
            for x, place in places.items():
                assert points[place].key == question.point(line.said(x)).key
                assert line.unscale(line.scale(x)) == pytest.approx(x)
        assert len(along) == (1 if cell.memory else 2)


def test_a_longer_memory_is_the_same_direction_along_the_line_of_every_cell():
    for name, expected in (("lstm", ("forget", 3.0)), ("gru", ("update", -3.0)), ("gru_reset_after", ("update", -3.0))):
        kept = keeper(cells()[name])
        assert kept is not None
        (line,) = lines(cells()[name], "pytorch", 100)
        assert line.said(3.0) == {"preset": "pytorch", "bias": {expected[0]: expected[1]}}
    assert keeper(cells()["tanh"]) is None


@pytest.mark.slow
def test_every_cell_has_candidates_if_only_its_own():
    for name, cell in cells().items():
        points, _ = candidates(Advised(name, 4, 100, base_of(cell, None)), cell)
        assert points, name
        assert {point.cell for point in points} == {name}


def test_other_cells_come_at_every_preset_that_serves_them():
    found = of_other_cells(Advised("lstm", 4, 100, "pytorch"), cells())
    pairs = {(point.cell, str(point.init)) for point in found}
    assert ("lru", "published") in pairs
    assert {("gru", "pytorch"), ("gru", "keras"), ("tanh", "flax")} <= pairs
    assert "lstm" not in {point.cell for point in found}


def test_horizons_go_down_from_the_last_and_have_its_tenth():
    assert horizons_down_from(1000) == (1, 2, 3, 6, 10, 18, 32, 56, 100, 178, 316, 562, 1000)
    for steps in (*range(1, 200), 1007, 5000):
        assert {1, max(1, steps // 10), steps} <= set(horizons_down_from(steps))
        assert {steps} <= set(horizons_down_from(10 * steps)), "by T is known of what was followed to 10 T"
    for steps in (10, 70, 120, 5000):
        assert set(horizons_down_from(steps)) >= {steps, round(steps / 10**0.25)}


@pytest.mark.slow
def test_where_nothing_is_stable_it_says_so(quick):
    advice = advise(Advised("tanh", 4, 40, "pytorch"), thresholds=Thresholds(vanish=1.5, explode=1.5001))
    said = " ".join(sentences(advice))
    assert "Nothing that was tried stays within the thresholds: P(stable by 40) is below 0." in said
    assert advice.there is None


@pytest.mark.slow
def test_the_command_ranks_other_cells_too_and_says_all_of_it_as_json(quick, monkeypatch, capsys):
    monkeypatch.setattr(module, "cells", lambda: {name: cells()[name] for name in ("lru", "gru_reset_after")})
    words = ["advise", "keras.layers.SimpleRNN", "--width", "4", "--steps", "20", "--cells", "--json"]
    monkeypatch.setattr("sys.argv", ["rnnmc", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    said = json.loads(capsys.readouterr().out)
    assert {"tanh", "lru", "gru_reset_after"} == {row["cell"] for row in said["ranking"]}
    for row in (*said["ranking"], said["best"], said["number"]["candidate"]):
        assert 0 <= row["low"] <= row["p_stable_by"] <= row["high"] <= 1
        assert DesignPoint(cell=row["cell"], width=4, init=row["init"])
    assert said["best"]["init"] == next(row["init"] for row in said["ranking"] if row["cell"] == "tanh")
    assert said["number"]["low"] <= said["number"]["at"] <= said["number"]["high"]
    assert "keras.layers.SimpleRNN" in said["number"]["code"]
    assert said["level"] == 0.95
    answer = rnnmc.advise("tanh", 4, 20, framework="keras")  # from Python, without the other cells
    of_tanh = [row["name"] for row in said["ranking"] if row["cell"] == "tanh"]
    assert sorted(answer.ranking["name"]) == sorted(of_tanh)
    assert answer.ranking["p_stable_by"].is_sorted(descending=True)
    assert answer.ranking["by_tenth"].min() >= 0
    assert str(DesignPoint(cell="tanh", width=4, init=answer.init).init) == answer.ranking["name"][0]
    assert answer.code
    ast.parse(answer.code)
    assert "measured afresh" in str(answer)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lstn"], "did you mean lstm?"),
        (["lstm", "--steps", "5"], "--steps: 5 is too few"),
        (["lstm", "--width", "0"], "width: 0 is not a possible width"),
        (["lstm", "--framework", "torhc"], "did you mean torch?"),
        (["torch.nn.LSTM", "--framework", "torch"], "--framework: torch beside the layer torch.nn.LSTM says it twice"),
        (["lru", "--framework", "torch"], "torch has no layer for lru; it has them for lstm"),
        (["gru", "--framework", "torch"], "torch has no layer for gru"),
        (["lstm", "--drive", "pink"], "there are adding, ar1"),
        (["lstm", "--vanish", "2", "--explode", "1"], "give vanish < explode"),
        (["lstm", "--dtype", "half"], "give 'float32' or 'float64'"),
        (["lstm", "--seed", "-1"], "seed: -1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_one_sentence_before_any_work(words, said, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["rnnmc", "advise", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert end.value.code == 2
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert not out
