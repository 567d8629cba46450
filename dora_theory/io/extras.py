"""Modules that come with an extra of the package, loaded when they are needed."""

from importlib import import_module
from typing import Any

from dora_theory._errors import InputError


def module_of(
    name: str, extra: str, why: str, *, error: type[Exception] = InputError, hint: str = ""
) -> Any:
    """A module; an error that names the extra if it is not installed.

    Args:
        name: of the module.
        extra: of the package, which has it.
        why: what needs it, as the subject of the message.
        error: what is raised.
        hint: what the message adds.
    """
    try:
        return import_module(name)
    except ImportError:
        package = {"sklearn": "scikit-learn"}.get(name.split(".")[0], name.split(".")[0])
        text = f"{why} needs {package}: pip install 'dora-theory[{extra}]'{hint}"
        raise error(text) from None
