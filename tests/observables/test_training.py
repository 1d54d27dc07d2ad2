"""Training beside PyTorch's own: the same losses, the same clipping, every replicate by itself."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
import torch
from looking import seen, tiled

from rnnmc.common.errors import UsageError
from rnnmc.drives import read_drive
from rnnmc.engine.block import observe_block
from rnnmc.numerics.layout import Rows
from rnnmc.observables import read_observables, training
from rnnmc.observables.training import Parameters, Training, trained
from rnnmc.statistics.summaries.summary import Settings
from rnnmc.statistics.summaries.training import LEARNT, SUMMARY
from rnnmc.study.point import DesignPoint

N, T = 5, 6
ADDING, COPY = {"adding": T}, {"copy": {"steps": T, "alphabet": 3, "symbols": 2}}
GATES = ("input", "forget", "candidate", "output")  # in PyTorch's order
OURS = ("forget", "input", "output", "candidate")


def point_of(cell="lstm", drive=ADDING, width=N, **changes):
    return DesignPoint(cell=cell, width=width, drive=drive, **{"horizons": (T,)} | changes)


def losses(point, replicates=3, tile=4, **said):
    """(replicates, 2): without and with clipping."""
    table = seen(point, replicates, {"training": {"steps": 3, "batch": 4} | said}, tile=tile)["training"]
    assert table["clipped"].to_pylist() == ["no", "yes"] * replicates
    return table["loss"].to_numpy().reshape(-1, 2)


def initial(cell, task, networks, dtype=torch.float64, seed=1):
    """Weights of some networks, drawn anew."""
    rng = np.random.default_rng(seed)

    def drawn(rows, columns):
        return torch.from_numpy(0.4 * rng.standard_normal((networks, rows, columns))).to(dtype)

    gates = len(cell.gates) * N
    start = tuple(torch.zeros(networks, 1, N, dtype=dtype) for _ in cell.parts)
    return Parameters(drawn(N, gates), drawn(task.dimension, gates), drawn(1, gates), {}), start


class Peer(torch.nn.Module):
    """torch.nn.LSTM with a readout, from our weights of one network."""

    def __init__(self, task, weights: Parameters, readout: np.ndarray):
        super().__init__()
        self.lstm = torch.nn.LSTM(task.dimension, N).double()
        self.linear = torch.nn.Linear(N, readout.shape[1]).double()
        order = [OURS.index(gate) for gate in GATES]

        def theirs(matrix):
            return torch.cat([matrix.split(N, 1)[i] for i in order], 1).T.clone()

        with torch.no_grad():
            self.lstm.weight_hh_l0.copy_(theirs(weights.stacked[0]))
            self.lstm.weight_ih_l0.copy_(theirs(weights.inputs[0]))
            self.lstm.bias_ih_l0.copy_(theirs(weights.offset[0])[:, 0])
            self.lstm.bias_hh_l0.zero_()
            self.linear.weight.copy_(torch.from_numpy(readout[:-1].T))
            self.linear.bias.copy_(torch.from_numpy(readout[-1]))
        self.lstm.bias_hh_l0.requires_grad_(False)

    def forward(self, x):
        return self.linear(self.lstm(x)[0])


def peer_loss(task, module, x):
    said, target = module(torch.from_numpy(x))[-task.answers :], torch.from_numpy(task.targets(x))
    if task.classes:
        return torch.nn.functional.cross_entropy(said.flatten(0, 1), target.flatten())
    return torch.nn.functional.mse_loss(said[:, :, 0], target)


@pytest.mark.slow
@pytest.mark.parametrize("drive", [ADDING, COPY], ids=["adding", "copy"])
def test_losses_are_those_of_pytorch_s_lstm_under_its_own_adam_and_its_own_clipping(drive):
    task, settings = read_drive(drive), Training(steps=12, batch=4, rate=0.05, clip=0.2)
    cell = point_of().cell_object
    weights, start = initial(cell, task, 1)
    both = Parameters(*(torch.cat([one, one]) for one in (weights.stacked, weights.inputs, weights.offset)), {})
    streams = [np.random.Generator(np.random.Philox(key=7))]
    starts = tuple(torch.cat([part, part]) for part in start)
    found = trained(cell, task, both, starts, streams, [math.inf, settings.clip], settings)
    shortened = 0
    for ours, clip in zip(found, (math.inf, settings.clip), strict=True):
        rng = np.random.Generator(np.random.Philox(key=7))
        readout = rng.uniform(-1, 1, (N + 1, task.classes or 1)) / math.sqrt(N)
        peer = Peer(task, weights, readout)
        wanted = [one for one in peer.parameters() if one.requires_grad]
        adam = torch.optim.Adam(wanted, lr=settings.rate)
        for _ in range(settings.steps):
            adam.zero_grad()
            peer_loss(task, peer, task.sequences(rng, settings.batch)).backward()
            shortened += int(torch.nn.utils.clip_grad_norm_(wanted, clip) > clip)
            adam.step()
        loss = float(peer_loss(task, peer, task.sequences(rng, training.TESTED)).detach())
        assert ours == pytest.approx(loss / (math.log(task.classes) if task.classes else 1.0), rel=1e-5)
    assert 0 < shortened
    assert abs(found[0] - found[1]) > 1e-3


@pytest.mark.parametrize("cell", ["tanh", "gru", "gru_reset_after", "lru", "min_gru", "gru_output_gated", "fastrnn"])
def test_the_batch_stands_in_the_place_of_directions_in_every_form_of_cell(cell):
    # Against the cell's step, one sequence after the other, as the chain runs it.
    point = point_of(cell, init="published" if cell == "lru" else "pytorch", dtype="float64")
    watch = watch_of(point)
    weights, start = watch.initial, watch.start
    x = np.stack([point.drive.sequences(np.random.default_rng(r), 3) for r in range(len(start[0]))])
    found = training._answers(point.cell_object, weights, start, torch.from_numpy(x), 2)
    assert found.shape == (len(x), 2, 3, N)
    for sequence in range(3):
        state = start
        for t in range(T):
            total = torch.baddbmm(weights.offset, torch.from_numpy(x[:, t, sequence : sequence + 1]), weights.inputs)
            drive = dict(zip(point.cell_object.gates, total.split(N, 2), strict=True))
            state = point.cell_object.step(watch.weights, drive, state)
        torch.testing.assert_close(found[:, 1, sequence], state[0][:, 0], rtol=1e-12, atol=1e-12)


def watch_of(point, replicates=4):
    """The watch of a training after the first step of a chain; with the weights of that step."""
    from rnnmc.chain.product import follow
    from rnnmc.engine.draws import Draws

    with torch.no_grad():
        draws = Draws(point, [(0, 0)], replicates, Rows(), "cpu")
        watch = Training().watch(point, Rows(), draws.state(), draws.streams("training"))
        list(follow(point.cell_object, Rows(), draws.steps(), draws.state(), (1,), [watch]))
        watch.weights = draws.of_cell(draws.given.recurrent)
    return watch


def test_a_matrix_that_differs_between_sequences_is_refused_and_never_silently_another():
    matrix = training._Unformed(lambda: torch.ones(2, N, N))
    with pytest.raises(NotImplementedError, match="differs between sequences"):
        training._Batches().product(torch.ones(2, N, N), matrix * torch.ones(2, N, N))  # a batch of N sequences
    made = training._Batches().product(
        torch.ones(2, 3, N), (matrix - 0.5 * matrix.transpose(1, 2)) * torch.ones(2, 1, N)
    )
    torch.testing.assert_close(made, torch.full((2, 3, N), N / 2))


@pytest.mark.slow
@pytest.mark.parametrize("drive", [ADDING, COPY], ids=["adding", "copy"])
def test_a_replicate_is_trained_the_same_alone_in_any_batch_and_however_many_are_wanted(drive, monkeypatch):
    point = point_of(drive=drive, dtype="float64")
    whole = losses(point, 8, steps=20)
    np.testing.assert_array_equal(losses(point, 3, steps=20), whole[:3])
    np.testing.assert_array_equal(losses(point, 5, steps=20), whole[:5])
    monkeypatch.setattr(training, "MOST_TOGETHER", 1)
    np.testing.assert_allclose(losses(point, 8, steps=20), whole, rtol=1e-9)
    assert len(np.unique(whole[:, 0])) == 8


def test_streams_that_all_replicates_share_would_be_found_out(monkeypatch):
    # Planted: one seed for all, so that a replicate's batches are another's.
    point = point_of(init={"recurrent": {"constant": 0.1}, "input": {"constant": 0.1}, "bias": 0.0})
    assert len(np.unique(losses(point)[:, 0])) == 3
    see = training._Watch.see
    monkeypatch.setattr(training._Watch, "see", lambda self, step: (see(self, step), self.seeds.fill(1)))
    assert len(np.unique(losses(point)[:, 0])) == 1


def test_the_samples_are_the_same_bits_whether_networks_are_trained_or_not():
    point = point_of()
    (observable,) = read_observables([{"training": {"steps": 2}}])
    alone, beside = (observe_block(point, 0, some, 3, cut=tiled(point, 4)) for some in ((), (observable,)))
    assert alone["samples"].equals(beside["samples"])


def test_only_every_so_many_th_replicate_of_a_tile_is_trained_and_only_those_that_are_wanted(monkeypatch):
    rows, train = [], training._Watch._train
    monkeypatch.setattr(training._Watch, "_train", lambda self, some: (rows.extend(some), train(self, some))[1])
    found = losses(point_of(), 7, tile=4, every=3)
    np.testing.assert_array_equal(np.isnan(found[:, 0]), [False, True, True, False, False, True, True])
    assert rows == [0, 3, 0, 3]  # the last beside the one before, so that this is the same bits whoever is wanted
    np.testing.assert_allclose(found[[0, 3, 4]], losses(point_of(), 7, tile=4, every=1)[[0, 3, 4]], rtol=1e-5)
    rows.clear()
    losses(point_of(), 4, tile=4, every=3)
    assert rows == [0, 3]


def test_clipping_shortens_a_gradient_and_leaves_a_short_one_alone():
    point = point_of()
    short, long = losses(point, clip=0.01), losses(point, clip=1e9)
    assert (short[:, 0] != short[:, 1]).all()
    np.testing.assert_allclose(long[:, 0], long[:, 1], rtol=1e-6)
    gradients = [torch.tensor([[[3.0]], [[0.3]]]), torch.tensor([[[4.0]], [[0.4]]])]
    first, second = training._clipped(gradients, torch.tensor([1.0, 1.0]))
    torch.testing.assert_close(first.flatten(), torch.tensor([0.6, 0.3]))
    torch.testing.assert_close(second.flatten(), torch.tensor([0.8, 0.4]))


def test_a_training_that_overflows_has_a_loss_of_infinity_and_spoils_no_other():
    point = point_of("relu", init={"recurrent": {"gaussian": 1.0}, "input": {"gaussian": 1.0}})
    found = losses(point, rate=1e30, steps=6)
    assert np.isposinf(found).all()
    mixed = initial_spoilt(point)
    assert np.isposinf(mixed[0])
    assert np.isfinite(mixed[1])


def initial_spoilt(point):
    task, cell = point.drive, point.cell_object
    weights, start = initial(cell, task, 2, torch.float32)
    weights.stacked[0] = math.nan
    streams = [np.random.Generator(np.random.Philox(key=key)) for key in (1, 2)]
    return trained(cell, task, weights, start, streams, [math.inf] * 2, Training(steps=2, batch=2))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"drive": "white"}, "needs a task"),
        ({"weights": "untied"}, "one set of weights"),
        ({"horizons": (3, 7)}, "that is no horizon"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_runs(changes, said):
    with pytest.raises(UsageError, match=said):
        seen(point_of(**changes), 1, "training")


def test_a_short_version_costs_as_much_less_as_it_says():
    # Counted in passes over a batch: three of each step, one for the final loss.
    whole = Training(steps=90, batch=8, every=2)
    brief, times = whole.shorter(64)
    passes = {one: (3 * one.steps * one.batch + training.TESTED) * -(-64 // one.every) for one in (whole, brief)}
    assert times == pytest.approx(passes[whole] / passes[brief])
    assert passes[brief] < passes[whole] / 20


def test_the_summary_counts_those_that_were_trained_one_of_each_weight_draw():
    observable = Training(every=2)
    loss = [0.01, 0.9, None, None, LEARNT / 2, LEARNT * 2, None, None, math.inf, LEARNT / 2, 0.5, 0.5]
    samples = pl.DataFrame(
        {
            "point": ["p"] * 12,
            "block": np.zeros(12, np.int32),
            "replicate": np.repeat(np.arange(6), 2).astype(np.int32),
            "horizon": np.full(12, T, np.int32),
            "clipped": ["no", "yes"] * 6,
            "loss": loss,
        },
    )
    no, yes = SUMMARY.summarise(observable, samples, Settings(1e-3, 1e3)).iter_rows(named=True)
    assert (no["replicates"], no["learnt_count"], no["p_learnt"]) == (4, 2, 0.5)
    assert (yes["replicates"], yes["learnt_count"], yes["mean"]) == (
        4,
        1,
        pytest.approx((0.9 + 2.5 * LEARNT + 0.5) / 4),
    )
    assert no["p_learnt_low"] < 0.5 < no["p_learnt_high"]
    nested = SUMMARY.summarise(observable, samples, Settings(1e-3, 1e3, group=2))  # draws (0, 1), (2, 3), (4, 5)
    assert nested["learnt_count"].to_list() == [2, 1]
    assert nested["replicates"].to_list() == [3, 3]
