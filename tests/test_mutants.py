"""Planted errors are Python, differ from what stood there, and are found again where lines move."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import mutants  # noqa: E402
from planting import planted  # noqa: E402

SOURCE = """
def half(x, y=2):
    \"\"\"1 + 1 is no code.\"\"\"
    if x < 0:
        raise ValueError(f"{x + 1}")
    return min(x, 1) - x / y
"""


def test_every_expression_that_computes_is_mutated_and_nothing_else():
    found = {(m.before, m.after) for m, _ in planted(SOURCE, "half.py")}
    assert {("x < 0", "x <= 0"), ("x / y", "x * y"), ("x / y", "x"), ("2", "3")} <= found
    assert ("x + 1", "x - 1") not in found
    every = [(m.key, make()) for m, make in planted(SOURCE, "half.py")]
    assert len({key for key, _ in every}) == len(every)
    for _, text in every:
        assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(SOURCE))
    moved = [m.key for m, _ in planted("\n\n" + SOURCE, "half.py")]
    assert moved == [key for key, _ in every]


@pytest.mark.parametrize("file", mutants.MODULES)
def test_modules_and_their_tests_are_there(file):
    assert (ROOT / "dora_theory" / file).is_file()
    assert all((ROOT / name).exists() for name in mutants.MODULES[file])
