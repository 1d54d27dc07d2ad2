"""The project's own files agree with each other: dependencies, lock file, environment, schema, links."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from rnnmc.study.schema import study_schema
from rnnmc.study.study import load_study

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUNTIME = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = [Requirement(line) for lines in PROJECT["optional-dependencies"].values() for line in lines]
DIRECT = [requirement for requirement in RUNTIME + EXTRAS if requirement.name != PROJECT["name"]]
ON_CONDA_FORGE = {"pytorch": "torch", "ray-default": "ray", "python-duckdb": "duckdb"}
COMES_WITH = {"pydantic-core": "pydantic"}  # of the one version that the other asks for

LOCAL_PATH = re.compile(r"(?<![\w.~:/}\])-])/(?:home|root|work|Users|mnt|srv|opt|scratch)/\w")
REGISTRY = re.compile(
    "|".join(("pypi" + r"\.org/simple", "pythonhosted" + r"\.org", "index-url", "find-links", "trusted-host"))
)


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


def rooms() -> dict[str, tuple[int, str]]:
    """Room -> (row, what it may touch), from the table of docs/design.md."""
    page = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \| .* \| (.*) \|$", page, re.MULTILINE)
    return {
        room: (number, touches)
        for number, (names, touches) in enumerate(rows)
        for room in re.findall(r"`(\w+)(?:\.py|/)`", names)
    }


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "rnnmc").with_suffix("").parts[0]


def rooms_imported(path: Path) -> set[str]:
    """Rooms that a file needs when it runs: not what it imports for the type checker alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = [ast.Pass()]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rnnmc":
            below = str(node.module).split(".")[1:2]
            found |= set(below or [alias.name for alias in node.names])
    return found - {"__version__"}


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


def test_every_room_stands_in_docs_design_and_imports_none_from_a_row_below():
    modules = [path for path in sorted((ROOT / "rnnmc").rglob("*.py")) if room_of(path) != "__init__"]
    assert {room_of(path) for path in modules} == set(rooms())
    row = {room: number for room, (number, _) in rooms().items()}
    upside_down = [
        f"{path.relative_to(ROOT)} imports {room}"
        for path in modules
        for room in rooms_imported(path)
        if row[room] > row[room_of(path)]
    ]
    assert not upside_down


def test_a_room_that_touches_nothing_imports_neither_ray_nor_clock_nor_files():
    impure = {"ray", "snakemake", "os", "time", "datetime", "random", "shutil", "subprocess", "tempfile"}
    pure = {room for room, (_, touches) in rooms().items() if touches.startswith("nothing")}
    reaching = {
        str(path.relative_to(ROOT)): found
        for path in sorted((ROOT / "rnnmc").rglob("*.py"))
        if room_of(path) in pure and (found := imported(path, standard_library=True) & impure)
    }
    assert not reaching


def test_every_direct_dependency_has_its_line_in_docs_dependencies():
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    told = {canonicalize_name(name) for name in re.findall(r"^\| `([\w.-]+)`", page, re.MULTILINE)}
    assert told == {canonicalize_name(requirement.name) for requirement in DIRECT}


def test_the_schema_file_is_what_the_study_model_says():
    path = ROOT / "workflow/schemas/study.schema.json"
    assert json.loads(path.read_text(encoding="utf-8")) == study_schema(), "run make schema"


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_every_study_that_comes_with_rnnmc_is_valid_and_named_after_its_file(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert load_study(path).study == path.stem


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
