"""One budget and the problems that share it: checked arguments, one form of them for all rules."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from dora_theory._arrays import ArrayLike, host_array
from dora_theory._checks import Argument, checked, host_count, host_float, host_mask, is_host
from dora_theory._domains import COUNT, NOT_NEGATIVE, POSITIVE, SHARE, Domain, spoiled
from dora_theory.allocation.marginals import BetaHazards, Hazards, KnownHazards
from dora_theory.kernels.varying import varying_with
from dora_theory.model.priors import BetaPrior, KnownPrior

NO_CAP = 2**31 - 1
# Sums of rollouts are int32, and on the way there they may exceed the total.
MOST = 2**30
TOTAL = Domain(0, MOST)

_Found = TypeVar("_Found")


class Instance(NamedTuple):
    """One budget and the problems that share it, checked.

    Attributes:
        hazards: of the m problems.
        log_value: log v.
        cost: of a rollout, None for 1.
        low: floors.
        high: caps.
        total: the budget.
        bad: problems with a value out of range, replaced here by sound ones; all problems of a
            budget that is none.
    """

    hazards: Hazards
    log_value: Float[Array, " m"]
    cost: Float[Array, " m"] | None
    low: Int[Array, " m"]
    high: Int[Array, " m"]
    total: Real[Array, ""]
    bad: Bool[Array, " m"]

    @property
    def density(self) -> Float[Array, " m"]:
        """Log of value per cost."""
        return self.log_value if self.cost is None else self.log_value - jnp.log(self.cost)

    @property
    def price_of(self) -> Real[Array, " m"]:
        """Cost of a rollout, in the type of the budget."""
        return jnp.ones_like(self.low) if self.cost is None else self.cost


class Limits(NamedTuple):
    """A budget, floors and caps, checked: shapes `(...)` and twice `(..., m)`, and who is bad."""

    total: Real[Array, "*batch"]
    low: Int[Array, "*batch m"]
    high: Int[Array, "*batch m"]
    bad: Bool[Array, "*batch m"]


def checked_problems(
    values: Real[ArrayLike, "*#batch #m"],
    prior: BetaPrior | KnownPrior,
    total: Real[ArrayLike, "*#batch"] = 0,
    min_rollouts: Real[ArrayLike, "*#batch #m"] = 0,
    max_rollouts: Real[ArrayLike, "*#batch #m"] | None = None,
    costs: Real[ArrayLike, "*#batch #m"] | None = None,
    mask: Bool[ArrayLike, "*#batch #m #k"] | None = None,
    *,
    sums: bool = True,
    **more: Argument,
) -> tuple[Any, ...]:
    """The checked arguments of problems, each broadcast to the full shape.

    Args:
        values: as `allocate_problems`.
        prior: the same.
        total: the same.
        min_rollouts: the same.
        max_rollouts: the same.
        costs: the same.
        mask: the same.
        sums: whether the total must suffice for the floors.
        **more: further arguments of problems, with their domains.

    Returns:
        The instance, the batch axes, and the further arguments. What is bad on a device is marked
        in `Instance.bad`, and sound values stand in for it.

    Raises:
        ValueError: as `allocate_problems`.
        TypeError: not a prior.
    """
    given = _parameters(prior)
    worth = {"values": values, **({} if costs is None else {"costs": costs})}
    there = None if mask is None else host_mask(mask)
    has = True if there is None else there.any(-1)
    arguments = {name: Argument(x, domain=None) for name, x in given.items()}
    arguments |= {name: Argument(x, "", None) for name, x in worth.items()}
    arguments |= more
    of, limits, m = checked_limits(
        arguments, total, min_rollouts, max_rollouts, costs, mask, has=has, sums=sums
    )
    for name, x in worth.items():
        POSITIVE.check(name, host_float(name, x), has)
    domains = tuple((name, x.axes, x.domain) for name, x in more.items())
    return _instance(of, limits, m, domains), m.shape[:-2], *(of[name] for name in more)


def checked_limits(
    arguments: dict[str, Argument],
    total: Real[ArrayLike, "*#batch"],
    min_rollouts: Real[ArrayLike, "*#batch #m"],
    max_rollouts: Real[ArrayLike, "*#batch #m"] | None,
    costs: Real[ArrayLike, "*#batch #m"] | None = None,
    mask: Any = None,
    *,
    has: Any = True,
    sums: bool = True,
) -> tuple[dict[str, Array], Limits, Array]:
    """What `dora_theory._checks.checked` says of arguments of problems, and their limits.

    Args:
        arguments: with problems as their last batch axis.
        total: N in [0, 2^30], or a budget of costs.
        min_rollouts: floors.
        max_rollouts: caps, None for none.
        costs: host values or an array; None for 1.
        mask: of candidates.
        has: which problems have a candidate; the others have cap 0.
        sums: whether the total must suffice for the floors.

    Returns:
        The arguments, all of the full shape but for axes of their own; the limits; the mask.

    Raises:
        ValueError: values out of range, floors above caps or above N, shapes that do not fit.
    """
    n = host_count("total", total) if costs is None else host_float("total", total)
    within = TOTAL if costs is None else NOT_NEGATIVE
    within.check("total", n)
    most = NO_CAP if max_rollouts is None else max_rollouts
    kind = COUNT if costs is None else None
    found = checked(
        mask,
        **arguments,
        total=Argument(n[..., None], "", kind),
        min_rollouts=Argument(min_rollouts, "", COUNT),
        max_rollouts=Argument(most, "", COUNT),
    )
    *rest, cap, m = found
    full = m.shape[:-1]
    if not full or full[-1] == 0:
        raise ValueError("prior: needs at least one problem")
    if is_host(min_rollouts) and is_host(max_rollouts):
        room = np.where(has if is_host(has) else True, host_array(most, float), 0) - host_array(
            min_rollouts, float
        )
        NOT_NEGATIVE.check("max_rollouts - min_rollouts", room)
    if sums and all(is_host(x) for x in (min_rollouts, total, costs)):
        floor, price = np.broadcast_arrays(
            host_array(min_rollouts, float), 1.0 if costs is None else host_array(costs, float)
        )
        # Not 0 times an infinite cost.
        each = np.multiply(floor, price, out=np.zeros(floor.shape), where=floor > 0)
        spent = np.broadcast_to(each, full).sum(-1)
        if np.any((spent > host_array(n)) & (spent > 0)):
            raise ValueError("min_rollouts: the floors exceed the total")
    if costs is not None and all(is_host(x) for x in (max_rollouts, total, costs, has)):
        caps, price = host_array(most, float), host_array(costs, float)
        caps, price = np.broadcast_to(np.where(has, caps, 0), full), np.broadcast_to(price, full)
        # A price that is none is reported as such.
        price = np.where(price > 0, price, np.inf)
        with np.errstate(over="ignore"):
            bought = _bought(host_array(n, float), caps, price)
        if np.any(bought > MOST):
            raise ValueError(f"costs: the total pays for more than {MOST} rollouts")
    *rest, budget, low = rest
    of = {
        name: jnp.broadcast_to(x, (*full, *x.shape[x.ndim - len(a.axes.split()) :]))
        for (name, a), x in zip(arguments.items(), rest, strict=True)
    }
    limits = _limited(budget[..., 0], low, cap, of.get("costs"), m, sums)
    return of, limits, m


@partial(jax.jit, static_argnames=("sums",))
def _limited(n: Array, low: Array, cap: Array, cost: Array | None, m: Array, sums: bool) -> Limits:
    full, has = m.shape[:-1], m.any(-1)
    n = jnp.broadcast_to(n, full[:-1])
    low = jnp.broadcast_to(low, full)
    high = jnp.where(has, jnp.broadcast_to(cap, full), 0)
    bad = (low < 0) | (high < 0) | (low > high)
    none = (TOTAL if cost is None else NOT_NEGATIVE).fails(n)
    if sums and cost is None:
        most = jnp.clip(n, 0, MOST)[..., None] + 1
        none |= summed(jnp.maximum(low, 0), most)[..., -1] > n
    elif sums and cost is not None:
        floors = jnp.where(low > 0, low * cost, 0)
        none |= floors.sum(-1) > n
    if cost is not None:
        none |= _bought(n, high, jnp.where(cost > 0, cost, jnp.inf)) > MOST
    bad |= none[..., None]
    return Limits(
        jnp.where(bad.any(-1), 0, n), jnp.where(bad, 0, low), jnp.where(bad, 0, high), bad
    )


def _bought(n: Any, high: Any, cost: Any) -> Any:
    """The most rollouts that a budget pays for, by the lowest cost and by the caps."""
    few = (high > 0) * (n[..., None] / cost).clip(max=4.0 * MOST)
    return few.clip(max=high).sum(-1).clip(max=few.max(-1))


@partial(jax.jit, static_argnames=("domains",))
def _instance(
    of: dict[str, Array], limits: Limits, m: Array, domains: tuple[tuple[str, str, Domain], ...]
) -> Instance:
    has = m.any(-1)
    bad = limits.bad | (POSITIVE.fails(of["values"]) & has)
    for name, axes, domain in domains:
        bad |= domain.fails(of[name], 1, m) if axes else domain.fails(of[name])
    cost = of.get("costs")
    if cost is not None:
        bad |= POSITIVE.fails(cost) & has
    if "chance" in of:
        p = of["chance"]
        bad |= SHARE.fails(p, 1, m)
        hazards: Hazards = KnownHazards(jnp.where(m & ~bad[..., None], p, 0))
    else:
        a, b = of["alpha"], of["beta"]
        bad |= NOT_NEGATIVE.fails(a, 1, m) | NOT_NEGATIVE.fails(b, 1, m)
        bad |= POSITIVE.fails(a + b, 1, m)
        sound = m & ~bad[..., None]
        hazards = BetaHazards(jnp.where(sound, a, 0), jnp.where(sound, b, 1), m)
    live = has & ~bad
    return Instance(
        hazards,
        jnp.where(live, jnp.log(jnp.where(live, of["values"], 1)), 0),
        None if cost is None else jnp.where(live, cost, 1),
        jnp.where(bad, 0, limits.low),
        limits.high,
        jnp.where(bad.any(-1), 0, limits.total),
        bad,
    )


def _parameters(prior: BetaPrior | KnownPrior) -> dict[str, Array]:
    """A and b, or p, with an axis of candidates."""
    if isinstance(prior, KnownPrior):
        return {"chance": jnp.atleast_1d(prior.chance)[..., None]}
    if not isinstance(prior, BetaPrior):
        raise TypeError(f"prior: needs a BetaPrior or KnownPrior, got {type(prior).__name__}")
    if min(prior.alpha.ndim, prior.beta.ndim) < 2:
        shape = min(prior.alpha.shape, prior.beta.shape, key=len)
        raise ValueError(f"alpha: needs problems × candidates, got shape {shape}")
    return {"alpha": prior.alpha, "beta": prior.beta}


def summed(x: Int[Array, "*batch m"], most: Int[Array, "*#batch"]) -> Int[Array, "*batch m"]:
    """Sums of x ≥ 0 up to each, stopped at `most` so that no int32 overflows."""
    return jax.lax.associative_scan(
        lambda a, b: jnp.minimum(a, most - b) + b, jnp.minimum(x, most), axis=-1
    )


def over_batch(
    run: Callable[..., Any],
    batch: tuple[int, ...],
    problem: Instance,
    *extra: Array,
    each: bool = False,
    **static: int,
) -> Any:
    """What a function of one instance says of all of a batch, and nothing where it is bad.

    Args:
        run: a function of a module, of an instance and what of `extra` belongs to it.
        batch: the batch axes.
        problem: instances.
        *extra: arrays with the same batch axes.
        each: whether a problem's result depends on its own values only, and is all that is bad.
        **static: what else `run` takes.

    Returns:
        What `run` returns, with batch axes.
    """
    return _over(run, batch, each, tuple(static.items()), problem, *extra)


@partial(jax.jit, static_argnames=("run", "batch", "each", "static"))
def _over(
    run: Callable[..., Any],
    batch: tuple[int, ...],
    each: bool,
    static: tuple[tuple[str, int], ...],
    problem: Instance,
    *extra: Array,
) -> Any:
    problem, extra = varying_with((problem, extra))
    run = partial(run, **dict(static))
    for _ in batch:
        run = jax.vmap(run)
    return voided(run(problem, *extra), problem.bad if each else problem.bad.any(-1))


def voided(found: _Found, bad: Bool[Array, "*batch"]) -> _Found:
    """`found`, with -1, NaN or false throughout where it is bad."""
    return jax.tree.map(lambda x: spoiled(x, bad, x.ndim - bad.ndim), found)
