"""Solved against rollouts, one budget for all problems of real logs.

Logs are replayed without replacement: HumanEval (CodeGen-16B, 164 problems, 100 samples each), the
Game of 24 (GPT-4, 100 puzzles, 100 samples) and MATH-500 (Llama-3.1-8B, 500 problems, 19 samples).
Bands are 95% intervals of one run of uniform budgets and of round robin on the unsolved; the black
line is all that the log solves. The second picture stops at a score where there is no verifier.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dora_theory._errors import InputError
from dora_theory.plots import COLORS, COLUMN, save, style
from dora_theory.replay.across.options import AcrossOptions
from dora_theory.replay.across.run import replay_across
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.report.across_picture import LOOKS, solved_against_rollouts
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


def asked_of(log: str) -> tuple[str, dict[str, Any]]:
    """Title and options of a log; `InputError` for one of another name."""
    found = next((v for k, v in LOGS.items() if k in Path(log).name), None)
    if found is None:
        raise InputError(f"{log}: its name has none of {', '.join(LOGS)}")
    return found


def replayed(logs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Title → what `replay_across` finds; `InputError` for a log of another name."""
    found = {}
    for log in logs:
        title, asked = asked_of(log)
        found[title] = replay_across(log, AcrossOptions(**asked), ReplayOptions())
    return found


def draw_saving(logs: Sequence[str], stem: Path) -> None:
    """What spending on the unsolved saves, logs side by side: the README's picture."""
    with style():
        figure = Figure(figsize=(2 * COLUMN, 2.4), layout="constrained")
        for axes, log in zip(figure.subplots(1, len(logs), squeeze=False)[0], logs, strict=True):
            title, asked = asked_of(log)
            highest = max(asked["coverages"])
            grid = (*np.arange(0.3, highest - 0.005, 0.02).tolist(), highest)
            one = replay_across(
                log, AcrossOptions(coverages=grid, budgets=asked["budgets"]), ReplayOptions()
            )
            rows, last = one["savings"], one["savings"][-1]
            solved = [100 * row["coverage"] for row in rows]
            for field, policy in (("uniform", "uniform"), ("round_robin", "round-robin")):
                color, line, _ = LOOKS[policy]
                words = {"uniform": "uniform budget", "round_robin": "on the unsolved"}[field]
                axes.plot([row[field] for row in rows], solved, line, color=color, label=words)
            batches = one["policies"]["rounds-4"]
            shown = [(int(n), 100 * c["solved"]) for n, c in batches.items()]
            inside = np.array([(n, y) for n, y in shown if solved[0] <= y <= solved[-1]])
            axes.plot(*inside.T, "o", color=LOOKS["rounds-4"][0], label="in 4 batches")
            ends = ((last[field], solved[-1]) for field in ("round_robin", "uniform"))
            arrow = {"arrowstyle": "<->", "color": BLACK, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", *ends, arrowprops=arrow)
            axes.text(
                0.98, 0.05, f"{solved[-1]:.0f}% with {last['factor']:.1f} times\n"
                f"fewer rollouts [{last['low']:.1f}, {last['high']:.1f}]", transform=axes.transAxes,
                ha="right", va="bottom", fontweight="bold",
            )  # fmt: skip
            axes.set_xscale("log", base=2)
            axes.set_xticks(asked["budgets"], map(str, asked["budgets"]))
            axes.minorticks_off()
            axes.grid(axis="y")
            axes.set(title=title, xlabel="rollouts per problem", ylabel="problems solved, %")
            axes.legend(loc="upper left")
        save(figure, stem)


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
    draw_saving([log for log in logs if asked_of(log)[0] != "Game of 24"], out / "saving")
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
