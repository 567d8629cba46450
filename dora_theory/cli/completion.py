"""`dora-theory completion`: what a shell needs to complete commands and options."""

import argparse
from typing import Any

from dora_theory._errors import InputError

_SHELLS = "bash", "zsh"
_DESCRIPTION = """\
Prints a script that completes commands, options and their choices. In bash:

  dora-theory completion bash > ~/.local/share/bash-completion/completions/dora-theory

and in zsh, in a folder of $fpath:

  dora-theory completion zsh > ~/.zfunc/_dora-theory
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the subparsers of `dora-theory`; the parser of all is its `top`."""
    parser = commands.add_parser(
        "completion",
        help="print a script that completes commands in bash or zsh",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("shell", choices=_SHELLS, help="the shell")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; `InputError` if shtab, which writes the script, is not installed."""
    try:
        import shtab
    except ImportError:
        raise InputError("completion: needs shtab: pip install 'dora-theory[completion]'") from None
    print(shtab.complete(arguments.top, shell=arguments.shell))
    return 0
