"""`dora-theory simulate --benchmark`: a table, a document, and what is refused."""

import json

import jax
import pytest

import dora_theory as dt
from dora_theory.cli.main import main

FAST = (
    "--num-problems",
    "50",
    "--num-draws",
    "4",
    "--rules",
    "uniform,round-robin",
    "--budgets",
    "2,4",
)


def test_the_document_is_that_of_python(capsys, tmp_path):
    parts = ("--benchmark", "0.5,1.5,0.25", "--benchmark", "2,1,0.75", "--unsolvable", "0.1")
    assert main(["simulate", *parts, *FAST, "--json", "--seed", "3"]) == 0
    found = json.loads(capsys.readouterr().out)
    want = dt.simulate_benchmark(
        jax.random.key(3),
        dt.Difficulty([0.5, 2], [1.5, 1], [0.25, 0.75], 0.1),
        rules=["uniform", "round-robin"],
        budgets=(2, 4),
        num_problems=50,
        num_draws=4,
    )
    assert found == want.data
    out = tmp_path / "table.txt"
    assert main(["simulate", "--benchmark", "0.5,1.5", *FAST, "--out", str(out)]) == 0
    heads = ["%", "uniform", "round-robin", "the", "round-robin-uniform"]
    assert [x.split()[0] for x in out.read_text().splitlines() if x] == heads


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--benchmark", "1"), "--benchmark: '1': needs 2 or 3 numbers"),
        (("--benchmark", "1,x"), "--benchmark: '1,x': needs numbers"),
        (("--benchmark", "0,1"), "--alpha = 0"),
        (("--benchmark", "1,1", "--benchmark", "1,1,1"), "--benchmark: needs a share for all"),
        (("--benchmark", "1,1,0.5"), "--shares: sum to 0.5"),
        (("--benchmark", "1,1", "--rules", "best"), "--rules: 'best' is none of uniform"),
        (("--benchmark", "1,1", "--budgets", "0"), "--budgets: 0: needs an integer"),
        (("--benchmark", "1,1", "--unsolvable", "1"), "--unsolvable = 1"),
        (("sweep.toml", "--benchmark", "1,1"), "--benchmark: takes the place of SWEEP.toml"),
        ((), "--out: missing"),
    ],
)
def test_bad_options_get_one_line_and_write_nothing(capsys, tmp_path, options, said):
    extra = ("--out", str(tmp_path / "x")) if options else ()
    assert main(["simulate", *options, *extra]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())
