"""Units that have nothing to do with each other: exact products of each, and what a step beyond float64 leaves."""

import itertools
import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from rnnmc import DesignPoint, measure, run_block
from rnnmc.chain.norms import STATUS, log_norms
from rnnmc.chain.product import follow
from rnnmc.engine.block import observe_block, partition
from rnnmc.engine.choice import kernel_of
from rnnmc.engine.draws import Draws
from rnnmc.engine.run import layout_of, moments
from rnnmc.observables import read_observables
from rnnmc.report.text import log_norm_text

HORIZONS = (10, 100, 1000)
REPLICATES = 48
WITHOUT_MATRICES = {"cell": "min_gru", "init": {"input": {"gaussian": 10}}}
ZERO_MATRICES = {"cell": "gru", "init": {"input": {"gaussian": 10}, "recurrent": {"constant": 0}}}
MEMORY_ALONE = {"cell": "lstm", "init": {"input": {"gaussian": 10}, "recurrent": {"constant": 0}}}


def design(factors, **more) -> DesignPoint:
    return DesignPoint(**{"width": 8, "drive": "field", "horizons": HORIZONS} | factors | more)


def tile(point, kernel, dtype=""):
    return Draws(point, [(0, 0)], REPLICATES, layout_of(kernel), "cpu", dtype)


def unit_by_unit(point, kernel) -> np.ndarray:
    """(R, horizons, n) log of each unit's own factor, from pre-activations alone: log sg(-+a), added up in float64."""
    draws = tile(point, kernel)
    gate, sign = next(iter(point.cell_object.memory.items()))
    pre = torch.stack([drive[gate] for _, drive in itertools.islice(draws.steps(), HORIZONS[-1])]).double()
    logs = -np.logaddexp(0, -sign * pre.numpy())
    logs = np.moveaxis(logs, draws.layout.replicate_axis + 1, 1).reshape(HORIZONS[-1], REPLICATES, point.width)
    return logs.cumsum(axis=0)[[horizon - 1 for horizon in HORIZONS]].swapaxes(0, 1)


def measured(point, kernel) -> dict[str, np.ndarray]:
    found = [log_norms(one) for one in moments(kernel, tile(point, kernel), HORIZONS)]
    return {name: np.stack([one[name] for one in found], axis=1) for name in found[0]}


@pytest.mark.parametrize("kernel", ["rows", "columns", "compiled rows", "compiled columns"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("factors", [WITHOUT_MATRICES, ZERO_MATRICES], ids=["no matrices", "zero matrices"])
def test_each_unit_s_product_is_exact_however_far_it_falls_below_the_others(factors, dtype, kernel):
    point = design(factors, dtype=dtype)
    found, exact = measured(point, kernel), unit_by_unit(point, kernel)
    top = exact.max(axis=2)
    rms = (np.logaddexp.reduce(2 * exact, axis=2) - math.log(point.width)) / 2
    apart = top[:, -1] - np.sort(exact[:, -1], axis=1)[:, -2]
    assert (apart > 110).sum() > 5, "the units are too close to each other for float32 to lose one"
    ends, tolerance = found["resolved"], 2e-5 if dtype == "float32" else 1e-12
    assert ends.mean() > 0.5
    for name, known in (("log_spectral", top), ("log_rms", rms)):
        off = np.abs(found[name] - known) / np.maximum(1, np.abs(known))
        assert off[ends].max() < tolerance, f"{name} is off by {off[ends].max()}"


def test_one_exponent_for_all_units_would_have_lost_those_that_lead_at_last():
    """The mistake that was here, planted: the same chain without `apart`."""
    point = design(WITHOUT_MATRICES)
    exact, draws = unit_by_unit(point, "columns").max(axis=2), tile(point, "columns")
    chain = follow(draws.cell, draws.layout, draws.steps(), draws.state(), HORIZONS)
    *_, last = (log_norms(moment) for moment in chain)
    assert (exact[:, -1] - last["log_spectral"] > 10).sum() > 10


@pytest.mark.parametrize("kernel", ["columns", "compiled columns", "compiled rows"])
def test_what_is_shown_to_observables_has_the_norm_that_is_logged(kernel):
    class Looks:
        def see(self, step):
            parts = [draws.layout.matrices(part).double().square().sum((1, 2)) for part in step.chain]
            self.log = torch.stack(parts).sum(0).log() / 2 + step.exponent.flatten().double() * math.log(2)

        def values(self):
            return {}

    point = design(WITHOUT_MATRICES)
    draws, looks = tile(point, kernel), Looks()
    *_, last = (log_norms(moment) for moment in moments(kernel, draws, HORIZONS, [looks]))
    expected = last["log_rms"] + math.log(point.state_size) / 2
    np.testing.assert_allclose(looks.log.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("factors", [WITHOUT_MATRICES, MEMORY_ALONE], ids=["no matrices", "memory alone"])
def test_float32_and_float64_agree_where_float32_has_lost_no_digits(factors):
    """Of (h, c) without matrices nothing reads h: that its columns become zero at once is no loss."""
    point = design(factors)
    found = {}
    for dtype in ("float32", "float64"):
        draws = tile(point, "columns", dtype)
        chain = follow(draws.cell, draws.layout, draws.steps(), draws.state(), HORIZONS, apart=draws.apart)
        found[dtype] = [log_norms(moment) for moment in chain]
    for one, other in zip(found["float32"], found["float64"], strict=True):
        sound = one["resolved"]
        assert sound.mean() > 0.5
        np.testing.assert_allclose(one["log_spectral"][sound], other["log_spectral"][sound], rtol=2e-5)
    assert found["float64"][-1]["resolved"].all()


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_pairs_of_units_that_only_turn_have_an_exponent_each_too(cell):
    """One exponent for all has a planted mistake's place: it loses pairs that lead at last."""
    init = {"input": {"gaussian": 10}, "recurrent": {"rotations": 3}}
    point, found = design({"cell": cell, "init": init}, width=16), {}
    assert point.units_apart
    for dtype, apart in (("float64", True), ("float32", True), ("float32", False)):
        draws = tile(point, "rows", dtype)
        *_, last = follow(draws.cell, draws.layout, draws.steps(), draws.state(), HORIZONS, apart=apart)
        found[dtype, apart] = log_norms(last)["log_spectral"]
    right = found["float64", True]
    assert (np.abs(found["float32", True] - right) < 5).all()
    assert (right - found["float32", False] > 10).any()


def test_layers_of_units_that_are_apart_run_in_float64_whatever_is_asked_for():
    """No exponent of a direction can stand for what a unit of a lower layer does to those above it."""
    point = design({"cell": "qrnn", "init": {"input": {"gaussian": 10}}}, layers=2, width=4)
    assert (point.dtype, point.chain_dtype) == ("float32", "float64")
    size, cut = REPLICATES, replace(partition(point), tile=REPLICATES, block=REPLICATES)
    stored = run_block(point, 0, cut=cut)["log_spectral"].to_numpy().reshape(size, len(HORIZONS))
    found = {dtype: log_norms([*moments("columns", tile(point, "columns", dtype), HORIZONS)][-1])["log_spectral"]
             for dtype in ("float32", "float64")}  # fmt: skip
    np.testing.assert_allclose(stored[:, -1], found["float64"], rtol=1e-6)
    assert (np.abs(found["float32"] - found["float64"]) > 10).any()


def test_few_directions_are_never_taken_for_units_that_are_apart():
    for factors in (ZERO_MATRICES, {"cell": "tanh", "init": {"recurrent": {"identity": 1}}}):
        for width in (32, 256, 1056, 2048):
            assert kernel_of(design(factors, width=width, drive="white" if factors["cell"] == "tanh" else "field")) in (
                "rows", "compiled rows", "compiled columns",
            )  # fmt: skip


def test_a_path_through_units_that_are_apart_is_as_long_as_that_of_the_leading_unit():
    """Without recurrent weights the way through c is the product of the main terms, one of which leads at last."""
    point = design(MEMORY_ALONE, width=16, horizons=[1000])
    seen = observe_block(point, 0, read_observables(["paths"]), 40)["paths"]
    log = seen["log_spectral"].to_numpy().reshape(40, -1)
    names = seen["path"].to_pylist()[: log.shape[1]]
    by_name = {name: log[:, i] for i, name in enumerate(names)}
    np.testing.assert_allclose(by_name["c_path"], by_name["main_term"], rtol=2e-5)


def errors(factors, **more) -> tuple[np.ndarray, np.ndarray]:
    """(log_spectral_error with 0 for null, whether dead), at the last horizon."""
    table = run_block(design(factors, horizons=[1, 100], width=4, **more), 0, 500)
    error = table["log_spectral_error"].fill_null(0.0).to_numpy().reshape(-1, 2)[:, 1]
    return error, (table["status"].to_numpy(zero_copy_only=False) == STATUS[1]).reshape(-1, 2)[:, 1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_norm_that_a_step_beyond_float64_may_have_made_too_low_is_marked(dtype):
    error, dead = errors({"cell": "min_gru", "init": {"input": {"gaussian": 300}}}, dtype=dtype)
    assert (error == np.inf).mean() > 0.5
    assert (error[dead] == np.inf).all(), "it cannot die"


def test_statistics_mark_norms_of_zero_in_a_cell_that_cannot_die():
    """tanh: what sech(a)^2 of every unit has shrunk beyond float64 is no zero."""
    init = {"input": {"gaussian": 300}, "recurrent": {"gaussian": 300}}
    for cell, marked in (("tanh", [False, True]), ("relu", [False, False])):
        rows = measure(design({"cell": cell, "init": init}, width=4, horizons=[1, 100]), 200)
        top = rows.filter(pl.col("measure") == "log_spectral").sort("horizon")
        assert [value == math.inf for value in top["numerical_error"]] == marked
        assert ["beyond float64" in log_norm_text(row) for row in top.iter_rows(named=True)] == marked


def test_neither_a_unit_that_dies_nor_a_part_that_nothing_reads_is_marked():
    relu = {"cell": "relu", "init": {"input": {"gaussian": 1}, "recurrent": {"gaussian": 1.4}}}
    error, dead = errors(relu)
    assert dead.any()
    assert not error.any()
    for factors in (MEMORY_ALONE, WITHOUT_MATRICES):
        error, dead = errors(factors)
        assert not error.any()
        assert not dead.any()


def test_a_vector_that_float32_loses_is_taken_from_float64_and_never_told_as_zero():
    """1 - z of one unit, by a pre-activation of up to 400: float32 has zero for it beyond 104."""
    point = design({"cell": "min_gru", "init": {"input": {"gaussian": 100}}}, horizons=[1, 3], width=2)
    found = observe_block(point, 0, read_observables(["vector"]), 500)["vector"]["log_vector"].to_numpy()
    assert np.isfinite(found).all()
    assert found.min() < -200


def test_a_vector_of_a_part_that_nothing_reads_is_zero():
    point = design(MEMORY_ALONE, horizons=[1, 3])
    found = observe_block(point, 0, read_observables(["vector"]), 50)["vector"]["log_vector"].to_numpy()
    assert np.isneginf(found).all()
