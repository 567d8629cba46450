"""Nothing that a log lists first counts for more: no result, interval or fit changes."""

import json
import random

import numpy as np
import pytest

from dora_theory.cli.main import main
from dora_theory.replay.calibrate.fit import calibrate
from dora_theory.replay.cut.cutting import cut, encoder_of
from dora_theory.replay.cut.order import in_order
from dora_theory.replay.estimate.ties import averaged, orders
from dora_theory.replay.examined import Examined
from dora_theory.replay.grade.correctness import Judge
from dora_theory.replay.options import REPLAYED, ReplayOptions
from dora_theory.replay.read.record import Record, Sample
from dora_theory.replay.report.summary import summary
from dora_theory.replay.run import replay
from dora_theory.replay.synthetic import write_synthetic_log

RIGHT_FIRST = [
    {
        "problem_id": str(i),
        "problem": f"Puzzle {i}?",
        "samples": [
            {"text": f"way {way} of puzzle {i}\n\nthen go on", "correct": way == "alpha"}
            for way in ("alpha", "beta", "gamma", "delta")
        ],
    }
    for i in range(20)
]


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def backwards(rows):
    return [row | {"samples": row["samples"][::-1]} for row in rows]


def by_score(rows, sign):
    def score(sample):
        return sign * sample["step_scores"][-1]

    return [row | {"samples": sorted(row["samples"], key=score)} for row in rows]


def shuffled(rows, seed):
    generator = random.Random(seed)
    mixed = [
        row | {"samples": generator.sample(row["samples"], len(row["samples"]))} for row in rows
    ]
    generator.shuffle(mixed)
    return mixed


def numbers(document):
    return {k: v for k, v in document.items() if k not in ("log", "notes", "checks")}


@pytest.mark.slow
def test_right_first_and_right_last(tmp_path):
    options = ReplayOptions(budgets=(1, 2), strategies=REPLAYED, votes=4)
    found = []
    for rows in (RIGHT_FIRST, backwards(RIGHT_FIRST), shuffled(RIGHT_FIRST, 0)):
        result = replay(written(tmp_path / "log.jsonl", rows), options)
        found.append(numbers(summary(result)))
        if rows[0] is RIGHT_FIRST[0]:
            assert any("position tells of the outcome" in note for note in result.notes)
    assert found[0] == found[1] == found[2]
    # One of four, and two of four.
    cells = found[0]["strategies"]["temperature"]["budget"]
    assert [cells[n]["success"] for n in "12"] == [0.25, 0.5]
    # Without scores nobody can do better than chance; a tie is averaged over 16 orders.
    for name in REPLAYED:
        assert found[0]["strategies"][name]["budget"]["1"]["success"] == pytest.approx(
            0.25, abs=0.08
        )


@pytest.mark.slow
def test_no_order_changes_a_number(tmp_path):
    """Scores that tie often, sorted by score either way and shuffled, problems too."""
    path = str(tmp_path / "log.jsonl")
    write_synthetic_log(path, problems=24, samples=8)
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    for row in rows:
        for sample in row["samples"]:
            sample["step_scores"] = [round(x, 1) for x in sample["step_scores"]]
    options = ReplayOptions(budgets=(1, 4), votes=4)
    found = []
    for other in (rows, by_score(rows, 1), by_score(rows, -1), shuffled(rows, 1)):
        written(tmp_path / "log.jsonl", other)
        fit = calibrate(path, options, depths=(1,))
        found.append((numbers(summary(replay(path, options))), numbers(fit)))
    assert found[0] == found[1] == found[2]
    assert flat(found[3]) == pytest.approx(flat(found[0]), abs=1e-9)


def flat(document):
    """Its numbers, in order."""
    if isinstance(document, dict):
        document = list(document.values())
    if isinstance(document, list | tuple):
        return [x for entry in document for x in flat(entry)]
    return [document] if isinstance(document, int | float) else []


@pytest.mark.slow
def test_trees_in_any_order(tmp_path):
    def tree(problem, sign):
        leaves = [
            {"step": 0, "parent": -1, "line": f"{problem} {i}", "value": 0.5, "solvable": i == 0}
            for i in range(4)
        ]
        return {"problem": problem, "tree_nodes": leaves[::sign]}

    options = ReplayOptions(budgets=(1, 2, 8), strategies=("temperature", "beam", "rebase"))
    found = [
        replay(written(tmp_path / "log.jsonl", [tree(p, s) for p in "abcdef"]), options)
        for s in (1, -1)
    ]
    np.testing.assert_array_equal(found[0].lower, found[1].lower)
    assert found[0].lower[0].mean(-1).tolist() == [0.25, 0.5, 1]


def test_samples_are_ordered_by_what_they_say():
    samples = tuple(Sample(f"text {i % 3}", correct=i % 2 == 0, tokens=i) for i in range(12))
    record = Record("log:1", "id", "problem", "2", samples)
    ordered = in_order(record)
    for seed in range(5):
        mixed = tuple(random.Random(seed).sample(samples, 12))
        assert in_order(Record("log:9", "row 9", "problem", "2", mixed)).samples == ordered.samples
    assert in_order(record, 1).samples != ordered.samples
    assert set(ordered.samples) == set(samples)


def test_orders_are_those_of_ties():
    texts = ("go by ship", "take a train", "walk there", "go by ship")
    options = ReplayOptions(steps=1)

    def problem(scores):
        samples = (
            Sample(f"{t}\n\nend {i}", correct=False, step_scores=(s,))
            for i, (t, s) in enumerate(zip(texts, scores, strict=True))
        )
        return cut(Record("log:1", "id", "p", "2", tuple(samples)), options, encoder_of(options))

    # A tie inside a direction makes no difference.
    assert len(orders(problem((0.5, 0.2, 0.3, 0.5)))) == 1
    tied = problem((0.5, 0.5, 0.3, 0.5))
    several = orders(tied)
    assert len(several) == 16
    for one in several:
        assert sorted(one.scores) == sorted(tied.scores)
        assert one.directions[0] == 0
        # Which candidates are of one direction stays.
        same = one.directions[:, None] == one.directions
        np.testing.assert_array_equal(same, one.embeddings @ one.embeddings.T > 0.9)
    assert len({tuple(one.scores) for one in several}) > 1


def test_means_over_what_belongs_together():
    values = np.arange(12.0).reshape(2, 6)
    np.testing.assert_array_equal(averaged(values, [1, 3, 2]), [[0, 2, 4.5], [6, 8, 10.5]])
    clipped = np.array([False, True, False, False, False, False])
    assert averaged(clipped, [1, 3, 2]).tolist() == [False, True, False]


COPIES = [
    {
        "problem": f"Puzzle {i}: how far is it to town {i}?",
        "gold_answer": "2",
        "samples": [
            {
                "text": f"town {i}, {'a step of the search ' * 20}\n\nthen\n\nso \\boxed{{2}}",
                "correct": j // 2 == i % 2,
                "step_scores": [0.3 + i / 100, 0.5, 0.5],
            }
            for j in range(4)
        ],
    }
    for i in range(24)
]


@pytest.mark.slow
def test_calibrate_says_what_replay_says(tmp_path):
    path, options = written(tmp_path / "log.jsonl", COPIES), ReplayOptions(budgets=(1,), steps=1)
    said, replayed = [], replay(path, options)
    fit = calibrate(path, options, depths=(1,), note=said.append)
    doubts = [f.what for f in replayed.findings if f.verdict == "doubtful"]
    assert any("repeat another of their problem word for word" in what for what in doubts)
    assert any("begin as another of their problem does" in what for what in doubts)
    for what in doubts:
        assert f"{path}: {what}" in fit["notes"]
        assert f"{path}: {what}" in said
    assert fit["checks"] == summary(replayed)["checks"]


def test_both_commands_refuse_a_mispaired_log(tmp_path, capsysbinary):
    # Every second row holds the completions of the second one after it.
    rows = [
        {
            "problem": f"A maker{i} in town{i} sells {i} boxes a week; how many in two weeks?",
            "answer": str(2 * i),
            "completions": [f"The maker{j} in town{j} sells {j}.\n\nSo \\boxed{{{2 * j}}}."] * 4,
            "scores": [[0.6, 0.9]] * 4,
        }
        for i in range(24)
        for j in [(i + 2) % 24 if i % 2 else i]
    ]
    path = written(tmp_path / "log.jsonl", rows)
    for command in ("replay", "calibrate"):
        assert main([command, path, "--steps", "1", "--budgets", "1"]) == 2
        captured = capsysbinary.readouterr()
        assert b"50% of those of lines 1 to 24 answer the problem of another row" in captured.err
        assert captured.out == b""


def test_one_judge_serves_all_passes(tmp_path, monkeypatch):
    """An answer is compared once, however often a log is read."""
    asked = []
    monkeypatch.setattr(Judge, "_ask", lambda self, pair: asked.append(pair) or False)
    rows = [
        row
        | {
            "gold_answer": r"\frac{x}{2}",
            "samples": [
                {"text": f"{s['text']} \\boxed{{y+{i}}}", "step_scores": [0.5, 0.5]}
                for i, s in enumerate(row["samples"])
            ],
        }
        for row in RIGHT_FIRST
    ]
    path = written(tmp_path / "log.jsonl", rows)
    with Judge() as judge:
        for _ in range(3):
            notes = []
            log = Examined(path, ReplayOptions(), judge, notes.append)
            assert len(list(log.solutions())) == 20
            assert judge.graded == 80
    assert len(asked) == len(set(asked)) == 4


@pytest.mark.slow
def test_one_bad_log_of_several_is_named_and_left_out(tmp_path, capsysbinary):
    good = written(tmp_path / "good.jsonl", RIGHT_FIRST)
    bad = written(tmp_path / "bad.jsonl", [{"problem": "p"}])
    options = ["--budgets", "1", "--strategies", "temperature", "--json"]
    out = tmp_path / "out.json"
    assert main(["replay", bad, good, *options, "--out", str(out)]) == 2
    (line,) = [x for x in capsysbinary.readouterr().err.decode().splitlines() if "bad.jsonl" in x]
    assert line.endswith("; left out")
    (document,) = json.loads(out.read_text())
    assert document["log"] == good
    assert main(["replay", bad, bad, *options]) == 2
    captured = capsysbinary.readouterr()
    assert captured.out == b""
    assert b"none of the 2 logs can be used" in captured.err
