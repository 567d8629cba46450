"""The Game of 24: every strategy where the truth is known and duplicates are real.

Algorithm 1 on puzzles with a solution and a player who takes any legal move; nothing is fitted.
Success: one of the N solutions is 24. First with scores that read the truth, then with noise of
standard deviation 1.5 in their logit, one error per state, so that copies err alike. Copies of a
state are one direction, and embeddings say so exactly. The first row is one round of allocation by
REBASE, exactly and by the engine.

The picture shows the puzzles solved less those of REBASE. Bars are two standard errors over puzzles
of the difference; the same random numbers are drawn for every strategy. How much of DORA's gain is
de-duplication and how much is κ is asked at N = 16 and 64: REBASE's rounding is that of κ = 1/2.
Magnitude at N = 256 takes too long.
"""

import argparse
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from textwrap import fill

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

from dora_theory._errors import InputError
from dora_theory.io.atomic_write import whole_output
from dora_theory.plots import COLORS, label
from dora_theory.replay.read.readers import read_log
from dora_theory.search.game24 import Game24, game24
from dora_theory.search.measures import run_searches
from dora_theory.search.puzzles import State, all_puzzles, solvable, state
from dora_theory.search.rules import SEARCHED, SearchRule, as_rule
from dora_theory.strategies.registry import STRATEGIES
from paper_repro.drawing import BLACK, panels
from paper_repro.one_round import OneRound, one_round_success
from paper_repro.proposals import logged_game
from paper_repro.script import Row, page, row, table

BUDGETS = (8, 16, 32, 64, 128, 256)
# A quadratic program in N weights at every step of every search.
MOST = {"magnitude": 128}
# κ of the optimum over candidates and of that over directions, beside the 1/2 of the strategies.
KAPPAS = (0.1, 2.0)
ASKED = {
    f"{name}, κ = {k:g}": as_rule(name, concentration=k)
    for name in ("optimal", "direction-optimal")
    for k in KAPPAS
}
ASKED_AT = (16, 64)
# Ten points and more behind REBASE, in a panel of their own; and what does as REBASE does.
FAR, SAME = ("temperature", "beam", "dvts"), "optimal"
SHOWN_ASKED = ["optimal, κ = 2"]
PUZZLES, REPETITIONS = 64, 8
NOISE = {"scores read the truth": 0.0, "scores of noise 1.5": 1.5}
EXACT = state(4, 5, 6, 10)
# Sums of three votes of at most 20.
VALUES = 60.0

# The page of a log.
LOGGED = """The Game of 24 with GPT-4's moves and values, from a logged tree search.

Algorithm 1 on the log's first puzzles. The player takes any legal move, but prefers those that
GPT-4 proposed, ten to one; scores are GPT-4's own values where there is one. Copies of a state are
one direction, and embeddings say so exactly.

The picture shows the puzzles solved less those of REBASE. Bars are two standard errors over puzzles
of the difference; the same random numbers are drawn for every strategy. How much of DORA's gain is
de-duplication and how much is κ is asked at N = 16 and 64: REBASE's rounding is that of κ = 1/2.
Magnitude at N = 256 takes too long.
"""

Curve = dict[int, np.ndarray]


def spread_puzzles() -> list[State]:
    """Puzzles that can be solved, evenly over the order of all."""
    every = [s for s in all_puzzles() if solvable(s)]
    return [every[i] for i in np.linspace(0, len(every) - 1, PUZZLES).astype(int)]


def success(
    world: Game24,
    starts: np.ndarray,
    rules: Sequence[SearchRule],
    which: int,
    slots: int,
    noise: float,
) -> np.ndarray:
    """Success of each puzzle in each repetition."""
    found = run_searches(
        jax.random.key(0),
        world.with_score(noise=noise),
        jnp.asarray(starts),
        rule=tuple(rules),
        which=jnp.int32(which),
        slots=slots,
        repetitions=REPETITIONS,
        block=64,
    )
    return np.asarray(found.success)


def curves(world: Game24, starts: np.ndarray, noises: Sequence[float]) -> list[dict[str, Curve]]:
    """Strategy → budget → success, for each noise. A budget is one program."""
    found: list[dict[str, Curve]] = [{} for _ in noises]
    for n in BUDGETS:
        rules = {name: as_rule(name) for name in SEARCHED if n <= MOST.get(name, n)}
        rules |= ASKED if n in ASKED_AT else {}
        for which, name in enumerate(rules):
            for noise, curve in zip(noises, found, strict=True):
                one = success(world, starts, list(rules.values()), which, n, noise)
                curve.setdefault(name, {})[n] = one
    return found


def draw(out: Path, stem: str, found: dict[str, dict[str, Curve]]) -> None:
    """Points solved less REBASE's: rules far behind it, and below them those near it."""
    with panels(out / stem, 2 * len(found), height=1.5 + 0.6 / len(found)) as axes:
        for i, (title, curve) in enumerate(found.items()):
            near = [n for n in curve if n not in (*FAR, *ASKED, "rebase", SAME)] + SHOWN_ASKED
            for one, names in zip(axes[2 * i : 2 * i + 2], (FAR, near), strict=True):
                _differences(one, curve, _alike(curve, names))
            axes[2 * i].set_title(title)
        axes[-1].set_xlabel("rollouts N")
        shown = {
            words: handle
            for one in axes
            for handle, words in zip(*one.get_legend_handles_labels(), strict=True)
        }
        axes[0].figure.legend(
            shown.values(), shown, loc="outside lower center", ncols=2, handlelength=1.4
        )


def _alike(curve: dict[str, Curve], names: Sequence[str]) -> dict[str, str]:
    """Name → label; rules that solve the same in every search are one, with all their names."""
    groups: list[list[str]] = []
    for name in names:
        same = (g for g in groups if _equal(curve[g[0]], curve[name]))
        if (group := next(same, None)) is None:
            groups.append([name])
        else:
            group.append(name)
    return {
        group[0]: fill(" = ".join(map(label, group)), 22, break_on_hyphens=False)
        for group in groups
    }


def _equal(one: Curve, other: Curve) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(x, other[n]) for n, x in one.items())


def _differences(axes: Axes, curve: dict[str, Curve], names: dict[str, str]) -> None:
    axes.axhline(0, color=COLORS["rebase"], linewidth=1, label="REBASE = optimal,\nκ = 1/2")
    for place, (name, words) in enumerate(names.items()):
        off = {n: 100 * (x - curve["rebase"][n]) for n, x in curve[name].items()}
        # Beside one another around the budget.
        at = np.array(list(off)) * 2 ** (0.11 * (place - (len(names) - 1) / 2))
        look = {"color": BLACK, "marker": "d"}
        if name in STRATEGIES:
            look = {"color": STRATEGIES[name].color, "marker": STRATEGIES[name].marker}
        axes.errorbar(
            at, [x.mean() for x in off.values()], [_error(x) for x in off.values()],
            linestyle="", elinewidth=0.8, label=words, **look,
        )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_xticks(BUDGETS, list(map(str, BUDGETS)))
    axes.minorticks_off()
    axes.set_ylabel("points more\nthan REBASE")
    axes.set_xlim(BUDGETS[0] / 1.45, BUDGETS[-1] * 1.45)
    axes.grid(axis="y")


def saving(curve: Curve, target: float) -> float | str:
    """The last budget over the rollouts to a success, straight in log N between budgets."""
    mean, budgets = np.array([x.mean() for x in curve.values()]), np.array(list(curve))
    if target > mean[-1]:
        return "below 1"
    if target < mean[0]:
        return f"above {budgets[-1] / budgets[0]:.0f}"
    at = np.interp(target, np.maximum.accumulate(mean), np.log2(budgets))
    return float(budgets[-1] / 2**at)


def _error(values: np.ndarray) -> float:
    """Two standard errors over puzzles."""
    return float(2 * values.mean(1).std(ddof=1) / np.sqrt(len(values)))


def rows_of(item: str, curve: dict[str, Curve]) -> list[Row]:
    rows = []
    for name, points in curve.items():
        budgets = ", ".join(map(str, points))
        mean = [100 * x.mean() for x in points.values()]
        rows.append(row(item, f"{label(name)}: % solved at N = {budgets}", None, mean, 1))
    for name in ("dora", "direction-optimal"):
        lost = [curve[name][n] - curve["rebase"][n] for n in BUDGETS]
        error = [_error(x) for x in lost]
        what = f"{label(name)} less REBASE, points; two standard errors"
        rows.append(row(item, what, None, [*(100 * x.mean() for x in lost)], 1))
        rows.append(row(item, f"{what}: the errors", None, [100 * x for x in error], 1))
        ratio = saving(curve[name], curve["rebase"][BUDGETS[-1]].mean())
        what = f"REBASE's {BUDGETS[-1]} rollouts over those {label(name)} needs for as much"
        rows.append(row(item, what, None, ratio))
    return rows + [r for n in ASKED_AT for r in parts(item, curve, n)]


def parts(item: str, curve: dict[str, Curve], n: int) -> list[Row]:
    """DORA's gain beside de-duplication alone and κ alone."""
    names = {
        "dora": "DORA",
        "direction-optimal": "de-duplication alone, κ = 1/2",
        **{name: name.replace("direction-optimal", "de-duplicated") for name in ASKED},
    }
    rows = []
    for name, said in names.items():
        off = 100 * (curve[name][n] - curve["rebase"][n])
        what = f"N = {n}, {said.replace('optimal', 'candidates')} less REBASE; two standard errors"
        rows.append(row(item, what, None, [off.mean(), _error(off)], 1))
    return rows


def one_round() -> list[Row]:
    world, starts, number = game24([EXACT])
    above = min(i for s, i in number.items() if len(s) == 2)
    rule = as_rule("rebase")
    found = run_searches(
        jax.random.key(1), world, jnp.asarray(starts), rule=OneRound(rule, above), slots=3,
        repetitions=20_000, block=1000,
    )  # fmt: skip
    sampled = np.asarray(found.success)
    exact = float(one_round_success(EXACT, rule, 3))
    error = 2 * sampled.std() / np.sqrt(sampled.size)
    what = "4 5 6 10, N = 3, REBASE: % exactly; % by the engine; two standard errors"
    return [row("one round", what, None, [100 * exact, 100 * sampled.mean(), 100 * error], 3)]


def main(out: Path, log: str | None = None) -> list[Row]:
    """Draws `out/game24`, or `out/game24_gpt4` from a log, with a page; returns the numbers."""
    with jax.enable_x64(True):
        if log is None:
            stem, about, first = "game24", __doc__, one_round()
            world, starts, _ = game24(spread_puzzles())
            found = dict(zip(NOISE, curves(world, starts, list(NOISE.values())), strict=True))
        else:
            stem, about = "game24_gpt4", LOGGED
            game = logged_game(islice(read_log(log), PUZZLES), score_scale=VALUES)
            world, starts, _ = game24(game.puzzles, game.proposals, game.scores)
            facts = [game.nodes, game.illegal, len(game.scores)]
            first = [row("log", "steps; of these illegal; states with a value", None, facts)]
            found = {"GPT-4's moves and values": curves(world, starts, [0.0])[0]}
    draw(out, stem, found)
    rows = first + [r for title, curve in found.items() for r in rows_of(title, curve)]
    with whole_output(str(out / f"{stem}.md")) as file:
        file.write(page(about, rows).encode())
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the picture")
    parser.add_argument("--log", help="tree searches of GPT-4, a log of the plain format")
    arguments = parser.parse_args()
    try:
        print(table(main(arguments.out, arguments.log)), end="")
    except (InputError, OSError) as error:
        parser.error(str(error))
