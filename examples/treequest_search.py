"""treequest's breadth-first search with DORA's shares: pip install 'dora-theory[adapters]'."""

from scripted import STEPS, Scripted, embed, shares

from dora_theory.adapters.rules import allocator
from dora_theory.adapters.treequest import allocating_bfs

BUDGET = 12


def main() -> None:
    """Grows a tree, depth by depth."""
    policy = Scripted()

    def generate(state: str | None) -> tuple[str, float]:
        text = (state or "") + policy.step(state or "") + "\n\n"
        return text, policy.score(text)

    algorithm = allocating_bfs(allocator("dora", embed=embed), budget=BUDGET)
    state = algorithm.init_tree()
    for depth in range(STEPS):
        for _ in range(BUDGET):
            state = algorithm.step(state, {"go on": generate})
        nodes = state.tree.get_nodes()
        deepest = max(node.depth for node in nodes)
        print(f"depth {depth + 1}: {shares([n.state for n in nodes if n.depth == deepest])}")


if __name__ == "__main__":
    main()
