"""`dora-theory explore`: the interactive page, on this machine only."""

import argparse
import importlib.util
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from dora_theory._errors import InputError
from dora_theory.cli.checkout import run_process
from dora_theory.cli.logs import add_reading, options_of
from dora_theory.cli.options import new_command

_HOST = "127.0.0.1"
_DESCRIPTION = """\
Opens a page in the browser that shows what each strategy spends and what counting candidates costs,
for parameters of yours or for a log. Only this machine can reach it, until you interrupt the
command. A log is read and cut as by replay.
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the subparsers of `dora-theory`."""
    parser = new_command(
        commands,
        "explore",
        run,
        help="open the interactive page",
        description=_DESCRIPTION,
    )
    add = parser.add_argument
    add("log", metavar="LOG", nargs="?", help="a log to look at; the page can open others")
    add("--port", type=_port, default=2718, metavar="P", help="default %(default)s")
    add("--headless", action="store_true", help="serve the page without opening a browser")
    add_reading(parser.add_argument_group("how the log is read"))


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; `InputError` if the page cannot be served or the log not be read."""
    if importlib.util.find_spec("marimo") is None:
        raise InputError("explore: needs marimo: pip install 'dora-theory[explore]'")
    page = Path(__file__).parents[1] / "explore" / "page.py"
    # No file of the current folder, which may be called `queue.py`, is taken for Python's own.
    command = [sys.executable, "-P", "-m", "dora_theory.explore", "--quiet", "run", str(page)]
    command += ["--host", _HOST, "--port", str(arguments.port)]
    if arguments.headless:
        command.append("--headless")
    if arguments.log is not None:
        if arguments.log == "-":
            raise InputError("explore: LOG: needs a file or a folder, which a page can read again")
        # Read here, so that what is wrong with it is said here.
        from dora_theory.explore.logged import Log

        options = options_of(arguments, arguments.log)
        Log(arguments.log, options, note=lambda text: print(text, file=sys.stderr, flush=True))
        command += ["--", "--log", os.path.abspath(arguments.log)]
        command += ["--options", json.dumps(options.as_json())]
    _refuse_if_taken(arguments.port)
    print(f"http://{_HOST}:{arguments.port}  (Ctrl-C ends it)", file=sys.stderr, flush=True)
    # Nothing is fetched from anywhere: the page has what it needs.
    return run_process(command, {**os.environ, "MARIMO_SKIP_UPDATE_CHECK": "1"})


def _refuse_if_taken(port: int) -> None:
    """Marimo would serve on another port, without telling anybody."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise InputError(f"explore: --port {port}: {error.strerror}") from None


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r}: needs an integer from 1 to 65535")
    return int(text)
