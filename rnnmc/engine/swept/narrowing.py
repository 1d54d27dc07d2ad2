"""Norms of P_t at many times in one sweep forwards, with all columns at first and fewer and fewer of them later.

After some steps most singular values of P_t are small beside the largest. So rows X of input directions are carried as
their images A = P_t X, all unit directions at the start; now and then they are turned such that most of the images are
next to nothing, and those are dropped (`narrow.c`: by a Cholesky factor with pivots, which takes a tenth of the work of
singular vectors and leaves hardly more behind). Later steps turn what is kept and what was dropped much alike, so that
the share that is missing hardly changes. How much is missing in fact, normal rows G tell: what they have in the
directions that were dropped, R = C G, is carried along, which is all that `bounds` asks for. Each replicate keeps as
many rows as it needs, by its own images alone; rows of zeros beside them change nothing.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from rnnmc.engine.few_directions.subspace import LOG_TWO
from rnnmc.engine.swept.bounds import Told, lengths_of, told_by_rest
from rnnmc.engine.swept.trajectory import NO_STEP, Trajectory
from rnnmc.numerics.compiler import compiled, kept_until_forgotten
from rnnmc.numerics.norms import norms_of

NORMAL_ROWS = 4
FROM_TIME = 2  # before it nothing is dropped
SPACED = 1.35  # from one time when rows may be dropped to the next, at most
SOON = 1.15  # the same, at least
WORTH_IT = 0.9  # of the rows, at most, must be enough for any to be dropped
ROUNDED_TO = 8  # rows, for linear algebra: fewer sizes are taken together
NUMBER, POINTER, REAL = ctypes.c_int64, ctypes.c_void_p, ctypes.c_double


class Narrowed(NamedTuple):
    """Of R replicates; the first three are (R, horizons), the others (R,), a step, or NO_STEP where there is none.

    told: see `bounds`; the spectral error is zero before anything was dropped. tangent: log ||P_t v||, in nats, for a
    random unit vector v. finite: whether what was carried is. died: after which P_t is exactly zero. lost: the first
    that lost digits.
    """

    told: Told
    tangent: Tensor
    finite: Tensor
    died: Tensor
    lost: Tensor


def times_of(horizons: Sequence[int]) -> list[int]:
    """The horizons, and times between them at which rows may be dropped."""
    found, last = set(horizons), float(FROM_TIME)
    for horizon in horizons:
        while horizon > SPACED * last:
            last *= SPACED
            found.add(round(last))
        last = max(last, float(horizon))
    return sorted(time for time in found if time <= horizons[-1])


def source() -> str:
    """The C of the linear algebra."""
    return (Path(__file__).parent / "narrow.c").read_text(encoding="utf-8")


@kept_until_forgotten
def functions() -> tuple[Callable[..., None], ...] | None:
    """`look`, `drop` and `carry` of `narrow.c`, None where they cannot be compiled."""
    look, drop, carry = (compiled(source(), name) for name in ("look", "drop", "carry"))
    if look is None or drop is None or carry is None:
        return None
    look.argtypes, look.restype = [NUMBER] * 6 + [POINTER] * 9, None
    drop.argtypes, drop.restype = [NUMBER] * 4 + [REAL] + [POINTER] * 6, None
    carry.argtypes, carry.restype = [NUMBER] * 6 + [POINTER] * 7, None
    return look, drop, carry


def narrowed(along: Trajectory, which: Tensor, horizons: Sequence[int], normal: Tensor, share: float) -> Narrowed:
    """Replicates `which` of a trajectory, swept once.

    normal: (len(which), NORMAL_ROWS, d) float64, normal rows. share: of the square of the norm, that may be dropped of
    all squares at a time.
    """
    run = functions()
    if run is None:
        raise RuntimeError("narrowing needs a C compiler")
    return _Narrowing(run, along, which, horizons, normal, share).found


class _Narrowing:
    """rows: (R, most, d), of each replicate `few` of R, then `kept` of A, then zeros, divided by 2^exponent, (R, most).

    few: none as long as nothing is missed. inside: (R, NORMAL_ROWS, side) float64, what normal rows have along X.
    """

    def __init__(
        self,
        run: tuple[Callable[..., None], ...],
        along: Trajectory,
        which: Tensor,
        horizons: Sequence[int],
        normal: Tensor,
        share: float,
    ):
        count, _, d = normal.shape
        self.look, self.drop, self.carry = run
        self.along, self.which, self.share, self.dtype = along, which, share, along.run.dtype
        self.inside, self.squares = normal.clone(), normal.square().sum(2)
        self.few, self.kept = torch.zeros(count, dtype=torch.int64), torch.full((count,), d)
        self.rows = torch.eye(d, dtype=self.dtype).expand(count, -1, -1)
        self.exponent = torch.zeros(count, d, dtype=torch.int64)
        told = torch.zeros(4, count, len(horizons), dtype=torch.float64)
        finite = torch.ones(count, len(horizons), dtype=torch.bool)
        self.found = Narrowed(Told(*told), told[0].clone(), finite, *torch.full((2, count), NO_STEP))
        before, again, at = 0, float(FROM_TIME), torch.tensor(horizons)
        for time in times_of(horizons):
            died = self._sweep(before, time)
            now, finite, living = self._images()
            self.found.finite.logical_and_((at < time) | finite[:, None])
            self.found.died.copy_(torch.where(living | (self.found.died < NO_STEP), self.found.died, died))
            gram, top = self._gram(now)
            if time in horizons:
                self._tell(horizons.index(time), now, gram, top)
            if time >= again and time < horizons[-1]:
                self._drop(now, gram, top)
                again = SOON * time
            before = time

    def _sweep(self, before: int, time: int) -> Tensor:
        """All rows to this time; (R,) the step after which the last of them was zero."""
        times, nothing = torch.full((len(self.which), 1), time), (self.rows == 0).all(2)  # such as beside fewer rows
        image = self.along.sweep(self.which, self.rows, times, first=before)
        self.rows = image.rows[:, 0].contiguous()
        self.exponent += image.exponent[:, 0]
        self.found.lost.copy_(self.found.lost.minimum(image.lost.amin(1)))
        return image.dead.masked_fill(nothing, 0).amax(1)

    def _images(self) -> tuple[_Images, Tensor, Tensor]:
        """The rows in float64; who is finite, and who is not zero."""
        (count, rows, width), m, side = self.rows.shape, NORMAL_ROWS, self.inside.shape[2]
        rest, values = (torch.empty(count, some, width, dtype=torch.float64) for some in (m, side))
        most, flags = torch.empty(count, dtype=torch.int64), torch.empty(2, count, dtype=torch.bool)
        given = self.few, self.kept, self.rows, self.exponent, rest, values, most, *flags
        self.look(count, rows, width, m, side, _bits(self.dtype), *(one.data_ptr() for one in given))
        if not bool(flags[0].all()):
            self.rows[~flags[0]] = 0
        return _Images(rest, values, most), flags[0], flags[1]

    def _gram(self, now: _Images) -> tuple[Tensor, Tensor]:
        """The Gram matrices of A, zero beyond `kept`, and their largest eigenvalues."""
        count, side = now.values.shape[:2]
        gram, top = torch.zeros(count, side, side, dtype=torch.float64), torch.zeros(count, dtype=torch.float64)
        sizes = ((self.kept + ROUNDED_TO - 1) // ROUNDED_TO * ROUNDED_TO).clamp(max=side)
        for size in sizes.unique().tolist():  # by its own, so that its bits do not depend on those beside it
            some = (sizes == size).nonzero()[:, 0]
            a = now.values[some, :size]
            of_these = a @ a.mT
            gram[some, :size, :size], top[some] = of_these, norms_of(of_these)[0]
        return gram, top

    def _drop(self, now: _Images, gram: Tensor, top: Tensor) -> None:
        (count, side, width), m = now.values.shape, NORMAL_ROWS
        small, rest, self.inside = self.share * top, now.rest, self.inside.contiguous()
        changed = gram, small, now.values, rest, self.inside, self.kept
        self.drop(count, width, m, side, WORTH_IT, *(one.data_ptr() for one in changed))
        self.few = torch.where((rest == 0).all(2).all(1), 0, m)
        most = int((self.few + self.kept).max())
        self.rows = torch.empty(count, most, width, dtype=self.dtype)
        self.exponent = torch.empty(count, most, dtype=torch.int64)
        given = self.few, self.kept, rest, now.values, now.most, self.rows, self.exponent
        self.carry(count, most, width, m, side, _bits(self.dtype), *(one.data_ptr() for one in given))
        self.inside = self.inside[:, :, : int(self.kept.max())]

    def _tell(self, column: int, now: _Images, gram: Tensor, top: Tensor) -> None:
        missed, scale, found = now.rest, now.most.double() * LOG_TWO, self.found.told
        lengths = lengths_of(self.squares, self.inside, (missed.shape[2] - self.kept)[:, None])
        told = told_by_rest(top, gram.diagonal(dim1=1, dim2=2).sum(1), missed, lengths)
        found.spectral[:, column], found.spectral_error[:, column] = told.spectral + scale, told.spectral_error
        found.frobenius[:, column], found.frobenius_error[:, column] = told.frobenius + scale, told.frobenius_error
        image = (self.inside[:, :1] @ now.values)[:, 0] + missed[:, 0]
        self.found.tangent[:, column] = (image.square().sum(1) / self.squares[:, 0]).log() / 2 + scale


class _Images(NamedTuple):
    """rest (R, NORMAL_ROWS, d) and values (R, side, d) float64, of R and A, divided by 2^most, (R,)."""

    rest: Tensor
    values: Tensor
    most: Tensor


def _bits(dtype: torch.dtype) -> int:
    return torch.finfo(dtype).bits
