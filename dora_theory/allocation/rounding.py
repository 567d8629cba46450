"""The paper's own ways from weights to integers (theory 3.1b, 3.2); `apportion` keeps budgets."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import Argument, check_spendable, checked
from dora_theory._domains import COUNT, FINITE, NOT_NEGATIVE, SHARE, Domain, cannot_spend, spoiled
from dora_theory._sizes import rounded
from dora_theory.kernels.varying import varying_with


@rounded
def round_allocation(
    weights: Real[ArrayLike, "*#batch k"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """round(N w_i), halves to even, whose sum may miss N.

    Args:
        weights: in [0, 1], shape `(..., k)`, as a rule with sum 1.
        budget: N ≥ 0 rollouts, scalar or shape `(...)`.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        int32 `(..., k)`.

    Raises:
        ValueError: NaN, weights outside [0, 1], negative N, shapes that do not fit.

    Examples:
        >>> dt.round_allocation(np.array([1, 1, 1]) / 3, 4)
        Array([1, 1, 1], dtype=int32)

    Source: eq. 4 and 13; theory 3.2.
    """
    return _rounded(*checked_scores(weights, budget, mask, "weights", SHARE))


@rounded
def sequential_ceiling_allocation(
    weights: Real[ArrayLike, "*#batch k"],
    budget: Real[ArrayLike, "*#batch"],
    *,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Int[Array, "*batch k"]:
    """In descending order of weight, ⌈what is left of N × share of what is left of the weights⌉.

    A product within 16 ulps of an integer counts as that number: rounding noise, which
    the ceiling would turn into a whole rollout.

    Args:
        weights: ≥ 0, shape `(..., k)`, on any scale; ties go to the lowest index.
        budget: N ≥ 0 rollouts, scalar or shape `(...)`.
        mask: boolean `(..., k)`, false for padding, which receives nothing.

    Returns:
        int32 `(..., k)` with sum N. If all weights are 0, the first candidate receives all.

    Raises:
        ValueError: NaN or negative weights, negative N, shapes that do not fit.

    Examples:
        >>> dt.sequential_ceiling_allocation(np.array([1, 1, 1]) / 3, 4)
        Array([2, 1, 1], dtype=int32)

    Source: theory 3.1b.
    """
    w, n, m = checked_scores(weights, budget, mask, "weights", NOT_NEGATIVE)
    return sequential(w, w, n, m)


def checked_scores(
    scores: ArrayLike,
    budget: ArrayLike,
    mask: ArrayLike | None,
    name: str = "scores",
    domain: Domain = FINITE,
) -> tuple[Array, Array, Array]:
    """Scores and N of the shapes that they have, and the mask `(..., k)` of one batch."""
    r, n, m = checked(
        mask, **{name: Argument(scores, domain=domain)}, budget=Argument(budget, "", COUNT)
    )
    check_spendable(budget, mask)
    return r, n, m


def readied(r: Array, n: Array, mask: Array, domain: Domain = FINITE) -> tuple[Array, Array, Array]:
    """Scores `(..., k)`, 0 for padding, N `(...)`, and which problems are bad."""
    bad = domain.fails(r, 1, mask) | cannot_spend(n, mask)
    return jnp.where(mask, r, 0), jnp.broadcast_to(n, mask.shape[:-1]), bad


def descending(scores: Array, mask: Array) -> Array:
    """Candidates from the best down, ties by index, padding last."""
    # Two stable sorts: a finite score must come before padding, however low it is.
    order = jnp.argsort(-scores, axis=-1, stable=True)
    padding = jnp.take_along_axis(~mask, order, -1)
    last = jnp.argsort(padding, axis=-1, stable=True)
    return jnp.take_along_axis(order, last, -1)


@jax.jit
def _rounded(weights: Array, budget: Array, mask: Array) -> Array:
    w, n, bad = readied(weights, budget, mask, SHARE)
    return spoiled(jnp.round(w * n[..., None].astype(w.dtype)).astype(jnp.int32), bad)


@jax.jit
def sequential(weights: Array, ranked: Array, budget: Array, mask: Array) -> Array:
    """`sequential_ceiling_allocation`, in descending order of `ranked`."""
    w, n, bad = readied(weights, budget, mask, NOT_NEGATIVE)
    order = descending(jnp.where(mask, ranked, 0), mask)
    w = jnp.take_along_axis(w, order, -1)
    rest = jnp.flip(jnp.cumsum(jnp.flip(w, -1), -1), -1)
    share = jnp.where(rest > 0, w / jnp.where(rest > 0, rest, 1), 1)
    noise = 16 * jnp.finfo(w.dtype).eps

    def give(left: Array, part: Array) -> tuple[Array, Array]:
        exact = left.astype(part.dtype) * part
        whole = jnp.round(exact)
        near = jnp.abs(exact - whole) <= noise * exact
        given = jnp.where(near, whole, jnp.ceil(exact)).astype(jnp.int32)
        given = jnp.minimum(given, left)
        return left - given, given

    shares = jnp.moveaxis(share, -1, 0)
    _, given = jax.lax.scan(give, varying_with(n, shares), shares)
    given = jnp.take_along_axis(jnp.moveaxis(given, 0, -1), jnp.argsort(order, axis=-1), -1)
    return spoiled(given, bad)
