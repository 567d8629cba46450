"""The exact optimum for any joint prior: branch and bound with its certificate (theory 8.1.9)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Real

from dora_theory._arrays import ArrayLike
from dora_theory._checks import check_spendable, check_whole
from dora_theory.model.joint import JointPrior

# A bound within this of the best found, in log failure, is no reason to look further.
_SLACK = 1e-12

Box = tuple[np.ndarray, np.ndarray]


class ExactAllocation(NamedTuple):
    """The best allocation that was found, and what bounds all others.

    Attributes:
        allocation: rollouts of each candidate, int64 `(k,)`.
        log_failure: its log F.
        bound: no allocation has a lower log F than this.
        nodes: boxes that were looked at.
        proved: whether `bound` is `log_failure` to 1e-12: all boxes are closed.
    """

    allocation: Int[np.ndarray, " k"]
    log_failure: float
    bound: float
    nodes: int
    proved: bool


def exact_allocation(
    prior: JointPrior,
    budget: Real[ArrayLike, ""],
    *,
    max_nodes: int = 100_000,
    start: Real[ArrayLike, " k"] | None = None,
) -> ExactAllocation:
    """The allocation of least failure under a joint prior, of one problem, on the host.

    Args:
        prior: a joint prior of shape `(m, k, n)`, without batch axes; its padding receives nothing.
        budget: N ≥ 0, at most `prior.max_rollouts`.
        max_nodes: boxes after which to stop with the best found.
        start: an allocation to begin with, shape `(k,)`.

    Returns:
        The optimum to 1e-12 in log failure, in float64 whatever the dtype of the moments; where it
        stops early, the best found and a bound. Exponential in the worst case; a few dozen boxes
        where the prior is near independence.

    Raises:
        ValueError: a prior with batch axes, a budget that is not a count, beyond the moments or
            without a candidate to go to, a start of another sum or with rollouts for padding.

    Source: theory 8.1.9.
    """
    table = np.asarray(prior.log_moments, np.float64)
    if table.ndim != 3 or np.ndim(prior.weights) != 1:
        raise ValueError(f"log_moments: needs shape (m, k, n), got {table.shape}")
    n = check_whole("budget", np.asarray(budget).item(), 0, prior.max_rollouts)
    search = _Search(table, np.log(_shares(prior.weights)), n)
    k = table.shape[1]
    check_spendable(n, prior.mask)
    most = np.where(True if prior.mask is None else np.asarray(prior.mask), n, 0) * np.ones(k, int)
    if start is not None:
        given = np.asarray(start, np.int64)
        if given.shape != (k,) or given.min() < 0 or given.sum() != n or np.any(given > most):
            raise ValueError(f"start = {given.tolist()}: needs {k} counts of sum {n}")
        search.consider(given)
    return search.run(np.zeros(k, np.int64), most, check_whole("max_nodes", max_nodes, 1))


def _shares(weights: ArrayLike) -> Float[np.ndarray, " m"]:
    w = np.asarray(weights, np.float64)
    with np.errstate(divide="ignore"):
        return w / w.sum()


class _Search:
    """Boxes lo ≤ B ≤ up that may hold a better allocation than the best so far."""

    def __init__(self, table: np.ndarray, log_weights: np.ndarray, budget: int) -> None:
        self.table, self.log_weights, self.n = table, log_weights, budget
        self.best: np.ndarray | None = None
        self.log_failure = np.inf

    def run(self, low: np.ndarray, up: np.ndarray, most_nodes: int) -> ExactAllocation:
        open_: list[tuple[float, Box]] = [(-np.inf, (low, up))]
        nodes, closed = 0, np.inf
        while open_ and nodes < most_nodes:
            known, (low, up) = open_.pop()
            if known >= self.log_failure - _SLACK:
                closed = min(closed, known)
                continue
            nodes += 1
            bound, base, rival = self.bound(low, up)
            if bound >= self.log_failure - _SLACK:
                closed = min(closed, bound)
                continue
            open_ += ((bound, part) for part in self._split(low, up, base, rival))
        assert self.best is not None
        bound = min([closed, self.log_failure, *(b for b, _ in open_)])
        proved = not open_ or bound >= self.log_failure - _SLACK
        return ExactAllocation(self.best, float(self.log_failure), float(bound), nodes, proved)

    def _split(self, low: np.ndarray, up: np.ndarray, base: np.ndarray, rival: np.ndarray) -> list:
        """Two boxes without a common point, cut between base and rival; the rival's comes last."""
        i = int(np.abs(base - rival).argmax())
        if base[i] == rival[i]:
            # The bound is not sharp though its rival is the base: only for a box that is a point.
            i = int((up - low).argmax())
            if up[i] == low[i]:
                return []
        cut = min((base[i] + rival[i]) // 2, up[i] - 1)
        left, right = up.copy(), low.copy()
        left[i], right[i] = cut, cut + 1
        boxes = [(low, left), (right, up)]
        if rival[i] <= cut:
            boxes.reverse()
        return [box for box in boxes if box[0].sum() <= self.n <= box[1].sum()]

    def bound(self, low: np.ndarray, up: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """The better of the certificates at greedy's point and at its rival, inside a box."""
        base = self.greedy(low, up)
        found, rival = self.certificate(base, low, up)
        again, other = self.certificate(rival, low, up)
        return (found, base, rival) if found >= again else (again, rival, other)

    def given(self, b: np.ndarray) -> np.ndarray:
        """Log failure given each y, with its weight."""
        own = np.take_along_axis(self.table, np.broadcast_to(b, self.table.shape[:2])[..., None], 2)
        return self.log_weights + own[..., 0].sum(1)

    def consider(self, b: np.ndarray) -> np.ndarray:
        log_f = self.given(b)
        found = np.logaddexp.reduce(log_f)
        if found < self.log_failure or self.best is None:
            self.best, self.log_failure = b.copy(), found
        return log_f

    def greedy(self, low: np.ndarray, up: np.ndarray) -> np.ndarray:
        b = low.copy()
        log_f = self.given(b)
        places = np.arange(len(b))
        for _ in range(self.n - int(b.sum())):
            now, then = self.table[:, places, b], self.table[:, places, np.minimum(b + 1, self.n)]
            with np.errstate(invalid="ignore"):
                more = np.where(now > -np.inf, then - now, 0)
            top = log_f.max()
            f = np.exp(log_f - (top if np.isfinite(top) else 0))
            gain = np.where(b < up, f @ -np.expm1(more), -1)
            i = int(gain.argmax())
            b[i] += 1
            log_f = log_f + more[:, i]
        return b

    def certificate(
        self, b: np.ndarray, low: np.ndarray, up: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Theory 8.1.7 for rivals inside the box."""
        log_f = self.consider(b)
        top = log_f.max()
        if top == -np.inf:
            return -np.inf, b
        q = np.exp(log_f - top)
        q /= q.sum()
        some = q > 0
        e = np.tensordot(q[some], self.table[some], 1)
        with np.errstate(invalid="ignore"):
            falls = e[:, :-1] - e[:, 1:]
        falls = np.minimum.accumulate(np.where(np.isnan(falls), 0, falls), axis=1)
        depth = np.arange(falls.shape[1])
        inside = (depth >= low[:, None]) & (depth < up[:, None])
        flat = np.where(inside, falls, -np.inf).ravel()
        taken = np.argsort(-flat, kind="stable")[: self.n - int(low.sum())]
        rival = low + np.bincount(taken // falls.shape[1], minlength=len(b))
        places = np.arange(len(b))
        gap = (e[places, b] - e[places, rival]).sum()
        return float(np.logaddexp.reduce(log_f) - max(gap, 0.0)), rival
