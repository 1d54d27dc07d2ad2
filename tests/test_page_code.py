"""What the pages and the helps say to type can be typed: commands parse, targets exist, Python finds its names."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from typer.exceptions import TyperException
from typer.main import get_command
from typer.testing import CliRunner

import rnnmc
from rnnmc.cli import app, main
from rnnmc.study.study import read_study

ROOT = Path(__file__).parents[1]
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("*/*.md")} - {ROOT / "CHANGELOG.md"})  # which tells what was
COMMANDS = get_command(app).commands
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
SETTINGS = set(re.findall(r"^(\w+) \?=", MAKEFILE, re.MULTILINE))
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TYPED = re.compile(r"`((?:\.venv/bin/)?(?:rnnmc|make)\s[^`]+)`")


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in these languages."""
    return [code for language, code in FENCED.findall(page.read_text(encoding="utf-8")) if language in languages]


def commands(line: str) -> Iterator[list[str]]:
    """The commands of a line of shell, also those inside of $( ), without variables before them."""
    for inner in re.findall(r"\$\((.*?)\)", line):
        yield from commands(inner)
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if not set(word) <= set("();<>|&"):
            words += [] if not words and re.match(r"[A-Z_]+=", word) else [word]
        elif words:
            yield words
            words = []


def mistake(words: list[str], whole: bool = True) -> str | None:
    """What is wrong with a command, if it is one that is known; not whole: what it needs may be left out."""
    name, *rest = Path(words[0]).name, *words[1:]
    if name == "make":
        said = {word.partition("=")[0] for word in rest if "=" in word}
        wrong = {word for word in rest if "=" not in word} - TARGETS | {
            one for one in said - SETTINGS if not one.startswith("PYTHON_")
        }
        return f"make: {', '.join(sorted(wrong))}" if wrong else None
    if name.startswith("python") and rest[:1] == ["-c"]:
        return unfound(rest[1])
    if name in ("python", "snakemake") and rest:
        files = {word for word in rest if word.endswith(".py") or word.startswith("profiles/")}
        return ", ".join(f"{one} is not there" for one in sorted(files) if not (ROOT / one).exists()) or None
    if name != "rnnmc" or rest[0] in ("--help", "--version"):
        return None
    if rest[0] not in COMMANDS:
        return f"rnnmc: no command {rest[0]}"
    try:
        with patch.object(Path, "is_dir", return_value=True):  # of results that a reader has by then
            COMMANDS[rest[0]].make_context(rest[0], rest[1:])
    except TyperException as error:
        said = error.format_message()
        return said if whole or not re.search("^Missing|requires an argument", said) else None
    return None


def unfound(code: str) -> str | None:
    """What Python code takes from rnnmc that is not there: a name, or the keyword of a call."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "rnnmc":
            package = importlib.import_module(node.module or "")
            for one in node.names:
                if not hasattr(package, one.name) and importlib.util.find_spec(f"{node.module}.{one.name}") is None:
                    return f"{node.module}.{one.name}"
        if (
            (isinstance(node, ast.Attribute) and ast.unparse(node.value) == "rnnmc")
            and not hasattr(rnnmc, node.attr)
            and importlib.util.find_spec(f"rnnmc.{node.attr}") is None
        ):
            return f"rnnmc.{node.attr}"
        called = re.fullmatch(r"rnnmc\.(\w+)", ast.unparse(node.func)) if isinstance(node, ast.Call) else None
        if isinstance(node, ast.Call) and called and hasattr(rnnmc, called[1]):
            keywords = {one.arg: None for one in node.keywords if one.arg}
            try:
                inspect.signature(getattr(rnnmc, called[1])).bind(*node.args, **keywords)
            except TypeError as error:
                return f"rnnmc.{called[1]}: {error}"
    return None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("rnnmc measur lstm", "no command measur"),
        ("rnnmc measure lstm --widht 64", "No such option"),
        ("A=1 .venv/bin/rnnmc measure lstm --width wide | less", "valid integer"),
        ("rnnmc plan", "Missing argument"),
        ("x && rnnmc show a b", "extra argument"),
        ('ln -s "$(rnnmc dashboard --target)" there', "No such option"),
        ("snakemake --profile profiles/slum", "profiles/slum is not there"),
        ("python benchmarks/bend.py", "benchmarks/bend.py is not there"),
        ("make studdy", "studdy"),
        ("make study CONFG=x.yaml", "CONFG"),
        ('python -c "import rnnmc; rnnmc.measures()"', "rnnmc.measures"),
        ('python -c "import rnnmc; rnnmc.scan(folder=1)"', "missing a required argument"),
        ('python -c "from rnnmc.cells import lstms"', "rnnmc.cells.lstms"),
    ],
)
def test_a_mistake_in_a_line_is_seen(line: str, said: str) -> None:
    assert said in " ".join(filter(None, map(mistake, commands(line))))


@pytest.mark.parametrize("line", ["rnnmc ray -- list tasks  # all", "RAY_ADDRESS=a:1 make study JOBS=8", "rnnmc cells"])
def test_a_line_without_a_mistake_passes(line: str) -> None:
    assert [mistake(words) for words in commands(line)] == [None]


def test_every_command_of_the_pages_parses() -> None:
    found = {"block": 0, "text": 0}
    wrong = []
    for page in PAGES:
        lines = [line for code in blocks(page, "sh") for line in code.replace("\\\n", " ").splitlines()]
        spans = TYPED.findall(FENCED.sub("", page.read_text(encoding="utf-8")))
        for kind, many in (("block", lines), ("text", [" ".join(span.split()) for span in spans])):
            said = [(line, words) for line in many for words in commands(line)]
            found[kind] += len(said)
            wrong += [f"{page.name}: {line}: {bad}" for line, words in said if (bad := mistake(words, kind == "block"))]
    assert not wrong
    assert found["block"] >= 60
    assert found["text"] >= 100


def test_the_studies_that_the_pages_name_are_there() -> None:
    named = {one for page in PAGES for one in re.findall(r"config/(\w+)\.yaml", page.read_text(encoding="utf-8"))}
    assert named - {path.stem for path in ROOT.glob("config/*.yaml")} <= {"mine", "x", "yours"}, "made by the reader"
    assert len(named) >= 12


def test_the_python_of_the_pages_compiles_and_finds_its_names() -> None:
    codes = [(page.name, code) for page in PAGES for code in blocks(page, "python", "py")]
    assert not [(page, bad) for page, code in codes if (bad := unfound(code))]
    assert len(codes) >= 30


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", *(name for name, command in COMMANDS.items() if not command.hidden)])
def test_every_help_ends_with_examples_that_parse_in_80_columns(name: str) -> None:
    said = CliRunner().invoke(app, [*name.split(), "--help"], terminal_width=80).output
    lines = [line.strip() for line in said.partition("\n  Examples:\n")[2].splitlines() if line.strip()]
    assert 1 <= len(lines) <= 2
    assert all(line.startswith(f"rnnmc {name}") for line in lines)
    assert [bad for line in lines for words in commands(line) if (bad := mistake(words))] == []
    assert max(map(len, said.splitlines())) <= 80


class Reached(Exception):
    """A command has read all that it was told."""


@pytest.mark.slow
def test_what_the_pages_measure_is_a_design_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(*_: Any) -> None:
        raise Reached

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for name in ("answer.answered", "rare.rare_answer"):
        monkeypatch.setattr(f"rnnmc.run.{name}", reached)
    (own,) = (code for code in blocks(ROOT / "README.md", "python") if code.startswith("# mycell.py"))
    Path("mycell.py").write_text(own)
    helps = [line.strip() for line in (COMMANDS["measure"].epilog or "").splitlines()]
    pages = [page for page in PAGES if page.name != "extending.md"]  # whose files a test of its own puts in place
    lines = [line for page in pages for code in blocks(page, "sh") for line in code.splitlines()] + helps
    measured = [words for line in lines if "rnnmc measure" in line for words in commands(line)]
    assert len(measured) >= 8
    for words in measured:
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(Reached):
            main()


@pytest.mark.parametrize("code", [code for page in PAGES for code in blocks(page, "yaml")])
def test_the_yaml_of_the_pages_is_read_as_a_study(code: str) -> None:
    for line in code.splitlines():
        entry = yaml.safe_load(line)
        entry = entry if "init" in entry else {"init": entry}
        assert read_study({"study": "page", "points": [{"cell": "lstm", "width": 4, **entry}]}, "page").points


@pytest.mark.slow
def test_the_python_of_the_first_pages_runs_with_smaller_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """All but the search for what to set instead, which a notebook of the gallery runs."""
    smaller = {"width=64": "width=2", "replicates=1000": "replicates=20", "block(point, 0)": "block(point, 0, 20)"}
    for code in [*blocks(ROOT / "README.md", "python"), *blocks(ROOT / "docs/first-study.md", "python")]:
        for large, small in smaller.items():
            code = code.replace(large, small)
        exec("\n".join(line for line in code.splitlines() if "rnnmc.advise" not in line), {})
    assert "p_vanish_at_low" in capsys.readouterr().out


def test_the_source_files_that_pages_name_are_there():
    named = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|c|h|sh))`")
    said = [(page, path) for page in PAGES for path in named.findall(page.read_text(encoding="utf-8"))]
    assert len(said) > 20
    lost = [
        f"{page.name}: {path}"
        for page, path in said
        if not any((top / path).exists() for top in (ROOT, ROOT / "rnnmc"))
    ]
    assert not lost
