"""Adapters inside the packages they are for, and on the objects of those that are none."""

import dataclasses
import random

import numpy as np
import pytest

from dora_theory.adapters.lines import resample_beams, set_widths
from dora_theory.adapters.rules import allocator

IDEAS = {"count": [1, 0, 0], "split": [0, 1, 0], "guess": [0, 0, 1]}
VALUE = {"count": 0.9, "split": 0.8, "guess": 0.2}


def embed(texts):
    return np.array([IDEAS[text.split()[0]] for text in texts], float)


DORA = allocator("dora", embed=embed, quality_temperature=1.0)
REBASE = allocator("rebase")


@dataclasses.dataclass
class Beam:
    """The fields of search-and-learn's that count."""

    current_text: str
    all_scores: list[float]
    completed: bool = False
    pruned: bool = False
    history: list[str] = dataclasses.field(default_factory=list)


def test_search_and_learn_s_beams():
    beams = [Beam("count a", [0.2, 0.9]) for _ in range(3)] + [Beam("split b", [0.9, 0.9])]
    beams += [Beam("guess c", [0.1], completed=True), Beam("guess d", [0.1], pruned=True)]
    kept = resample_beams(beams, 12, DORA)
    assert [b.current_text for b in kept].count("split b") == 6
    assert len(kept) == 12
    assert len({id(b) for b in kept}) == 12
    kept[0].history.append("x")
    assert not kept[1].history
    beams = [Beam("count", [0.9]), Beam("guess", [0.1])]
    assert resample_beams(beams, 2, REBASE)[0] is beams[0]
    assert beams[1].pruned
    with pytest.raises(ValueError, match="completed or pruned"):
        resample_beams([Beam("count", [0.1], completed=True)], 2, REBASE)


@dataclasses.dataclass
class Node:
    text: str
    score: float
    width: int = 0


def test_rebase_s_nodes():
    nodes = [Node("count a", 0.9), Node("count b", 0.9), Node("split a", 0.9)]
    assert set_widths(nodes, 8, DORA) == [2, 2, 4]
    assert [n.width for n in nodes] == [2, 2, 4]
    assert set_widths(nodes, 9, REBASE) == [3, 3, 3]
    with pytest.raises(ValueError, match="there is none"):
        set_widths([], 3, REBASE)


def test_a_rule_that_breaks_the_budget_is_refused():
    with pytest.raises(ValueError, match="needs 1 integers ≥ 0 with sum 3"):
        set_widths([Node("count", 0.9)], 3, lambda scores, texts, n: [2])
    with pytest.raises(ValueError, match="needs vectors"):
        allocator("dora")
    with pytest.raises(ValueError, match="'best'"):
        allocator("best")
    assert allocator("optimal")([0.9, 0.1], ["a", "b"], 4).sum() == 4


def test_a_search_of_its_hub_with_a_policy_of_a_few_lines():
    pytest.importorskip("its_hub")
    from its_hub.api import AbstractLanguageModel, AbstractProcessRewardModel
    from its_hub.core.lms.step_generation import StepGeneration

    from dora_theory.adapters.its_hub import resampling_search

    generator, lengths = random.Random(0), []

    class Policy(AbstractLanguageModel):
        """Begins with an idea and goes on for two steps."""

        async def agenerate(self, messages, stop=None, **options):
            lengths.append(len(messages))
            return [{"role": "assistant", "content": self._next(m)} for m in messages]

        def _next(self, messages):
            said = messages[-1].content if messages[-1].role == "assistant" else ""
            if not said:
                return generator.choice(sorted(IDEAS))
            return "END" if said.count("\n\n") > 1 else said.split()[0] + " on"

    class Reward(AbstractProcessRewardModel):
        def score(self, prompt_or_messages, steps):
            return [VALUE[text.split()[0]] for text in steps]

        async def ascore(self, prompt_or_messages, steps):
            return self.score(prompt_or_messages, steps)

    steps = StepGeneration(max_steps=5, step_token="\n\n", stop_token="END")
    seen = []

    def watched(scores, texts, budget):
        given = DORA(scores, texts, budget)
        seen.append(dict.fromkeys(IDEAS, 0))
        for text, count in zip(texts, given, strict=True):
            seen[-1][text.split()[0]] += int(count)
        return given

    search = resampling_search(steps, Reward(), watched)
    found = search.infer(Policy(), "What is 2 + 2?", budget=12, return_response_only=False)
    assert len(found.responses) == 12
    assert found.the_one["content"].startswith("count")
    # Each of the three ideas has its share, however many beams began with it.
    assert sum(seen[0].values()) == 12
    assert seen[0]["count"] > seen[0]["guess"]
    assert max(lengths) == 12
    with pytest.raises(ValueError, match="budget = 0"):
        search.infer(Policy(), "What?", budget=0)


def test_a_tree_of_treequest():
    treequest = pytest.importorskip("treequest")

    from dora_theory.adapters.treequest import allocating_bfs

    seen = []

    def halves(scores, texts, budget):
        """Half of the budget for each of the first and the last."""
        seen.append(dict(zip(texts, scores, strict=True)))
        return [budget // 2, *[0] * (len(scores) - 2), budget - budget // 2]

    algorithm = allocating_bfs(halves, budget=8)
    order = iter([*["count"] * 5, *["split"] * 2, "guess"])

    def generate(state):
        idea = next(order) if state is None else state.split()[0]
        return f"{idea} {'' if state is None else state}".strip(), VALUE[idea]

    state = algorithm.init_tree()
    for _ in range(16):
        state = algorithm.step(state, {"go": generate})
    assert seen == [VALUE]
    deepest = max(node.depth for node in state.tree.get_nodes())
    level = [node.state for node in state.tree.get_nodes() if node.depth == deepest]
    assert level == ["count count"] * 4 + ["guess guess"] * 4
    assert isinstance(algorithm, treequest.Algorithm)
    state, trials = algorithm.ask_batch(state, 8, ["go"])
    assert len(trials) == 8
    with pytest.raises(ValueError, match="budget = 0"):
        allocating_bfs(halves, budget=0)
