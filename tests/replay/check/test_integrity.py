"""Is a log what it says? Each check on a made log, and on real ones."""

import numpy as np
import pytest

from dora_theory.replay.check.integrity import Watch
from dora_theory.replay.read.readers import read_log
from dora_theory.replay.read.record import Record, Sample

LONG = "we count " * 60


def verdicts(records):
    watch = Watch()
    assert list(watch.over(records)) == records
    return {finding.check: (finding.verdict, finding.what) for finding in watch.findings()}


def record(*samples, problem="p", line=1, kind="independent"):
    return Record(f"log:{line}", "id", problem, "2", samples, kind=kind)


def test_a_sound_log():
    sound = [
        record(
            *(
                Sample(f"{i}{j} {LONG}\n\nso", correct=i == j % 3, step_scores=(0.5, 0.5))
                for i in range(3)
            ),
            problem=str(j),
        )
        for j in range(4)
    ]
    assert {verdict for verdict, _ in verdicts(sound).values()} == {"good"}


def test_scores_of_another_length():
    found = verdicts(
        [record(Sample("a\n\nb", step_scores=(0.5, 0.5)), Sample("a\n\nb", step_scores=(0.5,)))]
    )
    verdict, what = found["a score for every step"]
    assert verdict == "doubtful"
    assert "50% of the scored solutions have another number of scores" in what
    assert "log:1 first" in what
    unscored = verdicts([record(Sample("a"))])["a score for every step"]
    assert unscored == ("unknown", "no scores")


@pytest.mark.parametrize("right", [True, False])
def test_one_outcome_of_all_is_said(right):
    samples = [Sample(f"so {i}", correct=right) for i in range(9)]
    few = verdicts([record(*samples)])["outcomes differ"]
    assert few[0] == "unknown"
    samples += [Sample("so 9", correct=right)]
    verdict, what = verdicts([record(*samples)])["outcomes differ"]
    assert verdict == "doubtful"
    assert f"{10 * right} of 10 solutions are right: check that" in what
    assert verdicts([record(*samples, Sample("no", correct=not right))])["outcomes differ"] == (
        "good",
        "10 of 11 solutions are right" if right else "1 of 11 solutions is right",
    )


def test_kept_beams():
    beams = [record(*(Sample(LONG + f"so {i // 4} {i}") for i in range(12)))]
    assert verdicts(beams)["independent solutions"][0] == "doubtful"
    assert (
        "begin as another of their problem does: a search"
        in verdicts(beams)["independent solutions"][1]
    )
    logged = verdicts([record(Sample("a"), kind="kept")])["independent solutions"]
    assert "1 problem has solutions that a search kept" in logged[1]
    assert logged[1].endswith("estimates of it are biased")
    short = verdicts([record(*[Sample("a")] * 8)])
    assert short["independent solutions"][0] == short["no copies"][0] == "unknown"


def test_copies():
    copied = [record(*[Sample(LONG)] * 2, *(Sample(f"{i} {LONG}") for i in range(8)))]
    verdict, what = verdicts(copied)["no copies"]
    assert (verdict, what.partition(" of")[0]) == ("doubtful", "10%")


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("problems", [6, 40])
def test_position_that_tells_of_the_outcome(first, problems):
    rows = [
        record(*(Sample(f"{i}", correct=(i < 1) == first) for i in range(4)), problem=str(j))
        for j in range(problems)
    ]
    verdict, what = verdicts(rows)["order of solutions"]
    assert verdict == "doubtful"
    assert f"comes after a wrong one of its problem {0 if first else 100}% of the time" in what


@pytest.mark.parametrize("falling", [True, False])
def test_solutions_sorted_by_score(falling):
    generator = np.random.default_rng(0)
    rows = [
        record(
            *(
                Sample(str(x), correct=bool(generator.random() < 0.5), step_scores=(0.5, x))
                for x in sorted(generator.random(6), reverse=falling)
            ),
            problem=str(j),
        )
        for j in range(10)
    ]
    verdict, what = verdicts(rows)["order of solutions"]
    assert verdict == "doubtful"
    assert "the solutions of 10 of 10 problems are sorted by score" in what


def test_chance_is_no_order():
    generator = np.random.default_rng(1)
    doubtful = 0
    for _ in range(100):
        rows = [
            record(
                *(
                    Sample(str(i), correct=bool(generator.random() < 0.4), step_scores=(score,))
                    for i, score in enumerate(generator.random(5))
                ),
                problem=str(j),
            )
            for j in range(20)
        ]
        doubtful += verdicts(rows)["order of solutions"][0] == "doubtful"
    assert doubtful <= 3


def test_a_problem_that_stands_twice():
    twice = [record(Sample(str(i)), line=i) for i in range(3)]
    verdict, what = verdicts(twice)["every problem once"]
    assert verdict == "doubtful"
    assert "2 records repeat the problem of an earlier one (log:1 first)" in what
    assert verdicts([twice[0], record(problem="q")])["every problem once"][0] == "good"


@pytest.mark.parametrize(
    ("name", "doubtful"),
    [
        ("sal_math500_llama31_8b_steps19", set()),
        ("sal_math500_beam4x4_llama31_8b", {"independent solutions", "no copies"}),
        ("openr_math500_bon4_qwen25math15b", set()),
        ("bayesprm_math3_bon256_llama32_1b", set()),
        ("humaneval_codegen16b_n100", set()),
        ("game24_gpt4_cot100", set()),
        ("native/search_and_learn_beam_n3_llama31_8b", set()),
    ],
)
def test_real_logs(real_log, name, doubtful):
    found = verdicts(list(read_log(real_log(name))))
    assert {check for check, (verdict, _) in found.items() if verdict == "doubtful"} == doubtful


def test_real_kept_beams_are_found_without_being_told(real_log):
    from dataclasses import replace

    log = read_log(real_log("sal_math500_beam4x4_llama31_8b"))
    assert (
        verdicts([replace(r, kind="independent") for r in log])["independent solutions"][0]
        == "doubtful"
    )
