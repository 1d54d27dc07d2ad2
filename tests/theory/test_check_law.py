"""Every law of theory keeps the contract of its kind, and one with a mistake does not."""

import pytest

from rnnmc.run.checks.law import check_law
from rnnmc.theory import laws
from rnnmc.theory.exact.linear_untied import LinearUntied
from rnnmc.theory.exact.zero_weights import ZeroWeights
from rnnmc.theory.large_width.untied_tanh import UntiedTanh
from rnnmc.theory.law import Prediction
from rnnmc.theory.sums import Certain


def failed(law) -> set[str]:
    return {result.name for result in check_law(law) if not result.passed}


@pytest.mark.slow
@pytest.mark.parametrize("name", laws())
def test_a_law_keeps_the_contract_of_its_kind(name):
    assert not failed(laws()[name])


class OneRate(ZeroWeights):
    """Where there are no recurrent weights, whatever the cell, a memory that halves."""

    name = "one_rate"

    def predict(self, point):
        return Prediction(growth_rate=-0.6931, log_norm={"log_rms": Certain(-0.6931)})


class Raises(ZeroWeights):
    name = "raises"

    def applies(self, point):
        return point.init.roles["recurrent"]["every"].value == 0


class Nowhere(ZeroWeights):
    name = "nowhere"
    examples = ({"cell": "tanh", "width": 3},)

    def applies(self, point):
        return False


class Everywhere(LinearUntied):
    """Taken to hold for tied weights too."""

    name = "everywhere"

    def applies(self, point):
        return super().applies(point.model_copy(update={"weights": "untied"}))


class Doubled(LinearUntied):
    """Twice the probability of everything."""

    name = "doubled"

    def predict(self, point):
        found = super().predict(point)
        for norm in set(found.log_norm.values()):
            below = norm.below
            norm.below = lambda level, horizon, below=below: 2 * below(level, horizon)
        return found


class Slow(UntiedTanh):
    name = "slow"

    def chi(self, settings):
        return 1.3 * super().chi(settings)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("law", "check"),
    [
        (OneRate(), "chains"),
        (Raises(), "applies"),
        (Nowhere(), "applies"),
        (Everywhere(), "chains"),
        (Doubled(), "probabilities"),
        (Slow(), "chains"),
    ],
    ids=lambda one: getattr(one, "name", one),
)
def test_a_mistake_is_found_by_the_check_of_its_name(law, check):
    assert check in failed(law)
