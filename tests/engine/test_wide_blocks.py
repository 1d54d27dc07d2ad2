"""Blocks of wide points: which kernel they take, and the errors that their samples carry."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from looking import looking

from rnnmc.common.errors import UsageError
from rnnmc.engine.block import ERRORS, partition, run_block
from rnnmc.engine.choice import CONDITIONAL_BYTES, seen_bytes
from rnnmc.statistics.point import point_statistics
from rnnmc.study.point import DesignPoint

GAUSSIAN = {"recurrent": {"gaussian": 1.5}, "input": {"gaussian": 1.0}}


def point(**more) -> DesignPoint:
    return DesignPoint(**({"cell": "tanh", "width": 400, "init": GAUSSIAN, "horizons": [10, 120]} | more))


def test_a_wide_tied_point_takes_few_directions_and_its_samples_say_how_far_they_may_be_off():
    wide, narrow = point(), point(width=40)
    assert partition(wide).kernel == "compiled few directions"
    table = run_block(wide, 0, 2)
    errors = np.array([np.asarray(table[name], dtype=float) for name in ERRORS])
    assert np.nanmax(errors[0]) <= 1e-3
    assert (np.nan_to_num(errors) >= 0).all()
    largest = point_statistics(pl.DataFrame(pl.from_arrow(table)), 1e-3, 1e3)["numerical_error"]
    assert largest.max() == pytest.approx(np.nanmax(errors))
    exact = run_block(narrow, 0, 2)
    assert all(exact[name].null_count == exact.num_rows for name in ERRORS)


@pytest.mark.slow
def test_untied_gaussian_matrices_of_great_width_are_drawn_as_far_as_they_are_seen():
    wide = point(width=20_000, weights="untied", horizons=[3])
    assert partition(wide).kernel == "conditional draw"
    table = run_block(wide, 0, 1)
    assert table["status"].to_pylist() == ["ok"]
    assert run_block(wide, 0, 1).equals(table)
    others = [point(width=20_000, weights="untied", init={"recurrent": {"uniform": 0.01}, "input": {"gaussian": 1.0}})]
    others += [point(width=1000, weights="untied"), point(width=20_000, weights="untied", horizons=[100_000])]
    assert all(partition(other).kernel != "conditional draw" for other in others)


def test_what_needs_whole_matrices_is_refused_where_there_are_none():
    seen = point(width=20_000, weights="untied", horizons=[3], cell="lstm")
    with pytest.raises(UsageError, match="never formed; leave it out, or give a width below"):
        partition(seen, looking(seen, "terms"))


def test_a_tile_of_untied_matrices_keeps_no_more_than_one_replicate_may():
    long = point(width=2048, weights="untied", horizons=[2000], cell="lstm")
    assert partition(long).kernel == "conditional draw"
    assert partition(long).tile * seen_bytes(long) <= CONDITIONAL_BYTES
    assert partition(point(width=2048, weights="untied", horizons=[10])).tile == 4
