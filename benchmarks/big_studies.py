"""Large studies: statistics of 1e8 rows (`aggregation`), and plans and folders of very many blocks (`large`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import large
from chain_speed import Choice
from children import told
from sheets import Sheet, number

ROWS, ROWS_IF_QUICK = 10**8, 10**6
AGGREGATION = """
import json, sys
from aggregation import measure
print(json.dumps(measure(int(sys.argv[1]))))
"""


def measure(choice: Choice, tell: Callable[[str], None]) -> dict[str, Any]:
    """What each of the two measures."""
    rows = ROWS_IF_QUICK if choice.quick else ROWS
    tell(f"statistics of {rows:,} rows")
    found = {"aggregation": told(AGGREGATION, str(rows), PYTHONPATH=str(Path(__file__).parent))}
    if choice.quick:
        return found
    tell("large studies")
    return found | {"large": large.measure()}


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """A row for each thing that is timed."""
    of = found["aggregation"]
    what = f"statistics of {of['rows']:,} rows, {of['points']} design points"
    rows = [[what, number(of["seconds"], "s")], ["- peak memory", number(of["peak_bytes"], "GB", 1e-9)]]
    if of := found.get("large"):
        rows += [
            [f"plan of {of['points']:,} design points, {of['blocks']:,} blocks", number(of["plan_seconds"], "s")],
            *([f"- {step}", number(value, "s")] for step, value in of["plan_steps"].items()),
            ["`status`, for 100,000 shards", number(of["status_seconds_100k_shards"], "s")],
            ["`verify`, for 100,000 small shards", number(of["verify_seconds_100k_shards"], "s")],
            ["`verify`, for a gigabyte", number(of["verify_seconds_a_gigabyte"], "s")],
            ["- in shards of", number(of["bytes_a_shard"], "MB", 1e-6)],
        ]
    return [Sheet("big-studies", "Large studies", ("what", "time"), rows)]
