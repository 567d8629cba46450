"""`dora-theory calibrate`: how far the scores of logs can be trusted, and which κ that means."""

import argparse
from typing import Any

from dora_theory._errors import InputError
from dora_theory.cli.logs import (
    Shown,
    add_reading,
    add_workers,
    all_options_of,
    each_log,
    wholes,
    workers_of,
    write_found,
)
from dora_theory.cli.options import (
    add_output,
    add_tables,
    check_picture,
    new_command,
)
from dora_theory.io.atomic_write import whole_output
from dora_theory.io.terminal import say
from dora_theory.replay.options import ReplayOptions

_DEFAULT = ReplayOptions()

_DESCRIPTION = """\
Fits κ, the concentration of a direction's success probability around what its scores say, to
logged outcomes: maximum likelihood of the beta-binomial, with 95% profile intervals, over the whole
log, by depth and by difficulty, and a warning where the log does not tell κ. Says which divisor
method that κ makes optimal, how well scores are calibrated, and what success its optimum would have
had.

Logs are read and cut as by replay, see dora-theory replay --help.
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the subparsers of `dora-theory`."""
    parser = new_command(
        commands,
        "calibrate",
        run,
        help="fit κ to logged outcomes",
        description=_DESCRIPTION,
    )
    add = parser.add_argument
    add("logs", metavar="LOG", nargs="+", help="a log of scored solutions, a file")
    add_reading(parser)
    add(
        "--depths",
        type=wholes,
        default=(1, 2, 3, 4, 6, 8),
        metavar="M,M",
        help="steps after which κ is fitted, beside --steps (default 1,2,3,4,6,8)",
    )
    add(
        "--budgets",
        type=wholes,
        default=(4, 16),
        metavar="N,N",
        help="further rollouts that are replayed (default 4,16)",
    )
    add(
        "--quality-temperature",
        type=float,
        default=_DEFAULT.quality_temperature,
        metavar="T",
        help="as in allocate (default %(default)s)",
    )
    add_output(parser, "an object, an array for many logs")
    add_tables(parser)
    add_workers(parser)
    add(
        "--figure",
        metavar="PATH.png",
        help="draw scores against outcomes, and κ by depth, of one log, as PNG and SVG",
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; `InputError` if an option, or every log, cannot be used."""
    if "-" in arguments.logs:
        raise InputError("LOG: -: a log is read more than once here, standard input cannot be")
    options = all_options_of(arguments)
    if not arguments.depths or min(arguments.depths) < 1:
        raise InputError("--depths: needs integers from 1 on")
    if arguments.figure is not None and len(options) > 1:
        raise InputError(f"--figure: {arguments.figure}: needs one log")
    check_picture(arguments.figure)
    from dora_theory.replay.calibrate.fit import calibrate

    with whole_output(arguments.out) as file, workers_of(arguments) as workers:
        given = {"depths": arguments.depths, "note": say, "workers": workers}
        found, status = each_log(
            arguments.logs, options, lambda log, how: calibrate(log, how, **given)
        )
        # Not before the logs have proved good: it loads Matplotlib.
        from dora_theory.replay.report.calibration_picture import calibration_panels
        from dora_theory.replay.report.calibration_table import calibration_table
        from dora_theory.replay.results import CalibrationResult

        shown = Shown(
            calibration_table,
            lambda found, titles: calibration_panels(found[0], titles[0]),
            CalibrationResult,
        )
        write_found(arguments, found, shown, file)
    return status
