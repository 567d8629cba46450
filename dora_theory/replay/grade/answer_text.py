r"""What the text of two answers alone decides, before any algebra.

A computer algebra system reads a word as a product of its letters, so that "on" is "no" to it, and
drops units and times of day. Answers that are words, letters, codes, times, quantities with units
or sequences with dots are compared here, as text.
"""

import re
from collections import Counter
from fractions import Fraction
from itertools import pairwise

_UNICODE = str.maketrans(
    {"−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "≤": r"\le ", "≥": r"\ge ",
     "≠": r"\ne ", "∞": r"\infty ", "π": r"\pi ", "∪": r"\cup ", "∈": r"\in ", "∅": r"\emptyset ",
     "½": r"\frac{1}{2}", "²": "^2", "³": "^3", "…": r"\ldots ", "⋯": r"\ldots ", "’": "'"}
)  # fmt: skip
_WRAPPER = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|mathsf)\s*\{([^{}]*)\}"
)
_DOTS = re.compile(r"\\[lcd]?dots[a-z]?(?![a-zA-Z])|\.{3,}")
_LETTER = r"[^\W\d_]"
# Words, a.m., two-thirds; x-y is none.
_WORD = rf"(?:{_LETTER}\.){{2,}}|{_LETTER}{{2,}}(?:-{_LETTER}{{2,}})+|{_LETTER}+(?:'{_LETTER}+)?\.?"
_WORDS = re.compile(rf"(?:{_WORD})(?:\s+(?:{_WORD}))*")
_CODE = re.compile(r"[A-Za-z0-9]+")
_CHOICE = re.compile(r"\(?([A-Za-z])[).:]*")
_MARKED_CHOICE = re.compile(r"(?:\(([A-J])\)\s*|([A-J])[).:]\s+)[^\s+\-*/^=<>,)].*", re.DOTALL)
_PHRASE = re.compile(r"(?=.*[a-zA-Z]{3})(?=.*\d)(?:[a-zA-Z]+|[\d.,:]+)(?: (?:[a-zA-Z]+|[\d.,:]+))+")
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_COUNT = re.compile(rf"({_NUMBER.pattern})((?: [a-zA-Z]{{2,}})+)")
_BASED = re.compile(r"(\d[0-9a-fA-F]*)_\{?(\d{1,2})\}?")
_TIME = re.compile(r"(\d{1,2})(?:\s*[:.]\s*(\d{2}))?\s*([ap])\.?\s*m\.?", re.IGNORECASE)
_QUANTITY = re.compile(r"(.*?[\d})!])\s*([a-zA-Z]+)\.?(\^\{?[23]\}?)?", re.DOTALL)
_PART = re.compile(rf"({_NUMBER.pattern}) ?([a-zA-Z]+)\.?(?:,? and |,? |$)")
_DRAWN = re.compile(r"\\(angle|triangle|overline|overrightarrow|overleftrightarrow|vec)\s*(.*)")
# Case counts in "AB" and "ab", but not in these.
_SHORT_WORDS = {"am", "an", "as", "at", "by", "do", "go", "he", "if", "in", "is", "it", "me", "my"}
_SHORT_WORDS |= {"no", "of", "ok", "on", "or", "pm", "so", "to", "up", "us", "we"}
# Words behind a number that make another one of it.
_SIZES = {"and", "or", "to", "percent", "percents", "hundred", "thousand", "million", "billion"}
_SIZES |= {"trillion", "dozen", "dozens", "half", "halves", "thirds", "quarter", "quarters"}
_SIZES |= {"fourths", "fifths", "sixths", "eighths", "tenths", "hundredths", "factorial"}
_SIZES |= {"squared", "cubed", "times", "plus", "minus", "over", "choose", "modulo", "sqrt"}
# What a unit measures, its names, and its size.
_MEASURES = (
    ("length", "mm millimeter millimeters", "1/1000"),
    ("length", "cm centimeter centimeters", "1/100"),
    ("length", "m meter meters metre metres", "1"),
    ("length", "km kilometer kilometers", "1000"),
    ("imperial length", "in inch inches", "1"),
    ("imperial length", "ft foot feet", "12"),
    ("imperial length", "yd yard yards", "36"),
    ("imperial length", "mi mile miles", "63360"),
    ("time", "s sec secs second seconds", "1"),
    ("time", "min mins minute minutes", "60"),
    ("time", "h hr hrs hour hours", "3600"),
    ("time", "day days", "86400"),
    ("time", "week weeks", "604800"),
    ("months", "month months", "1"),
    ("months", "year years yr yrs", "12"),
    ("mass", "mg milligram milligrams", "1/1000"),
    ("mass", "g gram grams", "1"),
    ("mass", "kg kilogram kilograms", "1000"),
    ("weight", "oz ounce ounces", "1"),
    ("weight", "lb lbs pound pounds", "16"),
    ("volume", "ml milliliter milliliters", "1/1000"),
    ("volume", "l liter liters litre litres", "1"),
    ("money", "cent cents", "1/100"),
    ("money", "dollar dollars", "1"),
    ("angle", "degree degrees deg", "1"),
    ("turn", "radian radians rad", "1"),
)
_UNITS = {
    name: (measured, Fraction(size))
    for measured, names, size in _MEASURES
    for name in names.split()
}


def in_latex(answer: str) -> str:
    """An answer with its Unicode replaced by LaTeX."""
    text = answer.translate(_UNICODE)
    text = re.sub(r"^\s*(-?\d+(?:\.\d+)?)[eE]([+-]?\d+)\s*$", r"\1 \\times 10^{\2}", text)
    text = re.sub(r"^\s*(-?\d+)\s+(\d+)\s*/\s*(\d+)\s*$", r"\1\\frac{\2}{\3}", text)
    return re.sub(r"√\s*(?:\(([^()]*)\)|(\d+|[a-zA-Z]))", r"\\sqrt{\1\2}", text)


def plain(answer: str) -> str:
    """An answer without what is about its looks only; what wraps a word is gone, spaces stay."""
    text = in_latex(answer).strip()
    text = text.removeprefix(r"\(").removesuffix(r"\)").strip("$ \t\n")
    # Wrappers nest.
    while (unwrapped := _WRAPPER.sub(r"\1", text)) != text:
        text = unwrapped
    text = re.sub(r"(?<!\\)\\!", "", text)
    text = re.sub(r"(?<!\\)\\(?:q?quad(?![a-zA-Z])|[,;: ])|~", " ", text)
    text = re.sub(r"\\(left|right|displaystyle)(?![a-zA-Z])", "", text)
    text = text.replace("**", "")
    return _DOTS.sub("…", re.sub(r"\s+", " ", text)).strip()


def normalized(answer: str) -> str:
    """An answer without what makes no difference in mathematics, for comparing as text."""
    text = plain(answer).rstrip(".").strip("$ ")
    text = re.sub(r"\\[dt]frac(?![a-zA-Z])", r"\\frac", text)
    text = re.sub(r"\^\{?\\circ\}?|\\%|\\\$|°", "", text)
    text = re.sub(r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\sqrt\s*(\w)", r"\\sqrt{\1}", text)
    # A space makes two numbers of one, but where it groups thousands.
    text = re.sub(r"(?<=\d) (?=\d{3}(?!\d))", "", text)
    return re.sub(r"(?<!\d) | (?!\d)", "", text)


def by_text(gold: str, answer: str) -> bool | None:
    """Whether two answers are the same, where their text decides that.

    Args:
        gold: the right answer.
        answer: the answer to judge, another text even if `normalized`.

    Returns:
        The verdict; None if it takes mathematics.
    """
    one, other = (plain(x).rstrip(".").rstrip() or plain(x) for x in (gold, answer))
    texts = _dotted, _choices, _times, _words, _codes, _phrases, _counted, _bases
    for rule in (*texts, _figures, _quantities, _lists):
        verdict = rule(one, other)
        if verdict is not None:
            return verdict
    return None


def ordered_alike(gold: str, answer: str) -> tuple[str, str]:
    """Both in LaTeX, and in parentheses a list that has none if that of the other one has them."""
    texts = [in_latex(gold), in_latex(answer)]
    (first, left), (second, right) = map(_elements, map(plain, texts))
    if len(left) == len(right) > 1 and {first, second} == {"", "("}:
        bare = 0 if first == "" else 1
        texts[bare] = f"({plain(texts[bare])})"
    return texts[0], texts[1]


def folded(words: str) -> str:
    """Words as they compare: without case, dots, hyphens and spaces, unless case tells."""
    text = re.sub(r"[\s.']|(?<=[a-z])-(?=[a-z])", "", words)
    cased = text.islower() or text.isupper() or text.istitle() or " " in words.strip()
    return text.lower() if cased and (len(text) > 2 or text.lower() in _SHORT_WORDS) else text


def _words(one: str, other: str) -> bool | None:
    if not (_WORDS.fullmatch(one) and _WORDS.fullmatch(other)):
        return None
    parts = [re.split(r"\s+and\s+|\s+or\s+", text) for text in (one, other)]
    if len(parts[0]) == len(parts[1]) > 1:
        return Counter(map(folded, parts[0])) == Counter(map(folded, parts[1]))
    return folded(one) == folded(other)


def _codes(one: str, other: str) -> bool | None:
    """Letters and digits in a row: e4, 1A, 2ab; a product has its number first and is lowercase."""
    if not (_CODE.fullmatch(one) and _CODE.fullmatch(other)):
        return None
    if any(text.isdecimal() or re.fullmatch(r"\d+[eE]\d+", text) for text in (one, other)):
        return None
    products = [re.fullmatch(r"(\d*)([a-z]+)", text) for text in (one, other)]
    if all(products):
        numbers, letters = zip(*(found.groups() for found in products if found), strict=True)
        if max(map(len, letters)) < 2 or any(name in _UNITS for name in letters):
            return None
        return len(set(numbers)) == 1 and sorted(letters[0]) == sorted(letters[1])
    if any(re.fullmatch(r"\d*[a-zA-Z]", text) for text in (one, other)):
        # 2x and 2X, or 2x and x2.
        return one == other
    return one.lower() == other.lower()


def _phrases(one: str, other: str) -> bool | None:
    """Numbers among words: December 25 is december 25, and 10 tons are not 10 nots."""
    if not (_PHRASE.fullmatch(one) and _PHRASE.fullmatch(other)):
        return None
    if one.lower() == other.lower():
        return True
    words = [sorted(re.findall(r"[a-z]+", text.lower())) for text in (one, other)]
    letters = [sorted("".join(row)) for row in words]
    return False if words[0] != words[1] and letters[0] == letters[1] else None


def _counted(one: str, other: str) -> bool | None:
    """A number and so many of something: 18 and 18 eggs."""
    for number, phrase in ((one, other), (other, one)):
        found = _COUNT.fullmatch(phrase)
        if found and _NUMBER.fullmatch(number):
            words = found[2].lower().split()
            # What is short may be variables.
            if len(words[0]) < 4 or _SIZES & set(words):
                return None
            return len({Fraction(x.replace(",", "")) for x in (number, found[1])}) == 1
    return None


def _bases(one: str, other: str) -> bool | None:
    """Numerals with their base below them."""
    found = [_BASED.fullmatch(text) for text in (one, other)]
    if not (found[0] and found[1]):
        return None
    return len({(m[1].lower(), int(m[2])) for m in found if m}) == 1


def _choices(one: str, other: str) -> bool | None:
    """Options of a question: (B), B, B. or (B) with its text."""
    found = [_CHOICE.fullmatch(text) for text in (one, other)]
    if found[0] and found[1]:
        marked = any(len(text) > 1 for text in (one, other))
        letters = [match[1] for match in found if match]
        return letters[0].lower() == letters[1].lower() if marked else letters[0] == letters[1]
    for short, long in ((one, other), (other, one)):
        choice, option = _CHOICE.fullmatch(short), _MARKED_CHOICE.fullmatch(long)
        if choice and option and (choice[1].isupper() or len(short) > 1):
            return choice[1].upper() == (option[1] or option[2])
    return None


def _times(one: str, other: str) -> bool | None:
    found = [_TIME.fullmatch(text) for text in (one, other)]
    if not (found[0] and found[1]):
        return None
    times = [(int(m[1]) % 12, int(m[2] or 0), m[3].lower()) for m in found if m]
    return times[0] == times[1]


def _figures(one: str, other: str) -> bool | None:
    """Angles, segments, triangles and the like by the names of their corners."""
    found = [_DRAWN.fullmatch(text) for text in (one, other)]
    if not any(found):
        return None
    names = [
        re.sub(r"[\s{}]", "", m[2] if m else t) for m, t in zip(found, (one, other), strict=True)
    ]
    if not all(re.fullmatch(r"[A-Z]{2,}'*", name) for name in names):
        return None
    kinds = {m[1] for m in found if m}
    if len(kinds) > 1:
        return False
    kind = kinds.pop()
    if kind == "triangle":
        return sorted(names[0]) == sorted(names[1])
    turned = kind in ("angle", "overline", "overleftrightarrow") and names[0] == names[1][::-1]
    return names[0] == names[1] or turned


def _quantities(one: str, other: str) -> bool | None:
    """Numbers with units, which must measure the same thing, as 1 m and 100 cm do."""
    found = [_QUANTITY.fullmatch(_in_one_unit(_spelled(text))) for text in (one, other)]
    if not (found[0] and found[1]):
        return None
    units = [_UNITS.get(m[2].lower()) for m in found if m]
    if units[0] is None or units[1] is None:
        return None
    powers = [int((m[3] or "1").strip("^{}")) for m in found if m]
    if units[0][0] != units[1][0] or powers[0] != powers[1]:
        return False
    try:
        sizes = [
            Fraction(m[1].strip().replace(",", "")) * unit[1] ** powers[0]
            for m, unit in zip(found, units, strict=True)
            if m and unit
        ]
    except (ValueError, ZeroDivisionError):
        return None if units[0] == units[1] else False
    return sizes[0] == sizes[1]


def _in_one_unit(text: str) -> str:
    """A quantity in units of one kind, larger ones first, in the last: 1 h 20 min is 80 min."""
    parts = _PART.findall(text)
    units = [_UNITS.get(name.lower()) for _, name in parts]
    if len(parts) < 2 or _PART.sub("", text) or len({u and u[0] for u in units}) > 1:
        return text
    sizes = [unit[1] for unit in units if unit]
    if len(sizes) < len(parts) or any(b >= a for a, b in pairwise(sizes)):
        return text
    numbers = [Fraction(number.replace(",", "")) for number, _ in parts]
    if min(numbers[1:]) < 0:
        return text
    sign = -1 if parts[0][0].startswith("-") else 1
    total = sum(abs(n) * size for n, size in zip(numbers, sizes, strict=True))
    return f"{sign * total / sizes[-1]} {parts[-1][1]}"


def _spelled(text: str) -> str:
    r"""A quantity with its unit behind it: \$5 is 5 dollars, 3 square feet are 3 feet^2."""
    text = re.sub(r"\\[dt]?frac\{(\d+)\}\{(\d+)\}", r"\1/\2", text)
    text = re.sub(r"^\\\$\s*(.+)$", r"\1 dollars", text)
    text = re.sub(r"\b(?:square|sq\.?)\s+([a-zA-Z]+)$", r"\1^2", text)
    return re.sub(r"\bcubic\s+([a-zA-Z]+)$", r"\1^3", text)


def _lists(one: str, other: str) -> bool | None:
    """Lists with words in them, in order inside of parentheses; and sets are not tuples."""
    (left, first), (right, second) = _elements(one), _elements(other)
    if len(first) != len(second) or len(first) < 2:
        return None
    if left and right and left != right and "{" in (left + right):
        return False
    words = [[folded(x) if _is_word(x) else None for x in xs] for xs in (first, second)]
    if "(" in (left, right) or "[" in (left, right):
        pairs = zip(*words, strict=True)
        if any(a != b for a, b in pairs if a is not None and b is not None):
            return False
    else:
        counts = [Counter(w for w in ws if w is not None) for ws in words]
        if counts[0] and counts[1] and counts[0] != counts[1]:
            return False
        words = [sorted(ws, key=str) for ws in words]
    return True if None not in words[0] and words[0] == words[1] else None


def _dotted(one: str, other: str) -> bool | None:
    """Sequences with dots are what is written before and after the dots, entry by entry."""
    # 0.333… is a number; its dots say that it goes on.
    one, other = (re.sub(r"(?<=\.)(\d+) ?…$", r"\1", text) for text in (one, other))
    if "…" not in one + other:
        return None
    sides = []
    for text in (one, other):
        bare = re.sub(r"[\s()\[\]{}\\]", "", re.sub(r"\\(cdot|times)", "*", text))
        sides.append([side.strip(",;+*") for side in bare.split("…")])
    if len(sides[0]) != len(sides[1]):
        return False
    return all(_same_side(*pair) for pair in zip(*sides, strict=True))


def _same_side(one: str, other: str) -> bool:
    if one == other:
        return True
    signs = [re.sub(r"[^,;+*]", "", side) for side in (one, other)]
    if len(set(signs[0] + signs[1])) > 1:
        return False
    # 1, 2 and 1, 2, 3 begin the same sequence if the next term is as far away.
    short, long = sorted((re.split(r"[,;+*]", side) for side in (one, other)), key=len)
    if len(short) < 2 or not all(re.fullmatch(r"-?\d{1,18}", x) for x in short + long):
        return False
    step = int(short[1]) - int(short[0])
    terms = [int(x) for x in long]
    return terms[: len(short)] == [int(x) for x in short] and all(
        after - before == step for before, after in pairwise(terms)
    )


def _is_word(text: str) -> bool:
    return len(text) > 1 and _WORDS.fullmatch(text) is not None


def _elements(text: str) -> tuple[str, list[str]]:
    """The opening bracket around a list, empty if there is none, and its entries."""
    inner, opening = text.strip(), ""
    for left, right in (("(", ")"), ("[", "]"), (r"\{", r"\}"), ("(", "]"), ("[", ")")):
        if inner.startswith(left) and inner.endswith(right) and _closes_at_end(inner):
            inner, opening = inner[len(left) : -len(right)], left[-1]
            break
    entries, depth, start = [], 0, 0
    for i, letter in enumerate(inner):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0 and letter in ",;":
            entries.append(inner[start:i].strip())
            start = i + 1
    entries.append(inner[start:].strip().removeprefix("and ").strip())
    return opening, entries


def _closes_at_end(text: str) -> bool:
    """Whether the bracket that a text begins with is closed by its last character."""
    depth = 0
    for i, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0 and letter in ")]}":
            return i == len(text) - 1
    return False
