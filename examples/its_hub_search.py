"""A scaling algorithm of its_hub that runs DORA: pip install 'dora-theory[adapters]'."""

from typing import Any

from its_hub.api import AbstractLanguageModel, AbstractProcessRewardModel
from its_hub.core.lms.step_generation import StepGeneration
from scripted import Scripted, embed, shares

from dora_theory.adapters.its_hub import resampling_search
from dora_theory.adapters.rules import allocator

BUDGET = 12


class Policy(AbstractLanguageModel):
    """The scripted policy as a language model of its_hub."""

    def __init__(self) -> None:
        """Makes one."""
        self._policy = Scripted()

    async def agenerate(self, messages: Any, stop: Any = None, **options: Any) -> list[dict]:
        """A step for each conversation."""
        said = [m[-1].content if m[-1].role == "assistant" else "" for m in messages]
        return [{"role": "assistant", "content": self._policy.step(text)} for text in said]


class Reward(AbstractProcessRewardModel):
    """The scripted scores as a reward model of its_hub."""

    def score(self, prompt_or_messages: Any, steps: list[str]) -> list[float]:
        """A score for each text."""
        return [Scripted().score(text) for text in steps]

    async def ascore(self, prompt_or_messages: Any, steps: list[str]) -> list[float]:
        """The same."""
        return self.score(prompt_or_messages, steps)


def main() -> None:
    """One search."""
    steps = StepGeneration(max_steps=5, step_token="\n\n", stop_token="END")
    search = resampling_search(steps, Reward(), allocator("dora", embed=embed))
    found = search.infer(Policy(), "What is 2 + 2?", budget=BUDGET, return_response_only=False)
    print(f"{len(found.responses)} responses: {shares([r['content'] for r in found.responses])}")
    print(f"chosen: {found.the_one['content'].split()[0]}")


if __name__ == "__main__":
    main()
