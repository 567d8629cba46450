"""`dora-theory explore` refuses, in one line, what it cannot serve."""

import socket

import pytest

from dora_theory.cli import main

pytest.importorskip("marimo", reason="needs marimo")


def refusal(capsys, *arguments):
    assert main(["explore", "--headless", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_a_log_that_is_none_is_named(capsys, tmp_path):
    assert "nowhere.jsonl" in refusal(capsys, str(tmp_path / "nowhere.jsonl"))
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"problem": 1}\n', encoding="utf-8")
    assert "bad.jsonl:1" in refusal(capsys, str(bad))
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"")
    assert "empty.jsonl: holds no record" in refusal(capsys, str(empty))
    assert "needs a file" in refusal(capsys, "-")


def test_a_port_that_is_none_or_taken_is_named(capsys):
    assert "'0': needs a whole number from 1 to 65535" in refusal(capsys, "--port", "0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"--port {port}: Address already in use" in refusal(capsys, "--port", port)
