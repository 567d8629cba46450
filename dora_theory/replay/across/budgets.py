"""Hard budgets: what each policy solves with n rollouts per problem, and by how much more.

Every draw is an order of the log's solutions, the same for all hard_budgets. Points are means over
draws of all problems, of `uniform` and the committed ones exact expectations. Intervals come from
draws of as many problems with replacement, an order each, and so are those of one run; those of the
committed ones from resampled expectations.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from dora_theory.allocation.across import allocate_problems
from dora_theory.model.priors import BetaPrior, KnownPrior
from dora_theory.replay.across import priors
from dora_theory.replay.across.curves import failure
from dora_theory.replay.across.options import AcrossOptions
from dora_theory.replay.across.problems import LoggedProblems
from dora_theory.replay.estimate.intervals import bootstrap, share_interval
from dora_theory.simulation import hard_budgets

# Numbers in memory at once.
_CHUNK = 1 << 22
_TAILS = (0.025, 0.975)
_FIELDS = ("solved", "low", "high", "minus_uniform", "minus_low", "minus_high")


class Budgets:
    """Every policy at every budget, with the priors that it needs."""

    def __init__(self, problems: LoggedProblems, options: AcrossOptions) -> None:
        """Fits what the policies need.

        Args:
            problems: of the log.
            options: budgets, rounds, what priors differ by, draws, seed.
        """
        self.problems, self.options = problems, options
        most = int(problems.logged.max())
        self.budgets = [n for n in options.budgets if n <= most]
        columns = tuple(c for c in options.by if c != "score")
        self.groups = priors.group_priors(problems, columns, options) if columns else None
        scored = "score" in options.by and problems.scores is not None
        self.hazards = priors.score_hazards(problems, columns, options) if scored else None
        self.by = {"groups": "by-" + "-".join(columns), "scores": "by-" + "-".join(options.by)}

    def names(self) -> list[str]:
        """Policies in the order in which they are shown."""
        found = ["uniform", *(f"rounds-{r}" for r in self.options.rounds), "round-robin"]
        found += [self.by["groups"]] if self.groups else []
        found += [self.by["scores"]] if self.hazards else []
        return [*found, "oracle"]

    def exact(self) -> dict[str, Float[np.ndarray, "n m"]]:
        """Chances of each problem under what is fixed in advance: uniform, 7.1 with priors or p."""
        p = self.problems
        m, k = p.correct.shape
        f = failure(p.logged, p.right, k)

        def solved(n: np.ndarray) -> np.ndarray:
            return 1 - np.take_along_axis(f, n[:, None], -1)[:, 0]

        def committed(prior: Any) -> np.ndarray:
            found = [
                allocate_problems(1.0, prior, n * m, max_rollouts=p.logged).rollouts
                for n in self.budgets
            ]
            return np.stack([solved(np.asarray(x)) for x in found])

        every = {
            "uniform": np.stack([solved(np.minimum(n, p.logged)) for n in self.budgets]),
            "known-committed": committed(KnownPrior(p.right / p.logged)),
        }
        if self.groups:
            g = self.groups
            pair = (x[g.labels][:, None] for x in (g.alpha, g.beta))
            every[f"committed-{self.by['groups']}"] = committed(BetaPrior(*pair))
        return every

    def drawn(self, *, resampled: bool) -> Float[np.ndarray, "d policies n"]:
        """Shares solved on random orders, of all problems or of as many drawn with replacement."""
        m, k = self.problems.correct.shape
        generator = np.random.default_rng([self.options.seed, 4 + resampled])
        size = max(1, _CHUNK // (m * k))
        found, left = [], self.options.num_draws
        while left > 0:
            count = min(size, left)
            place = np.broadcast_to(np.arange(m), (count, m))
            if resampled:
                place = np.sort(generator.integers(m, size=(count, m)), -1)
            found.append(self._draw(place, generator))
            left -= count
        return np.concatenate(found)

    def rollouts_to(self, coverages: Sequence[float]) -> dict[str, list[float | None]]:
        """Rollouts per problem at which policies with different priors solve a share, on average.

        From the mean of up to 100 orders at 1,000 totals, linear between them.
        """
        m = len(self.problems.logged)
        most = int(self.problems.logged.sum())
        totals = np.unique(np.geomspace(max(1, m // 20), most, 1000).astype(int))
        generator = np.random.default_rng([self.options.seed, 7])
        place = np.broadcast_to(np.arange(m), (min(self.options.num_draws, 100), m))
        curves = self._with_priors(*self._order(place, generator), totals, generator)
        found: dict[str, list[float | None]] = {}
        for name, curve in curves.items():
            mean = np.concatenate([[0.0], curve.mean(0)])
            spent = np.concatenate([[0.0], totals / m])
            found[name] = [
                float(np.interp(q, mean, spent)) if q <= mean[-1] else None for q in coverages
            ]
        return found

    def _order(
        self, place: Int[np.ndarray, "d m"], generator: np.random.Generator
    ) -> tuple[Int[np.ndarray, "d m"], Int[np.ndarray, "d m k"], Int[np.ndarray, "d m"]]:
        """Problems, an order of each one's solutions, and when that solves it."""
        p = self.problems
        k = p.correct.shape[1]
        luck = generator.random((*place.shape, k))
        order = np.where(np.arange(k) < p.logged[place][..., None], luck, 2).argsort(-1)
        times = hard_budgets.first_right(np.take_along_axis(p.correct[place], order, -1))
        return place, order, times

    def _with_priors(
        self,
        place: Int[np.ndarray, "d m"],
        order: Int[np.ndarray, "d m k"],
        times: Int[np.ndarray, "d m"],
        totals: Int[np.ndarray, " n"],
        generator: np.random.Generator,
    ) -> dict[str, Float[np.ndarray, "d n"]]:
        """Shares solved by the index policies whose priors differ."""
        p = self.problems
        logged, found = p.logged[place], {}
        if self.groups:
            g, j = self.groups, np.arange(p.correct.shape[1])
            keys = g.alpha[:, None] / ((g.alpha + g.beta)[:, None] + j)
            found[self.by["groups"]] = hard_budgets.in_cells(
                times, logged, g.labels[place], keys, totals, generator
            )
        if self.hazards:
            coefficients, dummies, fold = self.hazards
            assert p.scores is not None
            scores = np.take_along_axis(p.scores[place], order, -1)
            x = priors.features(scores, dummies[place])
            index = priors.hazard(x, coefficients[fold[place]][:, :, None])
            found[self.by["scores"]] = hard_budgets.by_index(
                times, logged, index, totals, generator
            )
        return found

    def _draw(
        self, place: Int[np.ndarray, "d m"], generator: np.random.Generator
    ) -> Float[np.ndarray, "d policies n"]:
        p = self.problems
        m, k = p.correct.shape
        logged, right = p.logged[place], p.right[place]
        place, order, times = self._order(place, generator)
        totals = np.array(self.budgets) * m
        one = np.zeros_like(place), -np.arange(k, dtype=float)[None]
        found = [np.stack([hard_budgets.uniform(times, logged, n) for n in self.budgets], -1)]
        for r in self.options.rounds:
            found.append(hard_budgets.in_rounds(times, logged, totals, r, generator))
        found.append(hard_budgets.in_cells(times, logged, *one, totals, generator))
        found += self._with_priors(place, order, times, totals, generator).values()
        cost = np.where(right > 0, times, hard_budgets.NEVER)
        found.append(hard_budgets.easiest_first(cost, right / logged, totals, generator))
        return np.stack(found, 1)


def solved_at_budgets(
    problems: LoggedProblems, options: AcrossOptions, coverages: Sequence[float] = ()
) -> dict[str, Any]:
    """Share solved by every policy at every budget, and paired differences to `uniform`.

    Args:
        problems: of the log.
        options: of the replay.
        coverages: shares at which the policies with different priors are asked for rollouts.

    Returns:
        `policies`: for each and each budget `solved` with its interval `low`, `high`, and
        `minus_uniform` with `minus_low`, `minus_high`. `common`: problems that took the common
        prior, null without groups. `left_out`: budgets beyond the log. `needed`:
        rollouts per problem at each coverage, by policy.
    """
    work = Budgets(problems, options)
    drawn = work.drawn(resampled=False)
    many = work.drawn(resampled=True)
    exact = work.exact()
    start = exact["uniform"].mean(-1)
    # Uniform is known exactly, and what its draws are off by tells by how much others are.
    off = drawn[:, :1] - start
    slope = (off * (drawn - drawn.mean(0))).mean(0) / np.maximum((off**2).mean(0), 1e-30)
    mean = (drawn - slope * off).mean(0)
    mean[0] = start
    gains = many - many[:, :1]
    found = {
        name: (mean[i], *_ends(many[:, i]), mean[i] - start, *_ends(gains[:, i]))
        for i, name in enumerate(work.names())
    }
    for name in (x for x in exact if x not in found):
        solved = share_interval(exact[name], seed=options.seed)
        gain = bootstrap(exact[name] - exact["uniform"], seed=options.seed)
        found[name] = (*solved, *gain)
    rows = {
        name: {
            # Without rounding errors, and without -0.0.
            str(n): dict(zip(_FIELDS, (float(np.round(x, 12)) + 0.0 for x in cells), strict=True))
            for n, *cells in zip(work.budgets, *columns, strict=True)
        }
        for name, columns in found.items()
    }
    common = work.groups.common if work.groups else None
    needed = work.rollouts_to(coverages)
    return {"policies": rows, "common": common, "left_out": _beyond(work), "needed": needed}


def _ends(x: Float[np.ndarray, "d n"]) -> Float[np.ndarray, "2 n"]:
    return np.quantile(x, _TAILS, axis=0)


def _beyond(work: Budgets) -> list[int]:
    return [n for n in work.options.budgets if n not in work.budgets]
