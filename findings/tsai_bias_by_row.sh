#!/usr/bin/env bash
# tsai 1.0.1 (models.RNN: RNN, LSTM, GRU, and RNNPlus, LSTMPlus, GRUPlus) on torch 2.13.0. Found 2026-11-29.
#
# Expected: init_weights=True, the default, is "same initialization as keras" (comment in its code): biases 0, and 1 on the forget
# gate of an LSTM.
# What happens: the second quarter of the rows of bias_ih is filled with 1 whatever the layer is. In an LSTM that is the forget gate.
# A GRU has three gates: it is the last quarter of the reset gates and the first half of the update gates, which keep in PyTorch; in an
# RNN it is a quarter of the units. So half of the units of a fresh GRU forget less than the other half. Growth of the Jacobian of h,
# spectral norm, n = 64, white input of one dimension, float64, nats a step between steps 10 and 100 (20 draws):
#     tsai GRU                            -0.231(1)
#     the same with biases 0              -0.44          Keras's own GRU: -0.436(3)
# Why it matters: the gradient of a "Keras" GRU lasts twice as long as Keras's, and by two populations of units: a comparison of LSTM
# and GRU in this library is one of two initialisations.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 tsai==1.0.1
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PY'
import math

import torch

# torchvision, which fastai wants, may be of another build than torch; the recurrent models use nothing of it
torch.library.register_fake = lambda *_, **__: lambda function: function
from tsai.models import RNN

N, DRAWS = 64, 5


def rate(layer, inputs):
    """Nats a step between 10 steps and the last, of the spectral norm of the product of Jacobians of h."""
    h, product, log, at_ten = torch.zeros(N), torch.eye(N), 0.0, 0.0
    for t, x in enumerate(inputs, 1):
        run = lambda h: layer(x[None, None], h[None, None])[1][0, 0]
        product = torch.autograd.functional.jacobian(run, h) @ product
        h = run(h).detach()
        size = float(torch.linalg.matrix_norm(product, 2))
        product, log = product / size, log + math.log(size)
        at_ten = log if t == 10 else at_ten
    return (log - at_ten) / (len(inputs) - 10)


for kind, gates in ((RNN.LSTM, "ifgo"), (RNN.GRU, "rzn"), (RNN.RNN, "h")):
    bias = kind(1, 1, hidden_size=N).rnn.bias_ih_l0.detach()
    share = {gate: float((part == 1).double().mean()) for gate, part in zip(gates, bias.chunk(len(gates)))}
    print(kind.__name__, "share of units whose bias is 1:", share)
    assert share == {4: dict(i=0, f=1, g=0, o=0), 3: dict(r=0.25, z=0.5, n=0), 1: dict(h=0.25)}[len(gates)]

torch.set_default_dtype(torch.float64)
found = {"tsai": [], "bias 0": []}
for draw in range(DRAWS):
    torch.manual_seed(draw)
    layer, inputs = RNN.GRU(1, 1, hidden_size=N).rnn.double(), torch.randn(60, 1)
    found["tsai"].append(rate(layer, inputs))
    torch.nn.init.zeros_(layer.bias_ih_l0)
    found["bias 0"].append(rate(layer, inputs))
mean = {name: sum(rates) / DRAWS for name, rates in found.items()}
print("GRU:", {name: round(value, 3) for name, value in mean.items()}, "nats a step")
assert -0.28 < mean["tsai"] < -0.19 and -0.5 < mean["bias 0"] < -0.38
PY
