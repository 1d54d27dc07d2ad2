"""What a study will take, told of a machine that may be busy."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from studies import small, study_of

from rnnmc.engine import block
from rnnmc.engine.choice import FEW_ROWS
from rnnmc.run import forecast, planning
from rnnmc.run.forecast import Clock, _Trial, costs
from rnnmc.run.pipeline import plan
from rnnmc.store.plan import cut_up
from rnnmc.store.stored_point import StoredPoint
from rnnmc.store.timeline import Timeline

STUDY = study_of(small())


def spin(seconds: float) -> None:
    """Keep the processor busy for so long."""
    begin = time.process_time()
    while time.process_time() - begin < seconds:
        pass


def test_what_waits_costs_no_time_of_the_processor_and_shows_in_the_share_of_a_core() -> None:
    clock = Clock()
    assert clock.share == 1.0
    assert clock.timed(lambda: spin(0.02)) == pytest.approx(0.02, rel=0.5)
    assert clock.timed(lambda: time.sleep(0.2)) < 0.05
    assert clock.share < 0.5


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The points that are tried, on a machine that counts as free and remembers no trial of before."""
    found: list[object] = []
    trial = forecast._trial
    monkeypatch.setattr(forecast, "_trial", lambda stored, clock: found.append(stored) or trial(stored, clock))
    monkeypatch.setattr(forecast, "_known", lambda name: None)
    monkeypatch.setattr(forecast, "BUSY", 0.0)
    return found


@pytest.mark.slow
def test_no_trial_is_begun_late_and_the_model_stands_in(tried: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "ALL_TRIALS", 0.0)
    found = costs(cut_up(STUDY))
    assert len(tried) == forecast.FEWEST_TRIALS < len(found) == 4
    assert all(one.seconds > 0 for one in found)


@pytest.mark.slow
def test_a_plan_says_that_the_machine_is_busy_and_times_nothing_there(
    tried: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "This machine is busy" not in str(planning.cost(STUDY)["notes"])
    assert tried
    tried.clear()
    monkeypatch.setattr(forecast, "BUSY", 1.1)
    told = str(planning.cost(STUDY)["notes"])
    assert "This machine is busy" in told
    assert "by a model of the work" in told
    assert not tried


@pytest.mark.slow
def test_what_a_trial_took_is_known_the_next_time_even_where_the_machine_is_busy(
    tried: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    points = cut_up(STUDY)
    before = costs(points)
    assert len(tried) >= forecast.FEWEST_TRIALS
    tried.clear()
    monkeypatch.undo()
    monkeypatch.setattr(forecast, "BUSY", 1.1)
    after = costs(points)
    assert all(one == again for one, again in zip(before, after, strict=True) if one.tried)
    other = costs(cut_up(study_of(small(points=[{"cell": "tanh", "width": 37, "dtype": "float64"}]))))
    assert not other[0].tried


@pytest.mark.slow
def test_few_directions_are_tried_at_the_horizons_of_the_point_in_a_tile_that_fits_a_moment(
    tried: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut short, a product has many singular values near the largest, and all of it is carried: 60 times too much."""
    runs: list[tuple[int, tuple[int, ...]]] = []
    run = forecast.run_trial

    def recorded(point: object, cut: block.Partition, horizons: tuple[int, ...], looking: object = None) -> None:
        if looking is None:
            runs.append((cut.tile, horizons))
        run(point, cut, horizons, looking)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(forecast, "run_trial", recorded)
    one = {"cell": "lstm", "width": 256, "replicates": 64, "observables": ["one_step"]}
    (stored,) = cut_up(study_of(small(points=[one], horizons=[1, 10, 100])))
    assert stored.cut.kernel in FEW_ROWS
    (cost,) = costs([stored])
    assert cost.tried
    assert cost.observables["one_step"] > 0
    assert {horizons for _, horizons in runs} == {(1, 10, 100)}
    assert all(tile < stored.cut.tile for tile, _ in runs)


@pytest.mark.slow
def test_what_an_observable_adds_to_a_point_that_was_not_tried_goes_by_those_that_were(
    tried: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "FEWEST_TRIALS", 1)
    monkeypatch.setattr(forecast, "LOOKING_TRIALS", 0.0)
    points = [
        {"cell": cell, "width": width, "replicates": 64, "observables": [look]}
        for cell, look in (("gru", "one_step"), ("tanh", "extremes"))
        for width in (4, 8)
    ]
    found = costs(cut_up(study_of(small(points=points))))
    assert len(tried) == 1
    known = [one.observables for one in found]
    assert sorted(map(len, known)) == [0, 0, 1, 1]  # of the look that no trial had, nothing is known


def test_a_forecast_stays_with_the_study_that_was_planned_and_no_trial_is_run_for_it(
    tmp_path: Path, tried: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(STUDY, tmp_path)
    left = forecast.forecast_of(tmp_path)
    cost = costs(cut_up(STUDY), tries=False)
    assert not tried
    assert left["core_seconds"] == sum(one.seconds for one in cost) > 0
    assert left["seconds"] == forecast.by_the_clock(cost, left["cpus"])
    assert (left["tried"], left["at_most"]) == (False, False)
    monkeypatch.setattr(forecast, "costs", lambda *_, **__: pytest.fail("what was forecast is not forecast again"))
    Timeline(tmp_path)
    plan(STUDY, tmp_path)
    assert forecast.forecast_of(tmp_path) == left


def test_what_was_sampled_without_a_forecast_has_none_afterwards(tmp_path: Path) -> None:
    Timeline(tmp_path)
    plan(STUDY, tmp_path)
    assert forecast.forecast_of(tmp_path) == {}


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"cpus": 2}'])
def test_a_forecast_that_is_not_as_it_was_written_is_none(tmp_path: Path, damage: bytes) -> None:
    plan(STUDY, tmp_path)
    path = tmp_path / forecast.FORECAST
    whole = path.read_bytes()
    path.write_bytes(damage or whole.replace(b'"at_most": false', b'"at_most": true'))
    assert path.read_bytes() != whole
    assert forecast.forecast_of(tmp_path) == {}


@pytest.mark.slow
def test_no_more_is_tried_once_each_kernel_and_half_of_the_work_are_known(
    tried: list[StoredPoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, object] = {}
    monkeypatch.setattr(forecast, "_known", kept.get)
    monkeypatch.setattr(forecast.trusted, "keep", lambda _, name, said: kept.update({name: _Trial(**json.loads(said))}))
    monkeypatch.setattr(forecast, "FEWEST_TRIALS", 1)
    monkeypatch.setattr(forecast, "ALL_TRIALS", 0.0)
    points = cut_up(study_of(small(points=[{"cell": "tanh", "width": [1, 2, 3, 4, 5, 6, 64]}])))
    for _ in points:
        costs(points)  # each time one more
    work = [(one.key, one.cut.kernel, block.block_seconds(one.design, one.replicates, one.cut)) for one in points]
    known = {one.key for one in tried}
    assert len(known) == len(tried) < len(points)
    assert {kernel for key, kernel, _ in work if key in known} == {kernel for _, kernel, _ in work}
    assert sum(seconds for key, _, seconds in work if key in known) >= sum(seconds for _, _, seconds in work) / 2


def test_points_that_differ_in_layers_or_in_shared_draws_are_tried_each(tried: list[object]) -> None:
    alike = {"cell": "tanh", "width": 32, "dtype": "float32"}
    deep = [alike | {"layers": layers} for layers in (1, 2, 3)] + [alike | {"layers": 3, "residual": True}]
    shared = alike | {"replicates": {"weights": 20, "drives": 4}}
    points = cut_up(study_of(small(points=[*deep, shared, alike | {"seed": 1}])))
    assert len({forecast._kind(one) for one in points}) == 5, "another seed is no other kind"
