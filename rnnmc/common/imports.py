"""What one Python source imports, and what else it reads that no import shows: files, the environment, the clock.

Read from its syntax alone, functions and branches too: nothing of it runs. `rnnmc.common.sources` walks on from here.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import resolve_name

BUILTIN = {"open", "input", "exec", "eval", "__import__"}
IMPORTERS = {"importlib.import_module", "__import__"}
# what gives other values in another folder, on another day, at another call; by the full name
OUTSIDE = re.compile(
    r"""open|input|exec|eval|sys\.(argv|stdin)
    |os\.(environb?|getenvb?|open|popen|system|listdir|scandir|walk|stat|urandom|getpid|cpu_count|getcwd|times)
    |(io|codecs|gzip|bz2|lzma)\.(open|FileIO|\w+File)
    |(zipfile|tarfile|shelve|sqlite3|mmap|fileinput|glob|subprocess|socket|urllib|requests|http|ctypes|runpy|imp)\..+
    |importlib\.(util\.(spec_from_file_location|module_from_spec)|machinery\..+|resources\..+|reload)|pkgutil\.get_data
    |time\.(?!sleep$).+|datetime\.(.+\.)?(now|today|utcnow)
    |random\..+|secrets\..+|uuid\.(uuid1|uuid4|getnode)|numpy\.random\..+
    |torch\.((rand|randn|randint)(_like)?|randperm|normal|bernoulli|multinomial|poisson|\w*dropout\w*
        |seed|initial_seed|random\..+|nn\.init\..+
        |nn\.functional\.(\w*dropout\w*|rrelu|gumbel_softmax))
    """,
    re.VERBOSE,
)
SEEDED = re.compile(  # classes, and what makes one: with a seed they are said, and as an annotation they draw nothing
    r"numpy\.random\.(default_rng|RandomState|SeedSequence|Generator|BitGenerator|PCG64\w*|Philox|MT19937|SFC64)"
    r"|random\.(Random|SystemRandom)"
)
LAYERS = re.compile(  # which draw their weights
    r"torch\.nn\.(\w*Dropout\w*|RReLU|Linear|Bilinear|Conv\w+|(RNN|LSTM|GRU)\w*|Embedding\w*|Multihead\w+|Transformer\w*)"
)
# by the last word alone, of any module that is not followed
READERS = re.compile(
    r"(safe_|full_|unsafe_)?load(txt|mat|_\w+)?|genfromtxt|fromfile|memmap|read|read_\w+|scan_\w+|open|open_\w+|imread"
    r"|urlopen|File|from_pretrained"
)
DRAWS = ("normal", "log_normal", "uniform", "bernoulli", "random", "exponential", "cauchy", "geometric")
METHODS = {"read_text", "read_bytes", "open", *(f"{name}_" for name in DRAWS)}  # of whatever it is
SEEDS = {"torch.manual_seed": "torch.", "numpy.random.seed": "numpy.random.", "random.seed": "random."}


@dataclass(frozen=True)
class Sight:
    """Something that a source reads and no file of it says. name: in full, the module first where it is of one."""

    name: str
    line: int

    @property
    def libraries(self) -> list[str]:
        """What may be the module that it is of, and that may be one's own."""
        parts = self.name.split(".")
        return [".".join(parts[:end]) for end in range(1, len(parts))]


@dataclass
class Read:
    """modules: full names of what is imported, each with whether it must be there. sights: what cannot be followed."""

    modules: dict[str, bool] = field(default_factory=dict)
    sights: list[Sight] = field(default_factory=list)


def read(source: bytes, package: str) -> Read:
    """What this source of a module in `package` ("" for none) imports and sees; nothing where it is no Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return Read()
    reader = _Reader(package)
    for look in (reader.before, reader.imports, reader.rename, reader.call, reader.look):
        for node in ast.walk(tree):
            look(node)
    return reader.result()


def says_nothing(source: bytes) -> bool:
    """Whether there is no statement in it, as in most files that only make a folder a package."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return False
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


def _only_if_there(node: ast.AST) -> Iterator[ast.AST]:
    """Imports that nobody misses: of a `try` that says what to do otherwise, or for the type checker alone."""
    caught = isinstance(node, ast.Try) and any(
        one.type is None or re.search("Import|ModuleNotFound|Exception", ast.unparse(one.type)) for one in node.handlers
    )
    if caught or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
        yield from ast.walk(node)


class _Reader:
    """The names of one source, and what they stand for."""

    def __init__(self, package: str):
        self.package, self.found = package, Read()
        self.names: dict[str, str] = {}  # as the source has it -> full name
        self.stars: list[str] = []
        self.optional: set[int] = set()
        self.bound: set[str] = set()  # names that the source itself gives to something
        self.excused: set[int] = set()  # functions that are called with a generator
        self.seeded: list[str] = []

    def before(self, node: ast.AST) -> None:
        """Which imports nobody would miss, and which names are the source's own."""
        self.optional |= {id(inner) for inner in _only_if_there(node)}
        if isinstance(node, ast.arg):
            self.bound.add(node.arg)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            self.bound.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            self.bound.add(node.id)

    def imports(self, node: ast.AST) -> None:
        """What it imports, and the names that it gives to that."""
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            return
        needed = id(node) not in self.optional
        if isinstance(node, ast.Import):
            for alias in node.names:
                self._module(alias.name, needed)
                top = alias.name.partition(".")[0]
                self.names[alias.asname or top] = alias.name if alias.asname else top
            return
        base = self._absolute("." * node.level + (node.module or ""))
        self._module(base, needed)
        for alias in node.names:
            if alias.name == "*":
                self.stars.append(base)
            else:
                self._module(f"{base}.{alias.name}", False)  # or only a name in it
                self.names[alias.asname or alias.name] = f"{base}.{alias.name}"

    def _module(self, name: str, needed: bool) -> None:
        if name:
            self.found.modules[name] = self.found.modules.get(name, False) or needed

    def _imported(self, node: ast.Call) -> str:
        """The module that a function imports which is called with its name, or "" where that is computed."""
        said = [one.value for one in node.args[:2] if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        at_first = bool(node.args) and isinstance(node.args[0], ast.Constant)
        return self._absolute(*said) if said and at_first else ""

    def _absolute(self, name: str, package: str | None = None) -> str:
        try:
            return resolve_name(name, package or self.package or None)
        except ImportError:
            return ""

    def rename(self, node: ast.AST) -> None:
        """A second name of what an import has named, as in `draw = np.random`."""
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            full = self._full(node.value)
            if full and node.targets[0].id not in self.names:
                self.names[node.targets[0].id] = min(full)

    def call(self, node: ast.AST) -> None:
        """Imports by a function, seeds and what is drawn with one, and methods that read whatever has them."""
        if not isinstance(node, ast.Call):
            return
        names, given = self._full(node.func), [*node.args, *(one.value for one in node.keywords)]
        if names & IMPORTERS:
            if absolute := self._imported(node):
                self._module(absolute, id(node) not in self.optional)
            else:
                self._see(node, min(names & IMPORTERS))
        with_seed = bool(given) and not (isinstance(given[0], ast.Constant) and given[0].value is None)
        self.seeded += [SEEDS[name] for name in names if name in SEEDS and with_seed]
        if any(one.arg == "generator" for one in node.keywords):
            self.excused.add(id(node.func))
        for name in names:
            if LAYERS.fullmatch(name) or (SEEDED.fullmatch(name) and not with_seed):
                self._see(node, name)
        if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS and not names:
            self._see(node, node.func.attr)

    def look(self, node: ast.AST) -> None:
        """Whether this name or attribute is something that gives what no source says."""
        if not isinstance(node, (ast.Name, ast.Attribute, ast.Call)) or id(node) in self.excused:
            return
        if isinstance(node, ast.Call) and not self._is_getattr(node):
            return
        for name in self._full(node):
            base, _, last = name.rpartition(".")
            outside = OUTSIDE.fullmatch(name) and name not in SEEDS and not SEEDED.fullmatch(name)
            if outside or (base and READERS.fullmatch(last) and not base.startswith("rnnmc")):
                self._see(node, name)

    def _see(self, node: ast.AST, name: str) -> None:
        self.found.sights.append(Sight(name, getattr(node, "lineno", 0)))

    def _full(self, node: ast.AST) -> set[str]:
        """Full names of what an expression may be; none where it is no name of an imported or a built-in thing."""
        if isinstance(node, ast.Name):
            if node.id in self.names:
                return {self.names[node.id]}
            built_in = {node.id} & BUILTIN - self.bound
            unknown = node.id not in self.bound and not hasattr(builtins, node.id)
            return built_in | {f"{module}.{node.id}" for module in self.stars if module and unknown}
        if isinstance(node, ast.Attribute):
            return {f"{name}.{node.attr}" for name in self._full(node.value)}
        if isinstance(node, ast.Call) and self._is_getattr(node):
            return {f"{name}.{node.args[1].value}" for name in self._full(node.args[0])}  # pyright: ignore
        if isinstance(node, ast.Call) and self._full(node.func) & IMPORTERS and (name := self._imported(node)):
            return {name}
        return set()

    @staticmethod
    def _is_getattr(node: ast.Call) -> bool:
        named = isinstance(node.func, ast.Name) and node.func.id == "getattr"
        return named and len(node.args) > 1 and isinstance(node.args[1], ast.Constant)

    def result(self) -> Read:
        """What was found, each sight once, without what the source seeds itself."""
        seeded = tuple(self.seeded)
        kept = [one for one in self.found.sights if not (one.name.startswith(seeded) and OUTSIDE.fullmatch(one.name))]
        once = {(one.name.partition(".")[0], one.line): one for one in sorted(kept, key=lambda one: -len(one.name))}
        self.found.sights = sorted(once.values(), key=lambda one: one.line)
        return self.found
