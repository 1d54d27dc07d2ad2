"""The network of a design point whose gradient is longest, or shortest, by gradient ascent from many draws.

What is searched is all that the laws of the point allow: every matrix over its support (`support_of`), a white drive
over typical sequences, an initial state over typical ones. What is found is a network that exists, and as P_T moves
continuously with the weights, so do all others near it: the event then has a probability above zero. That nothing is
found says nothing, for an ascent ends wherever no small step leads higher. Derivatives are those of autodiff through
the chain.

A cell that stays at rest without some of its biases (`AtZero`) may grow fastest there, in a corner that no ascent from
outside finds, for it is the thinner the longer the chain: every other start is held in it, those biases and the input
weights of their gates at zero, where their laws allow that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from scipy.stats import chi2, norm
from torch import Tensor

from rnnmc.cells.stacked import Stacked
from rnnmc.chain.product import identity_directions, rescaled, size_of
from rnnmc.common.arrays import Floats
from rnnmc.common.errors import UsageError
from rnnmc.drives.white import White
from rnnmc.engine.draws import Draws, Given
from rnnmc.initialisers.law import WeightLaw
from rnnmc.networks.chains import chain_norms, picked
from rnnmc.networks.network import Layer
from rnnmc.networks.support import WITH_BOUND, Support, support_of
from rnnmc.numerics.layout import Rows
from rnnmc.numerics.threads import one_thread
from rnnmc.numerics.weights import Weights
from rnnmc.study.initialisation import VECTOR_ROLE, names_of
from rnnmc.study.point import DesignPoint

TYPICAL = 0.95  # of all sequences are as long as those that are searched, and have no larger number
FASTEST, SLOWEST = 0.05, 1e-3  # part of its support by which a weight moves in a step of the ascent, first and last
RESCALED_EVERY = 4  # steps
AT_ONCE = 2e7  # numbers of directions over all steps that are kept for the derivative


@dataclass(frozen=True)
class Ends:
    """Where the ascents have ended: `starts` networks side by side, each with what it read.

    layer: of all of them. x: (T, starts, m). state: its parts, (starts, n) each. log_norm: (starts,) log ||P_T||, by
    the chain of `rnnmc.networks.chains`. drawn: (starts,) that of the draw from which the ascent began.
    """

    layer: Layer
    x: Floats
    state: tuple[Floats, ...]
    log_norm: Floats
    drawn: Floats

    def of(self, some: slice | np.ndarray) -> Ends:
        """Some of them."""
        state = tuple(part[some] for part in self.state)
        return Ends(picked(self.layer, some), self.x[:, some], state, self.log_norm[some], self.drawn[some])


def searched_over(point: DesignPoint, hold_drive: bool) -> dict[str, str]:
    """name -> what is searched of it, for people. Raises UsageError for a point that cannot be searched."""
    said = {f"{role} {'+'.join(gates)}": one.said for role, gates, *_, one in supports(point)}
    if _held(point, hold_drive) and not point.state_std and not any(one.size for *_, one in supports(point)):
        raise UsageError(f"{point.label}: all of it is held, and nothing is left to search; give laws that draw")
    said["drive"] = "drawn once and held" if _held(point, hold_drive) else "sequences of typical length"
    return said | ({"initial state": "states of typical length"} if point.state_std else {})


def ascended(point: DesignPoint, grow: bool, starts: int, rounds: int, hold_drive: bool, seed: int) -> Ends:
    """Ascend from `starts` draws of the point by so many rounds, to the longest gradient, or the shortest.

    grow: whether log ||P_T||, T the last horizon, is to be large. hold_drive: keep the drive that was drawn. Raises
    UsageError for a point that cannot be searched.
    """
    with one_thread(), torch.enable_grad():
        of_start = point.horizons[-1] * (len(point.cell_object.parts) * point.width) ** 2
        together = max(1, int(AT_ONCE / of_start))
        sizes = [min(together, starts - first) for first in range(0, starts, together)]
        parts = [_Ascent(point, size, hold_drive, grow, [seed, number]) for number, size in enumerate(sizes)]
        found = [one.run(grow, rounds) for one in parts]
    first = found[0].layer

    def beside(role: str) -> dict[str, Floats]:
        return {
            name: np.concatenate([getattr(one.layer, role)[name] for one in found]) for name in getattr(first, role)
        }

    weights = {role: beside(role) for role in ("recurrent", "inputs", "bias", "vectors")}
    layer = replace(first, **weights)
    x = np.concatenate([one.x for one in found], axis=1)
    state = tuple(np.concatenate(part) for part in zip(*(one.state for one in found), strict=True))
    log_norm, drawn = (np.concatenate([getattr(one, name) for one in found]) for name in ("log_norm", "drawn"))
    return Ends(layer, x, state, log_norm, drawn)


def _held(point: DesignPoint, hold_drive: bool) -> bool:
    return hold_drive or not isinstance(point.drive, White)


def supports(point: DesignPoint) -> Iterator[tuple[str, tuple[str, ...], WeightLaw, int, Support]]:
    """(role, gates drawn together, their law, rows, support) of every matrix."""
    cell = point.cell_object
    if isinstance(cell, Stacked) or point.weights == "untied" or point.drive.is_field:
        raise UsageError(f"{point.label}: is no single layer with weights of its own and an input; give one to search")
    rows = {"recurrent": 1 if cell.diagonal else point.width, "input": point.drive.dimension}
    for role, assigned in point.init.assignments(cell, point.width, point.drive.dimension).items():
        if role == "input" and point.drive.dimension == 0:
            continue
        for gates, law in assigned:
            support = support_of(law, rows.get(role, 1))
            if support is None:
                raise UsageError(
                    f"init.{role}: {law} of {gates[0]} has no bound that could be searched up to; give {WITH_BOUND}"
                )
            yield role, gates, law, rows.get(role, 1), support


class _Ascent(Draws):
    """Draws whose weights are what is searched; the chain along them is one that autodiff goes through."""

    def __init__(self, point: DesignPoint, starts: int, hold_drive: bool, quiet: bool, seed: list[int]):
        self.cell, self.width, self.layout, self.replicates = point.cell_object, point.width, Rows(), starts
        self.point: Any = SimpleNamespace(weights="tied", drive=point.drive)
        rng = np.random.default_rng(seed)
        self.searched: list[tuple[Tensor, Support]] = []
        self.matrices: dict[tuple[str, tuple[str, ...]], Tensor] = {}
        for role, gates, law, rows, support in supports(point):
            signs = tuple(self.cell.memory.get(gate, 1) for gate in gates)
            drawn = law.draw(rng, (starts, rows, len(gates) * self.width), signs)
            self.matrices[role, gates] = self._free(np.asarray(drawn, np.float64), support)
        self.quiet = self._quiet(point) if quiet else {}
        for key, mask in self.quiet.items():
            self.matrices[key].data *= mask
        self.steps_wanted = point.horizons[-1]
        shape = (self.steps_wanted, starts, point.drive.dimension)
        piece = next(iter(point.drive.pieces(rng, shape))) if point.drive.dimension else np.zeros(shape)
        typical = None if _held(point, hold_drive) else _typical(1.0, (0, 2), self.steps_wanted * shape[2])
        self.x = self._free(np.asarray(piece, np.float64), typical)
        normal = rng.standard_normal((len(self.cell.parts), starts, 1, self.width)) * point.state_std
        typical = _typical(point.state_std, (2,), self.width) if point.state_std else None
        self.start = [self._free(part, typical) for part in normal]

    def _quiet(self, point: DesignPoint) -> dict[tuple[str, tuple[str, ...]], Tensor]:
        """(role, gates) -> what keeps every other start at rest, 0 or 1; nothing where that cannot be."""
        at, masks = self.cell.at_zero, {}
        if at is None or point.state_std:
            return {}
        for role, gates, *_, support in supports(point):
            sources = [role in ("input", "bias") and gate in at.sources for gate in gates]
            blank = torch.zeros_like(self.matrices[role, gates])
            if any(sources) and support.back(blank).any():
                return {}
            if any(sources):
                moves = 1.0 - torch.tensor(sources, dtype=blank.dtype).repeat_interleave(self.width)
                masks[role, gates] = torch.ones_like(blank)
                masks[role, gates][1::2] *= moves
        return masks

    def _free(self, drawn: Floats, support: Support | None) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(drawn))
        if support is not None and support.size > 0:
            self.searched.append((tensor.requires_grad_(), support))
        return tensor

    @property
    def given(self) -> Given:
        """As of any draws, side by side; anew at every round."""
        side = {role: self._beside(role) for role in ("recurrent", "input", "bias", VECTOR_ROLE)}
        bias = side["bias"]
        assert bias is not None
        of_gates = len(self.cell.gates) * self.width
        inner = [one for one in (bias[:, :, of_gates:], side[VECTOR_ROLE]) if one is not None]
        return Given(side["recurrent"], side["input"], bias[:, :, :of_gates], torch.cat(inner, 2), None)

    def _beside(self, role: str) -> Tensor | None:
        found = {}
        for (of, gates), matrix in self.matrices.items():
            if of == role:
                found |= zip(gates, matrix.split(self.width, 2), strict=True)
        return torch.cat([found[name] for name in names_of(self.cell, role)], 2) if found else None

    def log_norm(self) -> Tensor:
        """(starts,) log ||P_T||_2, through which derivatives can be taken."""
        state, given = tuple(self.start), self.given
        directions = identity_directions(self.cell, self.layout, state)
        exponent = torch.zeros(self.replicates, 1, 1, dtype=torch.int64)
        weights = self._weights(given)
        for at in range(self.steps_wanted):
            x = self.x[at, :, None] if self.x.shape[2] else None
            state, push = self.cell.linearise(weights, self.by_gate(given.total(self.layout, x)), state)
            directions = push(directions)
            if (at + 1) % RESCALED_EVERY == 0:
                size = size_of(self.layout, directions).detach()
                directions, exponent = rescaled(directions, size, exponent)
        logs = torch.linalg.matrix_norm(torch.cat(directions, dim=2), 2).log()
        return logs + math.log(2) * exponent.flatten().to(logs.dtype)

    def _weights(self, given: Given) -> Weights:
        named = {} if given.recurrent is None else self._by_name(self.cell.recurrent, given.recurrent)
        inner = self._by_name(self.cell.inner, given.inner)
        return Weights(self.layout, given.recurrent, named, inner, given.inputs, given.bias)

    def run(self, grow: bool, rounds: int) -> Ends:
        """Ascend, each start for itself, and keep the best of its way."""
        sign, kept = 1 if grow else -1, [one.detach().clone() for one, _ in self.searched]
        best = torch.full((self.replicates,), -math.inf, dtype=torch.float64)
        drawn = torch.zeros_like(best)
        first = [torch.zeros_like(one) for one in kept]
        second = [torch.zeros_like(one) for one in kept]
        for at in range(rounds + 1):
            value = sign * self.log_norm()
            gradients = torch.autograd.grad(
                value.nan_to_num(-1e9, 1e9, -1e9).sum(),
                [one for one, _ in self.searched],
                allow_unused=True,
                materialize_grads=True,
            )
            with torch.no_grad():
                value = value.detach()
                if at == 0:
                    drawn = sign * value
                better = value > best
                best = torch.where(better, value, best)
                pace = SLOWEST + (FASTEST - SLOWEST) * (1 + math.cos(math.pi * at / rounds)) / 2
                for i, ((one, support), slope) in enumerate(zip(self.searched, gradients, strict=True)):
                    axis = 1 if one is self.x else 0
                    chosen = better.view([-1 if dimension == axis else 1 for dimension in range(one.ndim)])
                    kept[i] = torch.where(chosen, one, kept[i])
                    slope = slope.nan_to_num(0.0, 0.0, 0.0)
                    first[i] = 0.9 * first[i] + 0.1 * slope  # Adam (Kingma and Ba 2015)
                    second[i] = 0.99 * second[i] + 0.01 * slope**2
                    move = first[i] / (1 - 0.9 ** (at + 1)) / ((second[i] / (1 - 0.99 ** (at + 1))).sqrt() + 1e-12)
                    one.copy_(support.back(one + pace * support.size * move))
                for key, mask in self.quiet.items():
                    self.matrices[key].mul_(mask)
        with torch.no_grad():
            for (one, _), best_one in zip(self.searched, kept, strict=True):
                one.copy_(best_one)
        return self._ends(drawn)

    def _ends(self, drawn: Tensor) -> Ends:
        with torch.no_grad():
            given = self.given
            named = {} if given.recurrent is None else self._by_name(self.cell.recurrent, given.recurrent)
            inputs = {} if given.inputs is None else self.by_gate(given.inputs)
            inner = self._by_name(self.cell.inner, given.inner)
            bias = self.by_gate(given.bias) | {name: inner[name] for name in self.cell.inner_biases}
        blank = np.zeros((self.replicates, self.width, 1))
        layer = Layer(
            "l0",
            self.cell,
            {name: matrix.numpy().swapaxes(1, 2).copy() for name, matrix in named.items()},
            {gate: inputs[gate].numpy().swapaxes(1, 2).copy() if inputs else blank for gate in self.cell.gates},
            {name: vector[:, 0].numpy().copy() for name, vector in bias.items()},
            vectors={name: inner[name][:, 0].numpy().copy() for name in self.cell.vectors},
        )
        x = self.x.detach().numpy().copy()
        x = x if x.shape[2] else np.zeros((*x.shape[:2], 1))  # an input that is not felt
        state = tuple(part.detach()[:, 0].numpy().copy() for part in self.start)
        norms = chain_norms(layer, x, [self.steps_wanted], state)["log_spectral"][:, 0]
        return Ends(layer, x, state, norms, drawn.numpy())


def _typical(deviation: float, axes: tuple[int, ...], count: int) -> Support:
    """Normal numbers, `count` along these axes, as long and none of them as large as nearly all draws of them."""
    tail = (1 - TYPICAL) / 2
    shortest, longest = (deviation * math.sqrt(chi2.ppf(share, count)) for share in (tail, 1 - tail))
    largest = -deviation * float(norm.ppf((1 - TYPICAL ** (1 / count)) / 2))

    def back(at: Tensor) -> Tensor:
        for _ in range(3):  # to cut makes shorter, to stretch makes larger
            at = at.clamp(-largest, largest)
            length = at.square().sum(axes, keepdim=True).sqrt()
            at = at * (length.clamp(shortest, longest) / length.clamp(min=1e-300))
        return at

    return Support(deviation, back, "typical sequences")
