"""Every law of weights and every preset keeps the contract of its kind, and one with a mistake does not."""

import dataclasses

import numpy as np
import pytest

from rnnmc.initialisers import laws, presets
from rnnmc.initialisers.check_initialiser import check_initialiser
from rnnmc.initialisers.gaussian import Gaussian
from rnnmc.study.check_preset import check_preset
from rnnmc.study.initialisation import read_role

SAID = [
    {"gaussian": 1.5},
    {"gaussian": 3.0, "clip": 1.0, "spectral_radius": 0.8},
    {"uniform": 2.0},
    {"uniform": {"limit": 0.25, "terms": 2}},
    {"truncated_gaussian": 1.0},
    {"orthogonal": 1.5},
    {"orthogonal": 1.0, "stacked": True},
    {"identity": 0.7},
    {"constant": -2.0},
    {"chrono": 50.0},
    {"contraction": {"gain": 2.0, "norm": 0.9}},
    {"ring": {"outer": 0.9, "inner": 0.4}},
    {"between": {"low": -0.5, "high": 2.0}},
    {"ramp": {"first": 5.0, "last": -7.0, "power": 0.3}},
    {"part": {"value": -1.0, "first": 0.3, "last": 0.8}},
    {"softplus": 0.1},
    {"logistic_power": 0.999},
    {"rotations": 2.0},
    {"unitary_product": 1.5},
    {"modes": 0.1},
]


def failed(results) -> set[str]:
    return {result.name for result in results if not result.passed}


def test_every_law_of_weights_is_among_those_checked():
    assert {next(iter(said)) for said in SAID} == set(laws())


@pytest.mark.parametrize("said", SAID, ids=str)
def test_a_law_of_weights_keeps_the_contract_of_its_kind(said):
    assert not failed(check_initialiser(read_role(said, "recurrent")["every"]))


@pytest.mark.parametrize("name", presets())
def test_a_preset_keeps_the_contract_of_its_kind(name):
    assert not failed(check_preset(presets()[name]))


class Planted(Gaussian):
    """A Gaussian with one mistake."""

    name = "planted"
    mistake: str

    def groups(self, gates, cell):
        return [(*gates, gates[0])] if self.mistake == "twice" else super().groups(gates, cell)

    def entries(self, rng, shape, signs):
        if self.mistake == "fan out":
            return rng.standard_normal(shape) * (self.gain / np.sqrt(shape[2]))
        rng = np.random.default_rng() if self.mistake == "own" else rng
        x = super().entries(rng, shape, signs)
        if self.mistake == "shared":
            x[1::2] = x[::2][: len(x[1::2])]
        return {"shifted": x + 0.05, "turned": x.transpose(0, 2, 1)}.get(self.mistake, x)

    def draw(self, rng, shape, signs=(1,)):
        return self.entries(rng, shape, signs) if self.mistake == "uncut" else super().draw(rng, shape, signs)


@pytest.mark.parametrize(
    ("mistake", "check"),
    [
        ("fan out", "gain"),
        ("shifted", "mean"),
        ("own", "draws"),
        ("shared", "replicates"),
        ("turned", "shape"),
        ("uncut", "clip"),
        ("twice", "gates"),
    ],
)
def test_a_mistake_is_found_by_the_check_of_its_name(mistake, check):
    assert check in failed(check_initialiser(Planted(gain=1.0, mistake=mistake)))


@pytest.mark.parametrize(
    ("roles", "checks"),
    [
        (lambda cell, width, inputs: {"recurrent": 0.5, "input": 0.0}, {"roles"}),
        (
            lambda cell, width, inputs: {"recurrent": {"hidden": {"gaussian": 1.0}}, "input": 0.0, "bias": 0.0},
            {"gates", "draws"},
        ),
        (
            lambda cell, width, inputs: {"recurrent": {"gaussian": 1.0 / (width - 1)}, "input": 0.0, "bias": 0.0},
            {"roles", "gates", "written", "draws"},
        ),
    ],
    ids=["silent", "one gate", "no single unit"],
)
def test_a_mistake_of_a_preset_is_found(roles, checks):
    assert failed(check_preset(dataclasses.replace(presets()["keras"], roles=roles))) == checks
