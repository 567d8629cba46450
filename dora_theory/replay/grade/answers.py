"""Which solutions of a problem give the same answer, and so vote for it together."""

import numpy as np
from jaxtyping import Int

from dora_theory.replay.grade.answer_text import normalized
from dora_theory.replay.grade.final_answers import final_answer
from dora_theory.replay.read.record import Sample

NONE, RIGHT = -1, 0


def answer_labels(samples: tuple[Sample, ...]) -> Int[np.ndarray, " k"]:
    """Which samples vote for the same answer.

    Args:
        samples: judged; where the log has no final answer, `final_answer` reads it.

    Returns:
        Shape `(k,)`: `RIGHT` for every right one, `NONE` for a wrong one without an answer, which
        does not vote, and a number of its own for each wrong answer.
    """
    numbers: dict[str, int] = {}
    labels = []
    for sample in samples:
        if sample.correct:
            labels.append(RIGHT)
        else:
            answer = sample.final_answer or final_answer(sample.text)
            new = len(numbers) + 1
            labels.append(numbers.setdefault(normalized(answer), new) if answer else NONE)
    return np.array(labels)
