"""Sharpening in whole searches: what repetition does to REBASE and DORA, step by step.

Theory 6.1 says that shares after t rounds are ∝ w^t, if copies keep the score of what they were
copied from: dashed, from the scores of the first step, in real numbers. Dotted, the same in whole
rollouts: the rule itself, run on its own copies. Lines: searches of the populations fitted to
MATH500, N = 64, in which every step writes on and is scored again. Drawn is the effective number
1/Σ share² of those candidates of the first step from which the rollouts of step t descend, the mean
over 240 problems; steps up to the last before solutions can finish. The table has the effective
number of directions as well.
"""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dora_theory.io.atomic_write import whole_output
from dora_theory.plots import COLORS, label
from dora_theory.search.engine import Rule, one_of, search
from dora_theory.search.rules import as_rule
from dora_theory.search.tree import Tree
from paper_repro.benchmark_runs import populations
from paper_repro.drawing import panels
from paper_repro.lineages import Unchanging, concentration, sharpened_number
from paper_repro.script import Row, page, row, run

BUDGET, PROBLEMS = 64, 240
RULES = {name: as_rule(name) for name in ("rebase", "dora")}
T_B = RULES["rebase"].options.quality_temperature
# Nothing has finished by then.
ROUNDS = Tree().first - 1

# Candidates and directions of searches, of searches whose copies keep their score; in real numbers.
Found = dict[str, Float[np.ndarray, " rounds"]]


@partial(jax.jit, static_argnames=("rules", "slots", "count"))
def _numbers(
    key: Array, world: Tree, which: Array, *, rules: tuple[Rule, ...], slots: int, count: int
) -> dict[str, Array]:
    rule, problems = one_of(rules, which), world.problems(key, count)

    def one(number: Array) -> dict[str, Array]:
        own, problem = jax.random.fold_in(key, number), jax.tree.map(lambda x: x[number], problems)
        trace = search(own, world, problem, rule, slots, width="full")
        kept = search(own, Unchanging(world), problem, rule, slots, width="full")
        searched, repeated = concentration(trace), concentration(kept)
        return {
            "searched": searched.candidates[:ROUNDS],
            "repeated": repeated.candidates[:ROUNDS],
            "real": sharpened_number(trace.view.scores[0], T_B, ROUNDS),
            "directions": searched.directions[:ROUNDS],
            "directions repeated": repeated.directions[:ROUNDS],
        }

    found = jax.lax.map(one, jnp.arange(count), batch_size=min(60, count))
    return {name: values.mean(0) for name, values in found.items()}


def numbers(world: Tree, which: int) -> Found:
    """Effective numbers after each round."""
    found = _numbers(
        jax.random.key(2), world, jnp.int32(which), rules=tuple(RULES.values()), slots=BUDGET,
        count=PROBLEMS,
    )  # fmt: skip
    return {name: np.asarray(values, float) for name, values in found.items()}


def main(out: Path) -> list[Row]:
    """Draws `out/sharpening_search`, writes its page; returns its rows."""
    worlds = {model: w for (benchmark, model), w in populations().items() if benchmark == "MATH500"}
    rounds, rows = np.arange(1, ROUNDS + 1), []
    with panels(out / "sharpening_search", len(worlds), height=1.9) as axes:
        for one, (model, world) in zip(axes, worlds.items(), strict=True):
            found = {name: numbers(world, which) for which, name in enumerate(RULES)}
            real = found["rebase"]["real"]
            one.plot(rounds, real, "--", color="black", label="theory 6.1, real shares")
            for name, values in found.items():
                color, called = COLORS[name], label(name)
                one.plot(
                    rounds, values["repeated"], ":", color=color, label=f"{called}, scores kept"
                )
                one.plot(rounds, values["searched"], "o-", color=color, label=f"{called}, searches")
                rows += _rows(model, called, values)
            what = "candidates: theory 6.1 in real shares"
            rows.append(row(model, what, None, real, 1))
            one.set(title=model.removesuffix("-Instruct"), ylabel="candidates", ylim=(0, None))
            one.set_xticks(rounds)
            one.grid(axis="y")
        axes[-1].set_xlabel("step t")
        handles, names = axes[0].get_legend_handles_labels()
        axes[0].figure.legend(handles, names, loc="outside lower center", ncols=2)
    with whole_output(str(out / "sharpening_search.md")) as file:
        file.write(page(__doc__, rows).encode())
    return rows


def _rows(model: str, rule: str, values: Found) -> list[Row]:
    what = {
        "searched": "candidates: searches",
        "repeated": "candidates: integer rollouts, scores kept",
        "directions": "directions: searches",
        "directions repeated": "directions: integer rollouts, scores kept",
    }
    return [row(model, f"{rule}, {what[name]}", None, values[name], 1) for name in what]


if __name__ == "__main__":
    run(main, __doc__)
