#!/usr/bin/env bash
# neuralforecast 3.3.0 (DilatedRNN with cell_type="AttentiveLSTM" or "ResLSTM") on torch 2.13.0. Found 2026-11-29.
#
# Expected: an LSTM whose gradient vanishes slowly or fast, as of every library, and hardly ever explodes; and another network in every
# fresh model.
# What happens: the LSTMCell and ResLSTMCell behind these two draw all weights and biases from N(0, 1) whatever the width (a gain of 8 at
# n = 64; PyTorch's is 0.58), and the gradient explodes, the more the wider. And two fresh models are the same network, bit for bit, as the
# constructor seeds the global generators (random_seed=1). Growth of the Jacobian of (h, c) of the first cell, spectral norm,
# float64, white input of one dimension, nats a step between steps 10 and 100 (20 draws): at n = 64 +0.21(1) and +0.35(2), against -0.44
# of torch.nn.LSTM, which the default, cell_type="LSTM", is.
# Why it matters: an option that only names an architecture turns a gradient that vanishes into one that explodes by e^0.2 a step; and a
# spread over fresh models is zero unless random_seed is given.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 neuralforecast==3.3.0
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - 2> /dev/null <<'PY'
import math

import torch
from neuralforecast.models import DilatedRNN

DRAWS = 3


def made(kind, n, seed):
    """The first cell of a fresh model."""
    model = DilatedRNN(4, 8, cell_type=kind, encoder_hidden_size=n, random_seed=seed)
    return next(one for one in model.modules() if type(one).__name__ in ("LSTMCell", "ResLSTMCell"))


def rate(cell, n, inputs):
    """Nats a step between 10 steps and the last, of the spectral norm of the product of Jacobians of (h, c)."""
    state, product, log, at_ten = torch.zeros(2 * n), torch.eye(2 * n), 0.0, 0.0
    for t, x in enumerate(inputs, 1):
        run = lambda s: torch.cat([part[0] for part in cell(x[None], (s[None, :n], s[None, n:]))[1]])
        product = torch.autograd.functional.jacobian(run, state, vectorize=True) @ product
        state = run(state).detach()
        size = float(torch.linalg.matrix_norm(product, 2))
        product, log = product / size, log + math.log(size)
        at_ten = log if t == 10 else at_ten
    return (log - at_ten) / (len(inputs) - 10)


first, second = (DilatedRNN(4, 8, encoder_hidden_size=16) for _ in range(2))
same = all(torch.equal(one, other) for one, other in zip(first.parameters(), second.parameters()))
print("two fresh models are one network:", same)
assert same
for kind in ("AttentiveLSTM", "ResLSTM"):
    for n in (16, 64):
        rates = []
        for draw in range(DRAWS):
            cell = made(kind, n, draw).double()
            assert abs(float(cell.weight_ih.std()) - 1) < 0.25
            rates.append(rate(cell, n, torch.randn(60, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(draw))))
        mean = sum(rates) / DRAWS
        print(f"{kind}, n = {n}: {mean:+.3f} nats a step")
        assert n == 16 or mean > 0.1
PY
