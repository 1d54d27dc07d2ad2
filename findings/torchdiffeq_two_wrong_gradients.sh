#!/usr/bin/env bash
# torchdiffeq 0.2.5 (odeint and odeint_adjoint, dopri5 with its own tolerances 1e-7 and 1e-9) on torch 2.13.0, float64. Found 2026-11-28.
#
# Expected: for a contracting rate network dx/dt = -x + tanh(W x + b) both gradients of x(T) for x(0) follow the true one
# within some digits: backpropagation through the solver to rounding, the adjoint to its tolerance.
# What happens: they leave it on opposite sides. The step sizes of the solver depend on x(0) and the solution depends on the step
# sizes within the tolerance; backpropagation goes through that too, so its gradient stops falling near 1e-8. The adjoint runs the state
# backwards, where this network is unstable, drifts off the trajectory and meets saturated units: it vanishes more than twice too fast.
# 16 units, gain 0.8, norm of the gradient of the sum of x(T) for x(0); rk4 with a fixed step 0.05 as the truth:
#     T     rk4       odeint    odeint rtol 1e-4   odeint_adjoint
#     10    1.2e-02   1.2e-02   1.2e-02            1.2e-02
#     20    2.5e-04   2.5e-04   2.5e-04            2.6e-05
#     40    1.0e-07   1.0e-07   5.5e-05            4.7e-14
#     60    6.4e-11   1.9e-08   1.1e-05            2.8e-23
#     100   1.4e-17   3.4e-09   3.9e-06            9.2e-41
# rtol 1e-12 mends the first (2.1e-16 at 100) and not the second (7.6e-39).
#
# Why it matters: rates over T = 60 to 100 are -0.38 (true), -0.04 and -1.01 a unit of time. A continuous-time recurrent network "remembers" or "forgets"
# by the choice of the function that is asked for its gradient, and no warning is given.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 scipy==1.17.1 torch==2.13.0 torchdiffeq==0.2.5
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PY'
import math

import torch
from torchdiffeq import odeint, odeint_adjoint

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
n = 16


class Rates(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = torch.nn.Parameter(0.8 * torch.randn(n, n) / n**0.5)
        self.bias = torch.nn.Parameter(torch.randn(n) * 0.5)

    def forward(self, time, x):
        return -x + torch.tanh(x @ self.weights.T + self.bias)


network, start = Rates(), torch.randn(1, n)


def norm(solve, horizon, **how):
    first = start.clone().requires_grad_()
    last = solve(network, first, torch.tensor([0.0, horizon]), **how)[-1]
    return torch.autograd.grad(last.sum(), first)[0].norm().item()


seen = {}
for horizon in (10.0, 20.0, 40.0, 60.0, 100.0):
    seen[horizon] = (norm(odeint, horizon, method="rk4", options={"step_size": 0.05}), norm(odeint, horizon),
                     norm(odeint, horizon, rtol=1e-4, atol=1e-6), norm(odeint_adjoint, horizon))
    print("T = %.0f: rk4 %.1e, odeint %.1e, odeint loose %.1e, adjoint %.1e" % (horizon, *seen[horizon]))
tight = norm(odeint, 100.0, rtol=1e-12, atol=1e-14), norm(odeint_adjoint, 100.0, rtol=1e-12, atol=1e-14)
print("T = 100 with rtol 1e-12: odeint %.1e, adjoint %.1e" % tight)
rates = [math.log(late / early) / 40 for late, early in zip(seen[100.0], seen[60.0])]
print("rate from 60 to 100: rk4 %.2f, odeint %.2f, odeint loose %.2f, adjoint %.2f" % tuple(rates))
truth, direct, loose, adjoint = seen[100.0]
assert all(abs(value / seen[10.0][0] - 1) < 0.01 for value in seen[10.0])
assert direct > 1e3 * truth and loose > 1e6 * truth and seen[20.0][3] < 0.5 * seen[20.0][0] and adjoint < 1e-10 * truth
assert rates[1] > -0.3 and rates[3] < -0.6
PY
