#!/usr/bin/env bash
# minGRU-pytorch 0.2.1 (minGRU and minLSTM of Feng et al. 2024) on torch 2.13.0, float32. Found 2026-11-28.
#
# Expected: one module has one gradient. Fed the sequence at once (parallel, in logs) or step by step it gives the same numbers, the long
# sequence some digits worse; an input 60 steps back has a gradient of about 1e-18.
# What happens: step by step yes. In parallel the gradient stops falling after some 20 steps and stands, over all older inputs alike, at a noise
# that grows with the length: the running sum of the log gates has size 0.7 T, and the gradient of a gate is the difference
# of two sums of order one, rounded there. Norm of the gradient of the last state for the input k steps back, minGRU of 32 units:
#                          k = 1   k = 20    k = 60    mean of the oldest ten
#     T = 100   stepwise   1.01    3.3e-06   2.1e-18   0
#               parallel   1.00    3.3e-06   3.0e-06   2.7e-06
#     T = 1,000 stepwise   1.70    7.7e-06   3.6e-18   0
#               parallel   1.70    2.6e-05   2.8e-05   2.6e-05
#     T = 10,000 parallel  1.73    1.8e-04   1.6e-04   1.9e-04
# minLSTM is the same: 1.2e-6, 1.4e-5, 1.6e-4 at k = 60, stepwise 1.2e-17.
# A previous state of zeros, the natural start, gives a gradient of NaN for that state (log 0), also in parallel only.
#
# Why it matters: min_gru is the cell whose chain is known exactly, a product of 1 - z. Measured through this module the gradient "does not
# vanish", better still the longer the sequence, and it is all rounding.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 torch==2.13.0 minGRU-pytorch==0.2.1
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PY'
import torch
from minGRU_pytorch import minGRU
from minGRU_pytorch.minLSTM import minLSTM


def by_lag(module, x, stepwise):
    """Norm of the gradient of the last state for each input, the latest first."""
    x = x.clone().requires_grad_()
    if stepwise:
        state = None
        for t in range(x.shape[1]):
            out, state = module(x[:, t:t + 1], state, return_next_prev_hidden=True)
    else:
        out = module(x)
    gradient = torch.autograd.grad(out[:, -1].sum(), x)[0]
    return gradient[0].norm(dim=-1).flip(0)


for cell in (minGRU, minLSTM):
    torch.manual_seed(0)
    module = cell(32)
    for steps in (100, 1000, 10_000):
        x = torch.randn(1, steps, 32)
        parallel = by_lag(module, x, False)
        line = f"{cell.__name__} T = {steps}: parallel lag 1 {parallel[0]:.2f}, 20 {parallel[19]:.1e}, 60 {parallel[59]:.1e}, oldest ten {parallel[-10:].mean():.1e}"
        if steps <= 1000:
            single = by_lag(module, x, True)
            line += f"; stepwise {single[0]:.2f}, {single[19]:.1e}, {single[59]:.1e}, {single[-10:].mean():.1e}"
            assert abs(parallel[0] / single[0] - 1) < 1e-3 and single[59] < 1e-11
        print(line)
        floor = {100: 1e-7, 1000: 1e-6, 10_000: 1e-5}[steps]
        assert parallel[59] > floor and parallel[-10:].mean() > floor, "the noise is gone"

torch.manual_seed(0)
module = minGRU(32)
start = torch.zeros(1, 1, 32, requires_grad=True)
module(torch.randn(1, 10, 32), start)[:, -1].sum().backward()
print("gradient for a previous state of zeros, NaN:", bool(torch.isnan(start.grad).all()))
assert torch.isnan(start.grad).all()
PY
