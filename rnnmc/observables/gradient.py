"""The gradient of the parameters at initialisation, and how much of it comes from how far back.

Backwards through the stored trajectory, in float64: the adjoint of the state at each loss time is a row that every
step multiplies by J_t, under a power of two of its own, so that no lag is too long. After each step the rows are added
up by lag, and these sums alone are pulled through the immediate derivative of s_t by the parameters. There a product
with a recurrent matrix is cut open: its input and the derivative by its output are put by for a few steps, and the
gradient of the matrix is then one product of the two, instead of a sum of as many outer products. Whatever else a
cell does with its weights, automatic differentiation sees to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from rnnmc.observables.observable import Observable

if TYPE_CHECKING:
    from torch import Tensor

    from rnnmc.cells.cell import State
    from rnnmc.chain.product import Step
    from rnnmc.numerics.weights import Weights
    from rnnmc.observables.observable import Point

LOSSES = ("last", "every")
LONGEST = 10_000  # steps; the whole trajectory is kept
NOTHING = -(2**40)  # exponent of an exact zero: it stands back behind every number
BYTES = 1 << 27  # that may be in use at a time; as many replicates go backwards together. More is no quicker
PUT_BY = 32  # steps


class Gradient(Observable):
    """Norm of the parameter gradient by lag, for a loss on the last state and for one on every state, in nats.

    The loss is a sum of v_t . h_t, with v_t ~ N(0, I/n) drawn for each t by itself, on the first part of the state, of
    the last layer where there are several (the sum over all of them, if residual); "last" has the term of t = T alone,
    and the same v_T. The parameters are all n x n matrices and biases, those inside a cell too; weights of x are left
    out. Lag k is the part of the gradient that goes back k steps from a loss: the sum over loss times t of
    v_t P_{t<-t-k} (ds_{t-k}/dparameters), a vector. Rows: `lag` 0, and for each horizon the lags above the row before,
    up to `lag`. log_contribution: of the row's lags together; log_further: of all lags above `lag`, what
    back-propagation truncated there would lose; log_total: of the whole. All are logarithms of norms of vector sums.
    -inf is an exact zero, as for the lag T, for nothing comes before the first step; +inf: the state has overflowed.

    With K the last horizon but one, B horizons and G gates, a step of a replicate takes about 2 K d^2 + 2 B G n^2
    operations beside making J_t: few horizons are quicker. What is kept until the last step is some d + (G + 1) n
    numbers a step and replicate. Sums over lags are pulled once through autodiff's own derivative of tanh, which is
    exactly zero beyond |a| = 19; that of the chain is not.
    """

    name = "gradient"
    formula = "|| sum_t v_t P_(t<-t-k) ds_(t-k)/dparameters ||, by lag k"
    source = "docs/physics.md sections 1 and 3.4, claims A13 and A14"
    labels: ClassVar[Mapping[str, pa.DataType]] = {"horizon": pa.int32(), "loss": pa.string(), "lag": pa.int32()}
    columns: ClassVar[Mapping[str, pa.DataType]] = {
        "log_contribution": pa.float64(),
        "log_further": pa.float64(),
        "log_total": pa.float64(),
    }
    steps_power = 2

    def check(self, point):
        if point.weights == "untied":
            raise ValueError(
                "needs one set of parameters for all steps, and untied weights are fresh at each; give weights: tied"
            )
        if point.horizons[-1] > LONGEST:
            raise ValueError(f"keeps the whole trajectory; give a last horizon of at most {LONGEST} steps")

    def index(self, point):
        lags = np.array([0, *point.horizons], np.int32)
        return {
            "horizon": np.full(2 * len(lags), point.horizons[-1], np.int32),
            "loss": np.repeat(np.array(LOSSES, object), len(lags)),
            "lag": np.tile(lags, len(LOSSES)),
        }

    def watch(self, point, layout, start, generators):
        return _Watch(point, layout, start, generators)


class _Watch:
    """Keeps what a trajectory is made of, every tensor replicate first; nothing is copied before the way back."""

    weights: Weights
    finite: Tensor

    def __init__(self, point: Point, layout, start: State, generators):
        self.point, self.layout, self.generators = point, layout, generators
        self.replicates = start[0].shape[layout.replicate_axis]
        self.states: list[State] = []
        self.drives: list[dict[str, Tensor]] = []
        self.losses: list[Tensor] = []

    def see(self, step: Step) -> None:
        import torch

        matrices = self.layout.matrices
        self.weights, self.finite = step.weights, step.finite.flatten()  # the same weights at all steps
        self.states.append(tuple(matrices(part) for part in step.before))
        self.drives.append({gate: matrices(drive) for gate, drive in step.drive.items()})
        shape = (self.replicates // len(self.generators), 1, self.point.width)
        directions = np.concatenate([rng.standard_normal(shape) for rng in self.generators])
        self.losses.append(torch.from_numpy(directions / math.sqrt(self.point.width)).to(step.before[0]))

    def values(self) -> dict[str, np.ndarray]:
        together = max(1, BYTES // self._bytes())
        slices = [slice(first, first + together) for first in range(0, self.replicates, together)]
        logs = np.concatenate([_backwards(self, some).cpu().numpy() for some in slices])
        logs[~self.finite.cpu().numpy() | np.isnan(logs).any(axis=(1, 2))] = math.inf
        return {name: logs[:, i] for i, name in enumerate(Gradient.columns)}

    def _bytes(self) -> int:
        """Of one replicate, on the way back."""
        n, d = self.point.width, self.point.state_size
        before_last, bins = [0, *self.point.horizons][-2], len(self.point.horizons) + 2
        matrices = max(len(self.point.cell_object.gates), len(self.weights.recurrent))
        parameters = n * (len(self.weights.bias) + matrices * (n + 1))
        return 8 * (6 * bins * parameters + 4 * (before_last + bins) * d + 2 * d * d)


def _backwards(kept: _Watch, some: slice) -> Tensor:
    """(r, columns, rows of `Gradient.index`) log-norms in nats, of some replicates."""
    import torch

    point, last = kept.point, kept.point.horizons[-1]
    edges = [0, *point.horizons[:-1]]  # lags up to which each bin reaches, but for the last
    adjoints = _Adjoints(edges, kept.losses[-1][some].double(), point.state_size, point.cell_object.shown)
    matrices, stacked = kept.layout.matrices, kept.weights.stacked
    if stacked is not None:  # a copy of its own, so that a column's offset in memory is its number
        stacked = matrices(stacked)[some].double().clone(memory_format=torch.contiguous_format).requires_grad_()
    biases = {name: _leaf(matrices(bias)[some]) for name, bias in kept.weights.bias.items()}
    length = (len(point.cell_object.gates) + len(biases)) * point.width
    bins = len(edges) + 1
    of_last, of_every = (_Sums(bins, len(adjoints.rows), stacked, length, adjoints.rows.device) for _ in LOSSES)
    for t in range(last, 0, -1):
        state = tuple(part[some].double() for part in kept.states[t - 1])
        drive = {gate: _leaf(one[some]) for gate, one in kept.drives[t - 1].items()}
        step = _CutOpen(point.cell_object, stacked, biases, drive, state)
        rows, exponent = adjoints.by_lag()
        pulled, bin_of_last = step.pulled(rows), int(np.searchsorted(edges, last - t))
        of_last.add(pulled.some(slice(0, 1)), exponent[:, :1], slice(bin_of_last, bin_of_last + 1))
        of_every.add(pulled.some(slice(1, None)), exponent[:, 1:], slice(0, bins))
        if t > 1:
            adjoints.step_back(step.jacobian(), kept.losses[t - 2][some].double())
    return torch.cat([of_last.logs(), of_every.logs()], dim=2)


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().double().requires_grad_()


class _Adjoints:
    """Rows of derivatives of the loss by the state, each under its own power of two.

    rows: (r, 2 + k, d): that of the last loss time, the sum of all that are further back than the last edge, and one
    for each lag from 0 up. exponent: (r, 2 + k, 1) int64.
    """

    def __init__(self, edges: list[int], loss: Tensor, size: int, shown: tuple[int, ...]):
        import torch

        self.edges, self.size, self.shown = edges, size, shown
        loss = self._padded(loss)
        self.rows = torch.cat([loss, torch.zeros_like(loss), loss], dim=1)
        self.exponent = torch.zeros_like(self.rows[:, :, :1], dtype=torch.int64)
        self.exponent[:, 1] = NOTHING

    def _padded(self, loss: Tensor) -> Tensor:
        """On the parts of the state that are shown, and nothing on the others."""
        parts = loss.new_zeros(*loss.shape[:2], self.size // loss.shape[2], loss.shape[2])
        parts[:, :, list(self.shown)] = loss[:, :, None]
        return parts.flatten(2)

    def by_lag(self) -> tuple[Tensor, Tensor]:
        """((r, 1 + bins, d), exponent): the row of the last loss time, then sums over lags, bin by bin."""
        import torch

        starts = [2 + edge for edge in (-1, *self.edges[:-1])]
        pieces = [(self.rows[:, :1], self.exponent[:, :1])]
        for start, edge in zip(starts, self.edges, strict=True):
            here = slice(start + 1, 2 + edge + 1)
            pieces.append(_total(self.rows[:, here], self.exponent[:, here]))
        pieces.append((self.rows[:, 1:2], self.exponent[:, 1:2]))
        rows, exponents = zip(*pieces, strict=True)
        return torch.cat(rows, dim=1), torch.cat(exponents, dim=1)

    def step_back(self, jacobian: Tensor, loss: Tensor) -> None:
        """From s_t to s_(t-1), where another loss joins. jacobian: (r, d, d), transposed J_t."""
        import torch

        rows, exponent = _rescaled(self.rows @ jacobian.mT, self.exponent)
        keep = 2 + self.edges[-1]
        beyond = [part[:, [1, *range(keep, part.shape[1])]] for part in (rows, exponent)]
        far, far_exponent = _total(*beyond)
        self.rows = torch.cat([rows[:, :1], far, self._padded(loss), rows[:, 2:keep]], dim=1)
        fresh = torch.zeros_like(far_exponent)
        self.exponent = torch.cat([exponent[:, :1], far_exponent, fresh, exponent[:, 2:keep]], dim=1)


def _rescaled(rows: Tensor, exponent: Tensor) -> tuple[Tensor, Tensor]:
    """Rows with their largest entries brought back near one; an exact zero has the exponent NOTHING."""
    import torch

    from rnnmc.chain.product import rescaled

    size = rows.abs().amax(2, keepdim=True)
    (rows,), exponent = rescaled((rows,), size, exponent)
    return rows, torch.where(size == 0, NOTHING, exponent)


def _total(rows: Tensor, exponent: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of rows, (r, 1, d), and its exponent; of none at all too."""
    import torch

    if rows.shape[1] == 1:
        return rows, exponent
    if rows.shape[1] == 0:
        empty = torch.zeros_like(rows.sum(1, keepdim=True))
        return empty, torch.full_like(empty[:, :, :1], NOTHING, dtype=torch.int64)
    common = exponent.amax(1, keepdim=True)
    return (exponent - common).double().exp2().mT @ rows, common


class _Pulled(NamedTuple):
    """Derivatives by the parameters of one step, for k rows.

    products: (inputs (r, 1, in), first column in `stacked`, derivatives by the output (r, k, out)) of each product with
    recurrent weights, whose own derivatives are the outer products. vector: (r, k, length) by the biases. rest: (r, k,
    in, out) by recurrent weights that were used in any other way; None where none were.
    """

    products: list[tuple[Tensor, int, Tensor]]
    vector: Tensor
    rest: Tensor | None

    def some(self, rows: slice) -> _Pulled:
        products = [(inputs, column, by_output[:, rows]) for inputs, column, by_output in self.products]
        return _Pulled(products, self.vector[:, rows], None if self.rest is None else self.rest[:, rows])


class _CutOpen:
    """One step of a cell whose products with a recurrent matrix pass through taps, where their derivatives are read.

    stacked, biases, drive: leaves that want a gradient; of what has gone through a tap there is nothing in theirs.
    """

    def __init__(self, cell, stacked: Tensor | None, biases: dict[str, Tensor], drive: dict[str, Tensor], state: State):
        import torch

        from rnnmc.numerics.weights import Weights

        self.stacked, self.vectors, self.state = stacked, [*drive.values(), *biases.values()], state
        self.layout = _Taps(stacked)
        with torch.enable_grad():
            matrices = () if stacked is None else stacked.split(state[0].shape[2], 2)
            named = dict(zip(cell.recurrent, matrices, strict=True))
            weights = Weights(self.layout, stacked, named, biases)  # pyright: ignore[reportArgumentType]
            self.after, self.push = cell.linearise(weights, drive, state)

    def pulled(self, rows: Tensor) -> _Pulled:
        """What rows of derivatives by s_t, (r, k, d), give for the parameters, by this step's own use of them."""
        import torch

        taps = self.layout.taps
        leaves = [tap for _, _, tap in taps] + self.vectors + ([] if self.stacked is None else [self.stacked])
        parts = tuple(part.movedim(1, 0)[:, :, None] for part in rows.split(self.state[0].shape[2], 2))
        with torch.enable_grad():
            found = torch.autograd.grad(self.after, leaves, parts, is_grads_batched=True, allow_unused=True)
        found = [None if one is None else one.movedim(0, 1) for one in found]
        products = [(x, at, one[:, :, 0]) for (x, at, _), one in zip(taps, found, strict=False) if one is not None]
        vectors = [
            rows.new_zeros(*rows.shape[:2], leaf.shape[2]) if one is None else one[:, :, 0]
            for leaf, one in zip(self.vectors, found[len(taps) :], strict=False)
        ]
        return _Pulled(products, torch.cat(vectors, dim=2), None if self.stacked is None else found[-1])

    def jacobian(self) -> Tensor:
        """(r, d, d) transposed J_t."""
        import torch

        n, parts = self.state[0].shape[2], len(self.state)
        unit = torch.eye(n * parts, dtype=self.state[0].dtype, device=self.state[0].device)
        directions = tuple(part.expand(len(self.state[0]), -1, -1) for part in unit.split(n, 1))
        with torch.no_grad():
            return torch.cat(self.push(directions), dim=2)


class _Taps:
    """The layout Rows, whose products of a state with a recurrent matrix are cut open while gradients are on.

    taps: (inputs (r, 1, in), first column in `stacked`, zeros added to the product) of each such product.
    """

    def __init__(self, stacked: Tensor | None):
        from rnnmc.numerics.layout import Rows

        self.rows, self.stacked = Rows(), stacked
        self.taps: list[tuple[Tensor, int, Tensor]] = []

    def __getattr__(self, name: str):
        return getattr(self.rows, name)

    def product(self, rows: Tensor, matrix: Tensor, plus: Tensor | None = None) -> Tensor:
        import torch

        if not torch.is_grad_enabled() or rows.shape[1] != 1 or not self._is_recurrent(matrix):
            return self.rows.product(rows, matrix, plus)
        product = self.rows.product(rows, matrix.detach(), plus)
        tap = torch.zeros_like(product, requires_grad=True)
        self.taps.append((rows.detach(), int(matrix.storage_offset()), tap))
        return product + tap

    def _is_recurrent(self, matrix: Tensor) -> bool:
        """Whether this is some neighbouring columns of `stacked`, as it was drawn."""
        whole = self.stacked
        if whole is None or matrix._base is not whole:
            return False
        return matrix.stride() == whole.stride() and matrix.shape[:2] == whole.shape[:2]


class _Sums:
    """Gradients of one loss by all parameters, a sum for each bin of lags, each under its own power of two.

    matrix: (r, in, bins, out) by the recurrent weights side by side; empty where there are none. vector: (r, bins,
    length) by the biases. exponent: (r, bins, 1) int64.
    """

    def __init__(self, bins: int, replicates: int, stacked: Tensor | None, length: int, device):
        import torch

        rows, columns = (0, 0) if stacked is None else stacked.shape[1:]
        self.matrix = torch.zeros(replicates, rows, bins, columns, dtype=torch.float64, device=device)
        self.vector = torch.zeros(replicates, bins, length, dtype=torch.float64, device=device)
        self.exponent = torch.full((replicates, bins, 1), NOTHING, device=device)
        self.put_by: list[tuple[_Pulled, Tensor]] = []
        self.bins = slice(0)

    def add(self, pulled: _Pulled, exponent: Tensor, bins: slice) -> None:
        """Put by what one step gives for some bins, row by row."""
        if len(self.put_by) == PUT_BY or bins != self.bins:
            self._settle()
        self.bins = bins
        self.put_by.append((pulled, exponent))

    def _settle(self) -> None:
        """Add to the sums what has been put by."""
        import torch

        if not self.put_by:
            return
        exponents = torch.stack([exponent for _, exponent in self.put_by])
        common = torch.maximum(self.exponent[:, self.bins], exponents.amax(0))
        old, weights = (self.exponent[:, self.bins] - common).double().exp2(), (exponents - common).double().exp2()
        self.exponent[:, self.bins] = common
        vector, matrix = self.vector[:, self.bins], self.matrix[:, :, self.bins]
        vector *= old
        matrix *= old[:, None]
        taps = [[] for _ in self.put_by[0][0].products]
        for (pulled, _), weight in zip(self.put_by, weights, strict=True):
            vector += pulled.vector * weight
            if pulled.rest is not None:
                matrix += pulled.rest.movedim(1, 2) * weight[:, None]
            for tap, (inputs, column, by_output) in zip(taps, pulled.products, strict=True):
                tap.append((inputs, column, by_output * weight))
        for tap in taps:
            inputs = torch.cat([one for one, _, _ in tap], dim=1)
            by_output = torch.stack([one for _, _, one in tap], dim=1)
            column, wide = tap[0][1], by_output.shape[3]
            product = inputs.mT @ by_output.flatten(2)
            matrix[..., column : column + wide] += product.unflatten(2, (-1, wide))
        self.put_by = []

    def logs(self) -> Tensor:
        """(r, columns of `Gradient`, bins) in nats."""
        import torch

        self._settle()
        flat = torch.cat([self.matrix.movedim(1, 2).flatten(2), self.vector], dim=2)
        sums, exponent = _rescaled(flat, self.exponent)
        further, further_exponent = _total(sums[:, :0], exponent[:, :0])
        logs = []
        for row in range(sums.shape[1] - 1, -1, -1):
            logs.append(_log_norm(further, further_exponent))
            joined = [sums[:, row : row + 1], further], [exponent[:, row : row + 1], further_exponent]
            further, further_exponent = _rescaled(*_total(*(torch.cat(both, dim=1) for both in joined)))
        total = _log_norm(further, further_exponent)
        return torch.stack([_log_norm(sums, exponent), torch.cat(logs[::-1], 1), total.expand(-1, len(logs))], dim=1)


def _log_norm(rows: Tensor, exponent: Tensor) -> Tensor:
    """(r, k) in nats, of rows whose largest entries are near one, or zero."""
    return rows.square().sum(2).sqrt().log() + exponent[:, :, 0].double() * math.log(2)


OBSERVABLE = Gradient
