"""Spectral and RMS norms of a batch of matrices by compiled code, with the guarantee of `rnnmc.numerics.spectral`.

Up to BY_REPLICATE_UP_TO rows a vector of the processor holds as many replicates, beyond it columns of one matrix; how
the norm is found, and proved, is told in `spectral.c` and `lanczos.c`. The numbers of a replicate depend on its matrix
alone: neither on the others of the batch, nor on their count, its place among them, or how the batch lies in memory.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from rnnmc.numerics.compiler import compiled, kept_until_forgotten, step_header
from rnnmc.numerics.spectral import plain_norms_of

HERE = Path(__file__).parent
BY_REPLICATE_UP_TO = 32  # rows: measured on one thread, as the mean over the horizons of a chain


def norms_of(product: Tensor) -> tuple[Tensor, Tensor]:
    """Largest singular value of each matrix, and its Frobenius norm over sqrt d: (R,) float64 both.

    product: (R, d, d) float32 or float64 on the CPU, with any strides. The relative error of the spectral norm is at
    most 1e-12, of the other that of rounding in float64, at any scale. NaN where an entry is not finite, exactly zero
    for a zero matrix, inf where the norm is beyond the floating-point range. Without a C compiler: `plain_norms_of`.
    """
    replicates, rows, _ = product.shape
    run = kernel(rows <= BY_REPLICATE_UP_TO)
    if run is None:
        return plain_norms_of(product)
    if rows > BY_REPLICATE_UP_TO:
        product = product.contiguous()
    spectral, rms = torch.empty(2, replicates, dtype=torch.float64)
    strides = (ctypes.c_int64 * 3)(*product.stride())
    bits = torch.finfo(product.dtype).bits
    run(replicates, rows, bits, strides, product.data_ptr(), spectral.data_ptr(), rms.data_ptr())
    return spectral, rms


@kept_until_forgotten
def kernel(by_replicate: bool) -> Callable[..., None] | None:
    """The compiled function `norms` of `spectral.c` for matrices of any size, or None where it cannot be compiled."""
    function = compiled(source(by_replicate), "norms")
    if function is None:
        return None
    function.restype = None
    function.argtypes = [ctypes.c_int64] * 3 + [ctypes.c_void_p] * 4
    return function


def source(by_replicate: bool) -> str:
    """C source. by_replicate: whether a vector holds replicates, or columns of one."""
    names = ("spectral.c",) if by_replicate else ("spectral.c", "lanczos.c")
    defines = f"#define REAL_BITS 64\n#define BY_REPLICATE {int(by_replicate)}\n"
    return "\n".join((defines, step_header(), *((HERE / name).read_text(encoding="utf-8") for name in names)))
