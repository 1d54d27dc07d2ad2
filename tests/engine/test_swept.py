"""Directions swept by C that is made from a cell are those of the plain chain, over all cells, either way."""

import pytest
import torch
from grids import FULL, MATRICES, spread

from rnnmc.cells import cells
from rnnmc.cells.cell import Cell
from rnnmc.chain.product import follow
from rnnmc.engine.compiled.symbols import Untraceable
from rnnmc.engine.compiled.trace import traced
from rnnmc.engine.draws import Draws
from rnnmc.engine.swept import emit
from rnnmc.engine.swept import trajectory as swept
from rnnmc.engine.swept.factors import factors_of
from rnnmc.engine.swept.trajectory import trajectory
from rnnmc.numerics import compiler
from rnnmc.numerics.layout import Rows
from rnnmc.study.point import DesignPoint

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="no C compiler on this machine")
WITH_MATRICES = [name for name in MATRICES if cells()[name].recurrent and not cells()[name].diagonal]
ROUNDING = {"float32": 2e-5, "float64": 1e-13}  # of the largest entry, over ten steps
HORIZONS, REPLICATES, TILE = (4, 10), 2, [(0, 0)]


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture
def _quickly_compiled(monkeypatch):
    """Compiled without a thought for speed, which takes a tenth of the time; the numbers are the same to rounding."""
    monkeypatch.setattr(compiler, "FLAGS", ("-O0", *(flag for flag in compiler.FLAGS if flag != "-O3")))
    monkeypatch.setattr(emit, "SWEPT_TOGETHER", (4,))
    monkeypatch.setattr(swept, "SWEPT_TOGETHER", (4, 4))
    swept.kernels.cache_clear()
    yield
    swept.kernels.cache_clear()


def draws_of(design: DesignPoint, replicates: int = REPLICATES) -> Draws:
    return Draws(design, TILE, replicates, Rows(), "cpu")


def agree(design: DesignPoint, replicates: int = REPLICATES) -> None:
    """All unit directions become the columns of P_t forwards, and its rows backwards."""
    along, draws = trajectory(design, draws_of(design, replicates)), draws_of(design, replicates)
    assert along is not None
    which, d = torch.arange(replicates).flip(0), design.state_size
    unit = torch.eye(d, dtype=draws.dtype).expand(replicates, d, d)
    times = torch.tensor(design.horizons).expand(replicates, -1)
    there, back = along.sweep(which, unit, times), along.sweep(which, unit, times[:, -1:], backward=True)
    chain = follow(draws.cell, Rows(), draws.steps(), draws.state(), design.horizons)
    for i, moment in enumerate(chain):
        last = i == len(design.horizons) - 1
        found = [(there, i, False), *([(back, 0, True)] if last else [])]
        for image, at, transposed in found:
            shift = image.exponent[:, at].flip(0)[:, :, None] - moment.exponent[:, None, None]
            product = torch.ldexp(image.rows[:, at].flip(0), shift)
            off = (product.mT if transposed else product) - moment.product
            size = moment.product.abs().amax((1, 2))
            assert (off.abs().amax((1, 2)) <= ROUNDING[design.dtype] * size).all()


@pytest.mark.slow
@pytest.mark.usefixtures("_quickly_compiled")
@pytest.mark.parametrize(("cell", "dtype"), spread(ROUNDING, names=WITH_MATRICES))
def test_every_cell_sweeps_forwards_and_backwards_as_the_plain_chain_does(cell, dtype):
    width = 21 if cell in FULL else 19  # no whole number of lanes, let alone of panels
    agree(DesignPoint(cell=cell, width=width, dtype=dtype, horizons=HORIZONS, state_std=0.5))


@pytest.mark.slow
@pytest.mark.usefixtures("_quickly_compiled")
@pytest.mark.parametrize("drive", ["none", {"white": 3}, "field"], ids=str)
def test_every_drive_and_several_layers_are_those_of_the_plain_chain(drive):
    init = {"recurrent": {"gaussian": 1.5}, "input": {"gaussian": 0.7}}
    agree(DesignPoint(cell="gru", width=17, layers=2, init=init, dtype="float64", drive=drive, horizons=HORIZONS), 3)


def test_a_cell_that_is_not_linear_in_its_directions_has_no_sweeps():
    class Odd(Cell):
        name, gates = "odd", ("hidden",)

        def linearise(self, weights, drive, state):
            h = drive["hidden"] + weights.apply(state[0], "hidden")["hidden"]
            return (h,), lambda directions: (weights.product(directions[0].tanh(), weights.recurrent["hidden"]),)

    with pytest.raises(Untraceable, match="tanh of directions is not linear"):
        factors_of(traced(Odd()))


def test_a_cell_without_recurrent_matrices_has_no_sweeps():
    assert swept.kernels("min_gru", 32, torch.float32) is None
    assert swept.kernels("lru", 32, torch.float32) is None
