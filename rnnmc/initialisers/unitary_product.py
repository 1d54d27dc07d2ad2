"""Unitary matrices as a product of cheap ones, in real and imaginary parts."""

from __future__ import annotations

import numpy as np

from rnnmc.cells.cell import Cell
from rnnmc.initialisers.law import Positive, Signs, WeightLaw


class UnitaryProduct(WeightLaw):
    """gain times W = D3 R2 F^-1 D2 P R1 F D1, as its real and its imaginary part.

    D: diagonal, phases uniform on [-pi, pi). R: reflections I - 2 v v*/|v|^2, real and imaginary parts of v uniform on
    [-1, 1]. F: the discrete Fourier transform. P: a permutation, drawn for each network.
    """

    name, main = "unitary_product", "gain"
    formula = "gain * D3 R2 F^-1 D2 P R1 F D1, in parts real and imaginary"
    source = "Arjovsky, Shah, Bengio 2016 (uRNN)"
    gain: Positive = 1.0

    def groups(self, gates: tuple[str, ...], cell: Cell) -> list[tuple[str, ...]]:
        if gates != ("real", "imaginary"):
            raise ValueError(
                "is unitary_product, which draws a complex matrix as a whole; use it for all weights of unitary"
            )
        return [gates]

    def entries(self, rng: np.random.Generator, shape: tuple[int, int, int], signs: Signs) -> np.ndarray:
        count, rows, columns = shape
        each = columns // 2
        n = max(rows, each)
        phases = np.exp(1j * rng.uniform(-np.pi, np.pi, (3, count, 1, n)))
        normals = rng.uniform(-1, 1, (2, count, 1, n)) + 1j * rng.uniform(-1, 1, (2, count, 1, n))
        order = np.argsort(rng.uniform(size=(count, n)), axis=1)[:, None]
        row = np.eye(n) * phases[0]  # row j becomes W e_j, transposed: input by output
        row = _reflected(np.fft.fft(row, norm="ortho"), normals[0])
        row = np.take_along_axis(row, np.broadcast_to(order, row.shape), axis=2) * phases[1]
        row = _reflected(np.fft.ifft(row, norm="ortho"), normals[1]) * phases[2]
        cut = self.gain * row[:, :rows, :each]
        return np.concatenate([cut.real, cut.imag], axis=2)


def _reflected(rows: np.ndarray, normal: np.ndarray) -> np.ndarray:
    along = (rows * normal.conj()).sum(axis=2, keepdims=True) / (np.abs(normal) ** 2).sum(axis=2, keepdims=True)
    return rows - 2 * along * normal


LAW = UnitaryProduct
