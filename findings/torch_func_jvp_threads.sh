#!/usr/bin/env bash
# torch 2.13.0, torch.func.jvp on a CPU from several Python threads. Found 2026-11-29.
#
# Expected: threads that share no tensor and call torch.func.jvp on functions of their own do not meet, as with
# torch.func.vjp, jacrev and torch.autograd, which may be called from any thread.
# What happens: levels of forward-mode differentiation are counted for the whole process. With four threads nearly every call
# raises ("Trying to create a dual Tensor for forward AD but no level exists", or "... a forward AD level with an invalid
# index"), and a few of those that return give a tangent of zero without a word. One thread alone, or vjp from four, is right
# in every call.
#     seen, 4 threads of 2,000 calls each: jvp 5,978 to 7,025 raised, 0 to 3 wrong by 100 %; vjp 0 and 0
#
# Why it matters: jvp is the way to push directions through a step that has no tangent of its own, and threads are how a
# Monte Carlo fills the cores with it, since torch lets go of the interpreter's lock. Use a lock, or processes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 torch==2.13.0
cat > "$folder/one.py" <<'PY'
import threading

import torch

torch.set_num_threads(1)
CALLS = 2000


def forwards(h, u, d):
    """(tangent of tanh(h U) along d by torch.func, by hand)."""
    return torch.func.jvp(lambda s: torch.tanh(s @ u), (h,), (d,))[1], (1 - torch.tanh(h @ u) ** 2) * (d @ u)


def backwards(h, u, d):
    """(cotangent, by hand)."""
    return torch.func.vjp(lambda s: torch.tanh(s @ u), h)[1](d)[0], (d * (1 - torch.tanh(h @ u) ** 2)) @ u.T


def work(way, seed, raised, wrong):
    generator = torch.Generator().manual_seed(seed)
    h, d = (torch.randn(4, 32, dtype=torch.float64, generator=generator) for _ in range(2))
    u = torch.randn(32, 32, dtype=torch.float64, generator=generator) / 6
    for _ in range(CALLS):
        try:
            found, truth = way(h, u, d)
        except RuntimeError:
            raised.append(seed)
        else:
            if not torch.allclose(found, truth):
                wrong.append(float((found - truth).norm() / truth.norm()))


def seen(way, count):
    raised, wrong = [], []
    threads = [threading.Thread(target=work, args=(way, seed, raised, wrong)) for seed in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{way.__name__}, {count} threads of {CALLS} calls: {len(raised)} raised, {len(wrong)} wrong, by {wrong[:3]}")
    return len(raised), len(wrong)


assert seen(forwards, 1) == (0, 0)
assert seen(backwards, 4) == (0, 0)
assert seen(forwards, 4)[0] > 0
PY
"$folder/venv/bin/python" -W ignore "$folder/one.py"
