"""The JSON schema of a study file, for editors and Snakemake: made from the model, so that it cannot differ from it."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, create_model

from rnnmc.study.point import OF_REPLICATES, DesignPoint
from rnnmc.study.replicates import GOALS, KNOWABLE, Count, Nested
from rnnmc.study.study import HEAD, Study, Thresholds


def study_schema() -> dict[str, Any]:
    """The JSON schema of a study file, for editors and Snakemake; every factor may be a list of levels."""
    number = {"type": "integer", "minimum": 1}
    horizons = {"oneOf": [{"type": "object"}, {"type": "array", "items": number, "minItems": 1}]}
    anything = {"type": ["string", "object", "array"]}
    replicates = {"$ref": "#/$defs/replicates"}
    custom = {"horizons": horizons, "init": anything, "drive": anything, "observables": anything}
    shapes = {name: field for name, field in DesignPoint.model_fields.items() if name not in (*custom, *OF_REPLICATES)}
    factors: dict[str, Any] = dict(custom)
    for name, one in [*((name, _json_type(field)) for name, field in shapes.items()), ("replicates", replicates)]:
        factors[name] = {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}
    of_their_own = {"horizons": horizons, "thresholds": Thresholds.model_json_schema(), "replicates": replicates}
    head = {name: _json_type(Study.model_fields[name]) for name in HEAD if name not in of_their_own}
    named = [{"required": ["cell"]}, {"required": ["init"]}]  # a layer under init says which cell it is
    of_entry = {"additionalProperties": False, "required": ["width"], "anyOf": named, "properties": factors}
    entry = {"type": "object"} | of_entry
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rnnmc study",
        "$defs": {"replicates": {"anyOf": [number, _replicates()]}},
        "type": "object",
        "additionalProperties": False,
        "required": ["study", "points"],
        "properties": head | of_their_own | {"points": {"type": "array", "minItems": 1, "items": entry}},
    }


def _replicates() -> dict[str, Any]:
    """Of the mappings under `replicates`: any key may be a list of levels."""
    shapes = {name: kind.json_schema() for name, kind in GOALS.items()} | {"of": {"enum": list(KNOWABLE)}}
    shapes |= {name: TypeAdapter(Count).json_schema() for name in ("max", "weights", *Nested.model_fields)}
    keys = {name: {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]} for name, one in shapes.items()}
    properties = keys | {"splitting": {"type": "object"}}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _json_type(field: Any) -> dict[str, Any]:
    schema = create_model("One", value=(field.annotation, field)).model_json_schema()["properties"]["value"]
    return {key: value for key, value in schema.items() if key != "title"}
