"""When replicates are enough: decided on the blocks from the first on, so that neither timing nor workers have a say.

Confidence sequences hold at every number of replicates at once, so that one may look after each block and stop when
they are narrow; intervals for a fixed number of replicates would then be too narrow. docs/physics.md section 8.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnmc.common.arrays import Floats
from rnnmc.statistics.intervals import binomial_interval
from rnnmc.study.study import Thresholds

INTERVAL = "confidence-sequence"  # the kind that holds for a number of replicates chosen by looking


Whole = NDArray[np.int64]


def half_widths(vanished: Whole, exploded: Whole, replicates: Whole) -> Floats:
    """The wider half-width of the 95 % confidence sequences of P(vanish) and P(explode).

    vanished, exploded: how many of so many replicates have, arrays of one shape, which the result has too.
    """
    bounds = [binomial_interval(count, replicates, kind=INTERVAL) for count in (vanished, exploded)]
    return np.maximum(*((high - low) / 2 for low, high in bounds))


def counts_of(log_norm: Floats, replicates: Whole, thresholds: Thresholds) -> tuple[Whole, Whole]:
    """(vanished, exploded), each (k,): how many of the first replicates have, for each of k numbers of these.

    log_norm: (replicates,) spectral, at the last horizon, in nats, in order.
    """
    events = log_norm < np.log(thresholds.vanish), log_norm > np.log(thresholds.explode)
    vanished, exploded = (np.concatenate([[0], np.cumsum(event)])[replicates] for event in events)
    return vanished, exploded


def replicates_enough(log_norm: Floats, block: int, most: int, half_width: float, thresholds: Thresholds) -> int | None:
    """The smallest number of whole blocks, in replicates, that knows both probabilities to +- half_width.

    None while the replicates that are there do not; `most` once those are all and do not.
    log_norm: as of `counts_of`, of the contiguous blocks from the first on.
    """
    counts = np.unique(np.minimum(np.arange(block, len(log_norm) + block, block), len(log_norm)))
    counts = counts[(counts % block == 0) | (counts == most)]
    narrow = half_widths(*counts_of(log_norm, counts, thresholds), counts) <= half_width
    if narrow.any():
        return int(counts[np.argmax(narrow)])
    return most if len(log_norm) >= most else None
