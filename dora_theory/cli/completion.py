"""`dora-theory completion`: what a shell needs to complete commands and options."""

import argparse
from typing import Any

from dora_theory.cli.options import new_command
from dora_theory.io.extras import module_of

_SHELLS = "bash", "zsh"
_DESCRIPTION = """\
Prints a script that completes commands, options and their choices. In bash:

  dora-theory completion bash > ~/.local/share/bash-completion/completions/dora-theory

and in zsh, in a folder of $fpath:

  dora-theory completion zsh > ~/.zfunc/_dora-theory
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the subparsers of `dora-theory`; the parser of all is its `top`."""
    parser = new_command(
        commands,
        "completion",
        run,
        help="print a script that completes commands in bash or zsh",
        description=_DESCRIPTION,
    )
    parser.add_argument("shell", choices=_SHELLS, help="the shell")


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; `InputError` if shtab, which writes the script, is not installed."""
    shtab = module_of("shtab", "completion", "completion:")
    print(shtab.complete(arguments.top, shell=arguments.shell))
    return 0
