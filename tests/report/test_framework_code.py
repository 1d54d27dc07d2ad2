"""The lines that set an initialisation in a framework's layer do what they say: run in torch, on the layer itself."""

from __future__ import annotations

import ast
import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest, loguniform

from rnnmc import DesignPoint, run_block
from rnnmc.common.errors import UsageError
from rnnmc.initialisers import layers
from rnnmc.report import framework_layers
from rnnmc.report.framework_code import code
from rnnmc.report.framework_layers import BY_LAYER, FRAMEWORKS, layer_of

N, STEPS = 3, 7
PRESETS = ("pytorch", "keras", "flax")


def fixed(cell):
    """An initialisation without chance, in which every gate has weights of its own."""
    gates, inner = cell.gates, tuple(cell.inner_biases)
    return {
        "recurrent": {gate: {"identity": 0.9 - 0.35 * i} for i, gate in enumerate(gates)},
        "input": {gate: 0.4 - 0.3 * i for i, gate in enumerate(gates)},
        "bias": {name: 0.7 - 0.45 * i for i, name in enumerate((*gates, *inner))},
    }


def of(cell, init, width=N):
    return DesignPoint(cell=cell, width=width, init=init, horizons=[1, STEPS], dtype="float64", drive="none")


def made(point, framework="torch"):
    """The layer that the lines make, in float64."""
    names = {}
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        exec(code(point, framework), names)
    finally:
        torch.set_default_dtype(before)
    return names["layer"]


def log_norms(layer, parts):
    """log of the spectral norm of d s_T / d s_0 of the layer itself, without input, at each horizon."""
    found = []
    for steps in (1, STEPS):
        x = torch.zeros(1, steps, 1, dtype=torch.float64)

        def run(s, x=x):
            start = tuple(s[i * N : (i + 1) * N].reshape(1, 1, N) for i in range(parts))
            _, last = layer(x, start if parts > 1 else start[0])
            return torch.cat([one.reshape(-1) for one in (last if parts > 1 else (last,))])

        jacobian = torch.autograd.functional.jacobian(run, torch.zeros(parts * N, dtype=torch.float64))
        found.append(float(torch.linalg.matrix_norm(jacobian, 2).log()))
    return found


@pytest.mark.parametrize("cell", FRAMEWORKS["torch"])
def test_the_layer_that_is_set_has_the_gradient_that_is_measured(cell):
    point = of(cell, "pytorch")
    point = of(cell, fixed(point.cell_object))
    expected = run_block(point, 0, 1)["log_spectral"].to_pylist()
    layer = made(point)
    assert log_norms(layer, len(point.cell_object.parts)) == pytest.approx(expected, rel=1e-9)


def test_a_gate_of_the_wrong_sign_or_a_bias_that_counts_twice_is_seen(monkeypatch):
    """Planted mistakes."""
    point = of("gru_reset_after", fixed(of("gru_reset_after", "pytorch").cell_object))
    expected = run_block(point, 0, 1)["log_spectral"].to_pylist()
    right = framework_layers.FRAMEWORKS["torch"]["gru_reset_after"]
    key = ("bias", "update")
    for wrong in ({"sign": 1}, {"zero": ""}):
        planted = dict(right.slots) | {key: right.slots[key]._replace(**wrong)}
        layers = {"gru_reset_after": framework_layers.FrameworkLayer(**vars(right) | {"slots": planted})}
        monkeypatch.setitem(framework_layers.FRAMEWORKS, "torch", layers)
        assert log_norms(made(point), 1) != pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("cell", FRAMEWORKS["torch"])
def test_input_weights_are_set_too(cell):
    gates = of(cell, "pytorch").cell_object.gates
    layer = made(of(cell, fixed(of(cell, "pytorch").cell_object)))
    order = {
        "lstm": ("input", "forget", "candidate", "output"),
        "gru_reset_after": ("reset", "update", "candidate"),
    }.get(cell, ("hidden",))
    for i, gate in enumerate(order):
        ours = 0.4 - 0.3 * gates.index(gate)
        sign = -1 if gate == "update" else 1  # torch's z is 1 - ours
        assert layer.weight_ih_l0[i * N : (i + 1) * N].detach().numpy() == pytest.approx(sign * ours)


def test_nothing_but_what_differs_from_the_default_is_set():
    said = code(of("lstm", {"preset": "pytorch", "bias": {"forget": 3.05}}, 64), "torch")
    assert said.splitlines()[-2:] == [
        "    layer.bias_ih_l0[n:2 * n] = 3.05  # forget",
        "    layer.bias_hh_l0[n:2 * n] = 0  # added to it",
    ]
    assert "weight" not in said
    assert "with" not in code(of("lstm", "pytorch"), "torch")
    layer = made(of("lstm", {"preset": "pytorch", "bias": {"forget": 3.05}}, 64))
    both = (layer.bias_ih_l0 + layer.bias_hh_l0).detach().numpy()
    assert (both[64:128] == 3.05).all()
    assert (np.abs(np.delete(both, slice(64, 128))) <= 2 / 8).all()


@pytest.mark.parametrize("framework", ["torch", "flax.nnx"])
def test_every_digit_that_was_given_is_in_the_line(framework):
    init = {"preset": "pytorch", "recurrent": {"orthogonal": 5 / 3}, "bias": 1.23456789012}
    said = code(of("tanh", init), framework)
    assert str(5 / 3) in said
    assert "1.23456789012" in said


def test_chrono_gives_one_time_scale_to_both_gates_of_a_unit():
    remembering = {gate: {"chrono": 1000.0} for gate in ("forget", "input")}
    layer = made(of("lstm", {"preset": "pytorch", "bias": remembering}, 2000))
    both = (layer.bias_ih_l0 + layer.bias_hh_l0).detach().numpy().reshape(4, -1)
    assert (both[0] == -both[1]).all()
    assert kstest((np.exp(both[1]) - 1) / 998, "uniform").pvalue > 1e-6
    assert kstest(np.exp(both[1]), loguniform(1, 999).cdf).pvalue < 1e-6  # the mistake of drawing log u evenly


@pytest.mark.parametrize("init", PRESETS)
@pytest.mark.parametrize("cell", FRAMEWORKS["torch"])
def test_the_presets_of_other_frameworks_have_their_scale_in_torch(cell, init):
    point = of(cell, init, 64)
    laws = point.init.laws(point.cell_object, 64, 1)["recurrent"]
    layer = made(point)
    deviation = float(layer.weight_hh_l0.detach().std())
    expected = {"uniform": 1 / 8 / math.sqrt(3)}.get(next(iter(laws.values())).name)
    if expected is None:  # orthogonal: the whole stack has orthonormal columns, or each gate has
        stacked = next(iter(laws.values())).stacked
        expected = (64 * (len(laws) if stacked else 1)) ** -0.5
        matrix = layer.weight_hh_l0.detach()[: None if stacked else 64]
        assert torch.allclose(matrix.T @ matrix, torch.eye(64, dtype=torch.float64), atol=1e-6)
    assert deviation == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("name", BY_LAYER)
def test_the_lines_for_every_layer_are_python_and_name_every_gate(name):
    """Those of the frameworks that are not installed are held to their syntax alone."""
    for cell, layer in BY_LAYER[name].items():
        like = of(cell, "pytorch").cell_object
        inner = () if name == "flax.nnx.GRUCell" else tuple(like.inner_biases)
        names = {*(("recurrent", g) for g in like.gates), *(("input", g) for g in like.gates)}
        names |= {("bias", g) for g in (*like.gates, *inner)}
        assert set(layer.slots) == names
        said = fixed(like)
        said["bias"] = {gate: said["bias"][gate] for gate in (*like.gates, *inner)}
        for init in ("keras", "flax", said, {"recurrent": {"gaussian": 2.0}}):
            text = code(of(cell, init), name)
            ast.parse(text)
            targets = [line.split(" = ")[0] for line in text.splitlines() if "] = " in line]
            assert len(targets) == len(set(targets))


@pytest.mark.parametrize("name", BY_LAYER)
def test_a_layer_as_its_framework_draws_it_needs_no_line(name):
    """`layer_of` by name, too; each is among the layers that have a preset."""
    for cell in BY_LAYER[name]:
        assert cell in layers()[name].cells
        text = code(of(cell, name), name)
        assert "] = " not in text
        assert name.split(".")[-1] in text


def test_every_layer_of_a_framework_is_found_by_its_name_too():
    for framework, served in FRAMEWORKS.items():
        for cell, layer in served.items():
            assert layer_of(framework, cell) is layer_of(layer.name, cell)
            assert layer.name.startswith(framework)
    assert layer_of("flax.nnx.OptimizedLSTMCell", "lstm") is not layer_of("flax.nnx", "lstm")


def test_what_cannot_be_is_refused_in_one_sentence():
    with pytest.raises(UsageError, match="did you mean torch"):
        layer_of("torhc", "lstm")
    with pytest.raises(UsageError, match="torch has no layer for lru; it has them for lstm"):
        layer_of("torch", "lru")
    with pytest.raises(UsageError, match=r"did you mean flax\.nnx\.GRUCell"):
        layer_of("flax.nnx.GRUcell", "gru_reset_after")
    with pytest.raises(UsageError, match=r"bias\.candidate_recurrent: .* has no such numbers"):
        code(of("gru_reset_after", "pytorch"), "flax.nnx")
    with pytest.raises(UsageError, match="has no line of code"):
        code(of("tanh", {"recurrent": {"gaussian": 1.0, "spectral_radius": 1.0}}), "torch")
    with pytest.raises(UsageError, match="contraction 1 has no line of code"):
        code(of("tanh", {"recurrent": {"contraction": 1.0}}), "torch")
