"""The bias of one problem in one call: what counting candidates costs it (theory 4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Real
from matplotlib.figure import Figure

from dora_theory import plots
from dora_theory._arrays import ArrayLike, array_of
from dora_theory._checks import check_number, check_whole, fit, host_count, host_float
from dora_theory._errors import amount, short
from dora_theory.allocation.optimal import apportion, optimal_allocation
from dora_theory.bias import direction_mass, kl_divergence, solution_level_shares, specht_ratio
from dora_theory.io.documents import Tabular
from dora_theory.model.directions import Pool, direction_weights
from dora_theory.model.objective import success_probability
from dora_theory.model.weights import dora_weights
from dora_theory.strategies.registry import DORA, OPTIMAL, REBASE

_RULES = OPTIMAL, REBASE, DORA


@dataclass(frozen=True, repr=False)
class BiasReport(Tabular):
    """What counting the candidates of a problem costs it.

    Attributes:
        directions: a label of each direction.
        sizes: k, candidates of each direction.
        direction_weights: Q of each direction, sum 1: what they should get.
        counted: Q̂ ∝ k Q: what they get when candidates are counted, as REBASE does.
        dora: what they get by DORA's weights.
        kl: KL(Q‖Q̂), the loss in log utility.
        factor: exp KL, how many times the rollouts counting needs, for many of them.
        specht: the largest factor that these sizes allow, whatever Q is; NaN if one has none.
        concentration: κ of the directions' prior.
        budget: N.
        success: P(at least one correct rollout) of N by the exact optimum over directions, by
            counting and by DORA; each spends N by Webster's method.
    """

    directions: tuple[Any, ...]
    sizes: Int[np.ndarray, " g"]
    direction_weights: Float[np.ndarray, " g"]
    counted: Float[np.ndarray, " g"]
    dora: Float[np.ndarray, " g"]
    kl: float
    factor: float
    specht: float
    concentration: float
    budget: int
    success: dict[str, float]

    @property
    def loss(self) -> float:
        """Success that counting gives away at N, to the exact optimum."""
        return self.success[OPTIMAL] - self.success[REBASE]

    @property
    def loss_with_dora(self) -> float:
        """Success that DORA gives away at N."""
        return self.success[OPTIMAL] - self.success[DORA]

    def rows(self) -> list[dict[str, Any]]:
        """A row for each direction: its size, and its share by Q, by counting and by DORA."""
        columns = self.directions, self.sizes, self.direction_weights, self.counted, self.dora
        names = "direction", "candidates", "quality", "counted", DORA
        return [
            {name: getattr(x, "item", lambda x=x: x)() for name, x in zip(names, row, strict=True)}
            for row in zip(*columns, strict=True)
        ]

    def plot(self) -> Figure:
        """Shares of the directions by Q, by counting and by DORA, and the success of each."""
        with plots.style():
            figure, (shares, success) = plots.column(2, height=1.8)
            place = np.arange(len(self.directions))
            of = {OPTIMAL: self.direction_weights, REBASE: self.counted, DORA: self.dora}
            names = {OPTIMAL: "Q", REBASE: "counted (REBASE)", DORA: plots.label(DORA)}
            for i, rule in enumerate(_RULES):
                at = place + 0.28 * (i - 1)
                shares.bar(at, of[rule], 0.26, color=plots.COLORS[rule], label=names[rule])
            shares.set_xticks(place, [str(name) for name in self.directions])
            shares.set_xlabel("direction")
            shares.set_ylabel("share of the rollouts")
            shares.set_title(f"KL = {self.kl:.3g}: {self.factor:.3g} times the rollouts")
            plots.legend_below(figure, [shares])
            values = [self.success[rule] for rule in _RULES]
            bars = success.barh(
                [names[rule] if rule != OPTIMAL else "exact optimum" for rule in _RULES],
                values,
                color=[plots.COLORS[rule] for rule in _RULES],
            )
            success.bar_label(bars, [f"{x:.4g}" for x in values], padding=2, fontsize=7)
            success.set_xlim(0, max(values) * 1.18 or 1)
            success.invert_yaxis()
            success.set_xlabel(
                f"success of {amount(self.budget, 'rollout')}, κ = {self.concentration:g}"
            )
        return figure

    def _title(self) -> str:
        bound = "" if np.isnan(self.specht) else f", at most {self.specht:.4g} for these sizes"
        return (
            f"Counting candidates: KL(Q‖Q̂) = {self.kl:.4g}, which needs {self.factor:.4g} times "
            f"the rollouts{bound}. Of N = {self.budget} (κ = {self.concentration:g}) it loses "
            f"{self.loss:.4g} of a success of {self.success[OPTIMAL]:.4g}; "
            f"with DORA {self.loss_with_dora:.4g}."
        )


def bias_report(
    values: Real[ArrayLike, " n"],
    directions: Sequence[Any] | Real[ArrayLike, " n"] | None = None,
    *,
    sizes: Real[ArrayLike, " g"] | None = None,
    concentration: float = 1.0,
    budget: int = 64,
    embeddings: Real[ArrayLike, "n d"] | None = None,
    theta: float = 0.0,
    quality_temperature: float = 0.1,
    similarity_temperature: float = 0.01,
    pool: Pool = "mean-exp",
) -> BiasReport:
    """What counting the candidates of a problem costs it, with and without DORA.

    Args:
        values: scores of the candidates, shape `(k,)`, with `directions`; or the qualities Q ≥ 0
            of the directions, shape `(g,)`, on any scale, with `sizes`.
        directions: a label of each candidate (a number or a text), shape `(k,)`.
        sizes: candidates of each direction, integers ≥ 0, shape `(g,)`.
        concentration: κ > 0 of the directions' prior.
        budget: N ≥ 1 rollouts.
        embeddings: of the candidates, shape `(k, d)`, with `directions`: DORA's weights are those
            of these. Without them DORA is taken in the block model, by `theta`.
        theta: θ ≥ 0 of the block model (see `similarity_theta`); 0 if copies are seen as copies.
        quality_temperature: T_b > 0 of scores.
        similarity_temperature: T_s > 0 of embeddings.
        pool: how the scores of a direction become one, see `direction_weights`.

    Returns:
        A `BiasReport` with numbers, `rows()`, `to_dataframe()`, a table in notebooks, and `plot()`.

    Raises:
        ValueError: neither or both of directions and sizes, values that do not fit them, all
            qualities 0, what `direction_weights`, `direction_mass` and `optimal_allocation` raise.

    Source: theory 4.1 to 4.7.
    """
    if (directions is None) == (sizes is None):
        raise ValueError("bias_report: needs directions (with scores) or sizes (with qualities)")
    check_number("concentration", concentration, 0, low_open=True)
    budget = check_whole("budget", budget, 1)
    check_number("similarity_temperature", similarity_temperature, 0, low_open=True)
    if directions is not None:
        names, labels = _numbered(directions)
        scores = np.asarray(host_float("scores", values), float)
        _check_row("scores", scores)
        fit(scores=(scores.shape, "k"), directions=((len(labels),), "k"))
        of = np.asarray(labels)
        q = np.asarray(
            direction_weights(
                scores, of, len(names), pool=pool, quality_temperature=quality_temperature
            )
        )
        counts = np.bincount(of, minlength=len(names))
    else:
        if embeddings is not None:
            raise ValueError("embeddings: need directions, a label of each candidate")
        assert sizes is not None
        counts = np.asarray(host_count("sizes", sizes))
        q = np.asarray(host_float("qualities", values), float)
        _check_row("sizes", counts)
        _check_row("qualities", q)
        names = list(range(1, counts.size + 1))
    quality = np.asarray(direction_mass(q, counts, 0.0), float)
    if not quality.sum() > 0:
        raise ValueError("values: needs a direction of positive quality that has a candidate")
    quality = quality / quality.sum()
    counted = np.asarray(solution_level_shares(quality, counts), float)
    if embeddings is not None:
        w = dora_weights(
            scores,
            embeddings,
            quality_temperature=quality_temperature,
            similarity_temperature=similarity_temperature,
        )
        dora = np.bincount(of, np.asarray(w, float), minlength=len(names))
    else:
        dora = np.asarray(direction_mass(quality, counts, theta), float)
    kl = float(kl_divergence(quality, counted))
    even = counts.min() > 0
    q_ = jnp.asarray(quality)
    given = {
        OPTIMAL: optimal_allocation(q_, concentration, budget),
        REBASE: apportion(counted, budget),
        DORA: apportion(dora, budget),
    }
    return BiasReport(
        directions=tuple(names),
        sizes=counts.astype(int),
        direction_weights=quality,
        counted=counted,
        dora=dora,
        kl=kl,
        factor=float(np.exp(kl)),
        specht=float(specht_ratio(counts.max() / counts.min())) if even else float("nan"),
        concentration=float(concentration),
        budget=budget,
        success={
            rule: float(success_probability(q_, concentration, b)) for rule, b in given.items()
        },
    )


def _check_row(name: str, x: np.ndarray) -> None:
    if x.ndim != 1 or not x.size:
        raise ValueError(f"{name}: needs the values of one problem, got shape {x.shape}")


def _numbered(labels: Any) -> tuple[list[Any], list[int]]:
    """The labels in the order in which they first appear, and the number of each candidate's."""
    row = np.asarray(array_of(labels))
    if row.ndim != 1:
        raise ValueError(f"directions = {short(repr(labels))}: needs a label of each candidate")
    numbers: dict[Any, int] = {}
    found = []
    for i, x in enumerate(row.tolist()):
        # NaN is not itself, so that two of them would be two directions.
        if x is None or x != x:
            raise ValueError(f"directions[{i}] = {x}: needs a number or a text")
        found.append(numbers.setdefault(x, len(numbers)))
    return list(numbers), found
