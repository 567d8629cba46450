"""The same for any correlation, costs and verifiers (theory 8 and 9)."""

from typing import Any

import jax.numpy as jnp
import pytest
from planted import Function, Planted, planted, sees

from dora_theory.allocation import (
    best_of_n,
    costs,
    expectation,
    joint,
    joint_bounds,
    joint_certificate,
    optimal,
    shared_divisors,
    targets,
    verifiers,
)
from dora_theory.model import beta_quantiles, copula, root_weights
from dora_theory.replay.estimate import metrics

pytestmark = pytest.mark.slow


def increments_in_reverse(right: Function) -> Function:
    # The rival with the N smallest increments.
    return lambda prior, e, n: right(prior, -e, n)


def not_tilted(right: Function) -> Function:
    # The prior's own mean of log moments.
    return lambda prior, log_f: right(prior, jnp.zeros_like(log_f))


def always_proves(right: Function) -> Function:
    def wrong(prior: Any, b: Any) -> Any:
        found = right(prior, b)
        return found._replace(largest_next=0 * found.largest_next)

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


def objective_of(prior: Any, b: Any) -> Any:
    return joint.joint_log_failure(prior, b)


def gap_halved(right: Function) -> Function:
    return lambda *arguments, **options: 0.5 * right(*arguments, **options)


def worst_first(right: Function) -> Function:
    def wrong(prior: Any, n: Any) -> Any:
        return right(prior, n)[..., ::-1]

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


def kernel_of_the_angle(right: Function) -> Function:
    # 1 - S² in place of 1 - S.
    return lambda s, **o: right(s**2, **o)


def slope_of_the_table(right: Function) -> Function:
    return lambda w, kappa: right(w, kappa)._replace(value=right(w, kappa).value + 1e-3)


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


def ties_won(right: Function) -> Function:
    def wrong(counts: Any, k: int, **options: Any) -> Any:
        found, spread_of = right(counts, k, **options)
        return min(1.0, 1.1 * found), spread_of

    return wrong


PLANTED: list[Planted] = [
    (costs, "cost_allocation", all_cost_one, "9.1.1", "greedy at the costs of its prefixes"),
    (costs, "cost_allocation", half_a_gap, "9.1.1", "greedy and its bound bracket the optimum"),
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
    (joint_certificate, "joint_certificate", all_that_fails, "8.1.10", "the certificate is tight"),
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
]


@planted(PLANTED)
def test_verify_sees_it(monkeypatch, home, name, wrong, id_, claim):
    sees(monkeypatch, home, name, wrong, id_, claim)
