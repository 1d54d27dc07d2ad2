"""Whether a network learns: the very weights of a replicate, trained on the task that drives it.

Replicates are trained side by side, each with batches from a stream of its own, as one cell with a batch in the place
of directions. What `Cell.linearise` would make of its matrices besides, the Jacobian, is put off and never formed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from rnnmc.drives.task import TaskDrive
from rnnmc.initialisers.law import Positive
from rnnmc.observables.observable import Observable

if TYPE_CHECKING:
    from torch import Tensor

    from rnnmc.cells.cell import Cell, State
    from rnnmc.chain.product import Step
    from rnnmc.numerics.layout import Layout

CLIPPED = ("no", "yes")
BETAS = (0.9, 0.999)  # of Adam
TESTED = 256  # fresh sequences behind the loss that is stored
BYTES = 1 << 28  # that the backward pass may keep; as many replicates are trained together, but
MOST_TOGETHER = 4  # at most: more are hardly quicker, and all are trained where one of them is wanted
EXAMPLE: dict[str, Any] = {"width": 2, "dtype": "float64", "horizons": (4,)}


class Training(Observable):
    """Loss after so many steps of training on the task that drives the network, over that of a trivial answer.

    A linear readout of the first part of the state, drawn from U(-1/sqrt n, 1/sqrt n), answers at the end of each
    sequence; recurrent, input and vector weights, biases and readout are trained by Adam, from the replicate's own
    initial state, every step on a fresh batch. loss: the mean over 256 fresh sequences, the squared error where a
    number is asked for, else the cross-entropy, over that of the best answer that ignores the sequence (1, and the log
    of the number of classes); +inf where training has left the floating-point range. `clipped` yes: a gradient longer
    than `clip` was shortened to it; both trainings start alike and see the same batches.

    steps, batch, rate: of the training. every: of each tile only every so many-th replicate is trained, and the loss of
    the others null, so that probabilities may rest on more networks than are trained.
    """

    name, main, example = "training", "steps", "500"
    formula = "loss after training / loss of the best constant answer"
    source = "Hochreiter and Schmidhuber 1997; Kingma and Ba 2015; Pascanu, Mikolov, Bengio 2013"
    labels: ClassVar[Mapping[str, pa.DataType]] = {"horizon": pa.int32(), "clipped": pa.string()}
    columns: ClassVar[Mapping[str, pa.DataType]] = {"loss": pa.float64()}
    steps_power = 0
    examples = (
        EXAMPLE | {"cell": "lstm", "drive": {"adding": 4}},
        EXAMPLE | {"cell": "gru", "drive": {"copy": {"steps": 4, "symbols": 2}}},
        EXAMPLE | {"cell": "lru", "drive": {"adding": 4}, "init": "published"},
    )
    steps: Annotated[int, Field(ge=1)] = 500
    batch: Annotated[int, Field(ge=1)] = 32
    rate: Positive = 0.005
    clip: Positive = 1.0
    every: Annotated[int, Field(ge=1)] = 1

    def check(self, point):
        if not isinstance(point.drive, TaskDrive):
            raise ValueError("needs a task to learn as the drive; give drive: adding or drive: copy")
        if point.weights == "untied":
            raise ValueError("needs one set of weights for all steps, and untied ones are fresh at each; give tied")
        if point.drive.steps not in point.horizons:
            raise ValueError(
                f"is about sequences of {point.drive.steps} steps, and that is no horizon; add it to horizons"
            )

    def index(self, point):
        return {"horizon": np.full(2, point.drive.period, np.int32), "clipped": np.array(CLIPPED, object)}

    def watch(self, point, layout, start, generators):
        return _Watch(self, point, layout, start, generators)

    def shorter(self, tile):
        networks = -(-tile // self.every)
        brief = self.model_copy(update={"steps": 2, "every": max(self.every, -(-tile // 4))})
        passes = [3 * one.steps * one.batch + TESTED for one in (self, brief)]  # backwards is twice forwards
        return brief, passes[0] / passes[1] * networks / min(networks, 4)


class _Watch:
    """Keeps the weights that the first step is made with.

    groups: replicates that are trained together, always the same ones, whoever is wanted: where a network stands among
    others may move last bits. seeds: (R,) of all replicates, trained or not.
    """

    def __init__(self, training: Training, point, layout: Layout, start: State, generators):
        self.training, self.point, self.layout = training, point, layout
        self.start = tuple(layout.matrices(part) for part in start)
        self.replicates = self.wanted = len(self.start[0])
        tile = self.replicates // len(generators)
        together = min(MOST_TOGETHER, max(1, BYTES // self._bytes()))
        trained = np.arange(0, tile, training.every)
        groups = [trained[first : first + together] for first in range(0, len(trained), together)]
        self.groups = [first + group for first in range(0, self.replicates, tile) for group in groups]
        self.seeds = np.concatenate([rng.integers(2**63, size=tile) for rng in generators])
        self.initial: Parameters | None = None

    def see(self, step: Step) -> None:
        if self.initial is None:
            weights, matrices = step.weights, self.layout.matrices
            assert weights.inputs is not None
            assert weights.offset is not None
            self.initial = Parameters(
                None if weights.stacked is None else matrices(weights.stacked),
                matrices(weights.inputs),
                matrices(weights.offset),
                {name: matrices(vector) for name, vector in weights.bias.items()},
            )

    def values(self) -> dict[str, np.ndarray]:
        loss = np.full((self.replicates, len(CLIPPED)), math.nan)
        for group in self.groups:
            if group[0] < self.wanted:
                loss[group] = self._train(group)
        return {"loss": loss}

    def _train(self, some: np.ndarray) -> np.ndarray:
        """(r, CLIPPED) losses of some replicates."""
        import torch

        assert self.initial is not None
        streams = [np.random.Generator(np.random.Philox(key=int(seed))) for seed in self.seeds[some]]
        twice = torch.from_numpy(np.concatenate([some, some]))
        clip = [math.inf] * len(some) + [self.training.clip] * len(some)
        initial, start = self.initial.some(twice), tuple(part[twice] for part in self.start)
        losses = trained(self.point.cell_object, self.point.drive, initial, start, streams, clip, self.training)
        return losses.reshape(len(CLIPPED), -1).T

    def _bytes(self) -> int:
        """Of one replicate, on the way back."""
        gates = len(self.point.cell_object.gates) + 2 * len(self.point.cell_object.parts)
        return 4 * len(CLIPPED) * self.training.batch * self.point.width * self.point.drive.steps * 4 * gates


@dataclass(frozen=True)
class Parameters:
    """Of R networks, replicate first, as `rnnmc.numerics.weights.Weights` names them."""

    stacked: Tensor | None
    inputs: Tensor
    offset: Tensor
    bias: Mapping[str, Tensor]

    def some(self, rows: Tensor) -> Parameters:
        """Of these networks, copied."""
        stacked = None if self.stacked is None else self.stacked[rows]
        bias = {name: vector[rows] for name, vector in self.bias.items()}
        return Parameters(stacked, self.inputs[rows], self.offset[rows], bias)

    @property
    def tensors(self) -> list[Tensor]:
        """All that there are."""
        return [one for one in (self.stacked, self.inputs, self.offset, *self.bias.values()) if one is not None]


def trained(
    cell: Cell,
    task: TaskDrive,
    initial: Parameters,
    start: State,
    streams: Sequence[np.random.Generator],
    clip: Sequence[float],
    training: Training,
) -> np.ndarray:
    """(R,) losses after training, over that of the best constant answer; +inf where there is none.

    initial, start: of R networks, changed in place. streams: one for each of the last R networks, used by every so
    many-th: with half as many, networks r and r + R/2 have the same readout and the same batches. clip: the length
    above which a gradient is shortened, infinite for never.
    """
    import torch

    copies, (like, *_) = len(start[0]) // len(streams), start
    of_readout = [rng.uniform(-1, 1, (like.shape[2] + 1, task.classes or 1)) for rng in streams]
    readout = _loaded(np.stack(of_readout * copies) / math.sqrt(like.shape[2]), like)
    leaves = [*initial.tensors, readout]
    limit = torch.tensor(list(clip), dtype=like.dtype, device=like.device)
    moments = [(torch.zeros_like(leaf), torch.zeros_like(leaf)) for leaf in leaves]
    for leaf in leaves:
        leaf.requires_grad_()
    for step in range(1, training.steps + 1):
        with torch.enable_grad():
            loss = _loss(cell, task, initial, readout, start, streams, copies, training.batch)
            gradients = torch.autograd.grad(loss.sum(), leaves, allow_unused=True, materialize_grads=True)
        for leaf, gradient, (mean, square) in zip(leaves, _clipped(gradients, limit), moments, strict=True):
            _adam(leaf, gradient, mean, square, training.rate, step)
    with torch.no_grad():
        loss = _loss(cell, task, initial, readout, start, streams, copies, TESTED) / _trivial(task)
    return loss.double().nan_to_num(math.inf, math.inf).cpu().numpy()


def _trivial(task: TaskDrive) -> float:
    """Loss of the best answer that ignores the sequence."""
    return math.log(task.classes) if task.classes else 1.0


def _loaded(array: np.ndarray, like: Tensor) -> Tensor:
    import torch

    return torch.from_numpy(array).to(like.device, like.dtype)


def _clipped(gradients: Sequence[Tensor], limit: Tensor) -> list[Tensor]:
    """The gradient of each network, over all its parameters, shortened as by `torch.nn.utils.clip_grad_norm_`."""
    import torch

    length = torch.stack([gradient.square().sum((1, 2)) for gradient in gradients]).sum(0).sqrt()
    factor = torch.where(limit.isinf(), 1.0, (limit / (length + 1e-6)).clamp(max=1.0))
    return [gradient * factor[:, None, None] for gradient in gradients]


def _adam(leaf: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, rate: float, step: int) -> None:
    """One step of Adam, in place; `torch.optim` takes seconds to import."""
    mean.mul_(BETAS[0]).add_(gradient, alpha=1 - BETAS[0])
    square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
    first, second = (1 - beta**step for beta in BETAS)
    leaf.detach().addcdiv_(mean, (square / second).sqrt_().add_(1e-8), value=-rate / first)


def _loss(
    cell: Cell,
    task: TaskDrive,
    parameters: Parameters,
    readout: Tensor,
    start: State,
    streams: Sequence[np.random.Generator],
    copies: int,
    number: int,
) -> Tensor:
    """(R,) mean loss of each network over `number` fresh sequences."""
    import torch

    drawn = [task.sequences(rng, number) for rng in streams]
    x = _loaded(np.stack(drawn * copies), start[0])  # (R, T, number, m)
    target = torch.from_numpy(np.stack([task.targets(one) for one in drawn] * copies)).to(x.device)
    hidden = _answers(cell, parameters, start, x, task.answers)
    said = torch.baddbmm(readout[:, -1:], hidden.flatten(1, 2), readout[:, :-1])  # (R, answers * number, outputs)
    target = target.flatten(1)
    if task.classes:
        errors = torch.nn.functional.cross_entropy(said.flatten(0, 1), target.flatten(), reduction="none")
        return errors.view(target.shape).mean(1)
    return (said[:, :, 0] - target.to(said.dtype)).square().mean(1)


def _answers(cell: Cell, parameters: Parameters, start: State, x: Tensor, answers: int) -> Tensor:
    """(R, answers, number, n) first part of the state after each of the last steps; x: (R, T, number, m)."""
    import torch

    from rnnmc.numerics.weights import Weights

    width, number = start[0].shape[2], x.shape[2]
    drive = torch.baddbmm(parameters.offset, x.flatten(1, 2), parameters.inputs)  # W x + b of all steps at once
    steps = drive.unflatten(1, x.shape[1:3]).unbind(1)
    layout: Any = _Batches()
    pieces = () if parameters.stacked is None else parameters.stacked.split(width, 2)
    matrices = pieces if cell.diagonal else [_Unformed(lambda piece=piece: piece) for piece in pieces]
    recurrent: Any = dict(zip(cell.recurrent, matrices, strict=True))
    weights = Weights(layout, parameters.stacked, recurrent, parameters.bias)
    state, said = tuple(part.expand(-1, number, -1) for part in start), []
    for t, total in enumerate(steps):
        by_gate = dict(zip(cell.gates, total.split(width, 2), strict=True))
        state = cell.step(weights, by_gate, state)
        if t >= x.shape[1] - answers:
            said.append(state[0])
    return torch.stack(said, dim=1)


class _Batches:
    """The layout Rows, with the sequences of a batch in the place of directions, and matrices that may be unformed."""

    def __init__(self):
        from rnnmc.numerics.layout import Rows

        self.rows = Rows()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rows, name)

    def product(self, rows: Any, matrix: Any, plus: Any = None) -> Any:
        """For each sequence of a batch; of a matrix with another, unformed too."""
        if isinstance(rows, _Unformed):
            return _Unformed(lambda: self.product(rows.formed, matrix, plus))
        return self.rows.product(rows, matrix.formed if isinstance(matrix, _Unformed) else matrix, plus)

    def identity(self, rows: int, like: Tensor) -> Any:
        """As a matrix of networks."""
        return _Unformed(lambda: self.rows.identity(rows, like))


class _Unformed:
    """What a cell makes of a recurrent matrix, made only once something is multiplied with it.

    A Jacobian has another matrix for each sequence of a batch, and those stand nowhere: asking for them is refused.
    """

    def __init__(self, make: Callable[[], Tensor]):
        self.make = make

    @cached_property
    def formed(self) -> Tensor:
        return self.make()

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return cls(lambda: function(*(_of_network(one) for one in args), **(kwargs or {})))

    def __getattr__(self, name: str) -> Any:
        import torch

        if callable(method := getattr(torch.Tensor, name)):
            return lambda *args, **kwargs: self.__torch_function__(method, (), (self, *args), kwargs)
        return getattr(self.formed, name)  # its shape, dtype or device


def _operator(name: str) -> Callable[..., _Unformed]:
    return lambda self, *args: self.__getattr__(name)(*args)


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "pow", "neg", "matmul", "getitem"):
    setattr(_Unformed, f"__{_name}__", _operator(f"__{_name}__"))


def _of_network(value: Any) -> Any:
    """What is the same for all sequences of a batch. Raises NotImplementedError for what is not."""
    if isinstance(value, _Unformed):
        return value.formed
    if getattr(value, "ndim", 0) == 3 and value.shape[0] > 1 and value.shape[1] > 1:
        raise NotImplementedError("training: the cell multiplies with a matrix that differs between sequences")
    return value


OBSERVABLE = Training
