"""The command line: parses, calls and prints. `dora-theory COMMAND`, `python -m dora_theory`.

Nothing loads before signals are handled, so that an interrupt while the rest loads ends as others.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from dora_theory.cli.endings import guarded, leave

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

__all__ = ["guarded", "main", "parser", "script"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        argv: arguments; those of the process if None, which then is this command's own: where it
            does not end well, it ends here, without the interpreter's shutdown.

    Returns:
        Exit status: 0 done, 1 a checked claim failed, and those of `guarded`.
    """

    def command() -> int:
        arguments = parser().parse_args(argv)
        if argv is None:
            from dora_theory.compilation_cache import cache_for_commands

            cache_for_commands()
        return arguments.run(arguments)

    if argv is not None:
        return guarded(command)
    return leave(guarded(command, whole_process=True))


def _helped(arguments: "Namespace") -> int:
    arguments.top.print_help()
    return 0


def script() -> None:
    """Runs the module `sys.argv[1]` as `python -m MODULE` would, guarded as a command is."""
    import runpy

    del sys.argv[0]

    def run() -> int:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        return 0

    sys.exit(leave(guarded(run, whole_process=True)))


def parser() -> "ArgumentParser":
    """The parser of the whole command line. Loads nothing that a command needs to run."""
    import argparse

    from dora_theory import __version__
    from dora_theory._errors import InputError
    from dora_theory.cli import (
        allocate,
        bench,
        calibrate,
        completion,
        explore,
        plan,
        replay,
        reproduce,
        simulate,
        verify,
    )

    class OneLine(argparse.ArgumentParser):
        """Its errors are one line, like all other errors of bad input."""

        def error(self, message: str) -> NoReturn:
            raise InputError(f"{self.prog}: {message} (see {self.prog} --help)")

    top = OneLine(
        prog="dora-theory",
        description="Where should the next rollout go?",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"dora-theory {__version__}")
    commands = top.add_subparsers(metavar="COMMAND")
    # Without a command.
    top.set_defaults(run=_helped, top=top)
    allocate.add_parser(commands)
    plan.add_parser(commands)
    replay.add_parser(commands)
    calibrate.add_parser(commands)
    simulate.add_parser(commands)
    bench.add_parser(commands)
    reproduce.add_parser(commands)
    explore.add_parser(commands)
    verify.add_parser(commands)
    completion.add_parser(commands)
    return top
