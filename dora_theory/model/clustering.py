"""Hard directions: candidates whose embeddings are near each other, found by agglomeration."""

import numpy as np
from jaxtyping import Int, Real

from dora_theory._arrays import ArrayLike


def hard_directions(
    embeddings: Real[ArrayLike, "k d"], *, threshold: float = 0.3
) -> Int[np.ndarray, " k"]:
    """Direction of each candidate of one problem, without padding.

    Average-linkage agglomeration: the two groups with the least mean cosine distance are joined,
    until that distance exceeds the threshold.

    Args:
        embeddings: finite and not 0, shape `(k, d)`, k ≥ 1.
        threshold: the largest mean cosine distance, 1 − cosine, at which groups are joined, in
            [0, 2]. At 0 only candidates whose embeddings point the same way (up to rounding, 1e-7)
            are one direction; at 2 all candidates are.

    Returns:
        int32 `(k,)`, directions numbered from 0 in the order in which they first appear.

    Raises:
        ValueError: no candidates, an embedding that is not finite or is 0, a threshold out of
            range.

    Examples:
        >>> dt.hard_directions(np.array([[1, 0], [0.99, 0.1], [0, 1]]))
        array([0, 0, 1], dtype=int32)
    """
    try:
        rows = np.asarray(embeddings, dtype=np.float64)
    except ValueError as error:
        raise ValueError(f"embeddings: not a rectangular array ({error})") from None
    if rows.ndim != 2 or 0 in rows.shape:
        raise ValueError(f"embeddings: needs shape (k, d) with k, d ≥ 1, got {rows.shape}")
    if not 0 <= threshold <= 2:
        raise ValueError(f"threshold = {threshold}: needs a number in [0, 2]")
    largest = np.abs(rows).max(-1)
    bad = ~np.isfinite(largest) | (largest == 0)
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        needs = "has no direction" if largest[i] == 0 else "needs finite numbers"
        raise ValueError(f"embeddings[{i}] = {rows[i]}: {needs}")
    if len(rows) == 1:
        return np.zeros(1, dtype=np.int32)
    # A power of two changes no cosine, and keeps squares from overflow and underflow.
    unit = np.ldexp(rows, -np.frexp(largest)[1][:, None])
    unit /= np.linalg.norm(unit, axis=-1, keepdims=True)
    return _first_appearance(_agglomerate(np.clip(1 - unit @ unit.T, 0, 2), threshold))


# Cosines of rows that point the same way differ from 1 by rounding, and by float32's if the
# embeddings were computed in it.
_ROUNDING = 1e-7


def _agglomerate(distance: Real[np.ndarray, "k k"], threshold: float) -> Int[np.ndarray, " k"]:
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    # Both halves come from one matrix product, which may round them differently.
    tree = linkage(squareform(distance, checks=False), method="average")
    return fcluster(tree, threshold + _ROUNDING, criterion="distance")


def _first_appearance(labels: Int[np.ndarray, " k"]) -> Int[np.ndarray, " k"]:
    _, first, number = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int32)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    return rank[number]
