"""The length T_s of the kernel that a log supports, from its candidates as they were cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float

from dora_theory.replay.calibrate.kernel_length import LENGTHS, fitted_length, pair_losses
from dora_theory.replay.calibrate.reliability import Concentration

# Problems whose series are held at once.
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Alike:
    """What one problem says of the length.

    Attributes:
        scores: of its candidates, in (0, 1), shape `(k,)`.
        correct: whether the logged continuation was right, shape `(k,)`.
        similarity: cosines, shape `(k, k)`.
    """

    scores: Float[np.ndarray, " k"]
    correct: Bool[np.ndarray, " k"]
    similarity: Float[np.ndarray, "k k"]


def alike(scores: np.ndarray, correct: np.ndarray, embeddings: np.ndarray, edge: float) -> Alike:
    """The candidates of a problem, with scores moved to within `edge` of 0 and 1."""
    cosines = np.clip(embeddings @ embeddings.T, -1, 1).astype(np.float32)
    np.fill_diagonal(cosines, 1)
    return Alike(np.clip(scores, edge, 1 - edge), correct, cosines)


def log_losses(
    problems: Sequence[Alike], fit: Concentration
) -> tuple[Float[np.ndarray, "n lengths"], int]:
    """The loss of each problem at each length, and the number of pairs.

    Args:
        problems: of the log.
        fit: κ, and α and β of logit μ = α + β logit(score).

    Returns:
        Losses as of `pair_losses`; those of problems with a single candidate are 0.
    """
    losses = np.zeros((len(problems), LENGTHS.size))
    sizes = np.array([p.scores.size for p in problems])
    order = np.argsort(sizes, kind="stable")
    for start in range(0, len(problems), _BATCH):
        rows = order[start : start + _BATCH]
        # Sizes are powers of two and batches full, so that few programs are compiled.
        k = 1 << (int(sizes[rows].max()) - 1).bit_length()
        similarity = np.broadcast_to(np.eye(k), (_BATCH, k, k)).copy()
        mean, right = np.full((_BATCH, k), 0.5), np.zeros((_BATCH, k))
        counted = np.zeros((_BATCH, k), bool)
        for i, row in enumerate(rows):
            p, size = problems[row], sizes[row]
            logit = np.log(p.scores) - np.log1p(-p.scores)
            mean[i, :size] = 1 / (1 + np.exp(-(fit.intercept + fit.slope * logit)))
            right[i, :size], counted[i, :size] = p.correct, True
            similarity[i, :size, :size] = p.similarity
        mean = np.clip(mean, 1e-6, 1 - 1e-6)
        with jax.enable_x64(True):
            kappa = np.full(_BATCH, fit.concentration)
            found = pair_losses(similarity, right, counted.astype(float), mean, kappa, counted)
        losses[rows] = np.asarray(found)[: rows.size]
    return losses, int((sizes * (sizes - 1) // 2).sum())


def length_of_log(problems: Sequence[Alike], fit: Concentration) -> dict[str, Any] | None:
    """The fitted T_s of a log as a document; None if no problem has two candidates."""
    problems = [p for p in problems if p.scores.size > 1]
    if not problems:
        return None
    losses, pairs = log_losses(problems, fit)
    found = fitted_length(losses, pairs)
    return {name: getattr(found, name) for name in found.__dataclass_fields__}
