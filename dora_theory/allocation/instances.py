"""One budget and the problems that share it: checked arguments, one form of them for all rules."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._checks import (
    as_count,
    as_float,
    as_mask,
    check_range,
    common_shape,
    is_concrete,
)
from dora_theory.allocation.marginals import BetaHazards, Hazards, KnownHazards
from dora_theory.model.priors import BetaPrior, KnownPrior

NO_CAP = 2**31 - 1
# Sums of rollouts are int32, and on the way there they may exceed the total.
MOST = 2**30


class Instance(NamedTuple):
    """One budget and the problems that share it, checked.

    Attributes:
        hazards: of the m problems.
        log_value: log v.
        cost: of a rollout, None for 1.
        low: floors.
        high: caps.
        total: the budget.
    """

    hazards: Hazards
    log_value: Float[Array, " m"]
    cost: Float[Array, " m"] | None
    low: Int[Array, " m"]
    high: Int[Array, " m"]
    total: Real[Array, ""]

    @property
    def density(self) -> Float[Array, " m"]:
        """Log of value per cost."""
        return self.log_value if self.cost is None else self.log_value - jnp.log(self.cost)

    @property
    def price_of(self) -> Real[Array, " m"]:
        """Cost of a rollout, in the type of the budget."""
        return jnp.ones_like(self.low) if self.cost is None else self.cost


def checked_problems(
    values: Real[ArrayLike, "*#batch #m"],
    prior: BetaPrior | KnownPrior,
    total: Real[ArrayLike, "*#batch"],
    min_rollouts: Real[ArrayLike, "*#batch #m"],
    max_rollouts: Real[ArrayLike, "*#batch #m"] | None,
    costs: Real[ArrayLike, "*#batch #m"] | None,
    mask: Bool[ArrayLike, "*#batch #m #k"] | None,
    shape: tuple[int, ...] = (),
) -> tuple[Instance, tuple[int, ...]]:
    """The checked arguments of this module, each broadcast to the full shape, and the batch axes.

    Raises:
        ValueError: as `allocate_problems`.
    """
    known = isinstance(prior, KnownPrior)
    a, b = _parameters(prior)
    m = as_mask(mask, common_shape(prior=a.shape, mask=() if mask is None else jnp.shape(mask)))
    v = as_float("values", values)
    c = None if costs is None else as_float("costs", costs)
    shapes = {
        "values": v.shape,
        "prior": m.shape[:-1],
        "total": (*jnp.shape(total), 1),
        "min_rollouts": jnp.shape(min_rollouts),
        "max_rollouts": () if max_rollouts is None else jnp.shape(max_rollouts),
        "costs": () if c is None else c.shape,
        "rollouts": shape,
    }
    full = common_shape(**shapes)
    if full[-1] == 0:
        raise ValueError("prior: needs at least one problem")
    m = jnp.broadcast_to(m, (*full, m.shape[-1]))
    check_range("values", v, 0, low_open=True)
    low = jnp.broadcast_to(as_count("min_rollouts", min_rollouts), full)
    high = as_count("max_rollouts", NO_CAP if max_rollouts is None else max_rollouts)
    high = jnp.where(m.any(-1), high, 0)
    if c is None:
        n = as_count("total", total)
        check_range("total", n, 0, MOST)
    else:
        check_range("costs", c, 0, low_open=True)
        n = as_float("total", total).astype(a.dtype)
        check_range("total", n, 0)
        c = jnp.broadcast_to(c.astype(a.dtype), full)
    if is_concrete(low) and is_concrete(high):
        check_range("max_rollouts - min_rollouts", np.asarray(high) - np.asarray(low, np.int64), 0)
    if is_concrete(low) and is_concrete(n) and is_concrete(c):
        spent = (np.asarray(low, np.int64) * (1 if c is None else np.asarray(c))).sum(-1)
        if np.any((spent > np.asarray(n)) & (np.asarray(low).any(-1))) and not shape:
            raise ValueError("min_rollouts: the floors exceed the total")
    log_value = jnp.broadcast_to(jnp.log(v.astype(a.dtype)), full)
    if known:
        hazards: BetaHazards | KnownHazards = KnownHazards(jnp.broadcast_to(a, m.shape))
    else:
        hazards = BetaHazards(jnp.where(m, a, 0), jnp.where(m, b, 1), m)
    return Instance(hazards, log_value, c, low, high, jnp.broadcast_to(n, full[:-1])), full[:-1]


def _parameters(prior: BetaPrior | KnownPrior) -> tuple[Array, Array]:
    """A and b, or p and 1 - p, with an axis of candidates."""
    if isinstance(prior, KnownPrior):
        p = as_float("chance", prior.chance)[..., None]
        return p, 1 - p
    a, b = as_float("alpha", prior.alpha), as_float("beta", prior.beta)
    a, b = jnp.broadcast_arrays(a, b)
    if a.ndim < 2:
        raise ValueError(f"alpha: needs problems × candidates, got shape {a.shape}")
    return a, b


@partial(jax.jit, static_argnames=("run", "batch"))
def over_batch(
    run: Callable[..., Any], batch: tuple[int, ...], problem: Instance, *extra: Array
) -> Any:
    """Runs what takes one instance on all of a batch; `run` is static, a function of a module."""
    for _ in batch:
        run = jax.vmap(run)
    return run(problem, *extra)
