#!/usr/bin/env bash
# torch 2.13.0: torch.nn.utils.spectral_norm against torch.nn.utils.parametrizations.spectral_norm; keras 3.15.1
# SpectralNormalization (torch backend). All in evaluation mode, before the first training step. Found 2026-11-28.
#
# Expected: a recurrent matrix wrapped in spectral normalisation has spectral norm 1, or the matrix is left as drawn.
# What happens: three wrappers, three networks. U normal, gain 1, n = 64, spectral norm as drawn 1.89 to 1.97, four draws:
#     torch parametrizations.spectral_norm    1.015  1.004  1.004  1.000
#     torch utils.spectral_norm, RNNCell      42.3   23.7   22.6   9.5       (after one training forward: 1.33 to 1.42)
#     keras SpectralNormalization, Dense      1.89   1.91   1.90   1.97      (not normalised at all outside training)
# The older torch function divides by u'Uv of two random unit vectors, of size 1/sqrt n, until a first forward in
# training mode has made one power iteration; evaluation mode makes none. That number has either sign as well.
# A tanh cell at rest grows by log of the largest eigenvalue: with the first wrapper -0.6, with the second +1.6 to +3.1 nats a step.
#
# Why it matters: a gradient at initialisation is measured on a fresh network in evaluation mode, with no step of
# training. Spectral normalisation, put there against explosion, then multiplies the gain by sqrt n, and only there.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 torch==2.13.0 keras==3.15.1
OMP_NUM_THREADS=1 KERAS_BACKEND=torch "$folder/venv/bin/python" -W ignore - <<'PY'
import keras
import numpy as np
import torch

n = 64


def norm(matrix):
    return float(np.linalg.norm(matrix.detach().cpu().double().numpy(), 2))


def radius(matrix):
    return float(np.log(np.abs(np.linalg.eigvals(matrix.detach().cpu().double().numpy())).max()))


for draw in range(4):
    torch.manual_seed(draw)
    drawn = torch.randn(n, n) / n**0.5
    seen, rates = {}, {}
    for name, wrap in (("parametrizations", torch.nn.utils.parametrizations.spectral_norm), ("utils", torch.nn.utils.spectral_norm)):
        cell = torch.nn.RNNCell(1, n)
        cell.weight_hh.data = drawn.clone()
        cell = wrap(cell, "weight_hh").eval()
        cell(torch.zeros(1, 1))
        seen[name], rates[name] = norm(cell.weight_hh), radius(cell.weight_hh)
        if name == "utils":
            cell.train()
            cell(torch.zeros(1, 1))
            trained = norm(cell.weight_hh)
    dense = keras.layers.SpectralNormalization(keras.layers.Dense(n, use_bias=False))
    dense.build((n, n))
    dense.layer.kernel.assign(drawn)
    seen["keras"] = norm(dense(torch.eye(n)))
    print(f"drawn {norm(drawn):.2f}", {k: round(v, 3) for k, v in seen.items()}, f"utils after one training forward {trained:.2f}",
          "rates", {k: round(v, 2) for k, v in rates.items()})
    assert seen["parametrizations"] < 1.1 and seen["utils"] > 4 and abs(seen["keras"] - norm(drawn)) < 1e-3 and trained < 1.7
PY
