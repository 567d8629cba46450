"""Descent against parents followed one by one, and sharpening against its closed form."""

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dora_theory as dt
from dora_theory.search.engine import search
from dora_theory.search.rules import as_rule
from dora_theory.search.tree import Tree
from paper_repro.lineages import Unchanging, ancestors, concentration, sharpened_number

pytestmark = pytest.mark.slow

WORLD = Tree(ability=0.3, spread=1.0, num_directions=3, steps=4, first=3, switch=0.3, answers=6)
SLOTS, RULE = 8, as_rule("rebase", literal=True)


@pytest.fixture(scope="module")
def traces():
    """A search and the same with scores that copies keep, with all that is said of both."""

    @jax.jit
    def run(key):
        problem = jax.tree.map(lambda x: x[0], WORLD.problems(key, 1))
        both = [search(key, w, problem, RULE, SLOTS) for w in (WORLD, Unchanging(WORLD))]
        return [(trace, ancestors(trace), concentration(trace)) for trace in both]

    return jax.tree.map(np.asarray, run(jax.random.key(3)))


def effective(labels, given):
    total = Counter()
    for who, rollouts in zip(labels, given, strict=True):
        total[who] += int(rollouts)
    squares = sum(x * x for x in total.values())
    return sum(total.values()) ** 2 / squares if squares else 0.0


def test_descent_and_effective_numbers_one_by_one(traces):
    spent = False
    for trace, found, numbers in traces:
        owner = list(range(SLOTS))
        for t, given in enumerate(trace.allocation):
            assert found[t].tolist() == owner
            of_directions = effective(trace.view.directions[t].tolist(), given)
            assert numbers.candidates[t] == pytest.approx(effective(owner, given), rel=1e-6)
            assert numbers.directions[t] == pytest.approx(of_directions, rel=1e-6)
            spent |= t > 0 and given.sum() > 0
            owner = [owner[p] for p in trace.parents[t]]
    assert spent


def test_copies_keep_what_the_first_step_wrote(traces):
    (searched, _, _), (kept, origin, _) = traces
    # The first step is the same; after it scores are those of the ancestors.
    np.testing.assert_array_equal(searched.view.scores[0], kept.view.scores[0])
    assert np.any(searched.view.scores[1] != kept.view.scores[1])
    active = kept.active
    np.testing.assert_array_equal(
        kept.view.scores[active], kept.view.scores[0][origin[active]], strict=True
    )


def test_sharpening_in_real_numbers():
    quality = np.array([0.5, 0.3, 0.2])
    found = sharpened_number(0.1 * jnp.log(quality), 0.1, 4)
    shares = np.stack([dt.sharpened_quality(quality, t) for t in range(1, 5)])
    np.testing.assert_allclose(found, 1 / (shares**2).sum(-1), rtol=1e-5)
    assert float(found[0]) == pytest.approx(1 / 0.38, rel=1e-5)
