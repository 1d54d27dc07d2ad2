"""By which route samples were made, as their shards say, and that those of one point were made by one.

A route is a kernel, a compiler and the machine code that it made (`rnnmc.engine.run.route`). Another gives other last
bits, of which chaotic orbits make first ones: equally true samples, and not the same.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rnnmc.common.errors import RunError
from rnnmc.numerics.compiler import toolchain
from rnnmc.store.folder import block_of, names, point_folder
from rnnmc.store.proofs import repairing
from rnnmc.store.shards import facts_of
from rnnmc.store.stored_point import StoredPoint

SETTING = "RNNMC_ROUTES"  # of the environment: "mixed" where a point may have several


class OtherRoute(RunError):
    """A block that would be made by another route than its point."""


def mixed_are_wanted() -> bool:
    """Whether the user has said that a point may be made by several routes."""
    return os.environ.get(SETTING) == "mixed"


def differ(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two shards, by their facts, were made by different routes of one kind of device.

    Of before there were routes, a shard says its kernel alone.
    """
    if one.get("device") != other.get("device"):
        return False
    name = "route" if "route" in one and "route" in other else "kernel"
    return one.get(name) != other.get(name)


def told(facts: dict[str, Any]) -> str:
    """The route in words, with its device where that is no CPU."""
    device = str(facts.get("device", ""))
    way = str(facts.get("route") or facts.get("kernel") or "not said")
    return way if device.startswith("cpu") or not device else f"{way}, on {device}"


def check_compiler(name: str, source: dict[str, Any]) -> None:
    """Raise OtherRoute where this process has another compiler than the `source` facts of the run say.

    name: of the block.
    """
    said = source.get("toolchain")
    if said not in (None, toolchain()) and not source.get("mixed"):
        raise OtherRoute(
            f"{name}: the study was started with {said}, and here is {toolchain()}; give all machines one compiler, or "
            f"set {SETTING}=mixed"
        )


def check_route(directory: Path, stored: StoredPoint, here: dict[str, Any]) -> None:
    """Raise OtherRoute where the first shard of this point that says how it was made was not made as one is `here`."""
    folder = point_folder(directory, stored)
    there = sorted(name for name in names(folder) if block_of(name) < math.inf)
    facts = next((said for name in there if (said := facts_of(folder / name))), {})
    if facts and differ(facts, here):
        raise OtherRoute(
            f"{stored.label}: its samples were made by {told(facts)}, and here they are made by {told(here)}; give "
            f"this machine that compiler again, or set {SETTING}=mixed to have both, which verify and the page say"
        )


def counted(made: Iterable[dict[str, Any]]) -> dict[str, int]:
    """route in words -> of how many of the shards with these facts."""
    return dict(Counter(told(facts) for facts in made))


def kept(facts: dict[str, Any]) -> dict[str, Any]:
    """What of the facts of a shard this module, and whoever sums them up, looks at."""
    return {name: facts[name] for name in ("device", "kernel", "route", "mixed", "versions", "commit") if name in facts}


def of_other_routes(made: Sequence[dict[str, Any]]) -> list[int]:
    """Which of the shards with these facts were not made as most of those of their device (the first, of as many)."""
    name = "route" if all("route" in facts for facts in made) else "kernel"
    ways = [(facts.get("device"), facts.get(name)) for facts in made]
    most: dict[Any, Any] = {}
    for (device, way), _ in Counter(ways).most_common():
        most.setdefault(device, way)
    return [i for i, (device, way) in enumerate(ways) if way != most[device]]


def check_routes(directory: Path, label: str, made: Sequence[dict[str, Any]]) -> None:
    """Raise OtherRoute where the shards of a point of this study, with these facts, are of several routes, and nobody
    wanted that.
    """
    if mixed_are_wanted() or any(facts.get("mixed") for facts in made) or not of_other_routes(made):
        return
    ways = "; ".join(f"{count} by {way}" for way, count in counted(made).items())
    raise OtherRoute(
        f"{label}: its shards were made in several ways ({ways}); {repairing(directory)} makes the fewer again, and "
        f" {SETTING}=mixed takes them as they are"
    )
