#!/usr/bin/env bash
# paddlepaddle 3.3.1 (CPU, float32): exp, logsumexp, logaddexp and logcumsumexp at minus infinity. Found 2026-11-28.
#
# Expected: exp(-inf) = 0 and logsumexp of nothing but -inf is -inf, as in numpy, scipy, torch and jax, for any length.
# What happens:
# - paddle.exp(-inf) is 0 in tensors of up to 7 numbers and 2.938e-39 from 8 on; of 17 numbers the first 16 are 2.938e-39 and the
#   last is 0, so the value hangs on the place. The same for everything below -88.72: exp(-100), 3.8e-44, is 79,000 times too large.
# - logsumexp([-inf, -inf]) and logaddexp(-inf, -inf) are NaN, and so is logsumexp([inf, 0]); logcumsumexp starts with -3.4e38.
#
# Why it matters: l = -inf is an ordinary value here, a dead ReLU chain. Turned back into a norm it is not zero any more
# (a share of dead replicates by `norm == 0` is 0 for 8 or more of them and right for 7), its logarithm is -88.7, and one dead pair in a
# sum over replicates or paths makes the sum NaN.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 paddlepaddle==3.3.1
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PY'
import numpy as np
import paddle

inf = float("inf")


def tensor(values):
    return paddle.to_tensor(np.asarray(values, dtype=np.float32))


for length in (7, 8, 17):
    norms = paddle.exp(tensor([-inf] * length)).numpy()
    print(f"exp of {length} times -inf: {int((norms == 0).sum())} zeros, largest {norms.max():.4g}, last {norms[-1]:.4g}")
    assert (norms == 0).sum() == length % 8
    assert length < 8 or 2.9e-39 < norms[0] < 3e-39
faint = paddle.exp(tensor([-100.0] * 8)).numpy()[0]
print(f"exp(-100) {faint:.3g} among 8, {paddle.exp(tensor([-100.0])).numpy()[0]:.3g} alone")
assert faint > 1e-39

sums = {
    "logsumexp([-inf, -inf])": paddle.logsumexp(tensor([-inf, -inf])).item(),
    "logsumexp([inf, 0])": paddle.logsumexp(tensor([inf, 0])).item(),
    "logaddexp(-inf, -inf)": paddle.logaddexp(tensor([-inf]), tensor([-inf])).item(),
}
for name, value in sums.items():
    print(name, value)
    assert np.isnan(value), name
print("numpy logaddexp(-inf, -inf)", np.logaddexp(-inf, -inf))
running = paddle.logcumsumexp(tensor([-inf, -inf, 0])).numpy()
print("logcumsumexp([-inf, -inf, 0])", running)
assert np.isfinite(running).all()
PY
