"""How a program ends that does not end by itself: a status, one line, and nothing left behind.

Loads next to nothing, so that signals are in hand before anything else loads.
"""

import _thread
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from dora_theory._errors import InputError, Interrupted

_SAID = {
    getattr(signal, name): said
    for name, said in (("SIGINT", "interrupted"), ("SIGTERM", "terminated"), ("SIGHUP", "hung up"))
    if hasattr(signal, name)
}
# What shells report of a program that a signal ended.
_BY_SIGNAL = 128
_BROKEN_PIPE = _BY_SIGNAL + 13
# Seconds between two looks at whether an import is still on.
_MOMENT = 0.02


def guarded(command: Callable[[], int], *, whole_process: bool = False) -> int:
    """Runs what returns an exit status, and gives an end that it did not foresee one too.

    Interrupts, termination and hang-up unwind the program, so that files which are not finished
    are removed. While modules load they wait: extension modules make other errors of them.

    Args:
        command: what to run.
        whole_process: nothing but `leave` comes after it, so that signals need not be handled as
            before, and are not handled by a traceback.

    Returns:
        That of the command; 2 for bad input, which one line on standard error names;
        128 + the number of the signal that ended it, which one line names.
    """
    signals = _Signals()
    try:
        signals.receive()
        try:
            status = command()
        except SystemExit:
            # Of `--help`, whose reader may have gone.
            if not signals.received:
                _flush_output()
            raise
        _flush_output()
        return status
    except BaseException as error:
        signals.over = True
        # One that still waits came before this end too.
        number = next(iter([*signals.received, *signals.waiting]), None)
        if number is None and isinstance(error, KeyboardInterrupt):
            number = signal.SIGINT
        if number is not None:
            # Whatever else it has become on its way: libraries turn it into errors of their own.
            if not isinstance(error, Interrupted):
                _say(_SAID[number])
            return _BY_SIGNAL + number
        if isinstance(error, BrokenPipeError):
            # The reader has seen enough (`| head`), which is no error of anyone's.
            return _BROKEN_PIPE
        if isinstance(error, OSError) and not isinstance(error, InputError):
            where = f"{error.filename}: " if error.filename else ""
            error = InputError(f"{where}{error.strerror or error}")
        if isinstance(error, InputError):
            _say(str(error))
            return 2
        raise
    finally:
        signals.release(whole_process)


def leave(status: int) -> int:
    """The status, unless the interpreter's shutdown would spoil it: then the process ends here.

    What a signal cut short is such a case (JAX may be compiling in a thread, which crashes when
    JAX is taken down), and standard output that could not be written, which would be tried again.
    """
    try:
        _flush_output()
        clean = status < _BY_SIGNAL
    except (OSError, InputError):
        clean = False
    if clean:
        return status
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()
    os._exit(status)


class _Signals:
    """The signals that end a program, as exceptions of the main thread.

    Attributes:
        received: numbers of those that were raised.
        waiting: numbers of those that came while modules loaded.
        over: the program is ending already, and no further one is raised.
    """

    def __init__(self) -> None:
        self.received: list[int] = []
        self.waiting: set[int] = set()
        self.over = False
        self._before: dict[int, Any] = {}
        self._hook = sys.unraisablehook

    def receive(self) -> None:
        """From here on they are raised, but for those that are ignored already, as by `nohup`."""
        self._thread = _thread.get_ident()
        for number in _SAID:
            before = signal.getsignal(number)
            if before in (signal.SIG_IGN, None):
                continue
            try:
                signal.signal(number, self._raise)
            except ValueError:
                return  # Not the main thread, which no signal reaches.
            self._before[number] = before
        sys.unraisablehook = self._unraisable

    def release(self, whole_process: bool) -> None:
        """Handles them as before or, at the end of a process, without Python."""
        at_end = signal.SIG_IGN if self.over else signal.SIG_DFL
        self.waiting.clear()
        for number, before in self._before.items():
            signal.signal(number, at_end if whole_process else before)
        sys.unraisablehook = self._hook

    def _raise(self, number: int, frame: FrameType | None) -> None:
        if self.over:
            return
        if _loading(frame):
            self._send_later(number)
            return
        self.waiting.discard(number)
        self.received.append(number)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(_BY_SIGNAL + number)

    def _send_later(self, number: int) -> None:
        if number in self.waiting:
            return
        self.waiting.add(number)

        def send() -> None:
            time.sleep(_MOMENT)
            while number in self.waiting:
                signal.pthread_kill(self._thread, number)
                time.sleep(_MOMENT)

        # Without the locks of `threading`, which the interrupted code may hold.
        _thread.start_new_thread(send, ())

    def _unraisable(self, unraisable: Any) -> None:
        """Raised in a finalizer or a callback, where Python only prints it: raised once more."""
        if self.received and isinstance(unraisable.exc_value, KeyboardInterrupt | SystemExit):
            self._send_later(self.received.pop())
        else:
            self._hook(unraisable)


def _loading(frame: FrameType | None) -> bool:
    """Whether what was interrupted runs in an import that began inside `guarded`."""
    while frame is not None and frame.f_code is not guarded.__code__:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _flush_output() -> None:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except ValueError:
        pass  # Closed, and so flushed.
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"standard output: {error.strerror or error}") from None


def _say(message: str) -> None:
    """One line on standard error, if that is still there."""
    with suppress(OSError, ValueError):
        print(" ".join(message.split("\n")), file=sys.stderr, flush=True)
