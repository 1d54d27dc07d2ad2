#!/usr/bin/env bash
# torch 2.13.0 (torch.nn.init), jax 0.10.2 (jax.nn.initializers): orthogonal and glorot/xavier on a stack of matrices. Found 2026-11-28.
#
# Expected: the same named law on the same shape (k, n, n) - four gates, or one fresh matrix a step - has the same gain in both
# (root mean square singular value of one n x n matrix): 1 if the stack is read as k matrices, 1/sqrt k if as one tall one.
# What happens: torch flattens to k rows of n^2 numbers and makes those orthonormal, so each matrix has Frobenius norm 1 and gain
# 1/sqrt n whatever k is; jax flattens to k n rows of n, gain 1/sqrt k whatever n is. xavier/glorot and fan-in laws read the shape in the same two ways.
#     shape          torch orthogonal_  jax orthogonal   torch xavier_normal_  jax glorot_normal
#     (4, 64, 64)    0.1250             0.5000           0.171                 0.503
#     (4, 256, 256)  0.0625             0.5000           0.088                 0.500
#     (100, 64, 64)  0.1250             0.1000           0.110                 0.100
# No gain is 1 and no two agree; for a stack of one step a matrix the jax chain loses log 10 = 2.30 nats a step where a Haar chain loses none.
#
# Why it matters: fresh orthogonal weights at every step are the exactly known chain (log-norm 0 for ever), and gates kept apart
# as (4, n, n) are the natural form for a vmap. Drawn in one call the chain of 100 steps at n = 64 ends at -208 (torch) or
# -230 nats (jax) and looks like vanishing. Draw matrix by matrix.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 torch==2.13.0 jax==0.10.2 jaxlib==0.10.2
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - <<'PY'
import jax
import numpy as np
import torch

torch.manual_seed(0)
key = jax.random.key(0)


def gain(stack):
    stack = np.asarray(stack, dtype=float)
    return float(np.sqrt((stack**2).sum((1, 2)) / stack.shape[-1]).mean())


def chain(stack):
    """log of the RMS gain of the product of all matrices."""
    product, total = np.eye(stack.shape[-1]), 0.0
    for matrix in np.asarray(stack, dtype=float):
        product = matrix @ product
        size = np.sqrt((product**2).sum() / len(product))
        product /= size
        total += np.log(size)
    return float(total)


for shape in ((4, 64, 64), (4, 256, 256), (100, 64, 64)):
    k, n, _ = shape
    ours = torch.nn.init.orthogonal_(torch.empty(shape)).numpy()
    theirs = jax.nn.initializers.orthogonal()(key, shape)
    xavier = gain(torch.nn.init.xavier_normal_(torch.empty(shape)).numpy())
    glorot = gain(jax.nn.initializers.glorot_normal()(key, shape))
    print(shape, f"torch {gain(ours):.4f}, jax {gain(theirs):.4f}, xavier {xavier:.3f}, glorot {glorot:.3f}")
    assert abs(gain(ours) * n**0.5 - 1) < 1e-4 and abs(gain(theirs) * k**0.5 - 1) < 1e-3
    assert abs(xavier / (2 / (k + n)) ** 0.5 - 1) < 0.03 and abs(glorot * k**0.5 - 1) < 0.03

singly = np.stack([jax.nn.initializers.orthogonal()(one, (64, 64)) for one in jax.random.split(key, 100)])
print(f"log-norm of the chain of 100: torch {chain(ours):.1f}, jax {chain(theirs):.1f}, jax drawn one by one {chain(singly):.5f}")
assert abs(chain(ours) / (-50 * np.log(64)) - 1) < 0.02 and abs(chain(theirs) / (-50 * np.log(100)) - 1) < 0.02
assert abs(chain(singly)) < 1e-4
PY
