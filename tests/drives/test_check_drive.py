"""Every drive keeps the contract of its kind, and a drive with a mistake of each sort does not."""

from pathlib import Path

import numpy as np
import pytest

from rnnmc.drives import drives, read_drive
from rnnmc.drives.check_drive import check_drive
from rnnmc.drives.white import White

DATA = Path(__file__).parents[2] / "config/data"
SUNSPOTS = {"path": str(DATA / "sunspots.csv"), "column": "SUNACTIVITY"}
WORDS = {"path": str(DATA / "us-constitution.txt"), "tokens": "word", "dimension": 2}
SAID = [
    "none",
    "white",
    {"white": 3},
    "field",
    "ar1",
    {"ar1": {"correlation": -0.5, "dimension": 2}},
    {"constant": -1.5},
    {"file": SUNSPOTS},
    {"file": SUNSPOTS | {"wrap": False}},
    {"file": WORDS},
    {"adding": 10},
    {"copy": {"steps": 12, "symbols": 3, "alphabet": 2}},
]


def failed(drive) -> set[str]:
    return {result.name for result in check_drive(drive) if not result.passed}


def test_every_kind_of_drive_is_among_those_checked():
    assert {read_drive(said).name for said in SAID} == set(drives())


@pytest.mark.parametrize("said", SAID, ids=str)
def test_a_drive_keeps_the_contract_of_its_kind(said):
    assert not failed(read_drive(said))


class Planted(White):
    """White noise with one mistake."""

    name = "planted"
    mistake: str

    def pieces(self, rng, shape):
        start = int(rng.integers(2**32))
        while True:
            if self.mistake == "restarts":
                rng = np.random.default_rng(start)
            x = np.random.standard_normal(shape) if self.mistake == "global" else rng.standard_normal(shape)  # noqa: NPY002
            if self.mistake == "shares":
                x[:, 1::2] = x[:, ::2]
            yield {"shifted": x + 0.1, "wide": 1.1 * x, "short": x[:-1], "single": x.astype(np.float32)}.get(
                self.mistake, x
            )


@pytest.mark.parametrize(
    ("mistake", "check"),
    [
        ("restarts", "pieces"),
        ("global", "draws"),
        ("shares", "replicates"),
        ("shifted", "mean"),
        ("wide", "variance"),
        ("short", "shape"),
        ("single", "shape"),
    ],
)
def test_a_mistake_is_found_by_the_check_of_its_name(mistake, check):
    assert check in failed(Planted(mistake=mistake))


def test_a_drive_that_says_nothing_of_itself_or_writes_what_it_is_not_is_found():
    class Silent(White):
        source = ""

        def written(self):
            return {"white": self.dimension + 1}

    assert failed(Silent()) == {"described", "written"}
    assert "reads back as" in next(one.meaning for one in check_drive(Silent()) if one.name == "written")
