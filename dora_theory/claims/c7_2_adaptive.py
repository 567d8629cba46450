"""One budget for many problems where every outcome is seen (theory 7.2)."""

from fractions import Fraction
from operator import lt

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from dora_theory.allocation import adaptive
from dora_theory.claims.check import drawing, shrinking
from dora_theory.claims.check import many_problems as many
from dora_theory.claims.check.claim import Claim, Instance, Instances
from dora_theory.model.priors import BetaPrior

_M, _N = 3, 4


# Beta posteriors, a = 0 among them, and values of three problems.
draw_beliefs = drawing.instances(
    alpha=lambda key, n: drawing.whole(key, (n, _M), 0, 6).astype(float) / 2,
    beta=lambda key, n: drawing.whole(key, (n, _M), 1, 9).astype(float) / 2,
    values=lambda key, n: drawing.whole(key, (n, _M), 1, 3).astype(float),
)


def _indexed(x: Instances) -> many.Choice:
    """The package's index policy at every state of Bellman's equation."""
    n, size = x["alpha"].shape[0], _N + 1
    failed = jnp.stack(jnp.meshgrid(*(jnp.arange(size),) * _M, indexing="ij"), -1)
    shape = (n, *failed.shape)
    places = (slice(None), *(None,) * _M)
    prior = BetaPrior(
        jnp.broadcast_to(x["alpha"][places], shape)[..., None],
        jnp.broadcast_to(x["beta"][places] + failed, shape)[..., None],
    )

    def choose(solved: tuple[bool, ...]) -> Int[Array, "*states"]:
        done = jnp.broadcast_to(jnp.array(solved), shape)
        return adaptive.index_policy(x["values"][places], prior, solved=done).problem

    return choose


def _margin_index(x: Instances) -> Float[Array, " n"]:
    hazard = many.hazards(x["alpha"], x["beta"], _N)
    best = many.bellman(hazard, x["values"], _N)
    return many.bellman(hazard, x["values"], _N, _indexed(x)) - best


_draw_mixture = drawing.instances(
    chances=lambda key, n: drawing.whole(key, (n, 2), 0, 9) / 10,
    shares=lambda key, n: drawing.shares(drawing.whole(key, (n, 2), 1, 5).astype(float)),
)


def _margin_robin(x: Instances) -> Float[Array, " n"]:
    # Hazards of a mixture of two chances: exchangeable problems of any prior.
    j = jnp.arange(_N + 1)
    f = (x["shares"][..., None] * (1 - x["chances"][..., None]) ** j).sum(1)
    h = 1 - f[:, 1:] / f[:, :-1]
    hazard = jnp.broadcast_to(h[:, None], (h.shape[0], _M, _N))
    values = jnp.ones((h.shape[0], _M))
    size = _N + 1
    failed = jnp.stack(jnp.meshgrid(*(jnp.arange(size),) * _M, indexing="ij"), -1)

    def least_rolled(solved: tuple[bool, ...]) -> Int[Array, "*states"]:
        counts = jnp.where(jnp.array(solved), size, failed)
        return jnp.broadcast_to(counts.argmin(-1), (h.shape[0], *failed.shape[:-1]))

    best = many.bellman(hazard, values, _N)
    return many.bellman(hazard, values, _N, least_rolled) - best


_draw_rising = drawing.instances(
    tenths=drawing.integers(1, 9, 2),
    companions=drawing.integers(1, 9),
)


def _rising(x: Instances) -> Float[Array, "n 3 2"]:
    first, p = x["tenths"] / 10, x["companions"][..., None] / 10
    known = jnp.concatenate([p, p], -1)
    return jnp.stack([first, known, known], 1)


def _margin_rising(x: Instances) -> Float[Array, " n"]:
    hazard = _rising(x)
    padded = jnp.concatenate([hazard, hazard[..., -1:]], -1)
    n, size = hazard.shape[0], 3
    grid = jnp.meshgrid(*(jnp.arange(size),) * 3, indexing="ij")
    index = jnp.stack([padded[:, i][:, grid[i]] for i in range(3)], -1)

    def choose(solved: tuple[bool, ...]) -> Int[Array, "*states"]:
        return jnp.where(jnp.array(solved), -1, index).argmax(-1)

    values = jnp.ones((n, 3))
    return many.bellman(hazard, values, 2, choose) - many.bellman(hazard, values, 2)


def _exact_rising(x: Instance) -> tuple[Fraction, Fraction]:
    first = [Fraction(t, 10) for t in x["tenths"]]
    known = [Fraction(x["companions"], 10)] * 2
    found, best = (
        many.exact_bellman([first, known, known], (1, 1, 1), 2, index=index)
        for index in (True, False)
    )
    return found, best


def _explain_rising(x: Instance) -> str:
    found, best = _exact_rising(x)
    one, two = x["tenths"]
    return (
        f"hazards {one}/10 and then {two}/10 beside two problems of known {x['companions']}/10, "
        f"N = 2: the index solves {found}, the best policy {best}"
    )


_draw_costs = drawing.instances(
    tenths=drawing.integers(1, 9, 2),
    costs=drawing.integers(1, 3, 2),
    total=drawing.integers(1, 4),
)


def _margin_costs(x: Instances) -> Float[Array, " n"]:
    """Value of the index p/c less the optimum, over budgets 0 to 4 and flags of the solved."""
    p, costs = x["tenths"] / 10, x["costs"]
    n = p.shape[0]
    flags = [(one, two) for one in (False, True) for two in (False, True)]
    density = p / costs

    def at(table: dict, left: int, solved: tuple[bool, bool], *, index: bool) -> Array:
        best = jnp.zeros(n)
        ways, fits = [], []
        for i in range(2):
            if solved[i]:
                ways.append(best)
                fits.append(jnp.zeros(n, bool))
                continue
            done = (True, solved[1]) if i == 0 else (solved[0], True)
            way = jnp.zeros(n)
            for c in (1, 2, 3):
                if c <= left:
                    after = p[:, i] * (1 + table[left - c, done])
                    after += (1 - p[:, i]) * table[left - c, solved]
                    way = jnp.where(costs[:, i] == c, after, way)
            ways.append(way)
            fits.append(costs[:, i] <= left)
        if not index:
            return jnp.maximum(*(jnp.where(f, w, 0) for f, w in zip(fits, ways, strict=True)))
        score = [jnp.where(f, density[:, i], -1) for i, f in enumerate(fits)]
        taken = jnp.where(score[0] >= score[1], ways[0], ways[1])
        return jnp.where(fits[0] | fits[1], taken, 0)

    values = []
    for index in (True, False):
        table: dict = {}
        for left in range(5):
            for solved in flags[::-1]:
                table[left, solved] = at(table, left, solved, index=index)
        every = jnp.stack([table[left, flags[0]] for left in range(5)], -1)
        values.append(jnp.take_along_axis(every, x["total"][:, None], -1)[:, 0])
    return values[0] - values[1]


def _exact_costs(x: Instance) -> tuple[Fraction, Fraction]:
    hazard = [[Fraction(t, 10)] * 5 for t in x["tenths"]]
    found, best = (
        many.exact_bellman(hazard, x["costs"], x["total"], index=index) for index in (True, False)
    )
    return found, best


def _explain_costs(x: Instance) -> str:
    found, best = _exact_costs(x)
    p = ", ".join(f"{t}/10" for t in x["tenths"])
    return (
        f"p = ({p}) at costs {x['costs']}, budget {x['total']}: the largest p/c that fits solves "
        f"{found}, the best policy {best}"
    )


_draw_shared = drawing.instances(tenths=drawing.integers(1, 9), known=drawing.integers(1, 9))


def _margin_shared(x: Instances) -> Float[Array, " n"]:
    q, p = x["tenths"] / 10, x["known"] / 10
    # Two of each kind, N = 2. After one of the shared kind all is known about the other.
    look = q * 2 + (1 - q) * p
    index = jnp.where(q >= p, look, jnp.where(p > q, 2 * p, 0))
    return index - jnp.maximum(look, jnp.maximum(2 * p, p + q))


def _exact_shared(x: Instance) -> tuple[Fraction, Fraction]:
    q, p = Fraction(x["tenths"], 10), Fraction(x["known"], 10)
    look = q * 2 + (1 - q) * p
    return (look if q >= p else 2 * p), max(look, 2 * p, p + q)


def _explain_shared(x: Instance) -> str:
    found, best = _exact_shared(x)
    return (
        f"two problems that are both sure or both hopeless, sure with {x['tenths']}/10, and two of "
        f"known {x['known']}/10, N = 2: the index solves {found}, the best policy {best}"
    )


CLAIMS = (
    Claim(
        id="7.2",
        name="the index policy is optimal",
        statement="Rolling the unsolved problem with the largest v times posterior mean has the "
        "largest expected value of all adaptive policies, for every N at once.",
        latex=r"\pi^*:\quad\arg\max_{m\text{ unsolved}}v_m\,\mathbb E[p_m\mid\text{failures}]",
        source="new",
        expected="holds",
        assumptions="A verified success ends its problem; independent problems whose hazards fall "
        "along failures, as under any prior.",
        proof="Give each problem a tape of rewards v h_1 ≥ v h_2 ≥ … up to its success, 0 after. "
        "The value of a policy is the expected sum of what it takes off the tapes. On every tape "
        "the index takes the N largest rewards, and none can take more. Checked against Bellman's "
        "equation over three problems and N = 4.",
        draw=draw_beliefs,
        margin=_margin_index,
        # Values up to 9 after four steps.
        tolerance=1e-13,
        # XLA folds which problems are open: that takes long for many instances.
        chunk=128,
        proved="Coq: Adaptive.index_policy_optimal",
    ),
    Claim(
        id="7.2b",
        name="the index for any hazards",
        statement="The index policy is optimal for hazards that may also rise along failures.",
        latex=r"h_{j+1}>h_j\ \text{for some }j",
        source="new",
        expected="refuted",
        assumptions="Unit values and costs.",
        proof="A first rollout that opens the way to a likely second one is worth more than its "
        "own chance. Two companions of known p just above h_j show it for any such j.",
        draw=_draw_rising,
        margin=_margin_rising,
        tolerance=1e-12,
        confirm=lambda x: lt(*_exact_rising(x)),
        simpler=shrinking.steps("companions", "tenths"),
        explain=_explain_rising,
    ),
    Claim(
        id="7.2b",
        name="the index per cost",
        statement="With rollouts of unequal cost, rolling the unsolved problem with the largest "
        "p/c that still fits is optimal.",
        latex=r"\arg\max_mp_m/c_m",
        source="new",
        expected="refuted",
        assumptions="Known p, integer costs.",
        proof="What does not fit any more is lost: a dear rollout may have to come first.",
        draw=_draw_costs,
        margin=_margin_costs,
        tolerance=1e-12,
        confirm=lambda x: lt(*_exact_costs(x)),
        simpler=shrinking.steps("total", "costs", "tenths"),
        explain=_explain_costs,
    ),
    Claim(
        id="7.2b",
        name="the index with a shared unknown",
        statement="The index policy stays optimal where problems share an unknown parameter and "
        "differ in kind.",
        latex=r"p_1=p_2=\theta\ \text{unknown},\quad p_3=p_4\ \text{known}",
        source="new",
        expected="refuted",
        assumptions="θ is 0 or 1.",
        proof="A rollout of one kind then also tells what the other problem of its kind is worth, "
        "which no index of a single problem knows.",
        draw=_draw_shared,
        margin=_margin_shared,
        tolerance=1e-12,
        confirm=lambda x: lt(*_exact_shared(x)),
        simpler=shrinking.steps("known", "tenths"),
        explain=_explain_shared,
    ),
    Claim(
        id="7.2c",
        name="round robin needs no prior",
        statement="For exchangeable problems of equal value, rolling the unsolved problem that was "
        "rolled least is optimal whatever the prior is.",
        latex=r"\arg\min_{m\text{ unsolved}}n_m",
        source="new",
        expected="holds",
        assumptions="One prior for all problems, independent given it.",
        proof="All problems have the same falling hazards, so the index is largest where the "
        "failures are fewest; the prior only says how large. Checked on mixtures of two chances.",
        draw=_draw_mixture,
        margin=_margin_robin,
        # Hazards are quotients of sums; values up to 3.
        tolerance=1e-12,
        chunk=512,
    ),
)
