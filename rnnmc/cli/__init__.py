"""The command line, a file for each group of commands. Exit codes: 0 done, 1 a run or check failed, 2 wrong usage,
130 interrupted.
"""

from __future__ import annotations

import errno
import importlib
import os
import pkgutil
import sys
from pathlib import Path

import typer
from typer.exceptions import TyperException

from rnnmc.cli.shared import app
from rnnmc.common.errors import RunError, UsageError, first_line
from rnnmc.common.quiet import say

NO_PATH = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.ELOOP, errno.EINVAL}
NO_HOME = "/dev/null/home"  # which no user can make
GOES_ON = ("run", "study", "verify")  # commands that keep every block
FIRST = (
    "setup",
    "measure",
    "follow",
    "studies",
    "plot",
    "cite",
    "away",
    "folders",
    "advise",
    "inspect",
    "search",
    "checks",
)  # in the list of commands; the others follow by name


def _find_commands() -> None:
    """Import every module beside this one: each registers its commands, and a new one is one new file."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    for name in (*FIRST, *sorted(set(names) - set(FIRST))):
        importlib.import_module(f"{__name__}.{name}")


_find_commands()


def main() -> None:
    """Run a command, and turn every foreseen failure into one sentence and an exit code."""
    _settle_home()
    code: int | None = 0
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()  # here, where a closed pipe is known
    except UsageError as error:
        _fail(str(error), 2)
    except RunError as error:
        _fail(str(error), 1)
    except TyperException as error:  # every mistake in options and arguments
        context = getattr(error, "ctx", None)
        said = getattr(error, "format_message", error.__str__)()
        _fail(str(UsageError(f"{said.rstrip('.')}; see {context.command_path if context else _asked()} --help")), 2)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except MemoryError as error:
        _fail(f"not enough memory ({error or 'no word'}); give a smaller width or fewer replicates", 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `| head` closed the pipe: nothing to tell
    except OSError as error:  # of a file or folder that the words name
        said = f"{error.filename}: {error.strerror}" if error.filename else first_line(error)
        _fail(str(UsageError(f"{said}; give another file or folder")), 2 if error.errno in NO_PATH else 1)
    if code == 130:  # what typer itself returns when interrupted
        kept = sys.argv[1:2] and sys.argv[1] in GOES_ON
        _fail("interrupted" + ("; finished blocks are kept: run again to go on" if kept else ""), 130)
    sys.exit(code or 0)


def _asked() -> str:
    """The command that the words begin with, where an error does not say it."""
    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    return " ".join(["rnnmc", *(word for word in sys.argv[1:2] if word in known)])


def _settle_home() -> None:
    """Say that there is no home where nobody does: a container's user may be on no list, and Altair asks and fails."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = NO_HOME


def _fail(sentence: str, code: int) -> None:
    say(f"rnnmc: {sentence}", sys.stderr)
    sys.exit(code)
