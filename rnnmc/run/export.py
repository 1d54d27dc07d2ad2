"""A study as xarray knows it: a netCDF file or a Zarr store, with dimensions, coordinates and attributes."""

from __future__ import annotations

import errno
import importlib
import importlib.metadata
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rnnmc.chain.norms import MEASURES, STATUS
from rnnmc.common.errors import RunError, UsageError, first_line
from rnnmc.engine.block import SAMPLES
from rnnmc.report.plotting import with_numbers
from rnnmc.run.aggregate import STATISTICS, read_tables
from rnnmc.run.dictionary import meaning
from rnnmc.store.plan import hold_samples, stored_points, study_said
from rnnmc.store.reading import planned_points, samples_of
from rnnmc.store.stored_point import StoredPoint
from rnnmc.store.tables import DESIGN

BOTH = "both"  # what may be exported, beside STATISTICS and SAMPLES
ENGINES = {"netcdf": "h5netcdf", "zarr": "zarr"}  # form -> the package that writes it
ENDINGS = {"netcdf": ".nc", "zarr": ".zarr"}
LARGEST_ARRAYS = 4e9  # bytes of samples: they are in memory once, and once more while they are written
OF_ALL = (
    "interval",
    "level",
    "threshold_vanish",
    "threshold_explode",
)  # attributes where one value is that of all rows
OF_POINT = (*DESIGN, "dtype", "seed", "oracle")  # coordinates, beside the numbers inside of init and drive
QUANTILE = re.compile(r"q(\d\d)")
NO_STATUS = -1  # where a point has no such replicate or horizon
PLAIN_UNITS = {"probability": "1", "share": "1", "replicates": "1", "draws": "1"}  # others as the dictionary says


def export(directory: Path, form: str, what: str, path: Path) -> Any:
    """Write a study as a netCDF file or a Zarr store; the xarray.Dataset that was written, of `as_dataset`.

    form: of ENGINES. what: statistics, samples or both. Raises UsageError where a package is missing, something is
    there already, or the study has no such thing, RunError where it cannot be written.
    """
    study_said(directory)
    if what != STATISTICS:
        hold_samples(directory)
    if what != SAMPLES and not (directory / f"{STATISTICS}.parquet").exists():
        raise UsageError(f"{directory}: has no statistics; run the study first, or give --what {SAMPLES}")
    for package in ("xarray", ENGINES[form]):
        _needed(package)
    if path.exists():
        raise UsageError(f"--out {path}: is there already; give another name, or remove it")
    data = as_dataset(directory, what)
    new = path.with_name(f".{path.name}.new")
    shutil.rmtree(new, ignore_errors=True)  # of one that was killed
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(path.parent).free < data.nbytes:  # HDF5 does not end well where room does
            raise OSError(errno.ENOSPC, f"{data.nbytes / 1e6:.1f} MB at most are needed, and there is less room")
        if form == "zarr":
            with warnings.catch_warnings():  # of what is in no specification; format 2, which all versions read, is
                warnings.simplefilter("ignore")
                data.to_zarr(new, zarr_format=2, consolidated=True)
        else:
            packed = {"zlib": True, "complevel": 4}
            numbers = [name for name, one in data.data_vars.items() if one.dtype.kind in "fiu" and one.ndim > 1]
            data.to_netcdf(new, engine=ENGINES[form], encoding=dict.fromkeys(numbers, packed))
        new.replace(path)
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {first_line(error)}; make room or give another place") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)
        with suppress(OSError):
            new.unlink(missing_ok=True)
    return data


def _needed(package: str) -> Any:
    """A package that only an export needs. Raises UsageError where it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise UsageError(f"rnnmc export needs the package {package}; run pip install 'rnnmc[export]'") from None


def as_dataset(directory: Path, what: str = STATISTICS) -> Any:
    """The statistics, the samples or both of a study folder, proved, as an xarray.Dataset.

    Dimensions: point, its key, with a coordinate for each factor (cell, width, gain); horizon, in steps; of statistics
    measure (log_spectral, log_rms) and quantile; of samples replicate. A variable for each column of statistics, the
    quantiles q05 and so on as one, `log_norm`; of samples log_spectral, log_rms (nats; NaN where a point has no such
    replicate or horizon) and status (number in its attribute flag_meanings). Units and names from the dictionary.
    Populations of rare events, which are no samples, are left out. Raises UsageError where the study has no such thing.
    """
    xarray = _needed("xarray")
    statistics = read_tables(directory)[STATISTICS] if what != SAMPLES else None
    stored = [one for one in stored_points(directory) if not one.split] if what != STATISTICS else []
    keys = [one.key for one in stored] if statistics is None else statistics["point"].unique(maintain_order=True)
    planned = planned_points(directory)
    points = with_numbers(planned).filter(pl.col("point").is_in(list(keys)))
    if points.is_empty():
        raise UsageError(
            f"{directory}: has populations alone, and no plain replicates; read its statistics-rare.parquet"
        )
    horizons = {horizon for one in stored for horizon in one.horizons}
    horizons |= set(statistics["horizon"]) if statistics is not None else set()
    axes = {"point": points["point"].to_list(), "horizon": sorted(horizons)}
    coordinates: dict[str, Any] = dict(axes)
    inner = [name for name in points.columns if name not in planned.columns]
    for name in (*OF_POINT, *inner):
        if name in points.columns:
            coordinates[name] = ("point", *_told(points[name], name))
    coordinates["point"] = ("point", axes["point"], _attributes("point"))
    coordinates["horizon"] = ("horizon", axes["horizon"], _attributes("horizon"))
    variables: dict[str, Any] = {}
    said: dict[str, Any] = {"title": f"study {directory.resolve().name} of rnnmc: do gradients vanish or explode?"}
    said["source"] = f"rnnmc {importlib.metadata.version('rnnmc')}"
    if statistics is not None:
        said |= {name: statistics[name][0] for name in OF_ALL if statistics[name].n_unique() == 1}
        coordinates["measure"] = ("measure", list(MEASURES), _attributes("measure"))
        rows = statistics.drop(said.keys() & set(OF_ALL))
        variables |= _statistics(rows, axes | {"measure": list(MEASURES)})
        quantiles = [name for name in rows.columns if QUANTILE.fullmatch(name)]
        coordinates["quantile"] = ("quantile", [int(name[1:]) / 100 for name in quantiles])
        stacked = np.stack([variables.pop(name)[1] for name in quantiles], axis=-1)
        words = {"long_name": "quantiles over replicates, infinities included", "units": "nats"}
        variables["log_norm"] = (("point", "horizon", "measure", "quantile"), stacked, words)
    if stored:
        variables |= _samples(directory, stored, axes)
        coordinates["replicate"] = ("replicate", np.arange(max(one.replicates for one in stored)))
    return xarray.Dataset(variables, coordinates, said)


def _statistics(rows: pl.DataFrame, axes: dict[str, list]) -> dict[str, Any]:
    """name -> (dimensions, array, attributes) of each column that is no key, over point, horizon and measure."""
    places = [_places(rows[name].cast(pl.String), axes[name]) for name in axes]
    shape = tuple(len(one) for one in axes.values())
    found = {}
    for name in rows.columns:
        if name in (*axes, *DESIGN) or rows[name].dtype == pl.List:
            continue
        values, attributes = _told(rows[name], name)
        whole = np.full(shape, _nothing(values), dtype=values.dtype)
        if values.dtype.kind in "iub" and rows.height < whole.size:
            whole = np.full(shape, np.nan)
        whole[tuple(places)] = values
        found[name] = (tuple(axes), whole, attributes)
    return found


def _places(values: pl.Series, axis: list) -> np.ndarray:
    place = {str(one): number for number, one in enumerate(axis)}
    return np.array([place[one] for one in values])


def _nothing(values: np.ndarray) -> Any:
    return "" if values.dtype.kind in "OUT" else np.nan if values.dtype.kind == "f" else 0


def _told(values: pl.Series, name: str) -> tuple[np.ndarray, dict[str, str]]:
    """(a column as an array, its attributes); what is missing is "" or NaN."""
    if values.dtype in (pl.String, pl.Categorical, pl.Enum):
        return np.array(values.cast(pl.String).fill_null("").to_list(), dtype=object), _attributes(name)
    if values.dtype == pl.Boolean and values.null_count():
        values = values.cast(pl.Float64)
    return values.fill_null(np.nan).to_numpy() if values.null_count() else values.to_numpy(), _attributes(name)


def _attributes(column: str) -> dict[str, str]:
    """long_name and units, as the dictionary says them; nothing of a column that it does not know."""
    try:
        unit, words = meaning(column)
    except KeyError:
        return {}
    return {"long_name": words} | ({"units": PLAIN_UNITS.get(unit, unit)} if unit else {})


def _samples(directory: Path, stored: list[StoredPoint], axes: dict[str, list]) -> dict[str, Any]:
    """name -> (dimensions, array, attributes) of the log-norms and the status, over point, replicate and horizon."""
    shape = (len(axes["point"]), max(one.replicates for one in stored), len(axes["horizon"]))
    size = float(np.prod(shape)) * (8 * len(MEASURES) + 1)
    if size > LARGEST_ARRAYS:
        raise UsageError(
            f"{directory}: its samples are {size / 1e9:.0f} GB as arrays, of which {LARGEST_ARRAYS / 1e9:.0f} can be "
            "exported; give --what statistics, or read the samples by rnnmc.scan"
        )
    found = {name: np.full(shape, np.nan) for name in MEASURES}
    status = np.full(shape, NO_STATUS, np.int8)
    for place, one, rows in _rectangles(directory, stored, axes["point"]):
        columns = _places(rows["horizon"].unique(maintain_order=True).cast(pl.String), axes["horizon"])
        for name, whole in found.items():
            whole[place, : one.replicates, columns] = rows[name].to_numpy().reshape(one.replicates, -1).T
        numbers = rows["status"].cast(pl.String).cast(pl.Enum(STATUS)).to_physical().to_numpy()
        status[place, : one.replicates, columns] = numbers.reshape(one.replicates, -1).T
    dimensions = ("point", "replicate", "horizon")
    meanings = {"flag_values": np.arange(len(STATUS), dtype=np.int8), "flag_meanings": " ".join(STATUS)}
    variables = {name: (dimensions, _short(whole), _attributes(name)) for name, whole in found.items()}
    return variables | {"status": (dimensions, status, _attributes("status") | meanings)}


def _short(values: np.ndarray) -> np.ndarray:
    """In float32 where that keeps every number, as it does of float32 chains."""
    short = values.astype(np.float32)
    return short if np.array_equal(short, values, equal_nan=True) else values


def _rectangles(
    directory: Path, stored: list[StoredPoint], keys: list[str]
) -> Iterator[tuple[int, StoredPoint, pl.DataFrame]]:
    """(place of the point, the point, its rows by replicate, then horizon)."""
    for one in stored:
        yield keys.index(one.key), one, samples_of(directory, one).sort("replicate", "horizon")
