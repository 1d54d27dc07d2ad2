"""Inputs that nobody would write: values of every kind, trees with a branch of another,
bytes with a few that differ."""

from __future__ import annotations

import copy
import datetime
import random
from typing import Any

from hypothesis import strategies as st

NAMES = [
    "tanh", "lstm", "gru", "relu", "lru", "min_gru", "torch.nn.LSTM", "pytorch", "keras", "gaussian", "uniform",
    "white", "ar1",
    "field", "none", "file", "constant", "tied", "untied", "float32", "float64", "hidden", "forget", "input",
    "recurrent", "bias",
    "norms", "paths", "vector", "spectrum", "terms", "half_width", "relative", "max", "weights", "drives", "vanish",
    "explode",
    "wilson", "gain", "limit", "to", "per_decade", "path", "column", "json:loads", "os:path", "nosuch:thing", ":",
    "a:", ":b", "a:b:c",
]  # fmt: skip
TEXTS = [
    "", " ", ".", "..", "../x", "a/b", "/", "~", "-", "--", "-1", "1e400", "0x10", "1_000", "nan", "inf", "-inf",
    "true", "null",
    "{{x}}", "$(x)", "`x`", "%s", "{0}", "<b>", "'", '"', "\\", "\t", "\n", "a\nb", "\x00", "\x1b[31m", "\u202e",
    "\ud800", "ä", "数",
    "x" * 300, "x" * 20000, "1" * 5000, "[" * 100, "{a: 1}", "[1, 2]", "{", "[", "!!python/object:os.system x", "*a",
    "&a [*a]",
]  # fmt: skip
NUMBERS: list[Any] = [
    0, 1, 2, 3, -1, 10, 64, 1000, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30,
    10**400,
    0.0, -0.0, 0.5, 1.0, 1.5, 1e-3, 1e3, 1e-300, 5e-324, 1e308, 1e22, float("nan"), float("inf"), float("-inf"),
]  # fmt: skip
OTHERS: list[Any] = [
    True,
    False,
    None,
    b"\x00\xff",
    datetime.date(2026, 1, 1),
    [],
    {},
    [[]],
    [None],
    {"": 1},
    {1: 2},
    {None: 1},
]

junk = st.one_of(
    st.sampled_from(NAMES),
    st.sampled_from(TEXTS),
    st.sampled_from(NUMBERS),
    st.sampled_from(OTHERS).map(copy.deepcopy),  # what is put into one stays there
    st.integers(),
    st.floats(),
    st.text(max_size=8),
)
nested = st.recursive(
    junk,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=3), st.integers(0, 3)), inner, max_size=3),
    ),
    max_leaves=6,
)


@st.composite
def changed_tree(draw: st.DrawFn, trees: list[Any], most: int = 3) -> Any:
    """One of these trees of mappings and lists with a few branches that are gone, doubled, renamed,
    swapped or other."""
    tree = copy.deepcopy(draw(st.sampled_from(trees)))
    for _ in range(draw(st.integers(1, most))):
        branches = list(_branches(tree))
        if not branches:
            return draw(nested)
        holder, key = branches[draw(st.integers(0, len(branches) - 1))]
        how = draw(st.sampled_from(["value", "value", "value", "gone", "named", "swapped", "wrapped", "more", "digit"]))
        if how == "value":
            holder[key] = draw(nested)
        elif how == "gone":
            del holder[key]
        elif how == "named" and isinstance(holder, dict):
            other = draw(st.one_of(st.sampled_from(NAMES), st.sampled_from(TEXTS), st.text(max_size=5)))
            holder[other] = holder.pop(key)
        elif how == "swapped":
            there, at = branches[draw(st.integers(0, len(branches) - 1))]
            holder[key] = copy.deepcopy(there[at])
        elif how == "wrapped":
            holder[key] = draw(st.sampled_from([[holder[key]], {"a": holder[key]}, [holder[key], holder[key]]]))
        elif how == "more" and isinstance(holder, dict):
            holder[draw(st.sampled_from(NAMES))] = draw(nested)
        elif isinstance(holder[key], int | float | str):
            holder[key] = _another(holder[key], draw(st.integers(0, 2**16)))
    return tree


def _branches(tree: Any) -> Any:
    for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _branches(value)


def _another(value: Any, seed: int) -> Any:
    if isinstance(value, str):
        return changed_bytes(value.encode(errors="ignore"), seed).decode(errors="replace")
    try:
        return value * (seed % 7 - 3) + seed % 3
    except OverflowError:
        return seed


def changed_bytes(content: bytes, seed: int) -> bytes:
    """The content with a few of its bytes flipped, gone, doubled, cut off or put elsewhere."""
    rng, content = random.Random(seed), bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(content) + 1)
        to = min(len(content), at + rng.choice([1, 1, 2, 8, 100]))
        how = rng.randrange(7)
        if how == 0 and content:
            content[at % len(content)] ^= 1 << rng.randrange(8)
        elif how == 1:
            del content[at:to]
        elif how == 2:
            content[at:at] = content[at:to] * rng.choice([1, 2, 50])
        elif how == 3:
            del content[at:]
        elif how == 4:
            content[at:at] = rng.choice(
                [b"\0", b"\n", b"\r", b'"', b",", b";", b"{", b": ", b"- ", b"\xff", b"\xef\xbb\xbf", b"9" * 30]
            )
        elif how == 5:
            content[at:to] = rng.randbytes(to - at)
        else:
            content[at:at] = rng.choice(
                [b"nan", b"-1", b"1e999", b"true", b"null", b"#", b"\t", b"  ", b"&a ", b"*a", b"<<: "]
            )
    return bytes(content)
