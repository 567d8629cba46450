"""From nearly optimal rollouts of many problems to the optimum, ties and all, by the certificate.

Of every problem two marginals matter: that of its last rollout, which could be taken back, and that
of its next one. While the largest next exceeds the smallest last, the best of all of both are kept.
From a start that is a rollout or two off this takes a handful of passes of O(m k).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dora_theory.allocation.instances import Instance, summed
from dora_theory.allocation.marginals import Ends, ends
from dora_theory.allocation.prices import Market, respond, search_price
from dora_theory.kernels.varying import varying_with

# Marginals so many ulps of their logarithm apart are a tie.
_ROUNDINGS = 64
# Passes of the exchange at most; it needs a handful.
_PATIENCE = 1 << 16
# In float32 integers beyond this are no longer exact.
SINGLE = 1 << 22


def tie(log_marginal: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Within how much of it another log marginal is equal to this one."""
    size = jnp.where(jnp.isfinite(log_marginal), jnp.abs(log_marginal), 0)
    return _ROUNDINGS * jnp.finfo(log_marginal.dtype).eps * (1 + size)


def optimal(x: Instance) -> tuple[Array, Array, Array, Array]:
    """Rollouts, counts of candidates, log price and what is left of the budget (theory 7.1)."""
    high = jnp.maximum(jnp.minimum(x.high, x.hazards.useful()), x.low)
    of = x.log_value.dtype
    market = Market(
        x.hazards,
        x.density,
        x.price_of.astype(of),
        x.low.astype(of),
        # No problem can be given more than the budget; so large caps count for no more.
        jnp.minimum(high.astype(of), x.low + jnp.ceil(x.total / x.price_of).astype(of)),
    )
    n = jnp.rint(search_price(market, x.total.astype(of)))
    n = jnp.clip(n.astype(jnp.int32), x.low, high)
    # Far beyond what the dtype counts no search ends, and the result is void.
    beyond = (n > 2 * SINGLE).any() & (of == jnp.float32)
    n = jnp.where(beyond, jnp.minimum(n, 2 * SINGLE), n)
    counts, price = _exchanged(x, x.hazards.split(n), high, beyond)
    n = counts.sum(-1, dtype=jnp.int32)
    if x.cost is None:
        # What no rollout gains anything by goes to the lowest problem with room.
        left = jnp.where(beyond, 0, x.total - n.sum(dtype=jnp.int32))
        room = x.high - n
        surplus = _fill(room, left).astype(jnp.int32)
        counts = jax.lax.cond(
            left > 0,
            lambda c: x.hazards.split(c.sum(-1, dtype=jnp.int32) + surplus),
            lambda c: c,
            counts,
        )
        n = n + surplus
    return n, counts, price, x.total - (x.price_of * n).sum()


def _fill(room: Int[Array, " m"], left: Int[Array, ""]) -> Int[Array, " m"]:
    """`left` units to the lowest indices that have room for them."""
    room = jnp.minimum(room, left)
    given = summed(room, left)
    before = jnp.concatenate([jnp.zeros_like(given[:1]), given[:-1]])
    return jnp.clip(left - before, 0, room)


def certified(x: Instance, rollouts: Int[Array, " m"]) -> tuple[Array, Array]:
    """Largest next and smallest last log marginal."""
    found = _ends(x, x.hazards.split(rollouts), x.high)
    return found.following.max(), found.last.min()


def all_optima(x: Instance) -> tuple[Array, Array, Array]:
    """What all optima give, who is tied for the rest, and how many of the tied get one more."""
    n, counts, _, _ = optimal(x)
    found = _ends(x, counts, x.high)
    price, top = found.last.min(), found.following.max()
    choice = (top >= price - tie(price)) & jnp.isfinite(price) & jnp.isfinite(top)
    last = (found.last <= price + tie(price)) & choice
    following = (found.following >= price - tie(price)) & choice
    return n - last, last | following, last.sum(dtype=jnp.int32)


def gained(x: Instance, counts: Int[Array, "m k"]) -> Float[Array, " m"]:
    """V (1 - F) of each problem."""
    return jnp.exp(x.log_value) * x.hazards.hit(counts)


def bought(x: Instance, log_price: Float[Array, ""]) -> Int[Array, "m k"]:
    """The marginals of each problem that are at least the price, by candidate."""
    high = x.hazards.useful()
    of = x.log_value.dtype
    none, most = jnp.zeros_like(x.log_value), high.astype(of)
    market = Market(x.hazards, x.log_value, jnp.ones_like(x.log_value), none, most)
    # The rounding of 2^31 - 1 in float32 is one more, which no int32 holds.
    near = jnp.clip(respond(market, log_price, none).rollouts, 0, jnp.minimum(most, 2.0**31 - 256))
    counts = x.hazards.split(jnp.minimum(jnp.rint(near).astype(jnp.int32), high))
    least = log_price - tie(log_price)

    def step(state: tuple) -> tuple:
        counts, log_failure, passes, _ = state
        found = ends(x.hazards, x.log_value, counts, log_failure, jnp.zeros_like(high), high)
        give, take = found.following >= least, found.last < least
        return *_moved(counts, log_failure, found, give, take), passes + 1, jnp.any(give | take)

    def unfinished(state: tuple) -> Array:
        return state[3] & (state[2] < _PATIENCE)

    start_state = counts, x.hazards.log_failure(counts), jnp.int32(0), jnp.bool_(True)
    return jax.lax.while_loop(unfinished, step, varying_with(start_state, x))[0]


def dual(x: Instance, log_price: Float[Array, ""]) -> Float[Array, ""]:
    """D(λ) of theory 7.1c; of λ = 0 all that can be gained."""
    free = log_price == -jnp.inf
    counts = bought(x, jnp.where(free, 0, log_price))
    spare = x.total - counts.sum(-1, dtype=jnp.int32).astype(x.log_value.dtype).sum()
    paid = jnp.where(spare == 0, 0, jnp.exp(log_price) * spare)
    most = jnp.where(x.hazards.useful() > 0, jnp.exp(x.log_value), 0).sum()
    return jnp.where(free, most, gained(x, counts).sum() + paid)


def _ends(x: Instance, counts: Array, high: Array) -> Ends:
    return ends(x.hazards, x.density, counts, x.hazards.log_failure(counts), x.low, high)


def _moved(
    counts: Array, log_failure: Array, found: Ends, give: Array, take: Array
) -> tuple[Array, Array]:
    """Counts and log F after one rollout more, or one less, of some problems."""
    place = jnp.arange(counts.shape[-1])
    more = give[:, None] & (place == found.give[:, None])
    less = take[:, None] & (place == found.take[:, None])
    after = jnp.where(give, found.log_after, jnp.where(take, found.log_before, log_failure))
    return counts + more - less, after


def _exchanged(
    x: Instance, counts: Array, high: Array, given_up: Bool[Array, ""]
) -> tuple[Array, Array]:
    """The optimum that the exchange ends at, and the log of what one more rollout is worth."""
    cost = x.price_of
    # Sums of costs are compared up to their rounding.
    slack = 0 if x.cost is None else 16 * jnp.finfo(x.cost.dtype).eps * x.total

    def step(state: tuple) -> tuple:
        counts, log_failure, passes, _, _ = state
        found = ends(x.hazards, x.density, counts, log_failure, x.low, high)
        has_last, has_next = found.last < jnp.inf, found.following > -jnp.inf
        spent = (cost * counts.sum(-1, dtype=jnp.int32)).sum()
        left = x.total - spent + slack
        top, bottom = found.following.max(), found.last.min()
        fits = cost[jnp.argmax(found.following)] <= left
        full = (left >= 0) & ~(fits & jnp.any(has_next))
        proved = (top <= bottom + tie(bottom)) & full
        keep_last, take_next = _best(x, found, has_last, has_next, left)
        moved = _moved(
            counts, log_failure, found, take_next & ~(has_last & ~keep_last), has_last & ~keep_last
        )
        return *moved, passes + 1, proved, top

    def unproved(state: tuple) -> Array:
        return ~state[3] & (state[2] < _PATIENCE)

    start = (
        counts,
        x.hazards.log_failure(counts),
        jnp.int32(0),
        given_up,
        jnp.zeros((), x.log_value.dtype),
    )
    counts, log_failure, *_ = jax.lax.while_loop(unproved, step, varying_with(start, x))
    found = ends(x.hazards, x.density, counts, log_failure, x.low, high)
    return counts, found.following.max()


def _best(
    x: Instance, found: Ends, has_last: Array, has_next: Array, left: Array
) -> tuple[Bool[Array, " m"], Bool[Array, " m"]]:
    """Which last rollouts to keep and which next ones to give: the best that fit, ties by index."""
    cost = x.price_of
    zero = jnp.zeros_like(cost)
    last_cost, next_cost = jnp.where(has_last, cost, zero), jnp.where(has_next, cost, zero)
    room = left + last_cost.sum()
    lasts, nexts = (
        jnp.where(has_last, found.last, jnp.inf),
        jnp.where(has_next, found.following, jnp.inf),
    )
    low = jnp.minimum(lasts.min(), nexts.min())
    high = jnp.maximum(jnp.where(has_last, found.last, -jnp.inf).max(), found.following.max())
    # Without a marginal on either side there is nothing to choose.
    low, high = (jnp.where(jnp.isfinite(end), end, 0) for end in (low, high))

    def reached(level: Array) -> Array:
        kept = jnp.where(found.last >= level, last_cost, zero)
        return (kept + jnp.where(found.following >= level, next_cost, zero)).sum()

    def halve(state: tuple) -> tuple:
        low, high, passes = state
        middle = low + (high - low) / 2
        over = reached(middle) > room
        return jnp.where(over, middle, low), jnp.where(over, high, middle), passes + 1

    def wide(state: tuple) -> Array:
        low, high, passes = state
        return (high - low > tie(high) / 16) & (passes < 200)

    start = varying_with((low - tie(low), high + tie(high), jnp.int32(0)), x)
    low, high, _ = jax.lax.while_loop(wide, halve, start)
    low = jnp.where(reached(low) <= room, -jnp.inf, low)
    # Above the tie all fit; in it the lowest problems come first, a last before a next.
    over = high + tie(high) / 2
    under = jnp.where(jnp.isfinite(low), low - tie(low) / 2, low)
    sure_last, sure_next = has_last & (found.last > over), has_next & (found.following > over)
    maybe_last = has_last & ~sure_last & (found.last >= under)
    maybe_next = has_next & ~sure_next & (found.following >= under)
    rest = room - jnp.where(sure_last, cost, zero).sum() - jnp.where(sure_next, cost, zero).sum()
    wanted = jnp.where(maybe_last, cost, zero) + jnp.where(maybe_next, cost, zero)
    before = jnp.cumsum(wanted) - wanted
    after_last = before + jnp.where(maybe_last, cost, zero)
    keep = sure_last | (maybe_last & (after_last <= rest))
    give = sure_next | (maybe_next & (before + wanted <= rest))
    return keep, give
