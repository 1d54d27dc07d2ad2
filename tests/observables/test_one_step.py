"""The one-step derivative of the memory: against autograd, the article's own formulas by hand, and its exact bounds."""

import numpy as np
import polars as pl
import pytest
import reference
import torch
from looking import looking, seen
from scipy.stats import binom

from rnnmc.common.errors import UsageError
from rnnmc.engine.block import run_block
from rnnmc.observables.one_step import OneStep
from rnnmc.observables.terms import BINS, HIGHEST, LOWEST, PER_NAT
from rnnmc.statistics.medians import median_interval
from rnnmc.statistics.summaries import Settings, summary_of
from rnnmc.study.point import DesignPoint

EDGES = np.concatenate([[-np.inf], np.linspace(LOWEST, HIGHEST, BINS - 1), [np.inf]])
BUSY = {"recurrent": {"gaussian": 3}, "input": {"gaussian": 1}, "bias": {"gaussian": 0.5}}
HORIZONS = (1, 2, 30)
CELLS = ("lstm", "gru", "gru_output_gated", "gru_reset_after")


def point_of(cell="lstm", width=4, **factors):
    return DesignPoint(cell=cell, width=width, **{"init": BUSY, "state_std": 0.7, "horizons": HORIZONS, **factors})


def table_of(point, replicates):
    return pl.from_arrow(seen(point, replicates, "one_step")["one_step"])


def observed(point, replicates):
    """column -> (replicates, horizons, ...)."""
    table = table_of(point, replicates)
    columns = {name: table[name].to_numpy().reshape(replicates, len(point.horizons), -1) for name in OneStep.columns}
    return {name: values if name == "counts" else values[..., 0] for name, values in columns.items()}


def derivatives(point, replicates):
    """Yield (R, n, n) derivatives of the memory by that of the step before, by autograd through the reference."""
    n, (advance, jacobian) = point.width, reference.stepper(point)
    state, exposed = reference.initial_state(point, replicates), torch.zeros(replicates, 1, point.width)
    for given, _ in zip(reference.inputs(point, replicates), range(point.horizons[-1]), strict=False):
        whole = jacobian(*given, state)
        if len(point.cell_object.parts) == 1:
            yield whole
        else:
            yield whole[:, n:, n:] + whole[:, n:, :n] * exposed
            exposed = (whole[:, :n, n:] / whole[:, n:, n:]).diagonal(dim1=1, dim2=2)[:, None]
        state = advance(*given, state)


@pytest.mark.parametrize("width", [1, 3, 10])
@pytest.mark.parametrize("cell", CELLS)
def test_a_derivative_is_longer_than_one_where_autograd_says_so(cell, width):
    point, replicates = point_of(cell, width, dtype="float64"), 5
    longer = torch.stack([(one.norm(dim=2) > 1).sum(1) for one in derivatives(point, replicates)], dim=1)
    wanted = np.stack([longer[:, a:b].sum(1).numpy() for a, b in ((0, 1), (1, 2), (2, 30))], axis=1)
    np.testing.assert_array_equal(observed(point, replicates)["longer"], wanted)
    assert wanted.sum() > 0


def formulas(point, replicates):
    """(other terms by name, main term, c) of each step for n = 1, as the article writes them: numbers, by hand."""
    h, c = (
        part.numpy() for part in (*reference.initial_state(point, replicates).split(1, dim=1), torch.zeros(1, 1))[:2]
    )
    exposed = 0.0
    for (u, a, _), _ in zip(reference.inputs(point, replicates), range(point.horizons[-1]), strict=False):
        u = {name: matrix[:, 0].numpy() for name, matrix in u.items()}
        open_ = {name: 1 / (1 + np.exp(-(a[name].numpy() + u[name] * h))) for name in u}
        if point.cell == "gru":
            z, r = open_["update"], open_["reset"]
            y = np.tanh(a["candidate"].numpy() + u["candidate"] * r * h)
            through = z * (1 - y**2) * u["candidate"] * r
            yield [z * (1 - z) * (y - h) * u["update"], through, through * (1 - r) * h * u["reset"]], 1 - z, None
            h = (1 - z) * h + z * y
        else:
            f, i, o = (open_[name] for name in ("forget", "input", "output"))
            g = np.tanh(a["candidate"].numpy() + u["candidate"] * h)
            scales = c * f * (1 - f) * u["forget"], g * i * (1 - i) * u["input"], i * (1 - g**2) * u["candidate"]
            yield [scale * exposed for scale in scales], f, c
            c = f * c + i * g
            h, exposed = o * np.tanh(c), o * (1 - np.tanh(c) ** 2)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_of_one_unit_the_other_terms_add_up_as_in_the_article_s_formulas(cell):
    point, replicates = point_of(cell, 1, dtype="float64"), 40
    found, logs, squeezed = observed(point, replicates), [], []
    for others, main, c in formulas(point, replicates):
        with np.errstate(divide="ignore"):
            logs.append(np.log(sum(map(np.abs, others)) / main).ravel() + np.zeros(replicates))
        squeezed.append(np.nan if c is None else (np.abs(c) / np.cosh(c) ** 2).ravel())
    for k, (since, upto) in enumerate(((0, 1), (1, 2), (2, 30))):
        now = np.stack(logs[since:upto])
        inside = now[np.isfinite(now)] * PER_NAT
        assert np.abs(inside - np.round(inside)).min(initial=1) > 1e-9, (
            "a ratio lies on an edge, where rounding decides"
        )
        for r in range(replicates):
            bins = np.searchsorted(EDGES, now[:, r], side="right") - 1
            np.testing.assert_array_equal(found["counts"][r, k], np.bincount(bins, minlength=BINS))
        np.testing.assert_allclose(found["log_ratio_sum"][:, k], np.clip(now, LOWEST, HIGHEST).sum(0), rtol=1e-9)
        wanted = np.nan if cell == "gru" else np.max(squeezed[since:upto], axis=0)
        np.testing.assert_allclose(found["squeezed"][:, k].astype(float), wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [("lstm", 0.152), ("gru", 0.345)],
)
def test_one_gate_fewer_makes_the_other_terms_of_a_gru_twice_as_large_at_pytorch_s_weights(cell, wanted):
    """One step of one unit from independent standard normal c (h of the GRU) and x, weights U[-1, 1], no bias.

    The formulas of the article alone, no code of ours: medians over 4e5 draws, with a standard error of at most 0.0006;
    four of them and what rounding to three digits hides. The terms are checked against a difference quotient of the
    step itself.
    """
    rng, number = np.random.default_rng(0), 400_000
    memory, x, before = rng.standard_normal((3, number))
    u, w = rng.uniform(-1, 1, (2, 4, number))

    def sg(a):
        return 1 / (1 + np.exp(-a))

    def step(m):  # the memory after it; of an LSTM h is a function of c, its output gate held fixed
        if cell == "gru":
            z, r = sg(w[0] * x + u[0] * m), sg(w[1] * x + u[1] * m)
            return (1 - z) * m + z * np.tanh(w[2] * x + u[2] * r * m)
        h = sg(w[3] * before) * np.tanh(m)
        return sg(w[0] * x + u[0] * h) * m + sg(w[1] * x + u[1] * h) * np.tanh(w[2] * x + u[2] * h)

    if cell == "gru":
        z, r = sg(w[0] * x + u[0] * memory), sg(w[1] * x + u[1] * memory)
        y, main = np.tanh(w[2] * x + u[2] * r * memory), 1 - z
        through = z * (1 - y**2) * r * u[2]
        others = [z * (1 - z) * (y - memory) * u[0], through, through * (1 - r) * memory * u[1]]
    else:
        o = sg(w[3] * before)
        h, exposed = o * np.tanh(memory), o / np.cosh(memory) ** 2
        f, i, g = sg(w[0] * x + u[0] * h), sg(w[1] * x + u[1] * h), np.tanh(w[2] * x + u[2] * h)
        scales = [memory * f * (1 - f) * u[0], g * i * (1 - i) * u[1], i * (1 - g**2) * u[2]]
        main, others = f, [scale * exposed for scale in scales]
    quotient = (step(memory + 1e-5) - step(memory - 1e-5)) / 2e-5
    np.testing.assert_allclose(main + sum(others), quotient, atol=1e-8)
    assert np.median(sum(map(np.abs, others)) / main) == pytest.approx(wanted, abs=0.0005 + 4 * 0.0006)


def test_what_the_forget_term_sees_of_its_memory_is_squeezed_to_the_article_s_bound_which_is_nearly_met():
    """|c| sech^2 c is at most 0.447744, (5.12); an LSTM that counts passes through the worst c."""
    point = point_of("lstm", 4, init={"recurrent": {"gaussian": 1}, "bias": {"forget": 3.0}}, horizons=[10, 100])
    table = table_of(point, 64)
    assert 0.44 < table["squeezed"].max() < 0.447744
    row = summary_of("one_step").summarise(OneStep(), table, Settings(1e-3, 1e3)).row(-1, named=True)
    assert (row["squeezed_count"], row["squeezed_most"]) == (0, table.filter(horizon=100)["squeezed"].max())


def test_an_overflown_or_a_vanished_main_term_leaves_every_number_finite():
    init = {"recurrent": {"gaussian": 1}, "bias": {"forget": -800.0}}
    found = observed(point_of("lstm", 3, init=init, dtype="float64", horizons=[1, 5]), 4)
    assert (found["counts"].sum(axis=2) == np.array([1, 4]) * 3).all()
    assert (found["counts"][:, 1, -1] == 12).all(), "beside a main term of zero any other is beyond bounds"
    assert np.isfinite(found["log_ratio_sum"]).all()


def test_looking_on_changes_no_bit_of_the_samples():
    point = point_of("gru", 12)
    assert seen(point, 20, "one_step")["samples"].equals(run_block(point, 0, 20))


@pytest.mark.parametrize(("cell", "said"), [("tanh", "tanh has none"), ("min_gru", "min_gru has only 1-z")])
def test_a_cell_without_other_terms_is_refused(cell, said):
    with pytest.raises(UsageError, match=said):
        looking(DesignPoint(cell=cell, width=4), "one_step")


@pytest.mark.parametrize("group", [1, 4])
def test_the_summary_is_numpy_s(group):
    point, replicates = point_of("gru", 5), 64
    found = observed(point, replicates)
    summary = summary_of("one_step").summarise(OneStep(), table_of(point, replicates), Settings(1e-3, 1e3, group=group))
    assert summary["horizon"].to_list() == list(HORIZONS)
    assert summary["squeezed_count"].null_count() == len(HORIZONS)
    for k, row in enumerate(summary.iter_rows(named=True)):
        steps = HORIZONS[k] - (0, *HORIZONS)[k]
        assert row["pairs"] == replicates * 5 * steps
        assert row["share_expanding"] == pytest.approx(found["longer"][:, k].mean() / 5 / steps)
        for name, column in (("typical", "log_ratio_sum"), ("expanding", "longer")):
            by_draw = found[column][:, k].reshape(-1, group).sum(1) / (5 * steps * group)
            middle = np.quantile(by_draw, 0.5, method="inverted_cdf")
            assert row[name] == pytest.approx(middle)
            low, high = median_interval(by_draw)[1:]
            assert (row[f"{name}_low"], row[f"{name}_high"]) == pytest.approx((low, high))
            known = 2 * binom.cdf(0, len(by_draw), 0.5) <= 1e-8  # 16 weight draws are too few, 64 are not
            assert np.isfinite([low, high]).all() == known == (group == 1)
