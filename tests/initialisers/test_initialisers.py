# pyright: reportAttributeAccessIssue=false
"""Every law of weights: moments, support and distribution; presets against the frameworks themselves.

Each statistical assertion is a test at level ALPHA = 1e-9 (Kolmogorov-Smirnov or a normal score of 6.1), with fixed
seeds. There are about a hundred, so the whole file raises a false alarm with probability below 1e-6.
"""

import numpy as np
import pytest
import torch
from drawn import Drawn
from scipy import stats

from rnnmc.cells import cells
from rnnmc.common.errors import UsageError
from rnnmc.engine.block import run_block
from rnnmc.initialisers.truncated_gaussian import DEVIATION_WITHIN_TWO
from rnnmc.study.initialisation import Initialisation, read_role
from rnnmc.study.point import DesignPoint

ALPHA, SIGMAS = 1e-9, 6.1


def assert_law(sample, law):
    assert stats.kstest(np.ravel(sample), law).pvalue > ALPHA


def assert_same_law(sample, other):
    assert stats.ks_2samp(np.ravel(sample), np.ravel(other)).pvalue > ALPHA


def assert_mean(sample, mean, deviation):
    """The mean of independent values of this deviation."""
    assert abs(np.mean(sample) - mean) < SIGMAS * deviation / np.sqrt(np.size(sample))


def draw(said, shape, signs=(1,), seed=11):
    law = read_role(said, "recurrent")["every"]
    matrix = law.draw(np.random.default_rng(seed), shape, signs)
    assert matrix.shape == shape
    assert matrix.dtype == np.float64
    return matrix


# --- laws -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("gain", [0.5, 1, 3.0])
@pytest.mark.parametrize("fan_in", [1, 4, 25])
def test_gaussian_entries_have_variance_gain_squared_over_fan_in(gain, fan_in):
    assert_law(draw({"gaussian": gain}, (200, fan_in, 5)), stats.norm(scale=gain / fan_in**0.5).cdf)


def test_a_gaussian_with_the_deviation_of_another_fan_in_is_told_apart():
    with pytest.raises(AssertionError):
        assert_law(draw({"gaussian": 1}, (2000, 4, 5)), stats.norm(scale=5**-0.5).cdf)


def test_uniform_entries_by_gain_by_limit_and_in_two_terms():
    by_gain = draw({"uniform": 2.0}, (200, 9, 5))
    assert_law(by_gain, stats.uniform(-2 / 3**0.5, 4 / 3**0.5).cdf)  # variance 4 / 9, as the Gaussian's
    by_limit = draw({"uniform": {"limit": 0.25}}, (200, 9, 5))
    assert_law(by_limit, stats.uniform(-0.25, 0.5).cdf)
    two = draw({"uniform": {"limit": 0.25, "terms": 2}}, (200, 9, 5))
    assert_law(two, stats.triang(0.5, -0.5, 1.0).cdf)


def test_truncated_gaussian_entries_stop_at_two_deviations_and_have_the_stated_variance():
    assert pytest.approx(stats.truncnorm(-2, 2).std(), rel=1e-12) == DEVIATION_WITHIN_TWO
    matrix = draw({"truncated_gaussian": 1.0}, (500, 16, 5))
    scale = 0.25 / DEVIATION_WITHIN_TWO
    assert np.abs(matrix).max() <= 2 * scale
    assert_law(matrix, stats.truncnorm(-2, 2, scale=scale).cdf)
    assert_mean(matrix**2, 1 / 16, np.std(matrix**2))


def test_identity_and_constant_are_what_they_say():
    assert (draw({"identity": 0.7}, (3, 4, 4)) == 0.7 * np.eye(4)).all()
    assert (draw({"identity": {}}, (3, 4, 4)) == np.eye(4)).all()
    assert (draw({"constant": -2.0}, (3, 1, 4)) == -2).all()


@pytest.mark.parametrize("shape", [(300, 4, 4), (300, 3, 12), (300, 12, 3), (5, 1, 1)])
def test_orthogonal_matrices_have_orthonormal_rows_or_columns(shape):
    matrix = draw({"orthogonal": 1.5}, shape)
    gram = matrix @ matrix.transpose(0, 2, 1) if shape[1] <= shape[2] else matrix.transpose(0, 2, 1) @ matrix
    assert np.abs(gram - 2.25 * np.eye(min(shape[1:]))).max() < 1e-13


def assert_haar(q):
    """Laws of Haar matrices in O(3): every entry is uniform (Archimedes), signs and minors are as likely as not."""
    for i in range(3):
        for j in range(3):
            assert_law(q[:, i, j], stats.uniform(-1, 2).cdf)
    positive = int((np.linalg.det(q) > 0).sum())
    assert stats.binomtest(positive, len(q)).pvalue > ALPHA
    trace = np.trace(q, axis1=1, axis2=2)
    assert_mean(trace, 0, 1)
    assert_mean(trace**2, 1, np.std(trace**2))


def test_orthogonal_is_haar():
    assert_haar(draw({"orthogonal": 1.0}, (4000, 3, 3)))


def test_orthogonal_without_the_sign_rule_is_told_apart():
    with pytest.raises(AssertionError):
        assert_haar(np.linalg.qr(np.random.default_rng(5).standard_normal((4000, 3, 3)))[0])


def test_haar_traces_have_the_moments_of_a_normal():
    """E tr^2k = (2k - 1)!! for 2k <= n (Diaconis and Shahshahani 1994)."""
    trace = np.trace(draw({"orthogonal": 1.0}, (20000, 6, 6)), axis1=1, axis2=2)
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3)):
        assert_mean(trace**power, moment, np.std(trace**power))


def test_ring_has_a_uniform_square_of_the_modulus_and_a_uniform_phase():
    both = draw({"ring": {"outer": 0.9, "inner": 0.4}}, (500, 1, 16), signs=(1, 1))
    modulus, phase = np.split(both, 2, axis=2)
    assert_law(modulus**2, stats.uniform(0.16, 0.81 - 0.16).cdf)
    assert_law(phase, stats.uniform(0, 2 * np.pi).cdf)
    assert 0.4 <= modulus.min() <= modulus.max() <= 0.9


def test_clip_cuts_entries_and_leaves_those_inside():
    free, cut = (draw({"gaussian": 4.0} | more, (50, 4, 4)) for more in ({}, {"clip": 1.0}))
    assert np.array_equal(cut, np.clip(free, -1, 1))
    assert (np.abs(cut) == 1).mean() > 0.3


def test_spectral_radius_scales_each_matrix_of_each_gate():
    both = draw({"gaussian": 3.0, "spectral_radius": 0.8}, (40, 5, 10), signs=(1, 1))
    free = draw({"gaussian": 3.0}, (40, 5, 10), signs=(1, 1))
    for part, before in zip(np.split(both, 2, axis=2), np.split(free, 2, axis=2), strict=True):
        assert np.abs(np.linalg.eigvals(part)).max(axis=1) == pytest.approx(0.8, rel=1e-10)
        assert part / before == pytest.approx(np.broadcast_to((part / before)[:, :1, :1], part.shape), rel=1e-9)
    nilpotent = draw({"constant": 0.0, "spectral_radius": 0.8}, (2, 3, 3))
    assert not nilpotent.any()


def test_clip_comes_before_the_spectral_radius():
    matrix = draw({"gaussian": 3.0, "clip": 0.5, "spectral_radius": 2.0}, (20, 4, 4))
    assert np.abs(np.linalg.eigvals(matrix)).max(axis=1) == pytest.approx(2, rel=1e-10)
    scale = np.abs(matrix).max(axis=(1, 2))
    assert ((np.abs(matrix) - scale[:, None, None]) > -1e-12).sum(axis=(1, 2)).min() > 1  # several at the clip


# --- chrono ---------------------------------------------------------------------------------------

CHRONO = {"preset": "pytorch", "bias": {"chrono": 50.0}}


def test_chrono_biases_of_lstm_are_one_time_scale_a_unit_with_opposite_signs():
    bias = Drawn("lstm", CHRONO).bias
    assert_law(np.exp(bias["forget"]), stats.uniform(1, 48).cdf)
    assert np.array_equal(bias["input"], -bias["forget"])
    assert not bias["output"].any()
    assert not bias["candidate"].any()


@pytest.mark.parametrize(
    ("cell", "sign"),
    [("gru", -1), ("gru_tied", -1), ("gru_reset_after", -1), ("gru_output_gated", -1), ("minimal_rnn", 1)],
)
def test_chrono_keeps_the_state_of_every_gated_cell_whatever_the_sign_of_its_gate(cell, sign):
    bias = Drawn(cell, CHRONO).bias
    assert_law(np.exp(sign * bias["update"]), stats.uniform(1, 48).cdf)
    assert not any(vector.any() for name, vector in bias.items() if name != "update")


def test_a_law_for_one_gate_beside_chrono_is_kept():
    bias = Drawn("lstm", {"preset": "pytorch", "bias": {"chrono": 50.0, "forget": 3.0, "output": -1.0}}).bias
    assert (bias["forget"] == 3).all()
    assert (bias["output"] == -1).all()
    assert_law(np.exp(-bias["input"]), stats.uniform(1, 48).cdf)


def test_a_law_for_a_whole_role_replaces_the_preset_s_special_gates_too():
    """`preset: keras, bias: 0` has forget biases of 0, not the preset's 1; `bias: {output: 2}` leaves that 1 alone."""
    assert not any(vector.any() for vector in Drawn("lstm", {"preset": "keras", "bias": 0.0}).bias.values())
    bias = Drawn("lstm", {"preset": "keras", "bias": {"output": 2.0}}).bias
    assert {gate: float(vector.mean()) for gate, vector in bias.items()} == {
        "forget": 1,
        "input": 0,
        "output": 2,
        "candidate": 0,
    }


def test_laws_that_do_not_fit_the_cell_are_refused():
    for cell, init, said in (
        ("tanh", CHRONO, "init.bias: chrono 50 is chrono, but tanh has no gate that remembers"),
        (
            "lstm",
            {"preset": "pytorch", "bias": {"output": {"chrono": 50.0}}},
            "lstm has no bias of forget or input here",
        ),
        ("tanh", {"recurrent": {"ring": 1.0}}, "init.recurrent: ring is ring"),
        ("lru", {"recurrent": {"ring": 1.0}, "bias": {"ring": 1.0}}, "init.bias: ring is ring"),
        ("lru", {"recurrent": {"modulus": {"ring": 1.0}, "phase": 0.0}}, "init.recurrent: ring is ring"),
        ("lru", "pytorch", "init: pytorch has no law for lru"),
        (
            "lstm",
            {"preset": "keras", "bias": {"fogret": 1.0}},
            "init.bias.fogret: fogret is not a bias gate of lstm; did you mean",
        ),
        ("lstm", {"input": {"gaussian": 1.0}}, "init.recurrent: nothing is said for forget of lstm"),
        ("lstm", "lecun", "init: lecun is not a preset; there are flax, keras, published, pytorch"),
        ("lstm", "gaussian", "write init: {recurrent: {gaussian: 1.0}}"),
        (
            "tanh",
            {"recurrent": {"gaussian": 1.0}, "input": {"gaussian": 1.0, "spectral_radius": 1.0}},
            "init.input.spectral_radius",
        ),
    ):
        with pytest.raises(UsageError) as caught:
            DesignPoint(cell=cell, width=4, init=init)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)


# --- presets against the frameworks ---------------------------------------------------------------

TORCH = {  # our cell -> (PyTorch's, gates in its order); the sign of z does not matter for a symmetric law
    "tanh": (torch.nn.RNN, ["hidden"]),
    "relu": (torch.nn.RNN, ["hidden"]),
    "lstm": (torch.nn.LSTM, ["input", "forget", "candidate", "output"]),
    "gru_reset_after": (torch.nn.GRU, ["reset", "update", "candidate"]),
    "gru": (torch.nn.GRU, ["reset", "update", "candidate"]),
}


def framework_sample(make, gates, width=6, inputs=3, replicates=400):
    torch.manual_seed(17)
    modules = [make(inputs, width) for _ in range(replicates)]

    def parameters(name):
        stacked = torch.stack([getattr(module, name).detach() for module in modules])
        return {gate: part.numpy() for gate, part in zip(gates, stacked.chunk(len(gates), dim=1), strict=True)}

    return [parameters(name) for name in ("weight_hh_l0", "weight_ih_l0", "bias_ih_l0", "bias_hh_l0")]


@pytest.mark.parametrize("cell", TORCH)
def test_the_pytorch_preset_draws_what_pytorch_draws_gate_by_gate(cell):
    recurrent, input_, bias_x, bias_h = framework_sample(*TORCH[cell])
    ours = Drawn(cell, "pytorch")
    for gate in TORCH[cell][1]:
        assert_same_law(ours.recurrent[gate], recurrent[gate])
        assert_same_law(ours.input[gate], input_[gate])
        if cell == "gru_reset_after" and gate == "candidate":  # its two bias vectors stand apart
            assert_same_law(ours.bias["candidate"], bias_x[gate])
            assert_same_law(ours.bias["candidate_recurrent"], bias_h[gate])
        else:
            assert_same_law(ours.bias[gate], bias_x[gate] + bias_h[gate])


def test_one_bias_vector_where_pytorch_has_two_is_told_apart():
    _, _, bias_x, _ = framework_sample(*TORCH["lstm"])
    with pytest.raises(AssertionError):
        assert_same_law(Drawn("lstm", "pytorch").bias["forget"], bias_x["forget"])


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru_reset_after", "gru_tied"])
def test_the_keras_preset_is_one_orthogonal_matrix_glorot_inputs_and_an_open_forget_gate(cell):
    n, m = 6, 3
    ours = Drawn(cell, "keras", n, m)
    gates = len(ours.point.cell_object.gates)
    assert ours.stacked is not None
    gram = ours.stacked @ ours.stacked.transpose(0, 2, 1)
    assert np.abs(gram - np.eye(n)).max() < 1e-13
    if gates > 1:  # no gate's matrix is orthogonal by itself
        one = next(iter(ours.recurrent.values()))
        assert np.abs(one @ one.transpose(0, 2, 1) - np.eye(n)).max() > 0.1
    limit = (6 / (m + gates * n)) ** 0.5
    for gate in ours.point.cell_object.gates:
        assert_law(ours.input[gate], stats.uniform(-limit, 2 * limit).cdf)
    for name, vector in ours.bias.items():
        assert (vector == (1 if name == "forget" else 0)).all()


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
def test_the_flax_preset_is_orthogonal_for_each_gate_and_lecun_normal(cell):
    ours = Drawn(cell, "flax")
    for matrix in ours.recurrent.values():
        assert np.abs(matrix @ matrix.transpose(0, 2, 1) - np.eye(6)).max() < 1e-13
    for matrix in ours.input.values():
        assert_law(matrix, stats.truncnorm(-2, 2, scale=3**-0.5 / DEVIATION_WITHIN_TWO).cdf)
    assert not any(vector.any() for vector in ours.bias.values())


def test_a_gate_s_own_law_reaches_that_gate_and_no_other():
    init = {"recurrent": {"gaussian": 1.0, "forget": {"identity": 0.5}}, "input": {"gaussian": 2.0, "output": 0.25}}
    ours = Drawn("lstm", init)
    assert (ours.recurrent["forget"] == 0.5 * np.eye(6)).all()
    assert (ours.input["output"] == 0.25).all()
    for gate in ("input", "output", "candidate"):
        assert_law(ours.recurrent[gate], stats.norm(scale=6**-0.5).cdf)
    for gate in ("forget", "input", "candidate"):
        assert_law(ours.input[gate], stats.norm(scale=2 * 3**-0.5).cdf)


def test_gates_and_replicates_are_drawn_independently():
    ours = Drawn("lstm", {"recurrent": {"gaussian": 1.0}})
    matrices = [matrix.ravel() for matrix in ours.recurrent.values()]
    correlation = np.corrcoef(matrices) - np.eye(4)
    assert np.abs(correlation).max() < SIGMAS / np.sqrt(len(matrices[0]))
    first = ours.recurrent["forget"]
    assert abs(np.corrcoef(first[:-1].ravel(), first[1:].ravel())[0, 1]) < SIGMAS / np.sqrt(first.size)


@pytest.mark.parametrize("cell", list(cells()))
def test_what_an_initialisation_writes_reads_back_as_itself(cell):
    for said in (
        "keras",
        {"preset": "pytorch", "bias": {cells()[cell].gates[0]: 1.5}},
        {
            "recurrent": {"orthogonal": 1.0, "stacked": True, "clip": 0.3},
            "input": {"uniform": {"limit": 0.1, "terms": 2}},
        },
        {"recurrent": {"identity": {}}, "bias": 0.5},
        {
            "recurrent": {"gaussian": 2},
            "input": {"truncated_gaussian": 1.0},
            "bias": {"constant": 1.0, "x": {"chrono": 9.0}},
        },
    ):
        init = Initialisation.read(said)
        again = Initialisation.read(init.written())
        assert again == init
        assert again.written() == init.written()


# --- an operator norm of at most one ---------------------------------------------------------------


@pytest.mark.parametrize("norm", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("shape", [(200, 5, 5), (50, 3, 8), (50, 8, 3)])
def test_a_contraction_is_the_gaussian_matrix_with_its_singular_values_cut(shape, norm):
    cut = draw({"contraction": {"gain": 2, "norm": norm}}, shape)
    whole = draw({"gaussian": 2}, shape)
    left, singular, right = np.linalg.svd(whole, full_matrices=False)
    np.testing.assert_allclose(cut, left * np.minimum(singular, norm)[:, None] @ right, atol=1e-12)
    assert (singular > norm).any()
    assert np.linalg.norm(cut, ord=2, axis=(1, 2)).max() < norm * (1 + 1e-12)


def test_of_one_unit_a_contraction_is_a_number_cut_to_one_and_of_many_gates_each_is_cut_for_itself():
    np.testing.assert_allclose(
        draw({"contraction": 2}, (500, 1, 1)), draw({"gaussian": 2, "clip": 1}, (500, 1, 1)), rtol=1e-12
    )
    several = draw({"contraction": 3, "stacked": True}, (50, 6, 18), (1, 1, 1))
    for gate in np.split(several, 3, axis=2):
        assert np.linalg.norm(gate, ord=2, axis=(1, 2)) == pytest.approx(1)


@pytest.mark.parametrize("cell", ["tanh", "relu"])
def test_under_a_contraction_no_chain_ever_grows_though_it_does_under_cut_entries(cell):
    """||P_T|| <= prod ||diag(slope)|| ||U|| <= 1, exactly for every replicate; float32 rounds by 1e-7 a step."""

    def largest(recurrent):
        init = {"recurrent": recurrent, "input": {"gaussian": 1}}
        point = DesignPoint(cell=cell, width=8, init=init, horizons=[1, 10, 100])
        return np.max(run_block(point, 0, 200)["log_spectral"].to_numpy())

    assert largest({"contraction": 4}) < 1e-4
    assert largest({"gaussian": 4, "clip": 1}) > 1  # planted


def test_what_a_cell_s_own_paper_says_is_a_preset_that_refuses_cells_without_one():
    own = Initialisation.read("published").laws(cells()["lru"], 8, 2)
    assert own["recurrent"]["modulus"].written() == {"ring": {"outer": 1.0, "inner": 0.0}}
    assert {law.written()["constant"] for law in own["bias"].values()} == {0.0}
    with pytest.raises(ValueError, match="has no law for lru; give init: published"):
        Initialisation.read("pytorch").laws(cells()["lru"], 8, 2)
    with pytest.raises(ValueError, match="has no law for linear; give a law of its weights"):
        Initialisation.read("published").laws(cells()["linear"], 8, 2)
