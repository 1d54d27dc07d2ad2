"""What was run, in words: the facts at the foot of a page."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping

import polars as pl

from rnnmc.report.how_it_ran import forecast_and_fact, how_it_ran
from rnnmc.report.making import making
from rnnmc.report.text import interval_names, of_its_file

LIBRARIES = ("rnnmc", "torch", "numpy", "scipy", "polars", "pyarrow", "ray", "snakemake", "altair")


def facts_of(
    study: Mapping, points: pl.DataFrame, statistics: pl.DataFrame, rows: pl.DataFrame
) -> list[tuple[str, str]]:
    """What was run, as (term, description)."""
    first = rows.row(0, named=True)
    horizons = sorted(set(statistics["horizon"].to_list()))
    listed = ", ".join(f"{horizon:,}" for horizon in horizons[:40]) + (", ..." if len(horizons) > 40 else "")
    facts = [("Study", str(study["study"]))]
    seed = study.get("seed", points["seed"][0] if "seed" in points.columns else None)
    if seed is not None:
        facts.append(("Seed", str(seed)))
    facts += [
        (
            "Design points",
            f"{rows.height:,}: {', '.join(rows['cell'].unique(maintain_order=True).to_list())}",
        ),
        ("Widths", ", ".join(str(width) for width in sorted(set(rows["width"].to_list())))),
        *((label, _values(points, name)) for label, name in FACTOR_FACTS.items() if name in points.columns),
        ("Replicates", _replicates(rows) + (f"; {than}" if (than := of_its_file(study)) else "")),
        ("Horizons", f"{listed} steps"),
        (
            "Thresholds",
            f"vanish below {first['threshold_vanish']:g}, explode above {first['threshold_explode']:g}",
        ),
        ("Intervals", f"{interval_names(rows)}, {100 * first['level']:g} %, two-sided, pointwise"),
    ]
    if rows.height < points.height:
        facts.append(("Missing", f"{points.height - rows.height} design points have no statistics yet"))
    seen: Mapping[str, list[str]] = study.get("sampled") or {}
    facts += [(label, said) for label, name in MAKING.items() if (said := _span(name, seen.get(name) or []))]
    facts += making(study.get("made", {}))
    if ran := how_it_ran(*study.get("ran", ((), 0))):
        facts.append(("How it ran", ran))
    if told := forecast_and_fact(study.get("forecast", {}), study.get("ran", ((), 0))[0]):
        facts.append(("Forecast and fact", told))
    facts.append(("Command", "rnnmc run study.yaml, with the file beside this page"))
    versions = study.get("versions") or _installed()
    return [*facts, ("Versions", ", ".join(seen.get("versions") or (f"{a} {b}" for a, b in versions.items())))]


def _span(name: str, values: list[str]) -> str:
    """All values; of dates the first and the last."""
    if name != "sampled":
        return ", ".join(values)
    first, last = (f"{one.replace('T', ' ')} UTC" for one in (values[0], values[-1])) if values else ("", "")
    return first if first == last else f"{first} to {last}"


def _replicates(rows: pl.DataFrame) -> str:
    """How many replicates there are, and where their number was not fixed or weight draws are shared."""
    per_point = sorted(set(rows["replicates"].to_list()))
    many = f"{per_point[0]:,}" if len(per_point) == 1 else f"{per_point[0]:,} to {per_point[-1]:,}"
    text = f"{rows['replicates'].sum():,} in total, {many} a design point"
    stopped = rows["goal"].drop_nulls()
    for goal in stopped.unique(maintain_order=True):
        text += f"; at {stopped.eq(goal).sum()} as many as it took {goal}"
    if "weight_draws" in rows.columns:
        shared = rows.filter(pl.col("weight_draws") < pl.col("replicates")).height
        text += f"; at {shared} several share a weight draw" if shared else ""
    return text


MAKING = {"Sampled": "sampled", "Host": "host", "Device": "device", "Commit": "commit"}
FACTOR_FACTS = {
    "Layers": "layers",
    "Initialisers": "init",
    "Drive": "drive",
    "Weights": "weights",
    "Initial state": "state_std",
    "Arithmetic": "dtype",
    "Kernel": "kernel",
}


def _values(points: pl.DataFrame, name: str) -> str:
    """All values that a factor takes, in the order of the points."""
    values = points[name].unique(maintain_order=True).to_list()
    if name == "state_std":
        return "; ".join("zero" if value == 0 else f"N(0, {value:g}²)" for value in values)
    return "; ".join(str(value) for value in values)


def _installed() -> dict[str, str]:
    """Versions of the libraries behind the numbers, as far as installed; nothing is imported for it."""
    versions = {"Python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
