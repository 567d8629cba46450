"""Bars and counts appear on a terminal alone, and pass on what they count."""

import sys

import pytest

from dora_theory.io.terminal import counted, progress_bar, say


class Terminal:
    def __init__(self, terminal):
        self.terminal, self.text = terminal, ""

    def isatty(self):
        return self.terminal

    def write(self, text):
        self.text += text

    def flush(self):
        pass


@pytest.mark.parametrize("terminal", [False, True])
def test_a_long_run_shows_on_a_terminal_how_far_it_is(terminal, monkeypatch):
    error = Terminal(terminal)
    monkeypatch.setattr(sys, "stderr", error)
    assert list(counted(iter("abc"), "letters", delay=0)) == ["a", "b", "c"]
    assert ("letters" in error.text) == terminal
    error.text = ""
    with progress_bar(2, "cells") as bar:
        bar.update()
    assert ("cells" in error.text) == terminal
    error.text = ""
    say("done")
    assert error.text == "done\n"
