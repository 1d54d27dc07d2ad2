"""What a cell does along an axis that is not that of the units, and which helper of `Weights` does what was meant.

The axes of a tensor are in another order in each layout, so that an axis by its number is that of the units in one and
that of the replicates in the other: such a cell mixes replicates, or fails where shapes do not happen to fit.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from rnnmc.cells.cell import Cell
from rnnmc.numerics import layout, weights
from rnnmc.numerics.layout import Layout
from rnnmc.numerics.weights import Weights

MEANS = {
    "sum": "weights.sum(x), which sums over units",
    "mean": "weights.mean(x), which means over units",
    "var": "weights.variance(x), which is over units",
    "std": "weights.variance(x).sqrt(), which is over units",
    "norm": "weights.norm(x), which is over units",
    "vector_norm": "weights.norm(x), which is over units",
    "normalize": "x / weights.norm(x), which is over units",
    "layer_norm": "(x - weights.mean(x)) / (weights.variance(x) + 1e-5).sqrt(), which is over units",
    "rms_norm": "x / (weights.mean(x * x) + 1e-5).sqrt(), which is over units",
    "softmax": "x.exp() / weights.sum(x.exp()), which is over units",
    "log_softmax": "x - weights.sum(x.exp()).log(), which is over units",
}
ALONG_UNITS = "weights.layout.out_axis, which is the axis of units"
ALONG = ("amax", "amin", "max", "min", "argmax", "argmin", "prod", "cumsum", "cumprod", "logsumexp", "median",
         "quantile", "sort", "topk", "any", "all", "nansum", "nanmean", "std_mean", "var_mean", "count_nonzero", "roll",
         "flip", "split", "chunk", "narrow", "select", "unbind", "cat", "concat", "concatenate", "stack", "squeeze",
         "unsqueeze", "gather", "index_select")  # fmt: skip
TRANSPOSES = ("transpose", "swapaxes", "swapdims", "permute", "movedim", "t", "T", "mT", "H", "mH")
PRODUCTS = (
    "matmul",
    "__matmul__",
    "__rmatmul__",
    "bmm",
    "mm",
    "mv",
    "baddbmm",
    "einsum",
    "linear",
    "dot",
    "inner",
    "outer",
)
HELPERS = (layout.__file__, weights.__file__, sys.modules[Cell.__module__].__file__)
AXIS_SECOND = ("split", "chunk", "vector_norm", "norm", "normalize", "roll", "topk", "quantile")
BY_POSITION = {"layer_norm": -1, "rms_norm": -1, "normalize": 1}  # functions that take no axis, or have one unless said


def advice(cell: Cell, steps: Iterable[tuple[Weights, Mapping[str, Tensor], tuple[Tensor, ...]]]) -> str:
    """A sentence on the first thing that a cell does along a wrong axis in any of these steps, or "".

    steps: arguments of `Cell.step`. What the cell raises is let be.
    """
    for given, drive, state in steps:
        lay = given.layout
        unit = lay.identity(state[0].shape[lay.out_axis], state[0])
        directions = tuple(unit.expand(*_shape(lay, unit, part)) for part in state)
        with _Axes(lay) as axes, suppress(Exception):  # the check that asks for advice tells of it
            cell.step(given, drive, state)
            cell.linearise(given, drive, state)[1](directions)
        if axes.found:
            return axes.found[0]
    return ""


def _shape(lay: Layout, unit: Tensor, part: Tensor) -> list[int]:
    """Of a direction for each unit in each replicate of this part."""
    shape = list(unit.shape)
    shape[lay.replicate_axis] = part.shape[lay.replicate_axis]
    return shape


class _Axes(TorchFunctionMode):
    """Looks at every call of torch."""

    def __init__(self, lay: Layout):
        super().__init__()
        self.layout, self.found = lay, list[str]()

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if sys._getframe(1).f_code.co_filename in HELPERS:  # what we do for a cell knows the axes
            return function(*args, **kwargs)
        name = _name(function)
        tensors = [one for one in _flat(args) if isinstance(one, Tensor)]
        if said := self._wrong(name, args, kwargs, [one for one in tensors if one.ndim == 3], tensors):
            self.found.append(said)
        return function(*args, **kwargs)

    def _wrong(self, name: str, args: Any, kwargs: Any, ours: list[Tensor], tensors: list[Tensor]) -> str:
        if not ours:
            return ""
        if name in PRODUCTS and self.layout.replicate_axis != 0:
            return f"{name} reads the last axes as a matrix; use weights.product(x, matrix), which knows the axes"
        if name in TRANSPOSES and self._moves_replicates(name, args):
            return f"{name} moves the axis of replicates; use weights.transpose(matrix)"
        if (name in MEANS or name in ALONG) and (axis := self._axis(name, args, kwargs)) != "":
            return f"{name} over {axis}; use {MEANS.get(name, ALONG_UNITS)}"
        if any(one.ndim in (1, 2) and one.numel() > 1 for one in tensors) and name != "__get__":
            return (
                f"{name} takes a tensor without an axis of replicates; use weights.constant(values, like=x), which has "
                "a value for each unit, or a name in `vectors` or `recurrent` for weights that are drawn"
            )
        return ""

    def _moves_replicates(self, name: str, args: Any) -> bool:
        last = {"mT", "mH"}
        if name in last:
            return self.layout.replicate_axis != 0
        axes = [one % 3 for one in _flat(args[1:]) if isinstance(one, int)]
        if name == "permute" and len(axes) == 3:
            return axes[self.layout.replicate_axis] != self.layout.replicate_axis
        return not axes or self.layout.replicate_axis in axes

    def _axis(self, name: str, args: Any, kwargs: Any) -> str:
        """The axis and what is wrong with it, in words, where it is not that of the units; else ""."""
        given = kwargs.get("dim", kwargs.get("axis", BY_POSITION.get(name)))
        if given is None:
            rest = args[2:] if name in AXIS_SECOND else args[1:]
            given = next((one for one in rest if type(one) is int or _are_axes(one)), None)
        if given is None:
            split = name in ("split", "chunk", "cat", "concat", "concatenate", "stack", "squeeze")
            if name in ("max", "min") and any(isinstance(one, Tensor) for one in args[1:]):
                return ""
            return "the first axis mixes replicates in one layout" if split else "all axes mixes replicates"
        axes = [given] if isinstance(given, int) else list(given)
        if all(axis % 3 == self.layout.out_axis for axis in axes):
            return ""
        said = "the last axis" if axes == [-1] else f"axis {', '.join(str(axis) for axis in axes)}"
        mixes = any(axis % 3 == self.layout.replicate_axis for axis in axes)
        return f"{said} mixes replicates" if mixes else f"{said} is over units in one layout only"


def _name(function: Any) -> str:
    said = getattr(function, "__name__", str(function))
    if said == "__get__":  # of a property, such as .mT
        return getattr(getattr(function, "__self__", None), "__name__", said)
    return said.removeprefix("linalg_")


def _are_axes(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and bool(value) and all(type(one) is int for one in value)


def _flat(values: Any) -> Iterable[Any]:
    for value in values:
        if isinstance(value, (tuple, list)):
            yield from _flat(value)
        else:
            yield value
