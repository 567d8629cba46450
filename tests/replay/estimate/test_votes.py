"""Votes under resampling against all possible draws, one by one."""

from itertools import combinations, product

import numpy as np
import pytest

from dora_theory.cli.main import main
from dora_theory.replay.estimate.policies import Batch
from dora_theory.replay.estimate.votes import voted
from dora_theory.replay.grade.answers import NONE, RIGHT, answer_labels
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.read.record import Sample
from dora_theory.replay.run import replay
from dora_theory.replay.synthetic import write_synthetic_log

# One problem with two directions and padding, one with a single direction.
DIRECTIONS = np.array([[0, 0, 0, 1, 1, 1, 0], [0] * 7])
ANSWERS = np.array([[0, 1, 1, 2, 0, NONE, NONE], [0, 0, 1, 1, 1, 2, 3]])
FINAL = np.array([[0.9, 0.2, 0.3, 0.8, 0.5, 1.0, 0.0], [0.2, 0.3, 0.5, 0.1, 0.1, 0.9, 0.4]])
MASK = np.array([[True] * 6 + [False], [True] * 7])
BATCH = Batch(
    FINAL, np.ones((2, 7, 1)), DIRECTIONS, ANSWERS == RIGHT, MASK, 2, ANSWERS, FINAL, (0, 1)
)  # fmt: skip


def exact(problem, totals, weights):
    """The mean over every way to draw so many of each direction."""
    pools = [np.flatnonzero((DIRECTIONS[problem] == j) & MASK[problem]) for j in range(2)]
    draws = list(product(*(combinations(p, b) for p, b in zip(pools, totals, strict=True))))
    won = []
    for draw in draws:
        sums = {}
        for i in sum(draw, ()):
            if ANSWERS[problem, i] != NONE:
                sums[ANSWERS[problem, i]] = sums.get(ANSWERS[problem, i], 0) + weights[problem, i]
        top = [a for a, x in sums.items() if x > max(sums.values()) - 1e-9]
        won.append((RIGHT in top) / len(top) if top else 0)
    return np.mean(won)


@pytest.mark.parametrize("totals", [(1, 0), (2, 1), (3, 3), (1, 2), (0, 1)])
def test_the_mean_over_all_draws(totals):
    allocation = np.zeros((2, 7), dtype=int)
    # How a direction's rollouts are spread over its candidates makes no difference.
    allocation[0, [1, 4]] = totals
    allocation[1, [0, 6]] = totals
    found = voted(allocation[None], BATCH, draws=1000)
    for problem, counts in ((0, totals), (1, (sum(totals), 0))):
        for votes, weights in ((found.majority, np.ones_like(FINAL)), (found.weighted, FINAL)):
            assert votes[0, problem] == pytest.approx(exact(problem, counts, weights), abs=0.065)


def test_answers():
    samples = (
        Sample("", final_answer="2", correct=True),
        Sample("", final_answer="3", correct=False),
        Sample(r"so \boxed{ 3. }", correct=False),
        Sample("no idea", correct=False),
        Sample("so 4/2", correct=True),
        Sample("", final_answer="4", correct=False),
    )
    assert answer_labels(samples).tolist() == [RIGHT, 1, 1, NONE, RIGHT, 2]


@pytest.mark.slow
def test_command_line(tmp_path, capsysbinary):
    log = str(tmp_path / "log.jsonl")
    write_synthetic_log(log, problems=40)
    page = tmp_path / "out"
    options = ["--budgets", "2,32", "--strategies", "rebase,dora", "--votes", "8"]
    assert main(["replay", log, *options, "--report", str(page)]) == 0
    out = capsysbinary.readouterr().out.decode()
    assert "Accuracy of the answer voted for, weighted" in out
    assert "voted for, majority" in (page / "report.html").read_text(encoding="utf-8")


def test_without_wrong_answers_there_is_no_vote(tmp_path):
    log = tmp_path / "log.jsonl"
    unanswered = '{"problem": "p", "samples": [{"text": "no idea", "correct": false}]}\n'
    log.write_text(unanswered)
    options = ReplayOptions(budgets=(1,), strategies=("temperature",), votes=2)
    found = replay(str(log), options)
    assert found.votes is None
    assert any("nothing can be voted on" in note for note in found.notes)
