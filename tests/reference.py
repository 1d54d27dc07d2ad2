"""The same chains, written a second time from docs/physics.md section 2 and multiplied out in the plainest way.

Nothing here knows how rnnmc computes a cell, a tangent or a product: weights and pre-activations come from
rnnmc.engine.draws, everything else is one replicate at a time in float64, with Jacobians by reverse-mode autodiff and a
product that is divided by its largest entry at every step. A cell that is not among those here lends its own `step`.
"""

from functools import partial

import mpmath
import numpy as np
import torch
from reference_flows import STEPS as FLOWS
from reference_gated import STEPS as GATED

from rnnmc.cells import cell as cell_named
from rnnmc.chain.product import follow
from rnnmc.engine import run
from rnnmc.engine.block import partition, run_block
from rnnmc.engine.draws import Draws
from rnnmc.numerics.layout import Rows
from rnnmc.numerics.weights import Weights
from rnnmc.study.point import DesignPoint

sg = torch.sigmoid
torch.set_num_threads(1)  # as in run_block: threads that share these small arrays only wait for one another


def tanh(u, a, inner, s):
    return (torch.tanh(a["hidden"] + u["hidden"] @ s[0]),)


def relu(u, a, inner, s):
    return (torch.relu(a["hidden"] + u["hidden"] @ s[0]),)


def linear(u, a, inner, s):
    return (a["hidden"] + u["hidden"] @ s[0],)


def lstm(u, a, inner, s):
    h, c = s
    f = sg(a["forget"] + u["forget"] @ h)
    i = sg(a["input"] + u["input"] @ h)
    o = sg(a["output"] + u["output"] @ h)
    g = torch.tanh(a["candidate"] + u["candidate"] @ h)
    c = f * c + i * g
    return o * torch.tanh(c), c


def gru(u, a, inner, s):
    (h,) = s
    z = sg(a["update"] + u["update"] @ h)
    r = sg(a["reset"] + u["reset"] @ h)
    y = torch.tanh(a["candidate"] + u["candidate"] @ (r * h))
    return ((1 - z) * h + z * y,)


def gru_tied(u, a, inner, s):
    (h,) = s
    z = sg(a["update"] + u["update"] @ h)
    y = torch.tanh(a["candidate"] + u["candidate"] @ (z * h))
    return ((1 - z) * h + z * y,)


def gru_output_gated(u, a, inner, s):
    h, c = s
    z = sg(a["update"] + u["update"] @ h)
    r = sg(a["output"] + u["output"] @ h)
    y = torch.tanh(a["candidate"] + u["candidate"] @ h)
    c = (1 - z) * c + z * y
    return r * c, c


def gru_reset_after(u, a, inner, s):
    (h,) = s
    z = sg(a["update"] + u["update"] @ h)
    r = sg(a["reset"] + u["reset"] @ h)
    y = torch.tanh(a["candidate"] + r * (u["candidate"] @ h + inner["candidate_recurrent"]))
    return ((1 - z) * h + z * y,)


def minimal_rnn(u, a, inner, s):
    (h,) = s
    k = sg(a["update"] + u["update"] @ h)
    return (k * h + (1 - k) * torch.tanh(a["candidate"]),)


def min_gru(u, a, inner, s):
    (h,) = s
    z = sg(a["update"])
    return ((1 - z) * h + z * a["candidate"],)


def lru(u, a, inner, s):
    eigenvalue = torch.polar(u["modulus"][:, 0], u["phase"][:, 0])
    h = eigenvalue * torch.complex(*s) + torch.complex(a["real"], a["imaginary"])
    return h.real, h.imag


STEPS = {
    step.__name__: step
    for step in (tanh, relu, linear, lstm, gru, gru_tied, gru_output_gated, gru_reset_after, minimal_rnn, min_gru, lru)
}


def step_of(cell: str, layers: int = 1, residual: bool = False):
    """The equations above, of `reference_gated` or of `reference_flows`, or the cell's own step where there are none:
    autograd is then still its own.

    With layers, as docs/physics.md section 2 has them: what a layer sees is W x + b of what the one below has just
    shown, which is its h, and with residual layers what that had seen itself beside, but x.
    """
    step = (STEPS | GATED | FLOWS).get(cell) or partial(_own, cell_named(cell))
    return partial(_in_layers, step, cell_named(cell), layers, residual) if layers > 1 else step


def _in_layers(step, cell, layers, residual, u, a, inner, s):
    size, after, x = len(cell.parts), (), None
    for k in range(layers):
        own, mine = f" of layer {k + 1}" if k else "", s[k * size : (k + 1) * size]
        if x is not None:
            a = {gate: u[f"{gate} into layer {k + 1}"] @ x + inner[f"{gate} bias{own}"] for gate in cell.gates}
        new = step(
            {name: u[name + own] for name in cell.recurrent}, a, {name: inner[name + own] for name in cell.inner}, mine
        )
        x = new[0] + x if residual and x is not None else new[0]
        after += new
    return after


def _own(cell, u, a, inner, s):
    recurrent = {name: matrix.mT[None] for name, matrix in u.items()}
    stacked = torch.cat(list(recurrent.values()), dim=2) if recurrent else None
    bias, drive = ({name: vector[None, None] for name, vector in part.items()} for part in (inner, a))
    state = cell.step(Weights(Rows(), stacked, recurrent, bias), drive, tuple(part[None, None] for part in s))
    return tuple(part[0, 0] for part in state)


def layout_of(point: DesignPoint):
    """The layout in which run_block carries this point."""
    return run.layout_of(partition(point).kernel)


def inputs(point: DesignPoint, replicates: int, block: int = 0, tile: int | None = None):
    """Yield (U, pre-activations, inner biases) of the first `replicates` of a block, step by step, in float64.

    U: name -> (R, out, in). The others: name -> (R, n).
    """
    draws = Draws(point, [(block, 0)], tile or partition(point).tile, Rows(), "cpu")
    for weights, drive in draws.steps():
        u = {name: matrix[:replicates].double().mT for name, matrix in weights.recurrent.items()}
        a = {gate: vector[:replicates, 0].double() for gate, vector in drive.items()}
        yield u, a, {name: vector[:replicates, 0].double() for name, vector in weights.bias.items()}


def initial_state(point: DesignPoint, replicates: int, block: int = 0, tile: int | None = None) -> torch.Tensor:
    """(R, d) in float64."""
    draws = Draws(point, [(block, 0)], tile or partition(point).tile, Rows(), "cpu")
    return torch.cat([part[:replicates, 0] for part in draws.state()], dim=1).double()


def stepper(point: DesignPoint):
    """(next flat state, Jacobian), both for a batch, of the reference's own cell."""
    step, n = step_of(point.cell, point.layers, point.residual), point.width

    def flat(u, a, inner, state):
        return torch.cat(step(u, a, inner, state.split(n)))

    return torch.func.vmap(flat), torch.func.vmap(torch.func.jacrev(flat, argnums=3))


def jacobians(point: DesignPoint, replicates: int, horizon: int, states=None, block: int = 0):
    """Yield J_t, (R, d, d), for t = 1 ... horizon, along the reference's own trajectory, or along `states` given."""
    advance, jacobian = stepper(point)
    state = initial_state(point, replicates, block)
    for t, step in zip(range(horizon), inputs(point, replicates, block), strict=False):
        if states is not None:
            state = states[t]
        yield jacobian(*step, state).numpy()
        state = advance(*step, state)


def log_norms(factors, horizons) -> tuple[np.ndarray, np.ndarray]:
    """(R, horizons) log ||J_T ... J_1||_2 and log(||.||_F / sqrt d), in nats."""
    spectral, rms, product, log = [], [], None, 0.0
    for t, factor in enumerate(factors, 1):
        product = factor if product is None else factor @ product
        size = np.abs(product).max(axis=(1, 2), keepdims=True)
        with np.errstate(divide="ignore"):
            log = log + np.log(size[:, 0, 0])
        product = product / np.where(size > 0, size, 1)
        if t in horizons:
            with np.errstate(divide="ignore"):
                spectral.append(log + np.log(np.linalg.norm(product, 2, axis=(1, 2))))
                rms.append(log + np.log(np.linalg.norm(product, axis=(1, 2)) / np.sqrt(product.shape[1])))
    return np.stack(spectral, axis=1), np.stack(rms, axis=1)


def log_norms_in_many_digits(factors, horizon: int, digits: int = 60) -> np.ndarray:
    """(R,) log of the Frobenius norm over sqrt d at `horizon`, multiplied out in `digits` decimal digits."""
    with mpmath.workdps(digits):
        factors = [mpmath_matrices(factor) for _, factor in zip(range(horizon), factors, strict=False)]
        result = []
        for r in range(len(factors[0])):
            product = factors[0][r]
            for factor in factors[1:]:
                product = factor[r] * product
            result.append(float(mpmath.log(mpmath.norm(product, 2) / mpmath.sqrt(product.rows))))
    return np.array(result)


def mpmath_matrices(batch: np.ndarray) -> list:
    return [mpmath.matrix(matrix.tolist()) for matrix in batch]


def measured(point: DesignPoint, replicates: int, block: int = 0):
    """(log_spectral, log_rms, status), each (R, horizons), from run_block."""
    return measured_with_errors(point, replicates, block)[:3]


def measured_with_errors(point: DesignPoint, replicates: int, block: int = 0):
    """What `measured` gives, and the errors that the samples state of both norms, zero where only by rounding."""
    count = partition(point).block
    tables, left = [], replicates
    while left > 0:
        tables.append(run_block(point, block, min(left, count)))
        left, block = left - count, block + 1
    shape = (replicates, len(point.horizons))

    def column(name):
        return np.concatenate([table[name].to_numpy() for table in tables]).reshape(shape)

    errors = [np.nan_to_num(column(f"{name}_error").astype(float)) for name in ("log_spectral", "log_rms")]
    return column("log_spectral"), column("log_rms"), column("status"), *errors


def trajectory(
    point: DesignPoint, replicates: int, horizon: int, block: int = 0, tile: int | None = None
) -> list[torch.Tensor]:
    """The engine's own states s_0 ... s_horizon, (R, d) float64 each."""
    layout = layout_of(point)
    draws = Draws(point, [(block, 0)], tile or partition(point).tile, layout, "cpu")
    moments = run.moments(partition(point).kernel, draws, tuple(range(1, horizon + 1)))
    states = [initial_state(point, replicates, block, tile)]
    for moment in moments:
        parts = [layout.matrices(part)[:replicates, 0].double() for part in moment.state]
        states.append(torch.cat(parts, dim=1))
    return states


def chain_of(point: DesignPoint, replicates: int, block: int = 0, state=None):
    """The engine's Moments at the point's horizons, from its own state or the (R, n) parts in `state`."""
    layout = layout_of(point)
    draws = Draws(point, [(block, 0)], replicates, layout, "cpu")
    start = draws.state()
    if state is not None:
        start = tuple(layout.load(np.asarray(part)[:, None], draws.dtype, "cpu") for part in state)
    with torch.no_grad():
        yield from follow(point.cell_object, layout, draws.steps(), start, point.horizons)


def first_direction(moment) -> np.ndarray:
    """(R,) log ||P_T e_1||, in nats."""
    row = moment.product[:, 0].double()
    return (row.norm(dim=1).log() + moment.exponent.double() * np.log(2)).numpy()
