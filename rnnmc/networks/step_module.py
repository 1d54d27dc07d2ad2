"""Any torch.nn.Module that takes one state to the next, as a cell: its tangent is that of forward-mode autodiff."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rnnmc.cells.cell import Cell
from rnnmc.common.errors import UsageError, raised
from rnnmc.networks.network import UNNAMED, Layer, Network

INPUT = "x"  # the one gate of such a cell, which is its input itself
NOTE = "a module of its own kind goes through torch.func.jvp, slower than a cell that is known; no fresh ones beside it"


class StepModule(Cell):
    """s' = module(x, s), whatever that does; weights are the module's own, and `drive` is x.

    call: takes (sequences, m) and a state, one tensor (sequences, n) or a pair of them, and gives the next state.
    """

    name, gates, recurrent = "module", (INPUT,), ()
    formula, source = "s' = module(x, s)", "torch.nn.Module"
    can_die = True

    def __init__(self, call: Any, parts: tuple[str, ...]):
        self.call, self.parts = call, parts  # pyright: ignore[reportAttributeAccessIssue] - of this one

    @property
    def has_matrices(self) -> bool:
        """Its own, which nobody sees."""
        return True

    def step(self, weights: Any, drive: Any, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The next state."""
        own = [part[:, 0] for part in state]
        after = self.call(drive[INPUT][:, 0], own[0] if len(own) == 1 else tuple(own))
        return tuple(part[:, None] for part in _parts(after))


def can_step(module: nn.Module) -> bool:
    """Whether it says that it goes from state to state: `step`, or a forward beside the two sizes of an RNNCell."""
    return hasattr(module, "step") or (hasattr(module, "input_size") and hasattr(module, "hidden_size"))


def read_step(module: nn.Module, place: str) -> Network:
    """The module as a network of one layer, in float64. Raises UsageError for one that is no map of its arguments."""
    sizes = [getattr(module, name, None) for name in ("input_size", "hidden_size")]
    if not all(type(size) is int and size > 0 for size in sizes):
        raise UsageError(f"{place} does not say its sizes; set input_size and hidden_size, whole numbers")
    inputs, width = (int(size) for size in sizes if size is not None)
    own = copy.deepcopy(module).double().requires_grad_(False)
    call = getattr(own, "step", own)
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(3, inputs, generator=rng, dtype=torch.float64)
    parts, state = _state(call, x, torch.randn(3, width, generator=rng, dtype=torch.float64), place)
    _hold_pure(own, call, x, state, place)
    layer = Layer(
        "step", StepModule(call, parts), {}, {INPUT: np.zeros((1, width, inputs))}, {INPUT: np.zeros((1, width))}
    )
    return Network(UNNAMED, ((layer,),), "", notes=(NOTE,))


def _state(call: Any, x: Tensor, h: Tensor, place: str) -> tuple[tuple[str, ...], Any]:
    """(names of the parts, a state) of the kind that the module takes and gives back."""
    said = ""
    for parts, state in ((("h",), h), (("h", "c"), (h, h / 2))):
        try:
            after = _parts(call(x, state))
        except Exception as error:  # somebody's own module may raise anything
            said = said or raised(error)
            continue
        if len(after) == len(parts) and all(isinstance(one, Tensor) and one.shape == h.shape for one in after):
            return parts, state
    wanted = f"({len(h)}, {h.shape[1]})"
    raise UsageError(
        f"{place} takes no state of shape {wanted} or a pair of these to the next one of that shape"
        f"{f' ({said})' if said else ''}; give a module with step(x, state) or forward(x, h) that does"
    )


def _hold_pure(module: nn.Module, call: Any, x: Tensor, state: Any, place: str) -> None:
    """Raise UsageError unless equal arguments give equal values, sequence by sequence, and leave nothing behind."""
    kept = {name: one.clone() for name, one in module.named_buffers()}
    first, second = _parts(call(x, state)), _parts(call(x, state))
    if not all(torch.equal(a, b) for a, b in zip(first, second, strict=True)):
        raise UsageError(
            f"{place} gives other values when it is called twice, as dropout in training does; call .eval() on it"
        )
    if any(not torch.equal(one, kept[name]) for name, one in module.named_buffers()):
        raise UsageError(
            f"{place} changes its buffers when it is called, as batch norm in training does; call .eval() on it"
        )
    some = state[:2] if isinstance(state, Tensor) else tuple(part[:2] for part in state)
    alone = _parts(call(x[:2], some))
    if not all(torch.allclose(a[:2], b, rtol=1e-9, atol=1e-12) for a, b in zip(first, alone, strict=True)):
        raise UsageError(f"{place} mixes the sequences of a batch, as batch norm in training does; call .eval() on it")


def _parts(state: Any) -> tuple[Any, ...]:
    return tuple(state) if isinstance(state, tuple | list) else (state,)
