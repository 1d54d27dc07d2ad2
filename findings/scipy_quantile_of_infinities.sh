#!/usr/bin/env bash
# scipy 1.17.1, scipy.stats.quantile, against numpy 2.4.6. Found 2026-11-28.
#
# Expected: method="inverted_cdf" only picks an order statistic, so that minus infinity in the sample is a value like any
# other, as it is in numpy.quantile(method="inverted_cdf"); the interpolating methods may give NaN where two infinities meet.
# What happens: the picked values are mixed as (1 - w) x[j] + w x[j + 1] with w = 0 or 1 and inf 0 is NaN. Ten log-norms, the lowest five -inf
# (dead), the highest +inf (overflow):
#     p                       0      0.25   0.5    0.6   0.95   1
#     numpy inverted_cdf      -inf   -inf   -inf   1     inf    inf
#     scipy inverted_cdf      nan    nan    -inf   1     inf    nan
#     scipy harrell-davis     nan at every p, also at 0.8, where numpy's linear value is 3.2
# NaN comes at the quantiles inside the infinite parts; at the edge of the dead part inverted_cdf gives -inf.
#
# Why it matters: log-norms of chains have -inf by nature (dead ReLU). The one method that is exact for them in
# numpy loses them in scipy, and Harrell-Davis, which gives every value some weight, is lost as soon as one replicate is dead.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 scipy==1.17.1
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PY'
import numpy as np
from scipy import stats

sample = np.array([-np.inf] * 5 + [1.0, 2.0, 3.0, 4.0, np.inf])
levels = np.array([0.0, 0.25, 0.5, 0.6, 0.95, 1.0])
ours = np.quantile(sample, levels, method="inverted_cdf")
theirs = stats.quantile(sample, levels, method="inverted_cdf")
print("numpy inverted_cdf ", ours)
print("scipy inverted_cdf ", theirs)
assert (ours == [-np.inf, -np.inf, -np.inf, 1, np.inf, np.inf]).all()
assert np.isnan(theirs[[0, 1]]).all() and theirs[2] == -np.inf and theirs[3] == 1, "scipy agrees with numpy now"
weighted = stats.quantile(sample, np.append(levels, 0.8), method="harrell-davis")
print("scipy harrell-davis", weighted, "numpy linear at 0.8", np.quantile(sample, 0.8))
assert np.isnan(weighted).all() and np.isfinite(np.quantile(sample, 0.8))
PY
