"""The application, what its commands share: kinds of argument, and tables that several print."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from rnnmc.common.errors import RunError, UsageError, first_line
from rnnmc.common.quiet import HUSHED, say


class ByFile(TyperGroup):
    """Lists the commands by the file that they stand in, under the words with which it begins."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """See TyperGroup."""
        groups: dict[str, list[tuple[str, str]]] = {}
        shown = {
            name: one for name in self.list_commands(ctx) if (one := self.get_command(ctx, name)) and not one.hidden
        }
        room = formatter.width - 6 - max(map(len, shown))
        for name, command in shown.items():
            file = sys.modules[command.callback.__module__]
            groups.setdefault((file.__doc__ or "").partition(".")[0], []).append(
                (name, command.get_short_help_str(room))
            )
        for words, rows in groups.items():
            with formatter.section(words):
                formatter.write_dl(rows)


def examples(*lines: str) -> str:
    """What stands at the end of a command's help; a test parses each line."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


app = typer.Typer(
    cls=ByFile,
    help="How probable is it that the gradient of a recurrent network vanishes, or explodes? Measured.",
    epilog=examples("rnnmc doctor", "rnnmc measure torch.nn.LSTM --width 64"),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"rnnmc {version('rnnmc')}")
        raise typer.Exit


@app.callback()
def _every(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


def _here(path: Path) -> Path:
    if re.match(r"\w+:/", str(path)) and not path.exists():
        word = str(path).replace(":/", "://", 1)
        raise UsageError(f"{word}: is not on this machine; rnnmc fetch {word} brings it, and rnnmc.scan reads it there")
    if not path.is_dir():
        from rnnmc.store.plan import NO_FOLDER, NOT_OURS

        raise UsageError(f"{path}: {f'is a file; {NOT_OURS}' if path.exists() else NO_FOLDER}")
    return path


def _study_file(said: Path) -> Path:
    from rnnmc.common.shipped import study_file

    path, new = study_file(said)
    if new:
        print(f"{path}: a copy of the study that comes with rnnmc", file=sys.stderr)
    return path


StudyFile = Annotated[
    Path,
    typer.Argument(callback=_study_file, help="study file, or the name of one in config, such as default"),
]
Folder = Annotated[Path, typer.Argument(help="folder of a study, such as results/default", callback=_here)]


def _completed(incomplete: str) -> list[str]:
    """The cells that a shell may complete this to."""
    from rnnmc.cells import cells

    return [name for name in cells() if name.startswith(incomplete)]


CellName = Annotated[
    str,
    typer.Argument(help="a cell (see `rnnmc cells`) or module:attribute of your own", autocompletion=_completed),
]
CellOrLayer = Annotated[
    str,
    typer.Argument(
        metavar="CELL",
        help="a cell (see `rnnmc cells`), a layer (torch.nn.LSTM), or your own module:attribute",
        autocompletion=_completed,
    ),
]
Width = Annotated[int, typer.Option(help="n, units")]
Layers = Annotated[int, typer.Option(help="of so many units each; one above another sees the h of the one below")]
Residual = Annotated[bool, typer.Option("--residual", help="a layer shows its h plus its input")]
VanishBelow = Annotated[float, typer.Option(help="a norm below this has vanished")]
ExplodeAbove = Annotated[float, typer.Option(help="a norm above this has exploded")]
Dtype = Annotated[str, typer.Option(help="float32 or float64")]
Device = Annotated[str, typer.Option(help="auto (a GPU where there is one), cpu or cuda")]
Address = Annotated[str | None, typer.Option(help="of a Ray cluster; else RAY_ADDRESS, else a local Ray")]


def _be_quiet(command: typer.Context, asked: bool) -> None:
    before = HUSHED.set(asked)
    command.call_on_close(lambda: HUSHED.reset(before))


Quiet = Annotated[bool, typer.Option("--quiet", "-q", callback=_be_quiet, help="no progress; what fails is still told")]
_DOCUMENTS: ContextVar[TextIO | None] = ContextVar("documents", default=None)  # where a document goes; standard output


def _one_document(command: typer.Context, asked: bool) -> bool:
    """Standard output is the document's alone: what a user's own cell prints goes where progress does."""
    if asked:
        before = _DOCUMENTS.set(sys.stdout)
        elsewhere = redirect_stdout(sys.stderr)
        elsewhere.__enter__()
        command.call_on_close(lambda: (elsewhere.__exit__(None, None, None), _DOCUMENTS.reset(before)))
    return asked


AsJson = Annotated[
    bool, typer.Option("--json", callback=_one_document, help="print one JSON document, and nothing else")
]
EveryPoint = Annotated[bool, typer.Option("--all", help="every design point, with its key")]


@contextmanager
def needing_statistics(directory: Path) -> Iterator[None]:
    """Raise RunError where the body does not find the statistics of a study."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{directory}: has no statistics ({first_line(error)}); run the study first") from None


OF_POPULATIONS = ("particles", "populations", "smallest")  # options that say how a rare event is looked for


def hold_unsaid(command: typer.Context, options: Iterable[str], why: str) -> None:
    """Raise UsageError where one of these options was given, which would change nothing. why: what more is said."""
    for name in options:
        source = command.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UsageError(f"--{name.replace('_', '-')}: {command.params[name]} would change nothing: {why}")


def print_document(text: str) -> None:
    """Print the one JSON document of a command with --json."""
    print(text, file=_DOCUMENTS.get())


def answer(as_json: bool, document: Any, told: Callable[[Any], Iterable[Any]]) -> None:
    """Print what a command has found: the document as JSON, or what `told` makes of it for people, lines and tables."""
    if as_json:
        import json

        print_document(json.dumps(document, allow_nan=False, indent=2))
        return
    from rnnmc.report.printing import printed

    for one in told(document):
        say(one) if isinstance(one, str) else printed(one)


def wrote(as_json: bool, path: Path, words: str = "", **facts: Any) -> None:
    """Print where a command has left what it made. words: for people, in place of the path; facts: for programs."""
    answer(as_json, {"path": str(path), **facts}, lambda _: [words or str(path)])


def finished(as_json: bool, directory: Path, every: bool = False, horizon: int | None = None) -> None:
    """Print what came of a study: the last words of a run. every: each design point. horizon: in place of the last."""
    from rnnmc.report.terminal import show, study_document

    if as_json:
        answer(as_json, study_document(directory, horizon), list)
    else:
        show(directory, every, horizon)


def listed(as_json: bool, kinds: dict[str, dict[str, dict[str, str]]]) -> None:
    """Print what there is: kind -> name -> header -> text."""
    from rnnmc.report.terminal import described_table

    answer(as_json, kinds, lambda said: [described_table(kind, rows) for kind, rows in said.items()])


def judged(as_json: bool, name: str, results: list[Any]) -> None:
    """Print the results of checks. Raises RunError where one failed."""
    from dataclasses import asdict

    from rnnmc.report.terminal import checks_table

    answer(as_json, [asdict(one) for one in results], lambda _: [checks_table(results)])
    wrong = [one.name for one in results if not one.passed]
    if wrong:
        raise RunError(f"{name}: {len(wrong)} of {len(results)} checks failed: {', '.join(wrong)}")
