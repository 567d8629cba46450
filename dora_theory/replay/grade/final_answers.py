r"""The final answer of a solution, wherever it states one.

In the last `\boxed{…}`; else after the last `####`, `The answer is`, `Answer:` or `A:`; else the
whole of a solution that is one word, number or formula and nothing else.
"""

import re

# What a model goes on with after its answer if nothing stops it: the next question.
_NEXT = re.compile(r"\n\s*(?:Q|Question|Problem)\s*\d*\s*:", re.IGNORECASE)
_STATED = re.compile(
    r"(?<!#)####(?!#)[ \t]*(?P<hashes>[^\n]+)"
    r"|\banswer\b[^\n:.=]{0,60}?(?:\bis\b[ \t*_]*:?|:|=)(?=(?P<said>[^\n]*(?:\n\s*[^\n]+)?))"
    r"|^[ \t*_]*A[ \t]*:(?P<reply>[^\n]+)",
    re.IGNORECASE | re.MULTILINE,
)
_HOPE = re.compile(r"[.,]?\s*I hope.*", re.IGNORECASE | re.DOTALL)
_FORMULA = re.compile(r"\$([^$]+)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
# The end of a sentence, but for a.m. and the like.
_SENTENCE = re.compile(r"(?<![ap]\.m)[.!]\s+(?=[A-Z\\$(])|(?:(?<![ap]\.m)[.!])?\s*\n")
_WHOLE = 60


def boxed_answer(text: str) -> str | None:
    r"""The content of the last `\boxed{…}` of a solution, None if there is none that is closed."""
    for match in reversed(list(re.finditer(r"\\(?:boxed|fbox)\s*", text))):
        start = match.end()
        if text[start : start + 1] == "{":
            depth = 0
            for i in range(start, len(text)):
                if text[i - 1] == "\\":
                    continue
                depth += (text[i] == "{") - (text[i] == "}")
                if depth == 0:
                    return text[start + 1 : i].strip()
    return None


def final_answer(text: str) -> str | None:
    """The answer that a solution states, None if there is none that can be read."""
    boxed = boxed_answer(text)
    return boxed if boxed is not None else stated_answer(text) or _whole(text)


def stated_answer(text: str) -> str | None:
    """The answer of a solution that states it in words, None if it does not."""
    found = list(_STATED.finditer(_own_part(text)))
    for match in reversed(found):
        if match["hashes"] is not None:
            return _cleaned(match["hashes"])
        answer = _said(match["said"] if match["said"] is not None else match["reply"])
        if answer:
            return answer
    return None


def gold_of(solution: str | None) -> str | None:
    r"""The answer of a reference solution: in its last `\boxed{}`, as stated, or all of it."""
    if solution is None:
        return None
    boxed = boxed_answer(solution)
    if boxed is not None or "####" in solution:
        return solution.rpartition("####")[2].strip() if boxed is None else boxed
    return stated_answer(solution) or solution.strip()


def _own_part(text: str) -> str:
    for match in _NEXT.finditer(text):
        if text[: match.start()].strip():
            return text[: match.start()]
    return text


def _said(rest: str) -> str | None:
    first, _, second = rest.partition("\n")
    answer = _HOPE.sub("", first if first.strip(" \t*_:") else second)
    answer = _SENTENCE.split(answer.strip() + "\n")[0].strip(" \t*_:")
    formula = _FORMULA.fullmatch(answer.rstrip("."))
    if formula:
        return next(part for part in formula.groups() if part is not None).strip()
    return _cleaned(answer)


def _cleaned(answer: str) -> str | None:
    text = answer.strip().strip("*_").strip()
    return (text if re.search(r"[ap]\.m\.$", text) else text.rstrip(".").strip()) or None


def _whole(text: str) -> str | None:
    """A solution that is nothing but its answer, a word or a formula."""
    bare = text.strip().strip("$").strip()
    whole = len(bare) <= _WHOLE and re.search(r"\w", bare) and not re.search(r"\s|boxed", bare)
    return bare if whole else None
