"""One design point, measured now: on all cores the very samples of one."""

from __future__ import annotations

import pytest

import rnnmc
from rnnmc.common.errors import RunError
from rnnmc.engine.block import partition, run_block
from rnnmc.numerics.compiler import compiler
from rnnmc.run import measure
from rnnmc.run.fanout import Done
from rnnmc.run.measure import measure_observed
from rnnmc.store.reading import as_frame

POINT = rnnmc.DesignPoint(cell="lstm", width=16, horizons=[2, 20])


@pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")
@pytest.mark.slow
def test_tiles_on_all_cores_are_the_block_and_each_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "own_cpus", lambda: 3)
    tile = partition(POINT).tile
    told: list[Done] = []
    seen = measure_observed(POINT, (), 2 * tile + 7, "auto", None, told.append)["samples"]
    assert seen.equals(as_frame(run_block(POINT, 0, 2 * tile + 7)))
    assert [one.replicates for one in told] == [tile, tile, 7]


def test_what_goes_wrong_in_a_tile_names_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(measure, "own_cpus", lambda: 2)
    monkeypatch.setattr(measure, "observe_block", broken)
    with pytest.raises(RunError, match=r"lstm n=16 .* block 1/1: ZeroDivisionError: of all things"):
        measure_observed(POINT, (), 7)
