"""The command line: parses, calls and prints. `dora-theory COMMAND`, `python -m dora_theory`."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from dora_theory import __version__
from dora_theory._errors import InputError
from dora_theory.cli import allocate, bench, calibrate, explore, replay, reproduce, simulate, verify

# What shells report of a program that a signal ended.
_INTERRUPTED, _BROKEN_PIPE, _TERMINATED = (128 + number for number in (2, 13, 15))


class _Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose errors are one line, like all other errors of bad input."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{self.prog}: {message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        argv: arguments, those of the process if None.

    Returns:
        Exit status: 0 done, 1 a checked claim failed, and those of `guarded`.
    """

    def command() -> int:
        arguments = parser().parse_args(argv)
        return arguments.run(arguments)

    return guarded(command)


def guarded(command: Callable[[], int]) -> int:
    """Runs what returns an exit status, and gives an end that it did not foresee one too.

    Returns:
        That of the command; 2 for bad input, about which one line stands on standard error;
        128 + the number of the signal that ended it.
    """
    try:
        with _terminable():
            return command()
    except InputError as error:
        return _bad_input(str(error))
    except BrokenPipeError:
        # The reader has seen enough (`| head`), which is no error of anyone's.
        _abandon_output()
        return _BROKEN_PIPE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _abandon_output()
        return _bad_input(f"{where}{error.strerror or error}")
    except KeyboardInterrupt:
        return _INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line. Loads nothing that a command needs to run."""
    top = _Parser(
        prog="dora-theory",
        description="Where should the next rollout go?",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"dora-theory {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    allocate.add_parser(commands)
    replay.add_parser(commands)
    calibrate.add_parser(commands)
    simulate.add_parser(commands)
    bench.add_parser(commands)
    reproduce.add_parser(commands)
    explore.add_parser(commands)
    verify.add_parser(commands)
    return top


def _bad_input(message: str) -> int:
    print(" ".join(message.split("\n")), file=sys.stderr)
    return 2


def _abandon_output() -> None:
    """Keeps the interpreter from trying, at its end, to flush what could not be written."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError, AttributeError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


@contextmanager
def _terminable() -> Iterator[None]:
    """Lets SIGTERM unwind the program, so that files which are not finished are removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(*_: Any) -> NoReturn:
        raise SystemExit(_TERMINATED)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
