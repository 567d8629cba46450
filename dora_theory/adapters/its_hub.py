"""A scaling algorithm of `its_hub` whose beams are resampled by a rule of this package."""

import copy
from typing import Any

import numpy as np

from dora_theory.adapters.rules import Allocate, checked_rollouts


def resampling_search(step_generation: Any, reward_model: Any, allocate: Allocate) -> Any:
    """Beam search of `its_hub` with an allocation in place of its best beams.

    All of the budget's beams take a step and are scored; then the beams that go on are copied as
    the rule says, so that each step spends what is left of the budget. Stopped beams stay.

    Args:
        step_generation: `its_hub`'s `StepGeneration`.
        reward_model: an `AbstractProcessRewardModel`.
        allocate: of `dora_theory.adapters.rules.allocator`, which is given the texts so far.

    Returns:
        An `AbstractScalingAlgorithm`: `infer(lm, prompt, budget)` as all of them; a budget is a
        number of beams.

    Raises:
        ImportError: `its_hub` is not installed.
    """
    from its_hub.api import ChatMessages
    from its_hub.core.algorithms.beam_search import BeamSearch, BeamSearchResult, Path

    class ResamplingSearch(BeamSearch):
        """See `resampling_search`."""

        async def ainfer(
            self,
            lm: Any,
            prompt_or_messages: Any,
            budget: int,
            return_response_only: bool = True,
            tools: list[dict] | None = None,
            tool_choice: str | dict | None = None,
        ) -> Any:
            """The response of the highest score, or all beams with `return_response_only=False`."""
            if budget < 1:
                raise ValueError(f"budget = {budget}: needs at least one beam")
            prompt = ChatMessages.from_prompt_or_messages(prompt_or_messages).to_prompt()
            beams = [Path(steps=[], is_stopped=False, score=0) for _ in range(budget)]
            while not all(beam.is_stopped for beam in beams):
                beams = await self._asearch_one_level(
                    lm, beams, prompt, tools=tools, tool_choice=tool_choice
                )
                beams = self._resampled(beams)
            scores = [beam.score for beam in beams]
            found = BeamSearchResult(
                responses=[
                    {"role": "assistant", "content": self.sg._post_process(b.steps, stopped=True)}
                    for b in beams
                ],
                scores=scores,
                selected_index=int(np.argmax(scores)),
                steps_used=[len(beam.steps) for beam in beams],
            )
            return found.the_one if return_response_only else found

        def _resampled(self, beams: list[Any]) -> list[Any]:
            done = [beam for beam in beams if beam.is_stopped]
            going = [beam for beam in beams if not beam.is_stopped]
            if not going:
                return done
            texts = [self.sg._post_process(beam.steps, stopped=True) for beam in going]
            given = allocate([beam.score for beam in going], texts, len(going))
            rollouts = checked_rollouts(given, len(going), len(going))
            pairs = zip(going, rollouts, strict=True)
            return done + [copy.deepcopy(beam) for beam, count in pairs for _ in range(count)]

    return ResamplingSearch(step_generation, reward_model, beam_width=1)
