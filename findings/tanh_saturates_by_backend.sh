#!/usr/bin/env bash
# torch 2.13.0 against jax 0.10.2, float32 on the CPU: from where on tanh is exactly 1, and a unit's gradient exactly 0. Found 2026-11-30.
#
# Expected: from 9.011 on, where 1 - 2 e^(-2 x) is nearer to 1 than to the float32 before it; the derivative 1 - tanh(x)^2 is 0 from
# there on, one number whatever the framework.
# What happens: torch.tanh 9.011, torch.compile of the same line 8.664, jax.numpy.tanh 7.999, with and without jit. At x = 8 the
# derivative is 4.5e-7: torch has 4.8e-7, jax 0.
# What it does to a network h <- tanh(W h), W of N(0, 8^2/4), 4 units, 20,000 draws, gradient of sum h_3 for h_0:
#     exactly zero in every number: jax 3.2 %, torch 1.7 %, torch in float64 0 of 20,000.
#
# Why it matters: twice as many of the same networks count as dead. What share of units is saturated, or of networks has no gradient
# at all, is a property of the backend and not of the initialisation; compare such shares across frameworks in float64 only.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 torch==2.13.0 jax==0.10.2 jaxlib==0.10.2
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PY'
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import torch

x = np.linspace(7, 10, 300_001).astype(np.float32)
ways = {"torch": torch.tanh, "jax": jnp.tanh, "jax, jit": jax.jit(jnp.tanh)}
if shutil.which("g++"):
    ways["torch.compile"] = torch.compile(lambda v: torch.tanh(v))
first = {}
for name, tanh in ways.items():
    y = np.asarray(tanh(jnp.asarray(x) if name.startswith("jax") else torch.from_numpy(x)))
    first[name] = float(x[y == 1].min())
    assert (y[x >= first[name]] == 1).all()
print("tanh is 1 from", first)
assert abs(first["torch"] - 9.0109) < 2e-4, "torch rounds otherwise"
assert abs(first["jax"] - 7.9989) < 2e-4 and first["jax"] == first["jax, jit"], "jax saturates elsewhere"
assert abs(first.get("torch.compile", 8.6644) - 8.6644) < 2e-4, "the compiled one has moved"

at = torch.tensor(8.0, requires_grad=True)
(of_torch,) = torch.autograd.grad(torch.tanh(at), at)
of_jax = float(jax.grad(jnp.tanh)(8.0))
print(f"derivative at 8: exact {1 / np.cosh(8.0) ** 2:.2g}, torch {of_torch.item():.2g}, jax {of_jax:.2g}")
assert of_jax == 0 and 4e-7 < of_torch.item() < 5e-7

draws, n, gain, steps = 20_000, 4, 8.0, 3
rng = np.random.default_rng(0)
W = (gain / np.sqrt(n) * rng.standard_normal((draws, n, n))).astype(np.float32)
start = rng.standard_normal((draws, n)).astype(np.float32)


def dead_in_torch(dtype):
    """The share of networks whose gradient is zero in every number."""
    weights, h0 = torch.from_numpy(W).to(dtype), torch.from_numpy(start).to(dtype).requires_grad_()
    h = h0
    for _ in range(steps):
        h = torch.tanh(torch.einsum("rij,rj->ri", weights, h))
    (gradient,) = torch.autograd.grad(h.sum(), h0)
    return float((gradient == 0).all(1).double().mean())


def last(h):
    for _ in range(steps):
        h = jnp.tanh(jnp.einsum("rij,rj->ri", W, h))
    return h.sum()


dead = {"jax": float((np.asarray(jax.jit(jax.grad(last))(start)) == 0).all(1).mean())}
dead |= {"torch": dead_in_torch(torch.float32), "torch in float64": dead_in_torch(torch.float64)}
print("no gradient at all:", {name: f"{share:.2%}" for name, share in dead.items()})
assert dead["jax"] > 1.6 * dead["torch"] > 0.016 and dead["torch in float64"] == 0
PY
