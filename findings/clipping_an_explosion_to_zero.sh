#!/usr/bin/env bash
# torch 2.13.0 (clip_grad_norm_) and optax 0.2.8 (clip_by_global_norm) on jax 0.10.2, float32. Found 2026-11-28.
#
# Expected: clipping to norm 1 turns an exploded, still finite gradient into one of norm 1 in the same direction.
# What happens: the norm is the root of a float32 sum of squares, which is inf as soon as the norm passes 1.8e19, half of the
# exponents that the gradient itself has (3.4e38); 1/inf is 0 and the clipped gradient is exactly zero. numpy.linalg.norm and
# scipy.linalg.norm say inf too, while the spectral norm of the same matrix is found. At the other end the same sum is
# 0 below about 1e-23 in torch (1e-22 in jax, which flushes), so that the Frobenius norm is smaller than the spectral one.
# One gradient of a linear network through T steps (torch.nn.RNN relu, 16 units, all positive, radius 1.6), with respect to the start:
#     T = 90    largest entry 2.3e18   norm 9.4e18   after clipping to 1: norm 1.000 (torch, optax)
#     T = 100   largest entry 2.6e20   norm inf      after clipping to 1: norm 0     (torch, optax)
#     T = 180   largest entry 5.5e36   norm inf      after clipping to 1: norm 0     (torch, optax)
#
# Why it matters: clipping is the standard remedy for exploding gradients. From e^44 on it silently does the opposite, the step
# is lost and not shortened; and a norm read in float32 says "vanished" at e^-53, where the entries live on down to e^-103.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 torch==2.13.0 jax==0.10.2 jaxlib==0.10.2 optax==0.2.8
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PY'
import jax.numpy as jnp
import numpy as np
import optax
import torch

network = torch.nn.RNN(1, 16, nonlinearity="relu")
for name, parameter in network.named_parameters():
    torch.nn.init.constant_(parameter, 0.1 if name == "weight_hh_l0" else 0.0)
for steps in (90, 100, 180):
    start = torch.nn.Parameter(torch.ones(1, 1, 16) * 1e-3)
    (network(torch.zeros(steps, 1, 1), start)[1].sum()).backward()
    gradient = start.grad.clone()
    assert torch.isfinite(gradient).all()
    norm = float(torch.nn.utils.clip_grad_norm_([start], 1.0))
    after = float(start.grad.double().norm())
    clip = optax.clip_by_global_norm(1.0)
    given = jnp.asarray(gradient.numpy())
    theirs = float(np.linalg.norm(np.asarray(clip.update(given, clip.init(given))[0], dtype=float)))
    print(f"T = {steps}: largest {gradient.max():.2g}, true norm {gradient.double().norm():.2g}, norm {norm:.2g}, clipped: torch {after:.4f}, optax {theirs:.4f}")
    if steps == 90:
        assert abs(after - 1) < 1e-3 and abs(theirs - 1) < 1e-3
    else:
        assert norm == float("inf") and after == 0 and theirs == 0, "clipping has become safe"

tiny = np.full((64, 64), 1e-24, np.float32)
ours = torch.tensor(tiny)
print("entries 1e-24: Frobenius torch %.1e jax %.1e numpy %.1e, spectral torch %.1e" % (
    torch.linalg.matrix_norm(ours), jnp.linalg.norm(tiny), np.linalg.norm(tiny), torch.linalg.matrix_norm(ours, 2)))
assert torch.linalg.matrix_norm(ours) == 0 and jnp.linalg.norm(tiny) == 0 and np.linalg.norm(tiny) == 0
assert torch.linalg.matrix_norm(ours, 2) > 6e-23
PY
