"""What the paper leaves open, asked of the fitted populations.

Every rule against REBASE on the same problems and random numbers, budgets kept exactly: accuracy of
the weighted vote, in points, with two standard errors over problems. First MATH500 at N = 64, every
rule with all its numbers; then the answers alone for other N and for AIME. At N = 256 each problem
is searched once, and rules that cost a square of N or more are left out. De-duplication is
direction-optimal at κ = 1/2, which is REBASE's rounding of given directions; κ is optimal
at other κ. The embeddings are those of s_in in the middle of the assumed range. The fit to Figure 3
fails on MATH500, so this is what the theory says of these populations, not of the models. What is
the best of some was chosen by the same searches, and so flatters. How repetition concentrates
searches step by step is in sharpening_search.md, which strategy wins at which budget and difficulty
in figure4.md, what unkept budgets do in padding.md.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from dora_theory.io.atomic_write import whole_output
from dora_theory.search.measures import Measures
from dora_theory.search.rules import SearchRule, as_rule
from dora_theory.search.tree import Tree
from paper_repro.benchmark_runs import SIZES, difference, draw_benchmark, populations, run_benchmark
from paper_repro.drawing import GRAY, ORDER, panels
from paper_repro.script import Row, row, run, written

# Benchmark and N; the first in full.
SETTINGS = ("MATH500", 64), ("MATH500", 16), ("MATH500", 256), ("AIME2024", 64), ("AIME2025", 64)
KAPPAS = (0.1, 2.0, 10.0)
COLD = (0.003, 0.01, 0.03, 0.1, 0.3)  # T_s
WARM = (0.05, 0.2, 0.4)  # T_b but for the paper's
INSIDE = (0.90, 0.99)  # ends of what is assumed of s_in

CANDIDATES = {f"κ = {k:g}, candidates": as_rule("optimal", concentration=k) for k in KAPPAS}
GIVEN = {
    f"κ = {k:g}, directions given": as_rule("direction-optimal", concentration=k)
    for k in (0.5, *KAPPAS)
}
MAGNITUDES = {
    f"magnitude, T_s = {t:g}": as_rule("magnitude", similarity_temperature=t) for t in (0.01, 0.3)
}


def dora(cold: float, warm: float = 0.1) -> str:
    """The name of DORA at T_s and T_b."""
    return f"DORA, T_s = {cold:g}" + (f", T_b = {warm:g}" if warm != 0.1 else "")


DORAS = {
    dora(cold, warm): as_rule("dora", similarity_temperature=cold, quality_temperature=warm)
    for warm in (0.1, *WARM)
    for cold in (COLD if warm == 0.1 else (0.01, 0.03, 0.1))
}
PAPERS, DEDUPLICATED, CORRELATED = (
    dora(0.01),
    "κ = 0.5, directions given",
    "correlated, κ = 0.5, ν = 1",
)
RULES: dict[str, SearchRule] = {
    "REBASE": as_rule("rebase"),
    "beam": as_rule("beam"),
    **CANDIDATES,
    **GIVEN,
    CORRELATED: as_rule("correlated"),
    **DORAS,
    **MAGNITUDES,
    **{f"REBASE, T_b = {t:g}": as_rule("rebase", quality_temperature=t) for t in WARM},
}
# N² and more of work at every step, which takes too long beyond so many.
SLOW, MOST = {CORRELATED, *MAGNITUDES}, 64
# Model → rule → measures of every problem and run.
Found = dict[str, dict[str, Measures]]
# Difference and two standard errors.
Gain = tuple[float, float]


def measured(world: Tree, benchmark: str, slots: int, name: str) -> Measures:
    """Searches by one rule."""
    size, which = SIZES[benchmark], list(RULES).index(name)
    problems, runs = draw_benchmark(world, size), size.runs if slots <= MOST else 1
    return run_benchmark(world, problems, slots, which, runs, rules=RULES, padding=False)


def main(out: Path) -> list[Row]:
    """Draws `out/open_questions`, writes `out/open_questions.md`; returns its rows."""
    every: dict[tuple[str, int], Found] = {}
    for benchmark, slots in SETTINGS:
        every[benchmark, slots] = {
            model: {
                name: measured(world, benchmark, slots, name)
                for name in RULES
                if slots <= MOST or name not in SLOW
            }
            for (of, model), world in populations().items()
            if of == benchmark
        }
    found = every[SETTINGS[0]]
    draw(out, {m: {n: gain(of, n) for n in RULES if n != "REBASE"} for m, of in found.items()})
    rows = [r for model, of in found.items() for r in rows_of(model, of)]
    parts = [page(rows), shares(every), temperatures(every), insides(found)]
    with whole_output(str(out / "open_questions.md")) as file:
        file.write("\n".join(parts).encode())
    return rows


def draw(out: Path, gains: dict[str, dict[str, Gain]]) -> None:
    """Accuracy less REBASE's, a line for each rule and a mark for each model."""
    names = list(next(iter(gains.values())))
    place = np.arange(len(names))[::-1]
    with panels(out / "open_questions", 1, height=0.16 * len(names) + 0.9) as (axes,):
        for i, ((model, of), color) in enumerate(zip(gains.items(), ORDER, strict=False)):
            mean, error = 100 * np.array([of[name] for name in names]).T
            axes.errorbar(
                mean, place + 0.25 * (1 - i), xerr=error, fmt="osD"[i], color=color,
                markersize=2.2, elinewidth=0.7, label=model.removesuffix("-Instruct"),
            )  # fmt: skip
        axes.axvline(0, color=GRAY, linewidth=0.8, linestyle=":", label="REBASE")
        shown = [n.replace("T_s", "$T_s$").replace("T_b", "$T_b$") for n in names]
        axes.set_yticks(place, shown)
        axes.set(xlabel="points more than REBASE", ylim=(-0.7, len(place) - 0.3))
        axes.figure.legend(loc="outside upper center", ncols=2, handlelength=1.6)


def gain(of: dict[str, Measures], name: str, base: str = "REBASE") -> Gain:
    """Accuracy of a rule less that of another, and two standard errors."""
    return difference(of[name].weighted, of[base].weighted)


def rows_of(model: str, of: dict[str, Measures]) -> list[Row]:
    """Every rule's numbers."""
    rows, base = [], of["REBASE"]
    for name, m in of.items():
        values = [
            *(100 * x for x in gain(of, name)), 100 * (m.pass_rate - base.pass_rate).mean(),
            100 * (m.success - base.success).mean(), m.directions.mean(), 100 * m.quality.mean(),
        ]  # fmt: skip
        rows.append(row(model, name, None, values, 1))
    return rows


def page(rows: list[Row]) -> str:
    """Words and the numbers of all rules, as Markdown."""
    title, _, text = (__doc__ or "").strip().partition("\n\n")
    head = [
        f"# {title.rstrip('.')}\n\n{' '.join(text.split())}\n",
        f"## {SETTINGS[0][0]} at N = {SETTINGS[0][1]}\n",
        "Accuracy, pass rate and success@N are less REBASE's, in points; directions is the "
        "effective number that rollouts go to, quality the true success of the beams they go to, "
        "in percent.\n",
    ]
    names = ["model", "rule", "accuracy", "pass rate", "success@N", "directions", "quality"]
    cells = []
    for r in rows:
        accuracy, error, *others = (written(x, 1) for x in r["ours"])
        cells.append([r["item"], r["quantity"], f"{accuracy} ± {error}", *others])
    return "\n".join(head) + "\n" + _table(names, cells)


def shares(every: dict[tuple[str, int], Found]) -> str:
    """DORA's gain beside that of its parts, and beside rules that go further."""
    names = ["model", "DORA", "de-duplication alone", "κ alone", "κ on top of de-duplication"]
    cells = []
    for where, of in _everywhere(every):
        parts = [gain(of, PAPERS), gain(of, DEDUPLICATED), _best(of, CANDIDATES)]
        further = [_best(of, GIVEN), _best(of, [CORRELATED]), _best(of, MAGNITUDES)]
        on_top = _best(of, [n for n in GIVEN if n != DEDUPLICATED], DEDUPLICATED)
        cells.append([*where, *(_points(x) for x in (*parts, on_top, *further))])
    text = (
        "## De-duplication, κ, and what goes further\n\nAccuracy in points, less REBASE's but for "
        f"κ on top, which is less that of de-duplication. κ is the best of "
        f"{', '.join(f'{k:g}' for k in KAPPAS)}; the optimum given the directions is the best of "
        "these and 0.5; magnitude is the better of its two T_s.\n\n"
    )
    columns = ["benchmark", "N", *names, "optimum, directions given", "correlated", "magnitude"]
    return text + _table(columns, cells)


def temperatures(every: dict[tuple[str, int], Found]) -> str:
    """The best T_s and T_b that were tried, and how many are no worse within the errors."""
    cells = []
    for where, of in _everywhere(every):
        best = max(DORAS, key=lambda name, of=of: of[name].weighted.mean())  # type: ignore[misc]
        behind = [gain(of, best, name) for name in DORAS if name != best]
        close = sum(off <= error for off, error in behind)
        against = _points(gain(of, best, PAPERS)) if best != PAPERS else "–"
        cells.append([*where, best, against, f"{close} of {len(behind)}"])
    text = (
        "## What T_s and T_b should have been\n\nThe paper has T_s = 0.01 and T_b = 0.1. The best "
        "that was tried, its accuracy less that of the paper's, in points, and how many of the "
        "others are not distinguishable from it.\n\n"
    )
    columns = ["benchmark", "N", "model", "best", "less the paper's", "not distinguishable from it"]
    return text + _table(columns, cells)


def insides(found: Found) -> str:
    """DORA at every T_s where paths of one direction look less alike, and more."""
    cells = []
    benchmark, slots = SETTINGS[0]
    for inside in INSIDE:
        for model in found:
            other = populations()[benchmark, model].with_changes(similarity_within=inside)
            # REBASE sees no embeddings, so its searches are the same.
            of = {n: measured(other, benchmark, slots, n) for n in map(dora, COLD)}
            of["REBASE"] = found[model]["REBASE"]
            gains = [_points(gain(of, dora(cold))) for cold in COLD]
            cells.append([f"{inside:.2f}", model, *gains])
    text = (
        "## T_s, if paths of one direction look less or more alike\n\nDORA's accuracy less "
        f"REBASE's, in points, for other cosines s_in within a direction; {benchmark}, N = "
        f"{slots}.\n\n"
    )
    return text + _table(["s_in", "model", *(f"T_s = {cold:g}" for cold in COLD)], cells)


def _everywhere(
    every: dict[tuple[str, int], Found],
) -> Iterator[tuple[tuple[str, str, str], dict[str, Measures]]]:
    for (benchmark, slots), found in every.items():
        for model, of in found.items():
            yield (benchmark, str(slots), model), of


def _best(of: dict[str, Measures], names: Iterable[str], base: str = "REBASE") -> Gain | None:
    return max((gain(of, name, base) for name in names if name in of), default=None)


def _points(value: Gain | None) -> str:
    return "–" if value is None else f"{100 * value[0]:+.1f} ± {100 * value[1]:.1f}"


def _table(names: list[str], cells: list[list[str]]) -> str:
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    return "\n".join(lines + [f"| {' | '.join(x)} |" for x in cells]) + "\n"


if __name__ == "__main__":
    run(main, __doc__)
