"""How fast rnnmc is, against the limit of the machine and against what one would do without it.

Each part below is measured by the module of its name and explained in docs/performance.md. Prints every table, writes
benchmarks/results.json and fills the tables of the page. A part that was not asked for, or that this machine has no
GPU for, keeps what it had, with its date and machine. Run by `make bench`; BENCH=--quick takes a minute or two, a few
cells and widths and less of everything, and then leaves results.json and the page alone.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import big_studies
import chain_speed
import default_study
import footprint
import gpu_speed
import machine
import ray_cost
import targets
import torch
import wide_cells
from chain_speed import Choice
from rich.console import Console
from sheets import NONE, Sheet, filled, number

from rnnmc.cells import cells

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results.json", ROOT / "docs" / "performance.md"
QUICK_RESULTS = ROOT / "build" / "quick-results.json"
PARTS = {
    "chain": chain_speed,
    "wide": wide_cells,
    "study": default_study,
    "ray": ray_cost,
    "footprint": footprint,
    "big-studies": big_studies,
    "gpu": gpu_speed,
}
SYSTEM = ("study", "ray", "footprint", "big-studies")
NO_GPU = "No CUDA device has been at hand yet: nothing is measured."
DIGITS = 5
OF_MACHINE = (
    "measured",
    "processor",
    "cores",
    "memory",
    "GPU",
    "Python",
    "torch",
    "NumPy",
    "C compiler",
    "matrix product of size 1,024, float32",
    "the same, float64",
    "one sigmoid by torch, float32",
    "one tanh by torch, float32",
    "normal numbers",
    "memory read and written in a copy",
)

Results = dict[str, dict[str, Any]]  # part -> what it measured, with date, machine and whether quick


def sheets(results: Results) -> list[Sheet]:
    """Every table of these results, the targets last."""
    every = [_machines(results)]
    for name, part in PARTS.items():
        if name in results:
            every += part.sheets(results[name])
    return [*every, targets.sheet(results)]


def page(text: str, results: Results) -> str:
    """The text of docs/performance.md with every table that there are results for."""
    for sheet in sheets(results):
        text = filled(text, sheet.name, sheet.for_page(), PAGE) if sheet.name else text
    return text if "gpu" in results else filled(text, "gpu", NO_GPU, PAGE)


def _machines(results: Results) -> Sheet:
    """A column for each machine, with its rates when it was last measured."""
    on: dict[str, list[str]] = {}
    columns: dict[str, list[str]] = {}
    for name, part in sorted(results.items(), key=lambda one: one[1]["date"]):
        of, rates = part["machine"], part["machine"]["rates"]
        what = [of["processor"], str(of["cores"]), number(of["memory"], "GB", 1e-9), of["gpu"] or NONE]
        on.setdefault(str(what), []).append(f"{name} {part['date']}{' (quick)' if part['quick'] else ''}")
        products = (number(rates[f"product_{kind}"], "Gflop/s", 1e-9) for kind in ("float32", "float64"))
        functions = (number(rates[f"{kind}_seconds"], "ns", 1e9) for kind in ("sigmoid", "tanh"))
        others = (number(rates["normals"], "M/s", 1e-6), number(rates["copied_bytes"], "GB/s", 1e-9))
        said = [*what, of["python"], of["torch"], of["numpy"], of["compiler"] or NONE, *products, *functions, *others]
        columns[str(what)] = [", ".join(on[str(what)]), *said]
    rows = [[name, *(column[i] for column in columns.values())] for i, name in enumerate(OF_MACHINE)]
    return Sheet("machines", "Machine", ("", *(column[1] for column in columns.values())), rows)


def measure(names: Sequence[str], choice: Choice, output: Path, results: Results) -> None:
    """Measure these parts, and write what is known after each."""
    console = Console(stderr=True)
    with console.status("Measuring") as status:
        here = machine.described() | {"rates": machine.rates()}
        for name in names:
            found = PARTS[name].measure(choice, status.update if console.is_terminal else console.print)
            if found is None:
                console.print("no CUDA device on this machine: what was measured elsewhere is kept")
                continue
            today = datetime.datetime.now(datetime.UTC).date().isoformat()
            results[name] = {"date": today, "machine": here, "quick": choice.quick} | found
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(json.dumps(_plain(results), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """As JSON can say it: no more digits than mean something, and null for what is no number."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def main() -> None:
    """Parse the command line, measure, write, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="some cells and widths, less of everything")
    parser.add_argument(
        "--all", action="store_true", help="all cells, width 4,096, the default study at full size: hours"
    )
    parser.add_argument(
        "--only",
        nargs="*",
        choices=[*PARTS, "system"],
        metavar="PART",
        help=f"some of {', '.join(PARTS)}; system: {', '.join(SYSTEM)}; none: fill the page anew",
    )
    parser.add_argument(
        "--cells", nargs="+", choices=list(cells()), default=[], metavar="CELL", help="only these cells"
    )
    parser.add_argument("--widths", nargs="+", type=int, default=[], metavar="N", help="only these widths")
    parser.add_argument(
        "--output", type=Path, help="where to write, instead of benchmarks/results.json; the page is left alone"
    )
    given = parser.parse_args()
    choice = Choice(given.quick, given.all, tuple(given.cells), tuple(given.widths))
    asked = list(PARTS) if given.only is None else given.only
    names = [name for name in PARTS if name in asked or (name in SYSTEM and "system" in asked)]
    partial = bool(given.quick or given.cells or given.widths)
    output = given.output or (QUICK_RESULTS if partial else RESULTS)
    results: Results = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
    results = {name: results[name] for name in PARTS if name in results}
    torch.set_num_threads(1)
    measure(names, choice, output, results)
    results = _plain(results)
    console = Console() if sys.stdout.isatty() else Console(width=150)
    for sheet in sheets(results):
        if sheet.on_terminal:
            console.print(sheet.for_terminal(), "")
    if output == RESULTS:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    console.print(f"Wrote {PAGE if not names else output}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
