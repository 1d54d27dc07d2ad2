"""Checkpoints of each format, read; what is none is refused in a sentence, and nothing of a file is executed.

The files in data/ were written by Keras 3.15 and by torch.onnx of PyTorch 2.13, with what their models gave.
"""

import io
import json
import math
import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnmc.common.errors import UsageError
from rnnmc.networks.chains import readings
from rnnmc.networks.network import Network
from rnnmc.networks.opening import opened

DATA = Path(__file__).parent / "data"


def output(network: Network, x: np.ndarray) -> np.ndarray:
    """(T, R, n of all directions) of the top level."""
    top = [one for one in readings(network, x) if one.layer in network.levels[-1]]
    return np.concatenate([one.states[0][1:][:: -1 if one.layer.reverse else 1] for one in top], axis=2)


def inputs(dimension: int, steps: int = 15) -> np.ndarray:
    return np.random.default_rng(2).standard_normal((steps, 2, dimension))


@pytest.mark.process  # h5py asks uname for the processor when it is imported
@pytest.mark.parametrize("name", ["both-directions.keras", "reset-before.keras", "stack.onnx"])
def test_a_file_of_another_framework_gives_what_its_own_model_gave(name):
    pytest.importorskip("onnx" if name.endswith("onnx") else "h5py")
    with np.load(DATA / f"{name}.npz") as known:
        x, y = known["x"].astype(float), known["y"]
    np.testing.assert_allclose(output(opened(str(DATA / name)), x), y, rtol=0, atol=1e-6)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.ModuleDict({"rnn": torch.nn.GRU(2, 4, num_layers=2)})
        self.head = torch.nn.Linear(4, 1)


def saved(path: Path, wrapped: bool) -> torch.nn.Module:
    torch.manual_seed(4)
    model = Model()
    state = {"epoch": 3, "model": model.state_dict(), "optimizer": {"state": {0: {"step": 1.0}}}}
    torch.save(state if wrapped else model.state_dict(), path)
    return model.encoder["rnn"].double()


@pytest.mark.parametrize("form", ["state_dict", "wrapped", "safetensors"])
def test_the_recurrent_layer_of_a_larger_model_is_found_in_its_checkpoint(form, tmp_path):
    path = tmp_path / "model.pt"
    rnn = saved(path, form == "wrapped")
    if form == "safetensors":
        save_file = pytest.importorskip("safetensors.torch").save_file
        path = tmp_path / "model.safetensors"
        save_file({f"encoder.rnn.{name}": one.detach() for name, one in rnn.named_parameters()}, path)
    network, x = opened(str(path)), inputs(2)
    assert network.name == ("model.encoder.rnn" if form == "wrapped" else "encoder.rnn")
    theirs = rnn(torch.from_numpy(x))[0].detach().numpy()
    np.testing.assert_allclose(output(network, x), theirs, rtol=0, atol=1e-13)


def test_an_update_gate_that_is_not_turned_round_is_another_network():
    """The planted mistake: PyTorch's z taken for ours."""
    torch.manual_seed(0)
    gru, x = torch.nn.GRU(2, 4).double(), inputs(2)
    rows = {name: one.detach().clone() for name, one in gru.named_parameters()}
    for one in rows.values():
        one[4:8] *= -1
    turned = torch.nn.GRU(2, 4).double()
    turned.load_state_dict(rows)
    from rnnmc.networks.torch_module import read_module

    ours, theirs = output(read_module(gru), x), turned(torch.from_numpy(x))[0].detach().numpy()
    assert np.abs(ours - theirs).max() > 0.01


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("operator", ["LSTM", "GRU", "RNN"])
def test_an_operator_of_onnx_is_what_the_standards_own_evaluator_says(operator, after, tmp_path):
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    rng, n, m, gates = np.random.default_rng(1), 3, 2, {"LSTM": 4, "GRU": 3, "RNN": 1}[operator]
    weights = {
        "W": rng.standard_normal((1, gates * n, m)),
        "R": rng.standard_normal((1, gates * n, n)),
        "B": rng.standard_normal((1, 2 * gates * n)),
    }
    more = {"linear_before_reset": int(after)} if operator == "GRU" else {}
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    node = helper.make_node(operator, ["x", "W", "R", "B"], ["y", "h"], name="layer", hidden_size=n, **more)
    constants = [onnx.numpy_helper.from_array(one.astype(np.float32), name) for name, one in weights.items()]
    graph = helper.make_graph(
        [node], "graph", [helper.make_tensor_value_info("x", kind, [None, 2, m])],
        [helper.make_tensor_value_info("y", kind, None)], constants,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "a.onnx")
    x = inputs(m).astype(np.float32)
    y = ReferenceEvaluator(model).run(["y"], {"x": x})[0]
    np.testing.assert_allclose(output(opened(str(tmp_path / "a.onnx")), x.astype(float)), y[:, 0], rtol=0, atol=1e-5)


class Harmless:
    """What would be run where a pickle is executed."""

    def __reduce__(self):
        return (Path(MARK).write_text, ("executed",))


MARK = ""


def test_a_pickle_that_brings_code_is_refused_and_not_executed(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.MARK", str(tmp_path / "mark"))
    for name, content in (("plain.pt", pickle.dumps(Harmless())), ("zip.pt", None)):
        path = tmp_path / name
        if content is None:
            torch.save({"weight_hh_l0": Harmless()}, path)
        else:
            path.write_bytes(content)
        with pytest.raises(UsageError, match=r"is no plain state_dict .* and is not opened"):
            opened(str(path))
    torch.save(torch.nn.LSTM(1, 2), tmp_path / "whole.pt")
    with pytest.raises(UsageError, match=r"give what torch.save\(model.state_dict\(\), path\) writes"):
        opened(str(tmp_path / "whole.pt"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch advises against TorchScript
        torch.jit.script(torch.nn.GRU(1, 2)).save(str(tmp_path / "script.pt"))
    with pytest.raises(UsageError, match="is no plain state_dict"):
        opened(str(tmp_path / "script.pt"))
    assert not (tmp_path / "mark").exists()
    pickle.loads(pickle.dumps(Harmless()))  # it would have been seen
    assert (tmp_path / "mark").read_text() == "executed"


def written(path: Path, **arrays: np.ndarray) -> str:
    torch.save({name.replace("__", "."): torch.from_numpy(one) for name, one in arrays.items()}, path)
    return str(path)


def test_what_fits_no_layer_is_refused_with_what_would_be_right(tmp_path):
    a = np.zeros
    bad = {
        "no layer at all": ({"out__weight": a((1, 4))}, "has no recurrent layer of PyTorch"),
        "another count of rows": ({"weight_ih_l0": a((10, 1)), "weight_hh_l0": a((10, 5))}, "fit no layer"),
        "not square": ({"weight_ih_l0": a((9, 1)), "weight_hh_l0": a((9, 4))}, "weight_hh has 4n, 3n or n rows"),
        "biases too long": (
            {"weight_ih_l0": a((4, 1)), "weight_hh_l0": a((4, 4)), "bias_ih_l0": a(5)}, "both biases have as many"),
        "one bias of two": (
            {"weight_ih_l0": a((4, 1)), "weight_hh_l0": a((4, 4)), "bias_hh_l0": a(4)},
            "layer l0 has bias_hh and no bias_ih; a layer of PyTorch has both or none"),
        "half of a layer": ({"weight_hh_l0": a((4, 4))}, "it needs weight_ih and weight_hh"),
        "a layer is missing": (
            {f"weight_{kind}_l{at}": a((4, 4)) for at in (0, 2) for kind in ("ih", "hh")}, "has no whole layer 1"),
        "layers that do not fit": (
            {f"weight_{kind}_l{at}": a((4, 4 - at * (kind == "ih"))) for at in (0, 1) for kind in ("ih", "hh")},
            "layer l1 reads 3 inputs, and the layer below has 4"),
    }  # fmt: skip
    for name, (arrays, said) in bad.items():
        with pytest.raises(UsageError) as error:
            opened(written(tmp_path / "a.pt", **arrays))
        assert said in str(error.value), name
        assert "\n" not in str(error.value)


def test_several_layers_are_listed_and_one_is_chosen_by_its_name(tmp_path):
    arrays = {
        f"{name}__{kind}_l0": np.zeros((4, 4)) for name in ("a__rnn", "b__rnn") for kind in ("weight_ih", "weight_hh")
    }
    path = written(tmp_path / "a.pt", **arrays)
    with pytest.raises(UsageError, match=r"has 2 recurrent layers; give --layer, one of a\.rnn, b\.rnn"):
        opened(path)
    with pytest.raises(UsageError, match=r"--layer: rnn stands for several layers .* a\.rnn, b\.rnn"):
        opened(path, "rnn")
    with pytest.raises(UsageError, match=r"--layer: b\.rn is no recurrent layer .* did you mean b\.rnn"):
        opened(path, "b.rn")
    assert opened(path, "b.rnn").name == "b.rnn"


def test_a_file_of_another_kind_is_refused(tmp_path):
    wrong = {
        "a.csv": (b"x\n1\n", "is no file that is known here; give a state_dict"),
        "a.pt": (b"x\n1\n", "is no plain state_dict"),
        "b.pt": (b"\x80\x02 broken", "is no plain state_dict"),
        "a.zip": (_zip({"a.txt": b"a"}), "is no file that is known here"),
    }
    for name, (content, said) in wrong.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError) as error:
            opened(str(tmp_path / name))
        assert said in str(error.value)
    for what, said in ((tmp_path / "nowhere.pt", "is not there"), (tmp_path, "is a folder")):
        with pytest.raises(UsageError, match=said):
            opened(str(what))


@pytest.mark.process  # as above
def test_keras_files_without_a_recurrent_layer_and_broken_ones_are_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file["layers/dense/vars/0"] = np.zeros((2, 2))
    (tmp_path / "a.weights.h5").write_bytes(content.getvalue())
    config = {"class_name": "Sequential", "config": {"layers": []}}
    files = {"config.json": json.dumps(config).encode(), "model.weights.h5": content.getvalue()}
    (tmp_path / "a.keras").write_bytes(_zip(files))
    for name in ("a.weights.h5", "a.keras"):
        with pytest.raises(UsageError, match="has no LSTM, GRU or SimpleRNN of Keras 3"):
            opened(str(tmp_path / name))
    for name, some in (("b.keras", {"config.json": b"{}"}), ("c.keras", files | {"model.weights.h5": b"short"})):
        (tmp_path / name).write_bytes(_zip(some))
        with pytest.raises(UsageError, match="is no whole file of Keras 3"):
            opened(str(tmp_path / name))


def test_broken_onnx_and_safetensors_files_are_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("safetensors")
    (tmp_path / "a.onnx").write_bytes(b"\x08\x07nothing")
    (tmp_path / "a.safetensors").write_bytes((4).to_bytes(8, "little") + b"{xxx")
    graph = onnx.helper.make_graph([], "empty", [], [])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "b.onnx")
    for name, said in (
        ("a.onnx", "is no ONNX file"),
        ("b.onnx", "has no operator LSTM, GRU or RNN"),
        ("a.safetensors", "is no whole safetensors file"),
    ):
        with pytest.raises(UsageError, match=said):
            opened(str(tmp_path / name))


def _zip(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, one in files.items():
            file.writestr(name, one)
    return content.getvalue()


def test_a_package_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    (tmp_path / "a.onnx").write_bytes(b"\x08\x07")
    with pytest.raises(UsageError, match=r"needs the package onnx; run pip install 'rnnmc\[inspect\]'"):
        opened(str(tmp_path / "a.onnx"))


def test_relu_is_taken_where_the_user_says_so(tmp_path):
    path = written(tmp_path / "a.pt", weight_ih_l0=np.ones((2, 1)), weight_hh_l0=np.eye(2))
    assert opened(path).layers[0].cell.name == "tanh"
    assert "does not say the nonlinearity" in opened(path).notes[0]
    network = opened(path, nonlinearity="relu")
    assert network.layers[0].cell.name == "relu"
    assert not network.notes
    assert math.isclose(output(network, np.ones((5, 1, 1)))[-1, 0, 0], 5.0)
