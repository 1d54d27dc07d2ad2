"""What an export holds is what the study says, as xarray itself reads it from either form."""

from __future__ import annotations

import sys
from pathlib import Path

import h5netcdf  # noqa: F401 - it asks uname when it is first imported, which is no process of ours
import numpy as np
import polars as pl
import pytest
import xarray as xr
from studies import sample_here, small, study_of

import rnnmc
from rnnmc.cli import main
from rnnmc.common.errors import UsageError
from rnnmc.run import export as module
from rnnmc.run.aggregate import aggregate
from rnnmc.run.export import as_dataset, export
from rnnmc.study.study import Thresholds

GAUSSIAN = {"recurrent": {"gaussian": [0.001, 1.5]}, "input": {"gaussian": 0.5}}
POINTS = [
    {"cell": "relu", "width": 1, "init": GAUSSIAN},
    {"cell": "tanh", "width": 3, "replicates": 9, "horizons": [5, 50], "dtype": "float64"},
    {"cell": "tanh", "width": 2, "horizons": [1], "replicates": {
        "splitting": {"populations": 3, "particles": 100, "smallest": 0.1, "event": "vanish"}}},
]  # fmt: skip
FORMS = [("netcdf", "x.nc"), ("zarr", "x.zarr")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose points differ in horizons, replicates and dtype, with dead chains and a rare event."""
    folder = tmp_path_factory.mktemp("results") / "mixed"
    sample_here(study_of(small(study="mixed", points=POINTS, replicates=40, horizons=[1, 10, 50])), folder)
    aggregate(folder, Thresholds(), "wilson")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("form", "name"), FORMS)
def test_every_statistic_is_read_again_by_xarray_where_its_coordinates_say(
    form: str, name: str, folder: Path, tmp_path: Path
):
    export(folder, form, "both", tmp_path / name)
    statistics = rnnmc.load(folder, "statistics").filter(estimator="plain").collect()
    with xr.open_dataset(tmp_path / name) as data:
        data.load()
    assert dict(data.sizes) == {"point": 3, "horizon": 4, "measure": 2, "quantile": 5, "replicate": 40}
    seen, infinite = 0, 0
    for row in statistics.iter_rows(named=True):
        here = data.sel(point=row["point"], horizon=row["horizon"], measure=str(row["measure"]))
        for column in ("cell", "width", "init", "drive", "weights", "dtype", "seed"):
            assert here[column].item() == row[column]
        for column in ("p_vanish_at", "vanish_at_count", "replicates", "growth_rate", "growth_rate_low", "ok_count"):
            expected = np.nan if row[column] is None else row[column]
            np.testing.assert_equal(float(here[column]), float(expected), err_msg=column)
        for quantile in data["quantile"].values:
            expected = row[f"q{round(100 * quantile):02d}"]
            assert here["log_norm"].sel(quantile=quantile).item() == expected
            infinite += np.isinf(expected)
        assert here["growth_by"].item() == (row["growth_by"] or "")
        seen += 1
    assert seen == statistics.height == 2 * (3 + 3 + 2)
    assert infinite > 0, "dead chains have a quantile of minus infinity"
    for column in ("p_vanish_at", "vanish_at_count"):
        assert int(data[column].notnull().sum()) == seen, "nothing stands where no row is"


@pytest.mark.slow
@pytest.mark.parametrize(("form", "name"), FORMS)
def test_every_sample_is_read_again_by_xarray(form: str, name: str, folder: Path, tmp_path: Path):
    export(folder, form, "samples", tmp_path / name)
    with xr.open_dataset(tmp_path / name) as data:
        data.load()
    samples = rnnmc.scan(folder).collect()
    assert dict(data.sizes) == {"point": 3, "replicate": 40, "horizon": 4}
    words = data["status"].attrs["flag_meanings"].split()
    for (key,), rows in samples.group_by("point"):
        here = data.sel(point=key)
        places = {"replicate": xr.DataArray(rows["replicate"].to_numpy()), "horizon": xr.DataArray(rows["horizon"])}
        for column in ("log_spectral", "log_rms"):
            np.testing.assert_array_equal(here[column].sel(places).values, rows[column].to_numpy())
        assert [words[one] for one in here["status"].sel(places).values] == rows["status"].cast(pl.String).to_list()
        assert int(here["log_rms"].notnull().sum()) == int((here["status"] >= 0).sum()) == rows.height > 0
    assert {"ok", "dead"} == set(samples["status"].cast(pl.String).unique())
    assert data["log_rms"].dtype == np.float64, "one point is of float64"


@pytest.mark.slow
def test_names_are_those_that_xarray_users_select_and_plot_by(folder: Path):
    data = as_dataset(folder)
    assert data["p_vanish_at"].attrs["units"] == "1"
    assert "below the vanishing threshold at this horizon" in data["p_vanish_at"].attrs["long_name"]
    assert data["growth_rate"].attrs["units"] == "nats a step"
    assert data["horizon"].attrs["units"] == "steps"
    assert data.attrs["threshold_vanish"] == 1e-3
    assert not [name for name, one in data.variables.items() if "long_name" not in one.attrs and name in OURS]
    grid = data.where(data["cell"] == "relu", drop=True).set_index(point="gain")
    assert sorted(grid["point"].values) == [0.001, 1.5]
    curve = data["p_stable_by"].sel(measure="log_spectral").groupby("cell").mean()
    assert curve.sizes == {"cell": 2, "horizon": 4}
    medians = data["log_norm"].sel(quantile=0.5)
    assert medians.dims == ("point", "horizon", "measure")


OURS = {"p_explode_by", "mean", "deviation", "cell", "width", "log_norm", "growth_median_low", "theory_law", "m"}


@pytest.mark.slow
def test_what_all_samples_of_float32_hold_is_float32(tmp_path: Path):
    sample_here(study_of(small(points=[{"cell": "tanh", "width": 2}], replicates=5)), tmp_path)
    data = as_dataset(tmp_path, "samples")
    assert data["log_spectral"].dtype == np.float32
    assert data["log_spectral"].values.size == rnnmc.scan(tmp_path).collect().height
    with pytest.raises(UsageError, match="has no statistics; run the study first, or give --what samples"):
        export(tmp_path, "netcdf", "statistics", tmp_path / "x.nc")


@pytest.mark.slow
def test_what_cannot_be_exported_is_said_in_a_sentence_before_anything_is_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def told(*words: str | Path) -> str:
        monkeypatch.setattr(sys, "argv", ["rnnmc", "export", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        return capsys.readouterr().err

    out = tmp_path / "x.nc"
    assert "--to hdf: is not a form of export; give netcdf or zarr" in told(folder, "--to", "hdf", "--out", out)
    assert "--what all: cannot be exported; give statistics, samples or both" in told(folder, "--what", "all")
    assert "study.yaml: is not there" in told(tmp_path, "--out", out)
    monkeypatch.setattr(module, "LARGEST_ARRAYS", 100)
    assert "give --what statistics, or read the samples by rnnmc.scan" in told(folder, "--what", "both", "--out", out)
    monkeypatch.setitem(sys.modules, "xarray", None)
    assert "needs the package xarray; run pip install 'rnnmc[export]'" in told(folder, "--out", out)
    assert not list(tmp_path.iterdir())
    out.touch()
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert "x.nc: is there already; give another name, or remove it" in told(folder, "--out", "x.nc")
    monkeypatch.setattr(sys, "argv", ["rnnmc", "export", str(folder)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "mixed.nc: 3 points, 4 horizons, 2 measures, 5 quantiles" in capsys.readouterr().out
    assert (tmp_path / "mixed.nc").stat().st_size > 0
