"""The command finds the benchmarks, passes on what is asked, and says where they are missing."""

import importlib
import json
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

from dora_theory import checkout, cli_bench
from dora_theory.cli import main
from dora_theory.kernels.choice import unavailable

ROOT = Path(checkout.__file__).parent.parent
pytestmark = pytest.mark.skipif(
    not (ROOT / "benchmarks" / "run.py").exists(), reason="needs a source checkout"
)


def test_without_a_checkout_one_line_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(checkout, "__file__", str(tmp_path / "dora_theory" / "checkout.py"))
    with pytest.raises(SystemExit) as stop:
        sys.exit(main(["bench"]))
    assert stop.value.code == 2
    said = capsys.readouterr()
    assert not said.out
    assert said.err.count("\n") == 1
    assert "benchmarks/run.py is not beside the package" in said.err


def test_what_is_asked_is_passed_on(monkeypatch):
    asked = []

    def pretend(command, check):
        asked.append(command)
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr(cli_bench.subprocess, "run", pretend)
    assert main(["bench", "uniqueness", "--rounds", "2", "--out", "here", "--json"]) == 3
    assert asked[0][1].endswith("benchmarks/run.py")
    assert asked[0][2:] == ["uniqueness", "--out=here", "--rounds=2", "--json"]


def bench(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "run.py", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["speed"], "'speed' is none of exact_allocation"), (["--rounds", "0"], "needs at least 1")],
)
def test_bad_arguments_end_with_one_line(arguments, says):
    ran = bench(*arguments)
    assert ran.returncode == 2
    assert says in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_a_run_leaves_figures_and_a_picture(monkeypatch, tmp_path, capsys):
    """Of a job that takes no time to speak of; the races of all jobs are run so."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    run, timing = importlib.import_module("run"), importlib.import_module("timing")

    def napping(rounds):
        calls = {"ours": lambda: time.sleep(0.001), "theirs": lambda: time.sleep(0.004)}
        return {
            "races": {
                "nap": timing.race(calls, rounds, does={"theirs": 0.5}) | {"left_out": ["x"]}
            },
            "milliseconds_as_it_grows": {"N": timing.growth({"1": int, "10": int})},
        }

    monkeypatch.setitem(sys.modules, "naps", types.SimpleNamespace(run=napping))
    monkeypatch.setattr(run, "JOBS", ("naps",))
    monkeypatch.setattr(sys, "argv", ["run.py", "--rounds", "3", "--out", str(tmp_path), "--json"])
    run.main()
    said = capsys.readouterr()
    assert "nap: not installed and left out: x" in said.err
    (figures,) = tmp_path.glob("*.json")
    found = json.loads(said.out)
    assert found == json.loads(figures.read_text(encoding="utf-8"))
    assert found["machine"]["packages"]["jax"]
    # 4 ms for half of the work.
    ratio = found["jobs"]["naps"]["races"]["nap"]["times_faster_than"]["theirs"]
    assert 1 < ratio["low"] <= ratio["median"] <= ratio["high"]
    assert figures.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(unavailable() is None, reason="has an NVIDIA GPU")
def test_without_a_gpu_its_benchmarks_say_so():
    script = ROOT / "benchmarks" / "gpu.py"
    ran = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 2
    assert ran.stderr == "make gpu: " + unavailable() + "\n"
