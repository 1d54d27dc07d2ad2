"""Five mistakes of published tools, each planted into the engine, and the standard oracles that tell.

The verdict falsely fails with a probability of at most `FALSE_ALARM` = 1e-6 (docs/theory.md), so a failed one means a
mistake. Each test names the laws that catch its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
import torch
from torch import Tensor

from rnnmc.cells import cells
from rnnmc.chain import product as chain
from rnnmc.engine.block import partition, run_block
from rnnmc.engine.choice import plain_kernel
from rnnmc.numerics.layout import Layout, Rows
from rnnmc.statistics.oracles import FALSE_ALARM, checks, coverage, passed
from rnnmc.study.oracle_points import STANDARD
from rnnmc.study.point import DesignPoint

Parts = tuple[Tensor, ...]
Push = Callable[[Parts], Parts]


def sampled(entry: dict[str, Any]) -> tuple[DesignPoint, pl.DataFrame]:
    """A standard point and its samples, block by block, as a study would have them.

    On the plain engine, into which mistakes are planted; that the kernels agree with it is shown in tests/engine.
    """
    left, number, frames = entry["replicates"], 0, []
    point = DesignPoint(**{key: value for key, value in entry.items() if key != "replicates"})
    cut = replace(partition(point), kernel=plain_kernel(point))
    while left > 0:
        count = min(left, cut.block)
        frames.append(pl.DataFrame(pl.from_arrow(run_block(point, number, count, cut=cut))))
        left, number = left - count, number + 1
    return point, pl.concat(frames)


def verdict(*names: str) -> pl.DataFrame:
    """Of all standard points, or of those of these cells, which are all that a mistake in them can touch."""
    chosen = [entry for entry in STANDARD if not names or entry["cell"] in names]
    return coverage(pl.concat([checks(*sampled(entry)) for entry in chosen]))


def catchers(found: pl.DataFrame) -> set[str]:
    """The laws whose own row has failed."""
    assert not passed(found)
    return set(found.filter(~pl.col("passed"))["law"]) - {"all"}


def plant(monkeypatch: pytest.MonkeyPatch, mistake: Callable[..., Any], *names: str) -> None:
    """Replace the `linearise` of these cells (of all, unless named) by mistake(cell, the right one, its arguments)."""
    for name in names or cells():
        kind = type(cells()[name])

        def wrong(self, weights, drive, state, right=kind.linearise):
            return mistake(self, right, weights, drive, state)

        monkeypatch.setattr(kind, "linearise", wrong)


def together(layout: Layout, parts: Parts) -> Tensor:
    """(R, k, d): directions as rows."""
    return torch.cat([layout.matrices(part) for part in parts], dim=2)


def apart(layout: Layout, rows: Tensor, count: int) -> Parts:
    """The inverse of `together`."""
    pieces = rows.split(rows.shape[2] // count, dim=2)
    return tuple(piece.contiguous() if isinstance(layout, Rows) else piece.permute(1, 2, 0) for piece in pieces)


def jacobian(layout: Layout, push: Push, directions: Parts) -> Tensor:
    """(R, d, d): J transposed, whatever the directions are."""
    rows = together(layout, directions)
    one = torch.eye(rows.shape[2], dtype=rows.dtype).expand(len(rows), -1, -1)
    return together(layout, push(apart(layout, one, len(directions))))


@pytest.mark.slow
def test_without_a_mistake_the_verdict_is_good():
    found = verdict()
    assert FALSE_ALARM <= 1e-6
    assert passed(found)
    cells_and_certain = found.filter(pl.col("law") == "all").select("cells", "certain").row(0)
    assert cells_and_certain == (40, 4)


@pytest.mark.slow
def test_factors_in_the_wrong_order_of_time_are_found_by_the_lstm_whose_cell_state_moves(monkeypatch):
    def mistake(cell, right, weights, drive, state):
        after, push = right(cell, weights, drive, state)

        def reversed_push(directions):  # P J_t where J_t P belongs
            layout = weights.layout
            rows = jacobian(layout, push, directions) @ together(layout, directions)
            return apart(layout, rows, len(directions))

        return after, reversed_push

    plant(monkeypatch, mistake)
    assert catchers(verdict()) == {"independent_units"}


@pytest.mark.slow
def test_the_h_block_of_the_lstm_s_jacobian_alone_is_found(monkeypatch):
    def mistake(cell, right, weights, drive, state):
        after, push = right(cell, weights, drive, state)

        def h_to_h(directions):
            dh, dc = directions
            through_h, through_c = push((dh, torch.zeros_like(dc)))
            return through_h, torch.zeros_like(through_c)

        return after, h_to_h

    plant(monkeypatch, mistake, "lstm")
    assert catchers(verdict("lstm")) == {"independent_units"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "gate", "law"),
    [
        ("lstm", "forget", "independent_units"),
        ("lstm", "output", "independent_units"),
        ("gru", "update", "zero_state_vector"),
        ("gru_output_gated", "update", "driven_gates"),
    ],
)
def test_a_bias_of_the_wrong_sign_is_found(monkeypatch, name, gate, law):
    def mistake(cell, right, weights, drive, state):
        return right(cell, weights, dict(drive) | {gate: -drive[gate]}, state)

    plant(monkeypatch, mistake, name)
    assert catchers(verdict(name)) == {law}


@pytest.mark.slow
def test_float32_without_rescaling_is_found_by_what_it_loses(monkeypatch):
    monkeypatch.setattr(chain, "all_safe", lambda size: True)
    assert catchers(verdict()) >= {"linear_untied"}


@pytest.mark.slow
def test_jacobians_averaged_over_replicates_are_found_wherever_they_are_random(monkeypatch):
    def mistake(cell, right, weights, drive, state):
        after, push = right(cell, weights, drive, state)

        def averaged(directions):
            layout = weights.layout
            mean = jacobian(layout, push, directions).mean(dim=0, keepdim=True)
            return apart(layout, together(layout, directions) @ mean, len(directions))

        return after, averaged

    plant(monkeypatch, mistake)
    random = {"driven_gates", "independent_units", "linear_untied", "lru", "zero_state_vector"}
    assert catchers(verdict()) >= random
