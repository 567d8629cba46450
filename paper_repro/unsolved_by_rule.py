"""What each rule leaves unsolved with one budget for many problems.

Share of 400 problems left at n = 8 rollouts per problem (bars) and n = 32 (dots), for difficulties
Beta(a, b) like those of HumanEval, MATH and the Game of 24, and for uniform ones. Light bars are
rules that know p; dark ones do not, and look at outcomes or at nothing (theory 7.3). Rules of the
literature are as their source states them, in part from abstracts; they serve training, not
coverage.
"""

from pathlib import Path

import jax
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from dora_theory.simulation.benchmark import RULES, Difficulty, simulate_benchmark
from paper_repro.drawing import BLACK, ORDER, panels
from paper_repro.script import Row, page, row, run

POPULATIONS = {
    "HumanEval-like, Beta(0.25, 0.9)": (0.25, 0.9),
    "MATH-like, Beta(0.42, 0.55)": (0.42, 0.55),
    "Game24-like, Beta(0.22, 5.1)": (0.22, 5.1),
    "uniform, Beta(1, 1)": (1.0, 1.0),
}
BUDGETS = (8, 32)
KNOWING = ("neyman", "knapsack-rl", "committed", "committed-noisy", "index")
LIGHT, DARK = ORDER[5], ORDER[0]


def shares(draws: int = 40) -> dict[str, dict[str, list[float]]]:
    """Population → rule → share unsolved at each budget."""
    found = {}
    for i, (name, (a, b)) in enumerate(POPULATIONS.items()):
        made = simulate_benchmark(
            jax.random.key(i), Difficulty(a, b), budgets=BUDGETS, num_draws=draws
        )
        found[name] = {
            rule: [1 - of[str(n)]["solved"] for n in BUDGETS]
            for rule, of in made.data["rules"].items()
        }
    return found


def main(out: Path) -> list[Row]:
    found = shares()
    names = list(RULES)
    with panels(out / "unsolved_by_rule", len(POPULATIONS), height=1.75) as every:
        for axes, (title, of) in zip(every, found.items(), strict=True):
            y = np.arange(len(names))
            few, many = (np.array([of[r][i] for r in names]) for i in range(2))
            colors = [LIGHT if r in KNOWING else DARK for r in names]
            axes.barh(y, 100 * few, 0.7, color=colors)
            axes.plot(100 * many, y, ".", color=BLACK, markersize=4)
            axes.set_yticks(y, names, fontsize=7)
            axes.invert_yaxis()
            axes.set(title=title, xlim=(0, 100 * few.max() * 1.05))
        every[-1].set_xlabel("% of problems unsolved")
        few, many = (f"{n} rollouts per problem" for n in BUDGETS)
        handles = [
            Patch(color=DARK, label=few), Patch(color=LIGHT, label="the same, p known"),
            Line2D([], [], color=BLACK, marker=".", linestyle="", label=many),
        ]  # fmt: skip
        every[0].figure.legend(handles=handles, loc="outside lower center", ncols=2)
    rows = [
        row(rule, f"{title.partition(',')[0]}: % unsolved, n = 8, 32", None, 100 * np.array(x), 1)
        for title, of in found.items()
        for rule, x in of.items()
    ]
    (out / "unsolved_by_rule.md").write_text(page(__doc__, rows), encoding="utf-8")
    return rows


if __name__ == "__main__":
    run(main, __doc__)
