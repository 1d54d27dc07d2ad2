"""Units that have nothing to do with each other: exact products of each, and what a step beyond float64 leaves."""

import itertools
import math

import numpy as np
import pytest
import torch

from rnnmc import DesignPoint, run_block
from rnnmc.chain.norms import STATUS, log_norms
from rnnmc.chain.product import follow
from rnnmc.engine.block import observe_block
from rnnmc.engine.draws import Draws
from rnnmc.engine.run import layout_of, moments
from rnnmc.observables import read_observables

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


def errors(factors, **more) -> tuple[np.ndarray, np.ndarray]:
    """(log_spectral_error with 0 for null, whether dead), at the last horizon."""
    table = run_block(design(factors, horizons=[1, 100], width=4, **more), 0, 500)
    error = table["log_spectral_error"].fill_null(0.0).to_numpy().reshape(-1, 2)[:, 1]
    return error, (table["status"].to_numpy(zero_copy_only=False) == STATUS[1]).reshape(-1, 2)[:, 1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_norm_that_a_step_beyond_float64_made_too_low_is_marked(dtype):
    for factors in ({"cell": "tanh"}, {"cell": "min_gru"}):
        init = {"input": {"gaussian": 300}, "recurrent": {"gaussian": 300}}
        init = {"input": init["input"]} if factors["cell"] == "min_gru" else init
        error, dead = errors(factors, init=init, dtype=dtype)
        assert (error == np.inf).mean() > 0.5
        assert (error[dead] == np.inf).all(), "neither cell can die"


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
