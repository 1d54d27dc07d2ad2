"""Nested designs: which replicates share which draws, and that statistics know it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from studies import sample_here, study_of

from rnnmc.engine.block import partition, run_block
from rnnmc.engine.draws import Draws
from rnnmc.numerics.layout import Columns, Rows
from rnnmc.run.aggregate import aggregate
from rnnmc.run.sampling import sample_all
from rnnmc.store.plan import cut_up
from rnnmc.study.point import DesignPoint

NESTED = {"drives": 3, "states": 2}


def point(cell: str = "lstm", width: int = 4, **more) -> DesignPoint:
    return DesignPoint(
        cell=cell, width=width, horizons=[1, 10, 40], dtype="float64", **({"nested": NESTED, "state_std": 1.0} | more)
    )


def log_norms(design: DesignPoint, replicates: int) -> np.ndarray:
    return run_block(design, 0, replicates)["log_spectral"].to_numpy().reshape(replicates, -1)


@pytest.mark.parametrize("layout", [Rows(), Columns()])
@pytest.mark.parametrize("weights", ["tied", "untied"])
def test_a_group_shares_its_weights_a_pair_its_drive_and_nobody_a_state(layout, weights):
    draws = Draws(point(weights=weights), [(0, 0), (0, 1)], 12, layout, "cpu")
    for _, (drawn, drive) in zip(range(3), draws.steps(), strict=False):
        for tensor, shared in ((drawn.recurrent["forget"], 6), (drive["forget"], 2)):
            flat = torch.moveaxis(tensor, layout.replicate_axis, 0).reshape(24, -1)
            same = (flat[:, None] == flat[None]).all(dim=2).numpy()
            assert np.array_equal(same, np.kron(np.eye(24 // shared), np.ones((shared, shared))) == 1)
    (h, _) = draws.state()
    assert len(torch.unique(torch.moveaxis(h, layout.replicate_axis, 0).reshape(24, -1), dim=0)) == 24


def test_a_chain_that_no_drive_or_state_enters_is_the_same_in_the_whole_group():
    linear = log_norms(point("linear"), 30).reshape(5, 6, 3)
    assert np.array_equal(linear, linear[:, :1].repeat(6, axis=1))
    assert len(np.unique(linear[:, 0, 2])) == 5
    tanh = log_norms(point("tanh"), 30).reshape(5, 3, 2, 3)
    assert len(np.unique(tanh[..., 2])) == 30


def test_blocks_and_tiles_hold_whole_groups_and_a_part_of_a_block_has_the_same_bits():
    for width in (1, 4, 16, 200):
        cut = partition(point(width=width))
        assert cut.tile % 6 == 0
        assert cut.block % cut.tile == 0
    assert np.array_equal(log_norms(point(), 60)[:12], log_norms(point(), 12))


def test_sharing_draws_is_part_of_the_key_and_not_sharing_them_is_not():
    alone = point(nested={"drives": 1, "states": 1})
    assert alone.key == point(nested={}).key
    assert len({alone.key, point().key, point(nested={"drives": 2, "states": 3}).key}) == 3


def test_a_nested_study_splits_its_variance_and_counts_weight_draws(tmp_path):
    entry = {"cell": ["linear", "tanh"], "width": 3, "state_std": 1, "replicates": {"weights": 50, **NESTED}}
    study = study_of({"study": "nested", "horizons": [1, 10, 40], "points": [entry]})
    assert [planned.replicates for planned in study.points] == [300, 300]
    sample_here(study, tmp_path)
    sample_all(tmp_path, cut_up(study), study.thresholds, None, "cpu")
    statistics = aggregate(tmp_path, study.thresholds, study.interval)
    assert statistics["weight_draws"].unique().to_list() == [50]
    assert statistics["replicates"].unique().to_list() == [300]
    shares = pl.read_parquet(tmp_path / "variance.parquet").filter(measure="log_spectral", horizon=40)
    linear, tanh = (
        dict(zip(of["source"], of["share"], strict=True))
        for of in (shares.filter(point=planned.point.key) for planned in study.points)
    )
    assert linear == {"weights": pytest.approx(1), "drive": pytest.approx(0), "state": pytest.approx(0)}
    assert tanh["drive"] > 0.001
    assert sum(tanh.values()) == pytest.approx(1)
