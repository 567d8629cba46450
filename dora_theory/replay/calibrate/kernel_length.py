"""The length T_s of the similarity kernel from logged outcomes, by pair moments (theory 8.3.4).

Two candidates of one problem succeed together the more often the more alike they are. Under the
copula prior E p_i p_j = Σ_n α_n α_n' e^{-n(1 - S_ij)/T}; T is where these moments fit best. Each
problem adds a loss of its own at each T, so that a bootstrap over problems costs next to nothing.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import Argument, check_range, check_whole, checked, is_host
from dora_theory._domains import COUNT, SHARE, Domain, offset_domain
from dora_theory.model.copula import check_symmetric
from dora_theory.model.copula_moments import pair_series

# Lengths that are tried; at an end the log says no more than that all, or none, are independent.
LENGTHS = np.geomspace(0.003, 10, 64)
_COSINE = Domain(-1 - 1e-5, 1 + 1e-5)
# Problems whose series are held at once.
_BATCH = 64
ADVICE = "guess low: twice the true T_s loses 5 to 10 times what half of it loses"


@dataclass(frozen=True)
class KernelLength:
    """A fitted T_s and how well the log supports it.

    Attributes:
        similarity_temperature: T_s of the least loss.
        lower_quartile: of the fit, by bootstrap over problems.
        upper_quartile: likewise.
        low: lower end of its 95% interval.
        high: upper end.
        supported: whether the interval lies inside the lengths that are tried, 0.003 to 10; else
            the log supports no length.
        num_problems: with two or more candidates that were tried.
        num_pairs: of candidates.
    """

    similarity_temperature: float
    lower_quartile: float
    upper_quartile: float
    low: float
    high: float
    supported: bool
    num_problems: int
    num_pairs: int


def fit_similarity_temperature(
    similarity: Real[ArrayLike, "n k k"],
    successes: Real[ArrayLike, "n k"],
    rollouts: Real[ArrayLike, "n k"],
    weights: Real[ArrayLike, "n k"],
    concentration: Real[ArrayLike, "*#n"],
    *,
    mask: Bool[ArrayLike, "n k"] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> KernelLength:
    """T_s of C_ij = exp(-(1 - S_ij)/T_s) from outcomes of problems, with its uncertainty.

    Args:
        similarity: S in [-1, 1], symmetric, shape `(n, k, k)`.
        successes: of each candidate, shape `(n, k)`.
        rollouts: of each candidate, at least as many; one without any tells nothing.
        weights: μ in [0, 1], the mean success probability of each candidate, shape `(n, k)`. Where
            they are off as a whole, all candidates of a problem seem correlated.
        concentration: κ > 0, scalar or shape `(n,)`.
        mask: false for padding, shape `(n, k)`.
        resamples: of the bootstrap, at least 100.
        seed: of the bootstrap.

    Returns:
        The fit. Problems help, more rollouts of a candidate hardly do.

    Raises:
        ValueError: NaN, values out of range, more successes than rollouts, no pair of candidates.

    Source: theory 8.3.4.
    """
    s, c, n, w, kappa, m = checked(
        mask,
        promote=True,
        similarity=Argument(similarity, "k k", _COSINE),
        successes=Argument(successes, domain=COUNT),
        rollouts=Argument(rollouts, domain=COUNT),
        weights=Argument(weights, domain=SHARE),
        concentration=Argument(concentration, "", offset_domain),
    )
    check_whole("resamples", resamples, 100)
    if is_host(similarity):
        check_symmetric("similarity", similarity, mask)
    check_range("rollouts - successes", np.where(m, n - c, 0), 0)
    counted = np.asarray(m & (n > 0) & (w > 0))
    kappa = jnp.broadcast_to(kappa, w.shape[:1])
    losses = np.concatenate(
        [
            np.asarray(pair_losses(*(x[i : i + _BATCH] for x in (s, c, n, w, kappa, counted))))
            for i in range(0, len(w), _BATCH)
        ]
        or [np.zeros((0, LENGTHS.size))]
    )
    count = counted.sum(-1)
    pairs = int((count * (count - 1) // 2).sum())
    return fitted_length(losses[count > 1], pairs, resamples=resamples, seed=seed)


def fitted_length(
    losses: Float[np.ndarray, "n lengths"], pairs: int, *, resamples: int = 1000, seed: int = 0
) -> KernelLength:
    """The fit, from the loss of each problem at each of `LENGTHS`.

    Args:
        losses: as `pair_losses`, of problems with a pair.
        pairs: how many pairs there are.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        The fit.

    Raises:
        ValueError: no problem.
    """
    if not len(losses):
        raise ValueError("similarity: needs a problem with two candidates that were tried")
    count = len(losses)
    # In an order of their own: weights are drawn by place.
    losses = losses[np.lexsort(np.round(losses, 9).T)]
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), resamples)
    found = _least(drawn @ losses)
    ends = np.quantile(found, [0.025, 0.25, 0.75, 0.975])
    low, first, third, high = map(float, ends)
    inside = low > LENGTHS[0] * 1.001 and high < LENGTHS[-1] / 1.001
    best = float(_least(losses.sum(0)[None])[0])
    return KernelLength(best, first, third, low, high, bool(inside), count, pairs)


@jax.jit
def pair_losses(
    similarity: Array,
    successes: Array,
    rollouts: Array,
    weights: Array,
    kappa: Array,
    counted: Array,
) -> Float[Array, "n lengths"]:
    """Σ over pairs of (p̂_i p̂_j - E p_i p_j)²/(μ_i μ_j), of each problem at each of `LENGTHS`.

    Args:
        similarity: S, shape `(n, k, k)`.
        successes: shape `(n, k)`.
        rollouts: shape `(n, k)`.
        weights: μ, shape `(n, k)`.
        kappa: κ, shape `(n,)`.
        counted: which candidates count, shape `(n, k)`.

    Returns:
        Shape `(n, lengths)`, unchecked.
    """
    w = jnp.where(counted, weights, 0)
    series = pair_series(w, kappa).left
    share = jnp.where(counted, successes / jnp.maximum(rollouts, 1), 0).astype(w.dtype)
    seen = share[..., :, None] * share[..., None, :]
    both = counted[..., :, None] & counted[..., None, :] & jnp.tri(w.shape[-1], k=-1, dtype=bool)
    scale = jnp.where(both, w[..., :, None] * w[..., None, :], 1)
    gap = jnp.where(both, jnp.maximum(1 - similarity, 0), 0)

    def at(length: Array) -> Array:
        near = jnp.exp(-gap / length)
        moment = jnp.zeros_like(near)
        for n in range(series.shape[-1] - 1, -1, -1):
            product = series[..., :, None, n] * series[..., None, :, n]
            moment = moment * near + product
        return (jnp.where(both, seen - moment, 0) ** 2 / scale).sum((-1, -2))

    return jnp.moveaxis(jax.lax.map(at, jnp.asarray(LENGTHS, w.dtype)), 0, -1)


def _least(losses: np.ndarray) -> np.ndarray:
    """Where each row is least, by a parabola in log T through three points."""
    place = losses.argmin(-1)
    inner = np.clip(place, 1, LENGTHS.size - 2)
    left, middle, right = (
        np.take_along_axis(losses, (inner + i)[:, None], -1)[:, 0] for i in (-1, 0, 1)
    )
    bend = left - 2 * middle + right
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = np.where(bend > 0, 0.5 * (left - right) / bend, 0)
    inside = place == inner
    step = np.log(LENGTHS[1] / LENGTHS[0])
    return LENGTHS[place] * np.exp(np.where(inside, np.clip(shift, -0.5, 0.5) * step, 0))
