"""Growth factors chi of cells with fresh weights at every step: what the laws `untied_*` share.

chi is the growth of the mean square length of a perturbation per step, at the stationary variance Q of the state;
the rate (log chi)/2 is annealed, and at large width every replicate's. Biases of gates may be any constants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import constant, constant_biases, field_variances, no_bias, spread_gain
from rnnmc.theory.law import Law, Prediction
from rnnmc.theory.quadrature import half_log, root


@dataclass(frozen=True)
class UntiedSettings:
    """What chi depends on.

    gain: recurrent matrix -> g. noise: gate -> variance of its field. bias: gate -> its bias. start: state_std^2.
    """

    gain: Mapping[str, float]
    noise: Mapping[str, float]
    bias: Mapping[str, float]
    start: float

    def __hash__(self) -> int:
        """What a growth factor or onset that was computed once is found by."""
        return hash((*(tuple(sorted(m.items())) for m in (self.gain, self.noise, self.bias)), self.start))

    def scaled(self, gain: float) -> UntiedSettings:
        """The same with every recurrent gain equal to `gain`."""
        return UntiedSettings(dict.fromkeys(self.gain, gain), self.noise, self.bias, self.start)


def settings_of(point: DesignPoint) -> UntiedSettings | None:
    """None unless weights are untied, independent and centred, input a field or none, and biases constants."""
    cell, noise = point.cell_object, field_variances(point)
    sources = cell.at_zero.sources if cell.at_zero else cell.gates
    if point.weights != "untied" or noise is None or cell.diagonal or not no_bias(point, *sources):
        return None
    if not constant_biases(point, *cell.gates):
        return None
    gains = {name: spread_gain(point, name) for name in cell.recurrent}
    if point.width == 1 or None in gains.values():
        return None
    bias = {gate: constant(point, gate) or 0.0 for gate in cell.gates}
    return UntiedSettings({name: gain or 0.0 for name, gain in gains.items()}, noise, bias, point.state_std**2)


class UntiedLaw(Law):
    """A law that is a growth factor. Subclass it, set `cell`, write `chi`."""

    exact = False
    cell: ClassVar[str]

    def chi(self, settings: UntiedSettings) -> float:
        """Growth of the mean square length of a perturbation per step."""
        raise NotImplementedError

    def applies(self, point: DesignPoint) -> bool:
        return point.cell == self.cell and settings_of(point) is not None

    def predict(self, point: DesignPoint) -> Prediction:
        settings = settings_of(point)
        if settings is None:
            raise ValueError(f"{point.label}: {self.name} does not apply; ask applies first")
        onset, error = self.onset(settings.scaled(1.0)) if len(set(settings.gain.values())) == 1 else (None, 0.0)
        return self.at(settings, onset, error)

    def at(self, settings: UntiedSettings, onset: float | None, onset_error: float) -> Prediction:
        """The growth rate at these settings beside the onset gain."""
        return Prediction(growth_rate=half_log(self.chi(settings)), onset_gain=onset, onset_error=onset_error)

    @lru_cache(maxsize=256)  # noqa: B019  a law lives as long as the process; all gains of a study share this
    def onset(self, settings: UntiedSettings) -> tuple[float | None, float]:
        """The smallest gain up to 100, one for all matrices, at which chi crosses 1 or jumps over it (two stationary
        states, as of the GRU from a large initial state), None if there is none; and its standard error.
        """
        low, step = 0.05, 1.15
        if self.chi(settings.scaled(low)) >= 1:
            return None, 0.0
        while (high := low * step) < 100:
            if self.chi(settings.scaled(high)) >= 1:
                return root(lambda gain: self.chi(settings.scaled(gain)) - 1, low, high, 1e-10), 0.0
            low = high
        return None, 0.0
