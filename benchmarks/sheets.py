"""Tables of what was measured: the same rows for a terminal and for docs/performance.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table
from timing import Measured

NONE = "-"


@dataclass(frozen=True)
class Sheet:
    """One table. name: of its marks on the page; "" where it is for the terminal alone. Every row is as long as `head`.

    on_terminal: whether it is printed as well.
    """

    name: str
    title: str
    head: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)
    on_terminal: bool = True

    def for_terminal(self) -> Table:
        table = Table(title=self.title, title_justify="left", box=None, header_style="bold", padding=(0, 2, 0, 0))
        for i, name in enumerate(self.head):
            table.add_column(name, justify="right" if i else "left", no_wrap=not i)
        for row in self.rows:
            table.add_row(*row)
        return table

    def for_page(self) -> str:
        lines = [self.head, ["---", *["---:"] * (len(self.head) - 1)], *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def filled(page: str, name: str, content: str, where: Path) -> str:
    """The page with `content` between the two marks of this name. where: the page's file, for the message."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{where}: has no place for {name}; put {begin} and {end} where it belongs")
    return f"{before}{begin}\n{content}\n{end}{after}"


def number(value: float | None, unit: str = "", scale: float = 1.0) -> str:
    """Three digits and the unit, or a dash."""
    if value is None:
        return NONE
    value *= scale
    said = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{said} {unit}".strip()


def percent(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.0f} %" if abs(value) >= 0.1 else f"{100 * value:.1f} %"


def with_spread(one: Measured | None, unit: str = "", scale: float = 1.0) -> str:
    """`1.23 ms ± 2 %`; without a spread where there was a single run."""
    if one is None:
        return NONE
    said = number(one["median"], unit, scale)
    return said if one["runs"] < 2 else f"{said} ± {100 * one['spread'] / abs(one['median']):.0f} %"
