"""Two ways to lay a tile of replicates out in memory, with the few operations that depend on it.

Cells are written once, in terms that broadcast the same way in both layouts:

==============  ====================  ====================
what            Rows                  Columns
==============  ====================  ====================
matrix          (replicate, in, out)  (in, out, replicate)
vector          (replicate, 1, n)     (1, n, replicate)
directions      (replicate, k, n)     (k, n, replicate)
==============  ====================  ====================

A vector times a matrix scales its *out* axis, in either layout, by plain broadcasting. Directions are rows, so that
a product with them is one large matrix multiply for a replicate (Rows) or, at small widths where a matrix multiply
would be all overhead, a few elementwise operations over all replicates at once (Columns).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Layout(Protocol):
    """The operations that differ between the layouts; `out_axis` and `direction_axis` name the axes above."""

    name: str
    out_axis: int
    direction_axis: int
    replicate_axis: int

    def load(self, array: np.ndarray, dtype: torch.dtype, device: str) -> Tensor:
        """A (..., replicate, rows, columns) float64 array as a tensor in this layout."""
        ...

    def product(self, rows: Tensor, matrix: Tensor, plus: Tensor | None = None) -> Tensor:
        """rows (k x in) times matrix (in x out) for each replicate, added to `plus` (k x out) if given."""
        ...

    def matrices(self, directions: Tensor) -> Tensor:
        """Directions as (replicate, k, n)."""
        ...

    def size(self, directions: Tensor, apart: bool = False) -> Tensor:
        """Largest absolute entry of each replicate, or of each direction, shaped to broadcast against directions."""
        ...

    def identity(self, rows: int, like: Tensor) -> Tensor:
        """The identity matrix, shaped to broadcast against matrices."""
        ...

    def constant(self, values: list[float], like: Tensor) -> Tensor:
        """A value for each unit, as a vector that is the same in every replicate."""
        ...


class Rows:
    """Replicate first: products are batched matrix multiplies."""

    name, replicate_axis, direction_axis, out_axis = "rows", 0, 1, 2

    def load(self, array: np.ndarray, dtype: torch.dtype, device: str) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device=device, dtype=dtype)

    def product(self, rows: Tensor, matrix: Tensor, plus: Tensor | None = None) -> Tensor:
        if rows.shape[2] == 1:  # an outer product: cheaper as a broadcast
            return rows * matrix if plus is None else torch.addcmul(plus, rows, matrix)
        return torch.bmm(rows, matrix) if plus is None else torch.baddbmm(plus, rows, matrix)

    def matrices(self, directions: Tensor) -> Tensor:
        return directions

    def size(self, directions: Tensor, apart: bool = False) -> Tensor:
        return directions.abs().amax(2 if apart else (1, 2), keepdim=True)  # 20 times faster than the infinity norm

    def identity(self, rows: int, like: Tensor) -> Tensor:
        return torch.eye(rows, dtype=like.dtype, device=like.device)[None]

    def constant(self, values: list[float], like: Tensor) -> Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device)[None, None]


class Columns:
    """Replicates innermost: products are sums of elementwise products over all replicates."""

    name, replicate_axis, direction_axis, out_axis = "columns", 2, 0, 1

    def load(self, array: np.ndarray, dtype: torch.dtype, device: str) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -3, -1))).to(device=device, dtype=dtype)

    def product(self, rows: Tensor, matrix: Tensor, plus: Tensor | None = None) -> Tensor:
        total = rows[:, :1] * matrix[0] if plus is None else torch.addcmul(plus, rows[:, :1], matrix[0])
        for j in range(1, matrix.shape[0]):
            total = torch.addcmul(total, rows[:, j : j + 1], matrix[j])
        return total

    def matrices(self, directions: Tensor) -> Tensor:
        return directions.permute(2, 0, 1)

    def size(self, directions: Tensor, apart: bool = False) -> Tensor:
        return directions.abs().amax(1 if apart else (0, 1), keepdim=True)

    def identity(self, rows: int, like: Tensor) -> Tensor:
        return torch.eye(rows, dtype=like.dtype, device=like.device)[..., None]

    def constant(self, values: list[float], like: Tensor) -> Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device)[None, :, None]
