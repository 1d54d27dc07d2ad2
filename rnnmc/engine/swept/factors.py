"""A traced step as the factors of its Jacobian: what it does to directions, and to those of the transposed Jacobian.

The graph of a step (`rnnmc.engine.compiled.trace`) forms the Jacobian as a matrix and multiplies directions by it. Here
the matrix is never formed: directions meet one recurrent matrix after another, and vectors scale them, n^2 a direction.
What that comes to is a list of linear operations; run backwards it is the transposed Jacobian. Both are graphs again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rnnmc.engine.compiled.emit import of_weights
from rnnmc.engine.compiled.symbols import MATRIX, ROWS, SCALAR, VECTOR, Node, Untraceable
from rnnmc.engine.compiled.trace import Program


@dataclass(frozen=True, eq=False)
class LinearOperation:
    """One linear operation on directions; `of` and `other` are numbers of earlier ones.

    kind: "part" (the directions given), "times" (the recurrent matrix `name`, its transpose if `transposed`), "scale"
    (by the node `vector`), "add" or "subtract" (other), "sum" (over units).
    """

    kind: str
    of: int = -1
    other: int = -1
    vector: Node | None = None
    name: str = ""
    transposed: bool = False


@dataclass
class Transposable:
    """The operations of one step, in order, and which of them give the parts of the result.

    vectors: nodes that scale and are made anew at each step; `forward` and `backward` call them ("kept", number).
    """

    operations: list[LinearOperation] = field(default_factory=list)
    results: tuple[int, ...] = ()
    vectors: list[Node] = field(default_factory=list)
    _met: dict[tuple[object, ...], int] = field(default_factory=dict)

    def add(self, kind: str, of: int, other: int = -1, name: str = "", transposed: bool = False) -> int:
        """The number of one more operation, or of the same one where there is one."""
        return self._added(LinearOperation(kind, of, other, None, name, transposed))

    def scale(self, of: int, vector: Node) -> int:
        """The number of the directions of number `of` times a vector or a number."""
        if vector.kind not in (VECTOR, SCALAR):
            raise Untraceable("directions are scaled by what is no vector")
        return self._added(LinearOperation("scale", of, vector=vector))

    def _added(self, one: LinearOperation) -> int:
        key = one.kind, one.of, one.other, one.vector, one.name, one.transposed
        if key not in self._met:
            self.operations.append(one)
            self._met[key] = len(self.operations) - 1
        return self._met[key]

    def times(self, of: int, matrix: Node, transposed: bool = False) -> int:
        """The number of the directions of number `of` times a matrix, or its transpose."""
        args = matrix.args
        if matrix.op == "input":
            return self.add("times", of, name=matrix.name[1], transposed=transposed)
        if matrix.op == "identity":
            return of
        if matrix.op == "transpose":
            return self.times(of, args[0], not transposed)
        if matrix.op == "product":
            first, second = (args[1], args[0]) if transposed else (args[0], args[1])
            found = self.times(self.times(of, first, transposed), second, transposed)
            return found if len(args) == 2 else self.add("add", found, self.times(of, args[2], transposed))
        if matrix.op in "+-" and all(arg.kind == MATRIX for arg in args):
            if len(args) == 1:
                return self.scale(self.times(of, args[0], transposed), _number(-1.0))
            both = [self.times(of, arg, transposed) for arg in args]
            return self.add("add" if matrix.op == "+" else "subtract", both[0], both[1])
        if found := _scaled(matrix, MATRIX):
            inner, vector = found
            if transposed:
                return self.times(self.scale(of, vector), inner, True)
            return self.scale(self.times(of, inner), vector)
        raise Untraceable(f"{matrix.op} of a matrix has no transpose here")

    def of_rows(self, node: Node, known: dict[Node, int]) -> int:
        """The number of what this node of directions is. known: what was met."""
        if node not in known:
            known[node] = self._of_rows(node, known)
        return known[node]

    def _of_rows(self, node: Node, known: dict[Node, int]) -> int:
        args = node.args
        if node.op == "product":
            found = self.times(self.of_rows(args[0], known), args[1])
            return found if len(args) == 2 else self.add("add", found, self.of_rows(args[2], known))
        if node.op in "+-" and all(arg.kind == ROWS for arg in args):
            numbers = [self.of_rows(arg, known) for arg in args]
            if len(numbers) == 1:
                return self.scale(numbers[0], _number(-1.0))
            return self.add("add" if node.op == "+" else "subtract", numbers[0], numbers[1])
        if node.op == "sum":
            return self.add("sum", self.of_rows(args[0], known))
        if found := _scaled(node, ROWS):
            inner, vector = found
            return self.scale(self.of_rows(inner, known), vector)
        raise Untraceable(f"{node.op} of directions is not linear in them, or has no transpose here")

    def forward(self) -> tuple[Node, ...]:
        """J times the directions, as nodes: one for each part."""
        made: list[Node] = []
        for number, one in enumerate(self.operations):
            of = made[one.of] if one.of >= 0 else None
            made.append(_direction(number) if of is None else self._done(one, of, made))
        return tuple(made[result] for result in self.results)

    def _done(self, one: LinearOperation, of: Node, made: list[Node]) -> Node:
        if one.kind == "times":
            return _times(of, one.name, one.transposed)
        if one.kind == "scale":
            return Node("*", ROWS, (of, self._vector(one)))
        if one.kind == "sum":
            return Node("sum", ROWS, (of,))
        return Node("+" if one.kind == "add" else "-", ROWS, (of, made[one.other]))

    def backward(self) -> tuple[Node, ...]:
        """The transposed J times the directions: what comes back from all that an operation led to is added up."""
        back: dict[int, Node] = {}

        def collect(at: int, rows: Node, sign: str = "+") -> None:
            if at in back:
                back[at] = Node(sign, ROWS, (back[at], rows))
            else:
                back[at] = rows if sign == "+" else Node("-", ROWS, (rows,))

        for part, result in enumerate(self.results):
            collect(result, _direction(part))
        for number in range(len(self.operations) - 1, len(self.results) - 1, -1):
            if number not in back:
                continue
            one, rows = self.operations[number], back[number]
            if one.kind == "times":
                back[one.of] = _times(rows, one.name, not one.transposed, back.get(one.of))
            elif one.kind == "scale":
                collect(one.of, Node("*", ROWS, (rows, self._vector(one))))
            elif one.kind == "sum":
                collect(one.of, Node("sum", ROWS, (rows,)))
            else:
                collect(one.of, rows)
                collect(one.other, rows, "+" if one.kind == "add" else "-")
        nothing = Node("*", ROWS, (_direction(0), _number(0.0)))
        return tuple(back.get(part, nothing) for part in range(len(self.results)))

    def _vector(self, one: LinearOperation) -> Node:
        if one.vector is None:
            raise TypeError("an operation that does not scale")
        if is_fixed(one.vector):
            return one.vector
        return Node("input", VECTOR, name=("kept", str(self.vectors.index(one.vector))))

    def of_steps(self) -> Iterator[Node]:
        """The vectors and numbers that scale, each once."""
        yield from dict.fromkeys(one.vector for one in self.operations if one.vector is not None)


def factors_of(program: Program) -> Transposable:
    """What a step does to directions. Raises Untraceable where that is not known to be linear, or has no transpose."""
    if not program.cell.has_matrices:
        raise Untraceable("it has no recurrent matrices")
    found, known = Transposable(), {}
    for i, part in enumerate(program.cell.parts):
        found.operations.append(LinearOperation("part"))
        for node in program.nodes():
            if node.op == "input" and node.name == ("direction", part):
                known[node] = i
    found.results = tuple(found.of_rows(node, known) for node in program.pushed)
    found.vectors = [vector for vector in found.of_steps() if not is_fixed(vector)]
    return found


def is_fixed(node: Node) -> bool:
    """Whether no step changes this vector or number."""
    return node.kind == SCALAR or of_weights(node)


def _scaled(node: Node, kind: str) -> tuple[Node, Node] | None:
    """(what is scaled, by which vector) of a node of this kind that does so."""
    args = node.args
    if node.op == "*" and len(args) == 2:
        first, second = args if args[0].kind == kind else args[::-1]
        return (first, _as_number(second)) if second.kind in (VECTOR, SCALAR) else None
    if node.op == "/" and args[0].kind == kind and args[1].kind in (VECTOR, SCALAR):
        return args[0], Node("reciprocal", args[1].kind, (args[1],))
    return None


def _as_number(node: Node) -> Node:
    return Node("as number", node.kind, (node,)) if node.is_truth else node


def _times(rows: Node, name: str, transposed: bool, plus: Node | None = None) -> Node:
    matrix = Node("input", MATRIX, name=("transposed" if transposed else "recurrent", name))
    return Node("product", ROWS, (rows, matrix, *(() if plus is None else (plus,))))


def _direction(part: int) -> Node:
    return Node("input", ROWS, name=("direction", str(part)))


def _number(value: float) -> Node:
    return Node("number", SCALAR, value=value)
