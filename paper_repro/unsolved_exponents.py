"""How fast the unsolved share falls, with and without looking.

For p ~ Beta(a, b), a < 1, the share left by n rollouts per problem falls as n to the power minus
this exponent: a without looking or knowing, a + a² + … + a^R in R rounds, a/(1 - a) for who looks
at every outcome, or knows every p. Below, what the two leave to be gained: rollouts, for the same
share, of who knows and does not look, and of who looks and does not know, over those of who does
both. Above a = 0.2138 looking is worth more than knowing (theory 7.4).
"""

from pathlib import Path

import jax
import numpy as np
from scipy import optimize

import dora_theory as dt
from paper_repro.drawing import BLACK, GRAY, ORDER, mark, panels
from paper_repro.script import Row, row, run

ALPHA = np.linspace(0.02, 0.8, 200)


def crossing() -> float:
    """Where not looking and not knowing cost the same."""
    return float(
        optimize.brentq(
            lambda a: float(dt.price_of_not_looking(a) - dt.price_of_not_knowing(a)), 0.1, 0.4
        )
    )


def main(out: Path) -> list[Row]:
    with jax.enable_x64(True):
        at = crossing()
        looking, knowing = (
            np.asarray(f(ALPHA)) for f in (dt.price_of_not_looking, dt.price_of_not_knowing)
        )
    rounds = {r: np.array([dt.rounds_exponent(a, r) for a in ALPHA]) for r in (2, 4)}
    with panels(out / "unsolved_exponents", 2, height=2.1) as (above, below):
        above.plot(ALPHA, ALPHA / (1 - ALPHA), color=BLACK, label="looking, or knowing p")
        for (r, y), color in zip(rounds.items(), ORDER[1:], strict=False):
            above.plot(ALPHA, y, "--", color=color, label=f"{r} rounds")
        above.plot(ALPHA, ALPHA, color=GRAY, label="neither")
        above.set(ylabel="exponent of the unsolved", ylim=(0, 2), xlim=(0, 0.8))
        above.legend(loc="upper left")
        below.plot(ALPHA, looking, color=ORDER[0], label="knowing without looking")
        below.plot(ALPHA, knowing, color=ORDER[1], label="looking without knowing")
        below.set(
            ylabel="rollouts over those\nof who does both", yscale="log", ylim=(1, 30),
            xlim=(0, 0.8), xlabel="a",
        )  # fmt: skip
        below.set_yticks([1, 2, 4, 10, 20], ["1", "2", "4", "10", "20"])
        below.minorticks_off()
        mark(below, at, f"a* = {at:.4f}", y=0.1)
        below.legend(loc="upper right")
    name = "Exponents"
    return [
        row(name, "a* where looking and knowing are worth the same", None, at, 5),
        row(name, "a = 1/2: exponent of 1, 2, 4 rounds and of looking", None,
            [0.5, dt.rounds_exponent(0.5, 2), dt.rounds_exponent(0.5, 4), 1.0], 4),
        row(name, "a = 1/2: rollouts without looking, without knowing", None,
            [float(dt.price_of_not_looking(0.5)), float(dt.price_of_not_knowing(0.5))], 4),
    ]  # fmt: skip


if __name__ == "__main__":
    run(main, __doc__)
