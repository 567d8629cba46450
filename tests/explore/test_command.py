"""`dora-theory explore` refuses, in one line, what it cannot serve."""

import json
import socket
import subprocess

import pytest

from dora_theory.cli import explore
from dora_theory.cli.main import main
from dora_theory.explore.logged import Log
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.synthetic import write_synthetic_log

pytest.importorskip("marimo", reason="needs marimo")


def refusal(capsys, *arguments):
    assert main(["explore", "--headless", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    *notes, last = err.splitlines()
    assert all("read as a log of" in note for note in notes)
    return last


def test_a_log_that_is_none_is_named(capsys, tmp_path):
    assert "nowhere.jsonl" in refusal(capsys, str(tmp_path / "nowhere.jsonl"))
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"problem": 1}\n', encoding="utf-8")
    assert "bad.jsonl:1" in refusal(capsys, str(bad))
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"")
    assert "empty.jsonl: holds no record" in refusal(capsys, str(empty))
    assert "needs a file" in refusal(capsys, "-")


def test_a_log_is_held_to_what_replay_holds_it_to(capsys, tmp_path):
    path = tmp_path / "log.jsonl"
    write_synthetic_log(path, problems=40, samples=4)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    good = Log(str(path))
    assert good.problem(good.first(), 0.1)[1].quality.size > 1
    # Every solution one problem further.
    lines = [
        json.dumps(row | {"samples": other["samples"]})
        for row, other in zip(rows, rows[1:] + rows[:1], strict=True)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert "the log is mispaired" in refusal(capsys, str(path))
    rows[1]["samples"][0]["step_scores"][0] = 1.7
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    assert ":2: step_scores: 1.7 of sample 0 is not a number" in refusal(capsys, str(path))
    assert Log(str(path), ReplayOptions(skip_bad=1)).count == 39
    tree = {"problem": "p", "tree_nodes": [{"step": 0, "parent": -1, "line": "l", "value": 0.5}]}
    path.write_text(json.dumps(tree) + "\n", encoding="utf-8")
    assert "this is a tree" in refusal(capsys, str(path))


def test_a_file_of_the_current_folder_is_not_taken_for_a_module_of_python(tmp_path, monkeypatch):
    (tmp_path / "queue.py").write_text("raise SystemExit('a queue of the user')")
    monkeypatch.setattr(explore, "run_process", lambda command, _: given.extend(command) or 0)
    given = []
    assert main(["explore", "--headless"]) == 0
    command = [*given[: given.index("dora_theory.explore") + 1], "--version"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=100)


def test_a_port_that_is_none_or_taken_is_named(capsys):
    assert "'0': needs an integer from 1 to 65535" in refusal(capsys, "--port", "0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"--port {port}: Address already in use" in refusal(capsys, "--port", port)
