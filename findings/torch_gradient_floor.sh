#!/usr/bin/env bash
# torch 2.13.0 (nn.LSTM, nn.GRU on the CPU) against jax 0.10.2: where a vanishing gradient ends. Found 2026-11-28.
#
# Expected: a gradient f^T underflows to zero, in torch at 1.4e-45 (2^-149) and in jax, which flushes subnormals, at 1.2e-38.
# What happens: torch rounds k 2^-149 f to the nearest multiple of 2^-149, which is k again as long as k (1 - f) < 1/2. The
# gradient never becomes zero if f > 1/2 but stops at k = 1/(2 (1 - f)) units for ever, and the larger the forget bias the
# higher it stops. nn.LSTM with zero weights, f = sg(b), gradient of c_T for c_0, in units of the smallest subnormal:
#     b     f       exact at T = 6000   float32 at 3000, 6000   float16 at 3000, 6000
#     0     .5000   e^-4159             0, 0                    0, 0
#     1     .7311   e^-1880             1, 1                    1, 1
#     2     .8808   e^-762              4, 4                    4, 4
#     3     .9526   e^-292              10, 10                  10, 10
# In float16 ten units are 6.0e-7 and are reached after 290 steps. The GRU of torch does the same on its update gate; jax gives exactly 0.
# An LSTM of 64 units drawn by PyTorch's law with forget bias 1 stands at 1 unit in 57 of its 128 numbers.
#
# Why it matters: a growth rate read between two horizons is exactly 0, "stable", for a chain that loses 0.05 to 0.7 nats a step, and
# a test for zero finds nothing. The floor of the better remembering cell is higher, so it looks as if memory had caused it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 torch==2.13.0 jax==0.10.2 jaxlib==0.10.2
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PY'
import math

import jax
import jax.numpy as jnp
import torch


def left(kind, bias, steps, dtype):
    """The gradient of the last state for the first, in units of the smallest subnormal number; all weights zero, one gate biased."""
    layer = getattr(torch.nn, kind)(1, 4)
    for parameter in layer.parameters():
        torch.nn.init.zeros_(parameter)
    layer.bias_ih_l0.data[4:8] = bias          # the forget gate of the LSTM, the update gate of the GRU
    layer = layer.to(dtype)
    start = torch.ones(1, 1, 4, dtype=dtype, requires_grad=True)
    state = (torch.zeros(1, 1, 4, dtype=dtype), start) if kind == "LSTM" else start
    last = layer(torch.zeros(steps, 1, 1, dtype=dtype), state)[1]
    (last[1] if kind == "LSTM" else last).sum().backward()
    unit = {torch.float32: -149, torch.float16: -24}[dtype]
    return start.grad[0, 0, 0].double().item() * 2.0**-unit


for bias in (0.0, 1.0, 2.0, 3.0):
    gate = 1 / (1 + math.exp(-bias))
    row = {name: [left(kind, bias, steps, dtype) for steps in (3000, 6000)]
           for name, kind, dtype in (("LSTM float32", "LSTM", torch.float32), ("LSTM float16", "LSTM", torch.float16), ("GRU float32", "GRU", torch.float32))}

    @jax.jit
    def flushed(c, f=jnp.float32(gate)):
        return jax.grad(lambda c: jax.lax.scan(lambda s, _: (s * f, None), c, None, length=6000)[0])(c)

    theirs = float(flushed(jnp.float32(1)))
    print(f"b = {bias:.0f}, f = {gate:.4f}, exact e^{6000 * math.log(gate):.0f}:", row, "jax", theirs)
    floor = math.floor(0.5 / (1 - gate)) if gate > 0.5 else 0
    assert all(value == floor for values in row.values() for value in values), "the floor has moved"
    assert theirs == 0

torch.manual_seed(1)
layer = torch.nn.LSTM(1, 64)
layer.bias_ih_l0.data[64:128] = 1
layer.bias_hh_l0.data[64:128] = 0
x = torch.randn(4000, 1, 1)
for steps in (1000, 4000):
    h, c = (torch.zeros(1, 1, 64, requires_grad=True) for _ in range(2))
    layer(x[:steps], (h, c))[0][-1].sum().backward()
    units = torch.cat([h.grad, c.grad]).double().abs() * 2.0**149
    print(f"drawn LSTM, T = {steps}: largest {units.max():.0f} unit, {int((units > 0).sum())} of 128 not zero")
    assert units.max() == 1 and (units > 0).sum() > 20
PY
