"""Claims about a rule of your own: that it is optimal, near the optimum, or keeps the budget."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from math import isfinite, log
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dora_theory.allocation.optimal import optimal_allocation
from dora_theory.claims.check import drawing, rational, shrinking
from dora_theory.claims.check.claim import Claim, Instance, Instances
from dora_theory.model.objective import log_failure

Says = Literal["optimal", "within", "budget"]
# Of (weights, concentration, budget), arrays of n problems or one: rollouts of the same shape.
Rule = Callable[[Any, Any, Any], Any]

_MOST_PARTS, _MOST_BUDGET = 9, 16
_STATEMENTS = {
    "optimal": "{rule} fails as seldom as any allocation of N rollouts.",
    "within": "{rule} fails at most {ratio} times as often as the best allocation of N rollouts.",
    "budget": "{rule} gives integer rollouts ≥ 0, N in all.",
}


def rule_claim(
    rule: Rule,
    says: Says,
    *,
    ratio: float = 1.0,
    name: str | None = None,
    expected: Literal["holds", "refuted"] = "holds",
    num_candidates: int = 4,
) -> Claim:
    """A claim about a rule, for `verify`; if it is refuted, with a small confirmed counterexample.

    A problem has qualities w with sum 1, κ a power of two from 1/8 to 8, and up to 16 rollouts. A
    counterexample is confirmed in exact rational arithmetic of what the rule returns, made smaller
    as long as it stays one, and shown with the rule's allocation beside the best.

    Args:
        rule: function of `(weights, concentration, budget)` that returns rollouts. It is called
            with arrays `(n, k)`, `(n,)`, `(n,)` under `jit`, and with `(k,)` and two numbers where
            a counterexample is confirmed.
        says: `"optimal"`, no allocation fails less often; `"within"`, none fails `ratio` times
            less often; `"budget"`, all rollouts are integers ≥ 0 with sum N.
        ratio: r ≥ 1 of `"within"`.
        name: of the claim, by default made of the rule's name.
        expected: verdict to expect.
        num_candidates: k ≥ 2 of the problems that are drawn.

    Returns:
        A `Claim`.

    Raises:
        ValueError: an unknown kind, ratio < 1, fewer than two candidates.
    """
    if says not in get_args(Says):
        raise ValueError(f"says = {says!r}: needs one of {', '.join(map(repr, get_args(Says)))}")
    if not (ratio >= 1 and isfinite(ratio)):
        raise ValueError(f"ratio = {ratio!r}: needs a finite number ≥ 1")
    if num_candidates < 2:
        raise ValueError(f"num_candidates = {num_candidates!r}: needs at least 2")
    called = getattr(rule, "__name__", type(rule).__name__)
    statement = _STATEMENTS[says].format(rule=called, ratio=f"{ratio:g}")
    return Claim(
        id="own",
        name=name or statement.rstrip("."),
        statement=statement,
        latex="",
        source="new",
        expected=expected,
        assumptions="Qualities with sum 1, Beta(κw, κ(1-w)) priors, N ≤ 16.",
        proof="",
        draw=partial(_draw, num_candidates),
        margin=partial(_margin, rule, says, ratio),
        # Of log failures, whose relative error is 1e-14.
        tolerance=0.0 if says == "budget" else 1e-9,
        confirm=partial(_confirm, rule, says, Fraction(ratio)),
        simpler=_simpler,
        explain=partial(_explain, rule, says),
    )


def _draw(num_candidates: int, key: Array, n: int) -> Instances:
    keys = jax.random.split(key, 3)
    return {
        "parts": drawing.whole(keys[0], (n, num_candidates), 1, _MOST_PARTS),
        "concentration": drawing.powers_of_two(keys[1], n, -3, 3),
        "budget": drawing.whole(keys[2], (n,), 1, _MOST_BUDGET),
    }


def _margin(rule: Rule, says: Says, ratio: float, x: Instances) -> Float[Array, " n"]:
    w, kappa, n = drawing.shares(x["parts"]), x["concentration"], x["budget"]
    given = jnp.asarray(rule(w, kappa, n))
    whole = given.astype(w.dtype)
    wrong = jnp.abs(whole.sum(-1) - n) + (whole < 0).sum(-1) + (whole != jnp.floor(whole)).sum(-1)
    if says == "budget":
        return -wrong
    best = log_failure(w, kappa, optimal_allocation(w, kappa, n))
    behind = log_failure(w, kappa, jnp.maximum(jnp.round(whole), 0)) - best
    # Another budget is no allocation of this one, however seldom it fails.
    return jnp.where(wrong > 0, -1 - wrong, log(ratio) - behind)


def _given(rule: Rule, x: Instance) -> list[float]:
    """What the rule makes of one instance, in float64."""
    with jax.enable_x64(True):
        w = np.array(x["parts"], float) / sum(x["parts"])
        return np.asarray(rule(w, x["concentration"], x["budget"]), float).tolist()


def _confirm(rule: Rule, says: Says, ratio: Fraction, x: Instance) -> bool:
    given = _given(rule, x)
    keeps = all(b >= 0 and b == int(b) for b in given if isfinite(b))
    if not keeps or not all(map(isfinite, given)) or sum(given) != x["budget"]:
        return True
    if says == "budget":
        return False
    theirs, best = _failures(x, given)
    return theirs > (ratio if says == "within" else 1) * best


def _failures(x: Instance, given: list[float]) -> tuple[Fraction, Fraction]:
    w, kappa = rational.shares(x["parts"]), Fraction(x["concentration"])
    best = rational.divisor_method(w, kappa, x["budget"])
    return tuple(rational.joint_failure(w, kappa, [int(b) for b in a]) for a in (given, best))  # type: ignore[return-value]


def _simpler(x: Instance) -> Iterator[Instance]:
    equal = [1] * len(x["parts"])
    if x["parts"] != equal:
        yield x | {"parts": equal}
    yield from shrinking.shorter(x, ["parts"])
    yield from shrinking.fewer(x, "budget")
    if x["concentration"] != 1:
        yield x | {"concentration": 1.0}
    yield from shrinking.fewer(x, "parts")


def _explain(rule: Rule, says: Says, x: Instance) -> str:
    given = _given(rule, x)
    shown = ", ".join(f"{b:g}" for b in given)
    said = (
        f"w = ({rational.listed(rational.shares(x['parts']))}), κ = {x['concentration']:g}, "
        f"N = {x['budget']}: the rule gives {shown}"
    )
    whole = all(isfinite(b) and b >= 0 and b == int(b) for b in given)
    if not whole or sum(given) != x["budget"]:
        return f"{said}, {sum(given):g} in all"
    theirs, best = _failures(x, given)
    w, kappa = rational.shares(x["parts"]), Fraction(x["concentration"])
    greedy = rational.divisor_method(w, kappa, x["budget"])
    return f"{said} and fails with {theirs}; {rational.listed(greedy)} fails with {best}"
