"""Replay: what a log says about every strategy, on a log whose truth is known.

The log is written first, in the format of search-and-learn: problems with up to three directions,
24 solutions each, scores after every step. `dora-theory replay` then cuts the solutions after two
steps, lets every strategy spread N further rollouts over them, and estimates from the logged
answers how often at least one is right. The truth beside it comes from the success probabilities
that made the log, which the replay never sees. A rule that asks for more rollouts of a direction
than the log has of it has only a lower bound, which is not drawn; below, differences from REBASE
over the problems where the log suffices for both, hollow over fewer than 30 of them.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import dora_theory as dt
from dora_theory._errors import InputError
from dora_theory.cli.main import main as dora_theory
from dora_theory.replay.read.readers import read_log
from dora_theory.replay.synthetic import Truth, write_synthetic_log

PROBLEMS, SAMPLES, DIRECTIONS, BUDGETS = 200, 24, 3, (2, 4, 8, 16)
SHOWN = "temperature,beam,dvts,rebase,rebase-sequential,dora,magnitude,optimal,direction-optimal"
# The two rules whose allocation follows from the scores alone, without an embedding.
RULES = {"temperature": dt.temperature_allocation, "rebase": dt.rebase_allocation}


def main(out: Path) -> list[dict[str, Any]]:
    """Draws `out/replay_synthetic`; returns a row for each rule and budget of the check."""
    with tempfile.TemporaryDirectory() as folder:
        log, answer = Path(folder) / "synthetic.jsonl.gz", Path(folder) / "replay.json"
        truths = write_synthetic_log(
            log,
            problems=PROBLEMS,
            samples=SAMPLES,
            directions=DIRECTIONS,
            log_format="search-and-learn",
        )
        budgets = ",".join(map(str, BUDGETS))
        figure = str(out / "replay_synthetic.png")
        options = (
            "--budgets",
            budgets,
            "--strategies",
            SHOWN,
            "--json",
            "--out",
            str(answer),
            "--figure",
            figure,
        )
        if status := dora_theory(["replay", str(log), *options]):
            raise InputError(f"dora-theory replay: ended with status {status}")
        found = json.loads(answer.read_text(encoding="utf-8"))["strategies"]
        scores = np.array([[s.step_scores[1] for s in r.samples] for r in read_log(str(log))])
    rows = []
    for name, rule in RULES.items():
        for budget in BUDGETS:
            cell = found[name]["budget"][str(budget)]
            truth = true_success(np.asarray(rule(scores, budget)), truths)
            rows.append({"strategy": name, "budget": budget, "truth": truth, **cell})
    return rows


def true_success(allocation: np.ndarray, truths: Sequence[Truth]) -> float:
    """Mean over problems of 1 - Π (1 - p)^B."""
    failures = [
        np.prod((1 - truth.success[truth.directions]) ** given)
        for truth, given in zip(truths, allocation, strict=True)
    ]
    return float(1 - np.mean(failures))


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table, in percent of problems."""
    lines = [
        "| strategy | N | truth | estimate | 95% interval | problems where the log is too short |",
        "|---|---|---|---|---|---|",
    ]
    for r in rows:
        bound = "at least " if r["clipped"] else ""
        lines.append(
            f"| {r['strategy']} | {r['budget']} | {r['truth']:.1%} | {bound}{r['success']:.1%} | "
            f"{r['low']:.1%} to {r['high']:.1%} | {r['clipped']:.1%} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the picture")
    arguments = parser.parse_args()
    try:
        print(table(main(arguments.out)), end="")
    except (InputError, OSError) as error:
        parser.error(str(error))
