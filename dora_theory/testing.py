"""Hypothesis strategies of allocation problems, and what to assert of an allocation.

For test suites of your own: `pip install 'dora-theory[testing]'`, then

    from hypothesis import given
    from dora_theory import testing

    @given(testing.problems())
    def test_my_rule_keeps_the_budget(problem):
        testing.assert_spends(my_rule(problem.weights, problem.budget), problem.budget)

Numbers are drawn so that they meet what breaks rules: ties, weights of 0 and of 1, one candidate,
κ from 1e-6 to 1e6, budgets of 0 and far above k. They shrink to few candidates and small numbers.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from jaxtyping import Bool, Float, Int

from dora_theory._arrays import ArrayLike

_GRID = (0.5, 0.25, 1.0, 0.0, 0.125, 0.75, 0.1, 0.9)


@dataclass(frozen=True)
class TestProblem:
    """One problem of k candidates.

    Attributes:
        scores: PRM scores in [0, 1], shape `(k,)`.
        weights: qualities in [0, 1], shape `(k,)`; not those of the scores.
        embeddings: unit vectors, some of them copies, shape `(k, d)`.
        directions: a label of each candidate from 0 on, shape `(k,)`; copies share it.
        concentration: κ.
        budget: N.
        mask: false for padding, shape `(k,)`, with at least one candidate.
    """

    __test__ = False

    scores: Float[np.ndarray, " k"]
    weights: Float[np.ndarray, " k"]
    embeddings: Float[np.ndarray, "k d"]
    directions: Int[np.ndarray, " k"]
    concentration: float
    budget: int
    mask: Bool[np.ndarray, " k"]


def weights(num_candidates: int) -> st.SearchStrategy[Float[np.ndarray, " k"]]:
    """Qualities in [0, 1], often tied, often 0 or 1; their sum is anything."""
    one = st.sampled_from(_GRID) | st.floats(0, 1, allow_subnormal=False)
    return st.lists(one, min_size=num_candidates, max_size=num_candidates).map(np.array)


def concentrations() -> st.SearchStrategy[float]:
    """κ from 1e-6 to 1e6: the divisor methods that have a name, and anything between."""
    return st.sampled_from((1.0, 0.5, 2.0, 1e-6, 1e6)) | st.floats(-6, 6).map(lambda e: 10.0**e)


def budgets(most: int = 64) -> st.SearchStrategy[int]:
    """N from 0 to `most`."""
    return st.integers(0, most)


@st.composite
def problems(
    draw: Any,
    *,
    min_candidates: int = 1,
    max_candidates: int = 12,
    max_budget: int = 64,
    padding: bool = False,
) -> TestProblem:
    """Problems of k candidates.

    Args:
        draw: Hypothesis gives it; leave it out.
        min_candidates: least k, ≥ 1.
        max_candidates: most k.
        max_budget: most N.
        padding: whether some candidates may be padding, with numbers that must not matter.

    Returns:
        A strategy of `TestProblem`s.
    """
    k = draw(st.integers(min_candidates, max_candidates))
    labels = draw(st.lists(st.integers(0, max(k // 2, 1)), min_size=k, max_size=k))
    _, directions = np.unique(labels, return_inverse=True)
    vectors = np.eye(int(directions.max()) + 1, max(2, int(directions.max()) + 1))
    mask = np.ones(k, bool)
    if padding:
        mask = np.array(draw(st.lists(st.booleans(), min_size=k, max_size=k)))
        mask[0] = True
    return TestProblem(
        scores=draw(weights(k)),
        weights=draw(weights(k)),
        embeddings=vectors[directions],
        directions=directions,
        concentration=draw(concentrations()),
        budget=draw(budgets(max_budget)),
        mask=mask,
    )


def assert_spends(
    allocation: ArrayLike, budget: int, mask: Bool[ArrayLike, "*batch k"] | None = None
) -> None:
    """`AssertionError`, which shows the allocation, unless it spends the budget and no padding's.

    Args:
        allocation: rollouts, shape `(..., k)`.
        budget: N.
        mask: false for padding.
    """
    given = np.asarray(allocation)
    whole = np.all((given >= 0) & (given == np.floor(given)))
    assert whole, f"not integers ≥ 0: {given.tolist()}"
    spent = given.sum(-1)
    assert np.all(spent == budget), f"spends {spent.tolist()} of {budget}: {given.tolist()}"
    if mask is not None:
        padding = np.where(mask, 0, given)
        assert not padding.any(), f"spends on padding: {given.tolist()}"


def assert_optimal(
    weights: Float[ArrayLike, " k"],
    concentration: float,
    allocation: Int[ArrayLike, " k"],
    *,
    ratio: float = 1.0,
) -> None:
    """`AssertionError`, which shows the better one, unless none fails `ratio` times less often.

    Args:
        weights: qualities, shape `(k,)`.
        concentration: κ.
        allocation: rollouts, shape `(k,)`, compared with the best of their sum.
        ratio: r ≥ 1, of the probabilities that all rollouts fail. Up to 1e-9 of it is rounding.
    """
    import jax

    from dora_theory.allocation.optimal import optimal_allocation
    from dora_theory.model.objective import log_failure

    with jax.enable_x64(True):
        w, given = np.asarray(weights, float), np.asarray(allocation)
        best = np.asarray(optimal_allocation(w, concentration, int(given.sum())))
        theirs = float(log_failure(w, concentration, given))
        least = float(log_failure(w, concentration, best))
    # A certain success has minus infinity, which the slack makes NaN; NumPy would warn of it.
    enough = theirs <= least + math.log(ratio) + 1e-9 * (1 + abs(least)) or theirs == least
    assert enough, (
        f"{given.tolist()} fails with e^{theirs:.9g}, {best.tolist()} with e^{least:.9g} "
        f"(w = {w.tolist()}, κ = {concentration:g})"
    )
