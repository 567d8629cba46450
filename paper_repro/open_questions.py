"""What the paper leaves open, asked of the populations fitted to MATH500, at N = 64.

Every rule against REBASE on the same problems and random numbers, budgets kept exactly: accuracy of
the weighted vote, in points, with two standard errors over problems. De-duplication is
direction-optimal at κ = 1/2, which is REBASE's rounding of directions that it is told; κ is optimal
at other κ. The embeddings are those of s_in in the middle of the assumed range. The fit to Figure 3
fails on MATH500, so this is what the theory says of these populations, not of the models. The
pictures' numbers, and the effective number of directions that rollouts go to, are in
open_questions.md.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from drawing import BLACK, GREY, ORDER, panels
from figure4 import populations
from script import Row, row, run, written

from dora_theory.output import whole_output
from dora_theory.search.measures import Measures, run_searches
from dora_theory.search.rules import Strategy
from dora_theory.search.tree import Tree

BUDGET, PROBLEMS, REPETITIONS = 64, 500, 2
KAPPAS = (0.1, 2.0, 10.0)
RULES: dict[str, Strategy] = {
    "REBASE": Strategy("rebase"),
    "beam": Strategy("beam"),
    **{f"κ = {k:g}, candidates": Strategy("optimal", concentration=k) for k in KAPPAS},
    **{
        f"κ = {k:g}, directions told": Strategy("direction-optimal", concentration=k)
        for k in (0.5, *KAPPAS)
    },
    "correlated, κ = 0.5, ν = 1": Strategy("correlated"),
    **{
        f"DORA, T_s = {t:g}": Strategy("dora").with_settings(similarity_temperature=t)
        for t in (0.003, 0.01, 0.03, 0.1, 0.3)
    },
    **{
        f"magnitude, T_s = {t:g}": Strategy("magnitude").with_settings(similarity_temperature=t)
        for t in (0.01, 0.3)
    },
    **{
        f"{name}, T_b = {t:g}": Strategy(name.lower()).with_settings(temperature=t)
        for name in ("DORA", "REBASE")
        for t in (0.05, 0.2, 0.4)
    },
}


def measured(world: Tree, which: int) -> Measures:
    key = jax.random.key(1)
    found = run_searches(
        key, world, world.problems(key, PROBLEMS), rule=tuple(RULES.values()),
        which=jnp.int32(which), slots=BUDGET, repetitions=REPETITIONS, width="full",
    )  # fmt: skip
    return jax.tree.map(lambda x: np.asarray(x).mean(1), found)


def main(out: Path) -> list[Row]:
    """Draws `out/open_questions`, writes `out/open_questions.md`; returns its rows."""
    rows, worlds = [], populations()
    with panels(out / "open_questions", len(worlds), height=5.4) as axes:
        for one, (model, world) in zip(axes, worlds.items(), strict=True):
            found = {name: measured(world, i) for i, name in enumerate(RULES)}
            base = found["REBASE"]
            place = np.arange(len(RULES))[::-1]
            for y, (name, m) in zip(place, found.items(), strict=True):
                off = 100 * (m.weighted - base.weighted)
                error = 2 * off.std(ddof=1) / np.sqrt(PROBLEMS)
                colour = ORDER[1] if name.startswith("DORA") else BLACK
                one.errorbar(off.mean(), y, xerr=error, fmt="o", color=colour, markersize=4)
                values = [
                    off.mean(), error, 100 * (m.pass_rate - base.pass_rate).mean(),
                    100 * (m.success - base.success).mean(), m.directions.mean(),
                ]  # fmt: skip
                rows.append(row(model, name, None, values, 1))
            one.axvline(0, color=GREY, linewidth=1, linestyle=":")
            one.set_yticks(place, list(RULES) if one is axes[0] else [""] * len(RULES), fontsize=8)
            one.set(title=model.removesuffix("-Instruct"), xlabel="accuracy less REBASE's, points")
    with whole_output(str(out / "open_questions.md")) as file:
        file.write(page(rows).encode())
    return rows


def page(rows: list[Row]) -> str:
    """The numbers as a Markdown page."""
    title, _, text = (__doc__ or "").strip().partition("\n\n")
    lines = [
        f"# {title.rstrip('.')}\n\n{' '.join(text.split())}\n",
        "Accuracy, pass rate and success@N are less REBASE's, in points.\n",
        "| model | rule | accuracy | pass rate | success@N | directions |",
        "|---|---|---|---|---|---|",
    ]
    for r in rows:
        accuracy, error, *others = (written(x, 1) for x in r["ours"])
        cells = [r["item"], r["quantity"], f"{accuracy} ± {error}", *others]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run(main, __doc__)
