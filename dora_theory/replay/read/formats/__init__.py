"""The formats of logs: each turns a row into the one record, or says what is wrong with it.

A format is a module with a function from a row (a JSON object) and its place to a `Record`, and an
entry in `FORMATS`, which says by what columns it is known.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from dora_theory.io.jsonl import FieldError, key_name
from dora_theory.replay.read.formats import openr, plain, rebase, search_and_learn
from dora_theory.replay.read.record import Record

Parse = Callable[[dict[str, Any], str], Record]


class Format(NamedTuple):
    """A format of logs.

    Attributes:
        parse: a row and its place to a record; `FieldError` if the row cannot be used.
        known_by: whether a row is of this format.
        columns: what a row must have, for messages.
    """

    parse: Parse
    known_by: Callable[[dict[str, Any]], bool]
    columns: str


# The first that fits is taken, so the special come before the general.
FORMATS: dict[str, Format] = {
    "plain": Format(plain.parse, plain.known, "samples or tree_nodes"),
    "dora": Format(search_and_learn.parse_dora, search_and_learn.known_dora, "completions"),
    "search-and-learn": Format(search_and_learn.parse, search_and_learn.known, "completions"),
    "rebase": Format(rebase.parse, rebase.known, "question, model_answer"),
    "openr": Format(openr.parse, openr.known, "question, output"),
}


def format_of(row: dict[str, Any]) -> str:
    """The name of the format that a row is of; `FieldError` if of none."""
    for name, entry in FORMATS.items():
        if entry.known_by(row):
            return name
    found = ", ".join(map(key_name, row)) or "nothing"
    wants = "; ".join(f"{entry.columns} ({name})" for name, entry in FORMATS.items())
    raise FieldError("samples", f"missing: needs {wants}; or --map for other columns; got {found}")
