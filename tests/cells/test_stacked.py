# pyright: reportIncompatibleMethodOverride=false
"""Layers of a cell above each other: against PyTorch's, autograd, the compiled chain, and with planted mistakes."""

import inspect
import pickle
import sys
import textwrap

import numpy as np
import pytest
import torch
from grids import FULL

from rnnmc.cells import cells
from rnnmc.cells.cell import Cell, Tangent
from rnnmc.cells.lstm import LSTM
from rnnmc.cells.stacked import Stacked, bias_of_layer, into_layer, of_layer, stacked
from rnnmc.chain.check_cell import check_cell
from rnnmc.engine.compiled.agreement import disagreement
from rnnmc.engine.compiled.follow import made
from rnnmc.engine.few_directions.factored import Linearised, _Plain
from rnnmc.numerics.compiler import compiler
from rnnmc.numerics.layout import Columns, Rows
from rnnmc.numerics.weights import Weights

LAYOUTS = [Rows(), Columns()]
INPUTS, WIDTH, REPLICATES, STEPS = 3, 4, 3, 5
MATRICES = [cell for cell in cells().values() if not cell.diagonal]
KINDS = [cell for cell in MATRICES if cell.name in (*FULL, "nbrc", "star")]
FRAMEWORK = {  # our cell -> (PyTorch's, names of its gates in its order, our sign)
    "tanh": (torch.nn.RNN, ["hidden"], [1]),
    "relu": (lambda m, n, layers: torch.nn.RNN(m, n, layers, nonlinearity="relu"), ["hidden"], [1]),
    "lstm": (torch.nn.LSTM, ["input", "forget", "candidate", "output"], [1, 1, 1, 1]),
    "gru_reset_after": (torch.nn.GRU, ["reset", "update", "candidate"], [1, -1, 1]),  # their z is our 1 - z
}


def both(name, layers, layout, residual=False):
    """(PyTorch's modules, our stack of layers, its weights in this layout, W x + b from x) with the same numbers."""
    make, gates, signs = FRAMEWORK[name]
    torch.manual_seed(3)
    modules = [make(INPUTS, WIDTH, layers).double() for _ in range(REPLICATES)]
    for module in modules:
        for parameter in module.parameters():
            parameter.requires_grad_(False).mul_(2)  # well away from the linear regime
    cell = stacked(cells()[name], layers, residual)

    def of_gates(parameter):
        parts = torch.stack([getattr(module, parameter) for module in modules]).chunk(len(gates), dim=1)
        return {gate: sign * part for gate, sign, part in zip(gates, signs, parts, strict=True)}

    recurrent, biases, first = {}, {}, of_gates("weight_ih_l0")
    for layer in range(1, layers + 1):
        of_h, of_x = (of_gates(f"bias_{kind}_l{layer - 1}") for kind in ("hh", "ih"))
        recurrent |= {of_layer(gate, layer): u for gate, u in of_gates(f"weight_hh_l{layer - 1}").items()}
        if layer > 1:
            recurrent |= {into_layer(gate, layer): w for gate, w in of_gates(f"weight_ih_l{layer - 1}").items()}
        for gate in gates:
            inside = name == "gru_reset_after" and gate == "candidate"
            biases[bias_of_layer(gate, layer)] = of_x[gate] + (0 if inside else of_h[gate])
            if inside:
                biases[of_layer("candidate_recurrent", layer)] = of_h[gate]

    def vector(values):
        return layout.load(values[:, None].numpy(), torch.float64, "cpu")

    def drive(x):
        return {gate: vector(torch.einsum("rnm,rm->rn", first[gate], x) + biases[gate]) for gate in cell.gates}

    return modules, cell, laid(cell, layout, recurrent, {name: vector(biases[name]) for name in cell.inner}), drive


def laid(cell, layout, recurrent, inner):
    """Weights from name -> (R, out, in), and vectors in the layout."""
    together = torch.cat([recurrent[name].mT for name in cell.recurrent], dim=2)
    together = layout.load(together.numpy(), torch.float64, "cpu")
    parts = dict(zip(cell.recurrent, together.split(WIDTH, layout.out_axis), strict=True))
    return Weights(layout, together, parts, inner)


def of_pytorch(module, x):
    """The joint state after a step from the joint state, both flat, layer by layer; x is (m,)."""
    layers, is_lstm = module.num_layers, isinstance(module, torch.nn.LSTM)

    def step(flat):
        parts = flat.view(layers, 2 if is_lstm else 1, WIDTH)
        start = (parts[:, 0].contiguous(), parts[:, 1].contiguous()) if is_lstm else parts[:, 0].contiguous()
        _, end = module(x[None], start)
        return torch.stack(end if is_lstm else [end], dim=1).flatten()

    return step


def jacobian(cell, weights, drive, state):
    """(R, d, d) Jacobian that `linearise` gives, out by in."""
    layout, d = weights.layout, len(cell.parts) * WIDTH
    batch = state[0].shape[layout.replicate_axis]
    rows = layout.load(np.repeat(np.eye(d)[None], batch, axis=0), torch.float64, "cpu")
    pushed = cell.linearise(weights, drive, state)[1](rows.split(WIDTH, layout.out_axis))
    return torch.cat([layout.matrices(part) for part in pushed], dim=2).mT


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("name", FRAMEWORK)
def test_layers_are_pytorch_s_with_the_joint_jacobian_of_autograd(name, layers, layout):
    modules, cell, weights, drive = both(name, layers, layout)
    xs = torch.randn(STEPS, REPLICATES, INPUTS, dtype=torch.float64)
    start = torch.randn(REPLICATES, len(cell.parts), WIDTH, dtype=torch.float64)
    flat = start.flatten(1)
    state = tuple(layout.load(start[:, i : i + 1].numpy(), torch.float64, "cpu") for i in range(len(cell.parts)))
    for x in xs:
        steps = [of_pytorch(module, x[r]) for r, module in enumerate(modules)]
        wanted = torch.stack([torch.autograd.functional.jacobian(step, flat[r]) for r, step in enumerate(steps)])
        assert torch.allclose(jacobian(cell, weights, drive(x), state), wanted, rtol=1e-10, atol=1e-10)
        flat = torch.stack([step(flat[r]) for r, step in enumerate(steps)])
        state = cell.step(weights, drive(x), state)
        found = torch.cat([layout.matrices(part)[:, 0] for part in state], dim=1)
        assert torch.allclose(found, flat, rtol=1e-12, atol=1e-14)


def with_mistake(monkeypatch, right, wrong):
    """`Stacked.linearise` with one expression replaced wherever it stands."""
    text = textwrap.dedent(inspect.getsource(Stacked.linearise))
    assert right in text
    names = dict(vars(sys.modules[Stacked.__module__]))
    exec(text.replace(right, wrong), names)
    monkeypatch.setattr(Stacked, "linearise", names["linearise"])


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("shown = following[0] + shown if self._adds(layer) else following[0]", "shown = mine[0]"),
        ("seen = changed[0] + seen if self._adds(layer) else changed[0]", "seen = directions[len(pushed) - size]"),
        ("weights.product(seen, *pair)", "pair[1]"),  # the path between layers is left out
    ],
    ids=["late", "late tangent", "no path between layers"],
)
@pytest.mark.parametrize("name", FRAMEWORK)
def test_a_mistake_between_the_layers_is_told_apart(name, right, wrong, monkeypatch):
    with_mistake(monkeypatch, right, wrong)
    with pytest.raises(AssertionError):
        test_layers_are_pytorch_s_with_the_joint_jacobian_of_autograd(name, 2, Rows())


@pytest.mark.slow
@pytest.mark.parametrize("cell", KINDS, ids=lambda cell: cell.name)
def test_a_stack_of_any_kind_of_cell_passes_every_check_of_cells(cell):
    for result in check_cell(stacked(cell, 3, residual=True), 2):
        assert result.passed, result


def random_step(cell, seed=0):
    """(weights, drive, state) of normal numbers, in rows."""
    rng = np.random.default_rng(seed)

    def vector():
        return Rows().load(rng.standard_normal((REPLICATES, 1, WIDTH)), torch.float64, "cpu")

    matrices = torch.from_numpy(rng.standard_normal((REPLICATES, WIDTH, len(cell.recurrent) * WIDTH)) / 2)
    parts = dict(zip(cell.recurrent, matrices.split(WIDTH, 2), strict=True))
    weights = Weights(Rows(), matrices, parts, {name: vector() for name in cell.inner})
    return weights, {gate: vector() for gate in cell.gates}, tuple(vector() for _ in cell.parts)


@pytest.mark.parametrize("cell", MATRICES, ids=lambda cell: cell.name)
def test_a_layer_sees_the_one_below_and_none_above(cell):
    for residual in (False, True):
        whole = stacked(cell, 3, residual)
        found, size = jacobian(whole, *random_step(whole)), len(cell.parts) * WIDTH
        blocks = found.unfold(1, size, size).unfold(2, size, size)  # (R, layer, layer below, in, out)
        for layer in range(3):
            for below in range(3):
                assert bool((blocks[:, layer, below] == 0).all()) == (below > layer)


@pytest.mark.parametrize("residual", [False, True])
def test_the_lower_layers_of_a_stack_are_the_stack_of_those_layers(residual):
    cell = cells()["lstm"]
    whole, lower = stacked(cell, 4, residual), stacked(cell, 3, residual)
    weights, drive, state = random_step(whole)
    recurrent = {name: weights.recurrent[name] for name in lower.recurrent}
    bias = {name: weights.bias[name] for name in lower.inner}
    own = Weights(Rows(), torch.cat(list(recurrent.values()), 2), recurrent, bias)
    mine = state[: len(lower.parts)]
    d = WIDTH * len(lower.parts)
    for one, other in zip(whole.step(weights, drive, state), lower.step(own, drive, mine), strict=False):
        assert torch.allclose(one, other, rtol=1e-13, atol=1e-15)
    block = jacobian(whole, weights, drive, state)[:, :d, :d]
    assert torch.allclose(block, jacobian(lower, own, drive, mine), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("cell", [cells()["lstm"], cells()["gru"]], ids=lambda cell: cell.name)
def test_residual_layers_hand_on_the_sum_of_all_layers_below_but_keep_their_own_state(cell):
    whole, plain = stacked(cell, 3, residual=True), stacked(cell, 3)
    weights, drive, state = random_step(whole)
    size = len(cell.parts)
    after, without = whole.step(weights, drive, state), plain.step(weights, drive, state)
    for one, other in zip(after[: 2 * size], without[: 2 * size], strict=True):
        assert torch.equal(one, other)  # two layers are the same with residual and without
    third = {name: weights.recurrent[of_layer(name, 3)] for name in cell.recurrent}
    own = Weights(Rows(), torch.cat(list(third.values()), 2), third, {})
    seen = after[0] + after[size]
    by_hand = {
        gate: seen @ weights.recurrent[into_layer(gate, 3)] + weights.bias[bias_of_layer(gate, 3)] for gate in drive
    }
    for one, other in zip(after[2 * size :], cell.step(own, by_hand, state[2 * size :]), strict=True):
        assert torch.allclose(one, other, rtol=1e-13, atol=1e-15)


class Peephole(Cell):
    """Of one's own, written as a step alone, with vectors and an inner bias; `linearise` is autodiff."""

    name, gates, vectors = "peephole", ("keep", "candidate"), ("keep",)
    formula, source = "h' = f o h + tanh(W x + U h + b + d), f = sg(. + p o h)", "a test"
    inner_biases = {"more": "candidate"}  # noqa: RUF012

    def step(self, weights, drive, state):
        (h,) = state
        at_h = weights.apply(h, *self.gates)
        keep = (drive["keep"] + at_h["keep"] + weights.vectors["keep"] * h).sigmoid()
        return (keep * h + (drive["candidate"] + at_h["candidate"] + weights.bias["more"]).tanh(),)


class WrongByDrive(LSTM):
    """A mistake: the output gate's way into h is left out of what the drive changes."""

    knows_drive = True

    def linearise(self, weights, drive, state):
        after, push = super().linearise(weights, drive, state)

        def driven(changes):
            return push.driven(changes | {"output": 0 * changes["output"]})

        return after, Tangent(push.push, None, driven)


class Strange(LSTM):
    """What it inherits of the drive does not fit: autodiff is right."""

    def linearise(self, weights, drive, state):
        return super().linearise(weights, drive | {"forget": 2 * drive["forget"]}, state)


@pytest.mark.parametrize("cell", [Peephole(), Strange()], ids=["step alone", "inherited"])
def test_a_cell_of_one_s_own_is_stacked_through_autodiff(cell):
    assert not cell.knows_drive
    whole = stacked(cell, 2)
    weights, drive, state = random_step(whole)

    def after(*parts):
        return torch.cat(whole.step(weights, drive, parts), dim=2)[:, 0]

    by_autograd = torch.autograd.functional.jacobian(lambda *parts: after(*parts).sum(0), state)
    wanted = torch.cat([part[:, :, 0].transpose(0, 1) for part in by_autograd], dim=2)
    assert torch.allclose(jacobian(whole, weights, drive, state), wanted, rtol=1e-10, atol=1e-12)


def test_what_a_cell_says_of_its_drive_is_checked_where_it_says_it():
    assert "drive" in {result.name for result in check_cell(LSTM(), 3)}
    assert "drive" not in {result.name for result in check_cell(Peephole(), 3)}
    assert {result.name for result in check_cell(WrongByDrive(), 3) if not result.passed} == {"drive"}


@pytest.mark.slow
@pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_layers_are_compiled_to_what_the_plain_engine_does(name):
    for width, by_replicate, dtype in ((3, True, torch.float64), (9, False, torch.float32)):
        whole = stacked(cells()[name], 3, residual=True)
        function, _ = made(whole, width, dtype, by_replicate)
        assert function is not None
        assert disagreement(whole, function, width, dtype, by_replicate) <= 1
        other = stacked(cells()[name], 3)  # a kernel of this one parts from it
        assert disagreement(other, function, width, dtype, by_replicate) > 1


@pytest.mark.parametrize("cell", [cell for cell in MATRICES if cell.knows_drive], ids=lambda cell: cell.name)
def test_layers_are_recorded_as_factors_and_not_multiplied_out(cell):
    whole = stacked(cell, 2)
    linearised = Linearised(whole)
    weights, drive, state = random_step(whole)
    _, factors = linearised.step(weights, drive, state)
    assert not isinstance(factors, _Plain)
    rows = tuple(part.expand(-1, WIDTH, -1).contiguous() for part in state)
    for one, other in zip(factors.times(rows), whole.linearise(weights, drive, state)[1](rows), strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("cell", "arguments", "said"),
    [
        ("lstm", (0,), "is no number of layers; give at least 1"),
        ("lru", (2,), "matrices, and those of lru are vectors; give 1"),
        ("lstm", (2, True), "changes nothing below three layers, as none sees what the last shows; give layers: 3"),
    ],
)
def test_what_cannot_be_stacked_is_refused(cell, arguments, said):
    with pytest.raises(ValueError, match=said):
        stacked(cells()[cell], *arguments)


def test_one_layer_is_the_cell_and_a_stack_is_one_object_wherever_it_goes():
    cell = cells()["lstm"]
    assert stacked(cell, 1) is cell
    assert stacked(cell, 3, True) is stacked(cell, 3, True) is not stacked(cell, 3)
    there = pickle.loads(pickle.dumps(stacked(cell, 3, True)))
    assert (there.name, there.recurrent) == ("lstm x 3 residual", stacked(cell, 3).recurrent)
