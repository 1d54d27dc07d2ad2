"""What was to be reached, beside what was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sheets import NONE, Sheet, number, percent

SHARES = {
    "lstm": {16: 0.30, 32: 0.50, 64: 0.75, 128: 0.85, 256: 0.85},
    "tanh": {64: 0.60, 128: 0.75},
    "gru": {64: 0.60, 128: 0.75},
}
TIMES_FUNC = {1: 100, 2: 60, 4: 30}
SHARE_OF_FUNCTIONS = 0.50
WIDE_TIMES, WIDE_ERROR = {512: 8, 1024: 16}, 1e-3
END_TO_END, RAY_COST, SPEED_UP, MEMORY, FORECAST = 1.15, 0.03, 1.9, 1.05, 0.30
AGGREGATION_ROWS, AGGREGATION_SECONDS, AGGREGATION_BYTES = 10**8, 30.0, 2e9

Row = tuple[str, str, str, bool | str | None]  # what, the target, what was reached, whether it was


def sheet(results: dict[str, dict[str, Any]]) -> Sheet:
    """A row for each target; a dash where nothing was measured."""
    rows = [
        [what, target, reached, {True: "yes", False: "no", None: NONE}.get(met, str(met))]  # pyright: ignore[reportArgumentType]
        for what, target, reached, met in _rows(results)
    ]
    return Sheet("targets", "Targets", ("what", "target", "reached", "met"), rows)


def _rows(results: dict[str, dict[str, Any]]) -> Iterator[Row]:
    chain = {(row["cell"], row["width"]): row for row in results.get("chain", {}).get("rows", [])}
    for cell, shares in SHARES.items():
        for width, share in shares.items():
            yield _at_least(
                f"{cell}, width {width}: share of products", share, _share(chain.get((cell, width))), percent
            )
    for width, times in TIMES_FUNC.items():
        found = {cell: row["times_func"] for (cell, n), row in chain.items() if n == width}
        yield _of_cells(f"width {width}: times faster than torch.func", times, found, number)
    found = {cell: one["median"] for (cell, n), row in chain.items() if n == 1 and (one := row["share_of_functions"])}
    yield _of_cells("width 1: share of squashing functions", SHARE_OF_FUNCTIONS, found, percent)
    yield from _wide(results.get("wide", {}).get("tied", []))
    yield from _system(results)


def _share(row: dict[str, Any] | None) -> float | None:
    return row["share_of_products"]["median"] if row else None


def _at_least(what: str, least: float, found: float | None, told: Any) -> Row:
    return what, f"at least {told(least)}", told(found), None if found is None else found >= least


def _at_most(what: str, most: float, found: float | None, told: Any) -> Row:
    return what, f"at most {told(most)}", told(found), None if found is None else found <= most


def _of_cells(what: str, least: float, found: dict[str, float], told: Any) -> Row:
    """How many cells reach it, and from which to which they go."""
    if not found:
        return what, f"at least {told(least)}", NONE, None
    order = sorted(found, key=lambda cell: found[cell])
    ends = " to ".join(f"{told(found[cell])} ({cell})" for cell in (order[0], order[-1]))
    lstm = f"lstm {told(found['lstm'])}; " if "lstm" in found else ""
    reached = sum(value >= least for value in found.values())
    return what, f"at least {told(least)}", f"{lstm}{ends}", f"{reached} of {len(found)} cells"


def _wide(rows: list[dict[str, Any]]) -> Iterator[Row]:
    for width, times in WIDE_TIMES.items():
        target = f"at least {times}, error below {WIDE_ERROR:g}"
        here = [row for row in rows if row["width"] == width]
        if not here:
            yield f"width {width}: times faster than the full product", target, NONE, None
        for row in here:
            met = row["times_faster"] >= times and row["error"] < WIDE_ERROR
            reached = f"{number(row['times_faster'])}, error {number(row['error'])} at T = {row['checked_horizon']:,}"
            yield f"width {width} ({row['point']}): times faster than the full product", target, reached, met


def _system(results: dict[str, dict[str, Any]]) -> Iterator[Row]:
    study, ray = results.get("study", {}), results.get("ray", {})
    memory = {row["horizon"]: row["peak_bytes"] for row in results.get("footprint", {}).get("memory", [])}
    statistics = results.get("big-studies", {}).get("aggregation", {})
    whole = study if study.get("study") == "default" else {}
    yield _at_most("default study, end to end over blocks / cores", END_TO_END, whole.get("over_least"), number)
    expected = whole.get("forecast_over_truth")
    off = None if expected is None else abs(expected - 1)
    yield _at_most("forecast of the default study: off by", FORECAST, off, percent)
    cost = max((row["cost"] for row in ray.get("rows", [])), default=None)
    yield _at_most("Ray: cost of a 1-second block", RAY_COST, cost, percent)
    yield _at_least("Ray: 2 workers against 1", SPEED_UP, ray.get("speed_up"), number)
    ratio = memory[100_000] / memory[1000] if 100_000 in memory else None
    yield _at_most("memory at horizon 1e5 against 1e3", MEMORY, ratio, number)
    whole = statistics if statistics.get("rows", 0) >= 0.99 * AGGREGATION_ROWS else {}
    yield _at_most("statistics of 1e8 rows: seconds", AGGREGATION_SECONDS, whole.get("seconds"), number)
    yield _at_most(
        "statistics of 1e8 rows: GB", AGGREGATION_BYTES / 1e9, whole.get("peak_bytes", 0) / 1e9 or None, number
    )
