"""The cost-aware frontier: what FLOPs buy, in the paper's comparison and with costs in the goal.

Above: Figure 3's accuracies of the 1B model on MATH500 against FLOPs by Table 1's model. REBASE at
256 rollouts is reached by DORA with 3.56 times fewer rollouts, but 3.11 times fewer FLOPs, for it
alone embeds its prefixes. Below: one round over 16 candidates of 4 directions, with rollouts of
different lengths. DORA and its cost-aware twin pay for embeddings, REBASE and its twin do not.
The twins spend on each problem the FLOPs of theirs, but by the largest -log(1-h)/c (theory 9.1.1):
over candidates, or over the true directions, each at the cost of its cheapest candidate.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.ticker import NullFormatter

import dora_theory as dt
from dora_theory.plots import COLORS, label
from paper_repro.audit import MATH, budget_to_reach, curves, rows
from paper_repro.costs import Models, flops, rereading
from paper_repro.drawing import panels
from paper_repro.script import Row, row, run
from paper_repro.table1 import STEPS

NAMES = {"beam_search": "beam", "dvts": "dvts", "rebase": "rebase", "dora": "dora"}
PROBLEMS, BUDGETS = 512, (4, 8, 16, 32, 64, 128, 256)
# So alike within a direction that the paper's T_s = 0.01 sees it.
POPULATION = dt.Population(
    num_candidates=16, num_directions=4, concentration=0.5, similarity_within=0.99
)
# Lengths of solutions: mean, and the standard deviation of their logarithm.
TOKENS, SPREAD = 660, 0.5
LOOKS = {
    "rebase": (COLORS["rebase"], "-", "REBASE"),
    "rebase, costs": (COLORS["rebase"], "--", "REBASE, cost-aware"),
    "dora": (COLORS["dora"], "-", "DORA"),
    "dora, costs": (COLORS["dora"], "--", "DORA, cost-aware"),
    "temperature": (COLORS["temperature"], "-", "temperature"),
}

Curve = dict[float, float]


def published() -> dict[str, Curve]:
    """Strategy → FLOPs of a problem → accuracy, for what Table 1 has tokens of."""
    figure, found = curves(), {}
    for r in rows("table1"):
        each = float(r["total_flops"]) / int(r["budget"])
        name = NAMES[r["strategy"]]
        found[name] = {n * each: y for n, y in figure[*MATH, r["strategy"]].items()}
    return found


def frontier() -> dict[str, Curve]:
    """Rule → mean FLOPs of a problem → mean success."""
    problems = dt.draw_problems(jax.random.key(0), POPULATION, PROBLEMS)
    normal = jax.random.normal(jax.random.key(1), problems.scores.shape)
    tokens = TOKENS * jnp.exp(SPREAD * normal - SPREAD**2 / 2) * (1 - 1 / STEPS)
    models, again = Models(), rereading(STEPS, finished=True)
    plain = np.asarray(flops(tokens, 0, models).total)
    embedded = np.asarray(flops(tokens, tokens * again, models).total)
    labels, kappa = problems.directions, POPULATION.concentration
    weights = dt.quality_weights(problems.scores)
    of_directions = dt.direction_weights(problems.scores, labels, POPULATION.num_directions)
    member = labels[..., None] == jnp.arange(POPULATION.num_directions)
    cheapest = jnp.where(member, embedded[..., None], jnp.inf).min(1)

    def success(totals: jax.Array) -> np.ndarray:
        return np.asarray(dt.success_probability(problems.quality, kappa, totals))

    def pooled(given: jax.Array) -> jax.Array:
        return (member * given[..., None]).sum(1)

    found: dict[str, Curve] = {name: {} for name in LOOKS}
    for n in BUDGETS:
        for name, costs in (("temperature", plain), ("rebase", plain), ("dora", embedded)):
            given = dt.allocate(problems, name, n)
            spent = (costs * given).sum(-1)
            found[name][float(spent.mean())] = float(success(pooled(given)).mean())
            if name == "temperature":
                continue
            if name == "rebase":
                aware = dt.cost_allocation(weights, kappa, costs, spent, method="greedy")
                totals = pooled(aware.allocation)
            else:
                aware = dt.cost_allocation(of_directions, kappa, cheapest, spent, method="greedy")
                totals = aware.allocation
            mean = float(success(totals).mean())
            found[f"{name}, costs"][float(aware.cost.mean())] = mean
    return found


def main(out: Path) -> list[Row]:
    with jax.enable_x64(True):
        ours = frontier()
    paper = published()
    with panels(out / "cost_frontier", 2, height=2.6) as (above, below):
        for name, curve in paper.items():
            above.plot(*zip(*sorted(curve.items()), strict=True), "o-", markersize=2.5,
                       color=COLORS[name], label=label(name))  # fmt: skip
        above.set(xscale="log", xlabel="FLOPs per problem", ylabel="accuracy, %")
        above.set_title("MATH500, Llama-3.2-1B, as published", fontsize=8)
        above.set_xticks([2e14, 5e14, 1e15, 2e15], ["2·10¹⁴", "5·10¹⁴", "10¹⁵", "2·10¹⁵"])
        above.xaxis.set_minor_formatter(NullFormatter())
        above.legend(loc="lower right")
        for name, curve in ours.items():
            color, line, words = LOOKS[name]
            below.plot(*zip(*sorted(curve.items()), strict=True), line, color=color, label=words)
        below.set(xscale="log", xlabel="FLOPs per problem", ylabel="success")
        below.set_title("one round, rollouts of different lengths", fontsize=8)
        below.legend(loc="lower right")
    found = _ratios("Figure 3 by FLOPs", paper, "rebase", max(paper["rebase"]))
    return found + [
        more
        for n in (1, 3)
        for more in _ratios(
            f"one round, REBASE at N = {BUDGETS[n]}", ours, "rebase", sorted(ours["rebase"])[n]
        )
    ]


def _ratios(item: str, curves_: dict[str, Curve], base: str, cost: float) -> list[Row]:
    """Times fewer FLOPs than the base spends, for its success; None where none reaches it."""
    found = []
    for name, curve in curves_.items():
        if name == base or max(curve.values()) < curves_[base][cost]:
            continue
        if min(curve.values()) > curves_[base][cost]:
            continue
        ratio = cost / budget_to_reach(curve, curves_[base][cost])  # type: ignore[arg-type]
        found.append(row(item, f"{name}: times fewer FLOPs for the same", None, ratio, 2))
    return found


if __name__ == "__main__":
    run(main, __doc__)
