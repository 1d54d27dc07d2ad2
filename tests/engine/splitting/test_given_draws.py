"""Every law of weights and every drive can be drawn from coordinates: a row decides one network, and the law stays."""

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from rnnmc.common.errors import UsageError
from rnnmc.engine.draws import Draws
from rnnmc.engine.splitting.coordinates import given_draws, sizes
from rnnmc.numerics.layout import Rows
from rnnmc.study.point import DesignPoint
from rnnmc.study.replicates import Nested

STEPS = 6
LAWS = [
    {"gaussian": 1.5},
    {"uniform": {"limit": 0.25, "terms": 2}},
    {"truncated_gaussian": 1.0},
    {"orthogonal": 1.5, "stacked": True},
    {"gaussian": 3.0, "clip": 1.0, "spectral_radius": 0.8},
    {"contraction": {"gain": 2.0, "norm": 0.9}},
    {"rotations": 2.0},
]
POINTS = [{"cell": "lstm", "init": {"recurrent": law, "bias": {"uniform": {"limit": 0.5}}}} for law in LAWS]
POINTS += [
    {"cell": "lstm", "init": {"recurrent": {"gaussian": 1.0}, "bias": {"chrono": 50.0}}},
    {"cell": "lru", "init": {"recurrent": {"ring": {"outer": 0.9, "inner": 0.4}}}},
    {"cell": "unitary", "init": {"recurrent": {"unitary_product": 1.5}}},
    {"cell": "tanh", "weights": "untied", "state_std": 0.5},
    {"cell": "min_gru", "drive": "field", "init": {"input": {"gaussian": 1.0}}},  # no weight of it is random
    *(
        {"cell": "gru", "drive": drive, "init": {"recurrent": {"gaussian": 1.0}, "input": {"gaussian": 1.0}}}
        for drive in ("field", {"ar1": 0.5}, "none", "adding", "copy")
    ),
]
GIVEN = [DesignPoint(**{"width": 2, "horizons": (2, STEPS), "dtype": "float64"} | point) for point in POINTS]


def coordinates(point: DesignPoint, count: int, seed: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {role: rng.standard_normal((count, size)) for role, size in sizes(point).items()}


def parts(draws: Draws) -> list[torch.Tensor]:
    """All that a chain of STEPS steps is given, replicate first."""
    given = draws.given
    found = [
        *draws.state(),
        *(one for one in (given.recurrent, given.inputs, given.bias, given.inner) if one is not None),
    ]
    for x, _ in draws.segments((STEPS,), 1):
        found += [] if x is None else [x[0]]
        if draws.point.weights == "untied" and (fresh := draws.recurrent()) is not None:
            found.append(fresh)
    return found


@pytest.mark.parametrize("point", GIVEN, ids=lambda point: point.label)
def test_a_row_of_coordinates_decides_one_replicate(point):
    many = coordinates(point, 5)
    whole = parts(given_draws(point, many, Rows()))
    alone = parts(given_draws(point, {role: z[3:4] for role, z in many.items()}, Rows()))
    other = parts(given_draws(point, {role: z[:2] for role, z in many.items()}, Rows()))
    for of_all, of_one, of_others in zip(whole, alone, other, strict=True):
        torch.testing.assert_close(of_all[3:4], of_one, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(of_all[:2], of_others, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("point", GIVEN, ids=lambda point: point.label)
def test_draws_from_coordinates_have_the_law_of_the_draws(point):
    count = 1000
    told = parts(given_draws(point, coordinates(point, count), Rows()))
    drawn = parts(Draws(point, [(0, 0)], count, Rows(), "cpu"))
    worst = 1.0
    for one, other in zip(told, drawn, strict=True):
        assert one.shape == other.shape
        a, b = (part.reshape(count, -1).numpy() for part in (one, other))
        if a.shape[1]:
            entries = [ks_2samp(a[:, j], b[:, j], method="asymp").pvalue for j in {0, a.shape[1] - 1}]
            worst = min(
                worst, *entries, ks_2samp(a.sum(axis=1).round(9), b.sum(axis=1).round(9), method="asymp").pvalue
            )
    assert worst > 1e-6 / (3 * len(told) * len(GIVEN))


def test_replicates_that_share_draws_are_refused():
    point = DesignPoint(cell="tanh", width=2, nested=Nested(drives=2))
    with pytest.raises(UsageError, match="leave the nested design out"):
        sizes(point)
