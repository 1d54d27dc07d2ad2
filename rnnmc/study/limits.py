"""Between which norms a gradient is kept."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from rnnmc.common.refusals import refuse

Limit = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Limits(BaseModel):
    """Two thresholds in their order."""

    vanish: Limit = 1e-3
    explode: Limit = 1e3

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.vanish >= self.explode:
            raise refuse("vanish", self.vanish, f"is not below explode ({self.explode:g}); give vanish < explode")
        return self
