"""A run that is followed on one line ends when it is told to, whatever becomes of what that raises."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from studies import small, study_of

from rnnmc.run import conduct
from rnnmc.run.how_far import HowFar, WatchedFolder
from rnnmc.run.pipeline import plan


class Lost:
    """What is raised while it goes, Python drops: so it does in some of its own work around a fork."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)


@pytest.mark.process
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_python_loses_ends_the_run_at_the_next_look(tmp_path: Path, monkeypatch) -> None:
    """Seen of 2 in 93 interrupts at random times: the run went on."""

    def looks(folder: WatchedFolder, _: object) -> Iterator[HowFar]:
        Lost()
        yield folder.how_far()

    study = study_of(small())
    plan(study, tmp_path)
    monkeypatch.setattr(conduct, "looks", looks)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        conduct._follow(study, tmp_path, ["--version"], dict(os.environ), None)  # pyright: ignore[reportPrivateUsage]
    assert signal.getsignal(signal.SIGTERM) == before
