"""The standard normal numbers of which a network that was searched for is made: the inverse of every draw.

Most laws make each weight of the numbers at its own place, and the more of them the more of it: those are found by
halving. An orthogonal matrix is that of the normal matrix that is it times any triangle with a positive diagonal.
"""

from __future__ import annotations

import numpy as np

from rnnmc.common.arrays import Floats
from rnnmc.common.errors import UsageError
from rnnmc.engine.splitting.coordinates import drawn_of
from rnnmc.engine.splitting.population import ByRole
from rnnmc.initialisers.law import Signs, WeightLaw
from rnnmc.initialisers.orthogonal import Orthogonal
from rnnmc.networks.search import Ends, supports
from rnnmc.numerics.coordinates import Drawn, FromNormals, recorded
from rnnmc.study.initialisation import VECTOR_ROLE
from rnnmc.study.point import DesignPoint

FARTHEST = 5.5  # of a coordinate: beyond lie 4e-8 of all draws, such as the edge of what a uniform law draws
HALVINGS = 60


def coordinates_of(point: DesignPoint, ends: Ends) -> ByRole:
    """role -> (networks, coordinates) of the networks that a search over `point` has ended at, drive and state too.

    A weight at the very edge of its law comes from a number that is none; FARTHEST stands for it. Raises UsageError for
    a law, or a drive, whose numbers are not known from what it drew.
    """
    calls, layer, cell = drawn_of(point).calls, ends.layer, ends.layer.cell
    parts = []
    of_role = {"recurrent": layer.recurrent, "input": layer.inputs, "bias": layer.bias, VECTOR_ROLE: layer.vectors}
    for role, gates, law, *_ in supports(point):
        side = [_rows(of_role[role][gate]) for gate in gates]
        signs = tuple(cell.memory.get(gate, 1) for gate in gates)
        parts.append(_lifted(law, np.concatenate(side, axis=2), signs, f"init.{role}: {law}"))
    found = {"weights": np.concatenate(parts, axis=1)}
    if calls.get("drive"):
        steps, count = ends.x.shape[:2]
        if [one.shape for one in calls["drive"]] != [(steps, ends.x.shape[2])]:
            raise UsageError(
                f"drive: {point.drive} is not made of one number for each that is read; give white, or none"
            )
        found["drive"] = ends.x.swapaxes(0, 1).reshape(count, -1)
    if calls.get("state"):
        found["state"] = np.stack(ends.state, axis=1).reshape(len(ends.state[0]), -1) / point.state_std
    return {role: np.clip(z, -FARTHEST, FARTHEST) for role, z in found.items() if z.shape[1]}


def _rows(weights: Floats) -> Floats:
    """(R, fan_in, units) of (R, units, fan_in), or of the (R, units) of a vector."""
    return weights[:, None] if weights.ndim == 2 else weights.swapaxes(1, 2)


def _lifted(law: WeightLaw, wanted: Floats, signs: Signs, said: str) -> Floats:
    """(R, coordinates) from which this law draws these (R, fan_in, gates n)."""
    count, *shape = wanted.shape
    calls = recorded(lambda many, of: law.draw(of("weights"), (many, *shape), signs)).get("weights", [])
    if not calls:
        return np.empty((count, 0))
    if isinstance(law, Orthogonal) and law.clip is None and len(calls) == 1:
        return _of_orthogonal(wanted / law.gain)
    if any(one.shape != tuple(shape) for one in calls):
        raise UsageError(f"{said} draws no number for each weight; give a law that does, or orthogonal")
    return _halved(law, wanted, signs, calls)


def _halved(law: WeightLaw, wanted: Floats, signs: Signs, calls: list[Drawn]) -> Floats:
    """The same number for each of several that a weight is the sum of."""

    def drawn(z: Floats) -> Floats:
        given = np.concatenate([z.reshape(len(z), -1)] * len(calls), axis=1)
        return law.draw(FromNormals(given, calls), wanted.shape, signs)

    low, high = np.full(wanted.shape, -FARTHEST), np.full(wanted.shape, FARTHEST)
    falls = drawn(low) > drawn(high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        less = (drawn(middle) < wanted) != falls
        low, high = np.where(less, middle, low), np.where(less, high, middle)
    return np.concatenate([high.reshape(len(high), -1)] * len(calls), axis=1)


def _of_orthogonal(wanted: Floats) -> Floats:
    q = wanted if wanted.shape[1] >= wanted.shape[2] else wanted.transpose(0, 2, 1)
    normal = np.random.default_rng(0).standard_normal(q.shape)
    r = np.linalg.qr(normal).R
    r *= np.where(np.diagonal(r, axis1=1, axis2=2) < 0, -1.0, 1.0)[:, :, None]
    return (q @ r).reshape(len(q), -1)
