"""datapackage.json: a Frictionless data package, a resource a Parquet file. Source: datapackage.org, version 2."""

from __future__ import annotations

import json

from rnnmc.run.packages.package import (
    ABOUT,
    AUTHORS,
    KEYWORDS,
    LICENCE_ADDRESS,
    LICENCE_NAME,
    PARQUET,
    TITLE,
    Column,
    DataFile,
    Package,
)

TYPES = {"list": "any"}  # the others are called as here


class Frictionless(Package):
    """A data package with a schema for each table."""

    name = "datapackage.json"

    def text(self, contents):
        package = {
            "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
            "name": "rnnmc",
            "title": TITLE,
            "description": ABOUT,
            "version": contents.version,
            "created": f"{contents.published}T00:00:00Z",
            "keywords": list(KEYWORDS),
            "licenses": [{"name": LICENCE_NAME, "path": LICENCE_ADDRESS}],
            "contributors": [{"title": AUTHORS}],
            "resources": [_resource(one) for one in contents.tables],
        }
        return json.dumps(package, indent=1) + "\n"


def _resource(table: DataFile) -> dict:
    """Without its bytes, which the validator of this form counts in text files alone."""
    fields = [{"name": one.name, "type": _type(one), "description": one.told} for one in table.columns]
    return {
        "name": table.name,
        "path": table.path,
        "format": "parquet",
        "mediatype": PARQUET,
        "hash": f"sha256:{table.sha256}",
        "schema": {"$schema": "https://datapackage.org/profiles/2.0/tableschema.json", "fields": fields},
    }


def _type(column: Column) -> str:
    """Of whole numbers of which some are missing, number: its reader of Parquet makes NaN of what is missing."""
    if column.kind == "integer" and column.missing:
        return "number"
    return TYPES.get(column.kind, column.kind)


PACKAGE = Frictionless()
