"""README.md of a published folder, whose head makes of it a data set of the Hugging Face hub: a configuration a table.

Source: huggingface.co/docs/hub/datasets-manual-configuration.
"""

from __future__ import annotations

from typing import Any

import yaml

from rnnmc.run.packages.package import KEYWORDS, LICENCE_NAME, TITLE, Package
from rnnmc.run.readme import rendered

SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"), (1e7, "1M<n<10M"))
LARGER = (1e8, "10M<n<100M"), (1e9, "100M<n<1B"), (1e10, "1B<n<10B")


class HuggingFace(Package):
    """A README with a head in YAML."""

    name = "README.md"

    def text(self, contents):
        configs: list[dict[str, Any]] = [{"config_name": one.name, "data_files": one.path} for one in contents.tables]
        first = next(one for one in configs if one["config_name"].endswith(".statistics"))
        first["default"] = True
        rows = sum(one.rows for one in contents.tables)
        head = {
            "pretty_name": TITLE,
            "license": LICENCE_NAME.lower(),
            "language": ["en"],
            "tags": [word.replace(" ", "-").lower() for word in KEYWORDS],
            "size_categories": [next((name for most, name in (*SIZES, *LARGER) if rows < most), "n>1T")],
            "configs": configs,
        }
        text = yaml.safe_dump(head, sort_keys=False, width=1000)
        return f"---\n{text}---\n\n{rendered('dataset.md.j2', title=TITLE, contents=contents)}"


PACKAGE = HuggingFace()
