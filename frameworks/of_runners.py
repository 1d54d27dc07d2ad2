"""Runners of exported networks: whether ONNX Runtime and OpenVINO take the steps of the torch layer that was exported.

A runner gives no gradient; the Jacobian of a step is taken by central differences of its own float32 step, good to
1e-5, and the growth rate of their product is held to that of torch's automatic differentiation in float64 along
torch's own trajectory. Writes its record itself: the argument is where that goes.
"""

from __future__ import annotations

import io
import json
import platform
import sys
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import openvino
import torch
from layers import AT, WIDTH, logs
from of_torch import of
from torch import nn

DRAWS, SMALL, SHORT = 5, 2.0**-7, 10
Floats = np.ndarray
Run = Callable[..., list[Floats]]


class Unrolled(nn.Module):
    """The layer on x (batch, steps, 1) from (h,) or (h, c), (1, batch, n) each -> these at the end."""

    def __init__(self, layer: nn.RNNBase):
        super().__init__()
        self.layer = layer

    def forward(self, x, h, c=None):
        after = self.layer(x, h if c is None else (h, c))[1]
        return after if c is not None else (after,)


def exported(layer: nn.RNNBase, batch: int, steps: int) -> bytes:
    """As `torch.onnx.export` writes it by default."""
    parts = 2 if isinstance(layer, nn.LSTM) else 1
    given = torch.zeros(batch, steps, 1), *(torch.zeros(1, batch, WIDTH) for _ in range(parts))
    names = ["x", "h", "c"][: 1 + parts]
    kept = io.BytesIO()
    program = torch.onnx.export(Unrolled(layer).eval(), given, input_names=names, verbose=False)
    program.save(kept)
    return kept.getvalue()


def in_onnxruntime(model: bytes) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    return lambda *given: session.run(None, dict(zip(names, given, strict=True)))


def in_openvino(model: bytes, **hints: Any) -> Run:
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model), "CPU", {"INFERENCE_NUM_THREADS": 1} | hints)
    return lambda *given: [one.copy() for one in compiled(list(given)).values()]


RUNNERS = {
    "onnxruntime": in_onnxruntime,
    "openvino": in_openvino,
    "openvino, INFERENCE_PRECISION_HINT f32": lambda model: in_openvino(model, INFERENCE_PRECISION_HINT="f32"),
}


def stepper(run: Run, parts: int) -> Any:
    """(x, state) -> (next state, its Jacobian), by one call on the state and its neighbours on either side."""
    size = parts * WIDTH
    nudge = SMALL * np.eye(size)
    around = np.concatenate([np.zeros((1, size)), nudge, -nudge])

    def step(x, state):
        near = (state + around).astype(np.float32)
        given = [np.ascontiguousarray(part[None]) for part in np.split(near, parts, axis=1)]
        after = np.concatenate([part[0] for part in run(np.full((len(near), 1, 1), x[0], np.float32), *given)], axis=1)
        after = after.astype(np.float64)
        return after[0], (after[1 : size + 1] - after[size + 1 :]).T / (2 * SMALL)

    return step


def rate(norms: list[float]) -> float:
    return (norms[-1] - norms[AT.index(10)]) / 90


def main() -> None:
    rows = []
    for kind, options in ((nn.RNN, {}), (nn.RNN, {"nonlinearity": "relu"}), (nn.LSTM, {}), (nn.GRU, {})):
        parts = 2 if kind is nn.LSTM else 1
        operators: list[str] = []
        seen: dict[str, list[tuple[float, float, float]]] = {name: [] for name in RUNNERS}
        for seed in range(DRAWS):
            torch.manual_seed(seed)
            layer = kind(1, WIDTH, batch_first=True, **options)
            inputs = np.random.default_rng(1000 + seed).standard_normal((AT[-1], 1))
            model = exported(layer, 2 * parts * WIDTH + 1, 1)
            if seed == 0:
                operators = [one.op_type for one in onnx.load_from_string(exported(layer, 1, SHORT)).graph.node]
            step = of(layer, 4 if parts == 2 else 3 if kind is nn.GRU else 1).step
            wanted, last = logs(step, inputs, parts * WIDTH)
            for name, runner in RUNNERS.items():
                found, end = logs(stepper(runner(model), parts), inputs, parts * WIDTH)
                seen[name].append((np.abs(end["after"] - last["after"]).max(), rate(found), rate(wanted)))
        for name, draws in seen.items():
            apart, found, wanted = np.array(draws).T
            one = {"runner": name, "layer": f"torch.nn.{kind.__name__}" + (", relu" if options else "")}
            one |= {"nodes": len(operators), "recurrent_nodes": sum(op in ("LSTM", "GRU", "RNN") for op in operators)}
            one |= {"state_apart": float(f"{apart.max():.1e}"), "rate": round(float(found.mean()), 5)}
            one |= {
                "torch_rate": round(float(wanted.mean()), 5),
                "rate_apart": float(f"{np.abs(found - wanted).max():.1e}"),
            }
            rows.append(one)
            print(one, flush=True)
    packages = ("onnxruntime", "openvino", "onnx", "torch")
    said = {
        "python": platform.python_version(),
        "date": date.today().isoformat(),
        "draws": DRAWS,
        "steps": AT[-1],
        "short": SHORT,
    }
    said |= {"versions": {name: version(name) for name in packages}, "rows": rows}
    Path(sys.argv[1]).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
