"""What a cell does over its units, with vectors and with transposes, against autograd through cells written plainly."""

from __future__ import annotations

import copy
import importlib
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import rnnmc
from rnnmc.cells.cell import Gating
from rnnmc.chain.check_cell import check_cell
from rnnmc.chain.norms import log_norms
from rnnmc.chain.product import follow
from rnnmc.common.errors import UsageError
from rnnmc.engine import run
from rnnmc.engine.block import run_block
from rnnmc.engine.compiled.agreement import disagreement
from rnnmc.engine.compiled.follow import made
from rnnmc.engine.compiled.trace import traced
from rnnmc.engine.draws import Draws
from rnnmc.engine.few_directions.factored import Linearised
from rnnmc.numerics import compiler
from rnnmc.numerics.layout import Columns, Rows
from rnnmc.numerics.weights import Weights
from rnnmc.study.point import DesignPoint

PAGE = (Path(__file__).parents[2] / "docs/extending.md").read_text(encoding="utf-8")
WRITTEN = dict(re.findall(r"```python\n# rnnmc/cells/(\S+)\.py\n(.*?)```", PAGE, re.DOTALL))
F = torch.nn.functional
HORIZONS, WIDTH = (1, 12), 4


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """name -> `module:attribute` of a cell of docs/extending.md."""
    folder = tmp_path_factory.mktemp("own")
    for name, code in WRITTEN.items():
        (folder / f"own_{name}.py").write_text(code, encoding="utf-8")
    sys.path.insert(0, str(folder))
    yield lambda name: f"own_{name}:CELL"
    sys.path.remove(str(folder))


# --- each written a second time, one replicate at a time ------------------------------------------


def layer_norm(u, v, x, h):
    return (F.layer_norm(x["hidden"] + u["hidden"] @ h[0], h[0].shape).tanh(),)


def divisive(u, v, x, h):
    a = x["hidden"] + u["hidden"] @ h[0] - h[0].sum() / 10
    return (a / (1 + a @ a).sqrt(),)


def peephole_lstm(u, v, x, s):
    h, c = s
    f, i, g = (x[k] + u[k] @ h for k in ("forget", "input", "candidate"))
    new = torch.sigmoid(f + v["forget"] * c) * c + torch.sigmoid(i + v["input"] * c) * torch.tanh(g)
    return torch.sigmoid(x["output"] + u["output"] @ h + v["output"] * new) * torch.tanh(new), new


def my_indrnn(u, v, x, h):
    return (torch.relu(x["hidden"] + torch.diag(v["hidden"]) @ h[0]),)


def time_scales(u, v, x, h):
    tau = torch.tensor([100 ** (k / (len(h[0]) - 1)) for k in range(len(h[0]))], dtype=torch.float64)
    return (h[0] + (torch.tanh(x["hidden"] + u["hidden"] @ h[0]) - h[0]) / tau,)


def my_antisymmetric(u, v, x, h):
    flow = u["hidden"] - u["hidden"].T - 0.01 * torch.eye(len(h[0]), dtype=torch.float64)
    return (h[0] + 0.1 * torch.tanh(x["hidden"] + flow @ h[0]),)


def projected_lstm(u, v, x, s):
    """PyTorch's own, with a hidden state of half the length."""
    h, c = s
    n, half = len(c), len(c) // 2
    cell = torch.nn.LSTM(1, n, proj_size=half).double()
    order = ("input", "forget", "candidate", "output")
    parameters = {
        "weight_hh_l0": torch.cat([u[k][:, :half] for k in order]),
        "weight_ih_l0": torch.zeros(4 * n, 1, dtype=torch.float64),
        "bias_ih_l0": torch.cat([x[k] for k in order]),
        "bias_hh_l0": torch.zeros(4 * n, dtype=torch.float64),
        "weight_hr_l0": u["projection"][:half],
    }
    given = (torch.zeros(1, 1, 1, dtype=torch.float64), (h[None, None, :half], c[None, None]))
    _, (shown, memory) = torch.func.functional_call(cell, parameters, given)
    return torch.cat([shown[0, 0], torch.zeros(n - half, dtype=torch.float64)]), memory[0, 0]


PLAIN = [layer_norm, divisive, peephole_lstm, my_indrnn, time_scales, my_antisymmetric, projected_lstm]
BY_HAND = [plain for plain in PLAIN if "def linearise" in WRITTEN[plain.__name__]]


def by_autograd(plain, draws: Draws, replicate: int, steps: int) -> list[torch.Tensor]:
    """The Jacobian of each of the first steps of this replicate."""
    cell, n, found = draws.cell, draws.width, []
    state = torch.cat([draws.layout.matrices(part)[replicate, 0] for part in draws.state()])
    for (weights, drive), _ in zip(draws.steps(), range(steps)):  # noqa: B905 - steps are without end

        def vector(value: torch.Tensor) -> torch.Tensor:
            return draws.layout.matrices(value)[replicate, 0]

        u = {name: draws.layout.matrices(matrix)[replicate].mT for name, matrix in weights.recurrent.items()}
        v = {name: vector(weights.vectors[name]) for name in cell.vectors}
        x = {gate: vector(value) for gate, value in drive.items()}

        def step(s: torch.Tensor) -> torch.Tensor:
            return torch.cat(plain(u, v, x, tuple(s.split(n))))  # noqa: B023 - called at once

        found.append(torch.autograd.functional.jacobian(step, state))
        state = step(state).detach()
    return found


def point_of(name: str, **more) -> DesignPoint:
    usual = {"width": WIDTH, "dtype": "float64", "state_std": 1.0, "horizons": HORIZONS, "init": "pytorch"}
    return DesignPoint(cell=name, **(usual | more))


@pytest.mark.parametrize("layout", [Columns(), Rows()], ids=["columns", "rows"])
@pytest.mark.parametrize("plain", PLAIN, ids=lambda plain: plain.__name__)
def test_a_cell_over_units_has_the_chain_of_the_same_cell_written_plainly(plain, layout, own):
    point = point_of(
        own(plain.__name__), init={"preset": "pytorch"} if plain is not my_indrnn else {"vector": {"gaussian": 1}}
    )
    fresh = [Draws(point, [(0, 0)], 5, layout, "cpu") for _ in range(6)]
    with torch.no_grad():
        draws = fresh[0]
        chain = list(follow(draws.cell, layout, draws.steps(), draws.state(), HORIZONS))
    found = np.stack([log_norms(moment)["log_spectral"] for moment in chain], axis=1)
    wanted = np.zeros_like(found)
    for r, draws in enumerate(fresh[1:]):
        product = torch.eye(point.state_size, dtype=torch.float64)
        for t, jacobian in enumerate(by_autograd(plain, draws, r, HORIZONS[-1]), 1):
            product = jacobian @ product
            if t in HORIZONS:
                wanted[r, HORIZONS.index(t)] = torch.linalg.matrix_norm(product, 2).log()
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


def test_a_layer_norm_over_replicates_would_be_seen(own):
    """The median of 40 replicates at horizon 100 is -74 over units, and -15 where replicates are mixed."""
    table = run_block(point_of(own("layer_norm"), state_std=0, dtype="float32", horizons=(10, 100)), 0, 400)
    last = table.filter(table["horizon"].to_numpy() == 100)["log_spectral"].to_numpy()
    assert abs(np.median(last) + 70) < 6.2  # five standard errors of a median: deviation 40, 400 replicates, 1.25


@pytest.mark.parametrize("plain", BY_HAND, ids=lambda plain: plain.__name__)
def test_a_tangent_by_hand_over_units_is_traced(plain, own):
    assert traced(importlib.import_module(own(plain.__name__).partition(":")[0]).CELL).pushed


@pytest.mark.slow
@pytest.mark.skipif(compiler.compiler() is None, reason="no C compiler on this machine")
@pytest.mark.parametrize("plain", [layer_norm, time_scales, my_antisymmetric], ids=lambda plain: plain.__name__)
def test_sums_constants_and_transposes_are_right_in_lanes_that_units_fill_only_in_part(plain, own):
    cell = importlib.import_module(own(plain.__name__).partition(":")[0]).CELL
    function, _ = made(cell, 17, torch.float32, False)
    assert function is not None
    assert disagreement(cell, function, 17, torch.float32, False) < 0.5


def test_a_record_knows_vectors_and_constants_and_leaves_sums_to_the_push(own):
    cells = {name: importlib.import_module(f"own_{name}").CELL for name in WRITTEN}
    assert {name for name, cell in cells.items() if Linearised(cell).recorded} == {"time_scales", "my_indrnn"}


# --- vector weights -------------------------------------------------------------------------------


def test_vector_weights_are_standard_unless_said_and_follow_their_law_by_name(own):
    name = own("peephole_lstm")
    unsaid = Draws(point_of(name), [(0, 0)], 2000, Rows(), "cpu").given.inner
    assert unsaid.shape == (2000, 1, 3 * WIDTH)
    assert abs(float(unsaid.mean())) < 5 / math.sqrt(unsaid.numel())
    assert abs(float(unsaid.var()) - 1) < 5 * math.sqrt(2 / unsaid.numel())
    init = {"preset": "pytorch", "vector": {"forget": 3.0, "output": {"uniform": {"limit": 0.5}}}}
    said = point_of(name, init=init)
    forget, admit, output = Draws(said, [(0, 0)], 500, Rows(), "cpu").given.inner.split(WIDTH, 2)
    assert (forget == 3).all()
    assert float(admit.abs().max()) > 2
    assert 0.45 < float(output.abs().max()) <= 0.5
    assert said.key != point_of(name).key
    assert said.init.read(said.init.written()) == said.init


def test_vector_weights_change_no_draw_of_the_others(own):
    point = point_of(own("peephole_lstm"))
    with_vectors, without = (Draws(point, [(0, 0)], 50, Rows(), "cpu") for _ in range(2))
    without.cell = copy.copy(point.cell_object)
    without.cell.vectors = ()  # pyright: ignore[reportAttributeAccessIssue]
    for name in ("recurrent", "inputs", "bias"):
        assert torch.equal(getattr(with_vectors.given, name), getattr(without.given, name))
    assert (with_vectors.given.inner.shape[2], without.given.inner.shape[2]) == (3 * WIDTH, 0)


def test_units_that_see_only_themselves_grow_as_their_own_weight(own):
    """Without input, h_0 > 0 and u > 0: l_T = T log max u of those units; dead with probability (3/4)^n."""
    init = {"vector": {"gaussian": 1.0}}
    point = point_of(own("my_indrnn"), init=init, width=2, drive="none", horizons=(1, 50))
    count = 4000
    table = run_block(point, 0, count)
    found = table.filter(table["horizon"].to_numpy() == 50)["log_spectral"].to_numpy()
    dead = float(np.isneginf(found).mean())
    assert abs(dead - 0.5625) < 5 * math.sqrt(0.5625 * 0.4375 / count)
    tile = run.layout_of("rows")
    draws = Draws(point, [(0, 0)], 200, tile, "cpu")
    u, h = draws.given.inner[:, 0].numpy(), draws.state()[0][:, 0].numpy()
    with np.errstate(divide="ignore"):
        wanted = 50 * np.log(np.where((h > 0) & (u > 0), u, 0).max(1))
    with torch.no_grad():
        (moment,) = follow(draws.cell, tile, draws.steps(), draws.state(), (50,))
    np.testing.assert_allclose(log_norms(moment)["log_spectral"], wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"weights": "untied"}, "weights: untied is for matrices, and peephole_lstm has vector weights; give tied"),
        ({"init": {"preset": "pytorch", "vector": {"cell": 1.0}}}, r"init.vector.cell: cell is not a vector gate"),
        (
            {"init": {"preset": "pytorch", "vectors": 1.0}},
            "init.vectors: 1.0 is under an unknown key; did you mean vector",
        ),
        ({"init": {"preset": "pytorch", "vector": {"gaussian": 1, "spectral_radius": 1}}}, "scales square matrices"),
        ({"init": {"preset": "pytorch", "vector": "gaussian"}}, "init.vector: gaussian is a law without its gain"),
        ({"cell": "tanh", "init": {"preset": "pytorch", "vector": 1.0}}, "vector weights, and tanh has none"),
        ({"cell": "lru", "init": {"recurrent": {"ring": 1}, "vector": 1.0}}, "vector weights, and lru has none"),
    ],
)
def test_what_vector_weights_cannot_be_is_refused_in_a_sentence(more, said, own):
    with pytest.raises(UsageError, match=said):
        point_of(more.pop("cell", own("peephole_lstm")), **more)


def test_a_cell_says_its_vectors_as_a_tuple_of_names_of_their_own():
    for vectors, more in (("forget", {}), (("floor",), {"inner_biases": {"floor": "hidden"}})):
        with pytest.raises(TypeError, match="give a tuple of names"):
            type("Odd", (rnnmc.Cell,), {"gates": ("hidden",), "vectors": vectors, "step": len, **more})
    odd = {"gates": ("update",), "vectors": ("peephole",), "memory": {"update": 1}, "gating": Gating("update")}
    with pytest.raises(TypeError, match="say nothing of vectors"):
        type("Odd", (rnnmc.Cell,), odd | {"step": len})


# --- axes by their number -------------------------------------------------------------------------


class Over(rnnmc.Cell):
    """A tanh network that does something to its pre-activations first."""

    name, formula, source, gates = "over", "-", "a test", ("hidden",)

    def over(self, w, a, h):
        return a

    def step(self, weights, drive, state):
        (h,) = state
        a = drive["hidden"] + weights.apply(h, "hidden")["hidden"]
        return (self.over(weights, a, h).tanh(),)


def u_of(w):
    return w.recurrent["hidden"]


MEANT = {
    "mean over the last axis mixes replicates; use weights.mean(x), which means over units": [
        lambda w, a, h: a - a.mean(-1, keepdim=True),
        lambda w, a, h: a - a.mean(-1),
        lambda w, a, h: a - torch.mean(a, dim=-1, keepdim=True),
    ],
    "mean over axis 2 mixes replicates; use weights.mean(x)": [lambda w, a, h: a - a.mean(2, keepdim=True)],
    "mean over all axes mixes replicates; use weights.mean(x)": [lambda w, a, h: a - a.mean()],
    "mean over axis 1 is over units in one layout only; use weights.mean(x)": [
        lambda w, a, h: a - a.mean(1, keepdim=True)
    ],
    "use weights.sum(x)": [
        lambda w, a, h: a - a.sum(-1, keepdim=True),
        lambda w, a, h: a - torch.sum(a, (0, -1), keepdim=True),
    ],
    "use weights.variance(x), which": [lambda w, a, h: a / (1 + a.var(-1, keepdim=True, correction=0))],
    "use weights.variance(x).sqrt()": [lambda w, a, h: a / (1 + a.std(-1, keepdim=True, correction=0))],
    "use weights.norm(x)": [
        lambda w, a, h: a / a.norm(dim=-1, keepdim=True),
        lambda w, a, h: a / torch.linalg.norm(a, dim=-1, keepdim=True),
        lambda w, a, h: a / torch.linalg.vector_norm(a, dim=-1, keepdim=True),
    ],
    "use x / weights.norm(x)": [lambda w, a, h: F.normalize(a, dim=-1)],
    "use (x - weights.mean(x)) / (weights.variance(x) + 1e-5).sqrt()": [lambda w, a, h: F.layer_norm(a, a.shape[-1:])],
    "use x.exp() / weights.sum(x.exp())": [lambda w, a, h: a.softmax(-1), lambda w, a, h: F.softmax(a, dim=-1)],
    "use weights.layout.out_axis": [
        lambda w, a, h: a - a.amax(-1, keepdim=True),
        lambda w, a, h: a - a.max(-1, keepdim=True).values,
        lambda w, a, h: a + h.roll(1, -1),
        lambda w, a, h: a + h.cumsum(2),
        lambda w, a, h: a + h.flip(-1),
    ],
    "use weights.transpose(matrix)": [
        lambda w, a, h: a - w.product(h, u_of(w).mT),
        lambda w, a, h: a - w.product(h, u_of(w).transpose(-1, -2)),
        lambda w, a, h: a - w.product(h, u_of(w).permute(0, 2, 1)),
    ],
    "use weights.product(x, matrix)": [
        lambda w, a, h: a + h @ u_of(w),
        lambda w, a, h: a + torch.einsum("bki,bij->bkj", h, u_of(w)),
    ],
    "use weights.constant(values, like=x)": [
        lambda w, a, h: a * torch.linspace(0.1, 1, 5),
        lambda w, a, h: a * torch.linspace(0.1, 1, 5)[:, None],
        lambda w, a, h: a + h * torch.linspace(0.1, 1, 5),
    ],
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:var:UserWarning", "ignore:std:UserWarning")
@pytest.mark.parametrize("said", MEANT)
def test_an_axis_by_its_number_is_refused_with_the_helper_that_was_meant(said):
    for over in MEANT[said]:
        cell = type("Own", (Over,), {"over": lambda _, w, a, h, over=over: over(w, a, h)})()
        wrong = [result for result in check_cell(cell) if not result.passed]
        assert wrong
        assert any(said in result.meaning for result in wrong)
        assert not any("must match" in result.meaning for result in wrong)  # torch's words


RIGHT = {
    "sums": lambda w, a, h: a - w.mean(a) + w.sum(h),
    "spread": lambda w, a, h: a / (w.variance(a) + w.norm(a)),
    "constants": lambda w, a, h: a * w.constant([1, 2, 3, 4, 5], like=a) + w.constant(range, like=h),
    "transposes": lambda w, a, h: a - w.product(h, w.transpose(u_of(w)) * a),
    "by the axis of units": lambda w, a, h: a - h.amax(w.layout.out_axis, keepdim=True) + h.roll(1, w.layout.out_axis),
}


@pytest.mark.parametrize("name", RIGHT)
def test_the_helpers_pass_every_check(name):
    cell = type("Own", (Over,), {"over": lambda _, w, a, h: RIGHT[name](w, a, h)})()
    assert not [result for result in check_cell(cell) if not result.passed]


def test_a_constant_of_another_length_is_refused_by_its_length():
    weights = Weights(Rows(), None, {}, {})
    with pytest.raises(ValueError, match="a constant of 3 values for 2 units; give one a unit"):
        weights.constant([1, 2, 3], like=torch.zeros(7, 1, 2))
    assert weights.constant(range, like=torch.zeros(7, 1, 2)).tolist() == [[[0, 1]]]


def test_a_norm_has_no_slope_at_zero_rather_than_no_number():
    zero = torch.zeros(3, 1, 4, requires_grad=True)
    Weights(Rows(), None, {}, {}).norm(zero).sum().backward()
    assert zero.grad is not None
    assert (zero.grad == 0).all()


@pytest.mark.parametrize("gain", [lambda self: self.calls, lambda self: torch.rand(())], ids=["a count", "random"])
def test_a_cell_that_is_another_the_second_time_fails_its_check(gain):
    class Changes(Over):
        calls = 1

        def over(self, w, a, h):
            self.calls += 1
            return a * gain(self)

    assert "again" in {result.name for result in check_cell(Changes()) if not result.passed}
