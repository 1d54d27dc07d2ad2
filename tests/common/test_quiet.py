"""What is said fits the terminal that it is said on."""

from __future__ import annotations

import io

import pytest

from rnnmc.common.quiet import say


class Terminal(io.StringIO):
    """One that somebody sees."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_lines_are_broken_at_blanks_and_elsewhere_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    path = "results/" + "long-name-" * 5
    said = f"P(stable by 1,000) is 0.775 [0.69, 0.85]; see {path}, with all of it\nlast: gru_output_gated"
    terminal, log = Terminal(), io.StringIO()
    say(said, terminal)
    say(said, log)
    assert log.getvalue() == f"{said}\n"
    lines = terminal.getvalue().splitlines()
    assert all(len(line) <= 40 or line == f"{path}," for line in lines)
    assert " ".join(lines) == said.replace("\n", " ")
    assert "last: gru_output_gated" in lines
