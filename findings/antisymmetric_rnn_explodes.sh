#!/usr/bin/env bash
# torchrecurrent 0.2.5 (AntisymmetricRNNCell, GatedAntisymmetricRNNCell) on torch 2.13.0. Found 2026-11-28.
#
# Expected: the antisymmetric network, published because its Jacobian has a purely imaginary spectrum and its gradient neither
# vanishes nor explodes, has a growth rate near 0 as it comes out of the constructor.
# What happens: the recurrent law is N(0, 1) whatever the width (gain 8 at n = 64; most cells of the package have xavier_uniform, gain 0.5 to 1)
# and the step of the Euler scheme is 1. At rest an eigenvalue i w becomes 1 + i w with w up to 2 sqrt(2 n). float64, nats a step:
#                                    n = 16    n = 64    n = 256
#     at rest                        +2.24     +3.04     +3.79        (theory log(1 + 8 n)/2: 2.43, 3.12, 3.81)
#     at rest, gated variant         +1.58     +2.37     +3.09
#     white input of one dimension   +0.037    +0.085    +0.163       (over steps 11 to 200)
#     weights N(0, 1/n), step 0.01   +0.0001   +0.0001   +0.0001      (at rest; near the law of the article)
#
# Why it matters: the cell that is meant to be the stable control explodes by e^3 a step at rest, and worse with the width. A comparison of cells "as the library makes them" turns the article's result round.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 torch==2.13.0 torchrecurrent==0.2.5
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PY'
import math

import torch
import torchrecurrent

torch.set_default_dtype(torch.float64)


def rate(cell, x, skip):
    """Growth of one tangent vector in nats a step after the first `skip` steps, rescaled at every step."""
    n = cell.weight_hh.shape[1]
    state, tangent, total = torch.zeros(1, n), torch.randn(1, n), 0.0
    for t in range(len(x)):
        state, tangent = torch.func.jvp(lambda s: cell(x[t], s), (state,), (tangent,))
        size = tangent.norm().item()
        tangent, total = tangent / size, total + math.log(size) * (t >= skip)
    return total / (len(x) - skip)


for n in (16, 64, 256):
    rows = {"rest": [], "driven": [], "gated": [], "small": []}
    for draw in range(4):
        torch.manual_seed(draw)
        cell = torchrecurrent.AntisymmetricRNNCell(1, n)
        gated = torchrecurrent.GatedAntisymmetricRNNCell(1, n)
        assert abs(cell.weight_hh.std() - 1) < 0.2
        noise, silence = torch.randn(200, 1, 1), torch.zeros(200, 1, 1)
        rows["rest"].append(rate(cell, silence, 50))
        rows["driven"].append(rate(cell, noise, 10))
        rows["gated"].append(rate(gated, silence, 50))
        small = torchrecurrent.AntisymmetricRNNCell(1, n, epsilon=0.01)
        small.weight_hh.data = cell.weight_hh.data / n**0.5
        rows["small"].append(rate(small, silence, 50))
    mean = {name: sum(values) / len(values) for name, values in rows.items()}
    print(f"n = {n}:", {name: round(value, 4) for name, value in mean.items()}, f"theory at rest {math.log(1 + 8 * n) / 2:.2f}")
    assert abs(mean["rest"] - math.log(1 + 8 * n) / 2) < 0.3 and mean["driven"] > 0.02 and abs(mean["small"]) < 0.002
PY
