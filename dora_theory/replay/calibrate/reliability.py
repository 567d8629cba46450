r"""How reliable the PRM is: κ of p ~ Beta(κμ, κ(1 − μ)) by maximum likelihood of logged outcomes.

A direction with n logged continuations, c of them right, has likelihood

    B(κμ + c, κ(1 − μ) + n − c) / B(κμ, κ(1 − μ)) = (κ(1−μ))_f / (κ)_f · (κμ)_c / (κ + f)_c,

f = n − c, (x)_n the rising factorial: two of the ratios by which success itself is computed, exact
where four lgammas would cancel. n = 1 gives μ or 1 − μ whatever κ is: only directions with two or
more continuations say anything of κ.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from dora_theory._errors import agree, amount
from dora_theory.model.pochhammer import log_rising_ratio

# Where κ is looked for.
LEAST, MOST = 1e-3, 1e4
_GRID = np.linspace(np.log(LEAST), np.log(MOST), 25)
# Half the 95% quantile of χ² with one degree of freedom.
_DROP = 1.9207294103470494
_FEW = 30


@dataclass(frozen=True, slots=True)
class Concentration:
    """A fitted κ.

    Attributes:
        concentration: its maximum-likelihood estimate in [LEAST, MOST].
        low: lower end of the 95% profile-likelihood interval, 0 if the likelihood does not fall.
        high: upper end, ∞ if the likelihood does not fall.
        intercept: α of logit μ = α + β logit m, 0 if the means were taken as they are.
        slope: β, 1 if the means were taken as they are.
        log_likelihood: at the estimate.
        groups: how many directions.
        telling: how many of them have two or more continuations.
        warnings: what keeps κ from being known.
    """

    concentration: float
    low: float
    high: float
    intercept: float
    slope: float
    log_likelihood: float
    groups: int
    telling: int
    warnings: tuple[str, ...]


def log_likelihood(
    kappa: Float[Array, ""],
    mean: Float[Array, " groups"],
    logged: Float[Array, " groups"],
    correct: Float[Array, " groups"],
) -> Float[Array, ""]:
    """Log likelihood of outcomes in their order, as in the head of the module.

    Args:
        kappa: κ > 0.
        mean: μ in (0, 1), shape `(groups,)`.
        logged: n ≥ 0, shape `(groups,)`.
        correct: c in [0, n], shape `(groups,)`.

    Returns:
        A number ≤ 0, to 1e-13 of itself in float64.
    """
    a, b, failed = kappa * mean, kappa * (1 - mean), logged - correct
    return (log_rising_ratio(a, b, failed) + log_rising_ratio(b + failed, a, correct)).sum()


def fit_concentration(
    mean: Float[np.ndarray, " groups"],
    logged: Int[np.ndarray, " groups"],
    correct: Int[np.ndarray, " groups"],
    *,
    recalibrate: bool = False,
) -> Concentration:
    """κ by maximum likelihood, in log κ, with its profile-likelihood interval.

    Args:
        mean: m in (0, 1), shape `(groups,)`: what each direction's success probability is
            expected to be.
        logged: n ≥ 1, shape `(groups,)`.
        correct: c in [0, n], shape `(groups,)`.
        recalibrate: fit α and β of logit μ = α + β logit m too; else μ = m.

    Returns:
        The estimate; its gradient is below 1e-6 of a group's log likelihood, unless it is at an
        end of [LEAST, MOST].

    Raises:
        ValueError: no groups, a mean that is not in (0, 1), counts out of range.

    Source: theory 5.3; L-BFGS of optax.
    """
    m, n, c = (np.asarray(x, dtype=np.float64) for x in (mean, logged, correct))
    if not m.size:
        raise ValueError("mean: needs at least one group")
    if not ((m > 0) & (m < 1)).all():
        raise ValueError("mean: needs numbers in (0, 1)")
    if not ((n >= 1) & (c >= 0) & (c <= n)).all():
        raise ValueError("correct: needs 0 ≤ correct ≤ logged, logged ≥ 1")
    line_free = 1.0 if recalibrate else 0.0
    with jax.enable_x64(True):
        data = _padded(np.log(m) - np.log1p(-m), n, c)

        def climb(points: np.ndarray, line: np.ndarray, kappa_free: float) -> _Points:
            free = jnp.array([kappa_free, line_free, line_free])
            x, height = _along(jnp.asarray(points), jnp.asarray(line), free, data)
            return np.asarray(x), np.asarray(height)

        def profile(points: np.ndarray) -> np.ndarray:
            return climb(points, np.array([0.0, 1.0]), 0.0)[1]

        found, heights = climb(_GRID, np.array([0.0, 1.0]), 0.0)
        best = int(heights.argmax())
        x, height = found[best], heights[best]
        if 0 < best < len(_GRID) - 1:
            found, top = climb(np.full(_GRID.size, x[0]), x[1:], 1.0)
            x, height = found[-1], top[-1]
        log_kappa, line = float(x[0]), x[1:]
        low, high = (_end(heights, height, log_kappa, side, profile) for side in (-1, 1))
    telling = int((n >= 2).sum())
    return Concentration(
        concentration=float(np.exp(log_kappa)),
        low=low,
        high=high,
        intercept=float(line[0]) if recalibrate else 0.0,
        slope=float(line[1]) if recalibrate else 1.0,
        log_likelihood=float(height),
        groups=m.size,
        telling=telling,
        warnings=tuple(_warnings(telling, low, high)),
    )


def _warnings(telling: int, low: float, high: float) -> list[str]:
    if telling == 0:
        return ["no direction has two logged continuations: the log says nothing of κ"]
    found = []
    if telling < _FEW:
        few = f"{amount(telling, 'direction')} {agree(telling, 'have')}"
        found.append(f"only {few} two logged continuations or more")
    if low == 0:
        found.append("the likelihood does not fall toward κ → 0: any small κ is as likely")
    if high == np.inf:
        found.append("the likelihood does not fall toward κ → ∞: any large κ is as likely")
    return found


def _end(heights: np.ndarray, height: float, log_kappa: float, side: int, profile: Any) -> float:
    """Where the profile has dropped by half a χ² quantile, on one side of its maximum."""
    beyond = _GRID[(side * (_GRID - log_kappa) > 0) & (height - heights > _DROP)]
    if not beyond.size:
        return 0.0 if side < 0 else np.inf
    outer = float(beyond.max() if side < 0 else beyond.min())
    inner = log_kappa
    # Twice a look 24 times as close, then on the line between two points.
    for _ in range(2):
        points = np.linspace(inner, outer, _GRID.size)
        over = height - profile(points) - _DROP
        i = max(int(np.argmax(over > 0)), 1)
        inner, outer = points[i - 1], points[i]
    return float(np.exp(inner + (outer - inner) * over[i - 1] / (over[i - 1] - over[i])))


def _padded(*columns: np.ndarray) -> "_Data":
    """Data whose length is a power of two, so that few programs serve all; nothing is nothing."""
    size = max(512, 1 << (len(columns[0]) - 1).bit_length())
    logit, n, c = (jnp.asarray(np.pad(x, (0, size - len(x)))) for x in columns)
    return logit, n, c


_Data = tuple[Array, Array, Array]
_Points = tuple[np.ndarray, np.ndarray]


def _height(log_kappa: Array, line: Array, data: _Data) -> Array:
    logit, n, c = data
    return log_likelihood(jnp.exp(log_kappa), jax.nn.sigmoid(line[0] + line[1] * logit), n, c)


@jax.jit
def _along(points: Array, line: Array, free: Array, data: _Data) -> tuple[Array, Array]:
    """The best (log κ, α, β) from each log κ on, and its likelihood.

    `free` is 1 for what may move and 0 for what may not: the profile of κ and its maximum are one
    program. Each climb starts with the α and β of the one before, which are near.
    """
    size = data[0].size

    def at(start: Array, log_kappa: Array) -> tuple[Array, tuple[Array, Array]]:
        start = start.at[0].set(jnp.where(free[0] > 0, start[0], log_kappa))

        def loss(move: Array) -> Array:
            x = start + free * move
            return -_height(x[0], x[1:], data) / size

        move, least = _minimum(loss, jnp.zeros(3))
        x = start + free * move
        return x, (x, -size * least)

    first = jnp.concatenate([points[:1], line])
    return jax.lax.scan(at, first, points)[1]


def _minimum(loss: Any, start: Array) -> tuple[Array, Array]:
    """Where a loss is least and what it is there: L-BFGS until the gradient is rounding."""
    # Nearly all steps have length 1; a search by zooming would compile for twice as long.
    search = optax.scale_by_backtracking_linesearch(max_backtracking_steps=30)
    optimizer = optax.lbfgs(linesearch=search)
    evaluate = jax.value_and_grad(loss)

    def step(state: tuple) -> tuple:
        x, memory, turn, value, gradient = state
        update, memory = optimizer.update(
            gradient, memory, x, value=value, grad=gradient, value_fn=loss
        )
        x = optax.apply_updates(x, update)
        return x, memory, turn + 1, *evaluate(x)

    def open_(state: tuple) -> Array:
        return (state[2] < 100) & (jnp.abs(state[4]).max() > 1e-7)

    x, _, _, value, _ = jax.lax.while_loop(
        open_, step, (start, optimizer.init(start), 0, *evaluate(start))
    )
    return x, value


def divisor_method(low: float, high: float) -> str:
    """In words, what apportionment is optimal for κ between two numbers (theory 2.3)."""
    if low == 0 and high == np.inf:
        return "any divisor method"
    names = (
        (0.0, "Adams'"),
        (0.5, "Webster's"),
        (1.0, "Jefferson's"),
        (np.inf, "winner takes all"),
    )
    inside = [name for kappa, name in names if low <= kappa <= high]
    if inside:
        return "compatible with " + " and ".join(inside)
    below = max(pair for pair in names if pair[0] < low)[1]
    above = min(pair for pair in names if pair[0] > high)[1]
    return f"between {below} and {above}"
