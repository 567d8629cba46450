"""`dora-theory replay --across`: what comes out on logs of a known truth, and what is refused."""

import csv
import io
import json
import pickle
import random

import numpy as np
import pytest

import dora_theory as dt
from dora_theory.cli.main import main
from dora_theory.replay.across import threshold
from dora_theory.replay.across.options import AcrossOptions
from dora_theory.replay.across.problems import LoggedProblems


def write(path, rows):
    path.write_text("".join(json.dumps(x) + "\n" for x in rows), encoding="utf-8")
    return str(path)


def rows(problems=40, samples=12, *, scores=False, seed=0):
    """Two levels: of level 1 nearly everything is right, of level 5 nearly nothing."""
    r = np.random.default_rng(seed)
    made = []
    for i in range(problems):
        easy = i % 2
        p = r.beta(8, 2) if easy else r.beta(0.3, 2)
        right = r.random(samples) < p
        made.append(
            {
                "problem_id": f"p{i}",
                "problem": f"Question number {i}?",
                "gold_answer": "1",
                "level": 1 if easy else 5,
                "samples": [
                    {
                        "text": f"solution {i} {j}",
                        "final_answer": "1" if x else str(j + 2),
                        "correct": bool(x),
                        "step_scores": [0.9 if x else 0.1, 0.7 if x else 0.3] if scores else None,
                    }
                    for j, x in enumerate(right)
                ],
            }
        )
    return made


@pytest.fixture
def run(capsys):
    def call(*options):
        status = main(["replay", "--across", *map(str, options), "--num-draws", "60"])
        out, err = capsys.readouterr()
        return status, out, err

    return call


def test_the_document_of_a_log_without_scores(run, tmp_path):
    log = write(tmp_path / "log.jsonl", rows())
    status, out, err = run(log, "--json", "--by", "level", "--budgets", "1,2,4,64")
    assert status == 0
    assert "a budget of 64 is more than was logged" in err
    found = json.loads(out)
    right = np.array([sum(s["correct"] for s in x["samples"]) for x in rows()])
    assert found["solved"] == (right > 0).mean()
    fit = dt.fit_beta(right, 12)
    assert found["fit"]["alpha"] == pytest.approx(fit.alpha)
    exact = dt.replay_round_robin(right, 12)
    for n in (1, 2, 4):
        cell = found["policies"]["uniform"][str(n)]
        assert cell["solved"] == pytest.approx(1 - exact.unsolved[n])
        assert cell["low"] < cell["solved"] < cell["high"]
    for row in found["savings"]:
        assert row["low"] <= row["factor"] <= row["high"]
        assert row["factor"] >= 1
    policies = found["policies"]
    # Levels tell here: with one rollout per problem they are all there is.
    assert policies["by-level"]["1"]["minus_low"] > 0
    assert policies["by-level"]["1"]["minus_uniform"] > 0.05
    assert policies["round-robin"]["1"]["minus_uniform"] == pytest.approx(0, abs=0.03)
    for n in ("2", "4"):
        assert policies["round-robin"][n]["minus_uniform"] >= 0
        assert policies["oracle"][n]["solved"] >= policies["round-robin"][n]["solved"] - 0.02
        assert policies["known-committed"][n]["solved"] >= policies["uniform"][n]["solved"]
    assert found["stopping"] is None


def test_the_order_of_a_log_changes_nothing(tmp_path):
    made = rows(30, 6, scores=True)
    options = AcrossOptions(budgets=(1, 2, 4), by=("level", "score"), num_draws=40)
    first = dt.replay_across(write(tmp_path / "a.jsonl", made), across=options)
    r = random.Random(0)
    for row in made:
        r.shuffle(row["samples"])
    r.shuffle(made)
    (tmp_path / "b").mkdir()
    second = dt.replay_across(write(tmp_path / "b" / "a.jsonl", made), across=options)
    for name in ("policies", "savings", "stopping", "fit"):
        assert first.data[name] == second.data[name]
    assert {row["policy"] for row in first.rows()} >= {"uniform", "by-level", "by-level-score"}
    assert pickle.loads(pickle.dumps(first)).data == first.data


def test_a_score_that_is_the_verdict_is_a_perfect_verifier():
    r = np.random.default_rng(0)
    correct = r.random((60, 8)) < r.beta(0.5, 1, size=(60, 1))
    answers = np.where(correct, 0, 1 + np.arange(8))
    problems = LoggedProblems(np.full(60, 8), correct, correct * 0.8 + 0.1, answers, {})
    found = threshold.stopping(
        problems, AcrossOptions(budgets=(1, 2, 4, 8), accept=(0.5,), num_draws=60)
    )
    of = found["thresholds"]["0.5"]
    assert (of["true_accept"], of["false_accept"]) == (1, 0)
    for n, cell in of["budget"].items():
        assert cell["right"] == 1
        assert cell["believed"] == cell["accuracy"]
        assert cell["accuracy"] == pytest.approx(found["rules"]["perfect-verifier"][n], abs=0.01)
        assert cell["accuracy"] >= found["rules"]["best-of-n"][n] - 0.01
    # With all eight the best-scored is right wherever any is, and so is the vote by scores.
    assert found["rules"]["best-of-n"]["8"] == correct.any(-1).mean()


def test_believed_is_not_right_where_wrong_solutions_score_high():
    """Theory 7.5: P(right | accepted) = pt/(pt + (1 - p)φ), and the precision of rounds falls."""
    r = np.random.default_rng(1)
    p, t, phi = 0.3, 0.8, 0.2
    correct = r.random((4000, 12)) < p
    scores = np.where(r.random(correct.shape) < np.where(correct, t, phi), 0.9, 0.1)
    problems = LoggedProblems(np.full(4000, 12), correct, scores, np.where(correct, 0, 1), {})
    found = threshold.stopping(problems, AcrossOptions(budgets=(2, 8), accept=(0.5,), num_draws=20))
    cell = found["thresholds"]["0.5"]["budget"]["8"]
    want = p * t / (p * t + (1 - p) * phi)
    assert cell["right"] == pytest.approx(want, abs=0.015)


def test_one_row_per_policy_and_budget_and_a_page(run, tmp_path):
    log = write(tmp_path / "log.jsonl", rows(24, 6, scores=True))
    folder = tmp_path / "report"
    table = tmp_path / "table.csv"
    status, _, _ = run(log, "--csv", table, "--budgets", "1,2", "--report", folder)
    assert status == 0
    table = list(csv.DictReader(io.StringIO(table.read_text())))
    names = ["uniform", "rounds-2", "rounds-4", "rounds-8", "round-robin", "oracle"]
    assert [x["policy"] for x in table[::2]] == [*names, "known-committed"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 1
    assert "One budget for all problems of a log" in page
    assert "weighted-vote" in page
    assert json.loads((folder / "replay.json").read_text(encoding="utf-8"))["problems"] == 24
    status, out, _ = run(log, "--budgets", "1,2", "--accept", "0.5")
    assert status == 0
    assert "score ≥ 0.5" in out


@pytest.mark.slow
def test_the_report_of_a_replay_has_it_too(tmp_path, capsys):
    log = write(tmp_path / "log.jsonl", rows(20, 4, scores=True))
    fast = ("--strategies", "rebase", "--budgets", "2", "--report", tmp_path / "r")
    assert main(["replay", log, *map(str, fast)]) == 0
    capsys.readouterr()
    found = json.loads((tmp_path / "r" / "replay.json").read_text(encoding="utf-8"))
    assert found["across"]["problems"] == 20
    page = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert "One budget for all problems" in page


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--by", "color"), "--by: 'color' is none of level, subject, score"),
        (("--by", "subject"), "--by: the log has no subject"),
        (("--by", "score"), "--by: score: needs scores"),
        (("--accept", "0.5"), "--accept: needs scores"),
        (("--accept", "0"), "--accept: 0: needs a number in (0, 1]"),
        (("--coverages", "1.5"), "--coverages: 1.5: needs a number in (0, 1]"),
        (("--rounds", "1"), "--rounds: 1: needs an integer in [2, 1024]"),
        (("--budgets", "99"), "--budgets: 99: more than the 4 logged"),
        (("--figure", "x.pdf"), "--figure: x.pdf: needs a name"),
    ],
)
def test_bad_options_get_one_line_and_write_nothing(run, tmp_path, options, said):
    log = write(tmp_path / "log.jsonl", rows(20, 4))
    out = tmp_path / "out"
    status, _, err = run(log, "--out", out, *options)
    assert status == 2
    assert said in err.splitlines()[-1]
    assert not out.exists()


def test_its_options_mean_nothing_without_it(tmp_path, capsys):
    log = write(tmp_path / "log.jsonl", rows(20, 4))
    assert main(["replay", log, "--by", "level"]) == 2
    assert "--by: needs --across" in capsys.readouterr().err


@pytest.mark.parametrize("right", [0, 4])
def test_logs_without_a_prior_are_replayed_all_the_same(run, tmp_path, right):
    made = rows(20, 4)
    for row in made:
        for j, sample in enumerate(row["samples"]):
            sample["correct"] = j < right
    status, out, err = run(write(tmp_path / "log.jsonl", made), "--json", "--coverages", "0.5,1")
    assert status == 0
    assert "no Beta prior" in err
    found = json.loads(out)
    assert found["fit"] is None
    assert found["policies"]["round-robin"]["2"]["solved"] == (right > 0)
    assert [x["uniform"] for x in found["savings"]] == ([0.5, 1.0] if right else [None, None])
