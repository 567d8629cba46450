"""Whole replays: the truth of made-up logs is found, and what the log cannot say is not said."""

import gzip
import json
from dataclasses import replace
from math import comb

import numpy as np
import pytest

import dora_theory as dt
from dora_theory._errors import InputError
from dora_theory.replay.cut.candidates import candidates
from dora_theory.replay.cut.encoders import make_encoder
from dora_theory.replay.cut.order import in_order
from dora_theory.replay.estimate import grouping
from dora_theory.replay.estimate.policies import allocate, pad
from dora_theory.replay.grade.correctness import Judge
from dora_theory.replay.grade.grading import judged
from dora_theory.replay.options import REPLAYED, ReplayOptions
from dora_theory.replay.read.readers import read_log
from dora_theory.replay.read.record import Record, Sample
from dora_theory.replay.report.conclusion import conclusion
from dora_theory.replay.report.summary import summary
from dora_theory.replay.run import replay
from dora_theory.replay.synthetic import write_synthetic_log
from dora_theory.strategies.registry import STRATEGIES

pytestmark = pytest.mark.slow

NODE = {"step": 0, "parent": -1, "line": "a", "value": 0}
BUDGETS = (2, 4, 8, 64)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("logs") / "log.jsonl.gz")
    return path, write_synthetic_log(path, problems=300, samples=16, concentration=2.0)


@pytest.fixture(scope="module")
def result(log):
    return replay(log[0], ReplayOptions(budgets=BUDGETS, strategies=REPLAYED))


def test_the_truth_is_found(float64, log, result):
    """Where the log suffices the mean error is noise; elsewhere the truth is within the bounds."""
    path, truths = log
    encoder = make_encoder()
    problems = [candidates(record, encoder) for record in read_log(path)]
    # Of the shape that the replay itself has used, so that nothing is compiled twice.
    batch = pad(problems + problems[:1] * 212, at_least=(16, 16, 8))
    chance = np.zeros((512, batch.num_directions))
    for i, truth in enumerate(truths):
        chance[i, : len(truth.success)] = truth.success
    for s, name in enumerate(REPLAYED):
        given = np.asarray(allocate(STRATEGIES[name], batch, ReplayOptions(budgets=BUDGETS)))
        totals = np.zeros((*given.shape[:2], batch.num_directions))
        for j in range(batch.num_directions):
            totals[..., j] = (given * (batch.directions == j) * batch.mask).sum(-1)
        truth = 1 - np.prod((1 - chance) ** totals, axis=-1)[:, :300]
        for b in range(len(BUDGETS)):
            sure = ~result.clipped[s, b]
            error = (result.lower[s, b] - truth[b])[sure]
            if sure.sum() >= 30:
                assert abs(error.mean()) < 4 * error.std() / len(error) ** 0.5, (name, b)
            error = (result.lower[s, b] - truth[b])[~sure]
            if len(error):
                assert error.mean() < 4 * error.std() / len(error) ** 0.5, (name, b)
    assert (~result.clipped[:, 0]).mean() > 0.7


def test_a_budget_of_tokens_buys_the_rollouts_that_the_lengths_of_the_log_say(tmp_path):
    path, options = str(tmp_path / "log.jsonl"), {"budgets": (300, 900), "by_cost": True}
    write_synthetic_log(path, problems=12, samples=6, concentration=2.0)
    strategies = "temperature", "rebase", "optimal"
    found = replay(path, ReplayOptions(strategies=strategies, **options))
    encoder, seen = make_encoder(), []
    for i, record in enumerate(read_log(path)):
        record = in_order(record)
        problem = candidates(record, encoder, costs=True)
        tokens = np.array([s.tokens for s in record.samples])
        rate = tokens.sum() / sum(len(s.text) for s in record.samples)
        for j, sample in enumerate(record.samples):
            rest = tokens - rate * len("\n\n".join(sample.text.split("\n\n")[:2]))
            assert problem.costs[j] == pytest.approx(rest[rest > 0].mean())
        # Temperature: one each in turn, and whichever they are, N of all that was logged.
        for b, budget in enumerate(options["budgets"]):
            n, spent = 0, 0.0
            while (spent := spent + problem.costs[n % 6]) <= budget:
                n += 1
            assert found.clipped[0, b, i] == (n > 6)
            if n <= 6:
                right = int(problem.correct.sum())
                failure = comb(6 - right, n) / comb(6, n)
                assert found.lower[0, b, i] == pytest.approx(1 - failure, abs=1e-9)
            seen.append(n)
    assert len(set(seen)) > 3
    # As many as are paid for, spent as that many are.
    other = replay(path, ReplayOptions(strategies=("rebase",), budgets=tuple(range(1, 7))))
    assert (found.lower[1, 0] == other.lower[0]).any(0).all()
    document = summary(found)
    assert "Budgets are tokens" in document["caveat"]
    assert "further tokens" in conclusion(document)[-1]
    with open(path, encoding="utf-8") as file:
        lines = list(map(json.loads, file))
    del lines[1]["samples"][2]["completion_tokens"]
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    with pytest.raises(InputError, match=r":2: samples\[\d\].completion_tokens: missing"):
        replay(path, ReplayOptions(**options))


def test_shapes_and_bounds(result):
    assert result.lower.shape == (len(REPLAYED), 4, 300)
    assert result.samples == 4800
    assert (result.lower >= 0).all()
    assert (result.lower <= result.upper).all()
    assert (result.upper[result.clipped] == 1).all()
    assert result.clipped[:, 3].all()
    assert any("a budget of 64 is more" in note for note in result.notes)


def test_summary(result):
    document = json.loads(json.dumps(summary(result), allow_nan=False))
    assert (document["problems"], document["samples"]) == (300, 4800)
    assert list(document["strategies"]) == list(REPLAYED)
    for i, name in enumerate(REPLAYED):
        for j, budget in enumerate(BUDGETS):
            cell = document["strategies"][name]["budget"][str(budget)]
            assert cell["success"] == pytest.approx(result.lower[i, j].mean())
            assert cell["low"] < cell["success"] < cell["high"]
            assert cell["clipped"] == pytest.approx(result.clipped[i, j].mean())
    assert list(document["paired"]) == [f"{n}-rebase" for n in REPLAYED if n != "rebase"]
    base = REPLAYED.index("rebase")
    cell = document["paired"]["beam-rebase"]["budget"]["4"]
    sure = ~(result.clipped[1, 1] | result.clipped[base, 1])
    gain = (result.lower[1, 1] - result.lower[base, 1])[sure]
    assert cell["problems"] == sure.sum()
    assert cell["difference"] == pytest.approx(gain.mean())
    assert cell["lowest"] <= cell["highest"]
    # At κ = 1/2 the optimum is REBASE (theory 3.3).
    optimal = document["paired"]["optimal-rebase"]["budget"]["8"]
    unseen = 1 - 0.025 ** (1 / optimal["problems"])
    assert optimal["difference"] == 0
    assert (optimal["low"], optimal["high"]) == pytest.approx((-unseen, unseen))
    unknown = document["paired"]["dora-rebase"]["budget"]["64"]
    assert (unknown["difference"], unknown["problems"]) == (None, 0)


def test_formats_judge_alike_and_seeds_matter_little(tmp_path, log):
    path, other = str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")
    write_synthetic_log(path, problems=12)
    write_synthetic_log(other, problems=12, log_format="search-and-learn")
    pytest.importorskip("math_verify")
    options = ReplayOptions(budgets=(2, 4), strategies=("rebase", "dora"))
    one, two = replay(path, options), replay(other, options)
    np.testing.assert_array_equal(one.lower, two.lower)
    assert summary(one)["strategies"] == summary(two)["strategies"]
    seeded = ReplayOptions(budgets=(2, 4), strategies=("rebase", "dora"), seed=1)
    moved = summary(replay(path, seeded))
    cells = [d["strategies"]["dora"]["budget"]["2"] for d in (summary(one), moved)]
    assert cells[0]["success"] == cells[1]["success"]
    assert cells[0]["low"] != cells[1]["low"]


def test_ragged_and_unscored(tmp_path):
    rows = [
        {
            "problem_id": str(i),
            "problem": f"topic{i}",
            "gold_answer": "1",
            "samples": [
                {"text": f"topic{i} a{j}\n\nb{j}\n\nc", "correct": j == 0} for j in range(i + 1)
            ],
        }
        for i in range(4)
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = replay(str(path), ReplayOptions(budgets=(1,), strategies=("temperature",)))
    # One rollout to any candidate, one of which is right.
    assert result.lower[0, 0] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])
    assert any("4 problems have no scores" in note for note in result.notes)
    assert summary(result)["paired"] == {}


def test_judged():
    def record(*samples, gold="2"):
        return Record("log:3", "p", "1 + 1?", gold, samples)

    with Judge() as judge:
        logged = record(Sample("a", correct=True), Sample("b", correct=False))
        assert judged(logged, judge) is logged
        texts = (r"so \boxed{2}", r"so \boxed{ 2. }", "so 2")
        made = judged(record(*map(Sample, texts)), judge)
        assert [s.correct for s in made.samples] == [True, True, False]
        assert [s.final_answer for s in made.samples] == ["2", "2.", None]
        with pytest.raises(InputError, match="log:3: gold_answer: missing"):
            judged(record(Sample("a"), gold=None), judge)


def test_trees_do_not_mix_with_solutions(tmp_path):
    path = tmp_path / "log.jsonl"
    tree = {"problem": "p", "tree_nodes": [NODE]}
    plain = {"problem": "p", "samples": [{"text": "a", "correct": True}]}
    for rows, message in (
        ([plain, tree], "log.jsonl:2: tree_nodes: a tree among solutions"),
        ([tree, plain], "log.jsonl:2: tree_nodes: missing, records before it have some"),
        ([tree], "log.jsonl: tree_nodes: nowhere can some nodes be solved"),
    ):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        with pytest.raises(InputError, match=message):
            replay(str(path))


def test_groups_change_nothing(log, result, monkeypatch):
    """A log that is estimated a few problems at a time gives the same, compiled once."""
    monkeypatch.setattr(grouping, "_NUMBERS", 110 * 16**2)
    some = ("rebase", "dora", "direction-optimal")
    rows = [REPLAYED.index(name) for name in some]
    grouped = replay(log[0], ReplayOptions(budgets=BUDGETS, strategies=some))
    np.testing.assert_allclose(grouped.lower, result.lower[rows], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(grouped.clipped, result.clipped[rows])
    np.testing.assert_array_equal(grouped.directions, result.directions)


def test_a_repaired_log_is_replayed_without_scores(first_lines):
    pytest.importorskip("math_verify")
    # Two batches of 25; all four are repaired in the tests of the repair itself.
    path = first_lines("native/search_and_learn_bon_n16_llama31_8b", 50)
    options = ReplayOptions(budgets=(4,), strategies=("rebase", "temperature"), repair=True)
    with pytest.raises(InputError, match="mispaired"):
        replay(path, replace(options, repair=False))
    found = replay(path, options)
    assert any("50 problems have no scores" in note for note in found.notes)
    assert 0.5 < found.lower[0].mean() < 0.7


def test_what_a_search_kept_is_said(first_lines):
    notes = []
    replay(
        first_lines("sal_math500_beam4x4_llama31_8b", 5),
        ReplayOptions(budgets=(4,), strategies=("rebase",)),
        note=notes.append,
    )
    assert any("5 problems have solutions that a search kept" in note for note in notes)
    assert any("word for word" in note for note in notes)


def test_a_log_that_lacks_verdicts_is_judged_as_one_that_has_them(real_log, tmp_path):
    """The same three problems, as a tool left them and with verdicts made elsewhere."""
    pytest.importorskip("math_verify")
    options = ReplayOptions(budgets=(4, 16), strategies=("rebase", "temperature"), skip_bad=1)
    paths = []
    for i, name in enumerate(
        ("native/search_and_learn_bon_n256_llama32_1b_torn", "bayesprm_math3_bon256_llama32_1b")
    ):
        # The problem whose answers are the fastest to judge.
        with gzip.open(real_log(name)) as file:
            line = next(file)
        paths.append(tmp_path / f"{i}.jsonl")
        paths[-1].write_bytes(line)
    one, two = (replay(str(path), options) for path in paths)
    np.testing.assert_array_equal(one.lower, two.lower)


def test_default_budgets_end_where_the_log_ends(tmp_path):
    log = tmp_path / "log.jsonl"
    write_synthetic_log(log, problems=6, samples=9)
    notes = []
    found = replay(str(log), ReplayOptions(strategies=("rebase",)), note=notes.append)
    assert found.options.budgets == (4, 8)
    assert found.lower.shape == (1, 2, 6)
    assert any("budgets of 16, 32, 64 are left out" in text for text in notes)
    for more in ({"budgets": (4, 16)}, {"all_budgets": True}):
        options = ReplayOptions(strategies=("rebase",), **more)
        assert replay(str(log), options).options.budgets == options.budgets


def test_from_python_a_log_becomes_a_frame_a_picture_and_sentences(log):
    found = dt.replay(log[0], strategies=("rebase", "dora"), budgets=(2, 4))
    frame = found.to_dataframe()
    assert frame[["strategy", "budget"]].values.tolist() == [
        [name, n] for name in ("rebase", "dora") for n in (2, 4)
    ]
    assert (frame.low <= frame.success).all()
    assert len(found.plot().axes) == 2
    # At 4 the log does not suffice for all problems.
    sentences = found.conclusion()
    assert sentences[-1].startswith("At N = 2, REBASE solves")
    solvable = f"{100 * found.data['solvable']:.1f}%"
    assert f"the log has a right solution for {solvable}" in sentences[-1]
