"""Matrices that are never formed answer with the joint law of real ones, and never contradict themselves."""

import numpy as np
import pytest
import torch
from scipy.stats import chi2, kstest, norm

from rnnmc.engine.conditional.draws import ConditionalGaussian, ConditionalMatrices, beyond

FALSE_ALARM = 1e-6
torch.set_num_threads(1)
DTYPES = (torch.float32, torch.float64)


def matrices(size, deviation, replicates=4, seed=0, parts=1, dtype=torch.float64, **more):
    generators = [np.random.Generator(np.random.Philox(key=seed + part)) for part in range(parts)]
    return ConditionalGaussian(size, torch.tensor(deviation, dtype=dtype), generators, replicates, **more)


def rows(*shape, seed=1, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


# ------------------------------------------------------------------------------------------------------------- the law

DEVIATION = (0.5, 1.0, 2.0)
QUESTIONS = (rows(2, 4, seed=2), rows(2, 3, seed=3), rows(1, 4, seed=4), rows(1, 3, seed=5))  # alternating sides


def answers(replicates, forgets):
    """(replicates, 2 * 3 + 2 * 4 + 3 + 4) answers to QUESTIONS; `forgets` acts on the matrices before each question."""
    asked = matrices(4, DEVIATION, replicates)
    given = []
    for i, question in enumerate(QUESTIONS):
        forgets(asked)
        ask = asked.times_transposed if i % 2 else asked.times
        given.append(ask(question.expand(replicates, -1, -1).contiguous()).flatten(1))
    return torch.cat(given, dim=1).numpy()


def of_entries():
    """(answers, 12) what multiplies the standard normal entries of a real matrix to give the answers."""
    scaled = np.eye(12).reshape(12, 4, 3) * np.array(DEVIATION)
    given = [
        question.numpy() @ (scaled.transpose(0, 2, 1) if i % 2 else scaled) for i, question in enumerate(QUESTIONS)
    ]
    return np.concatenate([one.reshape(12, -1) for one in given], axis=1).T


def covariance_alarm(found):
    """The largest deviation of a sample covariance from the exact one over the limit that it must not exceed."""
    exact, count = of_entries() @ of_entries().T, len(found)
    sample = found.T @ found / count
    spread = np.sqrt((np.outer(np.diag(exact), np.diag(exact)) + exact**2) / count)
    upper = np.triu_indices(len(exact))
    away = np.abs((sample - exact) / np.where(spread > 0, spread, np.inf))[upper]
    return away.max() / norm.isf(FALSE_ALARM / 2 / len(upper[0]))


def test_answers_from_both_sides_have_the_joint_law_of_a_real_matrix():
    # 17 answers are linear in the 12 entries: normal, with a known covariance. Whitened, their squared length is a
    # chi-square with 12 degrees of freedom, and what contradicts a real matrix would show as a length beyond.
    found = answers(20_000, lambda asked: None)
    assert covariance_alarm(found) < 1
    from_answers = np.linalg.pinv(of_entries())
    entries = found @ from_answers.T
    np.testing.assert_allclose(entries @ of_entries().T, found, atol=1e-11)
    assert kstest((entries**2).sum(axis=1), chi2(12).cdf).pvalue > FALSE_ALARM / 13
    assert min(kstest(one, norm.cdf).pvalue for one in entries.T) > FALSE_ALARM / 13


@pytest.mark.parametrize("side", ["rows", "columns"])
def test_a_matrix_that_forgets_one_side_is_found_out(side):
    def forgets(asked):
        setattr(asked, side, type(asked.rows)())

    assert covariance_alarm(answers(20_000, forgets)) > 3


def test_answers_to_nearly_equal_questions_differ_by_as_much_as_the_law_says():
    # (x + s y) N - x N = s y N, whose part beyond x is fresh: its squared length over s^2 |y|^2 is a chi-square.
    x, y = rows(2000, 1, 6, seed=6), rows(2000, 1, 6, seed=7)
    for step in (1e-2, 1e-5, 1e-9):
        asked = matrices(6, [1.0] * 5, 2000)
        difference = (asked.times(x + step * y) - asked.times(x)) / step
        square = (difference.square().sum(2) / y.square().sum(2)).flatten().numpy()
        assert kstest(square, chi2(5).cdf).pvalue > FALSE_ALARM / 3


# -------------------------------------------------------------------------------------------------------- consistency


@pytest.mark.parametrize("dtype", DTYPES)
def test_all_answers_are_those_of_one_matrix_to_rounding(dtype):
    # also when all that there is has been asked (19 rows of length 7), for rows that are zero, equal, nearly equal,
    # huge and tiny, and after each other's answers
    asked = matrices(7, [0.3] * 14, dtype=dtype)
    first, later = rows(4, 3, 7, dtype=dtype), rows(4, 16, 7, seed=2, dtype=dtype)
    first[0, 1] = 0
    first[1, 1] = first[1, 0]
    first[2, 1] = first[2, 0] * (1 + 1e-5)
    first[3, 1] = first[3, 0] + 1e-4 * first[3, 1]
    known = [(first, asked.times(first))]
    left = rows(4, 9, 14, seed=3, dtype=dtype)
    back = asked.times_transposed(left)
    known.append((later, asked.times(later)))
    again = rows(4, 9, 14, seed=4, dtype=dtype)
    epsilon = torch.finfo(dtype).eps
    for x, answer in known:
        for y, transposed in ((left, back), (again, asked.times_transposed(again))):
            assert (answer @ y.mT - x @ transposed.mT).abs().max() < 200 * epsilon
    for scale in (1.0, 1e25, 1e-25):
        sums = scale * (2 * first - later[:, :3])
        expected = 2 * known[0][1] - known[1][1][:, :3]
        assert (asked.times(sums) / scale - expected).abs().max() < 200 * epsilon
    assert (asked.times(0 * first) == 0).all()
    assert (known[0][1][0, 1] == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_same_question_twice_gets_the_same_answer(dtype):
    asked = matrices(50, [1.0] * 50, dtype=dtype)
    x = rows(4, 3, 50, dtype=dtype)
    answer = asked.times(x)
    asked.times_transposed(x)
    asked.times(rows(4, 3, 50, seed=2, dtype=dtype))
    assert (asked.times(x) - answer).abs().max() < 50 * torch.finfo(dtype).eps


def test_what_is_not_finite_spoils_no_other_answer():
    asked, same = matrices(5, [1.0] * 5), matrices(5, [1.0] * 5)
    x = rows(4, 2, 5)
    bad = x.clone()
    bad[1, 1, 3] = torch.nan
    answer, expected = asked.times(bad), same.times(x)
    assert answer[1, 1].isnan().all()
    keep = torch.ones(4, 2, dtype=torch.bool)
    keep[1, 1] = False
    torch.testing.assert_close(answer[keep], expected[keep])
    assert asked.times(x[:, :1]).isfinite().all()


def test_equal_streams_give_equal_answers_whatever_is_drawn_beside_them():
    def ask(replicates, **how):
        asked = matrices(30, [1.0] * 30, replicates, **how)
        x, y = rows(6, 2, 30)[-replicates:], rows(6, 1, 30, seed=2)[-replicates:]
        return torch.cat([asked.times(x), asked.times_transposed(y), asked.times(y)], dim=1)

    together, alone = ask(replicates=6, parts=2), ask(replicates=3, seed=1)
    assert torch.equal(together, ask(replicates=6, parts=2))
    torch.testing.assert_close(together[3:], alone, rtol=0, atol=1e-13)


def test_replicates_that_share_a_matrix_get_the_same_answers_of_it():
    asked = matrices(8, [1.0] * 8, replicates=6, shared=3)
    x = rows(1, 2, 8).expand(6, -1, -1).contiguous()
    answer = asked.times(x)
    torch.testing.assert_close(answer[0], answer[2], rtol=0, atol=1e-13)
    assert (answer[0] - answer[3]).abs().max() > 0.1
    y = rows(6, 1, 8, seed=2)
    back = asked.times_transposed(y)
    torch.testing.assert_close(answer @ y.mT, x @ back.mT, rtol=0, atol=1e-12)


def test_named_matrices_are_independent_and_a_transposed_sum_is_the_sum():
    names = ("update", "reset", "candidate")
    deviation = {"update": 1.0, "reset": 2.0, "candidate": 0.5}
    asked = ConditionalMatrices(200, deviation, rows(3, 1, 200), [np.random.default_rng(0)])
    x = rows(3, 2, 200)
    first = dict(zip(names[:2], asked.times(x, names[:2]), strict=True))  # as a GRU does: the candidate meets r o h
    other = rows(3, 1, 200, seed=2)
    candidate = asked.times(other, names[2:])[0]
    y = [rows(3, 1, 200, seed=3 + i) for i in range(3)]
    total = asked.times_transposed(y, names)
    on_candidate = asked.times(x, ("candidate",))[0]
    images = [first["update"], first["reset"], on_candidate]
    expected = sum(one @ image.mT for one, image in zip(y, images, strict=True))
    torch.testing.assert_close(total @ x.mT, expected, rtol=0, atol=1e-11)
    alone = [asked.times_transposed([one], [name]) for one, name in zip(y, names, strict=True)]
    torch.testing.assert_close(total, alone[0] + alone[1] + alone[2], rtol=0, atol=1e-11)
    torch.testing.assert_close(alone[2] @ other.mT, y[2] @ candidate.mT, rtol=0, atol=1e-11)
    for name, image in zip(names, images, strict=True):  # 1200 entries each: within 6 deviations
        spread = (image / x.norm(dim=2, keepdim=True)).std() / deviation[name]
        assert abs(float(spread) - 1) < 6 / np.sqrt(2 * 1200)
    assert abs(float((first["update"] * first["reset"]).mean()) / 400) < 6 / np.sqrt(1200)
    groups = {id(group) for _, group in asked._group.values()}
    assert len(groups) == 2
    assert asked.bytes_a_row == 3 * 8 * (200 + 400 + 200 + 200)


def test_rows_beyond_what_was_met_are_orthonormal_however_close_they_lie():
    met = torch.linalg.qr(rows(2, 20, 5)).Q.mT.contiguous()
    fresh = rows(2, 6, 20, seed=2)
    for step in (1.0, 1e-4, 1e-8, 1e-12):
        asked = rows(2, 6, 5, seed=3) @ met + step * fresh  # near the span of what was met,
        asked[:, 1] = asked[:, 0] + step * fresh[:, 1]  # and near one another
        found = beyond(asked, [met], [asked @ met.mT])
        basis = torch.cat([met, found], dim=1)
        torch.testing.assert_close(basis @ basis.mT, torch.eye(11).double().expand(2, -1, -1), rtol=0, atol=1e-14)
        torch.testing.assert_close(asked @ basis.mT @ basis, asked, rtol=0, atol=1e-13)
    inside = rows(2, 6, 5, seed=3) @ met
    assert beyond(inside, [met], [inside @ met.mT]) is None
