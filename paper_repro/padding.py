"""Budgets that are not kept: what the authors' padding and early stopping do to the result.

The paper's rules round, and their sum misses N. The authors then repeat beams until there are N,
and at the end solutions until N count; they hand out N at every step, and stop when N have
finished; the first N count. Each switch against that, on the same problems and random
numbers of the three populations fitted to MATH500 (two runs of 500 problems each, taken together):
what is missing left out; the budget kept exactly by apportionment, so that nothing is missing; and
kept, with only so many rollouts a step as are still to finish. Differences are in points, with two
standard errors over problems; then the solutions that count, and the steps that were generated over
those of the authors' way.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dora_theory.io.atomic_write import whole_output
from dora_theory.plots import label
from dora_theory.search.measures import Measures
from dora_theory.search.rules import as_rule
from paper_repro.benchmark_runs import Size, difference, draw_benchmark, populations, run_benchmark
from paper_repro.calibration import RULES, STRATEGIES
from paper_repro.script import Row, row, run

BUDGETS = (16, 64, 256)
SIZE = Size(500, runs=2)
KEPT = {name: as_rule(name) for name in STRATEGIES}
AUTHORS = "as the authors do"
# Name → rules and switches of `run_benchmark`.
WAYS: dict[str, dict[str, Any]] = {
    AUTHORS: {"rules": RULES, "padding": True},
    "nothing repeated": {"rules": RULES, "padding": False},
    "budget kept": {"rules": KEPT, "padding": False},
    "budget kept, rest of N only": {"rules": KEPT, "padding": False, "width": "remaining"},
}


def measured(slots: int) -> dict[str, dict[str, Measures]]:
    """Strategy → way → measures of all problems of the three populations."""
    drawn = [
        (world, draw_benchmark(world, SIZE))
        for (benchmark, _), world in populations().items()
        if benchmark == "MATH500"
    ]
    return {
        name: {way: _pooled(drawn, slots, which, options) for way, options in WAYS.items()}
        for which, name in enumerate(STRATEGIES)
    }


def _pooled(drawn: list, slots: int, which: int, options: Mapping[str, Any]) -> Measures:
    found = [
        run_benchmark(world, problems, slots, which, SIZE.runs, **options)
        for world, problems in drawn
    ]
    return Measures(*(np.concatenate(values) for values in zip(*found, strict=True)))


def main(out: Path) -> list[Row]:
    """Writes `out/padding.md`; returns its rows."""
    rows = [
        row(f"N = {n}", f"{label(name)}: {way}", None, compare(m, ways[AUTHORS], n), 1)
        for n in BUDGETS
        for name, ways in measured(n).items()
        for way, m in ways.items()
        if way != AUTHORS
    ]
    out.mkdir(parents=True, exist_ok=True)
    with whole_output(str(out / "padding.md")) as file:
        file.write(text(rows).encode())
    return rows


def compare(ours: Measures, authors: Measures, slots: int) -> list[float]:
    """Accuracy and pass rate less the authors', each with its error; solutions; share of steps."""
    accuracy = difference(ours.weighted, authors.weighted)
    passed = difference(ours.pass_rate, authors.pass_rate)
    percent = [100 * x for x in (*accuracy, *passed)]
    counted = 100 * float(ours.finished.mean()) / slots
    return [*percent, counted, 100 * float(ours.steps.sum() / authors.steps.sum())]


def text(rows: list[Row]) -> str:
    """The page."""
    title, _, words = (__doc__ or "").strip().partition("\n\n")
    lines = [
        f"# {title.rstrip('.')}\n\n{' '.join(words.split())}\n",
        "| N | strategy and way | accuracy | pass rate | solutions, % of N | steps, % |",
        "|---|---|---|---|---|---|",
    ]
    for r in rows:
        a, a_error, p, p_error, counted, steps = r["ours"]
        cells = [
            r["item"].removeprefix("N = "), r["quantity"], f"{a:+.1f} ± {a_error:.1f}",
            f"{p:+.1f} ± {p_error:.1f}", f"{counted:.1f}", f"{steps:.0f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run(main, __doc__)
