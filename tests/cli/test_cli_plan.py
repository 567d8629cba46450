"""`dora-theory plan`: against exact rationals, over a whole run, and on every kind of bad input."""

import io
import json
import sys
from fractions import Fraction

import pytest

from dora_theory.cli.main import main
from dora_theory.strategies.plans import PLANS


@pytest.fixture
def run(capsys, monkeypatch):
    """Runs the command on lines; status, answers, standard error."""

    def call(lines, *options):
        text = lines if isinstance(lines, str) else "".join(json.dumps(x) + "\n" for x in lines)

        class Stdin:
            buffer = io.BytesIO(text.encode())

        monkeypatch.setattr(sys, "stdin", Stdin)
        status = main(["plan", "-", *map(str, options)])
        out, err = capsys.readouterr()
        return status, [json.loads(line) for line in out.splitlines()], err

    return call


def greedy(posteriors, total, caps):
    """The largest marginals one by one, ties to the lowest problem, in exact rationals."""
    n, failure = [0] * len(posteriors), [Fraction(1)] * len(posteriors)
    for _ in range(total):
        open_ = [i for i in range(len(n)) if n[i] < caps[i]]
        if not open_:
            break
        hazard = [a / (a + b + k) for (a, b), k in zip(posteriors, n, strict=True)]
        best = max(open_, key=lambda i: (failure[i] * hazard[i], -i))
        failure[best] *= 1 - hazard[best]
        n[best] += 1
    return n, [1 - f for f in failure]


COUNTS = [(0, 4), (1, 4), (0, 2), (2, 4), (0, 0), (0, 4)]
STATE = [{"id": i, "right": s, "attempts": n} for i, (s, n) in enumerate(COUNTS)]


@pytest.mark.parametrize("strategy", ["rounds", "committed"])
def test_the_optimum_is_that_of_exact_rationals(run, strategy):
    a, b = Fraction(1, 2), Fraction(3, 2)
    posteriors = [(a + s, b + n - s) for s, n in COUNTS]
    for total, caps in ((0, [99] * 6), (13, [99] * 6), (9, [99, 0, 2, 99, 1, 1]), (9, [1] * 6)):
        lines = [x | {"cap": c} for x, c in zip(STATE, caps, strict=True)]
        options = "--total", total, "--prior", "0.5,1.5", "--strategy", strategy
        status, found, err = run(lines, *options)
        want, gained = greedy(posteriors, total, caps)
        assert status == 0
        assert [x["rollouts"] for x in found] == want
        assert [x["id"] for x in found] == list(range(6))
        assert [x["allocation"] for x in found] == [None] * 6
        assert [x["expected"] for x in found] == pytest.approx([*map(float, gained)], rel=1e-13)
        assert ("remain unspent" in err) == (sum(want) < total)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", list(PLANS))
def test_every_strategy_spends_the_batch_and_leaves_the_solved_alone(run, strategy):
    lines = [*STATE, {"id": "done", "right": 3, "attempts": 3, "solved": True, "floor": 2}]
    lines[0] = lines[0] | {"floor": 3, "cap": 4}
    status, found, err = run(lines, "--total", 17, "--prior", "1,1", "--strategy", strategy)
    assert status == 0
    rollouts = [x["rollouts"] for x in found]
    assert sum(rollouts) == 17
    assert rollouts[-1] == 0
    assert 3 <= rollouts[0] <= 4
    assert "17 rollouts to" in err
    assert "(1 solved)" in err


def test_the_three_kinds_of_prior_and_the_split_over_candidates(run):
    lines = [
        {"id": "counts", "right": 0, "attempts": 3},
        {"id": "own", "alpha": 0.5, "beta": 1.5, "right": 0, "attempts": 3},
        {"id": "candidates", "alpha": [1, 2], "beta": [3, 2]},
        {"id": "after", "alpha": [1, 2], "beta": [3, 2], "right": [0, 0], "attempts": [0, 4]},
        {"id": "weights", "weights": [0.1, 0.3, 0.1]},
        {"id": "scores", "scores": [0.9, 0.9]},
    ]
    status, found, _ = run(lines, "--total", 30, "--prior", "0.5,1.5", "--kappa", 2)
    assert status == 0
    assert sum(x["rollouts"] for x in found) == 30
    assert found[0]["expected"] == found[1]["expected"]
    assert [x["allocation"] is None for x in found] == [True, True, False, False, False, False]
    for x in found[2:]:
        assert sum(x["allocation"]) == x["rollouts"]
    # (1, 3) and after four failures (2, 6): the same mean, the first falls faster.
    first, second = found[3]["allocation"]
    assert first <= second
    assert found[4]["allocation"][1] >= max(found[4]["allocation"])


def test_fitting_is_the_default_and_is_reported(run):
    lines = [{"id": i, "right": s, "attempts": 8} for i, s in enumerate([0, 0, 0, 1, 3, 8, 7, 0])]
    status, found, err = run(lines, "--total", 8)
    assert status == 0
    assert "prior: Beta(0.1555, 0.3624), fitted to 8 counts" in err
    assert "4 problems have right > 0 and are not marked solved" in err
    marked = [x | {"solved": x["right"] > 0} for x in lines]
    status, found, err = run(marked, "--total", 8)
    assert [x["rollouts"] for x in found] == [2, 2, 2, 0, 0, 0, 0, 2]


@pytest.mark.parametrize(("strategy", "want"), [("hora", [2, 2]), ("round-robin", [1, 3])])
def test_rules_of_counts_take_a_problem_without_any_as_unrolled(run, strategy, want):
    lines = [{"id": 0, "right": 0, "attempts": 2}, {"id": 1, "alpha": 1, "beta": 9}]
    status, found, err = run(lines, "--total", 4, "--prior", "1,1", "--strategy", strategy)
    assert status == 0
    assert [x["rollouts"] for x in found] == want
    assert f"1 problem has no right and attempts: {strategy} takes it as unrolled" in err


def test_rounds_share_the_total(run):
    lines = [{"id": i, "right": 0, "attempts": 0} for i in range(5)]
    spent = []
    for r in (1, 2, 3, 4):
        options = "--total", 30, "--prior", "1,1", "--rounds", 4, "--round", r
        _, found, _ = run(lines, *options)
        spent.append(sum(x["rollouts"] for x in found))
    assert spent == [7, 8, 7, 8]


def test_costs_are_spent_in_the_order_of_gain_per_cost(run):
    lines = [
        {"id": i, "alpha": 1, "beta": 1, "cost": c, "value": v}
        for i, (c, v) in enumerate([(1, 1), (2, 1), (0.5, 1), (1, 3)])
    ]
    status, found, err = run(lines, "--total", 4)
    assert status == 0
    spent = sum(x["rollouts"] * line["cost"] for x, line in zip(found, lines, strict=True))
    assert spent <= 4
    assert found[3]["rollouts"] >= found[0]["rollouts"] >= found[1]["rollouts"]
    assert "of value" in err


def test_nothing_to_do_is_legal(run):
    lines = [{"id": i, "right": 1, "attempts": 1 + i, "solved": True} for i in range(3)]
    status, found, err = run(lines, "--total", 10)
    assert status == 0
    assert [x["rollouts"] for x in found] == [0, 0, 0]
    assert [x["expected"] for x in found] == [0, 0, 0]
    assert "10 of the batch remain unspent" in err
    # Even where no prior can be fitted: nobody asks for one.
    sure = [x | {"right": x["attempts"]} for x in lines]
    assert run(sure, "--total", 10)[0] == 0
    status, found, err = run(FIT, "--total", 0)
    assert [x["rollouts"] for x in found] == [0] * 2
    status, found, err = run(STATE, "--total", 0)
    assert status == 0
    assert [x["rollouts"] for x in found] == [0] * 6
    assert "unspent" not in err


GOOD = '{"id": 1, "right": 0, "attempts": 2}\n'
FIT = [{"id": i, "right": s, "attempts": 4} for i, s in enumerate([0, 0])]
BAD = [
    ("", (), "<stdin>: is empty"),
    ("\n" + GOOD, (), "<stdin>:1: line: is blank"),
    (GOOD + "{", (), "<stdin>:2: line: not JSON"),
    (GOOD + GOOD, (), "<stdin>:2: id: 1 is already in <stdin>:1"),
    ([{"right": 0, "attempts": 1}], (), "<stdin>:1: id: missing"),
    ([{"id": 0.5, "right": 0, "attempts": 1}], (), "<stdin>:1: id: is 0.5"),
    ([{"id": 1}], (), "<stdin>:1: right: missing: needs right and attempts"),
    ([{"id": 1, "right": 0}], (), "<stdin>:1: attempts: missing, beside right"),
    ([{"id": 1, "alpha": 1}], (), "<stdin>:1: beta: missing, beside alpha"),
    ([{"id": 1, "right": 3, "attempts": 2}], (), "<stdin>:1: right: 3, more than the attempts, 2"),
    ([{"id": 1, "right": -1, "attempts": 2}], (), "<stdin>:1: right: is -1: needs an integer"),
    ([{"id": 1, "right": 0.5, "attempts": 2}], (), "<stdin>:1: right: is 0.5: needs an integer"),
    ([{"id": 1, "right": True, "attempts": 2}], (), "<stdin>:1: right: is true: needs an integer"),
    ([{"id": 1, "right": 0, "attempts": "2"}], (), '<stdin>:1: attempts: is "2": needs an integer'),
    ('{"id": 1, "right": NaN, "attempts": 2}\n', (), "<stdin>:1: right: is NaN: needs an integer"),
    ('{"id": 1, "alpha": NaN, "beta": 2}\n', (), "<stdin>:1: alpha: is NaN: needs a number"),
    ([{"id": 1, "alpha": 0, "beta": 0}], (), "<stdin>:1: alpha: + beta is 0: needs"),
    ([{"id": 1, "alpha": [1, 1e-320], "beta": [1, 0]}], (), "<stdin>:1: alpha: [1] + beta[1] is"),
    ([{"id": 1, "alpha": [1, 2], "beta": [1]}], (), "<stdin>:1: beta: has length 1, but alpha"),
    ([{"id": 1, "alpha": [1, 2], "beta": 1}], (), "<stdin>:1: beta: needs a list"),
    ([{"id": 1, "alpha": [], "beta": []}], (), "<stdin>:1: alpha: empty"),
    (
        [{"id": 1, "weights": [0.5, 2]}],
        (),
        "<stdin>:1: weights: [1] is 2: needs a number in [0, 1]",
    ),
    ([{"id": 1, "weights": [0.5], "scores": [1]}], (), "<stdin>:1: scores: given beside weights"),
    ([{"id": 1, "weights": [0.5], "alpha": 1, "beta": 1}], (), "weights: given beside alpha"),
    ([{"id": 1, "weights": [0.5]}], (), "<stdin>:1: weights: need --kappa"),
    *(
        (
            [{"id": 1, "right": 0, "attempts": 2, field: value}],
            (),
            f"<stdin>:1: {field}: is {shown}",
        )
        for field, value, shown in (
            ("value", 0, "0: needs a number in [1e-290, 1e+290]"),
            ("value", -1, "-1: needs a number in [1e-290, 1e+290]"),
            ("cost", 0, "0: needs a number in [1e-290, 1e+290]"),
            # What JAX takes for 0 is none, and what it cannot count is no plan.
            ("cost", 1e-320, "1e-320: needs a number in [1e-290, 1e+290]"),
            ("value", 1e-320, "1e-320: needs a number in [1e-290, 1e+290]"),
            ("cost", 1e-9, "1e-09: 10 would pay for more than 1073741824 rollouts"),
            ("cost", "1", '"1": needs a number in [1e-290, 1e+290]'),
            ("floor", -1, "-1: needs an integer"),
            ("cap", 1.5, "1.5: needs an integer"),
            ("solved", 1, "1: needs true or false"),
        )
    ),
    (
        [{"id": 1, "right": 0, "attempts": 2, "floor": 3, "cap": 2}],
        (),
        "cap: is 2, below the floor",
    ),
    (
        [STATE[0] | {"floor": 9}, STATE[1] | {"floor": 2}],
        (),
        "--total: 10 for this batch, less than",
    ),
    (FIT, (), "<stdin>: right: none of 8 attempts"),
    ([x | {"right": 4} for x in FIT], (), "<stdin>: right: all of 8 attempts"),
    ([x | {"attempts": 0} for x in FIT], (), "<stdin>: right: none of 0 attempts"),
    (STATE, ("--prior", "1"), "--prior: '1': needs fit, or two numbers"),
    (STATE, ("--prior", "1,-1"), "--prior: -1: needs a number"),
    (STATE, ("--prior", "1,x"), "--prior: 'x' is not a number"),
    (STATE, ("--total", "2.5"), "--total: 2.5: needs an integer"),
    (STATE, ("--total", "-1"), "--total: -1: needs a number"),
    (STATE, ("--total", "nan"), "--total: nan: needs a number"),
    (STATE, ("--rounds", "0"), "--rounds: 0: needs an integer"),
    (STATE, ("--rounds", "2", "--round", "3"), "--round: 3: needs an integer in [1, 2]"),
    (STATE, ("--rounds", "2", "--strategy", "index"), "--rounds: strategy index plans one batch"),
    (
        [{"id": 1, "alpha": 1, "beta": 1, "cost": 2}],
        ("--strategy", "uniform"),
        "<stdin>:1: cost: is 2: strategy uniform counts rollouts",
    ),
]


@pytest.mark.parametrize(("lines", "options", "said"), BAD)
def test_bad_input_gets_one_line_and_writes_nothing(run, tmp_path, lines, options, said):
    out = tmp_path / "plan.jsonl"
    status, found, err = run(lines, "--total", 10, "--out", out, *options)
    assert (status, found) == (2, [])
    assert said in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_one_document(run, capsys, monkeypatch, tmp_path):
    path = tmp_path / "state.jsonl"
    path.write_text("".join(json.dumps(x) + "\n" for x in STATE))
    assert main(["plan", str(path), "--total", "5", "--prior", "1,1", "--json"]) == 0
    assert [x["id"] for x in json.loads(capsys.readouterr().out)] == list(range(6))


def test_priors_of_a_file_are_those_of_the_lines(run, tmp_path):
    priors = tmp_path / "priors.jsonl"
    priors.write_text(
        '{"id": "b", "alpha": 1, "beta": 3}\n'
        '{"id": "a", "alpha": 0.5, "beta": 2}\n'
        '{"id": "z", "alpha": 1, "beta": 1}\n'
    )
    counts = [
        {"id": "a", "right": 0, "attempts": 2},
        {"id": "b", "right": [0, 1], "attempts": [1, 1]},
        {"id": "c", "alpha": 2, "beta": 2},
    ]
    status, found, err = run(counts, "--total", 9, "--prior", priors)
    assert status == 0
    assert f"no problem for 1 prior of {priors}" in err
    own = [
        counts[0] | {"alpha": 0.5, "beta": 2},
        counts[1] | {"alpha": [1, 1], "beta": [3, 3]},
        counts[2],
    ]
    assert run(own, "--total", 9)[1] == found
    lines = priors.read_text().splitlines(keepends=True)
    for kept, place, said in (
        (lines[:1], "<stdin>:1", 'id: "a" has no prior'),
        ([*lines, '{"id": "c", "right": 0, "attempts": 1}\n'], f"{priors}:4", "alpha: missing"),
        (
            [lines[0], '{"id": "a", "alpha": [1, 1], "beta": [1, 1]}\n'],
            f"{priors}:2",
            "alpha: has 2 candidates",
        ),
    ):
        priors.write_text("".join(kept))
        status, found, err = run(counts, "--total", 9, "--prior", priors)
        assert (status, found) == (2, [])
        assert place in err
        assert said in err
