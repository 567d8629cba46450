"""`dora-theory bench`: every job timed against what one would use instead."""

import argparse
import os
import sys
from typing import Any

from dora_theory.cli.checkout import beside_the_package, run_process
from dora_theory.cli.options import new_command

_DESCRIPTION = """\
Times exact allocation, uniqueness, Monte Carlo and the time to a first result against what one
would use instead, in turn, and prints how many times faster each is, with the spread over rounds.
At the end figures go to FOLDER/DEVICE.json and a picture to FOLDER/DEVICE.png, with device and
versions: both, or neither if the run is stopped. A run of some JOBs, or of --races alone, writes
only if --out says where, and DEVICE-part, so that it never takes the place of a whole. What is not
installed is left out, and said to be. Needs a source checkout: the benchmarks are no part of the
package.
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the subparsers of `dora-theory`."""
    parser = new_command(
        commands,
        "bench",
        run,
        help="time each job against the alternative",
        description=_DESCRIPTION,
    )
    add = parser.add_argument
    add(
        "jobs",
        nargs="*",
        metavar="JOB",
        help="exact_allocation, across, correlated, uniqueness, monte_carlo, first_result; "
        "default all",
    )
    add("--out", metavar="FOLDER", help="default for a whole run: benchmarks/results")
    add("--rounds", metavar="N", help="rounds of each race (default 5)")
    add("--races", action="store_true", help="only the races, not how time grows with size")
    add("--json", action="store_true", help="print the numbers as JSON, not as a table")
    add("--csv", metavar="PATH", help="write the races as a tidy table, as CSV")


def run(arguments: argparse.Namespace) -> int:
    """Runs the benchmarks in a process of their own, in the modes of JAX that users have."""
    script = beside_the_package("benchmarks/run.py")
    command = [sys.executable, str(script)]
    for name in ("out", "rounds", "csv"):
        value = getattr(arguments, name)
        if value is not None:
            command.append(f"--{name}={value}")
    command += [f"--{name}" for name in ("races", "json") if getattr(arguments, name)]
    # What is measured is this checkout, whatever else is installed or on the path.
    paths = str(script.parent.parent), os.environ.get("PYTHONPATH", "")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return run_process([*command, "--", *arguments.jobs], environment)
