"""Exact estimators of k of n logged rollouts, and their variances (theory 9.4)."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from dora_theory.claims.check import drawing
from dora_theory.claims.check.claim import Claim, Instances
from dora_theory.replay.estimate import metrics

_N = 6


def _on_host(run: Callable[..., Any], law: Array, k: Array) -> Array:
    """A margin of each instance by NumPy, of laws in double precision."""
    # The thread of a callback may not have JAX's x64 on: what crosses over is of float32.
    shape = jax.ShapeDtypeStruct(law.shape[:1], np.float32)

    def on_host(parts: Any, k: Any) -> np.ndarray:
        found = run(_shares(np.asarray(parts, float)), np.asarray(k))
        return np.asarray(found, np.float32)

    return jax.pure_callback(on_host, shape, law, k).astype(float)


def _shares(law: np.ndarray) -> np.ndarray:
    return law / law.sum(-1, keepdims=True)


_draw_law = drawing.instances(
    law=lambda key, n: drawing.shares(drawing.whole(key, (n, 3), 1, 8)),
    k=drawing.integers(1, 3),
)


def _outcomes() -> tuple[np.ndarray, np.ndarray]:
    """All counts of right, wrong and other answers of six rollouts, and in how many ways."""
    found = [(a, b, _N - a - b) for a in range(_N + 1) for b in range(_N + 1 - a)]
    counts = np.array(found)
    factorial = np.cumprod([1, *range(1, _N + 1)])
    return counts, factorial[_N] / factorial[counts].prod(-1)


_COUNTS, _WAYS = _outcomes()


def _expected(estimate: Callable[[int], Any], law: Any, k: Any) -> list[Any]:
    """Mean of an estimate, its variance, and the mean of the estimated variance, of each law."""
    tables = {i: [np.asarray(x) for x in estimate(i)] for i in (1, 2, 3)}
    rows = []
    for p, i in zip(np.asarray(law), np.asarray(k).tolist(), strict=True):
        chance = _WAYS * (p**_COUNTS).prod(-1)
        found, spread = tables[i]
        mean = chance @ found
        rows.append((mean, chance @ found**2 - mean**2, chance @ spread))
    return rows


def _margin_pass(x: Instances) -> Float[Array, " n"]:
    def run(law: Any, k: Any) -> list[float]:
        n, c = _COUNTS.sum(-1), _COUNTS[:, 0]
        every = [
            _expected(lambda i: metrics.pass_hat(n, c, i, variance=True), law, k),
            _expected(lambda i: metrics.pass_at(n, c, i, variance=True), law, k),
        ]
        p = np.asarray(law)[:, 0]
        truth = [p**k, 1 - (1 - p) ** k]
        return [
            -max(
                max(abs(rows[j][0] - want[j]), abs(rows[j][1] - rows[j][2]))
                for rows, want in zip(every, truth, strict=True)
            )
            for j in range(len(p))
        ]

    return _on_host(run, x["law"], x["k"])


def _plurality(k: int, law: np.ndarray) -> float:
    """P(the right answer wins a vote of k), ties split, over all ordered draws."""
    total = 0.0
    for draw in np.ndindex(*(3,) * k):
        votes = np.bincount(draw, minlength=3)
        if votes[0] == votes.max():
            total += law[list(draw)].prod() / (votes == votes.max()).sum()
    return total


def _margin_majority(x: Instances) -> Float[Array, " n"]:
    def run(law: Any, k: Any) -> list[float]:
        def estimate(i: int) -> Any:
            pairs = [metrics.majority_at(c, i, variance=True) for c in _COUNTS]
            return tuple(zip(*pairs, strict=True))

        rows = _expected(estimate, law, k)
        wants = [_plurality(int(i), p) for p, i in zip(np.asarray(law), np.asarray(k), strict=True)]
        return [
            -max(abs(row[0] - want), abs(row[1] - row[2]))
            for row, want in zip(rows, wants, strict=True)
        ]

    return _on_host(run, x["law"], x["k"])


def _margin_hoeffding(x: Instances) -> Float[Array, " n"]:
    def run(law: Any, k: Any) -> list[float]:
        n, c = _COUNTS.sum(-1), _COUNTS[:, 0]
        rows = _expected(lambda i: metrics.pass_hat(n, c, i, variance=True), law, k)
        return [
            float(i / _N * row[0] * (1 - row[0]) - row[1])
            for row, i in zip(rows, np.asarray(k), strict=True)
        ]

    return _on_host(run, x["law"], x["k"])


CLAIMS = (
    Claim(
        id="9.4.1",
        name="pass^k and pass@k without bias",
        statement="C(c,k)/C(n,k) and 1 - C(n-c,k)/C(n,k) have the expectation of k fresh rollouts, "
        "and their variances are estimated without bias.",
        latex=r"\mathbb E\binom ck\Big/\binom nk=p^k",
        source="new",
        expected="holds",
        assumptions="n = 6 independent rollouts, k from 1 to 3.",
        proof="Means over all draws of k of the n. Checked over all outcomes.",
        draw=_draw_law,
        margin=_margin_pass,
        tolerance=1e-12,
        chunk=512,
        min_instances=512,
    ),
    Claim(
        id="9.4.2",
        name="plurality of k without bias",
        statement="The exact mean over all draws of k has the expectation of a vote of k fresh "
        "rollouts, ties split evenly, and an unbiased variance.",
        latex=r"\mathbb E\,\widehat{\text{maj}}_k=P(\text{right leads})\ \text{with ties split}",
        source="new",
        expected="holds",
        assumptions="Three answers, n = 6, k from 1 to 3.",
        proof="A program over answers on how many are drawn and how many tie; 1/(t+1) is ∫y^t dy, "
        "exact by Gauss and Legendre. Checked over all outcomes.",
        draw=_draw_law,
        margin=_margin_majority,
        tolerance=1e-12,
        chunk=512,
        min_instances=512,
    ),
    Claim(
        id="9.4.3",
        name="Hoeffding's bound of the variance",
        statement="The variance of the mean over all draws is at most k/n of that of one draw.",
        latex=r"\operatorname{Var}\hat\theta\le\frac kn\,\theta(1-\theta)",
        source="new",
        expected="holds",
        assumptions="pass^k, n = 6, k from 1 to 3.",
        proof="Hoeffding (1948) for U-statistics of degree k. Checked over all outcomes.",
        draw=_draw_law,
        margin=_margin_hoeffding,
        tolerance=1e-12,
        chunk=512,
        min_instances=512,
    ),
)
