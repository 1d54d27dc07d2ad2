"""The numbers of which a network is made give that network again."""

import re

import numpy as np
import pytest

from rnnmc.common.errors import UsageError
from rnnmc.engine.splitting.coordinates import sizes
from rnnmc.engine.splitting.score import Scorer
from rnnmc.networks.lifting import FARTHEST, coordinates_of
from rnnmc.networks.search import ascended
from rnnmc.study.point import DesignPoint
from rnnmc.study.rare import Splitting

EVENT = Splitting.checked(event="explode", vanish=1e-3, explode=1e3)
BOUNDED = {"input": {"uniform": 1.0}, "bias": {"truncated_gaussian": 0.5}}
POINTS = {
    "pytorch lstm": {"cell": "lstm", "init": "pytorch"},
    "keras gru": {"cell": "gru_reset_after", "init": "keras"},
    "flax tanh without input": {"cell": "tanh", "init": "flax", "drive": "none", "state_std": 0.5},
    "mxnet lstm": {"cell": "lstm", "init": "mxnet.gluon.rnn.LSTMCell"},
    "cut normal": {"cell": "gru", "init": {"recurrent": {"gaussian": 1.5, "clip": 1.0}, **BOUNDED}},
    "stacked orthogonal": {"cell": "lstm", "init": {"recurrent": {"orthogonal": 1.5, "stacked": True}, **BOUNDED}},
    "vectors": {
        "cell": "lstm_peephole",
        "init": {"recurrent": {"uniform": 1.0}, "vector": {"uniform": 1.0}, **BOUNDED},
    },
    "diagonal, with a state": {
        "cell": "gru_diagonal",
        "state_std": 0.5,
        "init": {"recurrent": {"uniform": 1.0}, **BOUNDED},
    },
}


def point(**said) -> DesignPoint:
    return DesignPoint(**{"width": 3, "horizons": (8,), "dtype": "float64", "splitting": EVENT} | said)


@pytest.mark.parametrize("name", POINTS)
def test_every_bounded_law_and_what_is_read_can_be_undone(name):
    one = point(**POINTS[name])
    ends = ascended(one, True, 3, 4, False, 1)
    found = coordinates_of(one, ends)
    assert {role: z.shape for role, z in found.items()} == {role: (3, size) for role, size in sizes(one).items()}
    scores = Scorer(one, one.rare_event)(found)
    assert scores == pytest.approx(ends.log_norm, abs=1e-5)
    assert max(np.abs(z).max() for z in found.values()) <= FARTHEST
    others = {role: z[::-1] for role, z in found.items()}
    assert Scorer(one, one.rare_event)(others) != pytest.approx(ends.log_norm, abs=1e-3), "any numbers would do"


def test_what_cannot_be_undone_is_one_sentence():
    held = point(cell="tanh", init="pytorch", drive={"ar1": 0.5})
    with pytest.raises(UsageError, match=re.escape("give white, or none")):
        coordinates_of(held, ascended(held, True, 1, 1, True, 1))
    turned = point(cell="tanh", width=4, init={"recurrent": {"rotations": 2.0, "clip": 1.0}, **BOUNDED})
    with pytest.raises(UsageError, match=r"init\.recurrent: rotations .* draws no number for each weight"):
        coordinates_of(turned, ascended(turned, True, 1, 1, False, 1))
