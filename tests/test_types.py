"""What a type checker sees of the public API."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import dora_theory as dt

best = dt.optimal_allocation([0.4, 0.6], 1.0, 8)
reveal_type(best)
dt.nonexistent
dt.optimal_allocation([0.4, 0.6], budget=8)
dt.simulate(strategies=3)
dt.replay("log.jsonl", budgets="4")
dt.replay("log.jsonl", strategies=["rebase", lambda p, n, o: p.scores]).to_dataframe()
"""


def test_mypy_sees_names_and_types(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", "", "--ignore-missing-imports"]
    done = subprocess.run([*command, str(script)], capture_output=True, text=True, check=False)
    errors = [line.split(": ", 2) for line in done.stdout.splitlines() if ": " in line]
    found = {int(place.rpartition(":")[2]): what for place, _, what in errors if ":" in place}
    assert 'Revealed type is "jax' in found[5]
    assert 'no attribute "nonexistent"' in found[6]
    assert set(found) == {5, 6, 7, 8, 9}, done.stdout
