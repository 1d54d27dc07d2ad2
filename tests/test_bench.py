"""The benchmark measures what it says, and docs/performance.md shows what was measured."""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import against  # noqa: E402
import bench  # noqa: E402
import chain_speed  # noqa: E402
import gpu_speed  # noqa: E402
import peer  # noqa: E402
import targets  # noqa: E402
from chains import design_point  # noqa: E402

from rnnmc.cells import cells  # noqa: E402


@pytest.fixture
def written() -> bench.Results:
    found = json.loads(bench.RESULTS.read_text(encoding="utf-8"))
    return {name: found[name] for name in bench.PARTS if name in found}


def test_there_is_a_row_for_every_cell_at_every_width():
    assert set(chain_speed.Choice(every=True).grid()) == {(cell, 2**i) for cell in cells() for i in range(11)}
    usual = {cell for cell, _ in chain_speed.Choice().grid()}
    assert set(chain_speed.ARTICLES) < usual < cells().keys()


def test_most_cells_are_written_a_second_time_in_plain_pytorch():
    assert set(peer.STEPS) <= set(cells())
    assert len(peer.STEPS) >= 11


def test_the_page_shows_what_results_json_holds(written):
    text = bench.PAGE.read_text(encoding="utf-8")
    assert bench.page(text, written) == text, "run: python benchmarks/bench.py --only"


def test_every_place_on_the_page_is_filled_by_one_table(written):
    places = re.findall(r"<!-- ((?!end of)\S+) -->", bench.PAGE.read_text(encoding="utf-8"))
    tables = [sheet.name for sheet in bench.sheets(written) if sheet.name]
    assert len(set(places)) == len(places)
    assert len(set(tables)) == len(tables)
    assert set(tables) <= set(places)
    if set(written) >= set(bench.PARTS) - {"gpu"}:
        assert set(places) - set(tables) <= {"gpu"}


def test_every_row_of_every_table_is_as_long_as_its_head(written):
    for sheet in bench.sheets(written):
        assert all(len(row) == len(sheet.head) for row in sheet.rows), sheet.title


@pytest.mark.parametrize(("cell", "cubes", "squares"), [("lstm", 8, 8), ("tanh", 2, 2), ("gru", 4, 6), ("lru", 0, 0)])
def test_only_the_products_that_a_step_needs_are_counted(cell, cubes, squares):
    for n in (3, 8):
        assert chain_speed.product_flop(cell, n) == cubes * n**3 + squares * n**2


@pytest.mark.parametrize(("cell", "sigmoids", "tanhs"), [("lstm", 3, 2), ("gru", 2, 1), ("tanh", 0, 1), ("relu", 0, 0)])
def test_functions_are_counted_as_the_formula_has_them(cell, sigmoids, tanhs):
    assert chain_speed.evaluations(cell) == {"sigmoid": sigmoids, "tanh": tanhs}


@pytest.mark.parametrize("cell", [*peer.STEPS, "lstm_peephole", "rhn"])  # those that it has, and by own step
def test_plain_pytorch_computes_the_same_chain(cell):
    point = design_point(cell, 3)
    against.compare(point, "rows")


def test_a_mistake_in_plain_pytorch_is_found(monkeypatch):
    monkeypatch.setitem(peer.STEPS, "tanh", lambda u, x, h: torch.tanh(x["hidden"] + 1.01 * h @ u["hidden"]))
    with pytest.raises(SystemExit, match="tanh n=3"):
        against.compare(design_point("tanh", 3), "rows")


def test_a_part_that_is_not_measured_keeps_its_numbers_and_date(monkeypatch, tmp_path):
    old = {"date": "2001-01-01", "machine": {"rates": {}}, "quick": False, "rows": [1]}
    results = {"ray": old, "gpu": old}
    monkeypatch.setattr(bench.machine, "rates", dict)
    monkeypatch.setitem(bench.PARTS, "chain", SimpleNamespace(measure=lambda choice, tell: {"rows": [float("inf")]}))
    monkeypatch.setitem(bench.PARTS, "gpu", SimpleNamespace(measure=lambda choice, tell: None))
    bench.measure(["chain", "gpu"], chain_speed.Choice(), tmp_path / "results.json", results)
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["ray"] == found["gpu"] == old
    assert found["chain"]["rows"] == [None]


def test_a_target_is_met_only_where_it_was_measured():
    row = {"cell": "lstm", "width": 64, "share_of_products": {"median": 0.8}}
    few = targets.sheet({"chain": {"rows": [row | {"times_func": 1.0, "share_of_functions": None}]}}).rows
    met = {what: said for what, _, _, said in few}
    assert met.pop("lstm, width 64: share of products") == "yes"
    assert set(met.values()) == {"-"}


def test_recorded_steps_are_timed_in_whole_recordings_on_a_cpu_too():
    found = gpu_speed._chain(design_point("tanh", 64), gpu_speed.GRAPHED, 1)
    assert 0 < found["median"] < 1
