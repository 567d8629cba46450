"""Is the final answer right? By comparing texts first, by math-verify where those do not tell.

math-verify takes answers apart with a computer algebra system, which may run for ever on what a
model writes, or fill the memory. So it runs in a process of its own, which has a limit of memory
and is ended when it takes too long.
"""

import contextlib
import json
import queue
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dora_theory._errors import InputError
from dora_theory.replay.grade.answer_text import by_text, normalized, ordered_alike

# Loading the algebra system takes seconds, more on a machine that is busy.
_START = 120.0
# As `python -m` would, but that no file of the current folder, which may be called `queue.py`, is
# taken for a module of Python.
_HERE = Path(__file__).parents[3]
_JUDGE = """\
import runpy, sys
sys.path.append(sys.argv[2])
runpy.run_module("dora_theory.replay.grade.judging", run_name="__main__")
"""
# Verdicts remembered; they repeat inside a problem.
_KNOWN = 1 << 16


class Judge:
    """Compares answers; a context manager, because it may start a process.

    Attributes:
        undecided: how many answers could not be compared in time or memory.
        graded: solutions that were judged by their answers, counted by `grading.judged`.
        unread: those of them that state no answer.
    """

    def __init__(self, timeout: float = 5.0) -> None:
        """Makes a judge; its process starts when it is first needed.

        Args:
            timeout: seconds for one comparison.
        """
        self.undecided = self.graded = self.unread = 0
        self._timeout = timeout
        self._known: dict[tuple[str, str], bool | None] = {}
        self._process: subprocess.Popen[str] | None = None
        self._replies: queue.Queue[str] = queue.Queue()

    def __enter__(self) -> Self:
        """The judge itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends the process."""
        self._stop()

    def same(self, gold: str, answer: str) -> bool:
        """Whether an answer equals the right one.

        Args:
            gold: the right answer, as LaTeX or text.
            answer: the answer to judge.

        Returns:
            True if they are the same text after normalization or the same mathematics; false if
            their text or mathematics says that they differ, or if that could not be found out in
            time, which `undecided` counts.

        Raises:
            InputError: the texts differ, and math-verify is not installed or does not start.
        """
        if normalized(gold) == normalized(answer):
            return True
        verdict = by_text(gold, answer)
        if verdict is not None:
            return verdict
        pair = ordered_alike(gold, answer)
        if pair not in self._known:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[pair] = self._ask(pair)
        verdict = self._known[pair]
        self.undecided += verdict is None
        return bool(verdict)

    def _ask(self, pair: tuple[str, str]) -> bool | None:
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(pair) + "\n")
            self._process.stdin.flush()
            # It watches the time itself; this is for when it cannot.
            reply = self._replies.get(timeout=3 * self._timeout + 1)
        except (queue.Empty, OSError):
            reply = ""
        if not reply:
            self._stop()
            return None
        return json.loads(reply)

    def _start(self) -> None:
        if find_spec("math_verify") is None:
            raise InputError(
                "judging answers needs math-verify: pip install 'dora-theory[replay]', or give "
                "each sample a field correct"
            )
        command = [sys.executable, "-P", "-c", _JUDGE, repr(self._timeout), str(_HERE)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        replies: queue.Queue[str] = queue.Queue()
        threading.Thread(target=_pass_on, args=(process.stdout, replies), daemon=True).start()
        self._process, self._replies = process, replies
        try:
            ready = replies.get(timeout=_START)
        except queue.Empty:
            ready = ""
        if not ready:
            self._stop()
            raise InputError("judging answers: math-verify is installed but does not start")

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                # What could not be delivered is of no use any more.
                with contextlib.suppress(OSError):
                    pipe.close()


def _pass_on(lines: Any, replies: "queue.Queue[str]") -> None:
    # Closed while being read: the process was ended.
    with contextlib.suppress(ValueError):
        for line in lines:
            replies.put(line)
    replies.put("")
