"""What a script of a framework measures of its layers; it runs where that framework is, so that it needs NumPy alone.

A layer is drawn as a user would draw it, stepped by its own code, and differentiated by its framework. The product of
these Jacobians is taken here, in float64 and rescaled at every step: a framework in float32 loses nothing by it.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

WIDTH, INPUTS = 64, (1, 64)
DRAWS = int(os.environ.get("DRAWS", "20"))  # more where a difference looks like more than chance
AT = (5, 10, 15, 20, 30, 40, 50, 60, 80, 100)  # steps at which norms are kept; the rate is of those at 10 and 100

Step = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


class Drawn(NamedTuple):
    """One layer as drawn, in its own order of gates.

    recurrent: (gates, n, n), out by in. input: (gates, n, m). bias: (vectors, gates, n), that which a reset gate after
    the product does not reach first. step: (x, state) -> (next state, its Jacobian), states (h or h, c) as one vector.
    """

    recurrent: np.ndarray
    input: np.ndarray
    bias: np.ndarray
    step: Step


class Layer(NamedTuple):
    """A layer to measure. name: as under `init:`. gates: ours in the order of the layer; a minus where it opens when
    ours closes. make(seed, m) draws one. cell: ours, where an option makes it another than the first. note: what a
    reader has to know of the biases. dtype: of the layer's arithmetic.
    """

    name: str
    gates: Sequence[str]
    make: Callable[[int, int], Drawn]
    cell: str = ""
    note: str = ""
    dtype: str = "float64"


LSTM = ("input", "forget", "candidate", "output")  # the order of most
GRU = ("reset", "-update", "candidate")  # and theirs; its update gate keeps where ours admits


def split(matrix: Any, gates: int, axis: int = 0) -> np.ndarray:
    """A stacked matrix or bias as (gates, ...) in float64, out by in; axis 1 where the framework keeps in by out."""
    array = np.asarray(matrix, dtype=np.float64)
    return np.stack(np.split(array if axis == 0 else array.T, gates))


def logs(step: Step, inputs: np.ndarray, size: int) -> tuple[list[float], dict[str, np.ndarray]]:
    """(log spectral norms at AT of the product of Jacobians from a state of zero, nats; the last step, to compare)."""
    state, product, log, found = np.zeros(size), np.eye(size), 0.0, []
    for number, x in enumerate(inputs, 1):
        before = state
        state, jacobian = step(x, before)
        product = jacobian @ product
        scale = np.abs(product).max()
        if scale > 0:
            product, log = product / scale, log + np.log(scale)
        if number in AT:  # a product that is exactly zero, of a ReLU network that has died, is -inf
            found.append(float(log + np.log(np.linalg.norm(product, 2))) if scale > 0 else -np.inf)
    return found, {"x": inputs[-1], "before": before, "after": state, "jacobian": jacobian}


def measured(layer: Layer, m: int, draws: int = DRAWS, width: int = WIDTH) -> dict[str, np.ndarray]:
    """Weights of `draws` layers and the norms along their chains, by name."""
    drawn, norms, last = [], [], {}
    for seed in range(draws):
        one = layer.make(seed, m)
        parts = 2 if "forget" in layer.gates else 1
        inputs = np.random.default_rng(1000 + seed).standard_normal((AT[-1], m))
        found, last = logs(one.step, inputs, parts * width)
        drawn.append(one)
        norms.append(found)
    weights = {name: np.stack([getattr(one, name) for one in drawn]) for name in ("recurrent", "input", "bias")}
    return weights | {"norms": np.array(norms)} | last


def record(framework: str, version: str, layers: Sequence[Layer]) -> None:
    """Measure all and write what was found to the path that the script was given. Some layers, if it names them."""
    out, wanted = Path(sys.argv[1]), sys.argv[2:]
    arrays: dict[str, Any] = {}
    said = {"framework": framework, "version": version, "python": platform.python_version(), "layers": []}
    said["date"] = date.today().isoformat()
    for layer in layers:
        label = f"{layer.name} {layer.cell}".strip()
        if wanted and label not in wanted:
            continue
        for m in INPUTS:
            found = measured(layer, m)
            arrays |= {f"{label}/{m}/{name}": array for name, array in found.items()}
            rates = (found["norms"][:, -1] - found["norms"][:, 1]) / 90
            print(f"{label}, m = {m}: {rates.mean():.4f} +- {rates.std(ddof=1) / len(rates) ** 0.5:.4f}", flush=True)
        one = {"label": label, "name": layer.name, "cell": layer.cell, "gates": list(layer.gates)}
        said["layers"].append(one | {"note": layer.note, "dtype": layer.dtype})
    np.savez(out, said=json.dumps(said), **arrays)
