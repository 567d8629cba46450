"""`replay --metrics` on a log whose numbers a hand can check."""

import csv
import itertools
import json

import numpy as np
import pytest

from dora_theory.cli.main import main

ROWS = [
    # (final answer, correct, score)
    [("4", True, 0.9), ("4", True, 0.3), ("5", False, 0.6), (None, False, 0.2)],
    [("7", True, 0.4), ("8", False, 0.95), ("8", False, 0.5), ("9", False, 0.1)],
    [("1", False, 0.7), ("2", False, 0.2), ("3", True, 0.7), ("3", True, 0.8)],
]


@pytest.fixture
def replay(tmp_path, capsysbinary):
    """Runs `replay` on the rows; returns exit status, output and standard error."""

    def run(*arguments, scored=True, tokens=False):
        path = tmp_path / "log.jsonl"
        lines = []
        for i, row in enumerate(ROWS):
            samples = [
                {"text": f"{answer} so {j}", "final_answer": answer, "correct": correct}
                | ({"step_scores": [score]} if scored else {})
                | ({"completion_tokens": 10 * (j + 1)} if tokens else {})
                for j, (answer, correct, score) in enumerate(row)
            ]
            lines.append({"problem_id": str(i), "problem": f"p{i}", "samples": samples})
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        status = main(["replay", str(path), *map(str, arguments)])
        out, err = capsysbinary.readouterr()
        return status, out.decode(), err.decode()

    return run


def means(k, of):
    return np.mean([np.mean([of(s) for s in itertools.combinations(r, k)]) for r in ROWS])


def test_every_metric_is_the_mean_over_all_draws(replay):
    every = "pass@k,pass^k,g-pass@k,majority@k,best-of-n,weighted-vote"
    status, out, _ = replay("--metrics", every, "--budgets", "1,2,4", "--json")
    assert status == 0
    found = json.loads(out)["metrics"]

    def best(draw):
        top = max(score for *_, score in draw)
        return np.mean([correct for _, correct, score in draw if score == top])

    def majority(draw):
        names = [a for a, *_ in draw if a]
        right = [a for a, correct, _ in draw if correct]
        votes = {a: names.count(a) for a in names}
        lead = [a for a in votes if votes[a] == max(votes.values())]
        return (right[0] in lead) / len(lead) if right else 0.0

    hand = {
        "pass@k": lambda d: any(c for _, c, _ in d),
        "pass^k": lambda d: all(c for _, c, _ in d),
        "g-pass@k": lambda d: sum(c for _, c, _ in d) >= len(d) / 2,
        "majority@k": majority,
        "best-of-n": best,
    }
    for name, of in hand.items():
        for k in (1, 2, 4):
            assert found[name][str(k)]["mean"] == pytest.approx(means(k, of)), (name, k)
    assert found["weighted-vote"]["1"]["mean"] == pytest.approx(5 / 12, abs=0.1)


def test_the_verifier_has_rates_a_ceiling_and_a_curve(replay):
    _, out, err = replay("--metrics", "pass@k", "--accept", "0.65", "--json")
    found = json.loads(out)["verifier"]["0.65"]
    assert found["true_positive"]["mean"] == pytest.approx(3 / 5)
    assert found["false_positive"]["mean"] == pytest.approx(2 / 7)
    assert found["precision"]["mean"] == pytest.approx(3 / 5)
    # Three problems that are alike say nothing of how others differ.
    assert found["ceiling"] is None
    assert "no ceilings, because there is no Beta prior" in err
    cell = found["budget"]["4"]
    # All three problems have an accepted one: right in the first, never, in two of three.
    assert cell["believed"]["mean"] == 1
    assert cell["right"]["mean"] == pytest.approx((1 + 0 + 2 / 3) / 3)
    assert cell["believed_right"]["mean"] == pytest.approx((1 + 0 + 2 / 3) / 3)
    text = replay("--metrics", "pass@k", "--accept", "0.65")[1]
    assert "score ≥ 0.65" in text
    assert "Right of those" in text


def test_agreement_and_the_perfect_verifier_stand_beside_it(replay):
    _, out, _ = replay("--metrics", "pass@k", "--json", tokens=True)
    found = json.loads(out)
    # Of the other three solutions none has an answer more often: 4, 4; 8, 8; 3, 3.
    agreement, perfect = found["agreement"], found["perfect"]
    assert agreement["true_positive"]["mean"] == pytest.approx(4 / 5)
    assert agreement["false_positive"]["mean"] == pytest.approx(2 / 7)
    # Two of four are accepted in each problem, right ones in the first and the last.
    cell = agreement["budget"]["2"]
    assert cell["believed"]["mean"] == pytest.approx(1 - 1 / 6)
    assert cell["accuracy"]["mean"] == pytest.approx((5 / 6 + 1 / 6 * 1 / 2 + 5 / 6) / 3)
    for k, of in perfect["budget"].items():
        assert of["accuracy"] == of["believed"] == found["metrics"]["pass@k"][k]
    assert (perfect["precision"]["mean"], perfect["false_positive"]["mean"]) == (1, 0)
    assert set(found["answers"]) == {"majority@k", "best-of-n", "weighted-vote"}
    # 10 + 20 + 30 + 40 tokens in any order; where one in four is right it comes at each place.
    assert (found["cost_unit"], found["cost_per_solution"]["mean"]) == ("tokens", 25)
    rng, costs = np.random.default_rng(0), []
    for row in ROWS:
        for _ in range(4000):
            order = rng.permutation(4)
            stop = next(t for t, i in enumerate(order) if row[i][1]) + 1
            costs.append(10 * (order[:stop] + 1).sum())
    assert perfect["budget"]["4"]["cost"]["mean"] == pytest.approx(np.mean(costs), rel=0.02)


def test_the_numbers_are_written_as_a_table_a_picture_and_a_page(replay, tmp_path):
    table, figure, folder = tmp_path / "m.csv", tmp_path / "m.png", tmp_path / "page"
    files = ("--csv", table, "--figure", figure, "--report", folder)
    _, out, _ = replay("--metrics", "pass@k", "--accept", "0.65", "--json", *files)
    with table.open() as file:
        rows = list(csv.DictReader(file))
    found = json.loads(out)
    one = [r for r in rows if (r["verifier"], r["measure"], r["k"]) == ("", "pass@k", "2")]
    assert [float(r["mean"]) for r in one] == [found["metrics"]["pass@k"]["2"]["mean"]]
    assert {r["verifier"] for r in rows} == {"", "score ≥ 0.65", "agreement", "perfect"}
    page = (folder / "report.html").read_text()
    assert "What is its verifier worth?" in page
    assert "score ≥ 0.65" in page
    assert json.loads((folder / "replay.json").read_text()) == found
    assert figure.stat().st_size > 5000


def test_a_log_without_scores_has_votes_and_no_verifier(replay):
    status, out, _ = replay("--metrics", "majority@k", "--json", scored=False)
    assert (status, json.loads(out)["verifier"]) == (0, None)
    status, out, err = replay("--metrics", "best-of-n", scored=False)
    assert (status, out) == (2, "")
    assert "--metrics: best-of-n: needs scores" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metrics", "pass@k", "--budgets", "5"], "--budgets: 5: more than the 4 logged"),
        (["--metrics", "pass@n"], "--metrics: 'pass@n' is none of pass@k"),
        (["--metrics", "g-pass@k", "--share", "0"], "--share: 0: needs a number in (0, 1]"),
        (["--metrics", "pass@k", "--across"], "--across: has no form for --metrics"),
    ],
)
def test_what_cannot_be_measured_is_named(replay, arguments, message):
    status, out, err = replay(*arguments)
    assert (status, out) == (2, "")
    assert message in err


def test_programs_have_no_answers_to_vote_on(tmp_path, capsysbinary):
    bar = "#" * 40
    rows = [
        {
            "problem_id": str(i),
            "problem": f"p{i}",
            "samples": [
                {"text": f"{bar}\nreturn f(x, {i}{j})\n", "final_answer": None, "correct": j < i}
                for j in range(4)
            ],
        }
        for i in range(4)
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["replay", str(path), "--json", "--metrics"]
    assert main([*command, "pass@k,majority@k"]) == 0
    out, err = capsysbinary.readouterr()
    found = json.loads(out)
    assert (list(found["metrics"]), found["answers"], found["agreement"]) == (["pass@k"], {}, None)
    assert b"nothing to vote on" in err
    assert main([*command[:2], "--metrics", "pass@k"]) == 0
    assert b"agreement  " not in capsysbinary.readouterr()[0]
    assert main([*command, "majority@k"]) == 2
    assert capsysbinary.readouterr()[0] == b""
