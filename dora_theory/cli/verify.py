"""`dora-theory verify`: every claim of the theory on random instances, a table of verdicts."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from dora_theory._errors import InputError, Interrupted, amount
from dora_theory.cli.endings import answered
from dora_theory.cli.options import add_tables, new_command, write_tables
from dora_theory.io.atomic_write import whole_output
from dora_theory.io.terminal import progress_bar

if TYPE_CHECKING:
    from dora_theory.claims.check.claim import Claim
    from dora_theory.claims.check.verifying import Result

_DESCRIPTION = """\
Tries every claim of the theory on random instances. A claim holds or is refuted; claims of the
paper that fail stay in the table as refuted, each with the smallest counterexample that a search
finds, confirmed in exact arithmetic. Undecided is a claim whose violations exact arithmetic does
not confirm, or one about a mean that is too near to call, as when --budget-seconds cuts its test
short.

Exit status 1 if a verdict differs from what the theory expects.
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the subparsers of `dora-theory`."""
    parser = new_command(
        commands,
        "verify",
        run,
        help="check every claim on random instances",
        description=_DESCRIPTION,
    )
    add = parser.add_argument
    add(
        "--claims",
        type=lambda text: tuple(text.split(",")),
        metavar="ID,ID",
        help="only these, such as 2.1,4.5 (default: all)",
    )
    add(
        "--instances",
        type=int,
        default=100_000,
        metavar="N",
        help="of each claim, at least (default %(default)s); no claim is judged by fewer than it "
        "needs, which is 4096 or, about a mean, 65536",
    )
    add("--seed", type=int, default=0, metavar="I", help="default %(default)s")
    add(
        "--budget-seconds",
        type=float,
        metavar="S",
        help="begin no further batch of instances after so long; every claim sees one",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON document")
    form.add_argument("--markdown", action="store_true", help="a table for documents")
    add("--out", metavar="PATH", help="write there, in one step, instead of to standard output")
    add_tables(parser)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; `InputError` if an option cannot be used.

    An interrupt is passed on once what was found so far is on standard output; a file
    stays as it was.
    """
    _check(arguments)
    try:
        # Not for `--help`: these load JAX, which takes a while.
        from dora_theory.claims import claims
        from dora_theory.claims.check import reporting
        from dora_theory.claims.results import Verdicts

        every = claims()
    except KeyboardInterrupt:
        print("interrupted: no claim tried", file=sys.stderr)
        raise Interrupted from None
    chosen = _chosen(every, arguments.claims)
    start = time.monotonic()
    with whole_output(arguments.out) as file:
        results = _results(chosen, arguments)
        tried = {r.claim.name for r in results}
        left = [c for c in chosen if c.name not in tried]
        if left:
            count = f"interrupted: {len(tried)} of {amount(len(chosen), 'claim')} tried"
            print(f"{count}; not tried: {_few([c.id for c in left])}", file=sys.stderr)
            if arguments.out or not results:
                raise Interrupted
        seconds = time.monotonic() - start
        found = reporting.document(
            results, seed=arguments.seed, seconds=seconds, not_tried=[c.name for c in left]
        )
        if arguments.json:
            text = json.dumps(found, indent=1, allow_nan=False, ensure_ascii=False)
        else:
            text = (reporting.markdown if arguments.markdown else reporting.table)(results)
            if left:
                text = f"{count}\n\n{text}"
        file.write(text.encode() + b"\n")
        write_tables(arguments, Verdicts(found).rows())
    if left:
        raise Interrupted
    return 0 if all(r.as_expected for r in results) else 1


def _few(ids: Sequence[str], most: int = 6) -> str:
    """Different ones, the first few of them by name."""
    different = list(dict.fromkeys(ids))
    more = len(different) - most
    return ", ".join(different[:most]) + (f" and {more} more" if more > 0 else "")


def _check(arguments: argparse.Namespace) -> None:
    if arguments.instances < 1:
        raise InputError(f"--instances: {arguments.instances}: needs a number ≥ 1")
    if not 0 <= arguments.seed < 2**63:
        raise InputError(f"--seed: {arguments.seed}: needs a number from 0 to 2^63 - 1")
    if arguments.budget_seconds is not None and not arguments.budget_seconds > 0:
        raise InputError(f"--budget-seconds: {arguments.budget_seconds:g}: needs a number > 0")


def _chosen(every: Sequence["Claim"], ids: Sequence[str] | None) -> list["Claim"]:
    known = list(dict.fromkeys(claim.id for claim in every))
    if ids and "" in ids:
        raise InputError(f"--claims: {','.join(ids)!r}: an id is empty, a comma too many")
    for name in ids or ():
        if name not in known:
            raise InputError(f"--claims: {name!r} is none of {', '.join(known)}")
    return [claim for claim in every if ids is None or claim.id in ids]


def _results(chosen: Sequence["Claim"], arguments: argparse.Namespace) -> list["Result"]:
    """Results in the order of the theory: of all claims, or of those done before an interrupt."""
    results = []
    try:
        from dora_theory.claims.check.verifying import verify

        found = verify(
            chosen,
            instances=arguments.instances,
            seed=arguments.seed,
            budget_seconds=arguments.budget_seconds,
        )
        with closing(found), progress_bar(len(chosen), "claims", delay=1) as bar:
            for result in found:
                results.append(result)
                bar.update()
    except KeyboardInterrupt:
        answered()
    place = {claim.name: i for i, claim in enumerate(chosen)}
    return sorted(results, key=lambda result: place[result.claim.name])
