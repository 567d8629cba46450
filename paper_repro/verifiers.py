"""Verifiers that err, and best of N by a noisy score.

Above: the search stops at the first acceptance, in the best order, for three verifiers. P(right)
tends to a ceiling (dotted: after 2,048 rollouts), while precision, the share of accepted answers
that are right, falls at every step. Below: best of N by a score, where wrong answers spread less,
as much, or more than right ones. In the last case it peaks and then falls.
"""

from pathlib import Path

import jax
import numpy as np

import dora_theory as dt
from paper_repro.drawing import BLACK, ORDER, panels
from paper_repro.script import Row, row, run

WEIGHTS, CONCENTRATION = (0.4, 0.25, 0.15, 0.1, 0.05, 0.05), 0.5
VERIFIERS = {"t = 0.9, f = 0.01": (0.9, 0.01), "t = 0.9, f = 0.05": (0.9, 0.05)}
VERIFIERS |= {"t = 0.6, f = 0.2": (0.6, 0.2)}
LENGTH, SHOWN = 2048, 256
SPREADS = {"σ₀ = 0.8 σ₁": 0.8, "σ₀ = σ₁": 1.0, "σ₀ = 1.2 σ₁": 1.2}
CHANCE, SEPARATION = 0.2, 1.0
# Prices of a wrong answer, a right one being worth 1.
PENALTIES = (0.25, 1.0, 4.0)


def main(
    out: Path,
    *,
    weights: tuple[float, ...] = WEIGHTS,
    concentration: float = CONCENTRATION,
    chance: float = CHANCE,
    separation: float = SEPARATION,
) -> list[Row]:
    """Draws `out/verifiers`; `chance` and `separation` are of the answers and scores below."""
    rounds = np.unique(np.round(np.logspace(0, 16 * np.log10(2), 65))).astype(int)
    with jax.enable_x64(True):
        plans = {
            name: dt.verifier_order(np.array(weights), concentration, *rates, LENGTH)
            for name, rates in VERIFIERS.items()
        }
        # From its first -1 on more rollouts hurt.
        lengths = {
            name: np.asarray(
                dt.verifier_order(
                    np.array(weights), concentration, *rates, SHOWN, penalty=np.array(PENALTIES)
                ).order
                >= 0
            ).sum(-1)
            for name, rates in VERIFIERS.items()
        }
        best = {
            name: np.asarray(
                dt.best_of_n_accuracy(
                    [chance], None, rounds[:, None], separation, wrong_scale=spread
                )
            )
            for name, spread in SPREADS.items()
        }
    rows = []
    with panels(out / "verifiers", 2, height=2.6) as (above, below):
        n = np.arange(1, SHOWN + 1)
        for (name, plan), color in zip(plans.items(), ORDER, strict=False):
            right, wrong = (np.asarray(x) for x in (plan.right, plan.wrong))
            above.plot(n, right[:SHOWN], color=color, label=name)
            precision = right / (right + wrong)
            above.plot(n, precision[:SHOWN], color=color, linestyle="--")
            above.axhline(right[-1], color=color, linestyle=":", linewidth=0.8)
            cells = [right[i - 1] for i in (1, 4, 16, 64, LENGTH)]
            rows.append(row("Verifier", f"{name}: right at N = 1, 4, 16, 64, 2048", None, cells, 3))
            cells = [wrong[i - 1] for i in (1, 4, 16, 64, LENGTH)]
            rows.append(row("Verifier", f"{name}: wrong at N = 1, 4, 16, 64, 2048", None, cells, 3))
            what = f"{name}: best N at λ = 1/4, 1, 4 (at most 256)"
            rows.append(row("Verifier", what, None, lengths[name], 0))
        above.set(xscale="log", ylim=(0.2, 1.02), xlabel="rollouts N", ylabel="P(right), precision")
        for text, line in (("P(right)", "-"), ("precision", "--"), ("ceiling", ":")):
            above.plot([], [], color=BLACK, linestyle=line, label=text)
        above.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
        for (name, y), color in zip(best.items(), ORDER, strict=False):
            below.plot(rounds, y, color=color, label=name)
            top = int(rounds[y.argmax()])
            rows.append(row("Best of N", f"{name}: highest, at N", None, [float(y.max()), top], 3))
        below.set(xscale="log", ylim=(0.15, 1.02), xlabel="rollouts N", ylabel="P(best is right)")
        below.legend(loc="upper left")
    return rows


if __name__ == "__main__":
    run(main, __doc__)
