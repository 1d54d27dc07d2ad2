"""Sizes of the terms of the Jacobian: counted again in NumPy, against an exact law, and with nothing to divide by."""

import numpy as np
import polars as pl
import pytest
import reference
import torch
from looking import looking, seen
from scipy.stats import chi2, chisquare

from rnnmc.common.errors import UsageError
from rnnmc.engine.block import run_block
from rnnmc.observables.terms import AT_ONE, BINS, HIGHEST, LOWEST, MAIN, PER_NAT, TermSizes, terms_of
from rnnmc.report.pictures import picture_of
from rnnmc.report.rendering import rendered
from rnnmc.statistics.summaries import Settings, summary_of
from rnnmc.statistics.summaries.terms import quantile
from rnnmc.study.point import DesignPoint

EDGES = np.concatenate([[-np.inf], np.linspace(LOWEST, HIGHEST, BINS - 1), [np.inf]])
BUSY = {"recurrent": {"gaussian": 2}, "input": {"gaussian": 1}, "bias": {"gaussian": 0.5}}
SETTINGS = Settings(vanish=1e-3, explode=1e3)


def point_of(cell="lstm", width=4, **factors):
    return DesignPoint(cell=cell, width=width, **{"init": BUSY, "state_std": 0.7, **factors})


def table_of(point, replicates):
    return pl.from_arrow(seen(point, replicates, "terms")["terms"])


def observed(point, replicates):
    """column -> (replicates, horizons, terms, ...)."""
    table = table_of(point, replicates)
    terms = terms_of(point.cell_object)
    assert table["term"].to_list() == list(terms) * (replicates * len(point.horizons))
    shape = (replicates, len(point.horizons), len(terms))
    columns = {name: table[name].to_numpy() for name in ("counts", "largest", "log_ratio_sum")}
    return {name: values.reshape(*shape, *values.shape[1:]) for name, values in columns.items()}


def sizes(point, replicates, steps):
    """term -> (R, steps, n) sizes, from derivatives in the pre-activations by autograd."""
    n = point.width
    step, (_, jacobian) = reference.step_of(point.cell), reference.stepper(point)
    state, exposed = reference.initial_state(point, replicates), 0.0
    found = {name: [] for name in terms_of(point.cell_object)}
    for (u, a, inner), _ in zip(reference.inputs(point, replicates), range(steps), strict=False):

        def memory(a, u, inner, state):
            return step(u, a, inner, state.split(n))[-1]

        by_gate = torch.func.vmap(torch.func.jacrev(memory))(a, u, inner, state)
        if len(point.cell_object.parts) == 2:
            whole = jacobian(u, a, inner, state)
            main = whole[:, n:, n:].diagonal(dim1=1, dim2=2)
            weight, exposed = exposed, whole[:, :n, n:].diagonal(dim1=1, dim2=2) / main
        else:
            weight = 1.0
            main = torch.sigmoid(-a["update"] - torch.einsum("rij,rj->ri", u["update"], state))
        reset = {}
        if "reset" in u:  # what the candidate sees of h directly
            r = torch.sigmoid(a["reset"] + torch.einsum("rij,rj->ri", u["reset"], state))
            reset["candidate"] = r[:, :, None] * u["candidate"]
            if point.cell == "gru":
                reset["candidate"] = u["candidate"] * r[:, None]
        found[MAIN].append(main.abs())
        for name in point.cell_object.other_terms:
            matrix = by_gate[name] @ reset.get(name, u[name])
            weighted = matrix * (weight[:, None] if torch.is_tensor(weight) else weight)
            found[name].append(weighted.norm(dim=2))
        state = torch.cat(step_of_batch(step, u, a, inner, state, n), dim=1)
    return {name: torch.stack(each, dim=1).numpy() for name, each in found.items()}


def step_of_batch(step, u, a, inner, state, n):
    return torch.func.vmap(lambda *given: step(*given[:3], given[3].split(n)))(u, a, inner, state)


# --- counted again in NumPy -----------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 3, 10])
@pytest.mark.parametrize("cell", ["lstm", "gru_output_gated", "gru", "gru_reset_after"])
def test_every_count_is_numpy_s(cell, width):
    replicates, horizons = 4, (1, 2, 9)
    point = point_of(cell, width, dtype="float64", horizons=horizons)
    found, size = observed(point, replicates), sizes(point, replicates, horizons[-1])
    with np.errstate(divide="ignore"):
        ratio = {name: np.log(each) - np.log(size[MAIN]) for name, each in size.items()}
    inner = [each[np.isfinite(each)] for name, each in ratio.items() if name != MAIN]
    distance = np.abs(np.concatenate(inner) * PER_NAT - np.round(np.concatenate(inner) * PER_NAT))
    assert distance.min() > 1e-9, "a ratio lies on an edge, where rounding decides"
    largest = np.max(list(size.values()), axis=0)
    for k, name in enumerate(size):
        for h, (since, upto) in enumerate(zip((0, *horizons), horizons, strict=False)):
            now = ratio[name][:, since:upto]
            for r in range(replicates):
                bins = np.searchsorted(EDGES, now[r].ravel(), side="right") - 1
                np.testing.assert_array_equal(found["counts"][r, h, k], np.bincount(bins, minlength=BINS)[:BINS])
            mine = (size[name] == largest)[:, since:upto]
            np.testing.assert_array_equal(found["largest"][:, h, k], mine.sum(axis=(1, 2)))
            cut = np.clip(now, LOWEST, HIGHEST).sum(axis=(1, 2))
            np.testing.assert_allclose(found["log_ratio_sum"][:, h, k], cut, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_exposure_of_the_step_before_is_what_a_c_path_sees(cell):
    """At the first step h_0 is no function of c_0, so that in an LSTM no other term counts; in a GRU all do."""
    found = observed(point_of(cell, 5, horizons=[1, 2]), 4)
    zero = found["counts"][:, 0, 1:, 0] == 5
    assert zero.all() if cell == "lstm" else not zero.any()
    assert (found["counts"][:, 1, 1:, 0] < 5).all()


@pytest.mark.slow
@pytest.mark.parametrize("width", [3, 12])
def test_pooled_histograms_are_the_histogram_of_what_was_pooled(width):
    whole, cut = (observed(point_of(width=width, horizons=h), 6) for h in ([40], [1, 7, 8, 40]))
    # The points have keys, and so draws, of their own: only what must hold of any draws can be compared.
    assert (cut["counts"].sum(axis=(1, 3)) == 40 * width).all()
    assert (whole["counts"].sum(axis=(1, 3)) == 40 * width).all()
    point = point_of(width=width, dtype="float64", horizons=[1, 7, 8, 40])
    found, size = observed(point, 3), sizes(point, 3, 40)
    for k, name in enumerate(point.cell_object.other_terms, 1):
        with np.errstate(divide="ignore"):
            pooled = np.log(size[name] / size[MAIN]).ravel()
        counts = np.bincount(np.searchsorted(EDGES, pooled, side="right") - 1, minlength=BINS)
        np.testing.assert_array_equal(found["counts"].sum(axis=(0, 1))[k], counts)
    assert (found["counts"][:, :, 0, AT_ONE].sum(axis=1) == 40 * width).all()
    assert found["counts"][:, :, 0].sum() == 3 * 40 * width


def test_looking_on_changes_no_bit_of_the_samples():
    point = point_of(width=12, horizons=[1, 10, 100])
    assert seen(point, 20, "terms")["samples"].equals(run_block(point, 0, 20))


def test_the_size_of_the_candidate_at_the_zero_state_has_its_exact_law():
    """Gates at 1/2 and g = 2: |row of U| / 2 of Gaussian rows of length n, so that n (ratio / (g/2))^2 is chi2_n."""
    width, gain, replicates = 16, 2.0, 256
    init = {"recurrent": {"gaussian": gain}, "bias": 0}
    found = observed(point_of(width=width, init=init, drive="none", state_std=0, horizons=[1, 2]), replicates)
    counts = found["counts"][:, 1].sum(axis=0)
    assert (counts[1, 0], counts[2, 0]) == (width * replicates,) * 2, "forget and input terms are exactly zero"
    expected = np.diff(chi2.cdf(width * (np.exp(EDGES) / (gain / 2)) ** 2, width)) * width * replicates
    kept = expected > 5
    assert chisquare(counts[3][kept], expected[kept] * counts[3][kept].sum() / expected[kept].sum()).pvalue > 1e-6
    shifted = np.roll(expected, 1)[kept]  # planted: bins that are one off
    assert chisquare(counts[3][kept], shifted * counts[3][kept].sum() / shifted.sum()).pvalue < 1e-6


# --- nothing to divide by --------------------------------------------------------------------------


@pytest.mark.parametrize("width", [2, 10])
def test_a_main_term_that_underflows_is_counted_as_exceeded_without_bound(width):
    init = {"recurrent": {"gaussian": 1}, "bias": {"forget": -800.0}}
    point = point_of(width=width, init=init, dtype="float64", horizons=[1, 5])
    found = observed(point, 4)
    assert (found["counts"].sum(axis=3) == np.array([1, 4])[None, :, None] * width).all()
    assert (found["counts"][:, 0, 1:, 0] == width).all(), "both terms are zero at the first step"
    assert (found["counts"][:, 1, 2:, -1] == 4 * width).all(), "input and candidate, after it"
    assert np.isfinite(found["log_ratio_sum"]).all()
    assert (found["largest"][:, 1, 0] == 0).all()
    assert (found["largest"][:, 0, 0] == width).all()
    candidate = summary_of("terms").summarise(TermSizes(), table_of(point, 4), SETTINGS).row(-1, named=True)
    assert (candidate["q50"], candidate["q50_error"], candidate["share_above"]) == (np.inf, None, 1.0)


@pytest.mark.slow
def test_every_step_of_a_long_run_is_counted():
    point = point_of("gru_output_gated", 9, horizons=[100, 1_000], init="keras")
    found = observed(point, 1)
    assert (found["counts"].sum(axis=3) == np.array([100, 900])[None, :, None] * 9).all()
    assert (found["largest"].sum(axis=2) == np.array([100, 900]) * 9).all()


@pytest.mark.parametrize(
    ("cell", "said"),
    [("tanh", "terms needs a cell with a main term, and tanh has none"), ("min_gru", "and min_gru has only 1-z")],
)
def test_a_cell_with_nothing_to_compare_is_refused(cell, said):
    with pytest.raises(UsageError, match=said):
        looking(DesignPoint(cell=cell, width=4), "terms")


# --- summary and figure ---------------------------------------------------------------------------


def histogram(log_ratio):
    return np.bincount(np.searchsorted(EDGES, log_ratio, side="right") - 1, minlength=BINS)


def test_quantiles_are_within_a_bin_and_within_a_per_cent_where_the_density_is_smooth():
    logs = np.random.default_rng(1).normal(-1.3, 1.5, size=400_000)
    for share in (0.05, 0.25, 0.5, 0.75, 0.95):
        found, wanted = quantile(histogram(logs)[None].astype(float), share)[0], np.exp(np.quantile(logs, share))
        # sampling moves a quantile of 4e5 by 0.5 % at most, the same in both; within a bin the density changes by 4 %
        assert found == pytest.approx(wanted, rel=0.01)
    lumps = np.repeat([-3.1, 0.4], [300, 700])
    for share in (0.1, 0.29, 0.31, 0.9):
        found, wanted = quantile(histogram(lumps)[None].astype(float), share)[0], np.quantile(lumps, share)
        assert abs(np.log(found) - wanted) <= 1 / PER_NAT
    ends = np.repeat([-20.0, 0.1, 9.0], [1, 1, 1])
    assert [quantile(histogram(ends)[None].astype(float), share)[0] for share in (0.1, 0.9)] == [0.0, np.inf]
    assert np.isnan(quantile(np.zeros((1, BINS)), 0.5)[0])


def numbers(counts, largest, log_sum):
    """What the summary says of one pooled histogram, in plain Python."""
    pairs = counts.sum()
    found = {
        "log_ratio": log_sum / pairs,
        "share_largest": largest / pairs,
        "share_above": counts[AT_ONE:].sum() / pairs,
    }
    for percent in (5, 25, 50, 75, 95):
        wanted = percent / 100 * pairs
        k = next(k for k in range(BINS) if counts[: k + 1].sum() >= wanted)
        inside = (wanted - counts[:k].sum()) / counts[k]
        found[f"q{percent:02d}"] = np.exp(EDGES[k] + inside / PER_NAT)
    return found


@pytest.mark.parametrize("group", [1, 4])
def test_every_number_and_every_error_of_the_summary_is_numpy_s(group):
    point, replicates = point_of(width=9, horizons=[5, 60], state_std=0.5), 22
    table = table_of(point, replicates)
    summary = summary_of("terms").summarise(TermSizes(), table, Settings(1e-3, 1e3, group=group))
    found = observed(point, replicates)
    draws = [slice(first, first + group) for first in range(0, replicates, group)]
    rows = summary.rows(named=True)
    assert [(row["horizon"], row["since"], row["term"]) for row in rows] == [
        (*interval, term) for interval in ((5, 0), (60, 5)) for term in terms_of(point.cell_object)
    ]
    for i, row in enumerate(rows):
        h, k = divmod(i, 4)
        tallies = [found[name][:, h, k].astype(float) for name in ("counts", "largest", "log_ratio_sum")]
        wanted = numbers(*(tally.sum(axis=0) for tally in tallies))
        assert row["pairs"] == replicates * 9 * (row["horizon"] - row["since"])
        left_out = [numbers(*(np.delete(tally, draw, axis=0).sum(axis=0) for tally in tallies)) for draw in draws]
        for name, value in wanted.items():
            if k == 0 and name != "share_largest":
                assert row[name] is row[f"{name}_error"] is None
                continue
            others = np.array([one[name] for one in left_out])
            error = np.sqrt(((others - others.mean()) ** 2).mean() * (len(draws) - 1))
            assert row[name] == pytest.approx(value, rel=1e-9)
            if value == 0 and name.startswith("q"):  # in the open end
                assert row[f"{name}_error"] is None
            else:
                assert row[f"{name}_error"] == pytest.approx(error, rel=1e-6, abs=1e-12)


@pytest.mark.slow
def test_the_errors_are_as_large_as_numbers_scatter_from_study_to_study():
    """60 studies of 64 weight draws: scatter over mean error is 1 +- 0.092, for 59 degrees of freedom."""
    point = point_of(width=4, horizons=[1, 10], dtype="float32")
    table = table_of(point, 60 * 64)
    cut = [table.slice(i * 64 * 8, 64 * 8) for i in range(60)]
    summaries = pl.concat(
        [summary_of("terms").summarise(TermSizes(), one, SETTINGS).filter(pl.col("horizon") == 10) for one in cut]
    )
    for term in ("forget", "input", "candidate"):
        of_term = summaries.filter(pl.col("term") == term)
        for name in ("q25", "q50", "q75", "share_above", "share_largest", "log_ratio"):
            ratio = of_term[name].std() / np.sqrt((of_term[f"{name}_error"] ** 2).mean())
            # five and more of these deviations: less than 1e-6
            assert 0.5 < ratio < 1.5, (term, name, ratio)


@pytest.mark.process
def test_the_figure_says_how_often_each_term_is_the_largest():
    points = [point_of(width=w, horizons=[2, 20]) for w in (3, 9)]
    summary = pl.concat(summary_of("terms").summarise(TermSizes(), table_of(p, 20), SETTINGS) for p in points)
    rows = pl.DataFrame(
        {"point": p.key, "cell": p.cell, "width": p.width, "init": str(p.init), "drive": "white"} for p in points
    )
    picture = picture_of("terms")
    assert picture is not None
    svg = rendered(picture.charts(summary, rows))["terms-lstm.svg"].decode()
    assert "steps 3 to 20" in svg
    assert "width 3, " in svg
    assert all(f">{term}<" in svg for term in ("main", "forget", "input", "candidate"))
    shares = summary.filter(pl.col("horizon") == 20)["share_largest"]
    assert all(f">{100 * share:.3g} %<" in svg or share < 0.0005 for share in shares)


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_output_gated"])
def test_networks_are_counted_by_what_is_typical_of_each(cell):
    """From the tallies of each network alone, in NumPy; the reset term of a GRU beside the candidate's."""
    point, replicates = point_of(cell, width=3, horizons=[2, 40], init={"recurrent": {"gaussian": 1.5}}), 200
    summary = summary_of("terms").summarise(TermSizes(), table_of(point, replicates), SETTINGS)
    found, names = observed(point, replicates), terms_of(point.cell_object)
    pairs = 3 * np.array([2, 38])
    for i, row in enumerate(summary.rows(named=True)):
        h, k = divmod(i, len(names))
        mean = found["log_ratio_sum"][:, h] / pairs[h]
        dominant = (found["largest"][:, h, 0] / pairs[h] > 0.5).sum()
        minor = (mean[:, k] < np.log(0.1)).sum()
        mild = (mean[:, k] - mean[:, k - 1] < np.log(0.1)).sum()
        assert row["dominant_count"] == (dominant if k == 0 else None)
        assert row["minor_count"] == (None if k == 0 else minor)
        assert row["mild_count"] == (mild if names[k] == "reset" else None)
    inner = summary.filter(pl.col("horizon") == 40)["minor_count"].drop_nulls()
    assert any(0 < count < replicates for count in inner)
