"""The project's own files agree with each other: dependencies, lock file, environment, schema, links."""

import ast
import graphlib
import importlib
import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import rnnmc
from rnnmc.study.schema import study_schema
from rnnmc.study.study import load_study

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUNTIME = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = [Requirement(line) for lines in PROJECT["optional-dependencies"].values() for line in lines]
DIRECT = [requirement for requirement in RUNTIME + EXTRAS if requirement.name != PROJECT["name"]]
ON_CONDA_FORGE = {"pytorch": "torch", "ray-default": "ray", "python-duckdb": "duckdb"}
OUTSIDE = {"ray", "os", "time", "datetime", "random", "shutil", "subprocess", "tempfile", "pathlib", "socket", "fcntl"}
TUNED = {"DIRECTIONS", "MEMORY", "GATES"}  # one word for what several methods each have of their own
COMES_WITH = {"pydantic-core": "pydantic"}  # of the one version that the other asks for

LOCAL_PATH = re.compile(r"(?<![\w.~:/}\])-])/(?:home|root|work|Users|mnt|srv|opt|scratch)/\w")
REGISTRY = re.compile(
    "|".join(("pypi" + r"\.org/simple", "pythonhosted" + r"\.org", "index-url", "find-links", "trusted-host"))
)
LICENSE_FILE = re.compile("LICEN[CS]E", re.IGNORECASE)
MIT_WORDS = "Permission is hereby granted, free of charge, to any person obtaining a copy"
FREE = re.compile(r"MIT|BSD|Apache|ISC|Python Software Foundation|PSF|MPL|Mozilla|Public Domain|Zlib")  # one of several


def locked() -> dict[str, str]:
    """Name -> version of every package that this Python installs from the lock file."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    found = {}
    for requirement in (Requirement(line) for line in lines if line and not line.startswith("#")):
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", f"{requirement} is not one exact version"
        if requirement.marker is None or requirement.marker.evaluate(dict(default_environment())):
            found[canonicalize_name(requirement.name)] = specifier.version
    return found


def files(*endings: str) -> list[Path]:
    """Every file of the project that git tracks or would, with one of these endings (or any)."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.split("\0") if name]
    return [path for path in paths if path.is_file() and (not endings or path.suffix in endings)]


def imported(path: Path, standard_library: bool = False) -> set[str]:
    """Top-level names of what a Python file imports, anywhere in it, rnnmc aside."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names - {"rnnmc"} - (set() if standard_library else set(sys.stdlib_module_names))


class Room(NamedTuple):
    """A row of the table of docs/design.md: its floor, its modules that touch the outside, and the rooms through which
    it reaches the outside (None where it may reach all)."""

    floor: int
    touching: set[str]
    through: set[str] | None


def rooms() -> dict[str, Room]:
    page = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")]
    found = {}
    for floor, room, _, touches, through in (row for row in rows if row[0].isdigit()):
        names = None if through == "all" else set(re.findall(r"`(\w+)`", through))
        found[room.strip("`/").removesuffix(".py")] = Room(int(floor), set(re.findall(r"`([\w.]+)`", touches)), names)
    return found


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sorted((ROOT / "rnnmc").rglob("*.py"))}


def room_of(module: str) -> str:
    return [*module.split("."), "__init__"][1]


@cache
def needed(module: str) -> frozenset[str]:
    """Modules of rnnmc that this one imports when it runs, inside functions too: not for the type checker alone."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = [ast.Pass()]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rnnmc":
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in MODULES else str(node.module) for name in whole}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "rnnmc"}
    return frozenset(found - {module})


@cache
def reached(module: str) -> frozenset[str]:
    """All modules that this one brings with it, however many imports away, and itself.

    A package brings what it offers by name, and a module the packages that it lies in.
    """
    seen, todo = {module}, [module]
    while todo:
        one = todo.pop()
        text = MODULES[one].read_text(encoding="utf-8")
        packages = re.findall(r'offered\("(rnnmc\.[\w.]+)"', text)
        new = {name for name in MODULES if name.rpartition(".")[0] in packages} | needed(one)
        new |= {parent for name in new if (parent := name.rpartition(".")[0]) != "rnnmc"}
        todo += new - seen
        seen |= new
    return frozenset(seen)


@pytest.mark.slow
def test_every_import_of_the_package_is_a_declared_dependency():
    declared = {canonicalize_name(requirement.name) for requirement in RUNTIME}
    distributions = packages_distributions()
    undeclared = set()
    for path in sorted((ROOT / "rnnmc").rglob("*.py")):
        for module in imported(path):
            names = {canonicalize_name(name) for name in distributions.get(module, [module])}
            if not {COMES_WITH.get(name, name) for name in names} & declared:
                undeclared.add(f"{path.relative_to(ROOT)}: {module}")
    assert not undeclared


def test_the_lock_file_holds_every_dependency_at_a_version_that_pyproject_allows():
    versions = locked()
    for requirement in DIRECT:
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not in requirements.lock; run make lock"
        assert requirement.specifier.contains(version, prereleases=True), (
            f"{requirement} excludes {version}; run make lock"
        )


def test_the_lock_file_leaves_the_cuda_libraries_to_torch():
    assert not [name for name in locked() if name.startswith(("nvidia-", "cuda-", "triton"))]


def test_all_that_the_lock_file_installs_may_be_used_and_passed_on():
    """By what each package says of itself, or by the text that it brings: no licence that reaches to what uses it."""
    unclear = {}
    for name in locked():
        about = distribution(name).metadata
        classed = [one.rpartition(" :: ")[2] for one in about.get_all("Classifier") or [] if one.startswith("License")]
        said = about.get("License-Expression") or "; ".join(classed) or about.get("License") or ""
        if not said:
            texts = [path for path in distribution(name).files or () if LICENSE_FILE.match(path.name)]
            said = "MIT" if any(MIT_WORDS in " ".join(path.read_text().split()) for path in texts) else ""
        if not FREE.search(said.replace("General Public License", "")):
            unclear[name] = said
    assert not unclear


def test_environment_yml_names_the_versions_of_the_lock_file():
    entries = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    from_pip = next(entry["pip"] for entry in entries if isinstance(entry, dict))
    pairs = [entry.split("=") for entry in entries if isinstance(entry, str) and re.search(r"\w=\d", entry)]
    pairs += [entry.split("==") for entry in from_pip]
    named = {ON_CONDA_FORGE.get(name, name): version for name, version in pairs}
    assert named == {name: locked()[name] for name in {canonicalize_name(requirement.name) for requirement in DIRECT}}


def test_environment_yml_asks_for_a_python_that_the_package_runs_on():
    entries = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    (python,) = (entry for entry in entries if isinstance(entry, str) and entry.startswith("python "))
    assert PROJECT["requires-python"] in python


def test_the_package_shows_three_doors_and_the_rooms_of_docs_design():
    shown = {path.stem for path in (ROOT / "rnnmc").iterdir() if path.is_dir() or path.suffix == ".py"} - {
        "__pycache__"
    }
    assert shown == set(rooms())
    doors = {"__init__", "cli", "workflow"}
    assert {path.stem for path in (ROOT / "rnnmc").glob("*.py")} < doors
    assert len(shown - doors) <= 16


@pytest.mark.slow
def test_a_room_imports_from_the_floors_below_it_alone():
    floor = {room: one.floor for room, one in rooms().items()}
    upwards = [
        f"{module} imports {other}"
        for module in MODULES
        for other in needed(module)
        if room_of(module) != room_of(other) and floor[room_of(other)] >= floor[room_of(module)]
    ]
    assert len(floor) >= 18
    assert not upwards


def test_no_module_imports_itself_by_a_circle():
    graph = graphlib.TopologicalSorter({module: needed(module) for module in MODULES})
    assert list(graph.static_order())  # raises CycleError, which names the circle


def test_no_module_is_longer_than_400_lines():
    lengths = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in MODULES.items()}
    assert not {module: length for module, length in lengths.items() if length > 400}


@cache
def public_names(module: str) -> frozenset[str]:
    """Classes, aliases and constants of a module, those for the type checker alone aside."""
    names = set()
    for node in ast.parse(MODULES[module].read_text(encoding="utf-8")).body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        names |= {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
        names |= {node.name} if isinstance(node, ast.ClassDef) else set()
    return frozenset(name for name in names if name[0].isupper())


@pytest.mark.slow
def test_a_class_and_what_others_import_have_a_name_that_means_one_thing():
    """Constants that a file keeps to itself may share a name; so do attributes by which things are found, and TUNED."""
    found_by = {"CELL", "LAW", "PRESET", "DRIVE", "OBSERVABLE", "SUMMARY", "PICTURE", "ANALYSIS", "CLAIM", "SCHEMA"}
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in MODULES.values()]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    shared = {alias.name for node in nodes for alias in node.names} - found_by - TUNED
    where: dict[str, list[str]] = {}
    for module in MODULES:
        for name in public_names(module):
            if not name.isupper() or name in shared:
                where.setdefault(name, []).append(module)
    assert not {name: modules for name, modules in where.items() if len(modules) > 1}


@pytest.mark.slow
def test_what_touches_the_outside_stands_in_docs_design_however_many_imports_away():
    touching = {module for module, path in MODULES.items() if imported(path, standard_library=True) & OUTSIDE}
    for room, said in rooms().items():
        inside = [module for module in MODULES if room_of(module) == room]
        short = {module: module.removeprefix(f"rnnmc.{room}").removeprefix(".") or "__init__" for module in inside}
        names = {short[module] if room != "workflow" else room for module in inside if module in touching}
        assert names == said.touching, room
        if said.through is not None:
            reaching = {room_of(other) for module in inside for other in reached(module) & touching} - {room}
            assert reaching == said.through, room


def test_every_direct_dependency_has_its_line_in_docs_dependencies():
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    told = {canonicalize_name(name) for name in re.findall(r"^\| `([\w.-]+)`", page, re.MULTILINE)}
    assert told == {canonicalize_name(requirement.name) for requirement in DIRECT}


def test_the_schema_file_is_what_the_study_model_says():
    path = ROOT / "workflow/schemas/study.schema.json"
    assert json.loads(path.read_text(encoding="utf-8")) == study_schema(), "run make schema"


@pytest.mark.process
def test_the_list_of_what_comes_with_rnnmc_is_what_git_tracks():
    """Of the rooms whose files are found by name: what is not in it is somebody's own, with a source in every key."""
    listed = (ROOT / "rnnmc/common/modules.txt").read_text(encoding="utf-8").split()
    command = [
        "git",
        "ls-files",
        *(f"rnnmc/{room}/*.py" for room in ("cells", "drives", "initialisers", "observables")),
    ]
    try:
        tracked = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    assert sorted(module_of(ROOT / path) for path in tracked) == listed, "run make modules"


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_every_study_that_comes_with_rnnmc_is_valid_and_named_after_its_file(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert load_study(path).study == path.stem


@pytest.mark.process
def test_no_file_holds_a_path_of_one_machine_or_the_address_of_a_package_registry():
    found = []
    for path in files():
        if path == Path(__file__):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if LOCAL_PATH.search(line) or REGISTRY.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not found


@pytest.mark.process
def test_no_file_holds_both_sides_of_a_merge():
    marked = re.compile(rf"^\s*(?:{'<' * 7}|{'>' * 7}) \S", re.MULTILINE)
    assert marked.search(f"one\n    {'<' * 7} HEAD\n")
    looked_at = [path for path in files() if path.suffix in {".py", ".md", ".yaml", ".toml", ".c", ".h", ".j2", ""}]
    assert len(looked_at) > 100
    assert not [path for path in looked_at if marked.search(path.read_text(encoding="utf-8", errors="replace"))]


@pytest.mark.process
def test_every_relative_link_of_a_page_leads_somewhere():
    links = [
        (path, target)
        for path in files(".md")
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
        if not re.match(r"\w+:|#", target)
    ]
    assert not [(str(path), target) for path, target in links if not (path.parent / target.split("#")[0]).exists()]


def test_changelog_and_citation_name_the_version_of_the_package():
    version = PROJECT["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == version
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("room", ["study", "statistics", "store", "report", "claims", "chain", "cells"])
def test_what_a_room_offers_at_its_door_is_there(room):
    package = importlib.import_module(f"rnnmc.{room}")
    for name in getattr(package, "_PLACES", ["claims"] if room == "claims" else ["cell"]):
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = package.no_such_name


def test_everything_that_the_package_offers_is_there():
    assert len(rnnmc.__all__) >= 9
    assert all(getattr(rnnmc, name) is not None for name in rnnmc.__all__)
    assert dir(rnnmc) == sorted([*rnnmc.__all__, "__version__"]), "what a notebook completes"
