"""What the page says of how its samples were made: by which compiler, and whether anything changed in the middle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LISTED = 5


def making(made: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(term, description), of what `rnnmc.store.manifest.made_by` found; nothing where no manifest says."""
    if not made:
        return []
    compilers = sorted({_compiler(route) for route in made["routes"]})
    told = [("Compiler", "; ".join(compilers))]
    kinds = {"versions of the libraries": made["versions"], "commits of rnnmc": made["commits"]}
    changed = [f"{what} (shards: {_counts(found)})" for what, found in kinds.items() if len(found) > 1]
    if changed:
        told.append(("Changed in the middle", "; ".join(changed)))
    if several := made["several"]:
        more = f" and {len(several) - LISTED} more" if len(several) > LISTED else ""
        told.append(("Made in several ways", f"{'; '.join(several[:LISTED])}{more}: rnnmc verify tells which shards"))
    return told


def _counts(found: Mapping[str, int]) -> str:
    return "; ".join(f"{count:,} of {name or 'none that is known'}" for name, count in sorted(found.items()))


def _compiler(route: str) -> str:
    """`compiled rows; cc (Debian) 12.2.0; code 1f3a9c2e` -> `cc (Debian) 12.2.0`."""
    parts = route.split("; ")
    return parts[1] if len(parts) > 1 else "not said"
