#!/usr/bin/env bash
# paddlepaddle 3.3.1 and openvino 2026.4.1 (both CPU), tinygrad 0.14.0, against torch 2.13.0: relu of not-a-number. Found 2026-11-28.
#
# Expected: relu(NaN) is NaN, as in torch, jax, mlx and onnxruntime, so that a network which overflowed stays marked.
# What happens: relu(NaN) is 0 in paddle (paddle.nn.functional.relu, float32 and float64), openvino (ReLU, and Clamp and
# Maximum with 0) and tinygrad (Tensor.relu). paddle.maximum and paddle.clip keep NaN; in openvino Exp of NaN is +inf.
# The same ReLU network of 64 units at gain 4 (U normal, no input, h = 1 at the start), float32:
#     torch    largest |h| 1.3e+38 at step 74, inf at 75, NaN from 76 on
#     paddle   largest |h| 1.3e+38 at step 74, inf at 75 and 76, exactly 0 from 77 on, for ever
# Sums of +inf and -inf and products inf 0 are NaN, relu makes each a 0, and after two steps the network has come to rest.
#
# Why it matters: an explosion, the one thing to be counted, is read as its opposite: a finite state of zeros, no live
# unit, log-norm -inf, "dead". A check of isnan or isfinite on the last state passes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 torch==2.13.0 paddlepaddle==3.3.1 openvino==2026.4.1 tinygrad==0.14.0
OMP_NUM_THREADS=1 DEV=PYTHON "$folder/venv/bin/python" -W ignore - <<'PY'
import numpy as np
import openvino
import openvino.opset13 as op
import paddle
import tinygrad
import torch

nan = np.full(16, np.nan, np.float32)


def openvino_of(make):
    given = op.parameter([16], np.float32)
    plan = openvino.Core().compile_model(openvino.Model([make(given)], [given]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return plan(nan)[0]


seen = {
    "torch relu": torch.relu(torch.tensor(nan)).numpy(),
    "paddle relu": paddle.nn.functional.relu(paddle.to_tensor(nan)).numpy(),
    "paddle maximum": paddle.maximum(paddle.to_tensor(nan), paddle.zeros([16])).numpy(),
    "openvino relu": openvino_of(op.relu),
    "openvino maximum": openvino_of(lambda x: op.maximum(x, np.zeros(16, np.float32))),
    "openvino exp": openvino_of(op.exp),
    "tinygrad relu": tinygrad.Tensor(nan).relu().numpy(),
}
for name, value in seen.items():
    print(f"{name} of NaN: {value[0]}")
assert np.isnan(seen["torch relu"]).all() and np.isnan(seen["paddle maximum"]).all()
for name in ("paddle relu", "openvino relu", "openvino maximum", "tinygrad relu"):
    assert (seen[name] == 0).all(), name
assert np.isinf(seen["openvino exp"]).all()

weights = (4 / 64**0.5 * np.random.default_rng(0).standard_normal((64, 64))).astype(np.float32)
for name, tensor, relu, numbers in (("torch", torch.tensor, torch.relu, lambda t: t.numpy()),
                                    ("paddle", paddle.to_tensor, paddle.nn.functional.relu, lambda t: t.numpy())):
    u, h = tensor(weights), tensor(np.ones((64, 1), np.float32))
    sizes = []
    for step in range(150):
        h = relu(u @ h)
        sizes.append(float(np.abs(numbers(h)).max()))
    last = max(i for i, size in enumerate(sizes) if np.isfinite(size) and size > 0)
    print(f"{name}: step {last + 1} {sizes[last]:.2g}, then {sizes[last + 1:last + 5]} and at step 150 {sizes[-1]}")
    assert sizes[last] > 1e36
    assert np.isnan(sizes[-1]) if name == "torch" else sizes[-1] == 0
PY
