"""Layers as a factor of a study: keys, labels, refusals, and the laws that each layer's weights have."""

import numpy as np
import polars as pl
import pytest
import torch
from studies import HEAD

from rnnmc.cells.stacked import bias_of_layer, into_layer, of_layer
from rnnmc.claims.claim import Evidence
from rnnmc.common.errors import UsageError
from rnnmc.engine.draws import Draws
from rnnmc.numerics.layout import Rows
from rnnmc.report.text import study_points, with_series
from rnnmc.statistics.analyses.analysis import spectral_rows
from rnnmc.study.point import DesignPoint
from rnnmc.theory import predictions

BASE = {"cell": "lstm", "width": 3, "horizons": [1, 10]}


def test_one_layer_has_the_key_of_none_said_and_each_number_one_of_its_own():
    keys = [DesignPoint(**BASE, **said).key for said in ({}, {"layers": 1}, {"layers": 1, "residual": False})]
    assert set(keys) == {"d9c69613e3eb"}
    more = [{"layers": 2}, {"layers": 3}, {"layers": 3, "residual": True}]
    assert len({keys[0], *(DesignPoint(**BASE, **said).key for said in more)}) == 4


def test_lists_of_layers_are_levels_of_a_factor_and_read_back(load):
    text = (
        "points:\n  - {cell: lstm, width: 3, layers: [1, 2, 4]}\n  - {cell: lstm, width: 3, layers: 4, residual: true}"
    )
    study = load(text)
    assert [(one.point.layers, one.point.residual) for one in study.points] == [
        (1, False),
        (2, False),
        (4, False),
        (4, True),
    ]
    said = [one.point.label.partition(" pytorch")[0] for one in study.points]
    assert said == ["lstm n=3", "lstm x 2 n=3", "lstm x 4 n=3", "lstm x 4 residual n=3"]
    assert [one.row()["layers"] for one in study.points] == [1, 2, 4, 4]
    again = [DesignPoint(**one.point.written()).key for one in study.points]
    assert again == [one.point.key for one in study.points]


LAYERED = "points:\n  - {cell: lstm, width: 3, layers: [1, 3]}\n  - {cell: lstm, width: 3, layers: 3, residual: true}"


def test_tables_and_labels_tell_layers_apart(load):
    points = pl.DataFrame([one.row() for one in load(LAYERED).points])
    assert with_series(study_points(points))["series"].to_list() == [
        "layers 1; plain",
        "layers 3; plain",
        "layers 3; residual",
    ]
    norms = [{"point": key, "measure": "log_spectral", "horizon": 10} for key in points["point"]]
    told = spectral_rows(points, pl.DataFrame(norms))["cell"].to_list()
    assert told == ["lstm", "lstm x 3", "lstm x 3 residual"]


def test_claims_speak_of_one_layer(load):
    points = pl.DataFrame([one.row() for one in load(LAYERED).points])
    assert [one.key for one in Evidence(points, {}).seen] == points["point"].to_list()[:1]


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("cell: lstm, width: 3, layers: 0", "layers: 0 is not a possible layers; give a number of at least 1"),
        (
            "cell: lru, width: 3, init: published, layers: 2",
            "layers: 2 needs recurrent weights that are matrices, and ",
        ),
        ("cell: lstm, width: 3, layers: 2, residual: true", "residual: true changes nothing below three layers"),
        ("cell: lstm, width: 3, layers: 2, observables: paths", "observables: paths is about the memory of one layer"),
        ("cell: tanh, width: 3, layers: 2, observables: terms", "observables: terms is about the memory of one layer"),
        (
            "cell: lstm, width: 3, layers: 2, init: {preset: pytorch, bias: {forget of layer 2: 1}}",
            "init.bias.forget of layer 2: forget of layer 2 is not a bias gate of lstm; there are",
        ),
    ],
)
def test_what_layers_cannot_be_is_refused(refused, entry, sentence):
    assert sentence in refused(f"points: [{{{entry}}}]", HEAD)


def drawn(**said):
    """name -> (R, rows, n) of every matrix and bias of a point."""
    point = DesignPoint(**({"cell": "lstm", "width": 6, "layers": 3, "horizons": [1], "dtype": "float64"} | said))
    draws = Draws(point, [(0, 0)], 200, Rows(), "cpu")
    given = draws.given
    weights = draws.of_cell(given.recurrent)
    inputs = {} if given.inputs is None else draws.by_gate(given.inputs)
    return {
        **{f"input {gate}": matrix for gate, matrix in inputs.items()},
        **weights.recurrent,
        **{f"bias {gate}": bias for gate, bias in draws.by_gate(given.bias).items()},
        **{f"bias {name}": bias for name, bias in weights.bias.items()},
    }


def test_what_is_said_of_a_gate_holds_in_every_layer():
    found = drawn(init={"preset": "keras", "bias": {"forget": 3, "input": -1}})
    for layer in (1, 2, 3):
        for gate, value in {"forget": 3, "input": -1, "output": 0, "candidate": 0}.items():
            assert bool((found[f"bias {bias_of_layer(gate, layer)}"] == value).all())


@pytest.mark.parametrize("inputs", [1, 40])
def test_keras_draws_each_layer_as_its_own_with_as_many_inputs_as_it_sees(inputs):
    found = drawn(init="keras", drive={"white": inputs})
    gates = ("forget", "input", "output", "candidate")
    for layer in (1, 2, 3):
        together = torch.cat([found[of_layer(gate, layer)] for gate in gates], dim=2)
        assert torch.allclose(together @ together.mT, torch.eye(6, dtype=torch.float64).expand(200, 6, 6), atol=1e-12)
        names = [into_layer(gate, layer) if layer > 1 else f"input {gate}" for gate in gates]
        seen = inputs if layer == 1 else 6
        largest = max(float(found[name].abs().max()) for name in names)
        limit = (6 / (seen + 4 * 6)) ** 0.5  # Glorot's
        assert 0.99 * limit < largest <= limit
    flat = [found[of_layer("forget", layer)].flatten() for layer in (1, 2, 3)]
    assert abs(np.corrcoef(torch.stack(flat))[np.triu_indices(3, 1)]).max() < 6 / np.sqrt(200)


@pytest.mark.parametrize(("cell", "kept"), [("lstm", False), ("gru_reset_after", True)])
def test_pytorch_draws_every_layer_within_one_over_root_n(cell, kept):
    found, limit = drawn(cell=cell, init="pytorch", drive={"white": 40}), 6**-0.5
    for name, values in found.items():
        apart = kept and "candidate" in name
        most = limit * (2 if name.startswith("bias") and not apart else 1)  # two vectors, unless they stand apart
        assert 0.9 * most < float(values.abs().max()) <= most, name
    assert len(found) == (4 * 3 + 4 * 2 + 4 * 3 + 4 if cell == "lstm" else 3 * 3 + 3 * 2 + 3 * 3 + 3 + 3)


def test_chrono_gives_every_layer_time_scales_of_its_own():
    found = drawn(init={"preset": "pytorch", "bias": {"chrono": 50}})
    scales = [found[f"bias {bias_of_layer('forget', layer)}"] for layer in (1, 2, 3)]
    for layer, scale in enumerate(scales, start=1):
        assert torch.equal(found[f"bias {bias_of_layer('input', layer)}"], -scale)
    assert not torch.equal(scales[0], scales[1])
    assert not torch.equal(scales[1], scales[2])


def test_laws_of_one_layer_are_silent_about_several():
    said = {"cell": "linear", "width": 4, "init": {"recurrent": {"gaussian": 1.0}}, "drive": "none", "horizons": [10]}
    assert predictions(DesignPoint(**said, weights="untied"))
    assert not predictions(DesignPoint(**said, weights="untied", layers=2))


def test_a_name_of_layers_is_no_cell():
    with pytest.raises(UsageError, match="lstm x 2"):
        DesignPoint(cell="lstm x 2", width=3)
