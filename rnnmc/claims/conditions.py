"""Under which conditions a claim holds: a small decision tree over the factors of its questions, read out in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rnnmc.common.words import listed

FEW = 4  # names that are listed, rather than all others
DEEPEST = 3  # splits on the way to a leaf
LEAST_GAIN = 0.08  # of the mixture of the whole, that a split must clear

Where = Mapping[str, frozenset]


class Leaf(NamedTuple):
    """Questions that one answer fits best. where: the factors' values that lead to them; wrong: how many it misses."""

    where: Where
    held: bool
    wrong: int


def conditions(answers: Sequence[tuple[Mapping[str, Any], bool]]) -> tuple[str, int]:
    """When answers are yes, as "only with ..." or "except with ...", and how many of the answers are otherwise.

    answers: of each question the values of its factors, and its answer. Splits are those of a classification tree with
    Gini's measure (Breiman, Friedman, Olshen and Stone 1984), at most three deep; numbers are split at a threshold,
    names into two sets. Of the two ways to say it, what holds or what fails, the one with fewer words is taken. Both
    answers must be there. Raises ValueError where a factor is said of some questions alone.
    """
    every_name = {name for where, _ in answers for name in where}
    if unsaid := {name for where, _ in answers for name in every_name - where.keys()}:
        raise ValueError(
            f"conditions: {', '.join(sorted(unsaid))} is not said of every question; give None where it has none"
        )
    factors = [name for name in answers[0][0] if len({where[name] for where, _ in answers}) > 1]
    every = {name: frozenset(where[name] for where, _ in answers) for name in factors}
    leaves = _leaves(answers, every, DEEPEST, LEAST_GAIN * _mixture(answers))
    if len({leaf.held for leaf in leaves}) < 2:
        held = sum(answer for _, answer in answers)
        return f"at {held} of {len(answers)}, by no single factor", min(held, len(answers) - held)
    ways = [
        f"{word} {'; or '.join(_said(leaf.where, every) for leaf in leaves if leaf.held == held)}"
        for held, word in ((True, "only"), (False, "except"))
    ]
    return min(ways, key=len), sum(leaf.wrong for leaf in leaves)


def _leaves(answers: Sequence, where: Where, depth: int, least: float) -> list[Leaf]:
    held = sum(answer for _, answer in answers)
    alone = Leaf(where, 2 * held >= len(answers), min(held, len(answers) - held))
    splits = [split for factor in where for split in _splits(answers, factor)] if depth and alone.wrong else []
    if not splits:
        return [alone]
    factor, values = min(splits, key=lambda split: sum(map(_mixture, _sides(answers, *split))))
    sides = _sides(answers, factor, values)
    if _mixture(answers) - sum(map(_mixture, sides)) < least:
        return [alone]
    kept = (values, where[factor] - values)
    found = [_leaves(side, {**where, factor: one}, depth - 1, least) for side, one in zip(sides, kept, strict=True)]
    if {leaf.held for leaves in found for leaf in leaves} == {alone.held}:
        return [alone]
    return [leaf for leaves in found for leaf in leaves]


def _mixture(answers: Sequence) -> float:
    """Gini's measure times the number of answers: 0 where all are alike."""
    held = sum(answer for _, answer in answers)
    return 2 * held * (len(answers) - held) / len(answers)


def _splits(answers: Sequence, factor: str) -> list[tuple[str, frozenset]]:
    """The ways to part a factor's values in two: numbers at a threshold, names by how often they hold."""
    by_value: dict[Any, list[bool]] = {}
    for where, answer in answers:
        by_value.setdefault(where[factor], []).append(answer)
    numbers = all(isinstance(value, int | float) for value in by_value)
    key = (lambda value: value) if numbers else (lambda value: sum(by_value[value]) / len(by_value[value]))
    order = sorted(by_value, key=key)
    return [(factor, frozenset(order[:cut])) for cut in range(1, len(order))]


def _sides(answers: Sequence, factor: str, values: frozenset) -> tuple[list, list]:
    inside = [one for one in answers if one[0][factor] in values]
    return inside, [one for one in answers if one[0][factor] not in values]


def _said(where: Where, every: Where) -> str:
    """The factors that are restricted, in words."""
    told = [_factor(name, values, every[name]) for name, values in where.items() if values != every[name]]
    return f"with {listed(told)}"


def _factor(name: str, values: frozenset, every: frozenset) -> str:
    known = [value for value in every if value is not None]
    if all(isinstance(value, int | float) for value in known) and None not in values:
        return _range(name, sorted(values), sorted(known))
    rest = every - values
    if len(values) > max(len(rest), FEW):
        return f"any {_word(name)} but {listed(sorted(_named(name, value) for value in rest))}"
    names = listed(sorted(_named(name, value) for value in values), "or")
    return names if name in ("cell", "weights", "init") else f"{_word(name)} {names}"


def _range(name: str, values: list, every: list) -> str:
    ends = (values[0], values[-1])
    first, last = (f"{value:,}" if isinstance(value, int) else f"{value:g}" for value in ends)
    if len(values) == 1:
        return f"{_word(name)} {first}"
    if values[-1] == every[-1]:
        return f"{_word(name)} at least {first}"
    return f"{_word(name)} at most {last}" if values[0] == every[0] else f"{_word(name)} {first} to {last}"


def _word(name: str) -> str:
    return {"init": "initialiser", "state_std": "state std"}.get(name, name)


def _named(name: str, value: Any) -> str:
    if value is None:
        return "none"
    quoted = f'"{value}"'  # an initialiser may hold a comma
    return {"init": quoted, "weights": f"{value} weights"}.get(name, str(value))
