"""The exceptions that mean: not the program is wrong, but its input, or someone ended it."""


class InputError(ValueError):
    """Input from outside (a file, a line of it, an option) that cannot be used.

    The command line prints its message as one line on standard error and exits with status 2;
    the message therefore names the place (`file:line: field`) and says what is wrong there.
    """


def short(text: str) -> str:
    """A text, cut to what a message of one line can bear."""
    return text if len(text) <= 60 else text[:57] + "…"


def amount(count: int, noun: str) -> str:
    """A number and what it is of: `1 problem`, `12 problems`."""
    return f"{count} {noun}" + "s" * (count != 1)


class Interrupted(KeyboardInterrupt):
    """An interrupt already reported on standard error."""


# Symbols that are the short form of a flag.
_FLAGS = {"concentration": "--kappa", "within_concentration": "--nu"}


def flag(name: str) -> str:
    """The command line's name of an option."""
    return _FLAGS.get(name) or "--" + name.replace("_", "-")
