"""The kinds of error that are told in a sentence: what is wrong, where, and what would be right."""

import re
import traceback

LONGEST_WORD = 300  # characters; the rest of a longer one is left out


def _told(sentence: str, kept: str = "") -> str:
    """The sentence on one line, whatever the names and values in it hold; of what cannot be printed this is `kept`."""
    line = "".join(c if c.isprintable() or c in kept else " " for c in sentence)
    return re.sub(rf"(\S{{{LONGEST_WORD}}})\S+", r"\1...", line)


class UsageError(ValueError):
    """Wrong usage or configuration, told in one sentence; the command line ends with exit code 2."""

    def __init__(self, sentence: str):
        super().__init__(_told(sentence))


class RunError(RuntimeError):
    """A run or a check that failed, told in one sentence, or a line each; the command line ends with exit code 1."""

    def __init__(self, sentence: str):
        super().__init__(_told(sentence, kept="\n"))


def first_line(error: BaseException) -> str:
    """Of what an error of a library says; its number of the system's error is left out, since the words are there."""
    said = str(error).strip().splitlines()
    return re.sub(r"^\[Errno \d+\] | \(os error \d+\)", "", said[0]) if said else type(error).__name__


def raised(error: BaseException) -> str:
    """`TypeError: what it says (mine.py, line 6)`: the line of somebody's own code where it arose, if there is one."""
    installed = __file__.rpartition("/common/")[0], traceback.__file__.rpartition("/")[0]
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [one for one in frames if one.filename.endswith(".py") and not one.filename.startswith(installed)]
    own = [one for one in theirs if "/site-packages/" not in one.filename]
    place = f" ({own[-1].filename.rpartition('/')[2]}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {error}{place}"
