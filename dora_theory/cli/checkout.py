"""What lies beside the package in a source checkout and is not installed with it."""

import tomllib
from pathlib import Path

from dora_theory._errors import InputError


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


def _is_ours(project: Path) -> bool:
    """Whether it is this package's own: other packages too put `benchmarks` into site-packages."""
    try:
        named = tomllib.loads(project.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return named.get("project", {}).get("name") == "dora-theory"
