"""The command finds the benchmarks, passes on what is asked, and says where they are missing."""

import contextlib
import csv
import errno
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

import dora_theory
from dora_theory.cli import checkout
from dora_theory.cli.main import guarded, main
from dora_theory.kernels.dispatch import unavailable

ROOT = Path(checkout.__file__).parents[2]
pytestmark = pytest.mark.skipif(
    not (ROOT / "benchmarks" / "run.py").exists(), reason="needs a source checkout"
)


@pytest.fixture(autouse=True)
def interruptible():
    """Where tests run in the background a shell has had interrupts ignored, which is inherited."""
    kept = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, kept)


@pytest.fixture
def placed(monkeypatch, tmp_path):
    """Puts the package elsewhere: `placed(script, project)`, beside files with these texts."""

    def place(script=None, project=None):
        for path, text in (("benchmarks/run.py", script), ("pyproject.toml", project)):
            if text is not None:
                (tmp_path / path).parent.mkdir(exist_ok=True)
                (tmp_path / path).write_text(text, encoding="utf-8")
        monkeypatch.setattr(
            checkout, "__file__", str(tmp_path / "dora_theory" / "cli" / "checkout.py")
        )
        return tmp_path

    return place


@pytest.mark.parametrize(
    ("script", "project"),
    [(None, None), ("1 / 0", None), ("1 / 0", "[project]\nname = 'other'"), ("1 / 0", "not TOML")],
)
def test_without_a_checkout_of_ours_one_line_says_so(placed, capfd, script, project):
    placed(script, project)
    assert main(["bench"]) == 2
    said = capfd.readouterr()
    assert not said.out
    assert said.err.count("\n") == 1
    assert "benchmarks/run.py is not beside the package" in said.err


OURS = "[project]\nname = 'dora-theory'"


def test_what_is_asked_is_passed_on_and_the_checkout_comes_first(placed, monkeypatch, capfd):
    root = placed(
        "import os, sys; print(sys.argv[1:], os.environ['PYTHONPATH']); sys.exit(3)", OURS
    )
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    options = "--rounds", "2", "--out", "here", "--csv", "t.csv", "--races", "--json"
    assert main(["bench", *options, "--", "uniqueness", "--json"]) == 3
    passed = [
        "--out=here",
        "--rounds=2",
        "--csv=t.csv",
        "--races",
        "--json",
        "--",
        "uniqueness",
        "--json",
    ]
    assert capfd.readouterr().out == f"{passed} {root}{os.pathsep}elsewhere\n"


def test_a_run_that_was_killed_has_the_status_that_shells_give(placed):
    placed("import os; os.kill(os.getpid(), 9)", OURS)
    assert main(["bench"]) == 128 + 9


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["speed"], "'speed' is none of exact_allocation"),
        (["--", "--json"], "'--json' is none of exact_allocation"),
        (["--rounds", "0"], "needs at least 1"),
        (["--out", ""], "--out: needs a folder, got ''"),
        (["--out", str(ROOT / "README.md")], "README.md: File exists"),
        (["--out", "/proc/1"], "--out: /proc/1: "),
    ],
)
def test_bad_arguments_end_with_one_line_before_any_job(arguments, says, capfd):
    assert main(["bench", *arguments]) == 2
    said = capfd.readouterr()
    assert not said.out
    assert says in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("terminal", [True, False])
def test_an_interrupted_run_says_one_line_and_leaves_nothing(tmp_path, terminal):
    """A terminal's Ctrl-C goes to all that run, that of `kill` to the command alone."""
    command = [sys.executable, "-m", "dora_theory", "bench", "first_result", "--out", str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as ran:
        assert ran.stderr.readline() == "first_result …\n"
        (os.killpg if terminal else os.kill)(ran.pid, signal.SIGINT)
        out, error = ran.communicate(timeout=60)
    assert (ran.returncode, out, error) == (130, "", "interrupted: nothing written\n")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def bench(monkeypatch):
    """Runs jobs that take no time to speak of; the races of all jobs are run so."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    run, timing = importlib.import_module("run"), importlib.import_module("timing")

    def napping(rounds):
        calls = {"ours": lambda: time.sleep(0.001), "theirs": lambda: time.sleep(0.004)}
        raced = timing.race(calls, rounds, does={"theirs": 0.5})
        return {"races": {"nap": raced | {"left_out": ["x"]}}}

    def growing():
        return {"milliseconds_as_it_grows": {"N": timing.growth({"1": int, "10": int})}}

    naps = types.SimpleNamespace(run=napping, growing=growing)
    monkeypatch.setitem(sys.modules, "naps", naps)
    monkeypatch.setitem(sys.modules, "more", types.SimpleNamespace(run=lambda rounds: {}))
    monkeypatch.setattr(run, "JOBS", ("naps", "more"))

    def ran(*arguments):
        monkeypatch.setattr(sys, "argv", ["run.py", "--rounds", "3", *arguments])
        return guarded(run.main)

    ran.module = run
    return ran


def test_a_run_leaves_figures_and_a_picture(bench, monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(bench.module, "RESULTS", tmp_path)
    assert bench("--json") == 0
    said = capfd.readouterr()
    assert "nap: not installed and left out: x" in said.err
    (figures,) = tmp_path.glob("*.json")
    found = json.loads(said.out)
    assert found == json.loads(figures.read_text(encoding="utf-8"))
    assert found["machine"]["packages"]["jax"]
    assert found["machine"]["packages"]["dora-theory"] == dora_theory.__version__
    assert found["jobs"]["naps"]["milliseconds_as_it_grows"]["N"]["10"] > 0
    # 4 ms for half of the work.
    ratio = found["jobs"]["naps"]["races"]["nap"]["times_faster_than"]["theirs"]
    assert 1 < ratio["low"] <= ratio["median"] <= ratio["high"]
    assert figures.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("part", [["naps"], ["--races"]])
def test_a_part_is_printed_and_written_only_where_asked(bench, monkeypatch, tmp_path, capfd, part):
    monkeypatch.setattr(bench.module, "RESULTS", tmp_path)
    assert bench(*part) == 0
    said = capfd.readouterr()
    assert "times faster" in said.out
    assert "nothing is written: --out FOLDER" in said.err
    assert not list(tmp_path.iterdir())
    table = tmp_path.with_suffix(".csv")
    assert bench(*part, "--out", str(tmp_path / "here"), "--csv", str(table)) == 0
    with table.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["race"], row["ours"], row["against"]) == ("nap", "ours", "theirs")
    assert float(row["low"]) <= float(row["times_faster"]) <= float(row["high"])
    written = [path.name for path in (tmp_path / "here").iterdir()]
    assert sorted(name.partition("-part.")[2] for name in written) == ["json", "png"]


def test_what_cannot_be_written_or_is_stopped_leaves_the_old_as_it_was(
    bench, monkeypatch, tmp_path, capfd
):
    assert bench("--out", str(tmp_path)) == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    capfd.readouterr()
    draw = importlib.import_module("picture").draw

    def stopped(*arguments):
        signal.raise_signal(signal.SIGINT)

    def full(result, out):
        draw(result, out)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for ends, status, says in (
        (stopped, 130, "interrupted: nothing written"),
        (full, 2, "No space left on device"),
    ):
        monkeypatch.setattr("picture.draw", ends)
        assert bench("--out", str(tmp_path)) == status
        said = capfd.readouterr()
        assert not said.out
        assert said.err.endswith(f"\nmore …\n{says}\n")
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_figures_do_not_appear_without_their_picture(bench, tmp_path, capfd):
    assert bench("--out", str(tmp_path)) == 0
    (figures,) = tmp_path.glob("*.json")
    figures.unlink()
    figures.with_suffix(".png").unlink()
    figures.with_suffix(".png").mkdir()
    assert bench("--out", str(tmp_path)) == 2
    assert capfd.readouterr().err.endswith("is a directory\n")
    assert not figures.exists()


def test_a_reader_that_has_seen_enough_is_no_error(bench, monkeypatch, capfd):
    reading, writing = os.pipe()
    os.close(reading)
    # What was not read is tried once more when the file is closed.
    with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert bench("naps") == 141
    assert "Error" not in capfd.readouterr().err


@pytest.mark.skipif(unavailable() is None, reason="has an NVIDIA GPU")
def test_without_a_gpu_its_benchmarks_say_so():
    script = ROOT / "benchmarks" / "gpu.py"
    ran = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 2
    assert ran.stderr == "make gpu: " + unavailable() + "\n"


def test_without_a_module_that_its_benchmarks_need_one_line_says_which(tmp_path):
    hides = "import sys\nsys.modules['jax'] = None\n"
    (tmp_path / "sitecustomize.py").write_text(hides, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "gpu.py", "--dry-run"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 1
    assert "jax" in ran.stderr


@pytest.mark.parametrize("out", ["here", None])
def test_a_rehearsal_goes_through_all_parts_and_keeps_what_out_asks_for(
    monkeypatch, tmp_path, capsys, out
):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    gpu = importlib.import_module("gpu")
    parts = {}

    def part(name, command, limit, tuned=False):
        parts[name] = next(
            (Path(word.partition("=")[2]) for word in command if word.startswith("--out=")), None
        )
        if parts[name]:
            (parts[name] / "figures.json").touch()
        return True

    monkeypatch.setattr(gpu, "part", part)
    # Relative to where the caller is; the parts run in the checkout.
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OUT", raising=False)
    if out:
        monkeypatch.setenv("OUT", out)
    assert gpu.run(dry=True) == 0
    assert list(parts) == ["kernel tests", "roofline", "benchmarks"]
    said = capsys.readouterr().out
    if out:
        assert parts["benchmarks"] == tmp_path / "here"
        assert str(tmp_path / "here" / "figures.json") in said.splitlines()
    else:
        assert not parts["benchmarks"].exists()
        assert said == "\n== files, not kept because $OUT is not set: figures.json\n"
