"""How to cite a study: rnnmc, the article, and the sources of exactly the cells, laws, observables and estimators that
it used.

Of a work the code says names and a year, and so do the entries, with the words of the code beside them, and with the
title where `works.py` knows it.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from rnnmc.cells import cell
from rnnmc.drives import drives
from rnnmc.initialisers import laws as weight_laws
from rnnmc.initialisers import presets
from rnnmc.observables import observables
from rnnmc.report.works import ALL_AUTHORS, ESTIMATORS, WORKS
from rnnmc.statistics.analyses import analyses
from rnnmc.theory import laws as theory_laws

ARTICLE = """@misc{su_2020,
  author = {Su, Jianlin},
  title = {On vanishing and exploding gradients in RNNs},
  year = {2020},
  url = {https://kexue.fm/archives/7888},
  note = {In Chinese}
}"""
# `Chang, Chen, Haber, Chi 2019 (ICLR)`: names, a year and, in brackets, what else is said
WORK = re.compile(r"((?:van der )?[A-Z][^;()0-9]*?) ((?:18|19|20)\d\d)\b(?: \(([^()]*)\))?")
LAYER = re.compile(r"\b(?:torch|keras|jax|flax)\.[\w.]*\w")


def bibtex(points: pl.DataFrame, tables: Mapping[str, pl.DataFrame], commit: str = "") -> str:
    """BibTeX of a study. points: rows of points.parquet; tables: as `write_report` has them; commit: of rnnmc."""
    found: dict[str, dict[str, Any]] = {}
    for used, source in sources(points, tables):
        for key, entry in _works(source):
            own = found.setdefault(key, entry | {"for": [], "notes": []})
            own["for"] += [used] if used not in own["for"] else []
            own["notes"] += [entry["said"]] if entry["said"] and entry["said"] not in own["notes"] else []
    return "\n\n".join([_rnnmc(commit), ARTICLE, *(_entry(key, found[key]) for key in sorted(found))]) + "\n"


def sources(points: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, str]]:
    """(what is used, its source as the code says it) of everything that a study used, each once."""
    said = [json.loads(text) for text in points["json"]]
    for name in sorted({one["cell"] for one in said if "cell" in one}):
        try:
            yield f"cell {name}", cell(name).source
        except ValueError:  # one's own, which is not here any more
            continue
    for kind, known, used in (
        ("drive", drives(), {name for one in said for name in _names(one.get("drive"))}),
        ("law of weights", weight_laws(), {name for one in said for name in _names(one.get("init"))}),
        ("preset", presets(), {name for one in said for name in _names(one.get("init"))}),
        ("observable", observables(), {name for one in said for name in _names(one.get("observables"))}),
        ("analysis", analyses(), {name for name, table in tables.items() if not table.is_empty()}),
        ("theory", theory_laws(), _laws(tables["statistics"])),
    ):
        for name in sorted(used & known.keys()):
            yield f"{kind} {name}", str(getattr(known[name], "source", ""))
    by = {str(kind) for table in tables.values() if "interval" in table.columns for kind in table["interval"].unique()}
    by |= {"splitting" for one in said if one.get("splitting")}
    for name in sorted(by & ESTIMATORS.keys()):
        yield f"estimator {name}", ESTIMATORS[name]


def _laws(statistics: pl.DataFrame) -> set[str]:
    columns = [name for name in ("theory_law", "theory_growth_law") if name in statistics.columns]
    return {str(law) for name in columns for law in statistics[name].drop_nulls().unique()}


def _names(value: Any) -> Iterator[str]:
    """Every word in a nested piece of a study file: of these some are names of laws."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)


def _works(source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(key, entry) of every work and every layer of a framework that a source names."""
    for told, year, said in WORK.findall(source):
        names = str(ALL_AUTHORS.get(f"{told} {year}", told))
        authors = [name for name in re.split(r", (?:and )?| and ", re.sub(r" et al\.$", ", others", names)) if name]
        key = re.sub(r"\W+", "_", f"{names} {year}".replace(" et al.", "")).lower()
        called = f"{key}_{said.split()[-1]}".lower() if said else key  # one of several of the same authors and year
        key = called if called in WORKS else key
        written = " and ".join(name if name == "others" else f"{{{name}}}" for name in authors)
        entry = {"author": written, "year": year, "said": said}
        if key in WORKS:
            title, where = WORKS[key]
            entry |= {"title": f"{{{title}}}", "howpublished": where}
        yield key, entry
    for layer in LAYER.findall(source):
        yield layer.replace(".", "_").lower(), {"title": f"{{{layer}}}", "said": ""}


def _entry(key: str, entry: dict[str, Any]) -> str:
    note = "; ".join([*entry["notes"], f"source of {', '.join(entry['for'])}"])
    fields = {name: entry[name] for name in ("author", "title", "howpublished", "year") if name in entry} | {
        "note": note
    }
    return _written(key, fields)


def _rnnmc(commit: str) -> str:
    title = "{rnnmc: how probable is it that the gradient of a recurrent network vanishes, or explodes? Measured.}"
    said = f"Software, version {importlib.metadata.version('rnnmc')}" + (f", commit {commit}" if commit else "")
    return _written("rnnmc", {"author": "{The rnnmc authors}", "title": title, "note": said})


def _written(key: str, fields: Mapping[str, str]) -> str:
    lines = ",\n".join(f"  {name} = {{{_safe(value)}}}" for name, value in fields.items())
    return f"@misc{{{key},\n{lines}\n}}"


def _safe(text: str) -> str:
    """What LaTeX would take for a command."""
    return re.sub(r"([_%&#$])", r"\\\1", text)
