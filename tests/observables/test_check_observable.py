"""Every observable keeps the contract of its kind, and one with a mistake does not."""

import numpy as np
import pyarrow as pa
import pytest

from rnnmc.observables import observables
from rnnmc.observables.extremes import Extremes
from rnnmc.run.checks.observable import check_observable

FEW = {"training": 2}  # steps, in place of hundreds


def failed(observable) -> set[str]:
    return {result.name for result in check_observable(observable) if not result.passed}


@pytest.mark.slow
@pytest.mark.parametrize("name", observables())
def test_an_observable_keeps_the_contract_of_its_kind(name):
    assert not failed(observables()[name].read(FEW.get(name), name))


class Planted(Extremes):
    """Extremes with one mistake."""

    mistake: str

    def index(self, point):
        found = super().index(point)
        if self.mistake == "twins":
            found["part"] = np.array(["h"] * len(found["part"]), object)
        return {label: found[label][1:] for label in found} if self.mistake == "fewer" else found

    def schema(self):
        schema = super().schema()
        return schema.append(pa.field("more", pa.int8())) if self.mistake == "more" else schema

    def check(self, point):
        if self.mistake == "none":
            raise ValueError("looks at nothing")

    def watch(self, point, layout, start, generators):
        watch = super().watch(point, layout, start, generators)
        see, values, rng = watch.see, watch.values, np.random.default_rng()

        def meddled(step):
            see(step)
            step.after[0].mul_(0.5)

        if self.mistake == "meddles":
            watch.see = meddled  # pyright: ignore[reportAttributeAccessIssue]

        def changed():
            found = values()
            largest = found["largest"]
            if self.mistake == "mean":
                found["largest"] = largest - largest.mean(axis=0)
            if self.mistake == "random":
                found["largest"] = largest + rng.random(largest.shape)
            if self.mistake == "axis" and layout.name == "columns":
                found["largest"] = largest[::-1]
            return found

        watch.values = changed  # pyright: ignore[reportAttributeAccessIssue]
        return watch


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mistake", "check"),
    [
        ("twins", "rows"),
        ("fewer", "schema"),
        ("more", "schema"),
        ("none", "points"),
        ("meddles", "looks on"),
        ("mean", "batch"),
        ("random", "draws"),
        ("axis", "layouts"),
    ],
)
def test_a_mistake_is_found_by_the_check_of_its_name(mistake, check):
    assert check in failed(Planted(mistake=mistake))
