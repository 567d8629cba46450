"""REBASE's tree with DORA's widths: how many children each node of a depth gets.

Its nodes are objects of its repository, which is no package; these have what the adapter looks at.
"""

from dataclasses import dataclass

from scripted import STEPS, Scripted, embed, shares

from dora_theory.adapters.lines import set_widths
from dora_theory.adapters.rules import allocator

BUDGET = 12


@dataclass
class Node:
    """A node of the tree; `width` is set by the rule."""

    text: str
    score: float
    width: int = 0


def main() -> None:
    """Three depths of a tree."""
    policy, rule = Scripted(), allocator("dora", embed=embed)
    texts = [""] * BUDGET
    for depth in range(STEPS):
        grown = [text + policy.step(text) + "\n\n" for text in texts]
        nodes = [Node(text, policy.score(text)) for text in grown]
        widths = set_widths(nodes, BUDGET, rule)
        texts = [node.text for node in nodes for _ in range(node.width)]
        print(f"depth {depth + 1}: widths {widths}, {shares(grown)} → {shares(texts)}")


if __name__ == "__main__":
    main()
