"""Every picture keeps the contract of its kind, and one with a mistake does not."""

import altair as alt
import pytest

from rnnmc.common.registry import offered
from rnnmc.report.pictures.onset import OnsetPicture
from rnnmc.run.checks.picture import check_picture

PICTURES = offered("rnnmc.report.pictures", "PICTURE")


def failed(picture) -> set[str]:
    return {result.name for result in check_picture(picture) if not result.passed}


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_keeps_the_contract_of_its_kind(name):
    assert not failed(PICTURES[name])


class Planted(OnsetPicture):
    """A picture with one mistake."""

    def __init__(self, mistake: str):
        self.mistake = mistake
        if mistake == "table":
            self.name = "onsett"

    def charts(self, summary, points):
        if self.mistake == "nothing":
            return super().charts(summary, points) or {"onset": alt.Chart()}
        charts = super().charts(summary, points)
        if self.mistake == "charts":
            return {f"other/{name}": chart for name, chart in charts.items()}
        return {name: alt.Chart().mark_point() for name in charts} if self.mistake == "drawn" else charts


@pytest.mark.parametrize("check", ["table", "charts", "drawn", "nothing"])
def test_a_mistake_is_found_by_the_check_of_its_name(check):
    assert check in failed(Planted(check))
