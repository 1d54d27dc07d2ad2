"""Blocks, c-path, h-block and main terms against matrices multiplied in NumPy, and against exact laws."""

import dataclasses

import numpy as np
import polars as pl
import pytest
import reference
import torch
from looking import looking, seen
from scipy.stats import binomtest

from rnnmc.chain.norms import MEASURES
from rnnmc.chain.product import follow
from rnnmc.common.errors import UsageError
from rnnmc.engine.block import run_block
from rnnmc.engine.draws import Draws
from rnnmc.observables.paths import BLOCKS, C_PATH, H_ONLY, JOINT, MAIN_TERM, Paths, paths_of
from rnnmc.report.pictures import picture_of
from rnnmc.report.pictures.paths import MISTAKE
from rnnmc.report.rendering import rendered
from rnnmc.statistics.summaries import Settings, summary_of
from rnnmc.statistics.summaries.paths import _more
from rnnmc.study.point import DesignPoint

TWO_PARTS = ["lstm", "gru_output_gated"]
ONE_PART = ["gru", "gru_tied", "gru_reset_after", "minimal_rnn", "min_gru"]
BUSY = {"recurrent": {"gaussian": 2}, "input": {"gaussian": 1}, "bias": {"gaussian": 0.5}}


def point_of(cell="lstm", width=4, **factors):
    return DesignPoint(cell=cell, width=width, **{"init": BUSY, "state_std": 0.7, **factors})


def table_of(point, replicates):
    return pl.from_arrow(seen(point, replicates, "paths")["paths"])


def observed(point, replicates):
    """path -> measure -> (replicates, horizons), in nats."""
    table = table_of(point, replicates)
    assert table["path"].to_list() == list(paths_of(point.cell_object)) * (replicates * len(point.horizons))
    return by_path(point, {measure: table[measure].to_numpy() for measure in MEASURES})


def by_path(point, values):
    paths = paths_of(point.cell_object)
    cut = {measure: values[measure].reshape(-1, len(point.horizons), len(paths)) for measure in MEASURES}
    return {path: {measure: cut[measure][:, :, i] for measure in MEASURES} for i, path in enumerate(paths)}


def followed(point, replicates, broken_from=None):
    """As `observed`, of a tile of so few replicates; the second has overflown from step `broken_from` on."""
    layout = reference.layout_of(point)
    draws = Draws(point, [(0, 0)], replicates, layout, "cpu")
    start = draws.state()
    watch = Paths().watch(point, layout, start, [])

    class Between:
        def see(self, step):
            finite = step.finite.clone()
            finite.view(-1)[1] &= broken_from is None or step.number < broken_from
            watch.see(dataclasses.replace(step, finite=finite))

    with torch.no_grad():
        list(follow(point.cell_object, layout, draws.steps(), start, point.horizons, [Between()]))
    first, _ = next(Draws(point, [(0, 0)], replicates, layout, "cpu").steps())
    weights = {name: layout.matrices(matrix).mT.double().numpy() for name, matrix in first.recurrent.items()}
    return by_path(point, watch.values()), weights


def factors_of(point, replicates, steps):
    """path -> its factors, (R, n, n) each, cut out of Jacobians by autograd; joint -> the Jacobians."""
    n = point.width
    jacobians = list(reference.jacobians(point, replicates, steps))
    diagonal = np.eye(n, dtype=bool)
    main = [np.where(diagonal, jacobian[:, n:, n:], 0.0) for jacobian in jacobians]
    # dh'/dc is the exposure times dc'/dc, both diagonal
    exposed = [np.diagonal(j[:, :n, n:], 0, 1, 2) / np.diagonal(j[:, n:, n:], 0, 1, 2) for j in jacobians]
    before = [np.zeros_like(exposed[0]), *exposed[:-1]]
    c_path = [main[t] + j[:, n:, :n] * before[t][:, None] for t, j in enumerate(jacobians)]
    return {JOINT: jacobians, C_PATH: c_path, H_ONLY: [j[:, :n, :n] for j in jacobians], MAIN_TERM: main}


# --- against matrices multiplied in NumPy ---------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["tied", "untied"])
@pytest.mark.parametrize("width", [1, 3, 10])
@pytest.mark.parametrize("cell", TWO_PARTS)
def test_every_path_is_the_product_of_its_factors(cell, width, weights):
    horizons, replicates = (1, 2, 3, 8, 30), 3
    point = point_of(cell, width, dtype="float64", weights=weights, horizons=horizons)
    found = observed(point, replicates)
    for path, factors in factors_of(point, replicates, horizons[-1]).items():
        for measure, wanted in zip(MEASURES, reference.log_norms(iter(factors), horizons), strict=True):
            # 30 steps at a Lyapunov exponent of at most 1 nat a step turn 1e-16 into no more than 1e-10 here
            np.testing.assert_allclose(found[path][measure], wanted, rtol=0, atol=1e-8, err_msg=f"{path} {measure}")


@pytest.mark.parametrize("width", [1, 3, 10])
@pytest.mark.parametrize("cell", TWO_PARTS)
def test_the_blocks_are_those_of_the_bare_product(cell, width):
    horizons, replicates = (1, 2, 7), 3
    point = point_of(cell, width, dtype="float64", horizons=horizons)
    found, product = observed(point, replicates), np.eye(2 * width)
    parts = {"h": slice(width), "c": slice(width, None)}
    for t, jacobian in enumerate(reference.jacobians(point, replicates, horizons[-1]), 1):
        product = jacobian @ product
        for block in BLOCKS if t in horizons else ():
            into, out = parts[block[0]], parts[block[-1]]
            wanted = np.log(np.linalg.norm(product[:, out, into], 2, axis=(1, 2)))
            np.testing.assert_allclose(found[block]["log_spectral"][:, horizons.index(t)], wanted, atol=1e-10)


@pytest.mark.parametrize("cell", ONE_PART)
def test_the_main_term_of_a_cell_without_c_is_its_memory_gate(cell):
    init = {name: law for name, law in BUSY.items() if name != "recurrent" or cell != "min_gru"}
    replicates, steps = 3, 9
    point = point_of(cell, 5, init=init, dtype="float64", horizons=[1, steps])
    advance, _ = reference.stepper(point)
    state, logs = reference.initial_state(point, replicates), 0.0
    for (u, a, inner), _ in zip(reference.inputs(point, replicates), range(steps), strict=False):
        field = a["update"]
        if "update" in u:
            field = field + torch.einsum("rij,rj->ri", u["update"], state)
        sign = 1 if cell == "minimal_rnn" else -1
        logs = logs + torch.nn.functional.logsigmoid(sign * field).numpy()
        state = advance(u, a, inner, state)
    found = observed(point, replicates)
    assert list(found) == [JOINT, MAIN_TERM]
    np.testing.assert_allclose(found[MAIN_TERM]["log_spectral"][:, 1], logs.max(axis=1), rtol=1e-12)
    rms = np.log(np.sqrt(np.exp(2 * logs).mean(axis=1)))
    np.testing.assert_allclose(found[MAIN_TERM]["log_rms"][:, 1], rms, rtol=1e-12)
    if cell == "min_gru":  # which has no other term
        np.testing.assert_allclose(found[JOINT]["log_spectral"], found[MAIN_TERM]["log_spectral"], rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("width", [4, 12])
def test_the_blocks_make_up_the_joint_chain_at_every_horizon(width):
    found = observed(point_of(width=width, horizons=[1, 10, 100, 1000]), 8)
    squares = [2 * found[block]["log_rms"] for block in BLOCKS]  # each over n entries, the joint one over 2 n
    together = (np.logaddexp.reduce(squares) - np.log(2)) / 2
    # log-norms of a float32 point are stored to 24 bits: 2e-5 at a log-norm of 300
    np.testing.assert_allclose(together, found[JOINT]["log_rms"], rtol=2e-7, atol=1e-6)
    for block in BLOCKS:
        assert (found[block]["log_spectral"] <= found[JOINT]["log_spectral"] + 1e-3).all()


def test_looking_on_changes_no_bit_of_the_samples_and_the_joint_path_is_theirs():
    point = point_of(width=12, horizons=[1, 10, 100])
    tables = seen(point, 20, "paths")
    assert tables["samples"].equals(run_block(point, 0, 20))
    joint = pl.from_arrow(tables["paths"]).filter(pl.col("path") == JOINT)
    for measure in MEASURES:
        assert joint[measure].to_list() == tables["samples"][measure].to_pylist()


# --- exact laws -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def at_the_zero_state():
    """(gain, U_c of each replicate, what was observed) of an LSTM that stays at zero: c-path I/2 + U/4, h-block U/4."""
    gain, width, replicates = 3.0, 100, 4
    init = {"recurrent": {"gaussian": gain}, "bias": 0}
    point = point_of(width=width, init=init, drive="none", state_std=0, dtype="float64", horizons=[20, 200])
    (u, _, _), *_ = [one for one, _ in zip(reference.inputs(point, replicates), range(1), strict=False)]
    return gain, u["candidate"].numpy(), observed(point, replicates)


@pytest.mark.slow
def test_at_the_zero_state_the_paths_grow_as_the_eigenvalues_of_what_they_multiply(at_the_zero_state):
    _, u, found = at_the_zero_state
    eigenvalues = np.linalg.eigvals(u)
    for path, radius in {C_PATH: abs(0.5 + eigenvalues / 4), H_ONLY: abs(eigenvalues / 4)}.items():
        logs = found[path]["log_spectral"]
        rate = (logs[:, 1] - logs[:, 0]) / 180
        # Eigenvectors that are far from orthogonal move log ||A^T|| by a few nats between T = 20 and 200.
        np.testing.assert_allclose(rate, np.log(radius.max(axis=1)), atol=0.02)
    exact = np.linalg.matrix_power(np.eye(100) / 2 + u / 4, 199)
    wanted = np.log(0.5) + np.log(np.linalg.norm(exact, 2, axis=(1, 2)))  # the first factor is f = 1/2 alone
    np.testing.assert_allclose(found[C_PATH]["log_spectral"][:, 1], wanted, atol=1e-8)


def test_at_the_zero_state_the_published_mistake_gives_log_g_over_4_where_the_truth_is_log_of_a_half_more(
    at_the_zero_state,
):
    gain, _, found = at_the_zero_state
    rate = {path: ((logs := found[path]["log_spectral"])[:, 1] - logs[:, 0]).mean() / 180 for path in found}
    # At n = 100 the outermost eigenvalue of U lies at g (1 +- 0.06), the rightmost one at most so far out.
    assert rate[C_PATH] == pytest.approx(np.log(0.5 + gain / 4), abs=0.06)
    assert rate[JOINT] == pytest.approx(np.log(0.5 + gain / 4), abs=0.06)
    assert rate[H_ONLY] == pytest.approx(np.log(gain / 4), abs=0.08)
    assert rate[MAIN_TERM] == pytest.approx(np.log(0.5), abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "gate", "sign", "width", "dtype"),
    [
        ("lstm", "forget", 1, 2, "float32"),
        ("lstm", "forget", 1, 9, "float64"),
        ("gru_output_gated", "update", -1, 9, "float32"),
    ],
)
def test_without_recurrent_weights_memory_decays_by_its_gate_for_ten_thousand_steps(cell, gate, sign, width, dtype):
    init = {"recurrent": 0, "bias": {gate: 0.3 * sign}}
    point = point_of(cell, width, init=init, drive="none", dtype=dtype, horizons=[1, 10_000])
    found, _ = followed(point, 3)
    wanted = np.broadcast_to(-np.log1p(np.exp(-0.3 * np.ones(2))) * [1, 10_000], (3, 2))
    for path in (MAIN_TERM, "c_to_c", C_PATH):
        for measure in MEASURES:
            # The gate is rounded once, the same at every step, then each of 1e4 products or sums.
            rtol = 2e-7 if dtype == "float32" else 1e-11
            np.testing.assert_allclose(found[path][measure], wanted, rtol=rtol)
    for path in ("h_to_h", "h_to_c", H_ONLY):
        assert (found[path]["log_spectral"] == -np.inf).all()
        assert (found[path]["log_rms"] == -np.inf).all()


@pytest.mark.slow
def test_ten_thousand_steps_neither_underflow_nor_drift():
    init = {"recurrent": {"gaussian": 1}, "bias": 0}
    point = point_of(width=3, init=init, drive="none", state_std=0, dtype="float32", horizons=[10_000])
    found, weights = followed(point, 6)
    for path, factor in {C_PATH: np.eye(3) / 2 + weights["candidate"] / 4, H_ONLY: weights["candidate"] / 4}.items():
        radius = abs(np.linalg.eigvals(factor)).max(axis=1)
        # log ||A^T|| is T log rho(A) but for the conditioning of three eigenvectors, and 1e4 roundings in float32
        np.testing.assert_allclose(found[path]["log_spectral"][:, 0], 1e4 * np.log(radius), atol=6)
    assert (found[H_ONLY]["log_spectral"] < -5_000).all()


# --- what cannot be told ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("width", [1, 10])
def test_what_float32_cannot_resolve_is_taken_from_float64_and_what_that_cannot_is_null_not_dead(width):
    def closed(dtype, **bias):
        """An LSTM with a gate that is all but shut."""
        init = {"recurrent": {"gaussian": 1}, "bias": bias}
        return observed(point_of(width=width, init=init, drive="none", dtype=dtype, horizons=[1, 50]), 4)

    for path, gate in {H_ONLY: "output", MAIN_TERM: "forget"}.items():
        for found in (closed(dtype, **{gate: -200.0}) for dtype in ("float32", "float64")):
            assert all(np.isfinite(log).all() for of_path in found.values() for log in of_path.values())
            assert (found[path]["log_spectral"][:, 1] < -190 * 50).all()
        for found in (closed(dtype, **{gate: -800.0}) for dtype in ("float32", "float64")):
            assert np.isnan(found[path]["log_spectral"]).all()
            assert np.isfinite(found[JOINT]["log_spectral"]).all()
            assert not any((log == -np.inf).any() for of_path in found.values() for log in of_path.values())


def test_where_the_chain_is_taken_from_float64_so_are_the_paths():
    init = {"recurrent": 0, "bias": {"forget": -120.0}}
    found = observed(point_of(width=1, init=init, drive="none", state_std=0, horizons=[1, 100]), 4)
    for path in (MAIN_TERM, C_PATH, "c_to_c"):
        np.testing.assert_allclose(found[path]["log_spectral"], [[-120, -12_000]] * 4, rtol=1e-6)


@pytest.mark.parametrize("width", [2, 10])
def test_an_overflow_of_the_state_is_infinite_and_no_path_becomes_nan(width):
    found, _ = followed(point_of(width=width, horizons=[2, 4]), 3, broken_from=3)
    for path in found.values():
        for log in path.values():
            assert (log[1] == np.inf).tolist() == [False, True]
            assert np.isfinite(log[[0, 2]]).all()
            assert np.isfinite(log[1, 0])


def test_a_cell_without_a_main_term_is_refused_with_those_that_have_one():
    with pytest.raises(
        UsageError, match=r"paths needs a cell with a main term, and tanh has none; give one of .*gru, "
    ):
        looking(DesignPoint(cell="tanh", width=4), "paths")


# --- summary and figure ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three_gains():
    init = [{"recurrent": {"gaussian": g}, "input": {"gaussian": 1}} for g in (1, 2, 3)]
    points = [point_of(width=9, init=one, horizons=[1, 3, 10, 30, 100]) for one in init]
    return points, [table_of(point, 40) for point in points]


@pytest.mark.slow
def test_every_number_of_the_summary_is_numpy_s(three_gains):
    points, tables = three_gains
    settings = Settings(vanish=0.1, explode=2.0)
    for point, table in zip(points, tables, strict=True):
        summary = summary_of("paths").summarise(Paths(), table, settings)
        for row in summary.iter_rows(named=True):
            of_path = table.filter(pl.col("path") == row["path"])
            logs = {h: of_path.filter(pl.col("horizon") == h)[row["measure"]].to_numpy() for h in point.horizons}
            now = logs[row["horizon"]]
            assert row["mean"] == pytest.approx(now.mean(), rel=1e-12)
            assert row["deviation"] == pytest.approx(now.std(ddof=1), rel=1e-12)
            assert row["error"] == pytest.approx(now.std(ddof=1) / np.sqrt(40), rel=1e-12)
            for percent in (5, 25, 50, 75, 95):
                assert row[f"q{percent:02d}"] == np.quantile(now, percent / 100, method="inverted_cdf")
            for event, count in {"vanish": (now < np.log(0.1)).sum(), "explode": (now > np.log(2)).sum()}.items():
                interval = binomtest(int(count), 40).proportion_ci(0.95, "wilson")
                assert row[f"{event}_at_count"] == count
                assert row[f"p_{event}_at"] == count / 40
                assert row[f"p_{event}_at_low"] == pytest.approx(interval.low, abs=1e-12)
                assert row[f"p_{event}_at_high"] == pytest.approx(interval.high, abs=1e-12)
            if row["horizon"] < 10:
                assert row["growth_rate"] is None
            else:
                earlier = row["horizon"] // 10
                slope = (now - logs[earlier]) / (row["horizon"] - earlier)
                assert row["growth_rate"] == pytest.approx(slope.mean(), rel=1e-10)
                assert row["growth_rate_error"] == pytest.approx(slope.std(ddof=1) / np.sqrt(40), rel=1e-10)
                joint = table.filter(pl.col("path") == "joint", pl.col("horizon").is_in([row["horizon"], earlier]))
                ends = [
                    joint.filter(pl.col("horizon") == h)[row["measure"]].to_numpy() for h in (row["horizon"], earlier)
                ]
                apart = slope - (ends[0] - ends[1]) / (row["horizon"] - earlier)
                assert row["less_joint"] == pytest.approx(apart.mean(), abs=1e-14)
                assert row["less_joint_error"] == pytest.approx(apart.std(ddof=1) / np.sqrt(40), abs=1e-14)


def test_a_replicate_that_dies_along_one_chain_is_left_out_of_what_lies_between_two():
    path = np.array([[-1.0, -9.0], [-2.0, -11.0], [-1.0, -10.0], [-1.0, -np.inf]])
    joint = np.array([[0.0, 1.0], [0.0, 2.0], [-1.0, -np.inf], [-1.0, -20.0]])
    values = np.stack([joint, path], axis=2).reshape(4, -1)  # at horizons 1 and 10, the joint chain first
    found = _more(values, np.array([1, 1, 10, 10]), Settings(1e-3, 1e3))
    assert found["less_joint"][3] == pytest.approx(np.mean([-9 / 9, -11 / 9]))
    values[0, 2] = np.inf  # overflowed: not known
    assert _more(values, np.array([1, 1, 10, 10]), Settings(1e-3, 1e3))["less_joint"][3] is None


@pytest.mark.process
def test_three_gains_give_four_curves_each_with_the_published_mistake_marked(three_gains):
    points, tables = three_gains
    frames = [
        summary_of("paths").summarise(Paths(), table, Settings(1e-3, 1e3))
        for point, table in zip(points, tables, strict=True)
    ]
    rows = pl.DataFrame(
        {"point": p.key, "cell": p.cell, "width": p.width, "init": str(p.init), "drive": "white"} for p in points
    )
    picture = picture_of("paths")
    assert picture is not None
    charts = picture.charts(pl.concat(frames), rows)
    assert list(charts) == ["paths-lstm"]
    svg = rendered(charts)["paths-lstm.svg"].decode()
    assert svg.count(f">{MISTAKE}<") == 1
    assert svg.count('stroke-dasharray="5,4"') >= 3, "the mistake is dashed in each of three panels"
    assert "gaussian 3" in svg


def test_paths_of_one_network_are_close_to_the_joint_chain_where_their_rates_are():
    point = DesignPoint(cell="lstm", width=2, horizons=(3, 30, 60), init={"recurrent": {"gaussian": 2}}, state_std=0.5)
    table = pl.from_arrow(seen(point, 300, "paths")["paths"])
    summary = summary_of("paths").summarise(Paths(), table, Settings(1e-3, 1e3))
    wide = table.pivot(on="path", index=["replicate", "horizon"], values="log_spectral")
    first, last = (wide.filter(horizon=horizon).sort("replicate") for horizon in (3, 30))
    for row in summary.filter(horizon=30, measure="log_spectral").iter_rows(named=True):
        rate, joint = ((last[name] - first[name]).to_numpy() / 27 for name in (row["path"], "joint"))
        assert row["close_count"] == (np.abs(rate - joint) < 0.01).sum()
    counted = dict(summary.filter(horizon=30, measure="log_spectral").select("path", "close_count").iter_rows())
    assert counted["joint"] == 300
    assert 0 < counted["main_term"] < 300
    assert summary.filter(horizon=3)["close_count"].null_count() == summary.filter(horizon=3).height
