"""croissant.json: a data set in the Croissant form, a record set a Parquet file.

Source: docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html.
"""

from __future__ import annotations

import json

from rnnmc.run.packages.package import ABOUT, AUTHORS, KEYWORDS, LICENCE_ADDRESS, TITLE, DataFile, Package

CONTEXT = {  # that the form prescribes
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
TYPES = {"string": "Text", "integer": "Integer", "number": "Float", "boolean": "Boolean", "list": "Float"}


class Croissant(Package):
    """A data set of files and record sets."""

    name = "croissant.json"

    def text(self, contents):
        data_set = {
            "@context": CONTEXT,
            "@type": "sc:Dataset",
            "conformsTo": "http://mlcommons.org/croissant/1.1",
            "name": "rnnmc",
            "alternateName": TITLE,
            "description": ABOUT,
            "license": LICENCE_ADDRESS,
            "version": contents.version,
            "citeAs": f"{AUTHORS}: {TITLE} Measured with rnnmc {contents.version}, {contents.published}.",
            "datePublished": contents.published,
            "keywords": list(KEYWORDS),
            "creator": {"@type": "sc:Organization", "name": AUTHORS},
            "distribution": [_file(one) for one in contents.tables],
            "recordSet": [_records(one) for one in contents.tables],
        }
        return json.dumps(data_set, indent=1) + "\n"


def _file(table: DataFile) -> dict:
    return {
        "@type": "cr:FileObject",
        "@id": table.path,
        "name": table.path,
        "contentUrl": table.path,
        "contentSize": f"{table.size} B",
        "encodingFormat": "application/x-parquet",  # the name that this form has for it
        "sha256": table.sha256,
    }


def _records(table: DataFile) -> dict:
    fields = []
    for one in table.columns:
        field = {
            "@type": "cr:Field",
            "@id": f"{table.name}/{one.name}",
            "name": one.name,
            "description": one.told,
            "dataType": f"sc:{TYPES[one.kind]}",
            "source": {"fileObject": {"@id": table.path}, "extract": {"column": one.name}},
        }
        fields.append(field | ({"isArray": True, "arrayShape": "-1"} if one.kind == "list" else {}))
    return {"@type": "cr:RecordSet", "@id": table.name, "name": table.name, "field": fields}


PACKAGE = Croissant()
