"""Symbols that stand for a cell's tensors, and the nodes of the graph that they remember.

A symbol answers with another symbol, or not at all. Whatever Python would answer for it (whether it is true, equal, of
some type, how long it is) would be an answer about the symbol and not about the numbers, so that it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

VECTOR, MATRIX, ROWS, SCALAR = "vector", "matrix", "rows", "number"
FUNCTIONS = ("tanh", "sigmoid", "sech2", "exp", "cos", "sin", "sqrt", "relu", "reciprocal", "square", "cosh", "abs",
             "log1p")  # fmt: skip
COMPARISONS = {"gt": ">", "lt": "<", "ge": ">=", "le": "<=", "eq": "==", "ne": "!="}  # torch's name -> sign
TRUTHS = (*COMPARISONS.values(), "and", "or", "xor", "not")
POWERS: dict[float, Callable[[Symbol], Symbol]] = {
    1: lambda x: x,
    2: lambda x: x.square(),
    3: lambda x: x.square() * x,
    0.5: lambda x: x.sqrt(),
    -1: lambda x: x.reciprocal(),
}
OTHER_NAMES = {"add": "__add__", "sub": "__sub__", "mul": "__mul__", "neg": "__neg__", "div": "__truediv__"} | {
    "true_divide": "__truediv__",
    "addcmul": "addcmul",
    "logical_not": "__invert__",
    "logical_and": "__and__",
    "logical_or": "__or__",
    **{name: f"__{name}__" for name in COMPARISONS},
}  # of torch's functions -> ours

refusals: ContextVar[list[Untraceable] | None] = ContextVar("refusals", default=None)


class Untraceable(Exception):
    """The cell does something that has no symbol. Kept in `refusals` too: a cell may swallow what it raises."""

    def __init__(self, reason: str):
        super().__init__(reason)
        if (met := refusals.get()) is not None:
            met.append(self)


@dataclass(frozen=True, eq=False)
class Node:
    """What was done, and to what.

    op: "input", "identity", "number", "width" (n, as a number), "constant" (a value for each unit), "product", "sum"
    (over units, the same in each), "transpose", "where", "as number" (of a truth), an arithmetic sign, or one of
    FUNCTIONS or TRUTHS. kind: VECTOR, MATRIX, ROWS or SCALAR. args: nodes; for "product" (rows, matrix) and what is
    added, if anything. name: of an input, (role, name). value: of a number. values: of a constant, from the width.
    """

    op: str
    kind: str
    args: tuple[Node, ...] = ()
    name: tuple[str, str] = ("", "")
    value: float = 0.0
    values: Callable[[int], Sequence[float]] | None = None

    @property
    def is_truth(self) -> bool:
        """Whether it is true or false, as 1 or 0."""
        return self.op in TRUTHS


class Unanswered:
    """What a cell is given in place of a value: Python's own answers about it are refused."""

    __slots__ = ()
    __array_ufunc__ = None  # NumPy's numbers then leave operators to us

    def __getattr__(self, name: str) -> Any:
        raise Untraceable(f"{name} has no symbol")

    @property
    def __class__(self) -> Any:  # asked by isinstance
        raise Untraceable("a symbol has no type of a tensor: isinstance has no symbol")


def _refused(name: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise Untraceable(f"{name} has no symbol, as it is not known before the numbers are")

    return refuse


OPERATORS = ("add", "sub", "mul", "truediv", "matmul", "floordiv", "mod", "divmod", "pow", "lshift", "rshift", "and",
             "or", "xor")  # fmt: skip
_ASKED = ("bool", "len", "length_hint", "iter", "next", "reversed", "contains", "hash", "eq", "ne", "lt", "le", "gt",
          "ge", "getitem", "setitem", "delitem", "missing", "float", "int", "index", "complex", "round", "trunc",
          "floor", "ceil", "bytes", "str", "repr", "format", "fspath", "call", "enter", "exit", "dir", "sizeof",
          "setattr",
          "delattr", "copy", "deepcopy", "reduce", "reduce_ex", "getstate", "array", "buffer", "invert", "neg", "pos",
          "abs")  # fmt: skip
for _name in (*_ASKED, *(f"{side}{name}" for side in ("", "r", "i") for name in OPERATORS)):
    setattr(Unanswered, f"__{_name}__", _refused(_name))


class AnyDtype(Unanswered):
    """The dtype of the numbers, whichever it will be."""

    __slots__ = ()


def node_of(value: Any) -> Node:
    """The node of a symbol or a number. Raises Untraceable for anything else."""
    if type(value) is Symbol:
        return value.node
    if isinstance(value, (int, float)):
        return Node("number", SCALAR, value=float(value))
    raise Untraceable(f"{type(value).__name__} has no symbol")


def _broadcast(*nodes: Node) -> str:
    kinds = {node.kind for node in nodes} - {SCALAR}
    if {MATRIX, ROWS} <= kinds:
        raise Untraceable("a matrix and directions are combined entry by entry")
    return MATRIX if MATRIX in kinds else ROWS if ROWS in kinds else VECTOR


def _elementwise(op: str, *values: Any) -> Symbol:
    """A truth may scale what is no truth; torch has rules of its own for all other arithmetic with it."""
    nodes = tuple(node_of(value) for value in values)
    plain = [node for node in nodes if not node.is_truth]
    if op == "*" and not plain:
        return _of_truths("and", *values)
    if len(plain) < len(nodes) and (op != "*" or len(plain) != 1 or plain[0].kind == SCALAR):
        raise Untraceable("arithmetic with a truth, other than to scale by it, has no symbol")
    return Symbol(Node(op, _broadcast(*nodes), nodes))


def _of_truths(op: str, *values: Any) -> Symbol:
    nodes = tuple(node_of(value) for value in values)
    if not all(node.is_truth for node in nodes):
        raise Untraceable(f"{op} of what is no truth has no symbol")
    return Symbol(Node(op, _broadcast(*nodes), nodes))


def _chosen(condition: Any, here: Any, there: Any) -> Symbol:
    nodes = tuple(node_of(value) for value in (condition, here, there))
    if not nodes[0].is_truth or nodes[1].is_truth or nodes[2].is_truth or nodes[1].kind == nodes[2].kind == SCALAR:
        raise Untraceable("where chooses by a comparison, between numbers that are not both given, or has no symbol")
    return Symbol(Node("where", _broadcast(*nodes), nodes))


class Symbol(Unanswered):
    """A tensor that stands for any: knows what it was made of."""

    __slots__ = ("node",)
    node: Node

    def __init__(self, node: Node):
        object.__setattr__(self, "node", node)

    def __add__(self, other: Any) -> Symbol:
        return _elementwise("+", self, other)

    def __sub__(self, other: Any) -> Symbol:
        return _elementwise("-", self, other)

    def __rsub__(self, other: Any) -> Symbol:
        return _elementwise("-", other, self)

    def __mul__(self, other: Any) -> Symbol:
        return _elementwise("*", self, other)

    def __truediv__(self, other: Any) -> Symbol:
        return _elementwise("/", self, other)

    def __rtruediv__(self, other: Any) -> Symbol:
        return _elementwise("/", other, self)

    def __gt__(self, other: Any) -> Symbol:
        return _elementwise(">", self, other)

    def __lt__(self, other: Any) -> Symbol:
        return _elementwise("<", self, other)

    def __ge__(self, other: Any) -> Symbol:
        return _elementwise(">=", self, other)

    def __le__(self, other: Any) -> Symbol:
        return _elementwise("<=", self, other)

    def __eq__(self, other: Any) -> Any:
        return _elementwise("==", self, other)

    def __ne__(self, other: Any) -> Any:
        return _elementwise("!=", self, other)

    __hash__ = Unanswered.__hash__

    def __and__(self, other: Any) -> Symbol:
        return _of_truths("and", self, other)

    def __or__(self, other: Any) -> Symbol:
        return _of_truths("or", self, other)

    def __xor__(self, other: Any) -> Symbol:
        return _of_truths("xor", self, other)

    def __invert__(self) -> Symbol:
        return _of_truths("not", self)

    def __neg__(self) -> Symbol:
        return _elementwise("-", self)

    def __abs__(self) -> Symbol:
        return self._function("abs")

    def __pow__(self, other: Any) -> Symbol:
        if type(other) not in (int, float) or other not in POWERS:
            raise Untraceable(f"a power other than {', '.join(f'{power:g}' for power in POWERS)} has no symbol")
        return POWERS[other](self)

    __radd__, __rmul__ = __add__, __mul__

    def addcmul(self, a: Any, b: Any) -> Symbol:
        """As torch's."""
        return self + _elementwise("*", a, b)

    def where(self, condition: Any, other: Any) -> Symbol:
        """As torch's."""
        return _chosen(condition, self, other)

    def to(self, other: Any) -> Symbol:
        """As torch's, to the dtype that all symbols have."""
        if type(other) is not AnyDtype and node_of(other).is_truth:
            raise Untraceable("to the dtype of a truth has no symbol")
        return Symbol(Node("as number", self.node.kind, (self.node,))) if self.node.is_truth else self

    type_as = to

    def float(self) -> Symbol:
        """As torch's, of a truth: of a number it may cut digits off."""
        if not self.node.is_truth:
            raise Untraceable("float has no symbol")
        return self.to(AnyDtype())

    @property
    def dtype(self) -> AnyDtype:
        """As torch's."""
        if self.node.is_truth:
            raise Untraceable("the dtype of a truth has no symbol")
        return AnyDtype()

    def __getattr__(self, name: str) -> Callable[[], Symbol]:
        if name not in FUNCTIONS:
            raise Untraceable(f"{name} has no symbol")
        return lambda: self._function(name)

    def _function(self, name: str) -> Symbol:
        if self.node.is_truth:
            raise Untraceable(f"{name} of a truth has no symbol")
        inner = self.node.args[0] if self.node.op == "reciprocal" else None
        if name == "square" and inner is not None and inner.op == "cosh":
            return Symbol(Node("sech2", inner.kind, inner.args))
        return _elementwise(name, self)

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Symbol:
        said: str = getattr(function, "__name__", str(function))
        if said == "where" and len(args) == 3 and not kwargs:
            return _chosen(*args)
        name = OTHER_NAMES.get(said, said if said in FUNCTIONS else "")
        if kwargs or not name or type(args[0]) is not Symbol:
            raise Untraceable(f"torch.{said} has no symbol")
        return getattr(args[0], name)(*args[1:])
