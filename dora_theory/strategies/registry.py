"""Every strategy, once: its name, how it looks, what it needs, and the rule that it is.

A rule is a function of a batch of problems, the budget and the options. It returns rollouts
(integers), or weights (floats), which `allocate` then apportions. Add a strategy by adding a rule
and an entry of `STRATEGIES`: every command, simulation, replay and picture reads them from here.
JAX is loaded when a rule runs, not when this module is imported.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from jaxtyping import Array

    from dora_theory.strategies.options import Options
    from dora_theory.strategies.problems import Problems

# (problems, N, options) → rollouts or weights, shape (n, k).
Rule = Callable[["Problems", "Array", "Options"], Any]
# (problems, options) → how much each matrix lacks to be a correlation, shape (n,).
Lift = Callable[["Problems", "Options"], Any]

# Okabe and Ito's palette, distinct under every common color blindness.
BLACK, GRAY, ORANGE, SKY = "#000000", "#808080", "#E69F00", "#56B4E9"
GREEN, BLUE, VERMILION, PURPLE = "#009E73", "#0072B2", "#D55E00", "#CC79A7"
# Of directions, in their order.
DIRECTIONS = (SKY, ORANGE, GREEN, PURPLE, GRAY, BLUE, VERMILION, BLACK)


# Names of the strategies that other modules single out, which write them nowhere else.
TEMPERATURE, REBASE, DORA, MAGNITUDE = "temperature", "rebase", "dora", "magnitude"
OPTIMAL, DIRECTION_OPTIMAL, CORRELATED = "optimal", "direction-optimal", "correlated"
# The strategy that knows what is true, against which regret is measured.
ORACLE = "oracle"
# The strategy that others are compared with.
BASELINE = REBASE


@dataclass(frozen=True)
class Strategy:
    """One strategy.

    Attributes:
        name: how commands and Python call it.
        rule: what it does.
        about: one line of help.
        label: how pictures and tables call it; the name if empty.
        color: of its curve; kindred strategies share one and differ in line and marker.
        line: line style.
        marker: of its points.
        geometry: needs embeddings or similarity.
        correlation: takes similarity for a correlation: symmetric, 1 on the diagonal, in [-1, 1].
        directions: needs directions.
        options: names of the options without which it cannot run.
        own: takes κ of each candidate.
        literal: has a form with the paper's own rounding.
        smooths: has a form for scores whose differences among like candidates are noise.
        lift: how much it lifts a matrix that is no correlation; None if it takes any.
        real: its rollouts are real numbers.
        blind: sees nothing of the candidates, so that a replay takes them for one direction.
        oracle: sees the true qualities, and so exists for synthetic problems only.
        by_cost: the rule for a budget of cost, with costs in its objective; if None, the strategy
            spends as without costs, on as many rollouts as the budget pays for.
        costly: takes several times as long as all others together.

    Examples:
        >>> equal = dt.Strategy("equal", lambda problems, budget,
        ...     options: jnp.ones_like(problems.scores))
        >>> problems = dt.Problems(scores=np.array([[0.9, 0.8, 0.8, 0.5]]), mask=np.ones((1,
        ...     4), bool))
        >>> dt.allocate(problems, equal, 16)
        Array([[4, 4, 4, 4]], dtype=int32)
    """

    name: str
    rule: Rule
    about: str = "a rule of your own"
    label: str = ""
    color: str = BLACK
    line: Literal["-", "--", "-.", ":"] = "-."
    marker: str = "."
    geometry: bool = False
    correlation: bool = False
    directions: bool = False
    options: tuple[str, ...] = ()
    own: bool = False
    literal: bool = False
    smooths: bool = False
    lift: Lift | None = None
    real: bool = False
    blind: bool = False
    oracle: bool = False
    by_cost: Rule | None = None
    costly: bool = False

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.name)

    def __str__(self) -> str:
        return self.name


def _temperature(p: "Problems", n: "Array", o: "Options") -> Any:
    from dora_theory.allocation.rules import temperature_allocation

    return temperature_allocation(_ranked(p), n, literal=o.literal, mask=p.mask)


def _beam(p: "Problems", n: "Array", o: "Options") -> Any:
    from dora_theory.allocation.rules import beam_allocation

    m = o.beam_width
    return beam_allocation(_ranked(p), n, beam_width=m, literal=o.literal, mask=p.mask)


def _dvts(p: "Problems", n: "Array", o: "Options") -> Any:
    from dora_theory.allocation.rules import dvts_allocation

    m = o.beam_width
    return dvts_allocation(_ranked(p), n, beam_width=m, literal=o.literal, mask=p.mask)


def quality(p: "Problems", o: "Options") -> Any:
    """W of each candidate: as given, or the softmax of the scores (eq. 4), shape `(n, k)`."""
    if p.scores is None:
        return p.weights
    from dora_theory.model.quality import quality_weights

    return quality_weights(p.scores, quality_temperature=o.quality_temperature, mask=p.mask)


def _quality(p: "Problems", n: "Array", o: "Options") -> Any:
    return quality(p, o)


def _rebase_sequential(p: "Problems", n: "Array", o: "Options") -> Any:
    from dora_theory.allocation import rounding, rules

    if p.scores is None:
        return rounding.sequential_ceiling_allocation(p.weights, n, mask=p.mask)
    t = o.quality_temperature
    return rules.rebase_sequential_allocation(p.scores, n, quality_temperature=t, mask=p.mask)


def _dora(p: "Problems", n: "Array", o: "Options") -> Any:
    """Eq. 10-13."""
    from dora_theory.model import similarity
    from dora_theory.model.weights import weighted

    t = o.similarity_temperature
    if p.embeddings is not None:
        share = similarity.uniqueness(p.embeddings, similarity_temperature=t, mask=p.mask)
    else:
        share = similarity.uniqueness_from_similarity(
            p.similarity, similarity_temperature=t, mask=p.mask
        )
    return weighted(quality(p, o), share)


def _magnitude(p: "Problems", n: "Array", o: "Options") -> Any:
    from dora_theory.model import magnitude
    from dora_theory.model.weights import weighted

    t = o.similarity_temperature
    if p.embeddings is not None:
        share = magnitude.magnitude_weighting(p.embeddings, similarity_temperature=t, mask=p.mask)
    else:
        share = magnitude.magnitude_weighting_from_similarity(
            p.similarity, similarity_temperature=t, mask=p.mask
        )
    return weighted(quality(p, o), share)


def _correlation(p: "Problems", o: "Options") -> Any:
    """C of theory 8.2.1, which is positive semi-definite for cosines, shape `(n, k, k)`."""
    from dora_theory.model import copula, similarity

    s = p.similarity
    if p.embeddings is not None:
        s = similarity.cosine_similarity(p.embeddings, mask=p.mask)
    return copula.copula_kernel(s, o.similarity_temperature, mask=p.mask)


def _copula_rule(name: str, *more: str) -> Rule:
    """A rule of qualities, correlation, κ and N, by its name in `allocation.shared_divisors`."""

    def rule(p: "Problems", n: "Array", o: "Options") -> Any:
        from dora_theory.allocation import shared_divisors

        extra = {option: getattr(o, option) for option in more}
        given = quality(p, o), _correlation(p, o), concentration(p, o)
        return getattr(shared_divisors, name)(*given, n, mask=p.mask, **extra)

    return rule


def _root_lift(p: "Problems", o: "Options") -> Any:
    from dora_theory.model.root_weights import root_weights

    return root_weights(quality(p, o), _correlation(p, o), mask=p.mask).lift


def _optimal(p: "Problems", n: "Array", o: "Options") -> Any:
    from dora_theory.allocation.optimal import optimal_allocation

    return optimal_allocation(quality(p, o), own_concentration(p, o), n, mask=p.mask)


def _optimal_by_cost(p: "Problems", c: "Array", o: "Options") -> Any:
    from dora_theory.allocation.costs import cost_allocation

    kappa = own_concentration(p, o)
    return cost_allocation(quality(p, o), kappa, p.costs, c, mask=p.mask).allocation


def _waterfill(p: "Problems", n: "Array", o: "Options") -> Any:
    from dora_theory.allocation.waterfill import waterfill_allocation

    return waterfill_allocation(quality(p, o), own_concentration(p, o), n, mask=p.mask)


def _direction_optimal(p: "Problems", n: "Array", o: "Options") -> Any:
    from dora_theory.allocation.hierarchical import direction_allocation

    q = direction_quality(p, o)
    return direction_allocation(q, p.directions, concentration(p, o), n, mask=p.mask)


def _direction_optimal_by_cost(p: "Problems", c: "Array", o: "Options") -> Any:
    return _directions_by_cost(p, direction_quality(p, o), c, o)


def _oracle_by_cost(p: "Problems", c: "Array", o: "Options") -> Any:
    if within_concentration(p, o) is not None:
        raise ValueError("within_concentration: oracle has no form for a budget of cost with it")
    return _directions_by_cost(p, p.quality, c, o)


def _directions_by_cost(p: "Problems", q: Any, c: "Array", o: "Options") -> Any:
    """Each direction at the cost of its cheapest candidate, which gets all of its rollouts."""
    import jax.numpy as jnp

    from dora_theory.allocation.costs import cost_allocation
    from dora_theory.model.directions import segment_min

    g, k = q.shape[-1], p.mask.shape[-1]
    labels, costs = jnp.asarray(p.directions), jnp.where(p.mask, p.costs, jnp.inf)
    cheapest = segment_min(costs, labels, g)
    least = jnp.take_along_axis(cheapest, labels, -1)
    place = jnp.arange(k)
    first = segment_min(jnp.where((costs == least) & p.mask, place, k), labels, g)
    there = jnp.isfinite(cheapest)
    found = cost_allocation(q, concentration(p, o), jnp.where(there, cheapest, 1), c, mask=there)
    leads = p.mask & (place == jnp.take_along_axis(first, labels, -1))
    return jnp.where(leads, jnp.take_along_axis(found.allocation, labels, -1), 0)


def _correlated(p: "Problems", n: "Array", o: "Options") -> Any:
    return _hierarchical(p, direction_quality(p, o), n, o)


def _oracle(p: "Problems", n: "Array", o: "Options") -> Any:
    return _hierarchical(p, p.quality, n, o)


def _hierarchical(p: "Problems", q: Any, n: "Array", o: "Options") -> Any:
    """The exact optimum of the hierarchy (theory 5.1) for the given direction qualities."""
    from dora_theory.allocation.hierarchical import correlated_allocation, direction_allocation

    kappa, nu = concentration(p, o), within_concentration(p, o)
    if nu is None:
        return direction_allocation(q, p.directions, kappa, n, mask=p.mask)
    points = o.max_budget
    return correlated_allocation(q, p.directions, kappa, nu, n, points=points, mask=p.mask)


def direction_quality(p: "Problems", o: "Options") -> Any:
    """Q of each direction: as given, or from its pooled scores (eq. 9), shape `(n, g)`."""
    if p.direction_weights is not None:
        return p.direction_weights
    from dora_theory.model.directions import direction_weights, pooled_weights

    g, pool = p.directions_bound, o.pool
    if p.scores is None:
        return pooled_weights(p.weights, p.directions, g, pool=pool, mask=p.mask)
    t = o.quality_temperature
    return direction_weights(
        p.scores, p.directions, g, pool=pool, quality_temperature=t, mask=p.mask
    )


def concentration(p: "Problems", o: "Options") -> Any:
    """κ: that of the problems, or of the options."""
    return o.concentration if p.concentration is None else p.concentration


# Why κ of each candidate is refused where directions are what has a κ.
ONE_CONCENTRATION = (
    "takes one κ for a problem; for κ of each direction give optimal the directions as candidates"
)


def own_concentration(p: "Problems", o: "Options") -> Any:
    """κ of each candidate if the problems state it, else `concentration`."""
    return concentration(p, o) if p.concentrations is None else p.concentrations


def within_concentration(p: "Problems", o: "Options") -> Any:
    """ν: that of the problems, or of the options; None for one chance per direction."""
    return o.within_concentration if p.within_concentration is None else p.within_concentration


def _ranked(p: "Problems") -> Any:
    return p.weights if p.scores is None else p.scores


_BUILT_IN = (
    Strategy(
        TEMPERATURE, _temperature, "the same for every candidate",
        color=GRAY, line="-", marker="o", literal=True, blind=True,
    ),
    Strategy("beam", _beam, "M each to the best", color=ORANGE, line="-", marker="s", literal=True),
    Strategy(
        "dvts", _dvts, "to the best of each of N/M groups", "DVTS",
        color=PURPLE, line="-", marker="^", literal=True,
    ),
    Strategy(
        REBASE, _quality, "in proportion to quality", "REBASE",
        color=BLUE, line="-", marker="D", literal=True,
    ),
    Strategy(
        "rebase-sequential", _rebase_sequential, "rounding up in descending order of score",
        color=SKY, line="--", marker="v",
    ),
    Strategy(
        DORA, _dora, "in proportion to quality times uniqueness", "DORA",
        color=VERMILION, line="-", marker="o", geometry=True, literal=True,
    ),
    Strategy(
        MAGNITUDE, _magnitude, "in proportion to quality times magnitude weighting",
        color=VERMILION, line="--", marker="X", geometry=True, literal=True,
    ),
    Strategy(
        OPTIMAL, _optimal, "exact optimum",
        color=BLACK, line="-", marker="o", options=("concentration",), own=True,
        by_cost=_optimal_by_cost,
    ),
    Strategy(
        "shared-divisors", _copula_rule("shared_divisor_allocation", "smooth"),
        "a rollout also takes up part of one of its like",
        color=PURPLE, line="--", marker="h", geometry=True, correlation=True,
        options=("concentration",),
        smooths=True,
    ),
    Strategy(
        "moment-divisors", _copula_rule("copula_moment_allocation"),
        "the same by the second moments of the copula prior",
        color=PURPLE, line=":", marker="p", geometry=True, correlation=True,
        options=("concentration",), costly=True,
    ),
    Strategy(
        "pair-divisors", _copula_rule("pair_divisor_allocation"),
        "the same by its pairs at their depth",
        color=PURPLE, line="-.", marker="d", geometry=True, correlation=True,
        options=("concentration",), costly=True,
    ),
    Strategy(
        "root-weights", _copula_rule("root_weight_allocation"),
        "exact optimum of the independent candidates that failure's exponent sees",
        color=GREEN, line=":", marker="<", geometry=True, correlation=True,
        options=("concentration",), lift=_root_lift,
    ),
    Strategy(
        "determinantal", _copula_rule("determinantal_allocation"),
        "quality times the variance that is left",
        color=SKY, line=":", marker=">", geometry=True, correlation=True,
        options=("concentration",),
    ),
    Strategy(
        DIRECTION_OPTIMAL, _direction_optimal, "exact optimum over direction totals, then evenly",
        color=GREEN, line="-", marker="s", directions=True, options=("concentration",),
        by_cost=_direction_optimal_by_cost,
    ),
    Strategy(
        CORRELATED, _correlated, "exact optimum of the hierarchical prior",
        color=GREEN, line="--", marker="P", directions=True,
        options=("concentration", "within_concentration"),
    ),
    Strategy(
        "waterfill", _waterfill, "real-valued relaxation",
        color=BLACK, line=":", marker="o", options=("concentration",), own=True,
        real=True,
    ),
    Strategy(
        ORACLE, _oracle, "exact optimum, given the true qualities",
        color=BLACK, line="-.", marker="*", directions=True, options=("concentration",),
        oracle=True, by_cost=_oracle_by_cost,
    ),
)  # fmt: skip

STRATEGIES: Mapping[str, Strategy] = MappingProxyType({s.name: s for s in _BUILT_IN})
