"""The gated cells of other papers, against their formulas written a second time."""

import numpy as np
import pytest
import torch
from reference_gated import STEPS

from rnnmc.cells import cells
from rnnmc.cells.star import STAR
from rnnmc.engine.draws import Draws
from rnnmc.numerics.layout import Columns, Rows
from rnnmc.numerics.weights import Weights
from rnnmc.study.initialisation import Initialisation
from rnnmc.study.point import DesignPoint

LAYOUTS = [Rows(), Columns()]
REPLICATES, WIDTH = 3, 4
torch.set_num_threads(1)


def drawn(cell):
    """(recurrent, vectors beside it, drive, state), name -> float64 arrays, away from zero and from saturation."""
    rng = np.random.default_rng(7)

    def some(names, *shape):
        return {name: rng.standard_normal((REPLICATES, *shape)) for name in names}

    u = some(cell.recurrent, WIDTH, WIDTH)
    return u, some(cell.inner, WIDTH), some(cell.gates, WIDTH), some(cell.parts, WIDTH)


def of_the_cell(cell, layout, u, inner, drive, state):
    """(R, d) next states and (R, d, d) Jacobians, out by in, as `linearise` gives them."""

    def load(array):
        return layout.load(array, torch.float64, "cpu")

    def vectors(arrays):
        return {name: load(array[:, None]) for name, array in arrays.items()}

    stacked = load(np.concatenate([u[name].transpose(0, 2, 1) for name in cell.recurrent], axis=2)) if u else None
    parts = dict(zip(u, stacked.split(WIDTH, layout.out_axis), strict=True)) if u else {}
    weights = Weights(layout, stacked, parts, vectors(inner))
    after, push = cell.linearise(weights, vectors(drive), tuple(vectors(state).values()))
    size = WIDTH * len(cell.parts)
    rows = load(np.repeat(np.eye(size)[None], REPLICATES, axis=0))
    pushed = push(rows.split(WIDTH, layout.out_axis))
    flat, jacobian = (torch.cat([layout.matrices(part) for part in found], dim=2) for found in (after, pushed))
    return flat[:, 0].numpy(), jacobian.mT.numpy()


def of_the_paper(step, u, inner, drive, state):
    """The same, by reverse-mode autograd through the formula, one replicate at a time."""
    flats, jacobians = [], []
    for r in range(REPLICATES):
        of_one = [{name: torch.from_numpy(array[r]) for name, array in part.items()} for part in (u, drive, inner)]

        def flat(s, of_one=of_one):
            return torch.cat(step(*of_one, s.split(WIDTH)))

        at = torch.cat([torch.from_numpy(part[r]) for part in state.values()])
        flats.append(flat(at).numpy())
        jacobians.append(torch.func.jacrev(flat)(at).numpy())
    return np.stack(flats), np.stack(jacobians)


def distance(cell, step, layout):
    """The largest difference in a next state or a Jacobian."""
    given = drawn(cell)
    pairs = zip(of_the_cell(cell, layout, *given), of_the_paper(step, *given), strict=True)
    return max(float(np.abs(one - other).max()) for one, other in pairs)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
@pytest.mark.parametrize("name", STEPS)
def test_a_cell_is_its_paper_s_formula_and_its_tangent_the_derivative_of_that(name, layout):
    assert distance(cells()[name], STEPS[name], layout) < 1e-10


def test_a_gate_the_other_way_round_is_told_apart():
    class Keeps(STAR):
        """k keeps where the paper lets it admit; step and tangent fit."""

        def linearise(self, weights, drive, state):
            return super().linearise(weights, drive | {"update": -drive["update"]}, state)

    assert distance(Keeps(), STEPS["star"], Rows()) > 0.01


WIDE, INPUTS = 16, 4
PUBLISHED = {  # of n = 16, m = 4, (mean, deviation) of an entry as the paper or its code has it
    "lstm_peephole": {("recurrent", "forget"): (0, 0.1), ("input", "output"): (0, 0.1), ("vector", "input"): (0, 0.1)},
    "lstm_coupled": {("recurrent", "input"): (0, 0.1), ("input", "output"): (0, 0.1), ("bias", "input"): (0, 0)},
    "janet": {
        ("recurrent", "forget"): (0, (2 / 48) ** 0.5),  # Glorot: variance 2 / (rows + columns)
        ("input", "candidate"): (0, (2 / 36) ** 0.5),
        ("bias", "forget"): (1, 0),
        ("bias", "candidate"): (0, 0),
    },
    "ugrnn": {("recurrent", "update"): (0, (2 / 52) ** 0.5), ("bias", "update"): (1, 0), ("bias", "candidate"): (0, 0)},
    "star": {("recurrent", "update"): (0, 0.25), ("input", "candidate"): (0, 0.25), ("bias", "update"): (1, 48**-0.5)},
    "ligru": {("recurrent", "candidate"): (0, 0.25), ("input", "update"): (0, (2 / 20) ** 0.5)},
    "fastrnn": {("recurrent", "hidden"): (0, 0.1), ("input", "hidden"): (0, 0.1), ("bias", "hidden"): (1, 0)},
    "fastgrnn": {("recurrent", "update"): (0, 0.1), ("bias", "update"): (1, 0), ("bias", "candidate"): (0, 0)},
    "brc": {("input", "feedback"): (0, (2 / 20) ** 0.5), ("vector", "update"): (1, 0), ("bias", "update"): (0, 0)},
    "nbrc": {("recurrent", "update"): (0, 0.25), ("input", "update"): (0, (2 / 20) ** 0.5)},
}


def test_every_published_initialisation_of_these_cells_is_held_here():
    assert set(PUBLISHED) == {name for name in STEPS if cells()[name].published(1, 1)}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_initialisation_has_the_paper_s_mean_and_deviation(name):
    laws = Initialisation.read("published").laws(cells()[name], WIDE, INPUTS)
    for (role, gate), (mean, deviation) in PUBLISHED[name].items():
        rows = {"recurrent": WIDE, "input": INPUTS}.get(role, 1)
        found, variance = laws[role][gate].moments(rows, WIDE)
        assert found == mean
        assert variance == pytest.approx(deviation**2, rel=1e-12)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_initialisation_can_be_drawn_at_any_width_and_number_of_inputs(name):
    for width, drive in ((1, "white"), (5, {"white": 3})):
        point = DesignPoint(cell=name, width=width, init="published", drive=drive, horizons=(2,))
        weights, fed = next(iter(Draws(point, [(0, 0)], 2, Rows(), "cpu").steps()))
        drawn = [*weights.recurrent.values(), *weights.bias.values(), *fed.values()]
        assert all(bool(part.isfinite().all()) for part in drawn)
