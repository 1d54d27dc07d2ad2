"""What `rnnmc inspect` says of a network, and what it refuses."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rnnmc import cli
from rnnmc.common.errors import UsageError
from rnnmc.networks.chains import chain_norms, readings
from rnnmc.networks.inputs import inputs_of
from rnnmc.networks.network import joint
from rnnmc.networks.torch_module import read_module
from rnnmc.run.inspection import Asked, inspected, lasting
from rnnmc.study.study import Thresholds

ROOT = Path(__file__).parents[2]
SUNSPOTS = ROOT / "config/data/sunspots.csv"


def asked(series="white", **more) -> Asked:
    return Asked(series, Thresholds(), **({"steps": 60, "sequences": 4, "fresh": 0} | more))


def saved(path: Path, module: nn.Module) -> str:
    torch.save(module.state_dict(), path)
    return str(path)


def test_lags_of_a_linear_decay_are_where_the_line_meets_the_thresholds():
    lags, rate = [1, 3, 10, 30, 100], np.array([-0.1, 0.2, 0.0, -3.0])
    vanishes, explodes = lasting(lags, rate[:, None] * np.array(lags), Thresholds())
    nats = math.log(1e3)
    np.testing.assert_allclose(vanishes, [nats / 0.1, np.inf, np.inf, nats / 3])
    np.testing.assert_allclose(explodes, [np.inf, nats / 0.2, np.inf, np.inf])
    dead = lasting([1, 2], np.array([[-1.0, -np.inf]]), Thresholds())
    assert dead[0][0] == 2
    assert dead[1][0] == np.inf
    at_once = lasting([1, 2], np.array([[-1.0, -2.0]]), Thresholds(vanish=2.0, explode=3.0))
    assert (at_once[0][0], at_once[1][0]) == (0, np.inf), "a norm of one is below two already"
    at_once = lasting([1, 2], np.array([[-1.0, -2.0]]), Thresholds(vanish=0.3, explode=0.5))
    assert at_once[0][0] == pytest.approx(-math.log(0.3))
    assert at_once[1][0] == 0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_checkpoint_that_has_diverged_is_refused(tmp_path, value):
    module = nn.LSTM(1, 3)
    with torch.no_grad():
        module.weight_hh_l0[4, 1] = value
    with pytest.raises(UsageError, match=r"layer l0: 1 of 9 numbers of recurrent forget are NaN or infinite; give"):
        inspected([saved(tmp_path / "a.pt", module)], asked())


@pytest.mark.slow
@pytest.mark.parametrize("layers", [1, 2])
def test_the_rms_gain_of_a_projected_layer_is_that_of_the_state_that_torch_has(tmp_path, layers):
    """h of 4 and c of 8: by torch's own autograd over all of it, P_T of one layer or of two as one chain."""
    module, steps = nn.LSTM(2, 8, num_layers=layers, proj_size=4, dtype=torch.float64), 6
    x = np.random.default_rng(1).standard_normal((steps, 2))
    np.save(tmp_path / "x.npy", x)

    def last(flat: torch.Tensor) -> torch.Tensor:
        h, c = flat[: 4 * layers].view(layers, 1, 4), flat[4 * layers :].view(layers, 1, 8)
        return torch.cat([part.flatten() for part in module(torch.from_numpy(x)[:, None], (h, c))[1]])

    product = torch.autograd.functional.jacobian(last, torch.zeros(12 * layers, dtype=torch.float64))
    log_rms = math.log(float(torch.linalg.matrix_norm(product)) / math.sqrt(12 * layers))
    found = inspected([saved(tmp_path / "a.pt", module)], asked(tmp_path / "x.npy", steps=steps)).statistics
    row = found.filter(measure="log_rms", horizon=steps, layer="all layers" if layers > 1 else "l0").row(0, named=True)
    assert row["q50"] == pytest.approx(log_rms, abs=1e-9)


def test_a_scaled_rotation_lasts_as_long_as_its_scale_says(tmp_path):
    """An exact law: h' = U h for small h, U = g Q, whose every product has the norm g^k at any lag."""
    module = nn.RNN(1, 6, bias=False, nonlinearity="relu", dtype=torch.float64)
    q = np.eye(6)[[1, 2, 3, 4, 5, 0]]  # a permutation keeps positive states positive: no unit is ever off
    with torch.no_grad():
        module.weight_hh_l0.copy_(torch.from_numpy(0.9 * q))
        module.weight_ih_l0.fill_(1.0)
    np.save(tmp_path / "ones.npy", np.ones((300, 1)))
    found = inspected([saved(tmp_path / "a.pt", module)], asked(tmp_path / "ones.npy", nonlinearity="relu", steps=200))
    row = found.layers.row(0, named=True)
    assert row["growth_rate"] == pytest.approx(math.log(0.9), abs=1e-12)
    assert row["vanishes_at"] == pytest.approx(math.log(1e3) / -math.log(0.9), abs=1e-6)
    assert row["explodes_at"] == math.inf
    for row in found.lags.iter_rows(named=True):
        assert row["by_lag"] == pytest.approx(row["lag"] * math.log(0.9), abs=1e-10)
        assert row["from_first_step"] == pytest.approx(row["by_lag"], abs=1e-10)


def test_a_network_whose_chain_is_dead_says_so(tmp_path, monkeypatch, capsys):
    """Without input or bias no unit of a ReLU network is ever on: P_1 is exactly zero."""
    path = saved(tmp_path / "a.pt", nn.RNN(1, 3, bias=False, nonlinearity="relu"))
    words = ("--nonlinearity", "relu", "--drive", "none", "--steps", "20", "--fresh", "10")
    (row,) = _json(monkeypatch, capsys, "inspect", path, *words)["layers"]
    assert row["growth_rate"] == row["log_norm"] == "-Infinity"
    assert row["growth_rate_error"] is None
    assert row["vanishes_at"] == 1
    assert row["sequences"] == 1
    monkeypatch.setattr("sys.argv", ["rnnmc", "inspect", path, *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    assert "-inf" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_a_stack_as_one_chain_is_what_torchs_own_autograd_says(kind):
    torch.manual_seed(3)
    module = kind(2, 5, num_layers=2, dtype=torch.float64)
    network = read_module(module)
    whole = joint(network)
    assert whole is not None
    x = np.random.default_rng(0).standard_normal((25, 1, 2))
    ours = chain_norms(whole, x, [25])
    lstm = kind is nn.LSTM
    size = 20 if lstm else 10

    def step(flat: torch.Tensor, now: torch.Tensor) -> torch.Tensor:
        parts = [flat[:10].view(2, 5), flat[10:].view(2, 5)] if lstm else [flat.view(2, 5)]
        after = module(now[None], tuple(parts) if lstm else parts[0])[1]
        return torch.cat([part.flatten() for part in (after if lstm else [after])])

    def run(flat: torch.Tensor) -> torch.Tensor:
        for now in torch.from_numpy(x[:, 0]):
            flat = step(flat, now)
        return flat

    product = torch.autograd.functional.jacobian(run, torch.zeros(size, dtype=torch.float64))
    theirs = {"log_spectral": product, "h_to_h": product[:10, :10]}
    for name, matrix in theirs.items():
        assert ours[name][0, 0] == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2).log()), abs=1e-9)


@pytest.mark.slow
def test_two_checkpoints_stand_beside_each_other_and_beside_fresh_networks(tmp_path, capsys, monkeypatch):
    torch.manual_seed(2)
    before, after = nn.LSTM(1, 5), nn.LSTM(1, 5)
    with torch.no_grad():
        after.bias_hh_l0[5:10] += 6  # forget gates that are open
    paths = [saved(tmp_path / f"{name}.pt", one) for name, one in (("before", before), ("after", after))]
    words = ["--series", str(SUNSPOTS), "--column", "SUNACTIVITY", "--steps", "60", "--sequences", "4", "--fresh", "40"]
    said = _json(monkeypatch, capsys, "inspect", *paths, *words)
    rows = {(row["network"], row["layer"]): row for row in said["layers"]}
    assert list(rows) == [("before.pt", "l0"), ("after.pt", "l0")]
    old, new = rows["before.pt", "l0"], rows["after.pt", "l0"]
    assert 0 < old["percentile"] < 100
    assert new["percentile"] == 100
    assert new["fresh_growth_rate"] == old["fresh_growth_rate"]  # the same ones
    assert new["growth_rate"] > old["growth_rate"]
    assert old["vanishes_at_low"] <= old["vanishes_at"] <= old["vanishes_at_high"]
    whole = {row["lag"]: row for row in said["lags"] if row["network"] == "before.pt"}
    assert whole[60]["by_lag"] == whole[60]["from_first_step"]
    paths_of = {row["path"]: row for row in said["paths"] if row["network"] == "after.pt"}
    assert paths_of["main_term"]["growth_rate"] > paths_of["h_only"]["growth_rate"]
    monkeypatch.setattr("sys.argv", ["rnnmc", "inspect", *paths, *words[:-1], "0"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    text = capsys.readouterr().out
    assert end.value.code == 0
    assert {"lag", "before.pt", "after.pt"} <= set(text.split())


def test_each_direction_of_a_bidirectional_layer_has_a_row_of_its_own(tmp_path):
    torch.manual_seed(1)
    path = saved(tmp_path / "a.pt", nn.GRU(2, 3, num_layers=2, bidirectional=True))
    found = inspected([path], asked(steps=12, fresh=5))
    assert found.layers["layer"].to_list() == ["l0", "l0 reverse", "l1", "l1 reverse"]
    assert found.layers["percentile"].is_null().to_list() == [False, False, True, True]  # of what lies above none
    for layer in found.layers["layer"]:
        lags = found.lags.filter(found.lags["layer"] == layer)
        assert lags["lag"].to_list() == [1, 2, 3, 6, 10, 12]
        assert lags["by_lag"][-1] == lags["from_first_step"][-1]


def test_horizons_are_the_lags_that_are_told_and_their_statistics_those_of_measure(tmp_path, capsys, monkeypatch):
    path = saved(tmp_path / "a.pt", nn.GRU(2, 3, bidirectional=True))
    words = ["inspect", path, "--data", str(SUNSPOTS), "--column", "SUNACTIVITY", "--column", "YEAR", "--fresh", "0"]
    said = _json(monkeypatch, capsys, *words, "--horizons", "2,7,20", "--sequences", "4")
    assert said["steps"] == 20
    assert {row["lag"] for row in said["lags"]} == {2, 7, 20}
    rows = [row for row in said["statistics"] if row["measure"] == "log_spectral"]
    keys = [(row["layer"], row["direction"], row["horizon"]) for row in rows]
    ways = {"l0": "forward", "l0 reverse": "backward"}
    assert keys == [(layer, way, lag) for layer, way in ways.items() for lag in (2, 7, 20)]
    for row in rows:
        (other,) = (one for one in said["lags"] if (one["layer"], one["lag"]) == (row["layer"], row["horizon"]))
        assert row["replicates"] == 4
        assert other["from_first_step_low"] <= row["mean"] <= other["from_first_step_high"]
        assert row["vanish_at_count"] + row["stable_at_count"] + row["explode_at_count"] == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--horizons", "5,x"], "--horizons: '5,x' is not a list of steps"),
        (["--horizons", "5,5"], "--horizons: 5,5 cannot be; give steps of at least 1, each once, in rising order"),
        (["--horizons", "5,9", "--steps", "7"], "--steps: 7 is given beside --horizons 5,9; give one of the two"),
    ],
)
def test_horizons_that_cannot_be_are_refused(words, said, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["rnnmc", "inspect", saved(tmp_path / "a.pt", nn.GRU(1, 2)), *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert (end.value.code, said in capsys.readouterr().err) == (2, True)


def _json(monkeypatch, capsys, *words: str):
    monkeypatch.setattr("sys.argv", ["rnnmc", *words, "--json"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert end.value.code == 0, err
    return json.loads(out)


OWN = """
import torch
from torch import nn

class Own(nn.Module):
    input_size, hidden_size = 2, 4
    def __init__(self, *more):
        super().__init__()
        torch.manual_seed(1)
        self.cell, self.more = nn.GRUCell(2, 4), nn.Sequential(*more)
    def step(self, x, h):
        return self.more(self.cell(x, h))

class Pair(nn.LSTMCell):
    def __init__(self):
        torch.manual_seed(1)
        super().__init__(2, 4)
    def step(self, x, state):
        return self(x, state)

class Bare(Own):
    def step(self, x, h):
        return h.sum()

plain, dropped, normed = Own, lambda: Own(nn.Dropout(0.5)), lambda: Own(nn.BatchNorm1d(4))
quiet, mixed = lambda: Own(nn.Dropout(0.5)).eval(), lambda: Own(nn.BatchNorm1d(4, track_running_stats=False))
sizeless, failing, number, bare = lambda: nn.Linear(2, 2), lambda: 1 / 0, lambda: 3, Bare
two = lambda: nn.ModuleDict({"a": nn.LSTM(2, 3), "b": nn.GRU(2, 3)})
lstm = lambda: nn.LSTM(2, 4)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "networks_of_mine.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "networks_of_mine", raising=False)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(("name", "kind"), [("plain", nn.GRUCell), ("Pair", nn.LSTMCell)])
def test_a_module_that_steps_by_itself_has_the_chain_of_the_cell_that_it_is(name, kind):
    """Another route to the same numbers: a cell of torch inside of somebody's own step, by autodiff."""
    from rnnmc.networks.opening import opened

    mine = opened(f"networks_of_mine:{name}")
    torch.manual_seed(1)
    known = read_module(kind(2, 4))
    x = np.random.default_rng(0).standard_normal((12, 3, 2))
    both = [chain_norms(one.layer, one.x, [3, 12]) for network in (mine, known) for one in readings(network, x)]
    for measure in ("log_spectral", "log_rms", "h_to_h"):
        np.testing.assert_allclose(both[0][measure], both[1][measure], rtol=0, atol=1e-9)


@pytest.mark.usefixtures("own")
def test_a_module_that_steps_by_itself_has_no_fresh_ones_beside_it():
    found = inspected(["networks_of_mine:quiet"], asked(steps=12, sequences=2, fresh=10))
    assert found.layers["percentile"].is_null().all()
    assert "torch.func.jvp, slower" in found.notes[0]


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dropped", "gives other values when it is called twice, as dropout in training does; call .eval() on it"),
        ("normed", "changes its buffers when it is called, as batch norm in training does; call .eval() on it"),
        ("mixed", "mixes the sequences of a batch"),
        ("sizeless", "has no torch.nn.RNN, LSTM or GRU"),
        ("bare", "takes no state of shape (3, 4)"),
        ("failing", "cannot be made (ZeroDivisionError: division by zero (networks_of_mine.py, line "),
        ("number", "gives a int; let it give a torch.nn.Module"),
        ("nothing", "cannot be made (AttributeError"),
        ("two", "has 2 recurrent layers; give --layer, one of a, b"),
    ],
)
def test_a_module_that_is_none_is_refused(name, said, monkeypatch, capsys):
    assert said in _refused(monkeypatch, capsys, f"networks_of_mine:{name}", "--drive", "{white: 2}", "--steps", "10")


def _refused(monkeypatch, capsys, *words: str) -> str:
    monkeypatch.setattr("sys.argv", ["rnnmc", "inspect", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert end.value.code == 2
    assert len(err.strip().splitlines()) == 1
    assert not out
    return err


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--drive", "{white: 3}"], "--drive: white, m = 3 has 3 inputs, and the layer reads 2; give as many"),
        (["--drive", "pink"], "is not a drive"),
        (["--drive", "field"], "is a field on every gate"),
        (["--series", "nowhere.csv"], "nowhere.csv cannot be read"),
        (["--series", "nowhere.npy"], "nowhere.npy is no array that can be read"),
        (["--series", "a.npy"], "a.npy is 5 x 3, and the layer reads 2 inputs"),
        (["--series", "b.npy", "--steps", "6"], "b.npy has 5 steps, fewer than 6; give --steps 5"),
        (["--series", "c.npy", "--steps", "2"], "c.npy is no array of finite numbers"),
        (["--series", "b.npy", "--column", "x"], "b.npy is an array without names"),
        (["--series", "b.npy", "--drive", "none"], "give one of the two"),
        (["--column", "x"], "--column: goes with --series"),
        (["--steps", "1"], "--steps: 1 is not possible"),
        (["--sequences", "0"], "--sequences: 0 is not possible"),
        (["--fresh", "-1"], "--fresh: -1 is not possible"),
        (["--init", "lecun"], "--init: lecun is not a preset"),
        (["--nonlinearity", "sine"], "--nonlinearity: sine is not known; give tanh or relu"),
        (["--vanish", "2", "--explode", "1"], "give vanish < explode"),
        (["--layer", "rnn"], "--layer: rnn is no recurrent layer of networks_of_mine:lstm"),
        (["networks_of_mine:number"], "let it give a torch.nn.Module"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(words, said, monkeypatch, capsys):
    np.save("a.npy", np.zeros((5, 3)))
    np.save("b.npy", np.zeros((5, 2)))
    np.save("c.npy", np.full((5, 2), np.nan))
    assert said in _refused(monkeypatch, capsys, "networks_of_mine:lstm", *words)


def test_networks_that_read_other_inputs_are_not_set_beside_each_other(tmp_path):
    paths = [saved(tmp_path / f"{m}.pt", nn.GRU(m, 3)) for m in (1, 2)]
    with pytest.raises(UsageError, match=r"2\.pt: reads 2 inputs, and .*1\.pt reads 1"):
        inspected(paths, asked())


def test_inputs_are_those_of_the_file_or_the_drive(tmp_path):
    series = np.arange(40.0).reshape(20, 2)
    np.save(tmp_path / "a.npy", series)
    x, name = inputs_of(tmp_path / "a.npy", 2, 18, 32, 0)
    assert name == "a.npy"
    assert x.shape == (18, 3, 2)  # no more than there are
    for at in range(3):
        np.testing.assert_array_equal(x[:, at], series[at : at + 18])
    np.save(tmp_path / "b.npy", np.stack([series, -series]))
    np.testing.assert_array_equal(inputs_of(tmp_path / "b.npy", 2, 5, 32, 0)[0][:, 1], -series[:5])
    assert inputs_of("white", 3, 5, 4, 0)[0].shape == (5, 4, 3)
    assert not inputs_of("none", 3, 5, 4, 0)[0].any()
    assert inputs_of({"constant": 1.0}, 2, 5, 4, 0)[0].shape == (5, 1, 2)
