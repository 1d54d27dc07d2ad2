"""Tasks: what is asked for at the end of a sequence is what its beginning said, and the inputs are standardised."""

import numpy as np
import pytest

from rnnmc.drives import label_of, read_drive
from rnnmc.drives.copy import Copy
from rnnmc.study.point import DesignPoint


def drawn(said, number=4000, seed=0):
    task = read_drive(said)
    return task, task.sequences(np.random.default_rng(seed), number)


def test_adding_asks_for_the_sum_of_the_one_marked_number_of_each_half():
    task, x = drawn({"adding": 10})
    marked = x[:, :, 1] > 0
    np.testing.assert_array_equal(marked[:5].sum(axis=0), 1)
    np.testing.assert_array_equal(marked[5:].sum(axis=0), 1)
    first, second = marked[:5].argmax(axis=0), 5 + marked[5:].argmax(axis=0)
    every = np.arange(x.shape[1])
    np.testing.assert_allclose(task.targets(x)[0], (x[first, every, 0] + x[second, every, 0]) / np.sqrt(2), rtol=1e-12)
    assert task.targets(x).shape == (1, 4000)
    assert set(first) == set(range(5))
    assert set(second) == set(range(5, 10))


def test_adding_has_mean_zero_and_unit_variance_at_every_step_and_a_target_of_unit_variance():
    task, x = drawn({"adding": 10}, 40_000)
    # the fourth moments are 9/5 and at most (T - 2) / 2 + 1: five and a half standard errors
    np.testing.assert_allclose(x.mean(axis=1), 0, atol=5.5 / 200)
    np.testing.assert_allclose((x**2).mean(axis=1), 1, atol=5.5 * np.sqrt(4) / 200)
    assert task.targets(x).var() == pytest.approx(1, abs=5.5 * np.sqrt(2) / 200)


@pytest.mark.parametrize("symbols", [1, 3])
def test_copy_asks_for_the_symbols_of_the_beginning_once_the_cue_has_come(symbols):
    task, x = drawn({"copy": {"steps": 12, "alphabet": 4, "symbols": symbols}})
    on = x > 0
    np.testing.assert_array_equal(on[:symbols, :, :4].sum(axis=2), 1)
    assert not on[symbols:, :, :4].any()
    np.testing.assert_array_equal(on[:, :, 4].argmax(axis=0), 12 - symbols)
    np.testing.assert_array_equal(on[:, :, 4].sum(axis=0), 1)
    target = task.targets(x)
    assert (target.shape, target.dtype, task.answers, task.classes) == ((symbols, 4000), np.int64, symbols, 4)
    np.testing.assert_array_equal(np.take_along_axis(on[:symbols], target[:, :, None], axis=2), True)
    assert abs((target == 0).mean() - 0.25) < 5.5 * np.sqrt(3 / 16 / target.size)


def test_a_chain_that_is_longer_than_a_sequence_reads_one_after_the_other():
    task = Copy(steps=4, alphabet=2)
    (piece,) = (next(task.pieces(np.random.default_rng(0), (12, 50, 3))),)
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(piece, np.concatenate([task.sequences(rng, 50) for _ in range(3)]))


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"adding": 7}, "adding"),
        ({"adding": {"dimension": 3}}, "adding.dimension"),
        ({"copy": {"steps": 4, "symbols": 3}}, "twice as many steps"),
        ({"copy": {"alphabet": 3, "dimension": 3}}, "leave dimension out"),
        ({"copy": {"alphabet": 1}}, "copy.alphabet"),
    ],
)
def test_a_task_that_cannot_be_is_refused_with_its_key(said, problem):
    with pytest.raises(ValueError, match=problem):
        DesignPoint(cell="tanh", width=2, drive=said)


def test_what_is_written_reads_back_and_has_a_label_without_being_checked_again():
    task = read_drive({"copy": {"steps": 40, "alphabet": 2}})
    assert read_drive(task.written()) == task
    assert label_of(task.written()) == task.label == "copy 40 alphabet 2, m = 3"
