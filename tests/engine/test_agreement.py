"""How far a kernel may be from the plain engine is found by moving numbers, which has to move them."""

import numpy as np
import pytest
import torch

from rnnmc.cells import cells
from rnnmc.engine.compiled.agreement import ULPS, _first, _moved
from rnnmc.numerics.layout import Rows


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_number_but_zero_is_moved_by_a_few_units_in_its_last_place(dtype):
    now = _first(cells()["lstm"], Rows(), 3, dtype, np.random.default_rng(0))
    for before, after in zip(now, _moved(now, 0), strict=True):
        assert after.dtype == dtype
        moved = (after / before - 1)[before != 0].abs() / torch.finfo(dtype).eps
        assert moved.numel() == 0 or ULPS - 2 <= moved.min() <= moved.max() <= ULPS + 2
        assert (after[before == 0] == 0).all()
