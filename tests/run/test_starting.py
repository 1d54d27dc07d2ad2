"""A study file to begin with is a study, and what this machine lacks is said with a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnmc.common.errors import UsageError
from rnnmc.run import doctor
from rnnmc.run.starting import write_first_study
from rnnmc.study.study import load_study


def test_the_first_study_is_what_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    assert write_first_study(path, "tanh,lstm", "2, 3", "pytorch, keras", 50) == 8
    study = load_study(path)
    assert study.study == "mine"
    assert {planned.point.horizons[-1] for planned in study.points} == {50}
    with pytest.raises(UsageError, match="is there already"):
        write_first_study(path, "tanh", "2", "keras", 50)


@pytest.mark.parametrize(
    ("asked", "name", "said"),
    [
        (("lstmm", "2", "keras"), "a.yaml", "did you mean lstm"),
        (("lstm", "0", "keras"), "a.yaml", "points\\[0\\].width"),
        (("lstm", "2", "kears"), "a.yaml", "did you mean keras"),
        (("lstm", "2", "keras"), "a b.yaml", "study"),
    ],
)
def test_what_would_be_no_study_is_refused_and_leaves_no_file(
    asked: tuple[str, str, str], name: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said):
        write_first_study(tmp_path / name, *asked, 50)
    assert not list(tmp_path.iterdir())


def test_the_doctor_says_what_to_do_about_all_that_is_not_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [look for look in doctor.EXAMINATIONS if look.__name__ != "_ray"]  # the tests of Ray start it
    monkeypatch.setattr(doctor, "EXAMINATIONS", looks)
    found = {one.name: one for one in doctor.examined(tmp_path / "results")}
    assert {"software", "processors", "memory", "C compiler", "GPUs", "cache", "results"} <= found.keys()
    assert all(one.remedy for one in found.values() if one.state != doctor.GOOD)
    assert not any(one.remedy for one in found.values() if one.state == doctor.GOOD)
    monkeypatch.setattr(doctor, "NEEDED_DISK", 2**70)
    monkeypatch.setattr("rnnmc.numerics.compiler.compiler", lambda: None)
    found = {one.name: one for one in doctor.examined(tmp_path)}
    assert (found["results"].state, found["C compiler"].state) == (doctor.POOR, doctor.POOR)
    monkeypatch.setattr("os.access", lambda *_: False)
    assert {one.name: one.state for one in doctor.examined(tmp_path)}["results"] == doctor.FATAL
