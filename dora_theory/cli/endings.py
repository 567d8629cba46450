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
# Seconds until a signal is sent again, for what it raised may have been caught and forgotten.
_AGAIN = 1.0
# Of the commands that run, the innermost last.
_RUNNING: list["_Signals"] = []


def guarded(command: Callable[[], int], *, whole_process: bool = False) -> int:
    """Runs what returns an exit status, and gives an end that it did not foresee one too.

    Interrupts, termination and hang-up unwind the program, so that files which are not finished
    are removed. While modules load they wait: extension modules make other errors of them. They
    are raised again until the command is over or `answered` one, but not while it unwinds.

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


def answered() -> None:
    """The command that runs knows of its signal and ends in its own way: it comes only once."""
    for signals in _RUNNING[-1:]:
        signals.answered = True


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
        waiting: numbers of those that came where they are lost: while modules load, in a finalizer.
        answered: the program ends because of one, without an exception.
        over: the program is ending already, and no further one is raised.
    """

    def __init__(self) -> None:
        self.received: list[int] = []
        self.waiting: set[int] = set()
        self.answered = self.over = False
        self._sending: set[int] = set()
        self._sent: set[int] = set()
        self._lock = _thread.allocate_lock()
        self._before: dict[int, Any] = {}
        self._hook = sys.unraisablehook

    def receive(self) -> None:
        """From here on they are raised, but for those that are ignored already, as by `nohup`."""
        _RUNNING.append(self)
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
        self.over = True
        with self._lock:
            pass  # Nothing is about to be sent any more.
        for number, before in self._before.items():
            signal.signal(number, at_end if whole_process else before)
        sys.unraisablehook = self._hook
        if self in _RUNNING:
            _RUNNING.remove(self)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        again = number in self._sent
        self._sent.discard(number)
        if self.over:
            return
        if number not in self._sending:
            self._sending.add(number)
            # Without the locks of `threading`, which the interrupted code may hold.
            _thread.start_new_thread(self._send_again, (number,))
        if _loading(frame):
            self.waiting.add(number)
            return
        if again and number not in self.waiting and (self.answered or _unwinding()):
            return
        self.waiting.discard(number)
        self.received.append(number)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(_BY_SIGNAL + number)

    def _send_again(self, number: int) -> None:
        """Sends a signal every second, or at once if it waits, until the program is over."""
        last = time.monotonic()
        while not self.over:
            time.sleep(_MOMENT)
            if number not in self.waiting and time.monotonic() < last + _AGAIN:
                continue
            last = time.monotonic()
            with self._lock:
                if not self.over:
                    self._sent.add(number)
                    signal.pthread_kill(self._thread, number)

    def _unraisable(self, unraisable: Any) -> None:
        """Raised in a finalizer or a callback, where Python only prints it: raised once more."""
        if self.received and isinstance(unraisable.exc_value, KeyboardInterrupt | SystemExit):
            self.waiting.add(self.received.pop())
        else:
            self._hook(unraisable)


def _unwinding() -> bool:
    """Whether what was interrupted cleans up after an interrupt, or closes a generator."""
    error = sys.exc_info()[1]
    while error is not None:
        if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
            return True
        error = error.__context__
    return False


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
