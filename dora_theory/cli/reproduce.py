"""`dora-theory reproduce`: the paper's figures, its tables and the theorem plots."""

import argparse
import os
import re
import sys
from pathlib import Path
from typing import Any

from dora_theory._errors import InputError
from dora_theory.cli.checkout import run_process
from dora_theory.cli.options import new_command

# They stand beside the package in a checkout and in the source distribution, in no wheel.
SCRIPTS = Path(__file__).resolve().parents[2] / "paper_repro"
# An item is a script whose `main` takes the folder of its results.
_ITEM = re.compile(r"^def main\(\s*out: Path\b", re.MULTILINE)
_ALL = ("report", "audit")

_DESCRIPTION = """\
Makes pictures and tables, and prints their numbers: what the paper says, and what we get. Without
an ITEM it makes all of them, with the pages report.md and audit.md. An ITEM is the name of a script
in paper_repro/, such as figure1, price or audit. With one ITEM, --set changes its parameters:
`dora-theory reproduce solution_level --set budgets=8,32 --out elsewhere`.
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the subparsers of `dora-theory`."""
    parser = new_command(
        commands,
        "reproduce",
        run,
        help="make the paper's figures, tables and theorem plots",
        description=_DESCRIPTION,
    )
    parser.add_argument("items", metavar="ITEM", nargs="*", help="what to make (default: all)")
    parser.add_argument(
        "--out", type=Path, default=Path("figures"), help="folder of the results (%(default)s)"
    )
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="another value of a parameter of one ITEM; repeatable",
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs the scripts one after the other, up to the first that fails; its exit status."""
    known = items(SCRIPTS)
    for item in arguments.items:
        if item not in known:
            raise InputError(f"reproduce: {item}: there is no such item; {', '.join(known)}")
    if arguments.set and len(arguments.items) != 1:
        raise InputError(f"--set: {arguments.set[0]}: needs one ITEM whose parameter it is")
    changed = [part for pair in arguments.set for part in ("--set", pair)]
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out: {arguments.out}: {error.strerror or error}") from None
    for item in arguments.items or _ALL:
        print(f"reproduce: {item}", file=sys.stderr, flush=True)
        # As `python -m` would, but that an interrupt ends with one line; and no other package of
        # that name in the current folder comes first.
        guarded = [sys.executable, "-P", "-c", "from dora_theory.cli.main import script; script()"]
        command = [*guarded, f"{SCRIPTS.name}.{item}", "--out", str(arguments.out), *changed]
        status = run_process(command, _finds(SCRIPTS.parent))
        if status:
            return status
    return 0


def _finds(folder: Path) -> dict[str, str]:
    """The environment, with a folder in front of what Python searches for packages."""
    found = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(found)}


def items(folder: Path) -> list[str]:
    """Names of the scripts of a folder, sorted; `InputError` if there are none."""
    found = [p.stem for p in folder.glob("*.py") if _ITEM.search(p.read_text(encoding="utf-8"))]
    if not found:
        raise InputError(
            f"reproduce: {folder} is not there: its scripts come with the source distribution, "
            "not with the installed package"
        )
    return sorted(found)
