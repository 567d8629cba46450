"""A wrong rule in place of each right one: `verify` must then say something else than expected."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import pytest

from dora_theory import bias
from dora_theory.allocation import (
    across,
    across_certificate,
    adaptive,
    adaptive_value,
    best_of_n,
    certificate,
    costs,
    expectation,
    exponents,
    fluid_rounds,
    hierarchical,
    joint,
    joint_bounds,
    joint_certificate,
    literature,
    optimal,
    posterior_rules,
    regret,
    rounds,
    rules,
    scaling,
    shared_divisors,
    spread,
    targets,
    verifiers,
    waterfill,
)
from dora_theory.claims import c4_3_price, claims
from dora_theory.claims.check.verifying import verify
from dora_theory.model import beta_quantiles, copula, magnitude, objective, priors, root_weights
from dora_theory.model import directions as pooling
from dora_theory.model import similarity as directions
from dora_theory.replay.estimate import metrics

pytestmark = pytest.mark.slow

CLAIMS = {claim.name: claim for claim in claims()}
Function = Callable[..., Any]


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


def increments_in_reverse(right: Function) -> Function:
    # The rival with the N smallest increments.
    return lambda e, n: right(-e, n)


def not_tilted(right: Function) -> Function:
    # The prior's own mean of log moments.
    return lambda prior, log_f: right(prior, jnp.zeros_like(log_f))


def always_proves(right: Function) -> Function:
    def wrong(prior: Any, b: Any) -> Any:
        found = right(prior, b)
        return found._replace(largest_next=0 * found.largest_next)

    return wrong


def values_forgotten(right: Function) -> Function:
    return lambda values, prior, total, **o: right(jnp.ones_like(values), prior, total, **o)


def limits_forgotten(right: Function) -> Function:
    return lambda values, prior, given, **o: right(values, prior, given)


def total_not_priced(right: Function) -> Function:
    return lambda values, prior, total, price: right(values, prior, 0 * total, price)


def last_first(right: Function) -> Function:
    # Ties to the highest problem.
    def wrong(*arguments: Any, **options: Any) -> Any:
        found = right(*arguments, **options)
        return found._replace(rollouts=found.rollouts[..., ::-1])

    return wrong


def all_that_fails(right: Function) -> Function:
    # G = ∞.
    def wrong(*arguments: Any) -> Any:
        found = right(*arguments)
        return found._replace(regret=jnp.exp(found.log_failure))

    return wrong


def mirrored(right: Function) -> Function:
    return lambda *arguments: right(*arguments)[..., ::-1]


def half_the_gains(right: Function) -> Function:
    def wrong(prior: Any, b: Any, n: Any = None) -> Any:
        found = right(prior, b, n)
        reached = -jnp.expm1(objective_of(prior, b))
        return found._replace(lattice=0.5 * (found.lattice + reached))

    return wrong


def smallest_marginal_first(right: Function) -> Function:
    def wrong(values: Any, prior: Any, given: Any, **options: Any) -> Any:
        found = right(values, prior, given, **options)
        return type(found)(found.smallest_last, found.largest_next)

    return wrong


def objective_of(prior: Any, b: Any) -> Any:
    return joint.joint_log_failure(prior, b)


def gap_halved(right: Function) -> Function:
    return lambda *arguments, **options: 0.5 * right(*arguments, **options)


def worst_first(right: Function) -> Function:
    def wrong(prior: Any, n: Any) -> Any:
        return right(prior, n)[..., ::-1]

    return wrong


def value_forgotten(right: Function) -> Function:
    return lambda values, prior, **o: right(jnp.ones_like(values), prior, **o)


def a_hundredth_too_low(right: Function) -> Function:
    def wrong(*arguments: Any, **options: Any) -> Any:
        found = right(*arguments, **options)
        return found._replace(value=0.99 * found.value)

    return wrong


def weights_not_shared(right: Function) -> Function:
    # √(w_j/w_i) in place of √(w_i/w_j): rows for columns.
    return lambda w, c, kappa, n, **o: right(jnp.sqrt(w), c, kappa, n, **o)


def squares_forgotten(right: Function) -> Function:
    return lambda mu, second, n: right(mu, second**2, n)


def magnitude_for_roots(right: Function) -> Function:
    # w_i (C⁻¹ 1)_i, the same for equal w alone.
    def wrong(w: Any, c: Any) -> Any:
        found = right(w, c)
        v = jnp.linalg.solve(c, jnp.ones_like(w)[..., None])[..., 0]
        return found._replace(weights=w * v, exponent=(w * v).sum(-1))

    return wrong


def twice_the_bound(right: Function) -> Function:
    def wrong(*arguments: Any, **options: Any) -> Any:
        found = right(*arguments, **options)
        return found._replace(value=2 * found.value)

    return wrong


def kernel_of_the_angle(right: Function) -> Function:
    # 1 - S² in place of 1 - S.
    return lambda s, **o: right(s**2, **o)


def slope_of_the_table(right: Function) -> Function:
    return lambda w, kappa: right(w, kappa)._replace(value=right(w, kappa).value + 1e-3)


def one_round_less(right: Function) -> Function:
    return lambda values, prior, total, rounds, **o: right(
        values, prior, total, max(rounds - 1, 1), **o
    )


def all_but_a_tenth(right: Function) -> Function:
    return lambda rounds, cost: right(rounds, cost)._replace(unsolved=0.1)


def in_proportion(right: Function) -> Function:
    # n ∝ p(1 - p) in place of its root: 1/n by Jefferson's divisors.
    def wrong(p: Any, total: Any, **options: Any) -> Any:
        return optimal.apportion(p * (1 - p), total - p.shape[-1]) + 1

    return wrong


def as_one_more(right: Function) -> Function:
    return lambda p, total, **o: right(1 - p, total, **o)


def one_depth_too_far(right: Function) -> Function:
    return lambda alpha, beta, depth: right(alpha, beta, depth + 1)


def upside_down(right: Function) -> Function:
    return lambda alpha, beta, depth: 1 / right(alpha, beta, depth)


def without_gamma(right: Function) -> Function:
    return lambda alpha: jnp.ones_like(alpha)


def all_cost_one(right: Function) -> Function:
    return lambda w, kappa, c, budget, **o: right(w, kappa, jnp.ones_like(c), budget, **o)


def half_a_gap(right: Function) -> Function:
    def wrong(*arguments: Any, **options: Any) -> Any:
        found = right(*arguments, **options)
        gap = found.log_failure - found.log_failure_bound
        return found._replace(log_failure_bound=found.log_failure - gap / 8)

    return wrong


def never_stops(right: Function) -> Function:
    return lambda w, kappa, c, value, **o: right(w, kappa, c, value + 1, **o)


def one_too_many(right: Function) -> Function:
    def wrong(*arguments: Any) -> Any:
        found = right(*arguments)
        return found._replace(budget=found.budget + 1)

    return wrong


def one_concentration(right: Function) -> Function:
    return lambda w, kappa, n, **o: right(w, jnp.broadcast_to(kappa[..., :1], w.shape), n, **o)


def rejections_are_failures(right: Function) -> Function:
    return lambda w, kappa, t, f, n: right(w, kappa, jnp.ones_like(t), jnp.zeros_like(f), n)


def order_of_failures(right: Function) -> Function:
    return lambda w, kappa, t, f, n, **o: right(w, kappa, 1.0, 0.0, n, **o)


def half_the_errors(right: Function) -> Function:
    return lambda w, kappa, t, f: right(w, kappa, t, f / 2)


def wrong_ones_counted(right: Function) -> Function:
    return lambda *arguments, **options: 1 - right(*arguments, **options)


def with_replacement(right: Function) -> Function:
    return lambda n, c, k, **o: ((c / n) ** k, right(n, c, k, **o)[1])


def all_or_nothing(right: Function) -> Function:
    def wrong(*arguments: Any, **options: Any) -> Any:
        found, spread_of = right(*arguments, **options)
        return 1.0 * (found > 0.5), spread_of

    return wrong


def confidence_forgotten(right: Function) -> Function:
    # The posterior mean alone, which is the optimum.
    return lambda w, kappa, given, deviations: right(w, kappa, given, 0.0)


def ties_won(right: Function) -> Function:
    def wrong(counts: Any, k: int, **options: Any) -> Any:
        found, spread_of = right(counts, k, **options)
        return min(1.0, 1.1 * found), spread_of

    return wrong


def one_rollout_less(of: Function) -> Function:
    return lambda gain, failure: of(gain[..., :-1], failure[..., :-1])


def first_round_most(of: Function) -> Function:
    return lambda *args: of(*args)[::-1]


def a_percent_more(of: Function) -> Function:
    return lambda *args: of(*args) + 0.01


def one_depth_wider(of: Function) -> Function:
    return lambda *args: of(*args[:-1], args[-1] + 1)


# Where, what, the wrong one, and a claim that must see it.
PLANTED = [
    (costs, "cost_allocation", all_cost_one, "9.1.1", "greedy at the costs of its prefixes"),
    (
        costs,
        "cost_allocation",
        half_a_gap,
        "9.1.1",
        "greedy and its bound bracket the optimum",
    ),
    (
        costs,
        "net_value_order",
        never_stops,
        "9.1.2",
        "largest chance per cost, until it is not worth it",
    ),
    (targets, "smallest_budget", one_too_many, "9.1.3", "the smallest budget for a success"),
    (
        optimal,
        "optimal_allocation",
        one_concentration,
        "9.2.1",
        "the optimum for candidates of their own κ",
    ),
    (
        verifiers,
        "rejection_means",
        rejections_are_failures,
        "9.3.1",
        "a rejection is a failure known with probability v",
    ),
    (
        verifiers,
        "verifier_order",
        order_of_failures,
        "9.3.2",
        "largest posterior mean, until the risk is not worth it",
    ),
    (
        verifiers,
        "verifier_order",
        order_of_failures,
        "9.3.2",
        "the program over counts for rates of their own",
    ),
    (
        verifiers,
        "verifier_ceiling",
        half_the_errors,
        "9.3.3",
        "the ceiling of a verifier that errs",
    ),
    (
        best_of_n,
        "best_of_n_accuracy",
        wrong_ones_counted,
        "9.3.4",
        "best of N rises where scores spread alike",
    ),
    (
        best_of_n,
        "best_of_n_accuracy",
        wrong_ones_counted,
        "9.3.5",
        "best of N between a blind choice and a perfect one",
    ),
    (metrics, "pass_hat", with_replacement, "9.4.1", "pass^k and pass@k without bias"),
    (metrics, "majority_at", ties_won, "9.4.2", "plurality of k without bias"),
    (metrics, "pass_hat", all_or_nothing, "9.4.3", "Hoeffding's bound of the variance"),
    (
        joint_certificate,
        "_rival",
        increments_in_reverse,
        "8.1.7",
        "exact for independent candidates",
    ),
    (joint_certificate, "tilted_moments", not_tilted, "8.1.7", "the certificate"),
    (
        joint_certificate,
        "joint_certificate",
        always_proves,
        "8.1.8",
        "a proof of optimality in O(k)",
    ),
    (joint_certificate, "relaxed_bound", gap_halved, "8.1.9", "the certificate at real bases"),
    (joint_bounds, "lattice_bound", half_the_gains, "8.1.5", "bounds from marginal gains"),
    (
        joint_certificate,
        "joint_certificate",
        all_that_fails,
        "8.1.10",
        "the certificate is tight",
    ),
    (expectation, "expectation_allocation", mirrored, "8.2.3", "greedy without draws"),
    (joint_bounds, "frank_wolfe_gap", gap_halved, "8.1.6", "bounds from convexity"),
    (joint, "joint_allocation", worst_first, "8.1.2", "what greedy reaches"),
    (copula, "copula_correlation", kernel_of_the_angle, "8.2.1", "DORA's kernel is a correlation"),
    (beta_quantiles, "quantiles", slope_of_the_table, "8.2.2", "quantiles keep the moments"),
    (root_weights, "root_weights", magnitude_for_roots, "8.2.5", "root weights of a pair"),
    (
        shared_divisors,
        "shared_divisor_allocation",
        weights_not_shared,
        "8.3.1",
        "shared divisors without correlation",
    ),
    (
        shared_divisors,
        "moment_divisor_allocation",
        squares_forgotten,
        "8.3.2",
        "moment divisors are greedy at first",
    ),
    (optimal, "optimal_allocation", priority_one_too_deep, "2.1", "largest priorities are optimal"),
    (optimal, "optimal_allocation", priority_one_too_deep, "2.1", "optimal at any size"),
    (optimal, "optimal_allocation", priority_one_too_deep, "2.3", "winner takes all"),
    (optimal, "optimal_allocation", priority_one_too_deep, "2.6", "allocation by threshold"),
    (objective, "candidate_log_failure", one_rollout_too_many, "1", "failure of one candidate"),
    (
        objective,
        "log_failure",
        padding_counted,
        "1",
        "failure of all under any Beta priors",
    ),
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
    (
        across_certificate,
        "problem_certificate",
        smallest_marginal_first,
        "7.1",
        "marginals of a problem fall",
    ),
    (across, "allocate_problems", values_forgotten, "7.1", "greedy over problems is exact"),
    (
        across_certificate,
        "is_optimal_across",
        limits_forgotten,
        "7.1b",
        "the certificate over problems decides",
    ),
    (across, "dual_bound", total_not_priced, "7.1c", "price of a rollout"),
    (across, "allocate_problems", last_first, "7.1f", "a common prior is shared evenly"),
    (adaptive, "index_policy", value_forgotten, "7.2", "the index policy is optimal"),
    (adaptive_value, "adaptive_bound", a_hundredth_too_low, "7.2d", "a bound of every policy"),
    (adaptive_value, "adaptive_bound", twice_the_bound, "7.2e", "what looking can gain"),
    (rounds, "rounds_plan", one_round_less, "7.2f", "a bound of R rounds"),
    (fluid_rounds, "identical_rounds", all_but_a_tenth, "7.2h", "what R rounds keep at least"),
    (
        literature,
        "neyman_allocation",
        in_proportion,
        "7.3",
        "least variance is Huntington and Hill's",
    ),
    (literature, "knapsack_rl_allocation", as_one_more, "7.3", "Knapsack RL by greedy"),
    (scaling, "coverage_cost", one_depth_too_far, "7.4b", "the cost of coverage telescopes"),
    (scaling, "saving_factor", upside_down, "7.4b", "the saving of looking"),
    (scaling, "price_of_not_knowing", without_gamma, "7.4c", "knowing or looking"),
    (
        adaptive_value,
        "convolved_value",
        one_rollout_less,
        "7.2d",
        "the value of the best policy",
    ),
    (
        fluid_rounds,
        "split_shares",
        first_round_most,
        "7.2i",
        "the best split under a power law",
    ),
    (scaling, "dora_constant", a_percent_more, "7.4d", "one problem falls as a power"),
    (exponents, "line_through", one_depth_wider, "7.4e", "the hazard line finds the exponent"),
]


@pytest.mark.parametrize(
    ("home", "name", "wrong", "id_", "claim"),
    PLANTED,
    ids=[f"{id_}-{wrong.__name__}" for _, _, wrong, id_, _ in PLANTED],
)
def test_verify_sees_it(
    monkeypatch: pytest.MonkeyPatch,
    home: Any,
    name: str,
    wrong: Callable[[Function], Function],
    id_: str,
    claim: str,
) -> None:
    monkeypatch.setattr(home, name, wrong(getattr(home, name)))
    [found] = verify([replace(CLAIMS[claim], min_instances=128)], instances=128, workers=1)
    assert found.claim.id == id_
    assert not found.as_expected
    assert found.violations > 0


def test_verify_sees_that_what_it_should_refute_was_never_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = posterior_rules.confidence_bound
    monkeypatch.setattr(posterior_rules, "confidence_bound", confidence_forgotten(right))
    [found] = verify([CLAIMS["the lower confidence bound"]], instances=128, workers=1)
    assert found.claim.id == "9.2.2"
    assert found.violations == 0
    assert not found.as_expected
