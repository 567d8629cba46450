"""Each example, run as a user runs it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not EXAMPLES.exists(), reason="needs a source checkout"),
]


def run(*command):
    # `dora-theory` of this environment, as if it were activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    found = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PATH": path}, timeout=200
    )
    return found.returncode, found.stdout.splitlines(), found.stderr.splitlines()


@pytest.mark.parametrize("name", ["search_and_learn", "rebase"])
def test_the_lines_give_each_idea_its_share(name):
    status, out, err = run(sys.executable, str(EXAMPLES / f"{name}.py"))
    assert (status, err, len(out)) == (0, [], 3)
    # Counting is as good and sampled more often; a candidate of 0.6 rollouts keeps its one.
    assert out[0].endswith("count 10, split 2, guess 0 → count 7, split 5, guess 0")


def test_its_hub():
    pytest.importorskip("its_hub")
    status, out, _ = run(sys.executable, str(EXAMPLES / "its_hub_search.py"))
    assert (status, out) == (0, ["12 responses: count 7, split 5, guess 0", "chosen: count"])


def test_treequest():
    pytest.importorskip("treequest")
    status, out, _ = run(sys.executable, str(EXAMPLES / "treequest_search.py"))
    assert status == 0
    assert out[1:] == [f"depth {i}: count 7, split 5, guess 0" for i in (2, 3)]


def test_a_stream_in_a_shell():
    if not (bash := shutil.which("bash")):
        pytest.skip("bash is not installed")
    status, out, err = run(bash, str(EXAMPLES / "stream.sh"))
    assert status == 0
    assert '"allocation": [16, 0, 0]' in out[0]
    assert '"error": ' in out[1]
    assert '"allocation": [8, 8, 0]' in out[2]
    assert out[3:] == ["exit status 2"]
    assert "1 of 3" in err[-1]


def test_a_stream_in_node():
    if not (node := shutil.which("node")):
        pytest.skip("node is not installed")
    status, out, _ = run(node, str(EXAMPLES / "stream.js"))
    assert status == 0
    assert out[0] == "1: 16,0,0"
    assert out[1].startswith("bad line: ")
    assert out[2:] == ["3: 8,8,0", "exit status 2"]
