"""The path of a GPU, as far as a CPU can take it, and on a GPU where there is one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rnnmc
from rnnmc.chain.norms import log_norms
from rnnmc.chain.product import follow
from rnnmc.common.errors import UsageError
from rnnmc.engine import block
from rnnmc.engine.block import Partition
from rnnmc.engine.choice import kernel_of, plain_kernel
from rnnmc.engine.draws import Draws
from rnnmc.engine.graphed import follow_graphed
from rnnmc.numerics.layout import Columns

POINTS = [
    rnnmc.DesignPoint(cell=cell, width=width, drive=drive, state_std=0.1, weights=weights, horizons=[1, 10, 60])
    for cell, width, drive, weights in [
        ("lstm", 3, "white", "tied"),
        ("gru", 12, {"ar1": 0.5}, "untied"),
        ("relu", 12, "none", "tied"),
    ]
]


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.cell)
def test_tiles_that_run_together_have_the_draws_of_tiles_that_run_alone(point: rnnmc.DesignPoint) -> None:
    """A GPU carries all tiles of a block at once; weights and drives are those of the CPU, the results to rounding."""
    tiles = [(0, 0), (0, 1), (3, 0)]
    cut = Partition(tile=5, block=5, kernel=kernel_of(point))
    together = block._run_tiles(point, tiles, cut, "cpu", (), 20)["samples"]
    alone = [block._run_tiles(point, [tile], cut, "cpu", (), 20)["samples"] for tile in tiles]
    for name in ("log_spectral", "log_rms"):
        np.testing.assert_allclose(together[name], np.concatenate([part[name] for part in alone]), atol=1e-4, rtol=1e-5)
    assert (together["status"] == np.concatenate([part["status"] for part in alone])).all()


def test_rescaling_without_asking_first_as_on_a_gpu_gives_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    from rnnmc.chain import product as chain

    point = POINTS[0]
    cut = Partition(tile=7, block=7, kernel=plain_kernel(point))
    asked = rnnmc.run_block(point, 0, cut=cut)
    monkeypatch.setattr(chain, "all_safe", lambda size: False)
    unasked = rnnmc.run_block(point, 0, cut=cut)
    for name in ("log_spectral", "log_rms"):
        np.testing.assert_allclose(unasked[name], asked[name], rtol=1e-6)
    assert unasked["status"].equals(asked["status"])


def test_a_device_that_is_not_there_is_refused_with_a_remedy() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(UsageError, match="run with --device cpu"):
        rnnmc.run_block(POINTS[0], 0, 1, device="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.cell)
def test_a_gpu_gives_the_same_early_log_norms_as_the_cpu(point: rnnmc.DesignPoint) -> None:
    """Equal draws on both; the first ten steps leave a chaotic orbit no time to part."""
    here, there = (rnnmc.run_block(point, 0, 64, device).to_pandas() for device in ("cpu", "cuda"))
    early = here["horizon"] <= 10
    np.testing.assert_allclose(there[early]["log_rms"], here[early]["log_rms"], atol=1e-3)


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.cell)
def test_steps_recorded_for_a_gpu_give_the_plain_engines_numbers(point: rnnmc.DesignPoint) -> None:
    """The segment that CUDA would capture, run as it is: buffers in, the same buffers out."""
    tied = point.model_copy(update={"weights": "tied"})
    with torch.no_grad():
        recorded = list(follow_graphed(Draws(tied, [(0, 0)], 9, Columns(), "cpu"), tied.horizons))
        draws = Draws(tied, [(0, 0)], 9, Columns(), "cpu")
        plain = list(follow(draws.cell, draws.layout, draws.steps(), draws.state(), tied.horizons))
    for one, other in zip(recorded, plain, strict=True):
        for name, values in log_norms(one).items():
            np.testing.assert_array_equal(values, log_norms(other)[name])
