"""What a published folder says of itself to catalogues and other tools, one file a form."""

from __future__ import annotations

from rnnmc.common.registry import offered
from rnnmc.run.packages.package import Package


def packages() -> dict[str, Package]:
    """name of the file -> form."""
    return offered("rnnmc.run.packages", "PACKAGE")
