"""The ReLU network with fresh weights at every step, at large width."""

from __future__ import annotations

import math

from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import cannot_overflow, cannot_underflow
from rnnmc.theory.large_width.untied import UntiedLaw, UntiedSettings, settings_of
from rnnmc.theory.quadrature import half_log


class UntiedReLU(UntiedLaw):
    """Half of the units are alive at any step. `relu_untied` says what a finite width changes."""

    name, cell = "untied_relu", "relu"
    formula = "chi = g^2 / 2"
    source = "He et al. 2015; docs/physics.md section 6"

    def applies(self, point: DesignPoint) -> bool:
        settings = settings_of(point) if point.cell == self.cell else None
        if settings is None or not (settings.start > 0 or settings.noise["hidden"] > 0):
            return False
        rate, spread = half_log(self.chi(settings)), math.sqrt(5 / (4 * point.width))
        return cannot_overflow(point, rate, spread) and cannot_underflow(point, rate, spread)

    def chi(self, settings: UntiedSettings) -> float:
        return settings.gain["hidden"] ** 2 / 2


LAW = UntiedReLU()
