r"""Formulas: from the plain text of claims to TeX, and from TeX to MathML that wraps.

Browsers do not break formulas into lines. So a formula becomes several `math` elements, cut before
relations and sums outside braces, and the line breaks between them.
"""

import re
from html import unescape

from latex2mathml.converter import convert

_GREEK = {
    "κ": "kappa",
    "ν": "nu",
    "γ": "gamma",
    "θ": "theta",
    "ψ": "psi",
    "φ": "varphi",
    "λ": "lambda",
    "σ": "sigma",
    "π": "pi",
    "Γ": "Gamma",
    "Δ": "Delta",
    "ε": "varepsilon",
    "μ": "mu",
}
_SIGNS = {
    "≤": r"\le",
    "≥": r"\ge",
    "→": r"\to",
    "∞": r"\infty",
    "∝": r"\propto",
    "∈": r"\in",
    "·": r"\cdot",
    "…": r"\dots",
    "Σ": r"\sum",
    "Π": r"\prod",
    "∫": r"\int",
    "√": r"\sqrt",
    "⌊": r"\lfloor",
    "‖": r"\,\Vert\,",
    "~": r"\sim",
    "≈": r"\approx",
    "×": r"\times",
}
_SUPERSCRIPT = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_FUNCTIONS = r"(log|exp|max|min|softmax|KL|Beta|round|lgamma|Var|ln)\b"
# A word of a formula: it has a sign that prose has not, or is a symbol by itself.
_SYMBOL = re.compile(r"[B-HJ-Zb-z]'?|-?\d[\d.,]*|[BFJ]\*|sw|Kb|\+|-log|const")
_MATH = re.compile(
    r"[κνγθψφλσπμΓΣΠ∫√⌊∞∝≤≥^_=<>‖²⁻…]|\w\(|\w\[|Q̂|k̄|[\w)]/[\w(]|^-[a-z]$|v'[ZC]|\)\(|^\(?\d-[a-z]\)?|\d[eE]-\d|^\d+e\d+$"
    r"|^[(|]?-?\d*[A-Za-z]'?\)?[-+*][\dA-Za-z]'?\|?(?![a-z])"
)
_NAMES = re.compile(r"log|exp|ln|KL|E|Var|max|min|softmax")
_TAIL = re.compile(r"([,.:;]*)$")
_BETWEEN = re.compile(r"[-−+=·×|]")
_BEFORE = re.compile(r"[<>≤≥~≈→∝]")
_PAIRS = {"⌊": "⌋", "(": ")", "[": "]", "{": "}", "|": "|"}


def tex(text: str) -> str:
    """Plain text with its formulas in `$…$`, as claims state them."""
    text = re.sub(r"\b([A-Za-z])-(th|subsets)\b", r"\1 -\2", text)
    words = _grouped(text.split(" "))
    marks = [_is_math(word) for word in words]
    for i in reversed(range(len(words))):
        after = i + 1 < len(words) and marks[i + 1]
        if _NAMES.fullmatch(words[i]) or _BEFORE.fullmatch(words[i]):
            marks[i] = after
        elif _BETWEEN.fullmatch(words[i]):
            marks[i] = after and i > 0 and (_is_math(words[i - 1]) or words[i - 1] == "a")
        elif _TAIL.sub("", words[i]) in ("A", "I"):
            near = words[max(i - 1, 0) : i] + words[i + 1 : i + 2]
            marks[i] = any(re.fullmatch(r"[-+=<>≤≥]", x) for x in near)
        elif _TAIL.sub("", words[i]) == "a":
            near = words[max(i - 1, 0) : i] + words[i + 1 : i + 2]
            paired = words[i + 1 : i + 3] in (["and", "b"], ["and", "b,"])
            marks[i] = paired or any(re.fullmatch(r"[-+=<>]", x) for x in near)
    found: list[str] = []
    run: list[str] = []
    for word, mark in [*zip(words, marks, strict=True), ("", False)]:
        if (run and not mark) or (run and _TAIL.search(run[-1])[1]):  # type: ignore[index]
            found.append(_formula(" ".join(run)))
            run = []
        if mark:
            run.append(word)
        else:
            found.append(word)
    return re.sub(r" -(th|subsets)\b", r"-\1", " ".join(found).rstrip())


def _grouped(words: list[str]) -> list[str]:
    """Words of which those inside the brackets of a formula are one."""
    found: list[str] = []
    at = 0
    while at < len(words):
        word, end = words[at], at + 1
        if _is_math(word) or word[:1] in _PAIRS or re.match(r"\d+[|(]", word):
            while _open(" ".join(words[at:end])) and end < min(len(words), at + 12):
                end += 1
            whole = words[at:end]
            inside = [x.strip("([{|⌊⌋)]},.;:") for x in whole]
            if _open(" ".join(whole)) or not all(_belongs(x) for x in inside):
                end = at + 1
        found.append(" ".join(words[at:end]))
        at = end
    return found


def _belongs(word: str) -> bool:
    """Whether a word inside brackets can be part of a formula."""
    operator = _BETWEEN.match(word) or _BEFORE.match(word) or _NAMES.fullmatch(word)
    return bool(not word or word == "a" or operator or _is_math(word))


def _is_math(word: str) -> bool:
    bare = _TAIL.sub("", word)
    if re.fullmatch(r"[A-Z][a-z]+'?|\(?[\d.]+[a-z]?\)?|\(?[a-z]{2,}-[a-z]+\)?|\(?eq\.?", bare):
        return bool(re.fullmatch(r"[\d.]+", bare))
    grouped = " " in word and word[0] in _PAIRS
    return bool(bare) and (grouped or bool(_SYMBOL.fullmatch(bare) or _MATH.search(bare)))


def _open(text: str) -> bool:
    text = re.sub(r"‖|\w\|\w", "", text)
    return any(
        text.count(x) % 2 if x == y else text.count(x) > text.count(y) for x, y in _PAIRS.items()
    )


def _formula(text: str) -> str:
    tail = _TAIL.search(text)[1]  # type: ignore[index]
    body = text[: len(text) - len(tail)] if tail else text
    # A bracket of the sentence around a formula, not of the formula.
    lead = rest = ""
    while body.startswith("(") and body.count("(") > body.count(")"):
        lead, body = lead + "(", body[1:]
    while body.endswith(")") and body.count(")") > body.count("("):
        rest, body = ")" + rest, body[:-1]
    if re.fullmatch(r"[\d.,…]+", body):
        return f"{lead}{body}{rest}{tail}"
    # Named first, so that no other rule sees inside.
    body = re.sub(r"\b1e(-?\d+)", r"10^{\1}", body)
    body = re.sub(r"\^(-?\d+)", r"^{\1}", body)
    body = re.sub(r"[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda x: "^{" + x[0].translate(_SUPERSCRIPT) + "}", body)
    body = re.sub(r"(.)̂", r"\\hat{\1}", body)
    body = re.sub(r"(.)̄", r"\\bar{\1}", body)
    body = re.sub(r"\^\(([^()]+)\)", r"^{\1}", body)
    body = re.sub(r"√(\w_\w)", r"√{\1}", body)
    body = _rooted(body)
    body = re.sub(rf"(?<![_{{\\a-zA-Z]){_FUNCTIONS}", _named, body)
    body = re.sub(r"\b(iff|const|or|and|of|for)\b", r"\\text{ \1 }", body)
    body = body.replace("mass", r"\mathrm{mass}").replace("-log", r"-\log ")
    body = re.sub(r"_\{?(in|out|max|min|sol|dir)\b\}?", r"_{\\mathrm{\1}}", body)
    body = re.sub(r"_([a-z]{2,})", r"_{\1}", body)
    body = re.sub(r"\bE(?=\[|\s+(?![=<>≤≥]))", r"\\mathbb{E}", body)
    body = re.sub(r"\b([BFJ])\*", r"\1^*", body)
    body = re.sub(r"[{}](?=\d)|(?<=\d)\}$", lambda x: x[0], body)
    if body.startswith("{"):
        body = rf"\{{{body[1:-1]}\}}"
    for sign, name in {**{g: "\\" + n for g, n in _GREEK.items()}, **_SIGNS}.items():
        body = body.replace(sign, f"{name} ")
    body = body.replace("⌋", r"\rfloor ").replace("%", r"\%")
    body = re.sub(r" +", " ", re.sub(r" (?=[_^),;])", "", body))
    return f"{lead}${body.strip()}${rest}{tail}"


def _named(found: re.Match[str]) -> str:
    name = found[1]
    return f"\\{name} " if name in ("log", "exp", "max", "min", "ln") else rf"\mathrm{{{name}}}"


def _rooted(body: str) -> str:
    """√(…) with its bracket as a root."""
    while (start := body.find("√(")) >= 0:
        depth = 0
        for end in range(start + 1, len(body)):
            depth += {"(": 1, ")": -1}.get(body[end], 0)
            if depth == 0:
                break
        body = body[:start] + r"\sqrt{" + body[start + 2 : end] + "}" + body[end + 1 :]
    return body


# ---- MathML ----

_SIGN = r"(?:\\(?:le|ge|ne|in|to|sim|propto|subseteq|iff|Rightarrow|approx|mid)(?![A-Za-z])|[=<>+])"
_RELATION = re.compile(rf"\\q?quad(?![A-Za-z])|{_SIGN}|(?<=[\w)}}\]])\s*-(?=\s*[\w\\(])")
_LETTERS = {"double-struck": 0x1D538, "bold": 0x1D400}
_LONG = 26


def mathml(formula: str, display: str) -> str:
    """A formula in TeX as MathML; a long one in parts between which lines may break."""
    formula = re.sub(r"\\arg(?![a-z])", r"\\operatorname{arg}", formula.replace("\\ ", r"\;"))
    # What the converter does not know.
    formula = re.sub(r"\\[Bb]ig+(?=\\)", "", formula)
    parts = _parts(formula) if display == "block" or len(formula) > _LONG else [formula]
    html = " ".join(_one(part, display) for part in parts)
    return f'<div class="formula">{html}</div>' if display == "block" else html


def _one(formula: str, display: str) -> str:
    html = convert(formula, display=display)
    # `mathvariant` is not in MathML Core; the letters are in Unicode.
    html = re.sub(r'<m([in]) mathvariant="(double-struck|bold)">(\w)</m[in]>', _letter, html)
    html = html.replace("<mo>/</mo>", '<mo lspace="0" rspace="0">/</mo>')
    named = r"(<mi>(?:log|ln|exp|max|min)</mi>)(?!<mo[^>]*>(?:&#x00028;|\())"
    html = re.sub(named, r'\1<mspace width="0.17em"/>', html)
    html = re.sub(r"<mi>(&#x0?23(?:08|09|0A|0B);)</mi>", r'<mo stretchy="false">\1</mo>', html)
    # Relations that the converter takes for letters.
    for letter, sign, space in (("&#x0007E;", "&#x0223C;", 0.28), ("&#x027FA;", "&#x027FA;", 0.5)):
        relation = f'<mo lspace="{space}em" rspace="{space}em">{sign}</mo>'
        html = html.replace(f"<mi>{letter}</mi>", relation)
    html = html.replace("<mi>&#x000B1;</mi>", '<mo lspace="0.22em" rspace="0.22em">&#x000B1;</mo>')
    html = html.replace("<mi>:</mi>", '<mo lspace="0.1em" rspace="0.28em">:</mo>')
    # An operator at the start of a part stands between two things all the same.
    start = r"(<math[^>]*><mrow>)<mo>(?!&#x0?2[12]1[1F])"
    if re.match(rf"\s*(?:{_SIGN}|-)", formula):
        html = re.sub(start, r'\1<mo form="infix" lspace="0.1em" rspace="0.28em">', html)
    return html


def _letter(found: re.Match[str]) -> str:
    kind, variant, letter = found.groups()
    if variant == "double-struck" and letter in "CHNPQRZ":
        return f"<m{kind}>{dict(zip('CHNPQRZ', 'ℂℍℕℙℚℝℤ', strict=True))[letter]}</m{kind}>"
    if letter.isdigit():
        return (
            f"<m{kind}>{chr((0x1D7CE if variant == 'bold' else 0x1D7D8) + int(letter))}</m{kind}>"
        )
    base = _LETTERS[variant]
    at = ord(letter) - (ord("A") if letter.isupper() else ord("a") - 26)
    return f"<m{kind}>{chr(base + at)}</m{kind}>"


def _parts(formula: str) -> list[str]:
    r"""Cuts before relations and sums outside braces and outside `\left … \right`."""
    cuts, depth = [], 0
    at = 0
    while at < len(formula):
        if formula.startswith(r"\left", at) and not formula.startswith(r"\leftr", at):
            depth += 1
            at += 5
            continue
        if formula.startswith(r"\right", at) and not formula.startswith(r"\righta", at):
            depth -= 1
            at += 6
            continue
        if formula[at] == "{" and formula[at - 1 : at] != "\\":
            depth += 1
        elif formula[at] == "}" and formula[at - 1 : at] != "\\":
            depth -= 1
        elif depth == 0 and at:
            found = _RELATION.match(formula, at)
            if found and formula[at - 1] not in "_^":
                cuts.append(at)
                at = found.end()
                continue
        if formula[at] == "\\":
            at += 1
            while at < len(formula) and formula[at].isalpha():
                at += 1
            continue
        at += 1
    ends = [*cuts, len(formula)]
    parts = [formula[a:b].strip() for a, b in zip([0, *cuts], ends, strict=True)]
    # Never a break between nothing and a sign.
    joined: list[str] = []
    for part in parts:
        if joined and (len(joined[-1]) < 3 or joined[-1].endswith(("quad",))):
            joined[-1] += " " + part
        elif part:
            joined.append(part)
    return joined


def replaced(html: str) -> str:
    """A page whose formulas are MathML."""

    def made(found: re.Match[str]) -> str:
        # \( … \) and \[ … \].
        formula = unescape(found[2]).strip()[2:-2].strip()
        made = mathml(formula, "inline" if found[1] == "span" else "block")
        if not found[3]:
            return made
        # No line begins with the point after a formula.
        at = made.rindex("<math")
        return f'{made[:at]}<span class="unbroken">{made[at:]}{found[3]}</span>'

    form = r'<(span|div) class="arithmatex">(.*?)</\1>([.,;:)]*)'
    return re.sub(form, made, html, flags=re.DOTALL)
