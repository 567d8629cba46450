"""What lies beside the package in a source checkout, and processes that run it."""

import signal
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from dora_theory._errors import InputError
from dora_theory.cli.endings import answered


def beside_the_package(path: str) -> Path:
    """A file of the source checkout that this package is imported from.

    Args:
        path: relative to the checkout's root, such as `benchmarks/run.py`.

    Returns:
        Where it is.

    Raises:
        InputError: it is not there, as in an installed package, or what is there is someone else's.
    """
    root = Path(__file__).resolve().parents[2]
    found = root / path
    if not (found.is_file() and _is_ours(root / "pyproject.toml")):
        raise InputError(
            f"{path} is not beside the package in {root}: this command needs a source checkout "
            "(and pip install -e . there)"
        )
    return found


def run_process(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Runs a command; what ends this process ends that one too, and is waited for.

    Args:
        command: program and arguments.
        environment: that of this process if None.

    Returns:
        Its exit status, 128 + the number of the signal that ended it. Where it says of itself that
        it was interrupted, this process has nothing to add.
    """
    with subprocess.Popen(command, env=environment) as child:
        try:
            status = child.wait()
        except BaseException as error:
            answered()
            status = _ended(child, isinstance(error, KeyboardInterrupt))
            if status <= 128:
                raise
    return status if status >= 0 else 128 - status


def _ended(child: subprocess.Popen, interrupted: bool) -> int:
    """The status of a process that is asked to end, and made to if it does not."""
    # A terminal's Ctrl-C has reached it as well, and a second one would disturb its cleaning up.
    for ask, seconds in ((None, 1.0), (signal.SIGINT if interrupted else signal.SIGTERM, 20.0)):
        if ask is not None:
            child.send_signal(ask)
        try:
            return child.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
    child.kill()
    return child.wait()


def _is_ours(project: Path) -> bool:
    """Whether it is this package's own: other packages too put `benchmarks` into site-packages."""
    try:
        named = tomllib.loads(project.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return named.get("project", {}).get("name") == "dora-theory"
