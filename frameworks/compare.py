"""What a framework's layers were found to do, beside our presets of the same names: frameworks/records/NAME.json.

The laws of weights are held to ours gate by gate (Kolmogorov-Smirnov; orthogonality of a gate and of the stack), the
update to that of our cell (one step with the very weights of the layer: the order of the gates, their signs and where
biases stand), and growth rates to ours in combined standard errors.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from layers import AT, INPUTS, WIDTH
from scipy import stats

from rnnmc.cells import cells
from rnnmc.engine.block import run_block
from rnnmc.engine.draws import Draws
from rnnmc.initialisers import layers
from rnnmc.numerics.layout import Rows
from rnnmc.numerics.weights import Weights
from rnnmc.study.initialisation import names_of
from rnnmc.study.point import DesignPoint

HERE = Path(__file__).parent
MORE = 10  # draws of ours for each of theirs
VANISHED = np.log(1e-3)


def bare(gate: str) -> str:
    """The name of one of our gates without its sign."""
    return gate.removeprefix("-")


def ours_of(raw: Any, place: str, gates: list[str], draw: int) -> dict[str, dict[str, np.ndarray]]:
    """role -> gate -> weights of one draw, in our names and with our signs; biases by the name that ours have."""
    signs = {bare(gate): -1.0 if gate.startswith("-") else 1.0 for gate in gates}
    found: dict[str, dict[str, np.ndarray]] = {"recurrent": {}, "input": {}, "first": {}, "rest": {}}
    bias = raw[f"{place}/bias"][draw]
    for number, (gate, sign) in enumerate(signs.items()):
        for role in ("recurrent", "input"):
            found[role][gate] = sign * raw[f"{place}/{role}"][draw][number]
        found["first"][gate] = sign * bias[0, number]
        found["rest"][gate] = sign * bias[1:, number].sum(axis=0)
    return found


def biases(cell: Any, parts: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """name -> vector, of the gates and of inner biases: there what is not added outside the product."""
    inside = {gate: name for name, gate in cell.inner_biases.items()}
    found = {gate: parts["first"][gate] + (0 if gate in inside else parts["rest"][gate]) for gate in cell.gates}
    return found | {name: parts["rest"][gate] for gate, name in inside.items()}


def step_error(raw: Any, place: str, cell: Any, gates: list[str]) -> float:
    """How far the last step of the last draw, and its Jacobian, are from our cell's with the same weights."""
    parts = ours_of(raw, place, gates, -1)
    x, before = raw[f"{place}/x"], raw[f"{place}/before"]
    as_tensor = {gate: torch.tensor(matrix.T)[None].contiguous() for gate, matrix in parts["recurrent"].items()}
    stacked = torch.cat([as_tensor[gate] for gate in cell.recurrent], 2)
    recurrent = dict(zip(cell.recurrent, stacked.split(WIDTH, 2), strict=True))
    bias = {name: torch.tensor(vector)[None, None] for name, vector in biases(cell, parts).items()}
    drive = {gate: torch.tensor(parts["input"][gate] @ x)[None, None] + bias[gate] for gate in cell.gates}
    weights = Weights(Rows(), stacked, recurrent, {name: bias[name] for name in cell.inner_biases})
    state = tuple(part[None, None] for part in torch.tensor(before).split(WIDTH))
    after, push = cell.linearise(weights, drive, state)
    rows = push(tuple(part[None] for part in torch.eye(len(before), dtype=torch.float64).split(WIDTH, 1)))
    found = torch.cat(after, 2)[0, 0].numpy(), torch.cat(rows, 2)[0].numpy().T
    wanted = raw[f"{place}/after"], raw[f"{place}/jacobian"]
    return max(float(np.abs(one - other).max()) for one, other in zip(found, wanted, strict=True))


def from_orthogonal(stack: np.ndarray) -> float:
    """|| U^T U / g^2 - 1 || / sqrt n of (rows, n) matrices, the mean: 0 where columns are orthogonal and as long."""
    gram = np.swapaxes(stack, -1, -2) @ stack
    size = np.trace(gram, axis1=-2, axis2=-1)[:, None, None] / gram.shape[-1]
    return float(np.linalg.norm(gram / size - np.eye(gram.shape[-1]), axis=(-2, -1)).mean() / gram.shape[-1] ** 0.5)


def summary(recurrent: dict[str, np.ndarray], input_: dict[str, np.ndarray], bias: dict[str, np.ndarray]) -> dict:
    """Of weights by gate, (draws, ...) each: gains, orthogonality, deviations, and the mean of each bias."""
    stack = np.concatenate(list(recurrent.values()), axis=1)
    m = next(iter(input_.values())).shape[-1]
    gains = {gate: np.sqrt(np.square(u).sum(axis=(1, 2)).mean() / WIDTH) for gate, u in recurrent.items()}
    return {
        "gain": {gate: round(float(gain), 4) for gate, gain in gains.items()},
        "gate_from_orthogonal": round(float(np.mean([from_orthogonal(u) for u in recurrent.values()])), 4),
        "stack_from_orthogonal": round(from_orthogonal(stack), 4),
        "input_gain": round(float(np.sqrt(np.mean([np.square(w).mean() for w in input_.values()]) * m)), 4),
        "bias_mean": {name: round(float(vector.mean()), 4) for name, vector in bias.items()},
        "bias_deviation": {name: round(float(vector.std()), 4) for name, vector in bias.items()},
    }  # fmt: skip


def drawn_by_us(point: DesignPoint, draws: int) -> tuple[dict, dict, dict]:
    """Weights of our preset as (recurrent, input, bias): name -> (draws, ...), out by in."""
    of, cell = Draws(point, [(0, 0)], draws, Rows(), "cpu"), point.cell_object
    found = []
    for role, rows in (("recurrent", point.width), ("input", point.drive.dimension), ("bias", 1)):
        drawn = of._drawn(role, rows)
        named = of._by_name(names_of(cell, role), drawn) if drawn is not None else {}
        found.append({name: matrix.numpy().swapaxes(1, 2) for name, matrix in named.items()})
    return found[0], found[1], {name: vector[:, :, 0] for name, vector in found[2].items()}


def least_p(theirs: dict[str, np.ndarray], ours: dict[str, np.ndarray], rng: np.random.Generator) -> float:
    """The least probability over gates that both draw by one law, corrected for their number; 1 for equal constants."""
    found = []
    for name, entries in theirs.items():
        one, other = np.ravel(entries), np.ravel(ours[name])
        if one.std() < 1e-12 and other.std() < 1e-12:
            found.append(1.0 if abs(one[0] - other[0]) < 1e-12 else 0.0)
        else:
            one, other = (rng.choice(part, min(len(part), 20000), replace=False) for part in (one, other))
            found.append(float(stats.ks_2samp(one, other).pvalue))
    return min(1.0, len(found) * min(found))


def half_vanished(norms: np.ndarray) -> float:
    """The step at which the median log-norm passes log 1e-3, on straight lines between steps and on beyond the last."""
    median = np.concatenate([[0.0], np.median(norms, axis=0)])
    steps = np.array([0, *AT])
    after = int(np.argmax(median < VANISHED)) or len(AT)
    slope = (median[after] - median[after - 1]) / (steps[after] - steps[after - 1])
    return round(float(steps[after] + (VANISHED - median[after]) / slope), 1)


def rate_of(norms: np.ndarray) -> tuple[float, float]:
    """(mean, standard error) of the growth rate between 10 and 100 steps, nats a step, of chains that are not dead."""
    rates = (norms[:, AT.index(100)] - norms[:, AT.index(10)]) / 90
    rates = rates[np.isfinite(rates)]
    return float(rates.mean()), float(rates.std(ddof=1) / len(rates) ** 0.5)


def compared(raw: Any, one: dict[str, Any], m: int) -> dict[str, Any]:
    """What was found of a layer at input dimension m, beside ours."""
    place, gates = f"{one['label']}/{m}", one["gates"]
    cell = cells()[one["cell"] or layers()[one["name"]].cells[0]]
    draws = raw[f"{place}/norms"].shape[0]
    each = [ours_of(raw, place, gates, draw) for draw in range(draws)]
    theirs = [
        {gate: np.stack([parts[role][gate] for parts in each]) for gate in each[0][role]}
        for role in ("recurrent", "input")
    ]
    theirs.append({name: np.stack([biases(cell, parts)[name] for parts in each]) for name in biases(cell, each[0])})
    init = {"cell": cell.name, "width": WIDTH, "init": one["name"], "drive": {"white": m}}
    point = DesignPoint(**init, horizons=AT, dtype="float64")
    ours = drawn_by_us(point, draws)
    norms = np.array(run_block(point, 0, MORE * draws)["log_spectral"]).reshape(-1, len(AT))
    real, rate = rate_of(raw[f"{place}/norms"]), rate_of(norms)
    rng = np.random.default_rng(0)
    law = {role: least_p(a, b, rng) for role, a, b in zip(("recurrent", "input", "bias"), theirs, ours, strict=True)}
    return {
        "draws": draws,
        "our_draws": MORE * draws,
        "real_rate": [round(number, 5) for number in real],
        "our_rate": [round(number, 5) for number in rate],
        "apart": round((real[0] - rate[0]) / float(np.hypot(real[1], rate[1])), 2),
        "real_half_vanished": half_vanished(raw[f"{place}/norms"]),
        "our_half_vanished": half_vanished(norms),
        "step_error": float(f"{step_error(raw, place, cell, gates):.1e}"),
        "same_law": {role: float(f"{p:.2g}") for role, p in law.items()},
        "real": summary(*theirs),
        "ours": summary(*ours),
    }


def main(names: list[str]) -> None:
    for name in names:
        raw = np.load(HERE.parent / f"build/frameworks/raw/{name}.npz", allow_pickle=False)
        said = json.loads(str(raw["said"]))
        for one in said["layers"]:
            one["at"] = {str(m): compared(raw, one, m) for m in INPUTS}
            found = {m: (at["real_rate"], at["our_rate"], at["apart"], at["step_error"]) for m, at in one["at"].items()}
            print(one["label"], found, flush=True)
        path = HERE / f"records/{name}.json"
        path.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
