"""torch.nn's own layers, read: the same states, the same chain, fresh ones of the same law."""

import math

import numpy as np
import pytest
import torch

from rnnmc.networks.chains import chain_norms, readings
from rnnmc.networks.fresh import fresh_networks
from rnnmc.networks.torch_module import read_module

KINDS = {
    "lstm": (torch.nn.LSTM, {}),
    "gru": (torch.nn.GRU, {}),
    "tanh": (torch.nn.RNN, {}),
    "relu": (torch.nn.RNN, {"nonlinearity": "relu"}),
    "lstm without biases": (torch.nn.LSTM, {"bias": False}),
    "gru without biases": (torch.nn.GRU, {"bias": False}),
    "lstm with projection": (torch.nn.LSTM, {"proj_size": 5, "num_layers": 2}),
    "stacked lstm": (torch.nn.LSTM, {"num_layers": 3}),
    "bidirectional gru": (torch.nn.GRU, {"bidirectional": True, "num_layers": 2}),
    "bidirectional projection": (torch.nn.LSTM, {"bidirectional": True, "num_layers": 2, "proj_size": 3}),
}


def inputs(steps: int, sequences: int, dimension: int) -> np.ndarray:
    return np.random.default_rng(5).standard_normal((steps, sequences, dimension))


def of_torch(kind: str, width: int, dimension: int = 3) -> torch.nn.Module:
    torch.manual_seed(1)
    maker, more = KINDS[kind]
    return maker(dimension, width, dtype=torch.float64, **more)


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_of_torch_has_the_states_that_torch_gives(kind):
    module, x = of_torch(kind, 7), inputs(40, 3, 3)
    network = read_module(module)
    top = [read for read in readings(network, x) if read.layer in network.levels[-1]]
    ours = [read.states[0][1:, :, : network.shown][:: -1 if read.layer.reverse else 1] for read in top]
    theirs = module(torch.from_numpy(x))[0].detach().numpy()
    np.testing.assert_allclose(np.concatenate(ours, axis=2), theirs, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", [torch.nn.LSTMCell, torch.nn.GRUCell, torch.nn.RNNCell])
def test_a_cell_of_torch_is_the_layer_of_its_weights(kind):
    torch.manual_seed(2)
    cell, x = kind(2, 6, dtype=torch.float64), inputs(20, 3, 2)
    (read,) = readings(read_module(cell), x)
    state = None
    for at in range(20):
        state = cell(torch.from_numpy(x[at]), state)
    last = state[0] if isinstance(state, tuple) else state
    assert last is not None
    np.testing.assert_allclose(read.states[0][-1], last.detach().numpy(), rtol=0, atol=1e-13)


def autograd_log_norms(module: torch.nn.Module, x: np.ndarray, horizons: list[int]) -> np.ndarray:
    """(horizons,) log spectral norm of P_T of one layer in one direction of torch, from its own autograd alone."""
    lstm = isinstance(module, torch.nn.LSTM)
    width = module.hidden_size + (module.proj_size or module.hidden_size) if lstm else module.hidden_size
    first = width - module.hidden_size

    def step(flat: torch.Tensor, now: torch.Tensor) -> torch.Tensor:
        state = (flat[None, :first], flat[None, first:]) if lstm else flat[None]
        after = module(now[None], state)[1]
        return torch.cat([part[0] for part in after]) if lstm else after[0]

    flat, product, exponent, found = torch.zeros(width, dtype=torch.float64), torch.eye(width).double(), 0.0, []
    for number, now in enumerate(torch.from_numpy(x[:, 0].copy()), 1):
        jacobian = torch.autograd.functional.jacobian(lambda flat, now=now: step(flat, now), flat)
        product = jacobian @ product
        size = product.abs().max()
        product, exponent = product / size, exponent + float(size.log())
        flat = step(flat, now).detach()
        if number in horizons:
            found.append(float(torch.linalg.matrix_norm(product, 2).log()) + exponent)
    return np.array(found)


def single(module: torch.nn.Module, level: int, back: bool) -> torch.nn.Module:
    """One direction of one layer of a stack, as a module of torch of its own."""
    suffix = f"_l{level}{'_reverse' if back else ''}"
    some = {name.removesuffix(suffix): one for name, one in module.named_parameters() if name.endswith(suffix)}
    if level == 0:
        some = {name: one for name, one in some.items() if not name.endswith("_reverse")}
    more = {"proj_size": module.proj_size} if isinstance(module, torch.nn.LSTM) else {}
    if isinstance(module, torch.nn.RNN):
        more = {"nonlinearity": module.nonlinearity}
    maker = type(module)
    alone = maker(some["weight_ih"].shape[1], module.hidden_size, bias=module.bias, dtype=torch.float64, **more)
    alone.load_state_dict({f"{name}_l0": one for name, one in some.items()})
    return alone


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "width"), [("lstm", 64), ("stacked lstm", 8), ("bidirectional gru", 8)])
def test_the_growth_rate_is_that_of_torchs_own_autograd_to_1e_9_nats_a_step(kind, width):
    module, horizons, x = of_torch(kind, width), [5, 30], inputs(30, 2, 3)
    for read in readings(read_module(module), x):
        ours = chain_norms(read.layer, read.x, horizons)["log_spectral"][0]
        alone = single(module, int(read.layer.name[1]), read.layer.reverse)
        theirs = autograd_log_norms(alone, np.ascontiguousarray(read.x), horizons)
        assert np.abs(np.diff(ours) - np.diff(theirs))[0] / 25 < 1e-9
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)


def test_by_lag_the_last_chain_is_the_whole_one_and_blocks_are_no_larger():
    (read,) = readings(read_module(of_torch("lstm", 7)), inputs(30, 3, 3))
    whole = chain_norms(read.layer, read.x, [30])
    start = [part[10] for part in read.states]
    late = chain_norms(read.layer, read.x[10:], [20], start)
    early = chain_norms(read.layer, read.x[:10], [10])
    assert (whole["log_spectral"] <= late["log_spectral"] + early["log_spectral"] + 1e-9).all()
    assert (whole["h_to_h"] <= whole["log_spectral"] + 1e-9).all()
    assert not np.allclose(late["log_spectral"], chain_norms(read.layer, read.x[10:], [20])["log_spectral"])


def test_sequences_do_not_feel_each_other():
    (read,) = readings(read_module(of_torch("gru", 5)), inputs(12, 70, 3))
    whole = chain_norms(read.layer, read.x, [12])["log_spectral"]
    for some in (slice(3, 4), slice(40, 45)):
        np.testing.assert_array_equal(chain_norms(read.layer, read.x[:, some], [12])["log_spectral"], whole[some])


@pytest.mark.parametrize("kind", ["lstm", "gru", "bidirectional projection"])
def test_fresh_networks_are_drawn_as_torch_draws_its_own(kind):
    module = of_torch(kind, 9)
    network = read_module(module)
    tiles = list(fresh_networks(network, "pytorch", 200, seed=3))
    assert [len(next(iter(tile.layers[0].bias.values()))) for tile in tiles] == [64, 64, 64, 8]
    for fresh in tiles[:1]:
        for ours, given in zip(fresh.layers, network.layers, strict=True):
            assert {name: one.shape[1:] for name, one in ours.recurrent.items()} == {
                name: one.shape[1:] for name, one in given.recurrent.items()
            }
            for some, theirs in ((ours.recurrent, given.recurrent), (ours.inputs, given.inputs)):
                for name, matrix in some.items():  # uniform, where torch has any entries at all
                    limit = 1 / math.sqrt(9)
                    there = np.broadcast_to(theirs[name] != 0, matrix.shape)
                    assert not np.count_nonzero(np.where(there, 0, matrix))
                    assert 0.95 * limit < np.abs(matrix[there]).max() <= limit
                    assert abs(matrix[there].var() / (limit**2 / 3) - 1) < 0.1  # 8 deviations at 5000 entries
