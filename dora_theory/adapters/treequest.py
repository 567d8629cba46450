"""A tree search of `treequest` whose batches are shared out by a rule of this package."""

from collections.abc import Callable
from typing import Any

from dora_theory.adapters.rules import Allocate, checked_rollouts


def allocating_bfs(
    allocate: Allocate, *, budget: int, text: Callable[[Any], Any] = lambda state: state
) -> Any:
    """Breadth-first search of `treequest`, a drop-in for its `TreeOfThoughtsBFSAlgo`.

    Where that expands the b best leaves of the deepest level by equal parts, this one shares
    `budget` expansions out over all leaves of the level.

    Args:
        allocate: of `dora_theory.adapters.rules.allocator`.
        budget: N, expansions of a level; of several actions each gets an equal share, as far as it
            goes, the first ones one more.
        text: of a node's state, for a rule that needs embeddings.

    Returns:
        An `Algorithm`: `step`, `ask_batch` and `tell` as all of them.

    Raises:
        ImportError: `treequest` is not installed.
        ValueError: budget < 1.
    """
    from treequest import TreeOfThoughtsBFSAlgo

    if budget < 1:
        raise ValueError(f"budget = {budget}: needs at least 1")

    class AllocatingBFS(TreeOfThoughtsBFSAlgo):
        """See `allocating_bfs`."""

        def _next_nodes_and_actions(self, state: Any, actions: list[str]) -> list[tuple[Any, str]]:
            leaves = [n for n in state.tree.get_nodes() if not n.children and n != state.tree.root]
            state.current_depth = max(node.depth for node in leaves)
            level = [node for node in leaves if node.depth == state.current_depth]
            texts = [text(node.state) for node in level]
            given = allocate([node.score for node in level], texts, budget)
            rollouts = checked_rollouts(given, len(level), budget)
            return [
                (node, actions[i % len(actions)])
                for node, count in zip(level, rollouts, strict=True)
                for i in range(count)
            ]

        def ask_batch(
            self, state: Any, batch_size: int, actions: list[str]
        ) -> tuple[Any, list[Any]]:
            """As theirs; the root is expanded `budget` times at once."""
            if state.trial_store.is_queue_empty() and not state.tree.root.children:
                root = state.tree.root
                queued = [(root, actions[i % len(actions)]) for i in range(budget)]
                state.trial_store.fill_nodes_queue(queued)
            return super().ask_batch(state, batch_size, actions)

    return AllocatingBFS(breadth_limit=budget, size_limit=budget)
