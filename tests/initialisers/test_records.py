"""Real layers were measured to do what the presets of their names do; torch's own are measured here anew."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from rnnmc.engine.block import run_block
from rnnmc.initialisers import layers
from rnnmc.study.point import DesignPoint

ROOT = Path(__file__).resolve().parents[2]
RECORDS = [
    json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "frameworks/records").glob("*.json"))
]
MEASURED = {one["label"]: one for record in RECORDS for one in record["layers"]}
REQUIRED = (ROOT / "frameworks/requirements/wrappers.txt").read_text(encoding="utf-8")
SIGMAS = 5.2  # a false alarm with a probability of 2e-7 each, where a mean of twenty draws is normal
AGAIN = ("torch.nn.RNN", "flax.nnx.GRUCell", "haiku.VanillaRNN")  # cheap ones


def beside(name):
    """What was found of what is no framework's own layer."""
    return json.loads((ROOT / f"frameworks/beside/{name}.json").read_text(encoding="utf-8"))


def rates(init, cell, width=64, last=100, replicates=60):
    """Growth rates between 10 steps and `last`, nats a step."""
    point = DesignPoint(cell=cell, width=width, init=init, horizons=[10, last], seed=11)
    norms = np.array(run_block(point, 0, replicates)["log_spectral"]).reshape(-1, 2)
    return (norms[:, 1] - norms[:, 0]) / (last - 10)


def apart(one, other):
    """How far two (mean, standard error) are apart, in combined standard errors."""
    return abs(one[0] - other[0]) / np.hypot(one[1], other[1])


def mean_of(values):
    """Mean and standard error, of chains that are not dead."""
    alive = values[np.isfinite(values)]
    return alive.mean(), alive.std(ddof=1) / len(alive) ** 0.5


def test_every_kind_of_layer_that_has_a_preset_was_measured_but_where_the_page_says_so():
    """Cells and stateless links draw as the layer beside them does."""
    page = (ROOT / "docs/frameworks.md").read_text(encoding="utf-8")
    untold = page.partition("Not measured in full:")[2].partition("\n\n")[0]
    named = {one["name"] for one in MEASURED.values()}
    for name in set(layers()) - named:
        beside = name.endswith("Cell") and name.split(".")[0] != "tinygrad"
        assert beside or ".Stateless" in name or name == "chainer.links.GRU" or f"`{name}`" in untold, name


@pytest.mark.parametrize("label", MEASURED)
def test_a_real_layer_draws_steps_and_grows_as_its_preset(label):
    for m, at in MEASURED[label]["at"].items():
        assert abs(at["apart"]) < SIGMAS, m
        assert at["step_error"] < (1e-4 if MEASURED[label]["dtype"] == "float32" else 1e-10), m
        assert min(at["same_law"].values()) > 1e-6, m
        for which in ("gate_from_orthogonal", "stack_from_orthogonal"):
            assert (at["real"][which] < 1e-3) == (at["ours"][which] < 1e-3), (m, which)


def test_layers_that_others_wrap_are_drawn_as_torch_draws_them_or_have_a_rate_of_their_own():
    wraps = beside("wrappers")
    assert not wraps["failed"]
    for one in wraps["wraps"]:
        told = one["rate"] is not None or one["as_torch"] > 1e-6
        assert told, one
        assert f"{one['library']}=={one['version']}" in REQUIRED or f"{one['library']}[torch]==" in REQUIRED


def test_runners_take_the_steps_of_the_layer_and_grow_as_it_does():
    """OpenVINO only when told to compute in float32; a ReLU network has a kink that central differences see."""
    for one in beside("runners")["rows"]:
        exact = one["runner"] != "openvino"
        assert one["state_apart"] < (1e-6 if exact else 1e-2)
        assert one["rate_apart"] < (1e-5 if exact and "relu" not in one["layer"] else 0.1)


def test_the_page_is_what_the_records_say(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "frameworks"))
    page = importlib.import_module("page")
    assert page.page() == (ROOT / "docs/frameworks.md").read_text(encoding="utf-8")
    sys.modules.pop("page")


@pytest.mark.slow
@pytest.mark.parametrize("name", AGAIN)
def test_a_preset_grows_as_the_real_layer_did(name):
    found = mean_of(rates(name, layers()[name].cells[0]))
    assert apart(found, MEASURED[name]["at"]["1"]["real_rate"]) < SIGMAS


@pytest.mark.slow
def test_the_preset_that_flax_nnx_had_before_does_not_grow_as_the_real_layer():
    found = mean_of(rates("flax", "gru_reset_after", replicates=20))
    assert apart(found, MEASURED["flax.nnx.GRUCell"]["at"]["1"]["real_rate"]) > 10


@pytest.mark.slow
@pytest.mark.parametrize("number", range(4))
def test_a_layer_of_torch_steps_and_grows_as_its_preset(number, monkeypatch):
    """By torch's own backward pass, at a smaller width."""
    monkeypatch.syspath_prepend(str(ROOT / "frameworks"))
    modules = ("layers", "compare", "of_torch")
    layers_, compare, of_torch = (importlib.import_module(name) for name in modules)
    monkeypatch.setattr(compare, "WIDTH", 12)
    layer = of_torch.layers(12)[number]
    raw = {f"x/{name}": array for name, array in layers_.measured(layer, 1, draws=20, width=12).items()}
    cell = layer.cell or layers()[layer.name].cells[0]
    assert compare.step_error(raw, "x", compare.cells()[cell], list(layer.gates)) < 1e-12
    theirs = (raw["x/norms"][:, -1] - raw["x/norms"][:, 1]) / 90
    assert apart(mean_of(theirs), mean_of(rates(layer.name, cell, width=12))) < SIGMAS
    if len(layer.gates) > 1:  # two gates exchanged are told apart
        swapped = [layer.gates[1], layer.gates[0], *layer.gates[2:]]
        assert compare.step_error(raw, "x", compare.cells()[cell], swapped) > 1e-3
    for name in modules:
        sys.modules.pop(name, None)
