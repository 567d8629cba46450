"""Is the final answer right? By comparing texts first, by math-verify where they differ.

math-verify takes answers apart with a computer algebra system, which may run for ever on what a
model writes. So it runs in a process of its own, which is ended when it takes too long.
"""

import contextlib
import json
import queue
import re
import subprocess
import sys
import threading
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

from dora_theory._errors import InputError

# Loading the algebra system takes seconds, more on a machine that is busy.
_START = 120.0
# Verdicts remembered; they repeat inside a problem.
_KNOWN = 1 << 16


def final_answer(text: str) -> str | None:
    r"""What stands in the last `\boxed{…}` of a solution, None if there is none that is closed."""
    for match in reversed(list(re.finditer(r"\\(?:boxed|fbox)\s*", text))):
        start = match.end()
        if text[start : start + 1] == "{":
            depth = 0
            for i in range(start, len(text)):
                if text[i - 1] == "\\":
                    continue
                depth += (text[i] == "{") - (text[i] == "}")
                if depth == 0:
                    return text[start + 1 : i].strip()
    return None


def normalised(answer: str) -> str:
    """An answer without what makes no difference in mathematics, for comparing as text."""
    text = answer.strip().rstrip(".").strip("$ ")
    text = re.sub(r"\\(left|right|displaystyle|!|,|;|:|quad|qquad)(?![a-zA-Z])", "", text)
    text = re.sub(r"\\[dt]frac(?![a-zA-Z])", r"\\frac", text)
    text = re.sub(r"\\(?:text|mathrm|textbf|mathbf)\s*\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\^\{?\\circ\}?|\\%|\\\$|°", "", text)
    text = re.sub(r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\sqrt\s*(\w)", r"\\sqrt{\1}", text)
    return re.sub(r"\s+", "", text.replace("\\ ", "").replace("~", ""))


class Judge:
    """Compares answers; a context manager, because it may start a process.

    Attributes:
        undecided: how many comparisons were ended because they took too long.
    """

    def __init__(self, timeout: float = 5.0) -> None:
        """Makes a judge; its process starts when it is first needed.

        Args:
            timeout: seconds for one comparison.
        """
        self.undecided = 0
        self._timeout = timeout
        self._known: dict[tuple[str, str], bool] = {}
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
            True if they are the same text after normalisation or the same mathematics; false if
            not, or if that could not be found out in time, which `undecided` counts.

        Raises:
            InputError: the texts differ, and math-verify is not installed or does not start.
        """
        pair = (gold, answer)
        if normalised(gold) == normalised(answer):
            return True
        if pair not in self._known:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            verdict = self._ask(pair)
            if verdict is None:
                self.undecided += 1
            self._known[pair] = bool(verdict)
        return self._known[pair]

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
        command = [sys.executable, "-m", "dora_theory.replay.grade.judging", repr(self._timeout)]
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
