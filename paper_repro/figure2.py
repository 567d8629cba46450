"""Figure 2: four equally good candidates, three of which say the same.

All four have score 0.95. The first three are copies of one another (similarity 1), the fourth is
another idea (similarity 0.1). Allocation by quality alone gives each idea's copies a share each;
DORA finds by eq. 10-13, from the embeddings, that the three are one direction.
"""

from pathlib import Path

import jax
import numpy as np

import dora_theory as dt
from dora_theory.plots import save
from paper_repro.panels import bar_panels
from paper_repro.script import Row, row, run

SCORES = np.full(4, 0.95)
# Vectors of length 1 whose cosines are the figure's similarities.
EMBEDDINGS = np.array([[1, 0]] * 3 + [[0.1, np.sqrt(1 - 0.1**2)]])


def main(out: Path) -> list[Row]:
    with jax.enable_x64(True):
        similarity = np.asarray(dt.cosine_similarity(EMBEDDINGS))
        quality = np.asarray(dt.quality_weights(SCORES))
        gamma = np.asarray(dt.uniqueness(EMBEDDINGS))
        dora = np.asarray(dt.dora_weights(SCORES, EMBEDDINGS))
    panels = {"quality": quality, "uniqueness": gamma, "DORA, quality times uniqueness": dora}
    symbols = dict(zip(panels, ("w", "γ", "w' ∝ wγ"), strict=True))
    save(bar_panels(panels, np.array([0, 0, 0, 1]), ylabels=symbols), out / "figure2")
    return [
        row("Figure 2", "similarity of the first to each", [1, 1, 1, 0.1], similarity[0]),
        row("Figure 2", "solution level, w", [0.25] * 4, quality),
        row("Figure 2", "uniqueness, γ", [0.33, 0.33, 0.33, 1.0], gamma),
        row("Figure 2", "DORA, w'", [0.17, 0.17, 0.17, 0.50], dora),
    ]


if __name__ == "__main__":
    run(main, __doc__)
