"""The terms of every cell with a main term against reverse-mode autograd of the reference's equations."""

import pytest
import torch
from grids import spread
from reference import initial_state, inputs, step_of, stepper

from rnnmc.cells import cells
from rnnmc.cells.lstm import LSTM
from rnnmc.engine.block import partition
from rnnmc.engine.draws import Draws
from rnnmc.numerics.layout import Columns, Rows
from rnnmc.numerics.weights import Weights
from rnnmc.study.point import DesignPoint

GATED = {name: cell for name, cell in cells().items() if cell.main_term}
SHOWN = {name: cell.gating for name, cell in GATED.items() if cell.gating and len(cell.parts) == 2}
TWO_PARTS = [name for name, cell in GATED.items() if len(cell.parts) == 2]
REPLICATES, STEPS_TAKEN = 3, 4


def point_of(cell: str, width: int) -> DesignPoint:
    """Weights, biases and state well away from zero and from saturation."""
    init = {"bias": {"gaussian": 0.7}, "input": {"gaussian": 1}}
    if GATED[cell].recurrent:
        init["recurrent"] = {"gaussian": 2}
    return DesignPoint(cell=cell, width=width, init=init, state_std=0.8, dtype="float64")


def steps_of(point: DesignPoint, layout):
    """Yield (terms as the cell gives them, Jacobian, weights and drive of the reference, its state) of each step."""
    draws = Draws(point, [(0, 0)], partition(point).tile, layout, "cpu")
    advance, jacobian = stepper(point)
    state = initial_state(point, REPLICATES)
    for (weights, drive), of_reference, _ in zip(
        draws.steps(), inputs(point, REPLICATES), range(STEPS_TAKEN), strict=False
    ):
        whole = torch.zeros(partition(point).tile, state.shape[1], dtype=torch.float64)
        whole[:REPLICATES] = state
        parts = [layout.load(part[:, None].numpy(), torch.float64, "cpu") for part in whole.split(point.width, 1)]
        terms = point.cell_object.linearise(weights, drive, tuple(parts))[1].terms
        yield terms, jacobian(*of_reference, state), of_reference, state
        state = advance(*of_reference, state)


def vectors(layout, vector):
    return layout.matrices(vector)[:REPLICATES, 0]


def matrices(layout, terms):
    """name -> (R, out, in) of the other terms."""
    made = {name: layout.matrices(matrix * scale) for name, (matrix, scale) in terms.others().items()}
    return {name: matrix[:REPLICATES].mT for name, matrix in made.items()}


def memory_jacobian(layout, terms, exposed):
    """diag(main) plus the other terms, which see the memory through `exposed`."""
    others = [matrix * exposed[:, None] for matrix in matrices(layout, terms).values()]
    return torch.diag_embed(vectors(layout, terms.main)) + sum(others)


@pytest.mark.parametrize(("name", "width", "layout"), spread([1, 5], [Rows(), Columns()], names=GATED))
def test_the_terms_add_up_to_the_jacobian_of_the_memory(name, width, layout):
    for terms, jacobian, _, _ in steps_of(point_of(name, width), layout):
        others = sum(matrices(layout, terms).values())
        main = torch.diag_embed(vectors(layout, terms.main))
        if name in TWO_PARTS:
            # Rounding: every entry is a sum of at most three products of numbers of order one.
            assert torch.allclose(jacobian[:, width:, :width], others, rtol=1e-12, atol=1e-14)
            assert torch.allclose(jacobian[:, width:, width:], main, rtol=1e-12, atol=1e-14)
        else:
            assert torch.allclose(jacobian, main + others, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("name", "width", "layout"), spread([1, 5], [Rows(), Columns()], names=SHOWN))
def test_the_c_path_is_the_derivative_of_c_with_the_output_gate_held_fixed(name, width, layout):
    squash = torch.tanh if SHOWN[name].squashed else torch.nn.Identity()
    step, exposed = step_of(name), None
    for terms, _, of_reference, state in steps_of(point_of(name, width), layout):
        if exposed is not None:  # from the second step on h is made of c

            def next_c(u, a, inner, h, c):
                gate = h / squash(c)
                return torch.func.jacrev(lambda of_c: step(u, a, inner, (gate * squash(of_c), of_c))[1])(c)

            wanted = torch.func.vmap(next_c)(*of_reference, *state.split(width, 1))
            found = memory_jacobian(layout, terms, exposed)
            # h / tanh(c) loses digits where c is small: conditioned no worse than 1e3 here
            assert torch.allclose(wanted, found, rtol=1e-10, atol=1e-12)
            late = memory_jacobian(layout, terms, vectors(layout, terms.exposed))
            assert not torch.allclose(wanted, late, rtol=1e-3), "the exposure of the wrong step goes unnoticed"
        exposed = vectors(layout, terms.exposed)


@pytest.mark.parametrize("name", [name for name, cell in GATED.items() if cell.other_terms])
def test_a_cell_makes_the_terms_that_it_names_and_none_of_them_is_small_change(name):
    for terms, *_ in steps_of(point_of(name, 5), Rows()):
        made = matrices(Rows(), terms)
        assert tuple(made) == GATED[name].other_terms
        assert all(matrix.abs().amax() > 1e-3 for matrix in made.values())


def test_every_cell_with_gates_on_its_memory_has_a_main_term():
    shown_by_a_matrix = {"lstm_layer_norm", "lstm_projected"}  # dh'/dc' is no vector, as terms need it
    assert set(GATED) >= {name for name, cell in cells().items() if cell.memory} - shown_by_a_matrix
    assert len(GATED) >= 7
    assert set(SHOWN) >= {"lstm", "gru_output_gated"}


def test_who_rewrites_the_tangent_has_no_terms_unless_it_says_so():
    class Own(LSTM):
        def linearise(self, weights, drive, state):
            return super().linearise(weights, drive, state)

    class Named(Own):
        main_term = "f"

    assert LSTM.main_term == "f"
    assert Own.main_term is None
    assert Named.main_term == "f"


def test_the_reset_gate_costs_its_product_only_when_asked(monkeypatch):
    point = point_of("gru", 5)
    products = []
    plain = Weights.product
    monkeypatch.setattr(Weights, "product", lambda self, *given: products.append(1) or plain(self, *given))
    for terms, *_ in steps_of(point, Rows()):
        before = len(products)
        terms.others()
        assert len(products) == before + 1
