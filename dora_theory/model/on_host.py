"""Quality and uniqueness of one small problem, in NumPy (eq. 4, 10-12).

A search loop asks for one problem at a time, of another size each time. Then JAX costs more than
the arithmetic: a program for each size, and its dispatch. What is given as lists, numbers, NumPy
arrays or arrays of JAX on the CPU, and is small, is computed here, to the same bounds of error.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import jax
import numpy as np
from jaxtyping import Bool, Float

from dora_theory._arrays import near
from dora_theory._checks import Argument, check_vectors, checked_host, is_host, mask_of
from dora_theory._domains import FINITE, POSITIVE

F = TypeVar("F", bound=Callable[..., Any])

# Candidates and dimensions of a small problem.
SMALL = 1024


def is_small(candidates: Any, *numbers: Any, mask: Any = None, embeddings: Any = None) -> bool:
    """Whether host values are of one small problem.

    Args:
        candidates: what should have shape `(k,)`; None if `embeddings` say k.
        *numbers: what should be one number each.
        mask: None, or what should have shape `(k,)`.
        embeddings: None, or what should have shape `(k, d)`.

    Returns:
        False also where shapes or types are wrong, which whoever checks arguments then says.
    """
    if not all(map(is_host, (candidates, *numbers, mask, embeddings))):
        return False
    try:
        shapes = [np.shape(x) for x in (candidates, mask) if x is not None]
        vectors: tuple[int, ...] = () if embeddings is None else np.shape(embeddings)
        single = not any(map(np.ndim, numbers))
    # A list of torch's tensors that keep a gradient is a `RuntimeError`.
    except (RuntimeError, TypeError, ValueError):
        return False
    if not single or any(len(shape) != 1 for shape in shapes):
        return False
    if embeddings is not None and (len(vectors) != 2 or vectors[1] > SMALL):
        return False
    sizes = {shape[0] for shape in shapes} | set(vectors[:1])
    return len(sizes) == 1 and max(sizes) <= SMALL


def small_by(host: Callable[..., np.ndarray | None]) -> Callable[[F], F]:
    """Has a function answer by `host`, of the same arguments, unless that returns None.

    Small arrays of JAX that are in the memory of the CPU are answered so too. What a bad value in
    one of them gives is not for `host` to say, which would raise.
    """

    def decorate(function: F) -> F:
        @wraps(function)
        def either(*arguments: Any, **options: Any) -> Any:
            near = [_near(x) for x in arguments]
            named = {name: _near(x) for name, x in options.items()}
            if all(x is y for x, y in zip(near, arguments, strict=True)) and all(
                named[name] is x for name, x in options.items()
            ):
                found = host(*arguments, **options)
            else:
                try:
                    found = host(*near, **named)
                except (TypeError, ValueError):
                    found = None
            # Not `jnp.asarray`, which compiles a program for each shape.
            return function(*arguments, **options) if found is None else jax.device_put(found)

        return cast(F, either)

    return decorate


def _near(x: Any) -> Any:
    """A small array of JAX on the CPU as NumPy's; anything else as it is."""
    return x if isinstance(x, jax.Array) and x.size > SMALL * SMALL else near(x)


def quality_weights(
    scores: Any, quality_temperature: Any = 0.1, *, mask: Any = None
) -> Float[np.ndarray, " k"] | None:
    """`quality.quality_weights` of one small problem; None of anything else."""
    if not is_small(scores, quality_temperature, mask=mask):
        return None
    r, t, m, _ = checked_host(
        mask,
        scores=Argument(scores),
        quality_temperature=Argument(quality_temperature, "", POSITIVE),
    )
    return softmax(r, t, m)


def uniqueness(
    embeddings: Any,
    similarity_temperature: Any = 0.01,
    *,
    mask: Any = None,
    block_size: int = 1,
    precision: str = "full",
    implementation: str = "auto",
) -> Float[np.ndarray, " k"] | None:
    """`similarity.uniqueness` of one small problem; None of anything else."""
    plain = (block_size, precision, implementation) == (1, "full", "auto")
    if not plain or not is_small(None, similarity_temperature, mask=mask, embeddings=embeddings):
        return None
    t, e, m, _ = checked_host(
        mask,
        similarity_temperature=Argument(similarity_temperature, "", POSITIVE),
        embeddings=Argument(embeddings, "k d", None),
    )
    _check_embeddings(e, m)
    return _uniqueness(e, t, m)


def dora_weights(
    scores: Any,
    embeddings: Any,
    *,
    quality_temperature: Any = 0.1,
    similarity_temperature: Any = 0.01,
    mask: Any = None,
) -> Float[np.ndarray, " k"] | None:
    """`weights.dora_weights` of one small problem; None of anything else."""
    numbers = quality_temperature, similarity_temperature
    if not is_small(scores, *numbers, mask=mask, embeddings=embeddings):
        return None
    return weights_of(*checked_both(scores, embeddings, *numbers, mask))


def checked_both(
    scores: Any,
    embeddings: Any,
    quality_temperature: Any,
    similarity_temperature: Any,
    mask: Any,
    **more: Argument,
) -> tuple[Any, ...]:
    """Scores, embeddings, both temperatures, more arguments and the mask of a small problem."""
    *found, m, _ = checked_host(
        mask,
        promote=True,
        scores=Argument(scores),
        embeddings=Argument(embeddings, "k d", None),
        quality_temperature=Argument(quality_temperature, "", POSITIVE),
        similarity_temperature=Argument(similarity_temperature, "", POSITIVE),
        **more,
    )
    _check_embeddings(found[1], m)
    return *found, m


def _check_embeddings(e: Float[np.ndarray, "k d"], mask: Bool[np.ndarray, " k"] | None) -> None:
    """`ValueError` for embeddings that are not finite, or have no direction."""
    if not _is_moderate(_squares(e), e.dtype):
        FINITE.check("embeddings", e, mask_of(mask, "k d"))
        check_vectors("embeddings", e, e.dtype, mask)


def _squares(e: Float[np.ndarray, "k d"]) -> Float[np.ndarray, " k"]:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.einsum("kd,kd->k", e, e)


def _is_moderate(squares: Float[np.ndarray, " k"], dtype: np.dtype) -> bool:
    """Whether all vectors are finite and have a direction, and products of them stay in range."""
    limits = np.finfo(dtype)
    return bool(squares.min() > np.sqrt(limits.tiny) and squares.max() < np.sqrt(limits.max))


def weights_of(
    scores: Float[np.ndarray, " k"],
    embeddings: Float[np.ndarray, "k d"],
    quality_temperature: Any,
    similarity_temperature: Any,
    mask: Bool[np.ndarray, " k"] | None,
) -> Float[np.ndarray, " k"]:
    """DORA's weights of what is checked."""
    quality = softmax(scores, quality_temperature, mask)
    return _normalized(quality * _uniqueness(embeddings, similarity_temperature, mask))


def softmax(
    scores: Float[np.ndarray, " k"], temperature: Any, mask: Bool[np.ndarray, " k"] | None
) -> Float[np.ndarray, " k"]:
    """Softmax of scores over a temperature; 0 for padding, and below the normal numbers."""
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    top = scores.max()
    if top == -np.inf:
        return np.zeros_like(scores)
    tiny = np.finfo(scores.dtype).tiny
    each = np.exp((scores - top) / np.maximum(temperature, tiny).astype(scores.dtype))
    each[each < tiny] = 0
    return _normalized(each)


def _normalized(weights: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    """Weights that sum to 1, where they have a sum."""
    total = weights.sum()
    return np.minimum(weights / total, 1) if total > 0 else weights


def _uniqueness(
    embeddings: Float[np.ndarray, "k d"], temperature: Any, mask: Bool[np.ndarray, " k"] | None
) -> Float[np.ndarray, " k"]:
    """Uniqueness γ; 0 for padding."""
    if mask is not None:
        found = np.zeros(len(embeddings), embeddings.dtype)
        if mask.any():
            found[mask] = _uniqueness(embeddings[mask], temperature, None)
        return found
    e = embeddings
    limits = np.finfo(e.dtype)
    square = _squares(e)
    if not _is_moderate(square, e.dtype):
        e = e / np.clip(np.abs(e).max(-1, keepdims=True), limits.tiny, 1 / limits.tiny)
        square = _squares(e)
    # Products are scaled, not vectors, of which there are more numbers.
    scale = 1 / np.sqrt(square)
    near = e @ e.T
    near *= scale[:, None]
    near *= scale
    near -= 1
    # Rounding may carry a cosine past 1, and a candidate is one with itself.
    np.minimum(near, 0, out=near)
    np.fill_diagonal(near, 0)
    near /= np.maximum(temperature, limits.tiny).astype(near.dtype)
    # Subnormal powers would count for nothing, and take a processor long.
    np.maximum(near, np.log(limits.tiny), out=near)
    return 1 / np.exp(near, out=near).sum(-1)
