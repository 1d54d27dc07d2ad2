"""A step of a layer in JAX, differentiated by jax.jacfwd in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from layers import Step

jax.config.update("jax_enable_x64", True)


def stepper(run: Callable[[Any, Any, Any], Any]) -> Callable[[Any], Step]:
    """weights -> step, of run(weights, x, state) -> next state, states as one vector; compiled once for all draws."""

    @jax.jit
    def both(weights, x, state):
        return run(weights, x, state), jax.jacfwd(run, argnums=2)(weights, x, state)

    def of(weights) -> Step:
        return lambda x, state: tuple(np.asarray(part, dtype=np.float64) for part in both(weights, x, state))

    return of


def halves(state: Any) -> tuple[Any, Any]:
    """(h, c) of one vector."""
    return state[: len(state) // 2], state[len(state) // 2 :]
