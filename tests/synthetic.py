"""Samples and studies made up from random walks, for tests that need numbers but no recurrent network."""

import hashlib
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from rnnmc.statistics import point_statistics

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
) -> np.ndarray:
    """Log-norms (replicates, horizons) of Gaussian walks: drift in nats a step, spread in nats a root step.

    death, overflow: chance a step of going to -inf and +inf for good; between them the walk is rate plus
    noise, with a rate of its own for each replicate, as with weights that are tied.
    """
    random = np.random.default_rng(seed)
    steps = np.asarray(horizons, dtype=float)
    gaps = np.diff(steps, prepend=0.0)
    noise = np.cumsum(random.normal(size=(replicates, len(steps))) * np.sqrt(gaps), axis=1) * spread
    own = random.normal(size=(replicates, 1)) * spread * 0.1 * steps
    log_norm = drift * steps + noise + own
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
        "json": "{}",
    }
    return row | factors


def study(
    cells: Sequence[str] = CELLS,
    widths: Sequence[int] = (1, 16, 64),
    inits: Sequence[str] = INITS,
    last: int = 1000,
    replicates: int = 400,
) -> tuple[dict, pl.DataFrame, pl.DataFrame]:
    """Settings, points and statistics of a made-up study with every outcome, dead and overflown ones too."""
    horizons = log_spaced(last)
    rows, frames = [], []
    for c, cell in enumerate(cells):
        for w, width in enumerate(widths):
            for i, init in enumerate(inits):
                row = point_row(cell, width, init, last, replicates)
                drift = -0.03 + 0.012 * i + 0.004 * w - 0.003 * c
                relu = cell == "relu"
                log_norm = walks(
                    horizons,
                    replicates,
                    drift=drift * (3 if relu else 1),
                    spread=0.25 / np.sqrt(width) + 0.05,
                    seed=len(rows),
                    death=0.5**width if relu else 0.0,
                    overflow=2e-4 if relu and i == 3 else 0.0,
                )
                rows.append(row)
                frames.append(point_statistics(samples_of(log_norm, horizons, row["point"]), VANISH, EXPLODE))
    settings = {
        "study": "synthetic",
        "seed": 7888,
        "replicates": replicates,
        "horizons": horizons,
        "thresholds": {"vanish": VANISH, "explode": EXPLODE},
    }
    return settings, pl.DataFrame(rows), pl.concat(frames)
