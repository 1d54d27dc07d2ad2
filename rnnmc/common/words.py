"""Words for what the program has to say."""

from __future__ import annotations

from collections.abc import Sequence


def listed(parts: Sequence[str], last: str = "and", between: str = ", ") -> str:
    """`a, b and c`; between: where commas stand within parts, something else."""
    return parts[0] if len(parts) == 1 else f"{between.join(parts[:-1])} {last} {parts[-1]}"


def number_of(number: int, one: str, several: str) -> str:
    """`1 gap`, `2 gaps`."""
    return f"{number:,} {one if number == 1 else several}"


def in_full(value: float) -> str:
    """All its digits, and no more: `0.001`, `1000`, `1e-12`."""
    return repr(float(value)).removesuffix(".0")
