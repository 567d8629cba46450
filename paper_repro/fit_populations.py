r"""Fits a synthetic population to a log, and shows how good the fit is.

A log is cut after m steps into candidates in directions, as `replay` cuts it; solutions that are at
their end by then are left out, for there is nothing to spend on them. Of two candidates of one
direction and of two of different ones, let X be whether they end right and R their scores. With
Q_j = sigmoid(level + difficulty ε + r_j/T), μ the mean of Q over the directions of a problem,

    ½E(X − X')² = κ/(κ + 1) E[Q(1 − Q)] inside a direction,     E[μ(1 − μ)] across directions,
    ½E(R − R')² = noise²,                                       noise² + slope² spread²/12,
    ½E(R − R')(X − X') = 0,                                     slope E[Cov(r, Q)].

With the accuracy E[Q] that is an equation for each of level, difficulty, spread, slope, noise and
κ. Differences inside a problem are what strategies act on, and they do not ask whether easy
problems have fewer directions or higher scores, which the population does not model. Sizes are of
Pitman and Yor's restaurant of concentration θ and discount d: two candidates are of one direction
with probability (1 − d)/(1 + θ), and n of them have (θ/d)(Π_{i<n} (θ + d + i)/(θ + i) − 1)
directions on average. Similarities are mean cosines, the dimension is that of their scatter.

What a log cannot say: whether a direction's score is in error or its success probability departs
from its quality, which is one and the same here and all in κ (`direction_noise` is 0); and with one
continuation of a candidate, how much candidates of a direction differ (ν, left out). That they do
shows in ½E(R − R')(X − X') inside a direction, which this population has as 0.
"""

import argparse
import sys
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
import scipy.optimize
import scipy.special

from dora_theory._errors import InputError
from dora_theory.replay.cut.cutting import cut
from dora_theory.replay.cut.encoders import make_encoder
from dora_theory.replay.examined import Examined
from dora_theory.replay.grade.correctness import Judge
from dora_theory.replay.options import ReplayOptions
from dora_theory.simulation.populations import Population, draw_problems

TEMPERATURE = 0.1
# From here on p_j is Q_j.
GIVEN = 1e6
RESAMPLES = 200
# Means over problems that the fit makes equal, and others that it does not look at.
FITTED = {
    "accuracy": "share that ends right",
    "unlike_inside": "½E(X − X')², two of one direction",
    "unlike_across": "½E(X − X')², of different directions",
    "score": "mean score",
    "score_inside": "½E(R − R')², two of one direction",
    "score_across": "½E(R − R')², of different directions",
    "telling": "½E(R − R')(X − X') across less inside",
    "candidates": "number of candidates",
    "directions": "number of directions",
    "same": "two candidates are of one direction",
    "cosine_inside": "cosine, two of one direction",
    "cosine_across": "cosine, of different directions",
    "square_across": "cosine², of different directions",
}
OTHERS = {
    "telling_inside": "½E(R − R')(X − X'), two of one direction",
    "largest": "share of the largest direction",
    "square_inside": "cosine², two of one direction",
    "any": "problems with one that ends right",
    "all": "problems where all end right",
    "best": "the best score ends right",
}


class Seen(NamedTuple):
    """Candidates of one problem: scores, directions and outcomes `(k,)`, cosines `(k, k)`."""

    scores: np.ndarray
    directions: np.ndarray
    correct: np.ndarray
    cosines: np.ndarray


def logged(path: str, steps: int, step_end: Any) -> list[Seen]:
    """Problems of a log with two candidates or more that go on after m steps."""
    options, found = ReplayOptions(steps=steps, step_end=step_end), []
    encoder = make_encoder(options.encoder)
    with Judge() as judge:
        log = Examined(path, options, judge, partial(print, file=sys.stderr))
        for record in log.solutions():
            seen = cut(record, options, encoder)
            on = ~seen.finished
            if on.sum() > 1:
                e = seen.embeddings[on]
                _, labels = np.unique(seen.directions[on], return_inverse=True)
                outcome = seen.correct[on].astype(float)
                found.append(Seen(seen.scores[on].astype(float), labels, outcome, e @ e.T))
    if not found:
        raise InputError(f"{path}: no problem with two solutions that go on after step {steps}")
    return found


def drawn(population: Population, count: int, seed: int = 0) -> list[Seen]:
    """Problems of a population, with one rollout of each candidate."""
    problems = draw_problems(jax.random.key(seed), population, count)
    rng = np.random.default_rng(seed)
    quality = np.asarray(problems.quality, float)
    kappa = float(problems.concentration[0])
    p = rng.beta(np.maximum(kappa * quality, 1e-300), np.maximum(kappa * (1 - quality), 1e-300))
    labels = np.asarray(problems.directions)
    correct = (rng.random(labels.shape) < np.take_along_axis(p, labels, 1)).astype(float)
    scores = np.asarray(problems.scores, float)
    if problems.embeddings is None:
        cosines = np.asarray(problems.similarity, float)
    else:
        e = np.asarray(problems.embeddings, float)
        cosines = e @ e.swapaxes(1, 2)
    return [Seen(*each) for each in zip(scores, labels, correct, cosines, strict=True)]


def moments(seen: Seen) -> dict[str, float]:
    """Of one problem; NaN where it has no such pair."""
    scores, labels, x, cosines = seen
    pair = ~np.eye(len(x), dtype=bool)
    same = labels[:, None] == labels
    sizes = np.bincount(labels)
    dx, dr = x[:, None] - x, scores[:, None] - scores

    def mean(of: np.ndarray, where: np.ndarray) -> float:
        return float(of[where].mean()) if where.any() else np.nan

    inside, across = same & pair, ~same
    found = {"candidates": float(len(x)), "accuracy": x.mean(), "score": scores.mean()}
    for name, where in (("inside", inside), ("across", across)):
        found |= {
            f"unlike_{name}": mean(dx * dx / 2, where),
            f"score_{name}": mean(dr * dr / 2, where),
            f"telling_{name}": mean(dr * dx / 2, where),
            f"cosine_{name}": mean(cosines, where),
            f"square_{name}": mean(cosines**2, where),
        }
    best = scores == scores.max()
    return found | {
        "directions": float((sizes > 0).sum()),
        "same": mean(same.astype(float), pair),
        "largest": sizes.max() / len(x),
        "any": float(x.any()),
        "all": float(x.all()),
        "best": x[best].mean(),
    }


@dataclass(frozen=True)
class Table:
    """Moments of each problem, shape `(problems, names)`."""

    names: tuple[str, ...]
    values: np.ndarray

    @classmethod
    def of(cls, problems: list[Seen]) -> "Table":
        """The moments of problems."""
        rows = [moments(each) for each in problems]
        return cls(tuple(rows[0]), np.array([list(row.values()) for row in rows]))

    def means(self) -> dict[str, float]:
        """Over the problems that have them."""
        found = dict(zip(self.names, np.nanmean(self.values, 0), strict=True))
        return found | {"telling": found["telling_across"] - found["telling_inside"]}

    def column(self, name: str) -> np.ndarray:
        """One moment of all problems."""
        return self.values[:, self.names.index(name)]

    def resampled(self, rng: np.random.Generator) -> "Table":
        """As many problems, drawn from these."""
        rows = rng.integers(len(self.values), size=len(self.values))
        return Table(self.names, self.values[rows])


def fit(table: Table) -> dict[str, float]:
    """Parameters of the population, by the equations above."""
    m = table.means()
    between = max(m["score_across"] - m["score_inside"], 0.0)
    # How far Q moves with one standard deviation of the direction's score.
    tells = m["telling"] / np.sqrt(between) if between > 1e-9 else 0.0
    center, difficulty, width, spent = _qualities(m["accuracy"], m["unlike_across"], tells)
    ratio = m["unlike_inside"] / spent
    spread = TEMPERATURE * width
    slope = np.sqrt(12 * between) / spread if spread else 1.0
    inside, across = m["cosine_inside"], m["cosine_across"]
    scatter = max(m["square_across"] - across**2, 1e-9)
    theta, discount = _restaurant(table.column("candidates"), m["directions"], m["same"])
    return {
        "level": center - width / 2,
        "difficulty": difficulty,
        "spread": spread,
        "concentration": min(ratio / (1 - ratio), GIVEN) if ratio < 1 else GIVEN,
        "slope": slope,
        "offset": m["score"] - slope * spread / 2,
        "noise": float(np.sqrt(m["score_inside"])),
        "direction_noise": 0.0 if spread else float(np.sqrt(between)),
        "skew": theta,
        "discount": discount,
        "similarity_within": inside,
        "similarity_between": across,
        # Cosines across scatter by ((s_in - s_out)² + (1 - s_in)²)/d about their mean.
        "dimension": max(1.0, round(((inside - across) ** 2 + (1 - inside) ** 2) / scatter)),
    }


def _qualities(accuracy: float, across: float, tells: float) -> tuple[float, ...]:
    """Middle of the logits, difficulty, spread/T, and E[Q(1 - Q)]."""
    # The trapezoidal rule, which on a normal density leaves no error but rounding.
    z = np.linspace(-8, 8, 401)[:, None]
    weight = scipy.special.softmax(-z * z / 2)
    nodes, share = np.polynomial.legendre.leggauss(20)
    u, share = nodes / 2, share / 2

    def quality(x: np.ndarray) -> np.ndarray:
        return scipy.special.expit(x[0] + x[1] * z + x[2] * u)

    def missed(x: np.ndarray) -> np.ndarray:
        q = quality(x)
        mean = q @ share
        along = (q * u) @ share * np.sqrt(12)
        found = ((weight[:, 0] * each).sum() for each in (mean, mean * (1 - mean), along))
        return np.subtract(list(found), (accuracy, across, max(tells, 0.0)))

    start = scipy.special.logit(accuracy), 1.0, 0.5
    bounds = [-50, 0, 0], [50, 50, 50]
    best = scipy.optimize.least_squares(missed, start, bounds=bounds, xtol=1e-14, ftol=1e-14)
    x = best.x if tells > 0 else best.x * (1, 1, 0)
    q = quality(x)
    return float(x[0]), float(x[1]), float(x[2]), float((weight * (q * (1 - q) * share)).sum())


def _restaurant(guests: np.ndarray, tables: float, same: float) -> tuple[float, float]:
    """θ and d with so many tables on average, and so often two guests at one of them."""
    i = np.arange(guests.max())
    here = i < guests[:, None]

    def missing(discount: float) -> float:
        theta = (1 - discount) / same - 1
        steps = np.where(here, np.log1p(discount / (theta + i)), 0).sum(-1)
        return float(theta / discount * np.expm1(steps).mean() - tables)

    # d = 0, or θ = 0, if there are fewer tables, or more, than any d has.
    ends = 1e-9, (1 - same) * (1 - 1e-9)
    low, high = map(missing, ends)
    d = ends[0] if low > 0 else ends[1] if high < 0 else scipy.optimize.brentq(missing, *ends)
    return (1 - d) / same - 1, d


def population(found: dict[str, float], candidates: int) -> Population:
    """With parameters to three digits, which is more than a log knows."""
    numbers: dict[str, Any] = {n: round(float(f"{x:.3g}"), 6) for n, x in found.items()}
    numbers["dimension"] = int(numbers["dimension"])
    return Population(
        num_candidates=candidates,
        num_directions=candidates,
        sizes="crp",
        quality_temperature=TEMPERATURE,
        **numbers,
    ).checked()


def written(name: str, table: Table, draws: int) -> str:
    """The page: parameters with their errors, and moments of the log beside the population's."""
    rng = np.random.default_rng(0)
    found, log = fit(table), table.means()
    made = population(found, round(log["candidates"]))
    again = [fit(table.resampled(rng)) for _ in range(RESAMPLES)]
    lines = [f"## {name}", "", "| parameter | value | standard error |", "|---|---|---|"]
    for parameter in found:
        error = np.std([each[parameter] for each in again], ddof=1)
        lines.append(f"| {parameter} | {getattr(made, parameter):g} | {error:.2g} |")
    n = len(table.values)
    ours = Table.of(drawn(made, draws)).means()
    lines += [
        "",
        f"| mean over {n} problems | the log | error | the population |",
        "|---|---|---|---|",
    ]
    resampled = [table.resampled(rng).means() for _ in range(RESAMPLES)]
    for moment, words in {**FITTED, **OTHERS}.items():
        error = np.nanstd([each[moment] for each in resampled], ddof=1)
        mark = "" if moment in FITTED else " *"
        lines.append(f"| {words}{mark} | {log[moment]:.4f} | {error:.4f} | {ours[moment]:.4f} |")
    return "\n".join([*lines, "", "\\* not used by the fit.", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", help="a log that `dora-theory replay` reads")
    parser.add_argument("--steps", type=int, default=2, help="m, after which solutions are cut")
    parser.add_argument("--step-end", default="blank-line", choices=("blank-line", "line"))
    parser.add_argument("--draws", type=int, default=2000, help="problems of the population")
    parser.add_argument("--name", default="population", help="what to call it")
    arguments = parser.parse_args()
    try:
        table = Table.of(logged(arguments.log, arguments.steps, arguments.step_end))
    except InputError as error:
        parser.error(str(error))
    print(written(arguments.name, table, arguments.draws))


if __name__ == "__main__":
    main()
