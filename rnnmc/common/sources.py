"""The source behind a thing of one's own: every file that its numbers depend on, and what no file says.

A module's imports are followed, and those of what it imports, however many files away: those that its text shows and
those that lie in its names. Not into Python itself, nor into rnnmc, whose changes `ENGINE` tells; of an installed
package its version counts.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from rnnmc.common.imports import Sight, read, says_nothing

INSTALLED = {"site-packages", "dist-packages"}  # folders of packages that an installer put there
FOUND_HERE = ("rnnmc.cells.", "rnnmc.drives.", "rnnmc.initialisers.", "rnnmc.observables.")  # one's own lie here too


class OwnSource(NamedTuple):
    """digest: SHA-256 of all that is followed, or "" of what comes with rnnmc. unseen: what a digest cannot see."""

    digest: str
    unseen: tuple[str, ...]


OURS = OwnSource("", ())


@dataclass
class OwnFiles:
    """files: path -> content, as first seen. versions: `name version` of installed packages. unseen: for people."""

    files: dict[str, bytes] = field(default_factory=dict)
    versions: set[str] = field(default_factory=set)
    unseen: list[str] = field(default_factory=list)

    def digest(self, besides: Iterable[str] = ()) -> bytes:
        """Of all files and versions, the files of these paths aside; nothing where nothing is left."""
        left = [hashlib.sha256(text).digest() for path, text in self.files.items() if path not in {*besides}]
        return b"".join([*left, *(name.encode() + b"\n" for name in sorted(self.versions))])


def source_of(kind: type) -> OwnSource:
    """Of the class of a law, a drive or an observable, its bases included."""
    if comes_with_rnnmc(kind.__module__):
        return OURS
    if kind not in _known:
        found = follow(base.__module__ for base in kind.__mro__)
        if _origin(kind.__module__) is None:  # said in a notebook or at the prompt
            found.unseen.append(f"the class {kind.__name__}, which stands in no file")
        digest = found.digest()
        _known[kind] = OwnSource(hashlib.sha256(digest).hexdigest() if digest else "", tuple(found.unseen))
    return _known[kind]


def comes_with_rnnmc(module: str) -> bool:
    """Whether a module is one of rnnmc's own: in rooms where things are found by name, those of modules.txt are."""
    if not module.startswith(FOUND_HERE):
        return module.partition(".")[0] == "rnnmc"
    return module in _modules_of_ours()


@cache
def _modules_of_ours() -> frozenset[str]:
    """Written by `make modules`: a file that somebody adds is not in it, and its source is part of the key."""
    return frozenset((Path(__file__).parent / "modules.txt").read_text(encoding="utf-8").split())


_known: dict[type, OwnSource] = {}
_first_seen: dict[str, tuple[ModuleType | None, bytes]] = {}  # path -> a file changed later is not what runs here


def follow(modules: Iterable[str]) -> OwnFiles:
    """All that the modules of these names rest on, themselves included, in the order in which they are met."""
    found, todo = OwnFiles(), [*dict.fromkeys(modules)]
    seen = {*todo}
    for name in todo:  # which grows
        new = [one for one in dict.fromkeys(_visit(name, found)) if one not in seen]
        seen.update(new)
        todo += new
    return found


def _visit(name: str, found: OwnFiles) -> Iterator[str]:
    """Take a module in; the names of those that it brings with it."""
    parent, _, _ = name.rpartition(".")
    if parent:
        yield parent
    origin = _origin(name)
    where = _where(name, origin)
    if where == "installed":
        found.versions.update(_versions(name.partition(".")[0]) or ())
    if where != "own" or origin is None or origin in found.files:
        return
    content, module = _content(name, origin), sys.modules.get(name)
    if content is None:
        found.unseen.append(f"{Path(origin).name}, which cannot be read")
        return
    is_package = Path(origin).stem == "__init__"
    if not says_nothing(content):
        found.files[origin] = content
    seen = read(content, name if is_package else parent)
    for one in seen.sights:
        if not any(_where(library, _origin(library)) == "own" for library in one.libraries):
            found.unseen.append(_told(one, origin))
    for other, needed in seen.modules.items():
        if _origin(other) is not None or _is_there(other):
            yield other
        elif needed:
            found.unseen.append(f"the module {other}, which is not found ({Path(origin).name})")
    yield from _in_names_of(module)


def _told(sight: Sight, origin: str) -> str:
    return f"{sight.name} ({Path(origin).name}, line {sight.line})"


def _in_names_of(module: ModuleType | None) -> Iterator[str]:
    """Modules that lie in the names of a module and of its classes, or that define what lies there."""
    if module is None:
        return
    values = _named(module)
    values += [inner for one in values if getattr(one, "__module__", "") == module.__name__ for inner in _named(one)]
    for one in values:
        maker = one if isinstance(one, (type, FunctionType)) else type(one)
        other = one.__name__ if isinstance(one, ModuleType) else getattr(maker, "__module__", None)
        if isinstance(other, str) and other in sys.modules:
            yield other


def _named(thing: Any) -> list[Any]:
    inside = vars(thing) if isinstance(thing, (type, ModuleType)) else {}
    return [value for name, value in inside.items() if not name.startswith("__")]


def _content(name: str, origin: str) -> bytes | None:
    """The file of a module as it was when this process first saw the module that it holds now."""
    module = sys.modules.get(name)
    known = _first_seen.get(origin)
    if module is None or known is None or known[0] is not module:
        try:
            known = module, Path(origin).read_bytes()
        except OSError:
            return None
        _first_seen[origin] = known
    return known[1]


def _origin(name: str) -> str | None:
    """The file of a module, loaded or not, without importing anything; None where it has none."""
    module = sys.modules.get(name)
    if module is not None:
        return getattr(module, "__file__", None)
    return getattr(_spec(name), "origin", None)


def _is_there(name: str) -> bool:
    return name in sys.modules or _spec(name) is not None


def _spec(name: str) -> Any:
    """What the import system knows of a module that is not loaded."""
    parent, _, _ = name.rpartition(".")
    path = None
    if parent:
        loaded = sys.modules.get(parent)
        path = getattr(loaded, "__path__", None) or getattr(_spec(parent), "submodule_search_locations", None)
        if path is None:
            return None
    for finder in sys.meta_path:
        with suppress(Exception):  # whoever put it there
            if (spec := finder.find_spec(name, path, None)) is not None:
                return spec
    return None


def _where(name: str, origin: str | None) -> str:
    """`own` where a module's file is to be followed, `installed` where its version counts, "" otherwise."""
    if origin is None or origin in ("built-in", "frozen"):
        return ""
    if comes_with_rnnmc(name):
        return ""
    path = Path(origin)
    if INSTALLED & {*path.parts}:
        return "installed" if _versions(name.partition(".")[0]) is not None else "own"
    return "" if path.is_relative_to(Path(os.__file__).parent) else "own"


@cache
def _versions(top: str) -> tuple[str, ...] | None:
    """`name version` of what is installed under this name; None where nobody installed it, or from a folder here.

    Nothing of what rnnmc itself needs: those versions are the lock file's, and stand in every shard.
    """
    packages = _packages(top)
    for one in packages:
        address = json.loads(one.read_text("direct_url.json") or "{}")
        if "dir_info" in address:
            return None  # built from a folder: what is in it may change under one version
    said = {one.name: one.version for one in packages if one.name.lower() not in _needed_by_rnnmc()}
    return tuple(f"{name} {number}" for name, number in said.items()) if packages else None


def _packages(top: str) -> list[importlib.metadata.Distribution]:
    """What was installed and holds the module of this name."""
    try:
        return [importlib.metadata.distribution(top)]  # most are called after their module; the list takes longer
    except importlib.metadata.PackageNotFoundError:
        names = importlib.metadata.packages_distributions().get(top, ())
        return [importlib.metadata.distribution(name) for name in dict.fromkeys(names)]


@cache
def _needed_by_rnnmc() -> set[str]:
    lines = importlib.metadata.requires("rnnmc") or ()
    return {re.split(r"[^\w.-]", line)[0].lower() for line in lines if "extra ==" not in line}


@cache
def digest_of_rnnmc() -> str:
    """Of rnnmc itself, its C included."""
    digest, package = hashlib.sha256(), Path(__file__).parents[1]
    for path in sorted(path for ending in ("py", "c", "h") for path in package.rglob(f"*.{ending}")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
