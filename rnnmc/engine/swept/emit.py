"""The C of the sweeps of a traced cell: its state step, its directions forwards, and backwards by the transpose."""

from __future__ import annotations

from pathlib import Path

from rnnmc.engine.compiled.emit import AS_A_WHOLE, StepSource, over_units
from rnnmc.engine.compiled.symbols import ROWS, VECTOR, Node
from rnnmc.engine.compiled.trace import Program
from rnnmc.engine.swept.factors import Transposable, factors_of
from rnnmc.numerics.compiler import step_header

HERE = Path(__file__).parent
SWEPT_TOGETHER = (8, 4)  # directions that are carried together, in registers while they meet a panel of a matrix


def source(program: Program, width: int, bits: int) -> str:
    """C source of the sweeps of this cell. bits: 32 or 64, of a number.

    Raises Untraceable where the Jacobian has no factors (see `factors`), or a constant no values at this width.
    """
    factors = factors_of(program)
    walk = _Walk(Program(program.cell, program.state, (), tuple(factors.of_steps())), width, factors)
    defines = walk.defines(bits, False, EVEN_PANELS=1, KEPT=len(factors.vectors))
    parts = [defines, step_header(), over_units(), walk.text(), (HERE / "walk.c").read_text(encoding="utf-8")]
    pushes = {"forward": factors.forward(), "backward": factors.backward()}
    sweep = (HERE / "sweep.c").read_text(encoding="utf-8")
    for rows in SWEPT_TOGETHER:
        parts.append(f"#undef ROWS\n#define ROWS {rows}\n")
        work = [_Push(walk, factors, results) for results in pushes.values()]
        parts += [push.text(f"{name}{rows}") for name, push in zip(pushes, work, strict=True)]
        for name, push in zip(pushes, work, strict=True):
            said = {"PUSH": f"{name}{rows}", "SWEEP": f"sweep_{name}{rows}", "BACKWARD": int(name == "backward")}
            said |= {"WORK": len(push.kept), "AS_IT_IS": int("recurrent" in push.matrices)}
            said["TRANSPOSED"] = int("transposed" in push.matrices)
            parts += [*(f"#undef {key}\n#define {key} {value}" for key, value in said.items()), sweep]
    return "\n".join(parts)


class _Walk(StepSource):
    """The function `walk`: the next state, and the vectors of this step that scale directions, which are kept."""

    def __init__(self, program: Program, width: int, factors: Transposable):
        self.vectors = factors.vectors
        super().__init__(program, width)

    def _step(self) -> str:
        made = [node for node in self.kept if node.op != "input" and node not in self.fixed]
        given = ", ".join(f"const lane *{name}" for name in ("u", "inner", "fixed", "drive"))
        lines = [f"EACH void walk({given}, lane *s, lane *kept, lane *work)", "{"]
        lines += [f"    lane {self.kept[node]}[NJ];" for node in made if node.kind == VECTOR]
        lines += self._levels(made)
        lines += ["    UNROLL for (int64_t j = 0; j < NJ; j++) {"]
        lines += [f"        const lane next{i} = {self._at(node, 'j')};" for i, node in enumerate(self.program.state)]
        kept = enumerate(self.vectors)
        lines += [f"        kept[{i} * NJ + j] = inside({self._at(node, 'j')}, j);" for i, node in kept]
        lines += [f"        s[{i} * NJ + j] = inside(next{i}, j);" for i in range(len(self.program.state))]
        return "\n".join([*lines, "    }", "    (void)u, (void)inner, (void)fixed, (void)work;", "}", ""])

    def vector(self, node: Node, j: str) -> str:
        """Lane j of a vector or number that no step changes, as a C expression."""
        return self._at(node, j)


class _Push:
    """A function that takes ROWS directions through one step. kept: nodes that are there as a whole, in `work`."""

    def __init__(self, walk: _Walk, factors: Transposable, results: tuple[Node, ...]):
        self.walk, self.factors, self.results = walk, factors, results
        self.nodes: list[Node] = []
        uses: dict[Node, int] = {}
        self._meet(results, uses)
        self.matrices = {node.args[1].name[0] for node in self.nodes if node.op == "product"}
        multiplied = {node.args[0] for node in self.nodes if node.op == "product"}
        whole = (node for node in self.nodes if node.op in AS_A_WHOLE or node in multiplied or uses[node] > 1)
        self.kept: dict[Node, str] = {}
        for node in whole:
            if node.op != "input":
                self.kept[node] = f"(work + {len(self.kept)} * ROWS * NJ)"

    def _meet(self, results: tuple[Node, ...], uses: dict[Node, int]) -> None:
        def meet(node: Node) -> None:
            uses[node] = uses.get(node, 0) + 1
            if node.kind == ROWS and uses[node] == 1:
                for arg in node.args:
                    meet(arg)
                self.nodes.append(node)

        for result in results:
            meet(result)

    def text(self, name: str) -> str:
        """The function of this name."""
        arrays = ("u", "ut", "inner", "fixed", "kept", "d")
        lines = [f"EACH void {name}({', '.join(f'const lane *{one}' for one in arrays)}, lane *pushed, lane *work)"]
        lines.append("{")
        for node in self.kept:
            place = self.kept[node]
            if node.op == "product":
                rows, matrix, *plus = node.args
                added = self._at(plus[0]) if plus else "splat(0)"
                at = self.walk.program.cell.recurrent.index(matrix.name[1])
                packed = f"({'ut' if matrix.name[0] == 'transposed' else 'u'} + {at} * N * NJ)"
                lines.append(f"    PRODUCT({place}, ROWS, {self._place(rows)}, {packed}, ({added}))")
            elif node.op == "sum":
                lines.append(f"    SUM({place}, ROWS, ({self._at(node.args[0])}))")
            else:
                lines.append(self._over(f"{place}[AT(ROWS, k, j)] = {self._operation(node)};"))
        for part, node in enumerate(self.results):
            lines.append(self._over(f"(pushed + {part} * ROWS * NJ)[AT(ROWS, k, j)] = {self._at(node)};"))
        return "\n".join([*lines, "    (void)u, (void)ut, (void)inner, (void)fixed, (void)kept, (void)work;", "}", ""])

    def _over(self, what: str) -> str:
        loops = "for (int64_t j = 0; j < NJ; j++) for (int64_t k = 0; k < ROWS; k++)"
        return f"    {loops} {what}"

    def _place(self, node: Node) -> str:
        return f"(d + {node.name[1]} * ROWS * NJ)" if node.op == "input" else self.kept[node]

    def _at(self, node: Node) -> str:
        """Lane j of row k of directions, or lane j of a vector, as a C expression."""
        if node.kind == ROWS:
            known = node.op == "input" or node in self.kept
            return f"{self._place(node)}[AT(ROWS, k, j)]" if known else self._operation(node)
        if node.op == "input" and node.name[0] == "kept":
            return f"kept[{node.name[1]} * NJ + j]"
        return self.walk.vector(node, "j")

    def _operation(self, node: Node) -> str:
        args = [self._at(arg) for arg in node.args]
        return f"({f' {node.op} '.join(args)})" if len(args) == 2 else f"(-{args[0]})"
