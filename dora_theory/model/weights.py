"""DORA's weights: quality times uniqueness, normalized (eq. 13)."""

import jax
from jaxtyping import Array, Bool, Float, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import Argument, check_vectors, checked
from dora_theory._domains import POSITIVE
from dora_theory._sizes import rounded
from dora_theory.model import on_host
from dora_theory.model.quality import normalized, quality_weights
from dora_theory.model.similarity import uniqueness


@on_host.small_by(on_host.dora_weights)
@rounded
def dora_weights(
    scores: Real[ArrayLike, "*#batch k"],
    embeddings: Real[ArrayLike, "*#batch k d"],
    *,
    quality_temperature: Real[ArrayLike, "*#batch"] = 0.1,
    similarity_temperature: Real[ArrayLike, "*#batch"] = 0.01,
    mask: Bool[ArrayLike, "*#batch k"] | None = None,
) -> Float[Array, "*batch k"]:
    """DORA's weights w' ∝ w γ.

    Args:
        scores: PRM scores R, shape `(..., k)`.
        embeddings: e, finite and not 0, shape `(..., k, d)`.
        quality_temperature: T_b > 0 of the quality softmax, scalar or shape `(...)`.
        similarity_temperature: T_s > 0, scalar or shape `(...)`.
        mask: boolean `(..., k)`, false for padding, whose weight is 0.

    Returns:
        Shape `(..., k)`, sum 1 in each problem that has a candidate.

    Raises:
        ValueError: as `quality_weights` and `uniqueness`.

    Examples:
        >>> scores = np.array([0.9, 0.8, 0.8, 0.5])
        >>> embeddings = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0.01], [0, 0, 1]])
        >>> np.asarray(dt.dora_weights(scores, embeddings), float).round(3)
        array([0.721, 0.133, 0.133, 0.013])

    Source: eq. 13.
    """
    r, e, t, t_s, m = checked_both(
        scores, embeddings, quality_temperature, similarity_temperature, mask
    )
    w = quality_weights(r, quality_temperature=t, mask=m)
    gamma = uniqueness(e, similarity_temperature=t_s, mask=m)
    return weighted(w, gamma)


@jax.jit
def weighted(
    quality: Float[Array, "*batch k"], share: Float[Array, "*batch k"]
) -> Float[Array, "*batch k"]:
    """W γ / Σ w γ, eq. 13, of w and γ (or another share of a candidate in its likes)."""
    return normalized(quality * share)


def checked_both(
    scores: ArrayLike,
    embeddings: ArrayLike,
    quality_temperature: ArrayLike,
    similarity_temperature: ArrayLike,
    mask: ArrayLike | None,
) -> tuple[Array, ...]:
    """Scores, embeddings, both temperatures and the mask."""
    r, e, *temperatures, m = checked(
        mask,
        promote=True,
        scores=Argument(scores),
        embeddings=Argument(embeddings, "k d"),
        quality_temperature=Argument(quality_temperature, "", POSITIVE),
        similarity_temperature=Argument(similarity_temperature, "", POSITIVE),
    )
    check_vectors("embeddings", embeddings, e.dtype, mask)
    return r, e, *temperatures, m
