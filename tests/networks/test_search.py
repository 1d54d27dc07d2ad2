"""A search finds what is known to be the longest gradient, among what laws can draw, and leaves just that."""

from __future__ import annotations

import json
import math

import numpy as np
import polars as pl
import pytest
import torch
from rich.console import Console

from rnnmc import cli
from rnnmc.cells import cells
from rnnmc.cells.lstm import LSTM
from rnnmc.common.errors import UsageError
from rnnmc.initialisers import laws
from rnnmc.networks.chains import chain_norms
from rnnmc.networks.fresh import fresh_networks
from rnnmc.networks.opening import opened
from rnnmc.networks.search import _Ascent, ascended, searched_over  # pyright: ignore[reportPrivateUsage]
from rnnmc.networks.state_dict import in_torch_names, of_arrays
from rnnmc.networks.support import support_of
from rnnmc.networks.torch_module import read_module
from rnnmc.report.search import search_tables
from rnnmc.run.inspection import Asked, inspected
from rnnmc.run.search import Wanted, searched
from rnnmc.study.options import parsed
from rnnmc.study.point import DesignPoint
from rnnmc.study.study import Thresholds


def point(cell: str = "lstm", **said) -> DesignPoint:
    values = {"init": "pytorch", "width": 3, "horizons": (20,), "dtype": "float64"}
    return DesignPoint(cell=cell, **values | said)


def test_the_longest_gradient_of_one_linear_unit_is_that_of_the_end_of_its_cube():
    end = {"recurrent": {"uniform": {"limit": 1.5}}, "input": {"uniform": 1.0}}
    grown = ascended(point("linear", width=1, init=end), True, 6, 60, False, 1)
    assert grown.log_norm.max() == pytest.approx(20 * math.log(1.5), rel=1e-9)
    shrunk = ascended(point("linear", width=1, init=end), False, 6, 60, False, 1)
    assert shrunk.log_norm.min() < 20 * math.log(1e-2)  # towards zero, which no step meets exactly


@pytest.mark.slow
def test_an_lstm_at_rest_with_all_weights_at_the_ends_of_their_cubes_is_found():
    """At rest dc' = f dc + i o U dh and dh' = o dc', with gates sg(1) and U = 1/2 everywhere."""
    ends = ascended(point(width=4, drive="none", horizons=(12,)), True, 8, 120, False, 1)
    gate = 1 / (1 + math.exp(-1))
    step = np.array([[gate * gate * 2, gate * gate], [gate * 2, gate]])  # (dh, dc) -> (dh', dc'), U 1 = 2
    known = math.log(np.linalg.norm(np.linalg.matrix_power(step, 12), 2))
    assert ends.log_norm.max() == pytest.approx(known, abs=0.01)
    assert ends.log_norm.max() <= known + 1e-9


@pytest.mark.slow
def test_the_derivative_of_the_ascent_is_that_of_differences():
    for cell, said in {
        "lstm": {},
        "gru_reset_after": {},
        "lstm_diagonal": {"init": {"recurrent": {"uniform": 1.0}}},
    }.items():
        bounded = said | ({"init": said["init"] | {"input": {"uniform": 1.0}}} if said else {})
        one = _Ascent(point(cell, state_std=0.3, horizons=(6,), **bounded), 2, False, True, [3])
        value = one.log_norm()
        for tensor, _ in one.searched:
            (slope,) = torch.autograd.grad(value.sum(), [tensor], retain_graph=True)
            direction = torch.from_numpy(np.random.default_rng(1).standard_normal(tensor.shape))
            ends = []
            for sign in (1, -1):
                tensor.data += sign * 1e-6 * direction
                ends.append(float(one.log_norm().detach().sum()))
                tensor.data -= sign * 1e-6 * direction
            assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(float((slope * direction).sum()), rel=1e-5, abs=1e-7)


@pytest.mark.slow
def test_every_network_that_is_found_is_one_that_its_laws_can_draw():
    init = {
        "recurrent": {"orthogonal": 0.8, "forget": {"truncated_gaussian": 1.0}},
        "input": {"gaussian": 1.0, "clip": 0.7},
        "bias": {"uniform": {"limit": 0.2}, "forget": 1.0},
    }
    ends = ascended(point(init=init, drive={"white": 2}, state_std=0.5), True, 3, 25, False, 2)
    u = ends.layer.recurrent
    for name in ("input", "output", "candidate"):
        np.testing.assert_allclose(u[name] @ u[name].swapaxes(1, 2), np.tile(0.64 * np.eye(3), (3, 1, 1)), atol=1e-12)
    assert np.abs(u["forget"]).max() <= 2 / 0.8796 / math.sqrt(3)
    assert max(np.abs(one).max() for one in ends.layer.inputs.values()) == 0.7
    assert np.all(ends.layer.bias["forget"] == 1)
    assert max(np.abs(ends.layer.bias[name]).max() for name in ("input", "output", "candidate")) <= 0.2
    length = np.sqrt((ends.x**2).sum((0, 2)))
    assert np.all((length > math.sqrt(24.4) - 1e-6) & (length < math.sqrt(59.4)))  # 2.5 and 97.5 % of chi^2 of 40
    assert np.all(ends.log_norm >= ends.drawn)
    norms = chain_norms(ends.layer, ends.x, [20], ends.state)["log_spectral"][:, 0]
    np.testing.assert_allclose(norms, ends.log_norm)


@pytest.mark.parametrize("name", sorted(laws()))
def test_the_support_of_a_law_holds_what_it_draws_and_reaches_no_further(name):
    law = laws()[name].read(parsed(str(laws()[name].example)), "x")
    support = support_of(law, 4)
    drawn = torch.from_numpy(np.asarray(law.draw(np.random.default_rng(4), (3000, 4, 4), (1,)), np.float64))
    if support is None:
        assert name not in ("uniform", "orthogonal", "constant", "truncated_gaussian")
        clipped = support_of(law.model_copy(update={"clip": 0.01}), 4)
        assert clipped is None or float(clipped.back(drawn).abs().max()) <= 0.01
        return
    torch.testing.assert_close(support.back(drawn), drawn, atol=1e-12, rtol=0)
    if support.size and name != "orthogonal":
        assert drawn.abs().max() > 0.98 * support.size


@pytest.mark.parametrize("layer", ["LSTM", "GRU", "RNN"])
def test_a_layer_in_the_names_of_pytorch_reads_back_to_itself(layer):
    network = read_module(getattr(torch.nn, layer)(2, 3))
    (drawn,) = next(iter(fresh_networks(network, "pytorch", 1, 5))).layers
    arrays = in_torch_names(drawn)
    (again,) = of_arrays(arrays, "x").layers
    for role in ("recurrent", "inputs", "bias"):
        for name, one in getattr(drawn, role).items():
            np.testing.assert_allclose(getattr(again, role)[name], one, rtol=1e-15)
    torch.nn.Module.load_state_dict(
        getattr(torch.nn, layer)(2, 3).double(), {name: torch.from_numpy(one) for name, one in arrays.items()}
    )


@pytest.mark.parametrize("name", sorted(cells()))
def test_the_network_that_is_left_of_every_cell_has_the_norm_that_the_ascent_saw(name):
    """Each weight, peephole and inner bias where the chain of given networks looks for it."""
    cell = cells()[name]
    roles = {"recurrent": cell.recurrent, "input": cell.gates, "bias": cell.gates, "vector": cell.vectors}
    said = {role: {"uniform": {"limit": 0.4}} for role, names in roles.items() if names}
    try:
        ascent = _Ascent(point(name, init=said, state_std=0.3, horizons=(7,)), 2, False, False, [3])
    except UsageError as error:
        pytest.skip(str(error))  # its weights are no numbers that a uniform law draws
    seen = ascent.log_norm().detach()
    assert ascent._ends(seen).log_norm == pytest.approx(seen.numpy(), abs=1e-9)


@pytest.mark.slow
def test_what_is_left_is_what_was_found_as_inspect_reads_it(tmp_path):
    wanted = Wanted(point(horizons=(30,)), True, 1e-9, starts=4, rounds=10)
    found = searched(wanted)
    assert found.verdict().startswith("reached, at this network: log-norm")
    words = found.write(tmp_path)
    assert words == f"rnnmc inspect {tmp_path / 'network.pt'} --series {tmp_path / 'drive.npy'} --steps 30"
    asked = Asked(tmp_path / "drive.npy", Thresholds(), steps=30, fresh=0)
    row = inspected([str(tmp_path / "network.pt")], asked).layers.row(0, named=True)
    assert row["log_norm"] == pytest.approx(float(found.best.log_norm[0]), abs=1e-9)
    (layer,) = opened(str(tmp_path / "network.pt")).layers
    assert isinstance(layer.cell, LSTM)
    assert max(np.abs(one).max() for one in layer.recurrent.values()) <= 3**-0.5
    said = json.loads((tmp_path / "search.json").read_text())
    assert said["searched"]["drive"] == "sequences of typical length"
    joint = pl.read_parquet(tmp_path / "paths.parquet").filter(pl.col("path") == "joint")
    assert joint["log_norm"][-1] == pytest.approx(row["log_norm"])
    candidate = found.gates.row(by_predicate=pl.col("gate") == "candidate", named=True)
    assert candidate["opening"] is None
    assert candidate["without_recurrent"] < row["log_norm"]


def test_what_no_search_reaches_is_not_called_improbable():
    said = searched(Wanted(point("tanh", horizons=(10,)), True, 1e30, starts=2, rounds=3)).verdict()
    assert said.startswith("not reached by search: log-norm")
    assert "p <" not in said
    assert said.endswith("says nothing of a probability")


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"init": {"recurrent": {"gaussian": 1.0}}}, "init.recurrent: gaussian 1 of forget has no bound"),
        ({"weights": "untied"}, "is no single layer with weights of its own and an input"),
        ({"layers": 2}, "is no single layer"),
        ({"init": {"recurrent": 0.5, "input": 1.0}, "drive": "none"}, "nothing is left to search"),
    ],
)
def test_what_cannot_be_searched_is_refused(said, sentence):
    with pytest.raises(UsageError, match=sentence):
        searched_over(point(**said), False)
    with pytest.raises(UsageError, match="--starts: 0 is not possible"):
        Wanted(point(), True, 1.0, starts=0).check()


def test_a_row_of_the_table_is_one_of_the_ascents():
    starts = pl.DataFrame({"start": [2, 0, 1], "drawn": [-9.0, -1.0, -5.0], "found": [4.0, 3.0, -6.0]})
    gates, paths = pl.DataFrame({"gate": ["hidden"]}), pl.DataFrame({"path": ["joint"], "step": [1], "log_norm": [0.0]})
    console = Console(width=80)
    with console.capture() as said:
        console.print(next(search_tables(starts, gates, paths)))
    rows = [line.split() for line in said.get().splitlines()]
    assert [row[1:] for row in rows if row and row[0] in ("first", "half", "last")] == [
        ["-9", "4"],
        ["-1", "3"],
        ["-5", "-6"],
    ]


def test_what_is_no_earlier_search_is_not_written_over(tmp_path, monkeypatch, capsys):
    (tmp_path / "study.yaml").write_text("mine")
    monkeypatch.setattr("sys.argv", ["rnnmc", "search", "tanh", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert "is there already and is no earlier search; give a new folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]
