# pyright: reportAttributeAccessIssue=false
"""Each layer of each framework draws what its source says, as written down here a second time; others are refused.

Kolmogorov-Smirnov tests at level 1e-9, with fixed seeds: about 300 of them, so that the file raises a false alarm with
a probability below 1e-6.
"""

import numpy as np
import pytest
from drawn import Drawn
from scipy import stats

from rnnmc.cells import cells
from rnnmc.common.errors import UsageError
from rnnmc.initialisers import full_name, layers, presets
from rnnmc.initialisers.flax import roles as by_gate
from rnnmc.study.options import initialisation
from rnnmc.study.point import DesignPoint
from rnnmc.study.study import read_study

N, M = 6, 3
ALPHA = 1e-9


def uniform(limit):
    return stats.uniform(-limit, 2 * limit)


def truncated(scale):
    return stats.truncnorm(-2, 2, scale=scale)


LIKE_TORCH = uniform(N**-0.5)
TWO = stats.triang(0.5, -2 * N**-0.5, 4 * N**-0.5)  # the sum of two such numbers
LECUN = truncated(M**-0.5 / truncated(1).std())
GRU_V3 = {"candidate": uniform((6 / (2 * N)) ** 0.5), "": uniform((6 / (4 * N)) ** 0.5)}
# (layers, recurrent, input, bias, bias of the forget gate): a distribution, a number, "gate" or "stack" for orthogonal;
# a law by gate, "" for the others; None for a bias that is written down in a test of its own
SAID = [
    ("torch.nn: RNN RNNCell LSTM LSTMCell", LIKE_TORCH, LIKE_TORCH, TWO, TWO),
    ("paddle.nn: SimpleRNN SimpleRNNCell LSTM LSTMCell", LIKE_TORCH, LIKE_TORCH, TWO, TWO),
    ("torch.nn: GRU GRUCell", LIKE_TORCH, LIKE_TORCH, (TWO, LIKE_TORCH), None),
    ("paddle.nn: GRU GRUCell", LIKE_TORCH, LIKE_TORCH, (TWO, LIKE_TORCH), None),
    ("keras.layers: SimpleRNN SimpleRNNCell", "stack", uniform((6 / (M + N)) ** 0.5), 0, None),
    ("keras.layers: LSTM LSTMCell", "stack", uniform((6 / (M + 4 * N)) ** 0.5), 0, 1),
    ("keras.layers: GRU GRUCell", "stack", uniform((6 / (M + 3 * N)) ** 0.5), 0, None),
    ("flax.linen: SimpleCell LSTMCell OptimizedLSTMCell GRUCell", "gate", LECUN, 0, 0),
    ("flax.nnx: SimpleCell LSTMCell", "gate", LECUN, 0, 0),
    ("flax.nnx: OptimizedLSTMCell GRUCell", "stack", LECUN, 0, 0),
    ("haiku: LSTM", truncated((M + N) ** -0.5), truncated((M + N) ** -0.5), 0, 1),
    ("haiku: GRU", truncated(N**-0.5 / truncated(1).std()), LECUN, 0, None),
    ("haiku: VanillaRNN", truncated(N**-0.5), truncated(M**-0.5), 0, None),
    ("equinox.nn: LSTMCell GRUCell", LIKE_TORCH, LIKE_TORCH, LIKE_TORCH, LIKE_TORCH),
    ("mlx.nn: RNN LSTM GRU", LIKE_TORCH, LIKE_TORCH, LIKE_TORCH, LIKE_TORCH),
    ("mxnet.gluon.rnn: RNN RNNCell LSTM LSTMCell GRU GRUCell", uniform(0.07), uniform(0.07), 0, 0),
    ("chainer.links: LSTM StatelessLSTM", stats.norm(scale=N**-0.5), stats.norm(scale=M**-0.5), 0, 1),
    (
        "chainer.links: NStepLSTM NStepRNNTanh NStepRNNReLU NStepGRU GRU StatefulGRU StatelessGRU",
        stats.norm(scale=N**-0.5),
        stats.norm(scale=M**-0.5),
        0,
        0,
    ),
    ("speechbrain.nnet.RNN: RNN LSTM", "stack", LIKE_TORCH, TWO, TWO),
    ("speechbrain.nnet.RNN: GRU", "stack", LIKE_TORCH, (TWO, LIKE_TORCH), None),
    ("tinygrad.nn: LSTMCell", LIKE_TORCH, LIKE_TORCH, 0, 0),
    ("tsai.models.RNN: RNN", "stack", stats.norm(scale=(2 / (M + N)) ** 0.5), (None, 0), None),
    ("tsai.models.RNN: LSTM", "stack", stats.norm(scale=(2 / (M + 4 * N)) ** 0.5), 0, 1),
    ("tsai.models.RNN: GRU", "stack", stats.norm(scale=(2 / (M + 3 * N)) ** 0.5), (None, 0), None),
    ("Flux: RNN RNNCell", uniform((6 / (2 * N)) ** 0.5), uniform((6 / (M + N)) ** 0.5), 0, None),
    ("Flux: LSTM LSTMCell", uniform((6 / (5 * N)) ** 0.5), uniform((6 / (M + 4 * N)) ** 0.5), 0, 0),
    ("Flux: GRU GRUCell", uniform((6 / (4 * N)) ** 0.5), uniform((6 / (M + 3 * N)) ** 0.5), 0, None),
    ("Flux: GRUv3 GRUv3Cell", GRU_V3, uniform((6 / (M + 3 * N)) ** 0.5), 0, None),
    ("Lux: RNNCell LSTMCell", LIKE_TORCH, LIKE_TORCH, TWO, TWO),
    ("Lux: GRUCell", uniform((6 / (2 * N)) ** 0.5), uniform((6 / (M + N)) ** 0.5), 0, None),
]
ROWS = {
    f"{module}.{name}": row
    for names, *row in SAID
    for module, _, each in [names.partition(": ")]
    for name in each.split()
}
RESET_BEFORE = {
    "haiku.GRU",
    "Flux.GRUv3",
    "Flux.GRUv3Cell",
    "chainer.links.GRU",
    "chainer.links.StatefulGRU",
    "chainer.links.StatelessGRU",
}
RELU = {"haiku.VanillaRNN", "mxnet.gluon.rnn.RNN", "speechbrain.nnet.RNN.RNN", "chainer.links.NStepRNNReLU"}


def assert_drawn(ours, said):
    """One matrix or vector of each replicate against a distribution or a number."""
    if said is None:
        return
    if isinstance(said, int):
        assert (ours == said).all()
    else:
        assert stats.kstest(np.ravel(ours), said.cdf).pvalue > ALPHA


def of_whole_gates(matrix):
    return np.abs(matrix @ matrix.transpose(0, 2, 1) - np.eye(N)).max()


def assert_says(ours, recurrent, input_, bias, forget):
    """That weights are drawn as a row of SAID has it."""
    gates = ours.point.cell_object.gates
    if recurrent == "stack":
        assert of_whole_gates(ours.stacked) < 1e-13
    for gate in gates:
        if recurrent == "gate":
            assert of_whole_gates(ours.recurrent[gate]) < 1e-13
        elif recurrent != "stack":
            law = recurrent.get(gate, recurrent[""]) if isinstance(recurrent, dict) else recurrent
            assert_drawn(ours.recurrent[gate], law)
        assert_drawn(ours.input[gate], input_)
    of_two, of_one = bias if isinstance(bias, tuple) else (bias, bias)
    for name, vector in ours.bias.items():
        apart = name.startswith("candidate") and ours.point.cell == "gru_reset_after"
        assert_drawn(vector, forget if name == "forget" else of_one if apart else of_two)


def test_every_layer_is_among_those_written_down_here():
    assert set(ROWS) == set(layers())


@pytest.mark.parametrize("name", ROWS)
def test_a_layer_draws_what_its_source_says(name):
    assert_says(Drawn(layers()[name].cells[0], name, N, M), *ROWS[name])


@pytest.mark.parametrize("name", ROWS)
def test_a_layer_is_the_cell_that_its_name_promises_and_serves_no_other(name):
    kind = name.split(".")[-1]
    first = layers()[name].cells[0]
    if "LSTM" in kind:
        assert first == "lstm"
    elif "GRU" in kind:
        assert first == ("gru" if name in RESET_BEFORE else "gru_reset_after")
    else:
        assert first == ("relu" if name in RELU else "tanh")
    assert {cell.name for cell in cells().values() if layers()[name].serves(cell)} == set(layers()[name].cells)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("flax.nnx.GRUCell", "flax"), ("haiku.LSTM", "flax"), ("equinox.nn.LSTMCell", "pytorch"), ("haiku.LSTM", "keras")],
)
def test_a_wrong_preset_is_told_apart(name, wrong):
    with pytest.raises(AssertionError):
        assert_says(Drawn(layers()[name].cells[0], wrong, N, M), *ROWS[name])


def test_tsai_sets_the_second_quarter_of_the_rows_of_a_stack_of_biases_whatever_its_gates_are():
    """Rows of PyTorch's layer, filled as its code fills them, against ours by gate; ours has the other sign of z."""
    for name, gates, signs in (("RNN", ("hidden",), (1,)), ("GRU", ("reset", "update", "candidate"), (1, -1, 1))):
        for n in (4, 6, 7):
            rows = np.zeros(len(gates) * n)
            rows[len(rows) // 4 : len(rows) // 2] = 1
            ours = Drawn(layers()[f"tsai.models.RNN.{name}"].cells[0], f"tsai.models.RNN.{name}", n, M)
            for gate, sign, part in zip(gates, signs, np.split(rows, len(gates)), strict=True):
                assert (np.squeeze(ours.bias[gate]) == sign * part).all(), (name, n, gate)


def test_the_preset_that_flax_nnx_had_before_is_told_apart():
    cell = cells()["lstm"]
    roles = by_gate(cell, N, M)
    with pytest.raises(AssertionError):
        assert_says(Drawn("lstm", roles, N, M), *ROWS["flax.nnx.OptimizedLSTMCell"])


@pytest.mark.parametrize(
    ("name", "old"), [("torch.nn.LSTM", "pytorch"), ("keras.layers.LSTM", "keras"), ("flax.linen.GRUCell", "flax")]
)
def test_a_layer_and_the_preset_of_its_framework_are_the_same_design_point(name, old):
    cell = layers()[name].cells[0]
    assert DesignPoint(cell=name, width=5).key == DesignPoint(cell=cell, width=5, init=old).key


def test_a_layer_says_its_cell_wherever_it_is_named():
    """As the cell, under init, or as the preset beside laws; what is said besides is kept."""
    alone = DesignPoint(cell="haiku.VanillaRNN", width=5)
    under = DesignPoint(init="haiku.VanillaRNN", width=5)
    assert alone == under
    assert alone.cell == "relu"
    assert alone.written()["init"] == "haiku.VanillaRNN"
    beside = DesignPoint(init={"preset": "haiku.LSTM", "bias": {"forget": 3.0}}, width=5)
    assert beside.cell == "lstm"
    assert DesignPoint(**{**beside.written(), "nested": beside.nested}).key == beside.key
    other = DesignPoint(cell="torch.nn.RNN", width=5, init={"recurrent": {"orthogonal": 1.0}})
    assert (other.cell, other.init.preset) == ("tanh", None)
    option = DesignPoint(cell="relu", width=5, init="torch.nn.RNN")
    assert option.cell == "relu"


def test_a_study_takes_a_list_of_layers_with_no_cell():
    entry = {"width": 4, "init": ["torch.nn.GRU", "haiku.GRU", {"preset": "flax.nnx.SimpleCell"}], "replicates": 3}
    study = read_study({"study": "x", "points": [entry]}, "x.yaml")
    assert [planned.point.cell for planned in study.points] == ["gru_reset_after", "gru", "tanh"]
    again = read_study(study.written(), "x.yaml")
    assert [planned.point.key for planned in again.points] == [planned.point.key for planned in study.points]


def test_options_beside_a_layer_change_its_own_initialisation():
    assert initialisation(None, None, None, [], "lstm") == "pytorch"
    said = initialisation(None, None, None, ["forget=0"], "keras.layers.LSTM")
    assert said == {"preset": "keras.layers.LSTM", "bias": {"forget": 0.0}}


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            {"cell": "tanh", "init": "haiku.VanillaRNN"},
            "init: haiku.VanillaRNN has no law for tanh; it is relu: give cell: relu, or leave cell out",
        ),
        (
            {"cell": "lstm", "init": "keras.layers.GRU"},
            "init: keras.layers.GRU has no law for lstm; it is gru_reset_after or gru: give cell: gru_reset_after",
        ),
        (
            {"cell": "lstm", "init": "flax.nn.OptimizedLSTM"},
            "init: flax.nn.OptimizedLSTM is not a preset; did you mean flax.nnx.OptimizedLSTMCell or ",
        ),
        ({"cell": "torch.nn.LSTMM"}, "cell: torch.nn.LSTMM is neither a cell nor a layer; did you mean torch.nn.LSTM "),
        ({"init": "nnx.GRUCell"}, "init: nnx.GRUCell is not a preset; did you mean flax.nnx.GRUCell?"),
        ({"init": "pytorch"}, "cell: nothing is given; this key is needed"),
        ({"cell": "gru", "init": "nnx.GRUCell"}, "init: nnx.GRUCell is not a preset; did you mean flax.nnx.GRUCell?"),
        (
            {"cell": "tanh", "init": "lecun"},
            "there are flax, keras, published, pytorch, and layers such as",
        ),
    ],
)
def test_what_is_no_layer_or_another_cell_s_is_refused_with_the_right_one(said, sentence):
    with pytest.raises(UsageError) as caught:
        DesignPoint(width=4, **said)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_list_of_layers_stands_by_framework(monkeypatch):
    """Every layer once, below the name of its framework, with its cell and what it draws."""
    from rnnmc.cli import lists

    told = {}
    monkeypatch.setattr(lists, "listed", lambda as_json, kinds: told.update(kinds))
    lists.initialisers()
    assert told["preset"].keys() == presets().keys() - layers().keys()
    assert told["layer of haiku"]["haiku.VanillaRNN"]["cell"] == "relu"
    listed = [name for title, one in told.items() if title.startswith("layer of") for name in one]
    assert sorted(listed) == sorted(layers())


SHORT = {
    "torch": ["RNN", "LSTM", "GRU"],
    "keras": ["SimpleRNN", "LSTM", "GRU"],
    "equinox": ["LSTMCell", "GRUCell"],
    "mlx": ["LSTM", "GRU", "RNN"],
    "paddle": ["LSTM", "GRU", "SimpleRNN"],
    "gluon": ["LSTM", "GRU", "RNN"],
    "chainer": ["LSTM", "NStepLSTM", "StatefulGRU"],
    "speechbrain": ["LSTM", "GRU", "RNN"],
    "tinygrad": ["LSTMCell"],
}


@pytest.mark.parametrize("name", [f"{framework}.{layer}" for framework, own in SHORT.items() for layer in own])
def test_a_layer_is_found_by_its_framework_and_its_own_name_alone(name):
    framework, layer = name.split(".")
    whole = full_name(name)
    assert whole in layers()
    assert framework in whole.split(".")
    assert whole.endswith(f".{layer}")
    short = DesignPoint(cell=name, width=4)
    assert short.key == DesignPoint(cell=whole, width=4).key == DesignPoint(init=name, width=4).key


@pytest.mark.parametrize("name", ["flax.LSTMCell", "torch", "torch.Linear", "numpy.RNN", "torch.nn.LSTM", "nn.LSTM"])
def test_a_name_that_means_several_layers_or_none_stays_as_it_is(name):
    assert full_name(name) == name
