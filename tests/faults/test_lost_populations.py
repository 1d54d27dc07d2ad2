"""A population that was lost is run again to the same bits, whatever else is there."""

from pathlib import Path

import polars as pl
from studies import sample_here, shard_files, small, study_of

SPLIT = {"splitting": {"event": "explode", "particles": 100, "populations": 4, "smallest": 1e-6}}
PLAIN = {"cell": "lstm", "width": 2, "horizons": [10], "replicates": 20}


def test_a_study_of_rare_events_goes_on_where_it_was_stopped_to_the_same_digest(tmp_path: Path) -> None:
    study = study_of(small(points=[PLAIN, PLAIN | {"replicates": SPLIT}]))
    whole = sample_here(study, tmp_path)
    files = shard_files(tmp_path)
    populations = [path for path in files if path.stem in {"000001", "000003"}]
    assert len(populations) == 2
    for path in populations:
        path.unlink()
    assert sample_here(study, tmp_path) == whole
    again = shard_files(tmp_path)
    assert {path for path in files if again[path] != files[path]} == set(populations)


def test_fewer_populations_are_the_first_of_more(tmp_path: Path) -> None:
    few = SPLIT | {"splitting": SPLIT["splitting"] | {"populations": 3}}
    found = []
    for name, said in (("few", few), ("more", SPLIT)):
        sample_here(study_of(small(points=[PLAIN, PLAIN | {"replicates": said}])), tmp_path / name)
        found.append(
            {path.relative_to(tmp_path / name): pl.read_parquet(path) for path in shard_files(tmp_path / name)}
        )
    first, more = found
    assert len(first) < len(more)
    assert all(table.equals(more[path]) for path, table in first.items())
