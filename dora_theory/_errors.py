"""The exceptions that mean: not the program is wrong, but its input, or someone ended it."""

from collections.abc import Sequence


class InputError(ValueError):
    """Input from outside (a file, a line of it, an option) that cannot be used.

    The command line prints its message as one line on standard error and exits with status 2;
    the message therefore names the place (`file:line: field`) and says what is wrong there.
    """


def short(text: str) -> str:
    """A text, cut to what a message of one line can bear."""
    return text if len(text) <= 60 else text[:57] + "…"


def amount(count: float, noun: str, form: str = "") -> str:
    """A number, formatted, and what it is of: `1 problem`, `12 problems`."""
    return f"{count:{form}} {noun}" + "s" * (count != 1)


# By their plurals; other verbs take an s.
_SINGULAR = {"are": "is", "have": "has", "they": "it", "their": "its", "them": "it"}


def agree(count: float, plural: str) -> str:
    """A verb or a pronoun of so many: `agree(1, "have")` is `has`."""
    return plural if count != 1 else _SINGULAR.get(plural) or plural + "s"


def budgets_of(found: Sequence[float | str]) -> str:
    """Budgets and their verb: `a budget of 64 is`, `budgets of 32, 64 are`."""
    said = ", ".join(map(str, found))
    return f"a budget of {said} is" if len(found) == 1 else f"budgets of {said} are"


class Interrupted(KeyboardInterrupt):
    """An interrupt already reported on standard error."""


# Symbols that are the short form of a flag.
_FLAGS = {"concentration": "--kappa", "within_concentration": "--nu"}


def flag(name: str) -> str:
    """The command line's name of an option."""
    return _FLAGS.get(name) or "--" + name.replace("_", "-")
