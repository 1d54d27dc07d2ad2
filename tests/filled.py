"""No test passes on an empty input: a loop that goes round no time, or an assertion about all of nothing, fails it.

pytest rewrites the assertions of a test file as it imports it. Before it does, `Filled` puts into the hands of `over`
what a loop with an assertion goes over, and every loop of a test function; and, inside assertions, what `all`, `any`
and `not [...]` go over, and into those of `sized` the arrays of `.all()`, `.any()`, `array_equal`, `assert_allclose`.
What stayed empty through a whole test is told at its end. Where a loop may be empty its line says `# may be empty`.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import _pytest.assertion.rewrite as pytest_rewrites

NAME = "_filled_"
EXCUSE = b"# may be empty"
COMPARES = {"array_equal", "equal", "allclose", "assert_allclose", "assert_array_equal", "assert_equal"}
ELEMENTS: dict[str, int] = {}  # place -> how many elements were seen there in the test that runs


def over(iterable: Iterable[Any], place: str) -> Iterator[Any]:
    ELEMENTS.setdefault(place, 0)
    for one in iterable:
        ELEMENTS[place] += 1
        yield one


def sized(value: Any, place: str) -> Any:
    import numpy as np  # not before `threads`

    number = value.numel() if hasattr(value, "numel") else value.len() if hasattr(value, "len") else np.size(value)
    ELEMENTS[place] = ELEMENTS.get(place, 0) + (number if isinstance(number, int) else 1)  # an expression of polars: 1
    return value


def empty() -> list[str]:
    """Places of this test where there was nothing."""
    return [place for place, number in ELEMENTS.items() if not number]


class Filled(ast.NodeTransformer):
    """The tree of a test file with everything counted that an assertion may find empty."""

    def __init__(self, path: Path, lines: list[bytes]):
        self.path, self.lines = path, lines
        self.functions: list[str] = []

    def counted(self, function: str, node: ast.expr, of: ast.AST | None = None) -> ast.expr:
        of = of or node
        line: int = of.lineno  # pyright: ignore[reportAttributeAccessIssue]
        if EXCUSE in self.lines[line - 1]:
            return node
        said = ast.unparse(of).splitlines()[0].removesuffix(":")
        place = ast.Constant(f"{self.path}:{line}: {said}")
        call = ast.Call(ast.Attribute(ast.Name(NAME, ast.Load()), function, ast.Load()), [node, place], [])
        return ast.copy_location(call, node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.functions.append(node.name)
        self.generic_visit(node)
        self.functions.pop()
        return node

    def visit_For(self, node: ast.For) -> ast.AST:
        asserts = any(isinstance(inner, ast.Assert) or _compares(inner) for inner in ast.walk(node))
        iterated = self.counted("over", node.iter, node) if self._tests(asserts) else node.iter
        self.generic_visit(node)
        node.iter = iterated
        return node

    def _tests(self, asserts: bool) -> bool:
        return bool(self.functions) and (asserts or self.functions[-1].startswith("test_"))

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        self.generic_visit(node)
        for inner in ast.walk(node.test):
            if isinstance(inner, ast.Call):
                self._call(inner)
            elif isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.Not):
                self._comprehension(inner.operand)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        self.generic_visit(node)
        if _compares(node.value):
            self._call(node.value)  # pyright: ignore[reportArgumentType]
        return node

    def _call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func).rpartition(".")[2]
        if isinstance(node.func, ast.Name) and name in ("all", "any") and node.args:
            self._comprehension(node.args[0])
        elif isinstance(node.func, ast.Attribute) and name in ("all", "any") and not self._counted(node.func.value):
            node.func.value = self.counted("sized", node.func.value)
        elif isinstance(node.func, ast.Attribute) and name in COMPARES and node.args:
            node.args[0] = self.counted("sized", node.args[0])

    def _comprehension(self, node: ast.expr) -> None:
        if isinstance(node, (ast.GeneratorExp, ast.ListComp)) and not self._counted(node.generators[0].iter):
            node.generators[0].iter = self.counted("over", node.generators[0].iter)

    @staticmethod
    def _counted(node: ast.expr) -> bool:
        return isinstance(node, ast.Call) and ast.unparse(node.func).startswith(f"{NAME}.")


def instrument(tree: ast.Module, source: bytes, path: Path) -> None:
    """Have the asserting loops and assertions of this tree counted, from when it runs."""
    Filled(path, source.splitlines()).visit(tree)
    first = next((i for i, node in enumerate(tree.body) if not _preamble(node)), len(tree.body))
    tree.body.insert(first, ast.Import([ast.alias(__name__, NAME)], lineno=1, col_offset=0))
    ast.fix_missing_locations(tree)


def _compares(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).startswith("np.testing.")


def _preamble(node: ast.stmt) -> bool:
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return docstring or (isinstance(node, ast.ImportFrom) and node.module == "__future__")


def install() -> None:
    """Once, before pytest imports a test file. What it keeps of rewritten files gets a name of its own."""
    rewrite = pytest_rewrites.rewrite_asserts

    def rewritten(tree: ast.Module, source: bytes, module_path: str | None = None, config: Any = None) -> None:
        path = Path(module_path or "")
        if path.name.startswith("test_"):
            instrument(tree, source, path)
        rewrite(tree, source, module_path, config)

    pytest_rewrites.rewrite_asserts = rewritten
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    pytest_rewrites.PYC_TAIL = f"-filled-{version}{pytest_rewrites.PYC_TAIL}"
