"""A cell against autograd, finite differences, its own batch, both layouts and its exact laws, in float64.

Every check answers with the worst error it met, so that a mistake can be told from rounding, and each kind of mistake
fails a check of its own: a wrong tangent the first two, a mean over the batch the batch check, a wrong axis the
layout check, a wrong formula (with a tangent that fits it) the laws.
"""

from __future__ import annotations

import io
import itertools
import math
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnmc.cells.cell import AtZero, Cell, Gating
from rnnmc.cells.lru import LRU
from rnnmc.cells.relu import ReLU
from rnnmc.chain.axes import advice
from rnnmc.common.checks import CheckResult
from rnnmc.common.errors import raised
from rnnmc.numerics.layout import Columns, Layout, Rows
from rnnmc.numerics.weights import Weights

REPLICATES = 4
STEP = 2e-6  # of the finite differences: truncation and rounding then leave about 1e-9
BY_AXES = ("batch", "layouts")  # checks that an axis by its number fails
SMALL = 1e-2  # errors are relative to the largest entry, or to this where all are smaller: autograd knows no 1e-17
# (weights, drive, state), deviations of: the zero state's surroundings, moderate gates, saturated gates
SETTINGS = ((0.3, 0.3, 0.1), (1.0, 1.0, 1.0), (2.0, 6.0, 1.0))

Arguments = tuple[Weights, Mapping[str, Tensor], tuple[Tensor, ...]]
Pairs = Iterator[tuple[Tensor, Tensor]]  # (found, wanted)


@dataclass(frozen=True)
class _Sample:
    """Weights, drive and state of REPLICATES replicates, as float64 arrays (replicate, rows, columns)."""

    recurrent: Mapping[str, np.ndarray]
    bias: Mapping[str, np.ndarray]
    drive: Mapping[str, np.ndarray]
    state: tuple[np.ndarray, ...]

    def laid(self, layout: Layout, only: int | None = None) -> Arguments:
        """The arguments of `Cell.step` for all replicates, or for `only` one of them."""
        some = slice(None) if only is None else slice(only, only + 1)

        def load(array: np.ndarray) -> Tensor:
            return layout.load(array[some], torch.float64, "cpu")

        recurrent, stacked = {name: load(matrix) for name, matrix in self.recurrent.items()}, None
        if recurrent:  # the named matrices are views of the stacked one, as in rnnmc.engine.draws
            stacked = torch.cat(list(recurrent.values()), dim=layout.out_axis)
            width = next(iter(recurrent.values())).shape[layout.out_axis]
            recurrent = dict(zip(recurrent, stacked.split(width, layout.out_axis), strict=True))
        bias = {name: load(vector) for name, vector in self.bias.items()}
        drive = {gate: load(vector) for gate, vector in self.drive.items()}
        return Weights(layout, stacked, recurrent, bias), drive, tuple(load(part) for part in self.state)


def check_cell(cell: Cell, width: int = 5, seed: int = 0) -> list[CheckResult]:
    """The results of every check that applies to `cell`, at `width` units, from random weights that `seed` sets.

    Never raises for a mistake of the cell: a check in which the cell raised has failed, with an infinite error.
    """
    rng = np.random.default_rng(seed)
    samples = [_sample(cell, width, rng, *setting) for setting in SETTINGS]
    ones = [(sample.laid(Rows(), r)) for sample in samples for r in range(REPLICATES)]

    def against(reference: Callable[[Cell, Arguments], Tensor]) -> Pairs:
        return ((_tangent(cell, one), reference(cell, one)) for one in ones)

    checks: list[tuple[str, float, str, Callable[[], Pairs]]] = [
        ("autograd", 1e-9, "the tangent is the derivative of step", lambda: against(_autograd)),
        (
            "finite differences",
            1e-6,
            "the tangent is what small changes of the state do",
            lambda: against(_differences),
        ),
        ("next state", 1e-12, "step and linearise give the same next state", lambda: _next_states(cell, ones)),
        ("drive", 1e-9, "driven is the derivative of step by the drive", lambda: _by_drive(cell, ones)),
        ("linearity", 1e-10, "push is linear, for any number of directions", lambda: _linearity(cell, ones, rng)),
        ("batch", 1e-10, "no replicate feels the others of its batch", lambda: _batches(cell, samples)),
        ("layouts", 1e-10, "the order of the axes in memory changes nothing", lambda: _layouts(cell, samples)),
        ("again", 0.0, "the same numbers give the same, whatever was asked before", lambda: _again(cell, samples)),
        ("bounded", 0.0, "a finite state stays finite, as the cell says", lambda: _bound(cell, width, rng)),
    ]
    checks += [(name, 1e-10, meaning, law) for name, meaning, law in _laws(cell, samples)]
    silent = {name for name, said in (("drive", cell.knows_drive), ("bounded", cell.bounded)) if not said}
    results = [_result(*check) for check in checks if check[0] not in silent]
    if all(result.passed for result in results):
        return results
    said = advice(cell, [samples[1].laid(layout) for layout in (Columns(), Rows())])
    return [_advised(result, said) for result in results] if said else results


def _advised(result: CheckResult, said: str) -> CheckResult:
    """What is wrong along an axis stands in place of what torch says of shapes."""
    if result.passed or not (result.name in BY_AXES or math.isinf(result.worst_error)):
        return result
    return replace(result, meaning=f"{result.meaning.partition(':')[0]}: {said}")


def _result(name: str, tolerance: float, meaning: str, pairs: Callable[[], Pairs]) -> CheckResult:
    worst = 0.0
    try:
        for found, wanted in pairs():
            if found.shape != wanted.shape:
                raise ValueError(f"the shape is {tuple(found.shape)}, not {tuple(wanted.shape)}")
            error = float((found - wanted).abs().max() / wanted.abs().max().clamp(min=SMALL))
            if math.isnan(error):
                raise ValueError("what it gives is NaN; let it be a number for every state and drive")
            worst = max(worst, error)
    except Exception as error:  # a cell of somebody's own may raise anything
        return CheckResult(name, False, math.inf, tolerance, f"{meaning}: {raised(error)}")
    return CheckResult(name, worst <= tolerance, worst, tolerance, meaning)


def _sample(cell: Cell, width: int, rng: np.random.Generator, weights: float, drive: float, state: float) -> _Sample:
    vector, rows = (REPLICATES, 1, width), 1 if cell.diagonal else width
    return _Sample(
        {k: rng.standard_normal((REPLICATES, rows, width)) * weights / np.sqrt(rows) for k in cell.recurrent},
        {k: rng.standard_normal(vector) * weights for k in cell.inner},
        {k: rng.standard_normal(vector) * drive for k in cell.gates},
        tuple(rng.standard_normal(vector) * state for _ in cell.parts),
    )


def _flat(layout: Layout, parts: tuple[Tensor, ...]) -> Tensor:
    """(replicate, k, d) of parts in this layout."""
    return torch.cat([layout.matrices(part) for part in parts], dim=2)


def _pushed(cell: Cell, arguments: Arguments, rows: np.ndarray) -> Tensor:
    """J applied to each of the (k, d) rows, as (replicate, k, d)."""
    layout, state = arguments[0].layout, arguments[2]
    batch = state[0].shape[layout.replicate_axis]
    directions = layout.load(np.repeat(rows[None], batch, axis=0), torch.float64, "cpu")
    _, push = cell.linearise(*arguments)
    return _flat(layout, push(directions.split(state[0].shape[layout.out_axis], layout.out_axis)))


def _tangent(cell: Cell, arguments: Arguments) -> Tensor:
    """(replicate, d, d) Jacobian that `linearise` gives, out by in."""
    size = _flat(arguments[0].layout, arguments[2]).shape[2]
    return _pushed(cell, arguments, np.eye(size)).mT


def _of_flat_state(cell: Cell, one: Arguments) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """(step of one replicate as a map from (d,) to (d,), its present argument)."""
    weights, drive, state = one
    width = state[0].shape[2]

    def step(flat: Tensor) -> Tensor:
        return torch.cat(_stepped(cell, weights, drive, flat[None, None].split(width, 2)), dim=2)[0, 0]

    return step, torch.cat(state, dim=2)[0, 0]


def _stepped(cell: Cell, *arguments: Any) -> tuple[Tensor, ...]:
    return _parts(cell, "step", cell.step(*arguments))


def _parts(cell: Cell, giver: str, given: Any) -> tuple[Tensor, ...]:
    """The next state as given. Raises TypeError where it is no tuple of as many tensors as the cell has parts."""
    if not isinstance(given, tuple) or len(given) != len(cell.parts) or not all(isinstance(x, Tensor) for x in given):
        seen = f"a {type(given).__name__}" + (f" of {len(given)}" if isinstance(given, tuple | list) else "")
        wanted = f"a tuple of {len(cell.parts)}" + (", as in return (h,)" if len(cell.parts) == 1 else "")
        raise TypeError(f"{giver} gives {seen} as the next state; give {wanted}, a tensor for each of parts")
    return given


def _autograd(cell: Cell, one: Arguments) -> Tensor:
    step, at = _of_flat_state(cell, one)
    return torch.func.jacrev(step)(at)[None]


def _differences(cell: Cell, one: Arguments) -> Tensor:
    step, at = _of_flat_state(cell, one)
    moves = STEP * torch.eye(len(at), dtype=at.dtype)
    return torch.stack([(step(at + move) - step(at - move)) / (2 * STEP) for move in moves], dim=1)[None]


def _next_states(cell: Cell, ones: list[Arguments]) -> Pairs:
    for one in ones:
        yield torch.cat(_parts(cell, "linearise", cell.linearise(*one)[0])), torch.cat(_stepped(cell, *one))


def _by_drive(cell: Cell, ones: list[Arguments]) -> Pairs:
    for weights, drive, state in ones:
        push, width = cell.linearise(weights, drive, state)[1], state[0].shape[2]
        every = torch.eye(len(drive) * width, dtype=state[0].dtype)[None]
        found = cell.driven(weights, drive, state, push)(dict(zip(drive, every.split(width, 2), strict=True)))

        def step(flat: Tensor, weights: Weights = weights, drive: Any = drive, state: Any = state) -> Tensor:
            totals = dict(zip(drive, flat[None, None].split(state[0].shape[2], 2), strict=True))
            return torch.cat(_stepped(cell, weights, totals, state), dim=2)[0, 0]

        wanted = torch.func.jacrev(step)(torch.cat(list(drive.values()), dim=2)[0, 0])
        yield torch.cat(found, dim=2).mT, wanted[None]


def _linearity(cell: Cell, ones: list[Arguments], rng: np.random.Generator) -> Pairs:
    for one in ones:
        jacobian = _tangent(cell, one)
        for count in (1, 3):
            rows = 100 * rng.standard_normal((count, jacobian.shape[2]))
            yield _pushed(cell, one, rows), torch.from_numpy(rows) @ jacobian.mT


def _seen(cell: Cell, arguments: Arguments) -> Tensor:
    """(replicate, d, d + 1): the Jacobian beside the next state."""
    return torch.cat([_tangent(cell, arguments), _flat(arguments[0].layout, _stepped(cell, *arguments)).mT], dim=2)


def _batches(cell: Cell, samples: list[_Sample]) -> Pairs:
    for sample in samples:
        for layout in (Rows(), Columns()):
            alone = [_seen(cell, sample.laid(layout, r)) for r in range(REPLICATES)]
            yield _seen(cell, sample.laid(layout)), torch.cat(alone)


def _again(cell: Cell, samples: list[_Sample]) -> Pairs:
    """What counts, draws or keeps something is another cell the second time, or would be one some day.

    Raises ValueError where it has kept something else from the same calls: it may count to a number that lies far.
    """
    kept: list[dict[str, bytes]] = []
    for _ in range(2):  # what a cell keeps for each shape, it has after the first
        for sample in samples:
            arguments = sample.laid(Rows())
            first = _seen(cell, arguments)
            for other in samples:
                cell.linearise(*other.laid(Columns()))
            yield _seen(cell, arguments), first
        kept.append(_memory(cell))
    changed = [name for name in kept[1] if kept[0].get(name) != kept[1][name]]
    if changed:
        raise ValueError(
            f"{changed[0]} is another after every call; let what a step depends on come from its arguments alone, "
            "and keep what lasts as a part of the state"
        )


def _memory(cell: Cell) -> dict[str, bytes]:
    """All that the instance, its own classes and their modules hold, by name; without what cannot be written down."""
    places: dict[str, Mapping[str, Any]] = {"self": vars(cell)}
    for own in type(cell).__mro__:
        if own.__module__.partition(".")[0] not in ("rnnmc", "builtins"):
            places |= {own.__name__: vars(own), own.__module__: vars(sys.modules[own.__module__])}
    found = {}
    for place, held in places.items():
        for name, value in held.items():
            if name.startswith("__") or isinstance(value, ModuleType | FunctionType | type | Cell):
                continue
            with suppress(Exception):  # whatever somebody keeps
                written = io.BytesIO()
                _Plain(written).dump(value)
                found[f"{place}.{name}"] = written.getvalue()
    return found


class _Plain(pickle.Pickler):
    """Tensors by their numbers alone, not by where those lie."""

    def reducer_override(self, obj: Any) -> Any:
        return (bytes, (obj.detach().numpy().tobytes(),)) if isinstance(obj, Tensor) else NotImplemented


def _layouts(cell: Cell, samples: list[_Sample]) -> Pairs:
    for sample in samples:
        for r in range(REPLICATES):
            yield _seen(cell, sample.laid(Columns(), r)), _seen(cell, sample.laid(Rows(), r))


def _bound(cell: Cell, width: int, rng: np.random.Generator) -> Pairs:
    weights, drive, state = _sample(cell, width, rng, 1e9, 1e9, 1e9).laid(Rows())
    for _ in range(50):  # 1e9^50 would be far out of range
        state = cell.step(weights, drive, state)
    overflowed = (~torch.cat(state).isfinite()).double()
    yield overflowed, torch.zeros_like(overflowed)


def _laws(cell: Cell, samples: list[_Sample]) -> Iterator[tuple[str, str, Callable[[], Pairs]]]:
    """(name, meaning, pairs) of exact laws (docs/physics.md section 5): of two cells, and of what a cell says of
    itself.
    """
    arguments = [sample.laid(Rows(), r) for sample in samples for r in range(REPLICATES)]
    if isinstance(cell, LRU):
        yield "law of eigenvalues", "the singular values are the moduli", lambda: _moduli(cell, arguments)
    if isinstance(cell, ReLU):
        meaning = "where every unit is positive, the Jacobian is U"
        yield "law of positive units", meaning, lambda: _positive_units(cell, arguments)
    if (gating := cell.gating) is not None:
        meaning = "without recurrent weights, the memory decays by its gate alone"
        yield "law of zero weights", meaning, lambda: _zero_weights(cell, gating, arguments)
    if (at := cell.at_zero) is not None:
        meaning = "the zero state stays, and the Jacobian there is a I + b U"
        yield "law of the zero state", meaning, lambda: _zero_state(cell, at, arguments)


def _moduli(cell: Cell, arguments: list[Arguments]) -> Pairs:
    for one in arguments:
        moduli = one[0].recurrent["modulus"][0, 0].abs().repeat(2)
        yield torch.linalg.svdvals(_tangent(cell, one)[0]), moduli.sort(descending=True).values


def _positive_units(cell: Cell, arguments: list[Arguments]) -> Pairs:
    for weights, drive, (h,) in arguments:
        positive = {gate: torch.ones_like(vector) for gate, vector in drive.items()}
        yield _tangent(cell, (weights, positive, (torch.zeros_like(h),)))[0], weights.recurrent["hidden"][0].mT


def _zero_weights(cell: Cell, gating: Gating, arguments: list[Arguments]) -> Pairs:
    gate, sign = gating.keep, cell.memory[gating.keep]
    for weights, drive, state in arguments:
        zero = {name: torch.zeros_like(matrix) for name, matrix in weights.recurrent.items()}
        stacked = None if weights.stacked is None else torch.zeros_like(weights.stacked)
        tangent = _tangent(cell, (Weights(Rows(), stacked, zero, weights.bias), drive, state))[0]
        kept = (sign * drive[gate][0, 0]).sigmoid()
        wanted = torch.diag(kept)
        if len(cell.parts) == 2:
            from_c = torch.cat([torch.diag(_exposed(gating, drive, kept * state[1][0, 0]) * kept), wanted])
            wanted = torch.cat([torch.zeros_like(from_c), from_c], dim=1)
        yield tangent, wanted


def _exposed(gating: Gating, drive: Mapping[str, Tensor], left: Tensor) -> Tensor:
    """dh'/dc' without recurrent weights. left: what the memory has kept."""
    show = drive[gating.show][0, 0].sigmoid()
    if not gating.squashed:
        return show
    admitted = drive[gating.admit][0, 0].sigmoid() * drive["candidate"][0, 0].tanh()
    return show / (left + admitted).cosh() ** 2


def _zero_state(cell: Cell, at: AtZero, arguments: list[Arguments]) -> Pairs:
    """The next state, the Jacobian where all units have the same gates, and its eigenvalues where they have not."""
    for given, drive, state in arguments:
        bias = {name: vector * (name not in at.sources) for name, vector in given.bias.items()}
        weights = Weights(Rows(), given.stacked, given.recurrent, bias)
        fed = {gate: vector * (gate not in at.sources) for gate, vector in drive.items()}
        alike = fed | {gate: torch.full_like(fed[gate], float(fed[gate][0, 0, 0])) for gate in at.gates}
        still = tuple(torch.zeros_like(part) for part in state)
        yield torch.cat(cell.step(weights, fed, still)), torch.cat(still)
        u = given.recurrent[at.matrix][0].mT
        yield from _through_gates(cell, alike)
        for one, same in ((alike, True), (fed, False)):
            tangent = _tangent(cell, (weights, one, still))[0]
            slopes = cell.slopes(*(one[gate][0, 0].sigmoid().numpy() for gate in at.gates))
            a, b = (torch.from_numpy(np.full(len(u), slope, float)) for slope in slopes)
            memory = torch.diag(a) + b[:, None] * u
            if same and len(cell.parts) == 1:
                yield tangent, memory
            if same and cell.gating and len(cell.parts) == 2:
                show = one[cell.gating.show][0, 0, 0].sigmoid()
                yield tangent, _shown(torch.diag(a), b[:, None] * u, show)
            yield _traces(tangent, len(u)), _traces(memory, len(u))


def _through_gates(cell: Cell, drive: Mapping[str, Tensor]) -> Pairs:
    """The slopes, and what `Gating` makes of them where it names all three gates."""
    at, gating = cell.at_zero, cell.gating
    if at and gating and gating.admit and gating.show:
        opening = {gate: vector[0, 0].sigmoid() for gate, vector in drive.items()}
        kept = (cell.memory[gating.keep] * drive[gating.keep][0, 0]).sigmoid()
        a, b = cell.slopes(*(opening[gate].numpy() for gate in at.gates))
        yield torch.as_tensor(a), kept
        yield torch.as_tensor(b), opening[gating.admit] * opening[gating.show]


def _shown(kept: Tensor, admitted: Tensor, show: Tensor) -> Tensor:
    """The joint Jacobian of (h, c) at zero, whose c reads h = show c."""
    return torch.cat([torch.cat([admitted, show * kept], dim=1), torch.cat([admitted / show, kept], dim=1)])


def _traces(matrix: Tensor, count: int) -> Tensor:
    """Of the powers of the matrix, which are those of any matrix with the same eigenvalues but zeros."""
    powers = itertools.accumulate([matrix] * count, torch.matmul)
    return torch.stack([power.trace() for power in powers])
