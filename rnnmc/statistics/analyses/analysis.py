"""What every analysis of a study's statistics offers: a table, where the study has the design points that it needs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import polars as pl

from rnnmc.cells.stacked import stack_name
from rnnmc.chain.norms import SPECTRAL
from rnnmc.drives import is_as_wide, labels_of


class Analysis:
    """Subclass it, set the attributes, write `table`; the instance is `ANALYSIS`. A `PICTURE` of its name draws it.

    name: of the table too. says: what its figure and table show, in a sentence.
    """

    name: ClassVar[str]
    says: ClassVar[str]
    source: ClassVar[str]

    def table(self, points: pl.DataFrame, statistics: pl.DataFrame) -> pl.DataFrame:
        """From the rows of points.parquet and of statistics.parquet; empty where the study has no such points.

        Each row begins with `point`, the first design point that it is about, whose factors the row shares but for
        those that were varied.
        """
        raise NotImplementedError

    def found(self, table: pl.DataFrame) -> list[str]:
        """What a table that is not empty comes to, in sentences for the head of the page."""
        return []


def completed(table: pl.DataFrame, schema: Mapping[str, Any]) -> pl.DataFrame:
    """The table with every column of its schema; null where an earlier rnnmc has not written it."""
    missing = {name: kind for name, kind in schema.items() if name not in table.columns}
    return table.with_columns(pl.lit(None).cast(kind).alias(name) for name, kind in missing.items())


def spectral_rows(points: pl.DataFrame, statistics: pl.DataFrame) -> pl.DataFrame:
    """The rows of the spectral norm with the factors of their design points, in the order of `points`.

    Without points that are there to check the program. Several layers are told as another cell, such as `lstm x 2`.
    """
    ours = points.filter(~pl.col("oracle").fill_null(False)) if "oracle" in points.columns else points
    said = [json.loads(one) for one in ours["json"]]
    cell = [
        stack_name(name, one.get("layers", 1), one.get("residual", False))
        for name, one in zip(ours["cell"].cast(pl.String), said, strict=True)
    ]
    drive = pl.Series("drive", labels_of(ours["json"]), dtype=pl.String)
    kept = ours.with_columns(drive, pl.Series("cell", cell, dtype=pl.String)).select(
        pl.col("point").cast(pl.String), "cell", "width", "init", "drive", "weights", "state_std", "json"
    )
    rows = statistics.filter(pl.col("measure").cast(pl.String) == SPECTRAL).with_columns(
        pl.col("point").cast(pl.String)
    )
    return kept.join(rows, on="point", maintain_order="left_right")


def last_rows(points: pl.DataFrame, statistics: pl.DataFrame) -> pl.DataFrame:
    """One row a design point: its `spectral_rows` at its last horizon."""
    rows = spectral_rows(points, statistics)
    return rows.filter(pl.col("horizon") == pl.col("horizon").max().over("point"))


def freedom_of(row: Mapping[str, Any]) -> float:
    """Degrees of freedom of the error of a row's growth rate; of an earlier rnnmc, from all its weight draws."""
    said = row.get("growth_rate_freedom")
    return float(said if said is not None else max((row.get("weight_draws") or row["replicates"]) - 1, 1))


def systematic_of(row: Mapping[str, Any]) -> float:
    """What brings the growth rate of a row to that by the other estimator, nats a step; 0 where there is no telling."""
    return row.get("growth_systematic") or 0.0


def gain_of(said: Mapping[str, Any]) -> float | None:
    """g, where the recurrent weights of this design point are N(0, g^2 / n) in every gate and not cut or scaled."""
    init = said["init"]
    law = init.get("recurrent", {}) if isinstance(init, dict) else {}
    return float(law["gaussian"]) if law.keys() == {"gaussian"} else None


def input_std_of(said: Mapping[str, Any]) -> float | None:
    """Deviation of what reaches a pre-activation of every gate from a drive of unit variance; 0 without a drive."""
    init = said["init"]
    if said["drive"] == "none":
        return 0.0
    law = init.get("input", {}) if isinstance(init, dict) else {}
    return float(law["gaussian"]) if law.keys() == {"gaussian"} else None


NOT_WIDE = ("none", "field", {"white": 1})  # drives that lie on one map, of the deviation of what they bring


def groups(rows: pl.DataFrame, *varied: str) -> Iterator[list[dict[str, Any]]]:
    """Rows whose design points differ in nothing but what is varied: "gain", "width" or "field".

    Each row has `said`, its design point as a study file would say it, and of these what it knows.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows.iter_rows(named=True):
        said = json.loads(row["json"])
        known = {"gain": gain_of(said), "field": input_std_of(said), "width": row["width"]}
        if any(known[name] is None for name in varied):
            continue
        rest = json.loads(row["json"])
        rest.pop("observables", None)
        if "width" in varied:
            rest["drive"] = row["drive"] if is_as_wide(said["drive"], rest.pop("width")) else said["drive"]
        if "gain" in varied:
            rest["init"]["recurrent"] = None
        if "field" in varied:
            rest["drive"] = row["drive"] if said["drive"] not in NOT_WIDE else None
            rest["init"]["input"] = None
        found.setdefault(json.dumps(rest, sort_keys=True), []).append(row | known | {"said": said})
    yield from found.values()
