"""Names for the types of arrays, and numbers of NumPy as those of Python."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def plain(value: Any) -> Any:
    """The same with Python's own numbers and lists in place of NumPy's, at any depth of mappings and lists."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return type(value)(map(plain, value)) if type(value) in (list, tuple) else value
