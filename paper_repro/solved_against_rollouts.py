"""Solved against rollouts, one budget for all problems of real logs.

Logs are replayed without replacement: HumanEval (CodeGen-16B, 164 problems, 100 samples each), the
Game of 24 (GPT-4, 100 puzzles, 100 samples) and MATH-500 (Llama-3.1-8B, 500 problems, 19 samples).
Bands are 95% intervals of one run of uniform budgets and of round robin on the unsolved; the gray
line is what the log solves at all. The second picture stops at a score where there is no verifier.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dora_theory._errors import InputError
from dora_theory.plots import COLORS, save
from dora_theory.replay.across.options import AcrossOptions
from dora_theory.replay.across.run import replay_across
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.report.across_picture import solved_against_rollouts
from dora_theory.replay.report.across_table import tables
from paper_repro.drawing import BLACK, GRAY, ORDER, panels

# Title, what the replay is asked for, by a part of the log's name.
LOGS: dict[str, tuple[str, dict[str, Any]]] = {
    "humaneval": ("HumanEval", {"coverages": (0.5, 0.6, 0.7), "budgets": (1, 2, 4, 8, 16, 32, 64)}),
    "game24": ("Game of 24", {"coverages": (0.2, 0.4), "budgets": (1, 2, 4, 8, 16, 32, 64)}),
    "math500": (
        "MATH-500",
        {
            "coverages": (0.5, 0.6, 0.7, 0.75, 0.8),
            "budgets": (1, 2, 4, 8, 16),
            "by": ("level", "score"),
            "accept": (0.82, 0.99),
        },
    ),
}


def replayed(logs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Title → what `replay_across` finds; `InputError` for a log of another name."""
    found = {}
    for log in logs:
        title, asked = next((v for k, v in LOGS.items() if k in Path(log).name), (None, None))
        if title is None or asked is None:
            raise InputError(f"{log}: its name has none of {', '.join(LOGS)}")
        found[title] = replay_across(log, AcrossOptions(**asked), ReplayOptions())
    return found


def page(found: dict[str, dict[str, Any]]) -> str:
    """All tables as Markdown."""
    title, _, text = (__doc__ or "").strip().partition("\n\n")
    parts = [f"# {title.rstrip('.')}", " ".join(text.split())]
    for name, one in found.items():
        parts.append(f"## {name}: {one['problems']} problems, {one['samples']:,} solutions")
        for words, head, rows in tables(one):
            lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
            rule = "|" + "---|" * len(head)
            parts += [f"{words}.", "\n".join([lines[0], rule, *lines[1:]])]
    return "\n\n".join(parts) + "\n"


def draw_stopping(found: dict[str, Any], stem: Path) -> None:
    """Accuracy against rollouts, and believed against right, of stops at a score."""
    rules, thresholds = found["stopping"]["rules"], found["stopping"]["thresholds"]
    n = np.array([int(x) for x in rules["best-of-n"]])
    looks = {
        "perfect-verifier": (BLACK, ":", "stop, verified"),
        "weighted-vote": (ORDER[2], "-", "vote by scores"),
        "best-of-n": (GRAY, "-", "best of n"),
    }
    with panels(stem, 2, height=2.2) as (above, below):
        for name, (color, line, label) in looks.items():
            above.plot(n, 100 * np.array([*rules[name].values()]), line, color=color, label=label)
        for (tau, of), color in zip(thresholds.items(), (COLORS["rebase"], ORDER[1]), strict=False):
            cells = [*of["budget"].values()]
            accuracy, believed = (
                100 * np.array([c[k] for c in cells]) for k in ("accuracy", "believed")
            )
            right = believed * np.array([c["right"] for c in cells])
            above.plot(n, accuracy, "o-", color=color, label=f"stop at ≥ {tau}")
            below.plot(n, believed, "o-", color=color, label=f"≥ {tau}: believed solved")
            below.plot(n, right, "o--", color=color, label=f"≥ {tau}: and right")
        above.set(ylabel="accuracy, %")
        below.set(ylabel="% of problems", xlabel="rollouts per problem")
        for axes in (above, below):
            axes.set_xscale("log", base=2)
            axes.set_xticks(n, map(str, n))
            axes.minorticks_off()
        above.figure.legend(loc="outside lower center", ncols=2, handlelength=2)


def write(logs: Sequence[str], out: Path) -> None:
    """Both pictures and the page of numbers."""
    found = replayed(logs)
    save(solved_against_rollouts([*found.values()], [*found]), out / "solved_against_rollouts")
    (out / "solved_against_rollouts.md").write_text(page(found), encoding="utf-8")
    for one in found.values():
        if one["stopping"] is not None:
            draw_stopping(one, out / "stop_at_a_score")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logs", nargs="+", metavar="LOG", help="their names say what they are")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the pictures")
    arguments = parser.parse_args()
    try:
        write(arguments.logs, arguments.out)
    except (InputError, OSError) as error:
        parser.error(str(error))
