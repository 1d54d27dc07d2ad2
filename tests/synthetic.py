"""Samples and studies made up from random walks, for tests that need numbers but no recurrent network."""

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import ArrayLike
from scipy.stats import norm

from rnnmc.statistics.first_passage import first_passage
from rnnmc.statistics.oracles import CHECKS, coverage
from rnnmc.statistics.point import point_statistics
from rnnmc.statistics.variance_split import variance_split

STATUS = pl.Enum(["ok", "dead", "overflow"])
VANISH, EXPLODE = 1e-3, 1e3


def samples_of(
    log_norm: ArrayLike,
    horizons: Sequence[int],
    point: str = "0123456789ab",
    per_block: int = 64,
    rms_offset: float = -0.5,
) -> pl.DataFrame:
    """The samples with these log-norms: (replicates, horizons) in nats; -inf means dead, +inf overflow."""
    log_spectral = np.asarray(log_norm, dtype=float)
    replicates, number = log_spectral.shape
    assert number == len(horizons)
    index = np.repeat(np.arange(replicates), number)
    flat = log_spectral.ravel()
    status = np.select([flat == -np.inf, flat == np.inf], ["dead", "overflow"], "ok")
    return pl.DataFrame(
        {
            "point": pl.Series([point], dtype=pl.Categorical).new_from_index(0, len(flat)),
            "block": pl.Series(index // per_block, dtype=pl.Int32),
            "replicate": pl.Series(index % per_block, dtype=pl.Int32),
            "horizon": pl.Series(np.tile(horizons, replicates), dtype=pl.Int32),
            "log_spectral": flat,
            "log_rms": flat + rms_offset,
            "status": pl.Series(status.tolist(), dtype=STATUS),
        }
    )


def walks(
    horizons: Sequence[int],
    replicates: int,
    drift: float,
    spread: float,
    seed: int = 0,
    death: float = 0.0,
    overflow: float = 0.0,
    drives: int = 1,
    states: int = 1,
) -> np.ndarray:
    """Log-norms (replicates, horizons) of Gaussian walks: drift in nats a step, spread in nats a root step.

    death, overflow: chance a step of going to -inf and +inf for good; between them the walk is rate plus
    noise, with a rate of its own for each weight draw, as with weights that are tied. Each weight draw has so many
    drives, each with a noise of its own, and each drive so many states, which differ at the start.
    """
    random = np.random.default_rng(seed)
    steps = np.asarray(horizons, dtype=float)
    gaps = np.diff(steps, prepend=0.0)
    noise = np.cumsum(random.normal(size=(replicates // states, len(steps))) * np.sqrt(gaps), axis=1) * spread
    own = random.normal(size=(replicates // (drives * states), 1)) * spread * 0.1 * steps
    start = random.normal(size=(replicates, 1)) if drives * states > 1 else 0.0
    log_norm = drift * steps + np.repeat(noise, states, axis=0) + np.repeat(own, drives * states, axis=0) + start
    with np.errstate(divide="ignore"):
        dies = random.exponential(size=(replicates, 1)) / np.float64(death)
        flows = random.exponential(size=(replicates, 1)) / np.float64(overflow)
    log_norm[(steps >= flows) & (flows < dies)] = np.inf
    log_norm[(steps >= dies) & (dies <= flows)] = -np.inf
    return log_norm


def log_spaced(last: int, per_decade: int = 8) -> list[int]:
    """Horizons from 1 to `last` with about `per_decade` in each decade."""
    number = round(np.log10(last) * per_decade) + 1
    return sorted({round(t) for t in np.geomspace(1, last, number)})


CELLS = ("tanh", "relu", "lstm", "gru", "gru_reset_after", "gru_tied", "gru_output_gated")
INITS = ("pytorch", "keras", "gaussian 1, input gaussian 1", "gaussian 2, input gaussian 1", "chrono 100")


def point_row(cell: str, width: int, init: str, horizon: int, replicates: int, **factors: object) -> dict:
    """One row of points.parquet with a key of its own."""
    name = f"{cell} {width} {init} {factors}"
    row = {
        "point": hashlib.sha256(name.encode()).hexdigest()[:12],
        "cell": cell,
        "width": width,
        "init": init,
        "drive": "white",
        "weights": "tied",
        "state_std": 0.0,
        "dtype": "float32",
        "seed": 7888,
        "horizon": horizon,
        "replicates": replicates,
        "block": 64,
        "tile": 32,
        "kernel": "eager",
        "json": json.dumps({"drive": factors.get("drive", "white")}),
    }
    return row | factors


NESTED = {"drives": 5, "states": 2}
HALF_WIDTH = 0.06  # of the points that stop before they have all their replicates
ORACLES = ("linear", "lru")  # cells that prove the program: no part of the study


@lru_cache
def study(
    cells: Sequence[str] = CELLS,
    widths: Sequence[int] = (1, 16, 64),
    inits: Sequence[str] = INITS,
    last: int = 1000,
    replicates: int = 400,
) -> tuple[dict, pl.DataFrame, dict[str, pl.DataFrame]]:
    """Settings, points and tables of a made-up study with every outcome, dead and overflown ones too.

    With all that a study may have: tanh has an exact law, lstm one of large width that is off by 0.01/width; gru is
    nested; gru_tied has stopped early; and there are design points that only prove the program, two of them.
    """
    horizons = log_spaced(last)
    rows, tables = [], {name: [] for name in ("statistics", "first-passage", "variance")}
    for c, cell in enumerate((*cells, *ORACLES)):
        for w, width in enumerate(widths if cell in cells else widths[:1]):
            for i, init in enumerate(inits if cell in cells else inits[:1]):
                drift, spread = -0.03 + 0.012 * i + 0.004 * w - 0.003 * c, 0.25 / np.sqrt(width) + 0.05
                nested = NESTED if cell == "gru" else {"drives": 1, "states": 1}
                group = nested["drives"] * nested["states"]
                early = cell == "gru_tied"
                row = point_row(cell, width, init, last, replicates, nested=group, oracle=cell in ORACLES)
                row["half_width"] = HALF_WIDTH if early else None
                rows.append(row)
                relu = cell == "relu"
                log_norm = walks(
                    horizons,
                    replicates,
                    drift=drift * (3 if relu else 1),
                    spread=spread,
                    seed=len(rows),
                    death=0.5**width if relu else 0.0,
                    overflow=2e-4 if relu and i == 3 else 0.0,
                    **nested,
                )
                samples = samples_of(log_norm[: replicates // 2] if early else log_norm, horizons, row["point"])
                counted = {"interval": "confidence-sequence" if early else "wilson", "group": group}
                statistics = point_statistics(samples, VANISH, EXPLODE, **counted)
                law = {"tanh": True, "lstm": False}.get(cell)
                tables["statistics"].append(beside(statistics, law, drift + (0 if law else 0.01 / width), spread))
                tables["first-passage"].append(first_passage(statistics))
                if group > 1 and replicates >= group:
                    tables["variance"].append(variance_split(samples, **nested))
    settings = {
        "study": "synthetic",
        "seed": 7888,
        "replicates": replicates,
        "horizons": horizons,
        "thresholds": {"vanish": VANISH, "explode": EXPLODE},
    }
    points = pl.DataFrame(rows, schema_overrides={"half_width": pl.Float64})
    whole = {name: pl.concat(parts) for name, parts in tables.items() if parts}
    return settings, points, whole | self_validation() | {"statistics-made_up": made_up(points)}


def beside(statistics: pl.DataFrame, exact: bool | None, drift: float, spread: float) -> pl.DataFrame:
    """The statistics of walks with what theory says: all of it where exact, else the rate; nothing where None."""
    horizon = statistics["horizon"].to_numpy()
    offset = np.where(statistics["measure"] == "log_rms", -0.5, 0.0)
    deviation = spread * np.sqrt(horizon + (0.1 * horizon) ** 2)
    law = norm(drift * horizon + offset, deviation)
    rate = [drift if exact is not None else None] * len(horizon)
    known = {
        "theory_mean": law.mean(),
        "theory_deviation": deviation,
        "theory_p_vanish_at": law.cdf(np.log(VANISH)),
        "theory_p_stable_at": law.cdf(np.log(EXPLODE)) - law.cdf(np.log(VANISH)),
        "theory_p_explode_at": law.sf(np.log(EXPLODE)),
        "theory_p_dead_at": np.zeros(len(horizon)),
    }
    return statistics.with_columns(
        pl.Series("theory_growth_rate", rate, dtype=pl.Float64),
        pl.Series("theory_growth_rate_error", [None if exact is None else 0.0] * len(horizon), dtype=pl.Float64),
        pl.lit({True: "gaussian_walk", False: "wide_walk", None: None}[exact], pl.String).alias("theory_growth_law"),
        pl.lit(exact, pl.Boolean).alias("theory_growth_exact"),
        pl.lit(None, pl.Float64).alias("theory_onset_gain"),
        *(
            pl.Series(name, values if exact else [None] * len(horizon), dtype=pl.Float64)
            for name, values in known.items()
        ),
        pl.lit(0.5 if exact is False else None, pl.Float64).alias("theory_p_explode_at_most"),
        pl.lit("gaussian_walk" if exact else None, pl.String).alias("theory_law"),
    )


def self_validation(number: int = 120, failing: bool = False) -> dict[str, pl.DataFrame]:
    """Tables `oracles` and `coverage` of two laws, so many cells each, that hold as often as they should, or not."""
    random = np.random.default_rng(5)
    frames = []
    for law in ("gaussian_walk", "lru"):
        score = random.normal(size=number) * (2 if failing and law == "lru" else 1)
        truth = random.normal(size=number)
        columns = {
            "point": "0123456789ab",
            "cell": "linear",
            "width": 4,
            "law": law,
            "horizon": np.resize([1, 10, 100, 1000], number),
            "measure": "log_spectral",
            "quantity": np.resize(["probability", "mean"], number),
            "at": None,
            "truth": truth,
            "estimate": truth + score,
            "low": truth + score - 1.96,
            "high": truth + score + 1.96,
            "holds": np.abs(score) <= 1.96,
            "expected_coverage": 0.95,
            "pit": norm.cdf(score),
            "score": score,
            "replicates": 1000,
        }
        frames.append(pl.DataFrame(columns).cast(dict(CHECKS)))
    exact = (
        frames[0]
        .head(1)
        .with_columns(
            quantity=pl.lit("certain"),
            estimate="truth",
            holds=True,
            pit=pl.lit(None, pl.Float64),
            score=pl.lit(None, pl.Float64),
        )
    )
    oracles = pl.concat([*frames, exact])
    return {"oracles": oracles, "coverage": coverage(oracles)}


def made_up(points: pl.DataFrame) -> pl.DataFrame:
    """The summary of an observable that rnnmc does not have, as `rnnmc.statistics.summaries.Summary` would make it."""
    keys = points["point"].to_list()
    frames = [
        pl.DataFrame({"point": keys, "horizon": horizon, "quantity": "size"}).with_columns(
            pl.lit(100).alias("replicates"), pl.lit(100).alias("finite"), pl.Series("mean", np.arange(len(keys)) + 0.25)
        )
        for horizon in (10, 100)
    ]
    return pl.concat(frames).sort("point", "horizon")


def of_an_earlier_release(tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The statistics alone, without bands, weight draws and theory."""
    return {"statistics": tables["statistics"].select(pl.exclude("^theory_.*$", "^.*_band_.*$", "weight_draws"))}
