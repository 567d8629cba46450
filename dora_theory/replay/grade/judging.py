"""The process of `correctness.Judge`: a pair of answers a line in, a verdict a line out.

math-verify says what the same mathematics is, with three corrections: numbers are compared by their
relative difference and, where they are rational, exactly (it takes whatever is within 1e-15 of each
other as equal, so that 2^-99 is 2^-98); an inequality is the set it describes, whichever of both is
the right answer; and an equation to be solved is not the number on its right side.
"""

import json
import re
import sys
from typing import IO, Any

from dora_theory.replay.grade.answer_text import plain

# Bytes that the process may take; a tower of powers would take all there are.
_MEMORY = 4 << 30
_DIGITS = 30
# Digits of numbers that are compared exactly.
_LARGEST_EXPONENT, _LARGEST_FACTORIAL = 1 << 20, 1 << 16
_RELATION = re.compile(r"[<>≤≥≠]|\\(?:le|ge|leq|geq|lt|gt|ne|neq|leqslant|geqslant)(?![a-zA-Z])")
_OR = re.compile(r"\s*(?<![a-zA-Z\\])or(?![a-zA-Z])\s*|\\(?:lor|vee)(?![a-zA-Z])")


def main(timeout: float, pairs: IO[str], verdicts: IO[str]) -> None:
    """Judges until the input ends: true, false, or null where the time or the memory ran out.

    Args:
        timeout: seconds for each of parsing one answer, parsing the other, comparing them.
        pairs: lines `[gold, answer]`.
        verdicts: receives `ready`, then a line for each line.
    """
    from math_verify import grader, parse, verify
    from math_verify.errors import TimeoutException

    _limit_memory()
    _compare_exactly(grader)
    seconds = max(1, round(timeout))

    def boxed(answer: str) -> list:
        return parse(f"\\boxed{{{answer}}}", parsing_timeout=seconds, raise_on_error=True)

    def judge(gold: str, answer: str) -> bool | None:
        try:
            right, given = boxed(gold), boxed(answer)
            if _to_be_solved(given) and not any(map(grader.is_relation, right[:1])):
                return False
            same = verify(
                right,
                given,
                timeout_seconds=seconds,
                allow_set_relation_comp=True,
                raise_on_error=True,
            )
            return bool(same) or _same_set(gold, answer, boxed)
        except (TimeoutException, MemoryError):
            return None
        except Exception:  # Whatever the algebra system cannot take apart is not equal.
            return False

    print("ready", file=verdicts, flush=True)
    for line in pairs:
        print(json.dumps(judge(*json.loads(line))), file=verdicts, flush=True)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Not a POSIX system.
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = _MEMORY if hard == resource.RLIM_INFINITY else min(_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _compare_exactly(grader: Any) -> None:
    """Adds to math-verify's comparison by rounding that equal numbers must not differ."""
    by_rounding = grader.sympy_numeric_eq

    def same_numbers(one: Any, other: Any, *precision: int) -> bool:
        if isinstance(one, grader.MatrixBase) or isinstance(other, grader.MatrixBase):
            return by_rounding(one, other, *precision)
        if not by_rounding(one, other, *precision):
            return False
        try:
            return not differ(one, other)
        except (ArithmeticError, AttributeError, NotImplementedError, TypeError, ValueError):
            return True

    grader.sympy_numeric_eq = same_numbers


def differ(one: Any, other: Any) -> bool:
    """Whether two expressions of sympy that are close to each other are surely not the same."""
    from sympy import Float, UnevaluatedExpr

    # Of percents, 50% is 50 as well as 0.5.
    if one.has(UnevaluatedExpr) or other.has(UnevaluatedExpr):
        return False
    if one.free_symbols or other.free_symbols:
        one, other = one - other, 0 * one
        if one.free_symbols:
            return False
    x, y = (value.evalf(_DIGITS) for value in (one, other))
    size = max(abs(x), abs(y))
    if not size.is_finite or size == 0:
        return False
    # A difference whose digits have cancelled out is noise.
    if getattr(x, "_prec", 9) == 1 or getattr(y, "_prec", 9) == 1:
        return False
    tolerance = 1e-3 if one.has(Float) or other.has(Float) else 10.0 ** (5 - _DIGITS)
    if abs(x - y) > tolerance * size:
        return True
    if one.has(Float) or other.has(Float) or _huge(one) or _huge(other):
        return False
    a, b = one.doit(), other.doit()
    return bool(a.is_Rational and b.is_Rational and a != b)


def _huge(value: Any) -> bool:
    """Whether a number has too many digits to be written out."""
    from sympy import Pow, factorial

    powers = any(abs(p.exp.evalf(9)) > _LARGEST_EXPONENT for p in value.atoms(Pow) if p.is_number)
    return powers or any(
        f.args[0].evalf(9) > _LARGEST_FACTORIAL for f in value.atoms(factorial) if f.is_number
    )


def _to_be_solved(parsed: list) -> bool:
    """Whether an answer is an equation like 2x + 3 = 5, and not x = 1 or f(x) = 1."""
    from math_verify.grader import is_assignment_relation, is_equation, take_first_relation

    if not parsed or not is_equation(parsed[0]) or is_assignment_relation(parsed[0]):
        return False
    left = take_first_relation(parsed[0]).lhs
    return left.is_Add and bool(left.free_symbols)


def _same_set(gold: str, answer: str, boxed: Any) -> bool:
    """Whether one answer is inequalities with "or" between them, and both are the same set."""
    texts = [plain(text) for text in (gold, answer)]
    if not any(_RELATION.search(text) and _OR.search(text) for text in texts):
        return False
    found, found_too = (_set_of(text, boxed) for text in texts)
    if found is None or found_too is None:
        return False
    (one, free), (other, free_too) = found, found_too
    if free and free_too and free != free_too:
        return False
    return one == other or bool(one.symmetric_difference(other).is_empty)


def _set_of(text: str, boxed: Any) -> tuple[Any, set] | None:
    from math_verify.grader import is_relation, unwrap_fcs
    from sympy import Set, Union

    sets, free = [], set()
    for part in _OR.split(text):
        value = boxed(part)[0]
        if is_relation(value):
            free |= value.free_symbols
            value = unwrap_fcs(value).as_set()
        if not isinstance(value, Set):
            return None
        sets.append(value)
    return Union(*sets), free


if __name__ == "__main__":
    # Verdicts go where nothing that a library prints can get between them.
    out, sys.stdout = sys.stdout, sys.stderr
    main(float(sys.argv[1]), sys.stdin, out)
