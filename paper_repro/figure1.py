"""Figure 1: how each rule spends 16 rollouts on the same 16 candidates.

We chose the scores to show the rules; they are not the paper's. The candidates follow three
directions, A (nine), B (five) and C (two). Temperature gives one each; beam search gives four each
to the four best; DVTS gives four to the best of each of four groups (dotted lines); REBASE follows
the scores, and so the crowd; DORA follows the scores of directions. Drawn are REBASE and DORA with
the budget kept exactly; rounded share by share, as the paper writes them, they need not spend N.
"""

from pathlib import Path

import jax
import numpy as np

import dora_theory as dt
from dora_theory.plots import label, save
from paper_repro.panels import bar_panels
from paper_repro.script import Row, row, run

SCORES = np.array(
    [
        *(0.62, 0.71, 0.66, 0.74, 0.69, 0.58, 0.72, 0.67, 0.70),
        *(0.76, 0.68, 0.73, 0.65, 0.71),
        *(0.79, 0.75),
    ]
)
DIRECTIONS = np.repeat([0, 1, 2], [9, 5, 2])
# One axis a direction, and a little of each candidate's own: cosine 0.999 inside, 0 across.
EMBEDDINGS = np.hstack([np.eye(3)[DIRECTIONS], 0.03 * np.eye(16)])
BUDGET = 16


def main(out: Path) -> list[Row]:
    with jax.enable_x64(True):
        allocations = {
            "temperature": dt.temperature_allocation(SCORES, BUDGET),
            "beam": dt.beam_allocation(SCORES, BUDGET),
            "dvts": dt.dvts_allocation(SCORES, BUDGET),
            "rebase": dt.rebase_allocation(SCORES, BUDGET),
            "dora": dt.dora_allocation(SCORES, EMBEDDINGS, BUDGET),
        }
        literal = {
            "REBASE": dt.rebase_allocation(SCORES, BUDGET, literal=True),
            "DORA": dt.dora_allocation(SCORES, EMBEDDINGS, BUDGET, literal=True),
        }
        quality = np.asarray(dt.direction_weights(SCORES, DIRECTIONS, 3))
        totals = {
            name: np.asarray(dt.direction_totals(given, DIRECTIONS, 3))
            for name, given in allocations.items()
        }
    rollouts = {name: np.asarray(given) for name, given in allocations.items()}
    figure = bar_panels(
        {"PRM score": SCORES, **rollouts},
        DIRECTIONS,
        own_scale=["PRM score"],
        totals=tuple(rollouts),
        groups={"dvts": np.array([4, 8, 12])},
        ylabels={"PRM score": "score"},
    )
    save(figure, out / "figure1")
    return [
        row("Figure 1", "direction quality Q times N: A, B, C", None, BUDGET * quality),
        *(
            row("Figure 1", f"{label(name)}: rollouts of A, B, C", None, total)
            for name, total in totals.items()
        ),
        *(
            row("Figure 1", f"{name}, each share rounded: rollouts in all", None, given.sum())
            for name, given in literal.items()
        ),
    ]


if __name__ == "__main__":
    run(main, __doc__)
