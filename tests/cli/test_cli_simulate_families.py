"""`dora-theory simulate --families`: a table, a document, and what is refused."""

import json

import pytest

from dora_theory.cli.main import main
from dora_theory.simulation import family_regret
from dora_theory.simulation.family_rules import TEMPERATURES


def fake(family, number, seed):
    kinds = "dora", "magnitude", "shared", "smooth"
    return {"rebase": 0.9} | {f"{kind} {t:g}": 0.92 for kind in kinds for t in TEMPERATURES}


def test_a_table_and_a_document_with_a_rule_of_ones_own(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(family_regret, "evaluate", fake)
    (tmp_path / "mine.py").write_text(
        "def rule(problems, budget, options):\n    return problems.mask * 1.0\n"
    )
    monkeypatch.chdir(tmp_path)
    call = ["simulate", "--families", "U,D", "--num-problems", "2", "--out", "runs.jsonl"]
    assert main(call) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split()[-2:] == ["U", "D"]
    assert "REBASE" in out
    assert main([*call, "--strategy", "mine:rule", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert next(iter(found["rules"])) == "rule"
    assert len((tmp_path / "runs.jsonl").read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--families", "U,X"), "--families = U, X: needs some of U, E, H, D"),
        (("--families", "U", "--num-problems", "1"), "--num-problems: 1: needs an integer"),
        (("--families", "U", "--seed", "x"), "--seed: 'x': needs an integer"),
        (("--families", "U", "--strategy", "best"), "--strategy: 'best' is none of"),
        (("--families", "U", "--strategy", "no:rule"), "--strategy: 'no:rule'"),
        (("--families", "U", "--similarity-temperature", "0"), "--similarity-temperature = 0"),
        (("--families", "U", "--similarity-temperature", "x"), "--similarity-temperature: 'x'"),
        (("sweep.toml", "--families", "U"), "--families: takes the place of SWEEP.toml"),
    ],
)
def test_bad_options_get_one_line_and_write_nothing(capsys, tmp_path, options, said):
    assert main(["simulate", *options, "--out", str(tmp_path / "x")]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())
