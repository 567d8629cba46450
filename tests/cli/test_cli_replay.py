"""`replay` as its users meet it."""

import gzip
import json
import subprocess
import sys

import pytest

from dora_theory.cli.main import main
from dora_theory.replay.synthetic import write_synthetic_log

FAST = ("--budgets", "4,2", "--strategies", "rebase,temperature")


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.jsonl.gz"
    write_synthetic_log(path, problems=6)
    return path


@pytest.fixture
def run(capsys):
    def call(*arguments):
        status = main(["replay", *map(str, arguments)])
        return status, *capsys.readouterr()

    return call


def test_json(run, log):
    status, out, err = run(log, *FAST, "--json")
    document = json.loads(out)
    assert status == 0
    assert document["log"] == str(log)
    assert (document["problems"], document["samples"]) == (6, 96)
    cell = document["strategies"]["rebase"]["budget"]["4"]
    assert 0 <= cell["low"] <= cell["success"] <= cell["high"] <= cell["upper_bound"] + 1
    assert set(document["paired"]) == {"temperature-rebase"}
    assert document["options"]["budgets"] == [2, 4]
    assert "plain format" in err
    assert document["notes"][0] in err


def test_two_logs_make_an_array_and_two_tables(run, log):
    _, out, _ = run(log, log, *FAST, "--json")
    assert len(json.loads(out)) == 2
    _, out, _ = run(log, log, *FAST)
    assert out.count("Difference to REBASE") == 2


@pytest.mark.slow
def test_a_bad_log_does_not_stop_the_report_of_a_good_one(run, log, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"problem": 1}\n', encoding="utf-8")
    folder = tmp_path / "report"
    status, out, err = run(log, bad, *FAST, "--report", folder)
    assert status == 2
    assert f"{bad}:1: " in err
    assert out.startswith(f"{log}: ")
    assert bad.name not in out
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert log.name in page
    assert bad.name not in page


def test_a_scale_is_for_a_name_or_a_path_and_for_one_log_at_least(run, log, tmp_path):
    for glob in ("log.*", f"{tmp_path}/*"):
        status, out, _ = run(log, *FAST, "--json", "--score-scale", f"{glob}=2")
        assert (status, json.loads(out)["options"]["score_scale"]) == (0, 2)
    status, out, err = run(log, *FAST, "--score-scale", "other*=2")
    assert (status, out) == (2, "")
    assert err == "--score-scale: other*=2: fits the name of no log\n"


def test_a_report_that_cannot_be_written_is_named_at_once(run, log):
    status, _, err = run(log, *FAST, "--report", log)
    assert (status, err) == (2, f"--report: {log}: File exists\n")


@pytest.mark.slow
def test_half_a_surrogate_pair_is_written_as_json_writes_it(run, log, tmp_path):
    rows = [json.loads(line) for line in gzip.decompress(log.read_bytes()).splitlines()]
    for row in rows:
        row["level"] = "\ud800"
    path = tmp_path / "odd.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    status, _, _ = run(path, *FAST, "--report", tmp_path / "out")
    assert status == 0
    found = json.loads((tmp_path / "out" / "replay.json").read_text(encoding="utf-8"))
    assert "\ud800" in json.dumps(found, ensure_ascii=False)


def test_out_and_figure(run, log, tmp_path):
    out, figure = tmp_path / "table.txt", tmp_path / "folder" / "success.png"
    status, printed, err = run(log, *FAST, "--out", out, "--figure", figure)
    assert (status, printed) == (0, "")
    assert "Success, % of problems" in out.read_text()
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert figure.with_suffix(".svg").exists()
    assert "success.svg" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--budgets", "4,x"), "argument --budgets: '4,x': needs integers"),
        (("--budgets", "0"), "--budgets: 0"),
        (("--strategies", "rebase,luck"), "--strategies: 'luck' is none of"),
        (("--encoder", "bert"), "--encoder: 'bert' is none of"),
        (("--figure", "picture.gif"), "--figure: picture.gif: needs a name that ends in .png"),
        (("--steps", "0"), "--steps: 0"),
    ],
)
def test_bad_options(run, log, arguments, message):
    status, out, err = run(log, *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") <= 2
    assert "Traceback" not in err


def test_a_torn_log(run, log, tmp_path):
    lines = gzip.decompress(log.read_bytes()).splitlines(keepends=True)
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(b"".join(lines[:4]) + lines[4][:100])
    out = tmp_path / "out.json"
    status, _, err = run(torn, *FAST, "--json", "--out", out)
    assert status == 2
    assert f"{torn}:5: line: not JSON" in err
    assert not out.exists()
    status, _, err = run(torn, *FAST, "--json", "--out", out, "--skip-bad", 1)
    assert status == 0
    assert f"skipped {torn}:5: line: not JSON" in err
    assert "1 bad record skipped, 4 records read" in err
    assert json.loads(out.read_text())["problems"] == 4


def test_a_mispaired_log(run, log, tmp_path):
    rows = [json.loads(line) for line in gzip.decompress(log.read_bytes()).splitlines()]
    moved = rows[1:] + rows[:1]
    path = tmp_path / "mispaired.jsonl"
    path.write_text(
        "".join(
            json.dumps(row | {"samples": other["samples"]}) + "\n"
            for row, other in zip(rows, moved, strict=True)
        )
    )
    status, out, err = run(path, *FAST)
    assert (status, out) == (2, "")
    assert "the log is mispaired" in err


def test_scores_on_another_scale(run, log, tmp_path):
    rows = [json.loads(line) for line in gzip.decompress(log.read_bytes()).splitlines()]
    for row in rows:
        for sample in row["samples"]:
            sample["step_scores"] = [60 * score for score in sample["step_scores"]]
    path = tmp_path / "votes.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, _, err = run(path, *FAST)
    assert status == 2
    assert "--score-scale divides scores" in err
    status, out, _ = run(path, *FAST, "--json", "--score-scale", 60)
    expected = json.loads(run(log, *FAST, "--json")[1])
    assert json.loads(out)["strategies"] == expected["strategies"]
    assert json.loads(out)["options"]["score_scale"] == 60


def test_bad_input_is_reported_before_jax_is_loaded(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text("{")
    code = (
        "import sys; from dora_theory.cli.main import main; "
        "status = main(['replay', sys.argv[1]]); "
        "print(status, [name for name in ('jax', 'sklearn') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(log)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "2 []\n"


def test_help_loads_no_arrays():
    code = (
        "import sys; from dora_theory.cli.main import parser; parser(); "
        "print([name for name in ('jax', 'sklearn', 'matplotlib') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
