#!/usr/bin/env bash
# torch 2.13.0, torch.autocast("cpu", dtype=torch.bfloat16) on GRU, GRUCell, LSTMCell and LSTM. Found 2026-11-28.
#
# Expected: mixed precision means matrix products in bfloat16 and the rest in float32. GRU, GRUCell and LSTMCell give float32 under
# autocast (LSTM, RNN and RNNCell bfloat16), so their slow forgetting is right to some per cent.
# What happens: the gates come out of the bfloat16 product and the sigmoid is taken in bfloat16 too. Just below 1 that has steps of 2^-8, so a
# gate forgets 1/256 a step or nothing at all: memories longer than 256 steps do not exist, and from a bias of 6.24 on the gate is
# exactly 1. Zero weights, one gate biased, state 1 at the start, T = 10,000, state and its gradient alike:
#     bias   exact      float32    autocast: LSTMCell, GRUCell, GRU   autocast: nn.LSTM, state and gradient
#     5.0    6.9e-30    6.9e-30    8.7e-35                            1.3e-27 and 8.7e-35
#     5.5    1.9e-18    1.9e-18    1.0e-17                            3.1e-24 and 1.0e-17
#     6.0    1.8e-11    1.8e-11    1.0e-17                            0.79    and 1.0e-17
#     6.5    3.0e-07    3.0e-07    1                                  1       and 1
# The layer nn.LSTM (on a processor with bfloat16 kernels; without them it raises) keeps its state in bfloat16 as well, and its state
# and the gradient of that same state differ by 17 decades at bias 6.
#
# Why it matters: long memories are made by just such biases (chrono initialisation: b = log u, u up to T_max; from T_max = 513 on some units are
# integrators that cannot learn, for the gate's own derivative is 0). The decades in which cells differ, T = 10^3 to 10^4, are decided by 2^-8.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 torch==2.13.0
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PY'
import math

import torch


def kept(kind, bias, steps, autocast):
    """State after `steps` and its gradient for the first state; zero weights, one gate biased."""
    network = getattr(torch.nn, kind)(1, 4)
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    cell, long = kind.endswith("Cell"), kind.startswith("LSTM")
    (network.bias_ih if cell else network.bias_ih_l0).data[4:8] = bias    # forget gate, update gate
    start = torch.ones(*((1, 4) if cell else (1, 1, 4)), requires_grad=True)
    first = (torch.zeros_like(start), start) if long else start
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        if cell:
            for _ in range(steps):
                first = network(torch.zeros(1, 1), first)
        else:
            first = network(torch.zeros(steps, 1, 1), first)[1]
    last = first[1] if long else first
    last.float().sum().backward()
    return last.dtype, last.flatten()[0].item(), start.grad.flatten()[0].item()


steps = 10_000
for bias in (5.0, 5.5, 6.0, 6.5):
    exact = (1 + math.exp(-bias)) ** -steps
    lowered = min(1 - round((1 - 1 / (1 + math.exp(-bias))) * 256) / 256, 1.0) ** steps
    plain = kept("LSTM", bias, steps, False)
    print(f"bias {bias}: exact {exact:.2g}, float32 {plain[1]:.2g}, gate in steps of 1/256 {lowered:.2g}")
    assert abs(math.log(plain[2] / exact)) < 0.02
    for kind in ("LSTMCell", "GRUCell", "GRU"):
        dtype, state, gradient = kept(kind, bias, steps, True)
        print(f"    autocast {kind}: {dtype}, state {state:.2g}, gradient {gradient:.2g}")
        assert dtype == torch.float32
        assert abs(math.log(state / lowered)) < 0.05 and abs(math.log(gradient / lowered)) < 0.05
        assert abs(math.log(gradient / exact)) > 1.5, "autocast now keeps the gate"
    try:
        dtype, state, gradient = kept("LSTM", bias, steps, True)
        print(f"    autocast LSTM: {dtype}, state {state:.2g}, gradient {gradient:.2g}")
    except RuntimeError as error:
        print("    autocast LSTM raises:", str(error)[:60])
PY
