"""The C of one step of a traced cell, to stand between `step.h` and `chain.c`."""

from __future__ import annotations

import math
from pathlib import Path

from rnnmc.engine.compiled.symbols import COMPARISONS, FUNCTIONS, MATRIX, ROWS, TRUTHS, VECTOR, Node, Untraceable
from rnnmc.engine.compiled.trace import Program
from rnnmc.numerics.compiler import step_header

HERE = Path(__file__).parent
ROWS_OF = {VECTOR: "1", MATRIX: "N", ROWS: "K"}
AS_A_WHOLE = ("product", "sum", "transpose")  # of what must be there as a whole before


def source(
    program: Program, width: int, bits: int, by_replicate: bool, apart: bool = False, alone: bool = False
) -> str:
    """C source of the chain of this cell. bits: 32 or 64, of a number. by_replicate: see `step.h`.

    apart: as of `rnnmc.chain.product.follow`. alone: of the units of networks, each as a network of one unit (width 1),
    with the drive of its replicate (`rnnmc.engine.units`).

    Raises Untraceable for a constant that has no values at this width.
    """
    step = StepSource(program, width)
    chain = (HERE / "chain.c").read_text(encoding="utf-8")
    more = f"{over_units()}\n" if step.needs_more else ""
    said = step.defines(bits, by_replicate, APART=int(apart), UNITS=int(alone))
    return f"{said}\n{step_header()}\n{more}{step.text()}\n{chain}"


def over_units() -> str:
    """What the C of some cells needs beside `step.h`."""
    return (HERE / "over_units.c").read_text(encoding="utf-8")


OPERATIONS = {
    "identity": "identity({k}, {j})",
    "width": "splat((real)N)",
    ">": "positive({0} - {1})",
    "where": "choose({0} != splat(0), {1}, {2})",
    "as number": "{0}",
    "and": "({0} * {1})",
    "or": "indicator({0} + {1} != splat(0))",
    "xor": "indicator({0} != {1})",
    "not": "(splat(1) - {0})",
}


def of_weights(node: Node) -> bool:
    """Whether this is a vector that no step changes, as it is a function of weights alone."""
    if node.op == "input":
        return node.name[0] in ("recurrent", "bias")
    return node.kind == VECTOR and node.op not in AS_A_WHOLE and all(of_weights(arg) for arg in node.args)


class StepSource:
    """The function `step`: what rests on no product first, then level by level what rests on one more.

    work: the numbers of rows, as C, of what is kept in the array of that name. fixed: vectors that no step changes, as
    they are functions of weights alone; `prepare` makes them, once for all steps of a segment.
    """

    def __init__(self, program: Program, width: int):
        self.program, self.width = program, width
        self.level: dict[Node, int] = {}
        for node in program.nodes():
            self.level[node] = max((self.level[arg] for arg in node.args), default=0) + (node.op in AS_A_WHOLE)
        factors = {arg for node in self.level if node.op in ("product", "transpose") for arg in node.args[:2]}
        self.constants = [node for node in self.level if node.op == "constant"]
        self.kept: dict[Node, str] = {}  # node -> the array that holds it
        self.work: list[str] = []
        self.fixed = [node for node in self.level if node.op != "input" and of_weights(node)]
        for node in self.level:
            if node.op == "input":
                self.kept[node] = self._given(*node.name)
            elif node in program.pushed:
                self.kept[node] = f"(pushed + {program.pushed.index(node)} * K * NJ)"
            elif node in self.fixed:
                self.kept[node] = f"(fixed + {self.fixed.index(node)} * NJ)"
            elif node.kind == VECTOR:
                self.kept[node] = f"v{len(self.kept)}"
            elif node.op in AS_A_WHOLE or node in factors:
                self.kept[node] = f"(work + ({' + '.join(['0', *self.work])}) * NJ)"
                self.work.append(ROWS_OF[node.kind])

    def defines(self, bits: int, by_replicate: bool, **more: int) -> str:
        """What is fixed in the C of this cell at this width, and `more`. bits, by_replicate: as of `source`."""
        cell = self.program.cell
        said = {
            "REAL_BITS": bits,
            "BY_REPLICATE": int(by_replicate),
            "N": self.width,
            "PARTS": len(cell.parts),
            "GATES": len(cell.gates),
            "RECURRENT": len(cell.recurrent),
            "INNER": len(cell.inner),
            "DIAGONAL": int(cell.diagonal),
            "BOUNDED": int(cell.bounded),
            "CAN_DIE": int(cell.can_die),
            "FIXED": len(self.fixed),
            "WORK": "(" + " + ".join(["0", *self.work]) + ")",
        }
        return "".join(f"#define {name} {value}\n" for name, value in (said | more).items())

    @property
    def needs_more(self) -> bool:
        """Whether it does what is in `over_units.c`; ours do not."""
        named = {node.op for node in self.level}
        return bool(named & {"sum", "transpose", "constant", *TRUTHS} - {">"})

    def _given(self, role: str, name: str) -> str:
        cell = self.program.cell
        if role == "recurrent":
            return f"(u + {cell.recurrent.index(name)} * M * NJ)"
        if role in ("state", "direction"):
            part = cell.parts.index(name)
            return f"(s + {part} * NJ)" if role == "state" else f"(d + {part} * K * NJ)"
        names = list(cell.gates if role == "drive" else cell.inner)
        return f"({'drive' if role == 'drive' else 'inner'} + {names.index(name)} * NJ)"

    def text(self) -> str:
        """Both functions, and the constants before them."""
        tables = [self._table(i, node) for i, node in enumerate(self.constants)]
        lines = ["EACH void prepare(const lane *u, const lane *inner, lane *fixed)", "{", *self._vectors(self.fixed)]
        prepare = "\n".join([*lines, "    (void)u, (void)inner, (void)fixed;", "}", ""])
        return "\n".join([*tables, prepare, self._step()])

    def _table(self, i: int, node: Node) -> str:
        try:
            values = node.values(self.width) if node.values else []
        except Exception as error:  # of a function of the cell's own
            raise Untraceable(f"{error}") from error
        return f"static const real constant{i}[N] = {{{', '.join(_number(value) for value in values)}}};"

    def _step(self) -> str:
        made = [node for node in self.kept if node.op != "input" and node not in self.fixed]
        names = ("u", "inner", "fixed", "drive", "d")
        lines = [
            f"EACH void step({', '.join(f'const lane *{name}' for name in names)}, lane *s, lane *pushed, lane *work)"
        ]
        lines += ["{", *(f"    lane {self.kept[node]}[NJ];" for node in made if node.kind == VECTOR)]
        lines += self._levels(made)
        for part, node in enumerate(self.program.pushed):
            place = f"(pushed + {part} * K * NJ)"
            if self.kept.get(node) != place:
                lines.append(self._copied(node, place))
        lines += ["    UNROLL for (int64_t j = 0; j < NJ; j++) {"]
        lines += [f"        const lane next{i} = {self._at(node, 'j')};" for i, node in enumerate(self.program.state)]
        lines += [f"        s[{i} * NJ + j] = next{i};" for i in range(len(self.program.state))]
        return "\n".join([*lines, "    }", "    (void)u, (void)inner, (void)fixed, (void)work;", "}", ""])

    def _levels(self, made: list[Node]) -> list[str]:
        lines: list[str] = []
        for level in range(max(self.level.values(), default=0) + 1):
            here = [node for node in made if self.level[node] == level]
            whole = [node for node in here if node.op in AS_A_WHOLE]
            others = [node for node in here if node.op not in AS_A_WHOLE]
            lines += [self._whole(node) for node in whole]
            lines += self._vectors([node for node in others if node.kind == VECTOR])
            lines += [self._copied(node, self.kept[node]) for node in others if node.kind != VECTOR]
        return lines

    def _whole(self, node: Node) -> str:
        if node.op == "sum":
            return f"    SUM({self.kept[node]}, {ROWS_OF[node.kind]}, ({self._at(node.args[0], 'j', 'k')}))"
        if node.op == "transpose":
            return f"    TRANSPOSE({self.kept[node]}, {self.kept[node.args[0]]})"
        rows, matrix, *plus = node.args
        added = self._at(plus[0], "j", "k") if plus else "splat(0)"
        return (
            f"    PRODUCT({self.kept[node]}, {ROWS_OF[node.kind]}, {self.kept[rows]}, {self.kept[matrix]}, ({added}))"
        )

    def _vectors(self, nodes: list[Node]) -> list[str]:
        if not nodes:
            return []
        lines = [f"        {self.kept[node]}[j] = {self._operation(node, 'j', '0')};" for node in nodes]
        return ["    UNROLL for (int64_t j = 0; j < NJ; j++) {", *lines, "    }"]

    def _copied(self, node: Node, place: str) -> str:
        rows, value = ROWS_OF[node.kind], self._operation(node, "j", "k")
        loops = f"for (int64_t j = 0; j < NJ; j++) for (int64_t k = 0; k < {rows}; k++)"
        return f"    {loops} {place}[AT({rows}, k, j)] = {value};"

    def _at(self, node: Node, j: str, k: str = "0") -> str:
        """Lane j of row k of a node, as a C expression."""
        if node not in self.kept:
            return self._operation(node, j, k)
        return f"{self.kept[node]}[{j if node.kind == VECTOR else f'AT({ROWS_OF[node.kind]}, {k}, {j})'}]"

    def _operation(self, node: Node, j: str, k: str) -> str:
        args = [self._at(arg, j, k) for arg in node.args]
        if node.op == "input":
            return self._at(node, j, k)
        if node.op in OPERATIONS:
            return OPERATIONS[node.op].format(*args, k=k, j=j)
        if node.op == "number":
            return f"splat({_number(node.value)})"
        if node.op == "constant":
            return f"of_unit(constant{self.constants.index(node)}, {j})"
        if node.op in FUNCTIONS:
            return f"{node.op}_({args[0]})"
        if node.op in COMPARISONS.values():
            return f"indicator({args[0]} {node.op} {args[1]})"
        return f"({f' {node.op} '.join(args)})" if len(args) == 2 else f"(-{args[0]})"


def _number(value: float) -> str:
    return f"(real){value!r}" if math.isfinite(value) else f"(real){str(value).upper().replace('INF', 'INFINITY')}"
