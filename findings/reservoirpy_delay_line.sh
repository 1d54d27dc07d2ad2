#!/usr/bin/env bash
# reservoirpy 0.4.2, reservoirpy.mat_gen.line with a spectral radius. Found 2026-11-28.
#
# Expected: a delay line asked for with sr=0.9 has weights of 0.9, or the request is refused (as mat_gen.zeros refuses it): its matrix is
# nilpotent, the spectral radius is 0 for every weight.
# What happens: the radius that the sparse eigenvalue solver returns for the line is rounding, 1e-4 to 0.18, and the weights are multiplied by 0.9 over it:
#     units                       5          10      20      100
#     radius as found             8.1e-05    0.017   0.148   0.178
#     weights (wanted 0.9)        11,066     54.0    6.10    5.05
#     radius of the result        0          0       0       0
#     log ||W^(units-1)||         37.2       35.9    34.4    160.3
# So the eigenvalues are all 0, "far below the edge of stability", and a linear pass through 100 units multiplies by e^160.
#
# Why it matters: a delay line is the plainest network with a known chain: log-norm T log w up to T = units - 1 and -inf after
# it. Here radius and norm part by the largest amount possible, and the spectral radius is the number that reservoir users set.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 scipy==1.17.1 reservoirpy==0.4.2
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PY'
import numpy as np
from reservoirpy import mat_gen
from reservoirpy.observables import spectral_radius


def dense(matrix):
    return matrix.toarray() if hasattr(matrix, "toarray") else np.asarray(matrix)


for units in (5, 10, 20, 100):
    plain = mat_gen.line(units, units, seed=1)
    scaled = dense(mat_gen.line(units, units, sr=0.9, seed=1))
    weights = scaled[scaled != 0]
    radius = np.abs(np.linalg.eigvals(scaled)).max()
    growth = np.log(np.linalg.norm(np.linalg.matrix_power(scaled, units - 1), 2))
    print(f"units {units}: radius as found {spectral_radius(plain):.2g}, weights {weights.min():.4g} to {weights.max():.4g}, "
          f"radius of the result {radius:.1g}, log-norm of the pass {growth:.1f}")
    assert (dense(plain)[dense(plain) != 0] == 1).all() and radius < 1e-6
    assert weights.min() > 4, "the line is no longer scaled by rounding"
    assert growth > 1.3 * (units - 1)
ring = dense(mat_gen.ring(100, 100, sr=0.9, seed=1))
print("a ring asked the same:", ring[ring != 0].min(), ring[ring != 0].max())
assert abs(ring[ring != 0] - 0.9).max() < 1e-6
PY
