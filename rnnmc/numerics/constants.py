"""Vectors that a cell gives as numbers; without torch, so that a cell is traced where nothing runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def numbers_of(values: Sequence[float] | Callable[[int], Sequence[float]], width: int) -> list[float]:
    """One number for each unit. Raises ValueError where there is another number of them."""
    found = [float(value) for value in (values(width) if callable(values) else values)]
    if len(found) != width:
        raise ValueError(f"a constant of {len(found)} values for {width} units; give one a unit, as a function of n")
    return found
