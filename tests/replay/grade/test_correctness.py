"""Judging answers: text first, mathematics second, and never for ever."""

import os
import signal
import sys

import pytest

from dora_theory._errors import InputError
from dora_theory.replay.grade import correctness
from dora_theory.replay.grade.answer_text import normalized
from dora_theory.replay.grade.correctness import Judge
from dora_theory.replay.grade.final_answers import final_answer
from dora_theory.replay.read.readers import read_log


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{2}", "2"),
        (r"\boxed{1} then $\boxed{ \frac{1}{2} }$.", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\left\{ x \right\}}", r"\left\{ x \right\}"),
        (r"\boxed{3} and \boxed{4", "3"),
        (r"\boxed 5", None),
        (r"\fbox{6}", "6"),
        ("no box", None),
        ("", None),
    ],
)
def test_final_answer(text, answer):
    assert final_answer(text) == answer


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\dfrac{\pi}{2})", True),
        (r"\frac12", r"\frac{1}{2}", True),
        (r"\sqrt2", r"\sqrt{2}", True),
        (r"90^\circ", "90", True),
        (r"\text{even}", "even", True),
        ("$5$.", "5", True),
        (r"\leftarrow", "arrow", False),
        ("5", "15", False),
        ("-5", "5", False),
        (r"\frac{1}{2}", r"\frac{2}{1}", False),
    ],
)
def test_normalized(one, other, same):
    assert (normalized(one) == normalized(other)) is same


@pytest.fixture(scope="module")
def judge():
    pytest.importorskip("math_verify")
    with Judge(timeout=1) as judge:
        yield judge


@pytest.mark.parametrize(
    ("gold", "answer", "same"),
    [
        ("0.5", r"\frac{1}{2}", True),
        ("x + 1", "1 + x", True),
        (r"\frac{14}{3}", r"4\frac{2}{3}", True),
        ("7", "8", False),
        ("p - q", "q - p", False),
        ("5", "}{", False),
        ("5", "", False),
    ],
)
def test_same_mathematics(judge, gold, answer, same):
    assert judge.same(gold, answer) is same
    assert judge.same(gold, answer) is same


def test_what_takes_for_ever_is_ended(judge):
    before = judge.undecided
    assert judge.same("3", "9^{9^{9^{9^{9}}}}") is False
    assert judge.same("0.25", r"\frac{1}{4}") is True
    assert judge.undecided <= before + 1


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs POSIX signals")
def test_a_process_that_hangs_is_replaced(judge, tmp_path, monkeypatch):
    # The new one starts in a folder with a file that is called like a module of Python.
    (tmp_path / "fractions.py").write_text("raise ImportError\n")
    monkeypatch.chdir(tmp_path)
    assert judge.same("0.125", r"\frac{1}{8}")
    before, process = judge.undecided, judge._process
    os.kill(process.pid, signal.SIGSTOP)
    assert judge.same("0.2", r"\frac{1}{5}") is False
    assert judge.undecided == before + 1
    assert process.poll() is not None
    assert judge.same("0.4", r"\frac{2}{5}") is True


def test_without_math_verify(monkeypatch):
    monkeypatch.setattr(correctness, "find_spec", lambda _: None)
    with Judge() as judge:
        assert judge.same("5", " 5 ")
        with pytest.raises(InputError, match=r"pip install 'dora-theory\[replay\]'"):
            judge.same("5", "6")


def test_math_verify_that_does_not_start(monkeypatch):
    monkeypatch.setattr(correctness, "find_spec", lambda _: True)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Judge() as judge, pytest.raises(InputError, match="does not start"):
        judge.same("5", "6")


def test_agrees_with_logged_verdicts(judge, real_log):
    decided = 0
    for name, every in (
        ("openr_math500_bon4_qwen25math15b", 20),
        ("bayesprm_math3_bon256_llama32_1b", 1),
    ):
        for i, record in enumerate(read_log(real_log(name))):
            for sample in record.samples[:40] if i % every == 0 else ():
                answer = final_answer(sample.text)
                if answer is not None:
                    decided += 1
                    assert judge.same(record.gold_answer, answer) is sample.correct, answer
    assert decided > 150
