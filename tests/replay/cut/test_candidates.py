"""Cutting solutions into candidates."""

import numpy as np
import pytest

from dora_theory._errors import InputError
from dora_theory.replay.cut.candidates import candidates, steps_of
from dora_theory.replay.cut.encoders import make_encoder
from dora_theory.replay.read.record import Record, Sample


def record(*samples):
    return Record("log:3", "p", "1 + 1?", "2", tuple(samples))


def sample(text, correct=True, scores=(0.5,)):
    return Sample(text, correct=correct, step_scores=scores)


def test_steps():
    assert steps_of("a\nb\n\nc\n \n\n\td\n\n") == ["a\nb", "c", "d"]
    assert steps_of("a\nb\n\nc", "line") == ["a", "b", "c"]
    assert steps_of(" \n\n ") == []


def test_prefixes_scores_and_directions():
    made = candidates(
        record(
            sample("use apples\n\nthen pears\n\nso 2", True, (0.1, 0.2, 0.9)),
            sample("draw circles\n\nround circles\n\nso 3", False, (0.3, 0.4, 0.8)),
            sample("use apples\n\nthen pears\n\nhence 7", False, (0.5, 0.6, 0.7)),
            sample("guess", True, (0.7,)),
        ),
        make_encoder(),
        steps=2,
    )
    assert made.scores.tolist() == [0.2, 0.4, 0.6, 0.7]
    assert made.directions.tolist() == [0, 1, 0, 2]
    assert made.correct.tolist() == [True, False, False, True]
    assert made.finished.tolist() == [False, False, False, True]
    assert made.scored
    np.testing.assert_allclose(np.linalg.norm(made.embeddings, axis=-1), 1)
    np.testing.assert_allclose(made.embeddings[0] @ made.embeddings[2], 1)


def test_outcomes_do_not_reach_what_strategies_see():
    def seen(ending, correct):
        made = candidates(
            record(
                *(sample(f"step {i % 3}\n\nsecond {i % 2}\n\n{ending}", correct) for i in range(6))
            ),
            make_encoder(),
        )
        return made.scores, made.embeddings, made.directions

    for one, other in zip(seen("so 2", True), seen("no way, 3", False), strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_scores_all_are_equal():
    made = candidates(record(sample("a", scores=None), sample("b", scores=None)), make_encoder())
    assert made.scores.tolist() == [0.5, 0.5]
    assert not made.scored


def test_bad_scores():
    with pytest.raises(InputError, match="log:3: step_scores: sample 1 has none, others have"):
        candidates(record(sample("a"), sample("b", scores=None)), make_encoder())
    votes = record(sample("a", scores=(60.0,)))
    with pytest.raises(InputError, match=r"log:3: step_scores: 60 of sample 0 .*--score-scale"):
        candidates(votes, make_encoder())
    with pytest.raises(InputError, match=r"60 / 30 of sample 0"):
        candidates(votes, make_encoder(), score_scale=30)
    assert candidates(votes, make_encoder(), score_scale=80).scores.tolist() == [0.75]
