#!/usr/bin/env bash
# keras 3.15.1 on the torch 2.13.0 backend, set_floatx("float64"). Found 2026-11-29.
#
# Expected: with set_floatx("float64") a layer whose weights, inputs and outputs all say float64 computes in float64.
# What happens: keras.ops.matmul, dot and tensordot of two float64 tensors give a float32 tensor (error 1e-7 where torch's
# own a @ b has 1e-16); einsum, add and tanh stay float64. SimpleRNN adds a float64 bias to it, so that its output says
# float64 again: one step is right to about 5e-8 only, and a finite difference of its state, float64 throughout, is noise from a step of 1e-8 down:
#     d h'/d h, central differences:   step 1e-4: error below 1e-3     step 1e-8: error above 0.1 (torch alone: below 1e-6)
#
# Why it matters: float64 is what a gradient that vanishes over hundreds of steps is checked with, by finite differences
# or against another program; here the check fails, or the digits agree to single precision, and every dtype says float64.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 torch==2.13.0 keras==3.15.1
cat > "$folder/one.py" <<'PY'
import keras
import numpy as np
import torch

keras.config.set_floatx("float64")
rng = np.random.default_rng(0)
a, b = torch.from_numpy(rng.standard_normal((1, 8))), torch.from_numpy(rng.standard_normal((8, 8)))
keep = {"matmul": keras.ops.matmul(a, b), "dot": keras.ops.dot(a, b), "tensordot": keras.ops.tensordot(a, b, 1)}
assert {one.dtype for one in keep.values()} == {torch.float32}
assert keras.ops.einsum("ij,jk->ik", a, b).dtype == keras.ops.add(a, a).dtype == torch.float64
off = {name: float((one - a @ b).abs().max()) for name, one in keep.items()}
off["tanh"] = float((keras.ops.tanh(a) - a.tanh()).abs().max())

cell = keras.layers.SimpleRNNCell(8)
h = torch.from_numpy(rng.standard_normal((1, 8)))
assert cell(a, [h])[0].dtype == torch.float64 and {str(w.dtype) for w in cell.weights} == {"float64"}
kernel, recurrent, bias = (w.value.detach() for w in cell.weights)


def keras_step(state):
    return cell(a, [state])[0].detach()


def torch_step(state):
    return torch.tanh(a @ kernel + bias + state @ recurrent)


off["step"] = float((keras_step(h) - torch_step(h)).abs().max())
direction = torch.from_numpy(rng.standard_normal((1, 8)))
slope = (1 - torch_step(h) ** 2) * (direction @ recurrent)
for size in (1e-4, 1e-8):
    for name, step in (("keras", keras_step), ("torch", torch_step)):
        found = (step(h + size * direction) - step(h - size * direction)) / (2 * size)
        off[f"{name} difference {size:g}"] = float((found - slope).norm() / slope.norm())
print({name: f"{value:.1e}" for name, value in off.items()})
assert min(off[name] for name in keep) > 1e-9 and off["step"] > 1e-9 > off["tanh"]
assert off["keras difference 0.0001"] < 1e-2 and off["torch difference 1e-08"] < 1e-6
assert off["keras difference 1e-08"] > 0.1
PY
OMP_NUM_THREADS=1 KERAS_BACKEND=torch "$folder/venv/bin/python" -W ignore "$folder/one.py"
