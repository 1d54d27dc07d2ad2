#!/usr/bin/env bash
# keras 3.15.1: one SimpleRNN on the torch 2.13.0 backend and on the jax 0.10.2 backend. Found 2026-11-28.
#
# Expected: the same layer with the same weights has the same gradient on every backend, rounding apart.
# What happens: the derivative of an activation exactly at its kink is the backend's. hard_tanh at 1 and -1: torch 0, jax 1;
# leaky_relu at 0: torch 0.2, jax 1 (relu, relu6, elu, hard_sigmoid agree). Recurrent networks sit on these points:
# - SimpleRNN(hard_tanh, identity recurrence, Keras's zero bias), one pulse of input 3, then silence: h is clipped to 1.0 and then a = 1.0
#   exactly, the kink, at every later step. Gradient of the last state for a small input at step 2 (added and left at 0):
#       T = 60    torch 0 (dead, log -inf)     jax 1 in every unit (log 0, never vanishes)
# - SimpleRNN(leaky_relu, orthogonal, zero bias) at rest, n = 16: the state is exactly 0. Norm of the gradient for the input at step 1:
#       T = 60    torch 4.6e-42 (0.2 a step)   jax 4.0 (1 a step)
#
# Why it matters: "vanishes" or "keeps for ever" is then a property of KERAS_BACKEND, not of cell and initialisation. Rest
# (zero input, zero bias) is the usual point at which a network is linearised at initialisation.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 torch==2.13.0 jax==0.10.2 jaxlib==0.10.2 keras==3.15.1
cat > "$folder/one.py" <<'PY'
import os

import keras
import numpy as np

backend = os.environ["KERAS_BACKEND"]


def gradient(layer, values):
    """Gradient of the sum of the last state for every input, shape (steps,) + one row of the kernel."""
    if backend == "torch":
        import torch

        x = torch.tensor(values, requires_grad=True)
        layer(x).sum().backward()
        return x.grad.cpu().numpy()[0].astype(float)
    import jax

    return np.asarray(jax.grad(lambda x: layer(x).sum())(jax.numpy.asarray(values)))[0].astype(float)


def network(n, activation, recurrent):
    layer = keras.layers.SimpleRNN(n, activation=activation)
    layer.build((1, 60, n))
    layer.set_weights([np.eye(n, dtype="float32"), recurrent.astype("float32"), np.zeros(n, "float32")])
    return layer


pulse = np.zeros((1, 60, 4), np.float32)
pulse[:, 0] = 3
hard = gradient(network(4, "hard_tanh", np.eye(4)), pulse)[1]
rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((16, 16)))[0]
leaky = np.linalg.norm(gradient(network(16, "leaky_relu", rotation), np.zeros((1, 60, 16), np.float32))[0])
print(f"{backend}: hard_tanh {hard.tolist()}, leaky_relu at rest {leaky:.2g}")
if backend == "torch":
    assert (hard == 0).all() and leaky < 1e-40
else:
    assert (hard == 1).all() and abs(leaky - 4) < 1e-3
PY
for backend in torch jax; do OMP_NUM_THREADS=1 KERAS_BACKEND=$backend "$folder/venv/bin/python" -W ignore "$folder/one.py"; done
