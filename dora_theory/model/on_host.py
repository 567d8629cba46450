"""Quality and uniqueness of one small problem, in NumPy (eq. 4, 10-12).

A search loop asks for one problem at a time, of another size each time. Then JAX costs more than
the arithmetic: a program for each size, and its dispatch. What is given as lists, numbers, NumPy
arrays or arrays of JAX on the CPU, and is small, is computed here, to the same bounds of error.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, TypeVar, cast

import jax
import numpy as np
from jaxtyping import Bool, Float

from dora_theory._arrays import near, put
from dora_theory._checks import Argument, check_vectors, checked_single, is_host, mask_of
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
        If so, shapes fit. False also where shapes or types are wrong, which whoever checks
        arguments then says.
    """
    if not all(map(is_host, (candidates, *numbers, mask, embeddings))):
        return False
    try:
        shapes = [_shape(x) for x in (candidates, mask) if x is not None]
        vectors = () if embeddings is None else _shape(embeddings)
        single = not any(map(_shape, numbers))
    # A list of torch's tensors that keep a gradient is a `RuntimeError`.
    except (RuntimeError, TypeError, ValueError):
        return False
    if not single or any(len(shape) != 1 for shape in shapes):
        return False
    if embeddings is not None and (len(vectors) != 2 or not 0 < vectors[1] <= SMALL):
        return False
    sizes = {shape[0] for shape in shapes} | set(vectors[:1])
    return len(sizes) == 1 and 0 < sizes.pop() <= SMALL


def _shape(x: Any) -> tuple[int, ...]:
    """`np.shape`, which makes an array of a number."""
    if isinstance(x, np.ndarray):
        return x.shape
    return () if isinstance(x, float | int) else np.shape(x)


def small_by(host: Callable[..., np.ndarray | None]) -> Callable[[F], F]:
    """Has a function answer by `host`, of the same arguments, unless that returns None.

    Small arrays of JAX that are in the memory of the CPU are answered so too. What a bad value in
    one of them gives is not for `host` to say, which would raise.
    """
    # What leaves the range of a dtype is looked for where it matters.
    quiet = np.errstate(all="ignore")(host)

    def decorate(function: F) -> F:
        @wraps(function)
        def either(*arguments: Any, **options: Any) -> Any:
            of_jax = [x for x in (*arguments, *options.values()) if isinstance(x, jax.Array)]
            found = None
            if not of_jax:
                found = quiet(*arguments, **options)
            # Others are not read, which would wait for them.
            elif all(x.ndim <= 2 and max(x.shape, default=0) <= SMALL for x in of_jax):
                named = {name: near(x) for name, x in options.items()}
                with suppress(TypeError, ValueError):
                    found = quiet(*map(near, arguments), **named)
            # Not `jnp.asarray`, which compiles a program for each shape.
            return function(*arguments, **options) if found is None else put(found)

        return cast(F, either)

    return decorate


def quality_weights(
    scores: Any, quality_temperature: Any = 0.1, *, mask: Any = None
) -> Float[np.ndarray, " k"] | None:
    """`quality.quality_weights` of one small problem; None of anything else."""
    if not is_small(scores, quality_temperature, mask=mask):
        return None
    r, t, m = checked_single(
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
    t, e, m = checked_single(
        mask,
        similarity_temperature=Argument(similarity_temperature, "", POSITIVE),
        embeddings=Argument(embeddings, "k d", None),
    )
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
    """Scores, embeddings, both temperatures, more arguments and the mask of a small problem.

    Whether embeddings have a direction is for `weights_of` to say.
    """
    *found, m = checked_single(
        mask,
        promote=True,
        scores=Argument(scores),
        embeddings=Argument(embeddings, "k d", None),
        quality_temperature=Argument(quality_temperature, "", POSITIVE),
        similarity_temperature=Argument(similarity_temperature, "", POSITIVE),
        **more,
    )
    return *found, m


def weights_of(
    scores: Float[np.ndarray, " k"],
    embeddings: Float[np.ndarray, "k d"],
    quality_temperature: Any,
    similarity_temperature: Any,
    mask: Bool[np.ndarray, " k"] | None,
) -> Float[np.ndarray, " k"]:
    """DORA's weights of what `checked_both` gives; `ValueError` as `_uniqueness`."""
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
    each = np.exp((scores - top) / max(temperature[()], tiny))
    each[each < tiny] = 0
    return _normalized(each)


def _normalized(weights: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    """Weights that sum to 1, where they have a sum."""
    total = weights.sum()
    return np.minimum(weights / total, 1) if total > 0 else weights


def _uniqueness(
    embeddings: Float[np.ndarray, "k d"], temperature: Any, mask: Bool[np.ndarray, " k"] | None
) -> Float[np.ndarray, " k"]:
    """Uniqueness γ; 0 for padding. `ValueError` for a vector that is not finite, or is zero."""
    there = embeddings if mask is None else embeddings[mask]
    if not len(there):
        return np.zeros(len(embeddings), embeddings.dtype)
    near, moderate = _products(there)
    if not moderate:
        FINITE.check("embeddings", embeddings, mask_of(mask, "k d"))
        check_vectors("embeddings", embeddings, embeddings.dtype, mask)
        near, _ = _products(_on_one_scale(there))
    # Products are scaled, not vectors, of which there are more numbers.
    scale = 1 / np.sqrt(near.diagonal())
    near *= scale[:, None]
    near *= scale
    near -= 1
    limits = np.finfo(near.dtype)
    near /= max(temperature[()], limits.tiny)
    # Rounding may carry a cosine past 1, and a candidate is one with itself. Subnormal powers would
    # count for nothing, and take a processor long.
    near.clip(np.log(limits.tiny), 0, near)
    near.reshape(-1)[:: len(near) + 1] = 0
    found = 1 / np.exp(near, out=near).sum(-1)
    if mask is None:
        return found
    whole = np.zeros(len(embeddings), embeddings.dtype)
    whole[mask] = found
    return whole


def _products(e: Float[np.ndarray, "k d"]) -> tuple[Float[np.ndarray, "k k"], bool]:
    """Products of all pairs; whether all are finite and all vectors have a direction in range."""
    limits = np.finfo(e.dtype)
    found = e @ e.T
    squares = found.diagonal()
    least, most = squares.min(), squares.max()
    return found, bool(least > np.sqrt(limits.tiny) and most < np.sqrt(limits.max))


def _on_one_scale(e: Float[np.ndarray, "k d"]) -> Float[np.ndarray, "k d"]:
    """Vectors over their largest number."""
    tiny = np.finfo(e.dtype).tiny
    return e / np.clip(np.abs(e).max(-1, keepdims=True), tiny, 1 / tiny)
