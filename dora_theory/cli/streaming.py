"""`dora-theory allocate --stream`: a line of output for each line of input, at once.

What is waiting is computed together, and nothing is waited for: a search loop of another language
keeps the process open, writes a line and reads its answer.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence

from dora_theory._errors import InputError, amount
from dora_theory.io.jsonl import FieldError, unmarked
from dora_theory.io.problem_lines import Problem, parse_problem

# Bytes that are taken at once, and lines that are computed at once.
_READ, _MOST = 1 << 20, 256


def stream(
    usable: Callable[[str, Problem], Problem], texts: Callable[[Sequence[Problem]], list[str]]
) -> int:
    """Answers standard input on standard output, until it ends.

    Args:
        usable: the problem of a place, if it has what it needs, else `InputError`.
        texts: lines of output of problems; `InputError` if one of them has none.

    Returns:
        The exit status 0.

    Raises:
        InputError: at the end, if there were lines without an answer, with their number.
    """
    if sys.stdin is None or sys.stdout is None:
        raise InputError("--stream: standard input or output is closed")
    sys.stdout.flush()
    count = errors = 0
    for lines in _waiting(sys.stdin.fileno()):
        if count == 0:
            lines[0] = unmarked(lines[0])
        found = _answered(lines, count, usable, texts)
        count += len(lines)
        errors += sum(not good for good, _ in found)
        sys.stdout.buffer.write("".join(text + "\n" for _, text in found).encode())
        sys.stdout.buffer.flush()
    if errors:
        of = amount(count, "line")
        raise InputError(f"standard input: {errors} of {of} could not be answered")
    return 0


def _waiting(descriptor: int) -> Iterator[list[bytes]]:
    """Lines with their ends, as many as are there without waiting; the last may have none."""
    rest: list[bytes] = []
    while chunk := os.read(descriptor, _READ):
        *lines, last = chunk.split(b"\n")
        if lines:
            lines = [line + b"\n" for line in (b"".join([*rest, lines[0]]), *lines[1:])]
            rest = []
        rest.append(last)
        for start in range(0, len(lines), _MOST):
            yield lines[start : start + _MOST]
    if any(rest):
        yield [b"".join(rest)]


def _answered(
    lines: Sequence[bytes],
    before: int,
    usable: Callable[[str, Problem], Problem],
    texts: Callable[[Sequence[Problem]], list[str]],
) -> list[tuple[bool, str]]:
    """Whether each line has an answer, and the answer or what is wrong."""
    found: list[tuple[bool, str] | None] = [None] * len(lines)
    problems: dict[int, Problem] = {}
    for i, line in enumerate(lines):
        place = f"standard input:{before + i + 1}"
        try:
            problems[i] = usable(place, parse_problem(line))
        except FieldError as error:
            found[i] = False, _error(line, f"{place}: {error.field}: {error.what}")
        except InputError as error:
            found[i] = False, _error(line, str(error))
    try:
        together = texts([*problems.values()]) if problems else []
        found_now = [(True, text) for text in together]
    except Exception:
        # A rule of a user's own fails on one of them: on which, one by one will show.
        found_now = [_alone(lines[i], problem, texts) for i, problem in problems.items()]
    for i, each in zip(problems, found_now, strict=True):
        found[i] = each
    return [each for each in found if each is not None]


def _alone(
    line: bytes, problem: Problem, texts: Callable[[Sequence[Problem]], list[str]]
) -> tuple[bool, str]:
    try:
        return True, texts([problem])[0]
    except InputError as error:
        return False, _error(line, str(error))
    except Exception as error:  # of that rule, whatever it is: others are still to be answered
        return False, _error(line, f"{type(error).__name__}: {error}")


def _error(line: bytes, what: str) -> str:
    """An object that says what is wrong with a line, with its id if it has one."""
    try:
        record = json.loads(line)
        name = record.get("id") if isinstance(record, dict) else None
        return json.dumps({"id": name, "error": what}, allow_nan=False)
    except (ValueError, RecursionError):
        return json.dumps({"id": None, "error": what})
