"""search-and-learn's beam search with DORA in place of its best N/M.

Its `Beam` is a dataclass of its repository, which is no package; here is one with the fields that
the adapter looks at.
"""

from dataclasses import dataclass, field

from scripted import STEPS, Scripted, embed, shares

from dora_theory.adapters.lines import resample_beams
from dora_theory.adapters.rules import allocator

BUDGET = 12


@dataclass
class Beam:
    """One beam."""

    current_text: str = ""
    all_scores: list[float] = field(default_factory=list)
    completed: bool = False
    pruned: bool = False


def main() -> None:
    """Three steps of a search."""
    policy, rule = Scripted(), allocator("dora", embed=embed)
    beams = [Beam() for _ in range(BUDGET)]
    for step in range(STEPS):
        for beam in beams:
            beam.current_text += policy.step(beam.current_text) + "\n\n"
            beam.all_scores.append(policy.score(beam.current_text))
        before = shares([beam.current_text for beam in beams])
        beams = resample_beams(beams, BUDGET, rule)
        print(f"step {step + 1}: {before} → {shares([beam.current_text for beam in beams])}")


if __name__ == "__main__":
    main()
