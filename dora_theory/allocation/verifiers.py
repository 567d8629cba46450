"""Rollouts that a verifier accepts or rejects, and errs (theory 9.3).

It accepts a right answer with probability t and a wrong one with f < t, and the first acceptance
ends the search. A rejection is a failure that is known with probability v = (t - f)/(1 - f): with
W_j the weight of j known ones among r rejections, under p ~ Beta(a, b),

    W'_j = (1 - v) W_j + v W_{j-1} (b + j - 1)/(a + b + j - 1),
    E[p | r rejections] = Σ_j W_j a/(a + b + j) / Σ_j W_j,

and every term is positive. The next rollout is accepted with A = f + (t - f) μ and worth
R = t μ - λ f (1 - μ), λ the price of a wrong answer; D is the value of no answer.
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._arrays import ArrayLike, array_of, host_array
from dora_theory._checks import Argument, check_whole, checked, is_host
from dora_theory._domains import NOT_NEGATIVE, POSITIVE, SHARE, offset_domain, spoiled
from dora_theory.allocation.one_by_one import Domains, on_each
from dora_theory.kernels.varying import varying_with

Method = Literal["auto", "index", "exact"]

# Means of N rollouts take N² steps per candidate.
_MOST = 1 << 14
# States of the program over counts, (N + 1)^k.
_MOST_STATES = 1 << 22
# Steps of the continued fraction of the ceiling.
_FRACTION = 1 << 12


class VerifierPlan(NamedTuple):
    """Which candidate is tried when, while all before were rejected, and what comes of it.

    Attributes:
        order: candidate of each rollout in turn, int32, shape `(..., N)`, -1 once it is better to
            stop without an answer.
        allocation: how often each is tried if nothing is accepted, int32, shape `(..., k)`.
        right: P(a right answer has been accepted) after each rollout, shape `(..., N)`.
        wrong: P(a wrong answer has been accepted) after each rollout, shape `(..., N)`.
    """

    order: Int[Array, "*batch n"]
    allocation: Int[Array, "*batch k"]
    right: Float[Array, "*batch n"]
    wrong: Float[Array, "*batch n"]


class VerifierOutcome(NamedTuple):
    """How a search ends that stops at the first acceptance.

    Attributes:
        right: P(the answer is right), shape `(...)`.
        wrong: P(the answer is wrong), shape `(...)`.
        none: P(nothing is accepted), shape `(...)`.
        value: right - λ wrong + D none, shape `(...)`.
    """

    right: Float[Array, "*batch"]
    wrong: Float[Array, "*batch"]
    none: Float[Array, "*batch"]
    value: Float[Array, "*batch"]


def verifier_order(
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "..."],
    true_positive: Real[ArrayLike, "..."],
    false_positive: Real[ArrayLike, "..."],
    budget: int,
    *,
    penalty: Real[ArrayLike, "*#batch"] = 0.0,
    no_answer: Real[ArrayLike, "*#batch"] = 0.0,
    method: Method = "auto",
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> VerifierPlan:
    """The order in which to try candidates when the verifier errs, and where to stop.

    With one t and f the largest posterior mean after the rejections so far, until R ≤ A D, is
    exactly optimal for every N, λ and D. How many rollouts the order has before its first -1 is,
    for an N that is large enough, the number past which more rollouts hurt.

    Args:
        weights: qualities w in [0, 1], shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`, or of each candidate, `(..., k)`.
        true_positive: t in [0, 1], scalar or shape `(...)`, or of each candidate, `(..., k)`.
        false_positive: f in [0, 1) below t, likewise.
        budget: N, the most rollouts of a problem, at most 2^14.
        penalty: λ ≥ 0 for a wrong answer, where a right one is worth 1.
        no_answer: D in [0, 1] for none.
        method: where candidates have rates of their own, no index is right under a cap:
            `"exact"` is the program over counts, of up to 2^22 states (N + 1)^k; `"index"` takes
            the largest R/A, which is exact if the cap does not bind. `"auto"` is the mean for one t
            and f, else exact.
        mask: boolean `(..., k)`, false for padding, which is not tried.

    Returns:
        `VerifierPlan`; ties go to the lowest index. O(k N²).

    Raises:
        ValueError: t ≤ f, rates outside [0, 1], other values out of range, too many states.

    Source: theory 9.3.1, 9.3.2.
    """
    n = check_whole("budget", budget, 0, _MOST)
    given, own, m = _checked(
        weights, concentration, true_positive, false_positive, penalty, no_answer, mask
    )
    if method not in ("auto", "index", "exact"):
        raise ValueError(f"method = {method!r}: needs auto, index or exact")
    exact = own if method == "auto" else method == "exact"
    if exact and (n + 1) ** m.shape[-1] > _MOST_STATES:
        raise ValueError(
            f"budget = {n}: {m.shape[-1]} candidates have more than {_MOST_STATES} states; "
            "method='index' is exact where the budget does not bind"
        )
    run = _by_states if exact else _by_index
    return on_each(run, (n, own), _DOMAINS, m, **given)


def verifier_outcome(
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "..."],
    true_positive: Real[ArrayLike, "..."],
    false_positive: Real[ArrayLike, "..."],
    order: Int[ArrayLike, "*#batch n"],
    *,
    penalty: Real[ArrayLike, "*#batch"] = 0.0,
    no_answer: Real[ArrayLike, "*#batch"] = 0.0,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> VerifierOutcome:
    """How a search in a given order ends, which stops at the first acceptance.

    Args:
        weights: qualities w in [0, 1], shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`, or of each candidate, `(..., k)`.
        true_positive: t in [0, 1], scalar or shape `(...)`, or of each candidate, `(..., k)`.
        false_positive: f in [0, 1) below t, likewise.
        order: candidate of each rollout in turn, shape `(..., n)`; -1 is no rollout.
        penalty: λ ≥ 0 for a wrong answer, where a right one is worth 1.
        no_answer: D in [0, 1] for none.
        mask: boolean `(..., k)`, false for padding.

    Returns:
        `VerifierOutcome`, each to (n + 8) u, with u = 2^-53 in float64 and 2^-24 in float32.

    Raises:
        ValueError: as `verifier_order`; an order that names no candidate, or padding.

    Source: theory 9.3.1.
    """
    given, _, m = _checked(
        weights, concentration, true_positive, false_positive, penalty, no_answer, mask
    )
    turns = jnp.asarray(array_of(order))
    if not jnp.issubdtype(turns.dtype, jnp.integer) or turns.ndim == 0:
        raise ValueError(f"order: needs integers with an axis of rollouts, got {turns.dtype}")
    if is_host(order) and turns.size:
        seen = host_array(order)
        if seen.min() < -1 or seen.max() >= m.shape[-1]:
            raise ValueError(f"order: needs candidates from 0 to {m.shape[-1] - 1}, or -1")
    batch = jnp.broadcast_shapes(m.shape[:-1], turns.shape[:-1])
    m = jnp.broadcast_to(m, (*batch, m.shape[-1]))
    turns = jnp.broadcast_to(turns, (*batch, turns.shape[-1])).astype(jnp.int32)
    right, wrong, none = on_each(_in_order, (), _DOMAINS, m, **given, order=turns)
    price, worth = given["penalty"], given["no_answer"]
    return VerifierOutcome(right, wrong, none, right - price * wrong + worth * none)


def verifier_ceiling(
    weights: Real[ArrayLike, "*#batch k"],
    concentration: Real[ArrayLike, "..."],
    true_positive: Real[ArrayLike, "..."],
    false_positive: Real[ArrayLike, "..."],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch k"]:
    """P(the accepted answer is right) of each candidate alone, however many rollouts it has.

    Args:
        weights: qualities w in [0, 1], shape `(..., k)`.
        concentration: κ > 0, scalar or shape `(...)`, or of each candidate, `(..., k)`.
        true_positive: t in [0, 1], scalar or shape `(...)`, or of each candidate, `(..., k)`.
        false_positive: f in [0, 1) below t, likewise.
        mask: boolean `(..., k)`, false for padding, which has 0.

    Returns:
        E[t p/(f + (t - f) p)] = t/(t - f) [1 - (f/t) ₂F₁(1, b; a + b; 1 - f/t)], shape `(..., k)`;
        1 for f = 0 and w > 0. Error below 1e-11 in float64, 1e-5 in float32, for f ≥ 1e-5 t.

    Raises:
        ValueError: as `verifier_order`.

    Source: theory 9.3.3.
    """
    given, _, m = _checked(weights, concentration, true_positive, false_positive, 0.0, 0.0, mask)
    return on_each(_ceiling, (), _DOMAINS, m, **given)


_DOMAINS: Domains = {
    "true_positive": ("k", SHARE, 1.0),
    "false_positive": ("k", SHARE, 0.0),
    "penalty": ("", NOT_NEGATIVE, 0.0),
    "no_answer": ("", SHARE, 0.0),
    "order": ("*", SHARE, 0.0),
}


def _checked(
    weights: Any, concentration: Any, t: Any, f: Any, penalty: Any, no_answer: Any, mask: Any
) -> tuple[dict[str, Array], bool, Array]:
    """Arguments by name for `on_each`, whether candidates have rates of their own, the mask."""
    w, kappa, yes, no, price, worth, m = checked(
        mask,
        weights=Argument(weights, domain=SHARE),
        concentration=Argument(concentration, "?k", offset_domain),
        true_positive=Argument(t, "?k", SHARE),
        false_positive=Argument(f, "?k", SHARE),
        penalty=Argument(penalty, "", NOT_NEGATIVE),
        no_answer=Argument(no_answer, "", SHARE),
    )
    own = max(yes.shape[-1], no.shape[-1]) > 1
    if is_host(t) and is_host(f):
        # What is checked may be traced by now; what was given is not.
        above = np.subtract(*(_beside(x, y) for x, y in ((t, yes), (f, no))))
        name = "true_positive - false_positive"
        POSITIVE.check(name, above if own else above[..., 0], mask if own else None)
    names = "w", "kappa", "true_positive", "false_positive", "penalty", "no_answer"
    return dict(zip(names, (w, kappa, yes, no, price, worth), strict=True)), own, m


def _beside(given: Any, checked: Array) -> np.ndarray:
    """Host values with the last axis that `checked` gave them."""
    x = host_array(given, checked.dtype)
    return x if x.ndim == checked.ndim else x[..., None]


def rejection_means(
    w: Float[Array, " k"],
    kappa: Float[Array, " #k"],
    t: Float[Array, " k"],
    f: Float[Array, " k"],
    length: int,
) -> Float[Array, "length k"]:
    """E[p | r rejections] for r = 0 … length - 1, of one problem (theory 9.3.1)."""
    v = ((t - f) / (1 - f))[:, None]
    j = jnp.arange(length, dtype=w.dtype)
    w, kappa = w[:, None], jnp.broadcast_to(kappa, w.shape)[:, None]
    mean, again = kappa * w / (kappa + j), (kappa * (1 - w) + j) / (kappa + j)

    def reject(mass: Array, _: None) -> tuple[Array, Array]:
        known = jnp.pad(mass * again, ((0, 0), (1, 0)))[:, :-1]
        after = (1 - v) * mass + v * known
        total = after.sum(-1, keepdims=True)
        # What is never rejected stays what it is.
        fine = total > 0
        after = jnp.where(fine, after / jnp.where(fine, total, 1), mass)
        return after, (mass * mean).sum(-1)

    start = jnp.zeros(mean.shape, w.dtype).at[:, 0].set(1)
    return jax.lax.scan(reject, varying_with(start, w), None, length)[1]


def _steps(
    mu: Array, t: Array, f: Array, penalty: Array, no_answer: Array
) -> tuple[Array, Array, Array]:
    """Acceptance A and reward R of rollouts of mean μ, and whether they are worth their risk."""
    accept, reward = f + (t - f) * mu, t * mu - penalty * f * (1 - mu)
    return accept, reward, reward > accept * no_answer


def _sound(mask: Array, t: Array, f: Array, found: Any) -> Any:
    bad = (mask & ~(t > f)).any()
    return jax.tree.map(lambda x: spoiled(x, bad, x.ndim), found)


def _by_index(
    n: int, own: bool, mask: Array, w: Array, kappa: Array, t: Array, f: Array, *price: Array
) -> VerifierPlan:
    """The largest mean, or of candidates with their own rates the largest R/A, of n rollouts."""
    mu = rejection_means(w, kappa, t, f, max(n, 1))
    accept, reward, worth = _steps(mu, t, f, *price)
    index = reward / jnp.where(accept > 0, accept, 1) if own else mu
    # Nothing is ever accepted of what has neither.
    index = jnp.where(worth & mask & (accept > 0), index, -jnp.inf)

    def take(given: Array, _: None) -> tuple[Array, Array]:
        here = jnp.take_along_axis(index, given[None], 0)[0]
        i = jnp.argmax(here)
        go = here[i] > -jnp.inf
        return given + go * (jnp.arange(w.size) == i), jnp.where(go, i, -1)

    given, order = jax.lax.scan(take, varying_with(jnp.zeros(w.shape, jnp.int32), w), None, n)
    return _sound(mask, t, f, _plan(order, given, mu, t, f))


def _by_states(
    n: int, own: bool, mask: Array, w: Array, kappa: Array, t: Array, f: Array, *price: Array
) -> VerifierPlan:
    """Bellman's equation over the counts of rejections of all candidates, for small problems."""
    k = w.size
    mu = rejection_means(w, kappa, t, f, n + 1)
    accept, reward, _ = _steps(mu, t, f, *price)
    value = jnp.full((n + 1,) * k, price[1])
    shape = [[n + 1 if a == i else 1 for a in range(k)] for i in range(k)]
    axes = [(accept[:, i].reshape(shape[i]), reward[:, i].reshape(shape[i])) for i in range(k)]
    spent = jnp.zeros((1,) * k, jnp.int32)
    for i in range(k):
        spent = spent + jnp.arange(n + 1).reshape(shape[i])

    def back(step: int, state: tuple[Array, Array]) -> tuple[Array, Array]:
        value, _ = state
        ways = [
            jnp.where(mask[i], r + (1 - a) * jnp.roll(value, -1, i), -jnp.inf)
            for i, (a, r) in enumerate(axes)
        ]
        best = jnp.stack(ways)
        stop = (spent >= n) | (best.max(0) <= price[1])
        choice = jnp.where(stop, -1, jnp.argmax(best, 0)).astype(jnp.int32)
        return jnp.where(stop, price[1], best.max(0)), choice

    start = varying_with((value, jnp.full(value.shape, -1, jnp.int32)), w)
    _, choice = jax.lax.fori_loop(0, n + 1, back, start)

    def take(given: Array, _: None) -> tuple[Array, Array]:
        i = choice[tuple(given)]
        return given + (jnp.arange(k) == i), i

    given, order = jax.lax.scan(take, varying_with(jnp.zeros(k, jnp.int32), w), None, n)
    return _sound(mask, t, f, _plan(order, given, mu, t, f))


def _plan(order: Array, given: Array, mu: Array, t: Array, f: Array) -> VerifierPlan:
    right, wrong, _ = _follow(order, mu, t, f)
    return VerifierPlan(order.astype(jnp.int32), given, right, wrong)


def _follow(order: Array, mu: Array, t: Array, f: Array) -> tuple[Array, Array, Array]:
    """P(right), P(wrong) and P(none) after each rollout of an order."""

    def try_one(state: tuple[Array, ...], i: Array) -> tuple[Any, tuple[Array, ...]]:
        given, right, wrong, none = state
        j = jnp.maximum(i, 0)
        p, go = mu[given[j], j], i >= 0
        right = right + jnp.where(go, none * t[j] * p, 0)
        wrong = wrong + jnp.where(go, none * f[j] * (1 - p), 0)
        none = none * jnp.where(go, 1 - (f[j] + (t[j] - f[j]) * p), 1)
        given = given + go * (jnp.arange(t.size) == j)
        return (given, right, wrong, none), (right, wrong, none)

    zero = jnp.zeros((), mu.dtype)
    start = varying_with((jnp.zeros(t.shape, jnp.int32), zero, zero, zero + 1), mu)
    right, wrong, none = jax.lax.scan(try_one, start, order)[1]
    return right, wrong, none


def _in_order(
    mask: Array, w: Array, kappa: Array, t: Array, f: Array, *price_and_order: Array
) -> tuple[Array, Array, Array]:
    order = price_and_order[-1]
    there = mask[jnp.clip(order, 0, w.size - 1)] & (order < w.size)
    fine = ((order == -1) | (there & (order >= 0))).all()
    order = jnp.append(order, -1)
    found = _follow(order, rejection_means(w, kappa, t, f, order.size), t, f)
    return _sound(mask, t, f, tuple(jnp.where(fine, x[-1], jnp.nan) for x in found))


def _ceiling(mask: Array, w: Array, kappa: Array, t: Array, f: Array, *price: Array) -> Array:
    """Gauss's continued fraction of ₂F₁(1, b; c; x), from below."""
    b, c, x = kappa * (1 - w), jnp.broadcast_to(kappa, w.shape), 1 - f / jnp.where(t > 0, t, 1)

    def up(step: Array, below: Array) -> Array:
        m = (_FRACTION - step).astype(w.dtype)
        even = m * ((c - b) + m - 1) / ((c + 2 * m - 2) * (c + 2 * m - 1))
        odd = (b + m) * (c + m - 1) / ((c + 2 * m - 1) * (c + 2 * m))
        return 1 / (1 - even * x / (1 - odd * x * below))

    below = jax.lax.fori_loop(0, _FRACTION, up, varying_with(jnp.ones_like(w), w, t))
    series = 1 / (1 - (b / c) * x * below)
    found = (1 - (1 - x) * series) / jnp.where(x > 0, x, 1)
    found = jnp.where(f > 0, found, w > 0)
    return _sound(mask, t, f, jnp.where(mask, found, 0))
