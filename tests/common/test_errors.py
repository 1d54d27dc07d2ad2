"""A sentence is one line that can be shown, whatever a user's names and values hold."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from rnnmc.common.errors import LONGEST_WORD, RunError, UsageError, first_line, raised
from rnnmc.common.words import listed


@pytest.mark.parametrize("kind", [UsageError, RunError])
def test_a_sentence_can_be_shown_whatever_is_in_it(kind: type[Exception]) -> None:
    said = str(kind(f"a\x1b[31m.yaml: {'x' * 20_000} is\u202e not\0 known; give \ud800another"))
    assert said.isprintable()
    assert said.startswith("a [31m.yaml: xxx")
    assert said.endswith("x... is  not  known; give  another")
    assert len(said) < LONGEST_WORD + 100
    assert str(pickle.loads(pickle.dumps(kind(said)))) == said  # as it comes back from a worker


def test_wrong_usage_is_one_line_and_what_failed_may_be_several() -> None:
    assert str(UsageError("a\nb")) == "a b"
    assert str(RunError("a\nb\tc")) == "a\nb c"


def test_what_is_raised_is_told_with_the_line_of_somebodys_own_code_not_of_a_library_that_it_called(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mine.py"
    path.write_text("import json\n\n\ndef read():\n    return json.loads('{')\n")
    scope: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    with pytest.raises(ValueError) as found:  # noqa: PT011
        scope["read"]()
    assert raised(found.value).endswith("(mine.py, line 5)")
    with pytest.raises(TypeError) as ours:
        listed(None)  # pyright: ignore[reportArgumentType]
    assert raised(ours.value.with_traceback(ours.tb.tb_next)) == f"TypeError: {ours.value}"


def test_of_a_library_the_first_line_is_told_without_numbers_of_system_errors(tmp_path: Path) -> None:
    for read in (pl.read_parquet, Path.read_bytes):
        with pytest.raises(FileNotFoundError) as found:
            read(tmp_path / "none.parquet")
        said = first_line(found.value)
        assert said.startswith("No such file or directory: ")
        assert "none.parquet" in said
    assert first_line(ValueError("\n one\ntwo")) == "one"
    assert first_line(ValueError()) == "ValueError"
