"""Similarities of a log against the closed forms of the block model, and by hand."""

import numpy as np
import pytest

from dora_theory.bias import direction_mass, kl_divergence, similarity_theta
from dora_theory.replay.cut.candidates import Candidates
from dora_theory.replay.cut.similarity import PAPER, TEMPERATURES, Similarities, numbers_of

SIZES = (12, 3, 1)


def problem(cosines, directions):
    values, vectors = np.linalg.eigh(cosines)
    k = len(cosines)
    none = np.zeros(k, dtype=bool)
    return Candidates(
        "p", np.full(k, 0.5), vectors * np.sqrt(np.maximum(values, 0)),
        np.array(directions, dtype=np.int32), none, False, none,
    )  # fmt: skip


def block(inside, across, sizes=SIZES):
    label = np.repeat(np.arange(len(sizes)), sizes)
    cosines = np.where(label[:, None] == label, inside, across)
    np.fill_diagonal(cosines, 1)
    return problem(cosines, label)


@pytest.mark.parametrize(("inside", "across"), [(0.98, 0.7), (0.95, 0.7), (0.9, 0.6)])
def test_the_loss_is_that_of_the_block_model(float64, inside, across):
    similarities = Similarities()
    similarities.add(numbers_of(block(inside, across)))
    found = similarities.done()
    theta = similarity_theta(sum(SIZES), inside, across, TEMPERATURES)
    uniform = np.full(3, 1 / 3)
    wanted = kl_divergence(uniform, direction_mass(uniform, np.array(SIZES), theta))
    np.testing.assert_allclose(found.loss[:, 0], wanted, rtol=1e-9)
    # Theory 4.5 states these at the paper's T_s, and 0.4795 for counting.
    stated = {0.98: 0.1927, 0.95: 0.4520, 0.9: 0.4793}[inside]
    assert found.loss[np.isclose(TEMPERATURES, PAPER), 0] == pytest.approx(stated, abs=5e-5)
    assert found.counting[0] == pytest.approx(0.4795, abs=5e-5)


def test_pairs_sizes_and_effective_number():
    similarities = Similarities()
    similarities.add(numbers_of(block(0.901, 0.301)))
    similarities.add(numbers_of(problem(np.ones((2, 2)), [0, 0])))
    found = similarities.done()
    assert found.within.sum() == 12 * 11 // 2 + 3 + 1
    assert found.across.sum() == 12 * 3 + 12 + 3
    assert found.sizes.tolist() == [1, 1, 1, *[0] * 8, 1]
    assert found.across_quantiles == pytest.approx((0.3025,) * 3)
    assert found.within_quantiles[1] == pytest.approx(0.9025)
    share = np.array(SIZES) / 16
    np.testing.assert_allclose(found.effective, [np.prod(share**-share), 1])
    # A problem of one direction has nothing to share.
    assert found.loss.shape == (len(TEMPERATURES), 1)


def test_one_candidate():
    similarities = Similarities()
    similarities.add(numbers_of(problem(np.ones((1, 1)), [0])))
    found = similarities.done()
    assert np.isnan(found.within_quantiles).all()
    assert found.loss.shape == (len(TEMPERATURES), 0)
