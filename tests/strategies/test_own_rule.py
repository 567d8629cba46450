"""A rule of one's own, from outside the package, wherever a strategy's name goes."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dora_theory as dt
from dora_theory.cli.main import main
from dora_theory.replay.synthetic import write_synthetic_log
from dora_theory.strategies.choosing import as_strategy

ROWS = [[0.2, 0.9, 0.5], [0.7, 0.1]]
MODULE = """
import jax.numpy as jnp

def to_the_first(problems, budget, options):
    first = jnp.arange(problems.mask.shape[-1]) == 0
    return jnp.where(first, jnp.broadcast_to(budget, problems.mask.shape[:1])[:, None], 0)

def broken(problems, budget, options):
    return jnp.ones(problems.mask.shape, int)
"""


def squared(problems, budget, options):
    """Weights in proportion to the square of the scores."""
    return jnp.where(problems.mask, problems.scores**2, 0)


def in_numpy(problems, budget, options):
    """The same rollouts for everyone, with what is left for the first."""
    mask = np.asarray(problems.mask)
    each = int(budget) // mask.sum(-1, keepdims=True) * mask
    each[:, 0] += int(budget) - each.sum(-1)
    return each


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "my_rules.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "my_rules"


def test_in_allocate():
    problems = dt.Problems.from_rows(ROWS)
    assert dt.allocate(problems, squared, 8).tolist() == [[0, 6, 2], [8, 0, 0]]
    assert dt.allocate(problems, in_numpy, 7).tolist() == [[3, 2, 2], [4, 3, 0]]
    with pytest.raises(ValueError, match="'guess' is none of temperature, beam"):
        dt.allocate(problems, "guess", 8)
    with pytest.raises(TypeError, match="strategy = 3: needs a name or a function"):
        dt.allocate(problems, 3, 8)


@pytest.mark.parametrize(
    ("wrong", "rows"),
    [
        (lambda p, n, o: [[3, 3, 3], [4, 4, 0]], [0]),  # 9 of 8
        (lambda p, n, o: [[9, -1, 0], [4, 4, 0]], [0]),
        (lambda p, n, o: [[8, 0, 0], [4, 0, 4]], [1]),  # to padding
        (lambda p, n, o: [[1.0, jnp.nan, 1.0], [1.0, 1.0, 0.0]], [0]),
        (lambda p, n, o: [[1.0, 1.0, 1.0], [0.0, 0.0, 1.0]], [1]),
        (lambda p, n, o: [[-1.0, 1.0, 1.0], [jnp.inf, 1.0, 0.0]], [0, 1]),
    ],
)
def test_what_is_no_allocation_is_not_fixed_in_silence(wrong, rows):
    given = np.asarray(dt.allocate(dt.Problems.from_rows(ROWS), wrong, 8))
    for i in range(2):
        assert (given[i] == -1).all() if i in rows else given[i].sum() == 8


def test_another_shape_is_named():
    def short(problems, budget, options):
        return jnp.ones(3)

    with pytest.raises(ValueError, match=r"strategy short: returned shape \(3,\), not \(2, 3\)"):
        dt.allocate(dt.Problems.from_rows(ROWS), short, 8)


@pytest.mark.slow
def test_in_simulate(module):
    population = dt.Population(num_candidates=4, num_directions=2)
    rules = ["rebase", squared, f"{module}:to_the_first"]
    found = dt.simulate(
        jax.random.key(0), population, rules, 4, num_problems=64, num_samples=4, level="closed"
    )
    assert found.strategies == ("rebase", "squared", "to_the_first")
    assert 0 < found.success("to_the_first").value < found.success("rebase").value
    names = {row["strategy"] for row in found.rows()}
    assert names == set(found.strategies)
    with pytest.raises(ValueError, match=r"strategy broken: .* spend N = 3"):
        dt.simulate(
            jax.random.key(0), population, [f"{module}:broken"], 3, num_problems=64, level="closed"
        )


def test_in_replay(tmp_path, module):
    log = str(tmp_path / "log.jsonl")
    write_synthetic_log(log, problems=3, samples=6, seed=1)
    found = dt.replay(log, strategies=["rebase", in_numpy, f"{module}:to_the_first"], budgets=[2])
    assert list(found.data["strategies"]) == ["rebase", "in_numpy", "to_the_first"]
    assert "in_numpy-rebase" in found.data["paired"]
    with pytest.raises(ValueError, match="strategy broken: problem"):
        dt.replay(log, strategies=[f"{module}:broken"], budgets=[2])


@pytest.mark.slow
def test_in_search():
    world = dt.Tree(steps=2, num_directions=2, answers=3, dimension=4)
    found = dt.search(world, ["rebase", squared], 4, num_problems=2)
    assert {row["strategy"] for row in found.rows()} == {"rebase", "squared"}

    def broken(problems, budget, options):
        return jnp.full(problems.mask.shape, 2)

    with pytest.raises(ValueError, match="strategy broken: did not spend the budget"):
        dt.search(world, [broken], 3, num_problems=2)


def test_on_the_command_line(module, capsys, tmp_path):
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps({"scores": row}) + "\n" for row in ROWS), encoding="utf-8")
    options = "allocate", str(path), "--budget", "4", "--strategy"
    assert main([*options, f"{module}:to_the_first"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [a["allocation"] for a in answers] == [[4, 0, 0], [4, 0]]
    assert {a["strategy"] for a in answers} == {"to_the_first"}
    for name, message in (
        (f"{module}:nothing", "has no attribute 'nothing'"),
        ("no_such_module:rule", "No module named 'no_such_module'"),
        (f"{module}:broken", "strategy broken: problem 0: needs finite weights"),
    ):
        assert main([*options, name]) == 2
        out, err = capsys.readouterr()
        assert message in err
        assert (out, err.count("\n")) == ("", 1)


def test_names_and_looks():
    assert as_strategy(squared).label == "squared"
    assert as_strategy(lambda *_: None).name == "rule"
    assert str(dt.STRATEGIES["dora"]) == "dora"
    assert dt.STRATEGIES["dora"].label == "DORA"
