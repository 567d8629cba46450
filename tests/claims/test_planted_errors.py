"""A wrong rule in place of each right one: `verify` must then say something else (1 to 6)."""

from typing import Any

import jax.numpy as jnp
import pytest
from planted import Function, Planted, planted, sees

from dora_theory import bias
from dora_theory.allocation import (
    certificate,
    hierarchical,
    optimal,
    regret,
    rules,
    spread,
    waterfill,
)
from dora_theory.claims import c4_3_price
from dora_theory.model import directions as pooling
from dora_theory.model import magnitude, objective, priors
from dora_theory.model import similarity as directions

pytestmark = pytest.mark.slow


def priority_one_too_deep(right: Function) -> Function:
    # w/(κ + r + 1)
    return lambda w, kappa, n, **o: right(w, jnp.asarray(kappa) + 1, n, **o)


def normalized_by_nothing(right: Function) -> Function:
    return lambda q, sizes: q * sizes


def one_rollout_too_many(right: Function) -> Function:
    return lambda w, kappa, b: right(w, kappa, b + 1)


def padding_counted(right: Function) -> Function:
    return lambda a, b, given, mask: right(a, b, given)


def certificate_turned_round(right: Function) -> Function:
    def wrong(w: Any, kappa: Any, b: Any, budget: Any) -> Any:
        found = certificate.certificate(w, kappa, b)
        return (found.largest_next >= found.smallest_last) & (jnp.asarray(b).sum(-1) == budget)

    return wrong


def ties_forgotten(right: Function) -> Function:
    def wrong(*arguments: Any) -> Any:
        found = right(*arguments)
        none = jnp.zeros_like(found.tied)
        return found._replace(tied=none, spare=jnp.zeros_like(found.spare))

    return wrong


def unsigned(right: Function) -> Function:
    # Water-filling without B ≥ 0.
    return lambda w, kappa, n, shift=0.0: waterfill.shifted_linear_allocation(w, kappa, n)


def shift_left_out(right: Function) -> Function:
    return lambda w, kappa, n, shift=0.0: right(w, kappa, n)


def sum_not_mean(right: Function) -> Function:
    def wrong(scores: Any, labels: Any, count: int, *, pool: str, quality_temperature: Any) -> Any:
        of = labels[..., None] == jnp.arange(count)
        power = jnp.exp(scores / jnp.asarray(quality_temperature)[..., None])
        total = jnp.where(of, power[..., None], 0).sum(-2)
        return total / total.sum(-1, keepdims=True)

    return wrong


def gamma_beside_the_diagonal(right: Function) -> Function:
    def wrong(similarity: Any, *, similarity_temperature: Any, mask: Any = None) -> Any:
        kernel = jnp.exp((similarity - 1) / jnp.asarray(similarity_temperature)[..., None, None])
        rows = kernel / kernel.sum(-1, keepdims=True)
        return jnp.roll(rows, 1, -1).diagonal(axis1=-2, axis2=-1)

    return wrong


def arguments_swapped(right: Function) -> Function:
    return lambda q, p: right(p, q)


def theta_without_the_others(right: Function) -> Function:
    # K b left out: θ of magnitude weighting.
    return lambda candidates, inside, across, t: bias.magnitude_theta(inside, across, t)


def specht_without_e(right: Function) -> Function:
    return lambda h: right(h) * jnp.e / 3


def all_to_one(right: Function) -> Function:
    def wrong(totals: Any, labels: Any, mask: Any) -> Any:
        of = labels[:, None] == jnp.arange(totals.shape[-1])
        seen = jnp.cumsum(of & mask[..., None], -2)
        first = (seen == 1) & of & mask[..., None]
        return jnp.where(first, totals[..., None, :], 0).sum(-1)

    return wrong


def failures_forgotten(right: Function) -> Function:
    return lambda self, failures: self


def kernel_not_inverted(right: Function) -> Function:
    # γ in place of v.
    return directions.uniqueness_from_similarity


def weights_not_rounded_but_cut(right: Function) -> Function:
    # Jefferson's method in place of Webster's.
    return lambda q, labels, kappa, n, **o: right(q, labels, kappa + 0.5, n, **o)


def noise_not_halved(right: Function) -> Function:
    def wrong(s: Any, t: Any, k: Any) -> Any:
        factor, spread = right(s, t, k)
        return factor**2, spread

    return wrong


def a_hundredth_too_sure(right: Function) -> Function:
    # 1.01 κ
    return lambda w, kappa, n, **o: right(w, 1.01 * jnp.asarray(kappa), n, **o)


def underflowing(right: Function) -> Function:
    # As a product of probabilities in float32 is.
    def wrong(*arguments: Any, **options: Any) -> Any:
        found = right(*arguments, **options)
        return jnp.where(found < -104, -jnp.inf, found)

    return wrong


def sign_turned(right: Function) -> Function:
    return lambda w, kappa, b: -right(w, kappa, b)


def too_little(right: Function) -> Function:
    # Between sizes that are nearly equal the bound is nearly attained.
    return lambda q, p: 0.75 * right(q, p)


def never_quite_zero(right: Function) -> Function:
    return lambda q, p: right(q, p) + 1e-12


def one_rollout_lost(right: Function) -> Function:
    def wrong(*arguments: Any, **options: Any) -> Any:
        given = right(*arguments, **options)
        largest = given == given.max(-1, keepdims=True)
        return given - (largest & (jnp.cumsum(largest, -1) == 1) & (given > 0))

    return wrong


def a_little_dearer(right: Function) -> Function:
    return lambda q, p: right(q, p) * (1 + 1e-7)


def rounded_down(right: Any) -> Any:
    # To four digits, one of them too small.
    return {2.0: 11.55, 4.0: 36.26}


def at_most_two_copies(right: Function) -> Function:
    # Qualities are right, and copies are lost.
    return lambda *a, **o: jnp.minimum(right(*a, **o), 2)


def copies_counted(right: Function) -> Function:
    def wrong(scores: Any, embeddings: Any, budget: Any, **options: Any) -> Any:
        del options["similarity_temperature"]
        return rules.rebase_allocation(scores, budget, **options)

    return wrong


def theta_turned_over(right: Function) -> Function:
    return lambda q, sizes, theta: right(q, sizes, 1 / theta)


def regret_of_the_other(right: Function) -> Function:
    return lambda w, assumed, kappa, n: right(w, kappa, assumed, n)


def never_sure(right: Function) -> Function:
    return lambda w, kappa, b: right(w, 0.999 * kappa, b)


PLANTED: list[Planted] = [
    (optimal, "optimal_allocation", priority_one_too_deep, "2.1", "largest priorities are optimal"),
    (optimal, "optimal_allocation", priority_one_too_deep, "2.1", "optimal at any size"),
    (optimal, "optimal_allocation", priority_one_too_deep, "2.3", "winner takes all"),
    (optimal, "optimal_allocation", priority_one_too_deep, "2.6", "allocation by threshold"),
    (objective, "candidate_log_failure", one_rollout_too_many, "1", "failure of one candidate"),
    (objective, "log_failure", padding_counted, "1", "failure of all under any Beta priors"),
    (objective, "log_failure", underflowing, "1", "edges"),
    (optimal, "optimal_allocation", a_hundredth_too_sure, "2.3", "Adams, Webster, Jefferson"),
    (optimal, "optimal_allocation", a_hundredth_too_sure, "2.3", "winner takes all"),
    (rules, "magnitude_allocation", one_rollout_lost, "3.1", "budget-exact forms"),
    (rules, "rebase_sequential_allocation", one_rollout_lost, "3.1", "budget-exact forms"),
    (
        optimal,
        "optimal_allocation",
        priority_one_too_deep,
        "3.5",
        "how confident the winner must be",
    ),
    (certificate, "is_optimal", never_sure, "3.5", "how confident the winner must be"),
    (objective, "log_failure", one_rollout_too_many, "4.1", "direction totals"),
    (bias, "kl_divergence", never_quite_zero, "4.2", "no loss iff sizes are equal"),
    (bias, "kl_divergence", too_little, "4.2", "loss from different sizes"),
    (objective, "candidate_log_failure", sign_turned, "4.3", "loss of log failure over κ"),
    (bias, "kl_divergence", a_little_dearer, "4.7", "imbalance that a saving needs"),
    (c4_3_price, "_SAVINGS", rounded_down, "4.7", "imbalance that a saving needs"),
    (regret, "regret_of_concentration", regret_of_the_other, "5.3", "regret of a wrong κ"),
    (optimal, "optimal_allocation", priority_one_too_deep, "5.3", "regret of a wrong κ"),
    (bias, "direction_mass", theta_turned_over, "5.6", "magnitude is nearer than γ"),
    (rules, "rebase_allocation", at_most_two_copies, "6.1", "repetition sharpens"),
    (rules, "dora_allocation", copies_counted, "6.1", "copies seen as one direction"),
    (certificate, "is_optimal", certificate_turned_round, "2.2", "the certificate decides"),
    (certificate, "optimal_set", ties_forgotten, "2.2", "all optima"),
    (waterfill, "waterfill_allocation", unsigned, "2.5", "water-filling"),
    (
        waterfill,
        "waterfill_allocation",
        shift_left_out,
        "2.5b",
        "shifted by a half, N w at κ = 1/2",
    ),
    (
        waterfill,
        "rounded_waterfill_allocation",
        priority_one_too_deep,
        "2.5b",
        "at most half of k elsewhere",
    ),
    (bias, "kl_divergence", arguments_swapped, "4.7", "imbalance that a saving needs"),
    (bias, "solution_level_shares", normalized_by_nothing, "4.2", "no loss iff sizes are equal"),
    (bias, "kl_divergence", arguments_swapped, "4.3", "loss of log failure over κ"),
    (bias, "similarity_theta", theta_without_the_others, "4.5", "mass under similarity weights"),
    (
        directions,
        "uniqueness_from_similarity",
        gamma_beside_the_diagonal,
        "4.5",
        "mass under similarity weights",
    ),
    (
        hierarchical,
        "direction_allocation",
        weights_not_rounded_but_cut,
        "4.4b",
        "totals first, then candidates",
    ),
    (bias, "noise_inflation", noise_not_halved, "4.6", "noise inflates"),
    (pooling, "direction_weights", sum_not_mean, "4.6", "DORA pools by the mean of exponentials"),
    (bias, "specht_ratio", specht_without_e, "4.7", "Specht's bound is attained"),
    (spread, "spread_evenly", all_to_one, "5.1", "even inside a direction"),
    (
        priors.BetaPrior,
        "after_failures",
        failures_forgotten,
        "5.2",
        "posterior mean is the next priority",
    ),
    (
        magnitude,
        "magnitude_weighting_from_similarity",
        kernel_not_inverted,
        "5.6",
        "mass under magnitude weighting",
    ),
]


@planted(PLANTED)
def test_verify_sees_it(monkeypatch, home, name, wrong, id_, claim):
    sees(monkeypatch, home, name, wrong, id_, claim)
