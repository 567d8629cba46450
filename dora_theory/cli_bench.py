"""`dora-theory bench`: every job timed against what one would use instead."""

import argparse
import subprocess
import sys
from typing import Any

from dora_theory.checkout import beside_the_package

_DESCRIPTION = """\
Times exact allocation, uniqueness, Monte Carlo and the time to a first result against what one
would use instead, in turn, and prints how many times faster each is, with the spread over rounds.
Figures go to FOLDER/DEVICE.json and a picture to FOLDER/DEVICE.png, with device and versions. What
is not installed is left out, and said to be. Needs a source checkout: the benchmarks are no part
of the package.
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the subparsers of `dora-theory`."""
    parser = commands.add_parser(
        "bench",
        help="time each job against what one would use instead",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "jobs",
        nargs="*",
        metavar="JOB",
        help="exact_allocation, uniqueness, monte_carlo, first_result; default all",
    )
    add("--out", metavar="FOLDER", help="by default benchmarks/results of the checkout")
    add("--rounds", metavar="N", help="of each race, by default 5")
    add("--json", action="store_true", help="print the figures as JSON, not a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the benchmarks in a process of their own, in the modes of JAX that users have."""
    command = [sys.executable, str(beside_the_package("benchmarks/run.py")), *arguments.jobs]
    for name in ("out", "rounds"):
        value = getattr(arguments, name)
        if value is not None:
            command.append(f"--{name}={value}")
    if arguments.json:
        command.append("--json")
    return subprocess.run(command, check=False).returncode
