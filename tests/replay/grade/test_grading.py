"""Which answers are the same, by hand; which are read at all, and what is said of the others."""

import json

import pytest

from dora_theory._errors import InputError
from dora_theory.replay.grade.answer_text import by_text
from dora_theory.replay.grade.correctness import Judge
from dora_theory.replay.grade.final_answers import final_answer, gold_of
from dora_theory.replay.grade.grading import judged
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.read.readers import read_log
from dora_theory.replay.run import replay

SAME = r"""
no ~ \text{no}
No ~ no
EAST ~ \text{east}
\text{two-thirds} ~ two-thirds
Alice and Bob ~ Bob and Alice
Alice, Bob, and Carol ~ Carol, Alice, Bob
(A) ~ A
(A) ~ (a)
B ~ (B) 12
\text{C} ~ C.
10\text{ a.m.} ~ 10 am
6:00 p.m. ~ 6 PM
AB ~ \overline{AB}
\angle ABC ~ \angle CBA
\triangle ABC ~ \triangle BCA
e4 ~ E4
2ab ~ 2ba
5 \text{ cm} ~ 5
5 \text{ cm} ~ 5cm
100 \text{ cm} ~ 1\text{ m}
\$5 ~ 5 \text{ dollars}
\$5 ~ 5
12\text{ square feet} ~ 12 \text{ ft}^2
12\text{ square units} ~ 12
1,2,\ldots,n ~ 1, 2, \dots, n
1,2,\ldots,n ~ 1,2,3,\ldots,n
1+2+\cdots+n ~ 1+2+\dots+n
0.333\ldots ~ 0.333
x \ge 2 ~ [2,\infty)
-1 \le x < 3 ~ [-1,3)
x \in [2,\infty) ~ x \geq 2
x \neq 2 ~ (-\infty,2)\cup(2,\infty)
x<1 \text{ or } x>3 ~ (-\infty,1)\cup(3,\infty)
x<1 \text{ or } x>3 ~ x>3 \text{ or } x<1
2 \le x ~ x \ge 2
1/2004! ~ \frac{1}{2004!}
2^{-99} ~ \frac{1}{2^{99}}
2^{-99} ~ 4^{-49.5}
1,2 ~ 2,1
\{1,2\} ~ \{2,1\}
(1,2) ~ 1,2
1,000 ~ 1000
10\,000 ~ 10000
10 000 ~ 10000
2 1/3 ~ \frac{7}{3}
-1 1/2 ~ -1.5
December 25 ~ december 25
18 ~ 18 eggs
5 dollars ~ 5
$18 ~ 18.00 dollars
10 ~ 10 years old
1,000 ~ 1000 people
52_8 ~ 52_{8}
50\% ~ 0.5
50\% ~ 50
50\% ~ \frac{1}{2}
90^\circ ~ 90
\begin{pmatrix}1\\2\end{pmatrix} ~ \begin{bmatrix}1\\ 2\end{bmatrix}
\begin{pmatrix}1/2\\2\end{pmatrix} ~ \begin{pmatrix}0.5\\2\end{pmatrix}
x=5 ~ 5
y=2x+3 ~ y=3+2x
y=2x+3 ~ 2x-y+3=0
f(x)=x^2 ~ x^2
\frac{\sqrt{3}}{3} ~ \frac{1}{\sqrt3}
\sqrt{12} ~ 2\sqrt{3}
\frac{1}{3} ~ 0.333333
1\frac{1}{2} ~ 1.5
\frac{14}{3} ~ 4\frac{2}{3}
1 \pm \sqrt{2} ~ 1+\sqrt2, 1-\sqrt2
\binom{10}{3} ~ 120
x^2+2x+1 ~ (x+1)^2
(0,1) \cup (2,3) ~ (2,3)\cup(0,1)
1:2 ~ \frac12
3+4i ~ 4i+3
\log_2 8 ~ 3
3.0 ~ 3
-\frac{1}{2} ~ \frac{-1}{2}
−5 ~ -5
11\sqrt2 ~ 11√2
6.02 \times 10^{23} ~ 6.02e23
\frac{1}{2}\text{ hour} ~ 30 \text{ minutes}
7:30 a.m. ~ 7:30 AM
3 hours 20 minutes ~ 200 minutes
200 \text{ min} ~ 3\text{ hours and }20\text{ minutes}
1 hour, 1 minute, 1 second ~ 3661 seconds
5 feet 6 inches ~ 66 inches
2 weeks 1 day ~ 15 days
2 \text{ or } 3 ~ 2, 3
3xy ~ 3yx
\frac{\sqrt{3}}{3} ~ √3/3
(5,\infty) ~ (5, ∞)
"""
OTHER = r"""
no ~ on
ab ~ ba
AB ~ BA
stop ~ pots
10 tons ~ 10 nots
5 ~ 6 apples
5 ~ 5 million
2 ~ 2 dozen eggs
3 ~ 3 halves
4210_5 ~ 4210_6
4210_5 ~ 4211_5
2 1/3 ~ \frac{21}{3}
1 1/2 ~ \frac{11}{2}
ACD ~ CDA
\text{east} ~ \text{seat}
\text{no} ~ \textbf{on}
(\text{on}, 3) ~ (\text{no}, 3)
on, off ~ no, off
(on, no) ~ (no, on)
night thing ~ thing nights
AABb ~ AaBB
Aa ~ AA
A ~ B
(A) ~ (B)
B ~ (A) 12
a.m. ~ p.m.
10\text{ a.m.} ~ 10\text{ p.m.}
6:30 pm ~ 6 pm
\angle ABC ~ \angle BAC
\overline{AB} ~ \overline{BC}
A1 ~ 1A
FF0 ~ 0FF
2AB ~ 2BA
5 \text{ cm} ~ 5\text{ m}
5 cm ~ 5 m
3 hours ~ 3 minutes
3 hours 20 minutes ~ 3 hours 21 minutes
3 hours 20 minutes ~ 20 minutes
5 feet 6 inches ~ 56 inches
\$5 ~ 6 dollars
1,2,\ldots,n ~ 1,3,\ldots,2n-1
1,2,...,n ~ 1,3,...,2n-1
1, 2, \ldots, n ~ 1,2,4,\ldots,n
1,2,\ldots,10 ~ 1,2,\ldots,100
1+2+\cdots+n ~ 1+3+\cdots+n
x \ge 2 ~ (2,\infty)
x \ge 2 ~ (-\infty,2]
x > 2 ~ x \ge 2
-1 \le x < 3 ~ (-1,3)
x<1 \text{ or } x>3 ~ (1,3)
x > 2^{-99} ~ x > 2^{-98}
1/2004! ~ 1/2006!
2^{-99} ~ 2^{-98}
(2^{-99}, 1) ~ (2^{-98}, 1)
[0, 2^{-99}] ~ [0, 2^{-98}]
2^{-99}x ~ 2^{-98}x
3^{-50} ~ 0
1 ~ 1+10^{-40}
10^{100} ~ 10^{100}+1
2^{1000} ~ 2^{1000}+1
100! ~ 99!
0.0000001 ~ 0.0000002
(1,2) ~ (2,1)
(1,2) ~ 2,1
(1,2) ~ \{1,2\}
[1,2] ~ (1,2)
1,2 ~ 12
1 2 ~ 12
3, 5, 7 ~ 3, 5
\begin{pmatrix}1\\2\end{pmatrix} ~ \begin{pmatrix}2\\1\end{pmatrix}
\begin{pmatrix}1&2\end{pmatrix} ~ \begin{pmatrix}1\\2\end{pmatrix}
x=5 ~ y=5
5 ~ 2x+3=5
3\pi ~ 9.42
\frac{1}{3} ~ 0.33
1 \pm \sqrt{2} ~ 1+\sqrt2
x^2+2x+1 ~ (x-1)^2
\text{no solution} ~ \text{no}
\infty ~ -\infty
1:2 ~ 2:1
3+4i ~ 3-4i
i ~ -i
90^\circ ~ \frac{\pi}{2}
12345678901234567890 ~ 12345678901234567891
p - q ~ q - p
7\!:\!30 \text{ a.m.} ~ 7:30\text{ p.m.}
\begin{pmatrix} 1 & 0 \\ 0 & 1 \end{pmatrix} ~ \begin{pmatrix} 0 & 1 \\ 1 & 0 \end{pmatrix}
0.5^{99} ~ 0.5^{98}
\frac{1}{\binom{200}{100}} ~ \frac{1}{\binom{200}{99}}
\sqrt{2} + 10^{-20} ~ \sqrt{2}
2,4,6,\ldots ~ 2,4,8,\ldots
"""


def pairs(text):
    return [tuple(line.split(" ~ ")) for line in text.strip().splitlines()]


@pytest.fixture(scope="module")
def judge():
    pytest.importorskip("math_verify")
    with Judge(timeout=2) as judge:
        yield judge


@pytest.mark.parametrize(("same", "text"), [(True, SAME), (False, OTHER)])
def test_pairs_whichever_is_the_right_answer(judge, same, text):
    wrong = [
        (gold, answer)
        for one, other in pairs(text)
        for gold, answer in ((one, other), (other, one))
        if judge.same(gold, answer) is not same
    ]
    assert wrong == []
    assert judge.undecided == 0


@pytest.mark.parametrize(
    ("gold", "answer"),
    [("xy", r"x \cdot y"), ("5", "6"), ("x", "x+1"), ("1e5", "100")],
)
def test_mathematics_is_not_decided_by_its_text(gold, answer):
    assert by_text(gold, answer) is None


def test_a_number_that_fills_the_memory_is_undecided(judge):
    before = judge.undecided
    assert judge.same("7", "(10^{10})!") is False
    assert judge.undecided <= before + 1
    assert judge.same("0.75", r"\frac{3}{4}") is True
    judge.undecided = 0


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"The answer is 4. So \boxed{5}", "5"),
        ("2 and 3 make 5. The answer is 5.", "5"),
        ("So the answer is: $\\frac{1}{2}$. I hope it is correct.", r"\frac{1}{2}"),
        ("Final Answer: The final answer is $3.5$. I hope it is correct.", "3.5"),
        ("The final answer is 3.5", "3.5"),
        ("**The answer is 5**", "5"),
        ("**Answer:** (C)", "(C)"),
        ("Answer: 12 apples\n", "12 apples"),
        ("The answer is:\n\n42", "42"),
        ("The answer to the question is B. It is red.", "B"),
        ("The answer is 10 a.m.", "10 a.m."),
        ("A: 5", "5"),
        ("Two and three.\nA: 5.\n\nQ: What else?\nA: 7", "5"),
        ("so 2 + 3 = 5\n#### 5", "5"),
        ("#### 1,234", "1,234"),
        ("########\n# a comment\nreturn f(x, 2)", None),
        ("The answer is 4. No, wait. The answer is 5.", "5"),
        ("42", "42"),
        (r"$\frac12$", r"\frac12"),
        ("Adding gives 6", None),
        ("I do not know.", None),
        ("The answer is", None),
        (r"\boxed{4", None),
        ("", None),
        ("!" * 200, None),
    ],
)
def test_answers_that_solutions_state(text, answer):
    assert final_answer(text) == answer


def test_right_answers():
    assert gold_of("It is 1.\n#### 1") == "1"
    assert gold_of(r"So $\boxed{2}$.") == "2"
    assert gold_of(r"\frac12") == r"\frac12"
    assert gold_of("Two and three make five. The answer is 5.") == "5"
    assert gold_of("Adding.\nA: 18") == "18"
    assert gold_of(None) is None


def log_of(path, texts):
    rows = [{"problem": f"{i}?", "answer": "5", "completions": texts} for i in range(3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_answers_that_cannot_be_read_are_counted(tmp_path):
    options = ReplayOptions(budgets=(1,), strategies=("temperature",))
    texts = ["2 and 3.\n\nThe answer is 5.", "Adding.\n\nA: 5", "So.\n\n#### 5", "I do not know."]
    path = log_of(tmp_path / "log.jsonl", texts)
    with Judge() as judge:
        verdicts = [s.correct for s in judged(next(read_log(path)), judge).samples]
    assert (verdicts, judge.graded, judge.unread) == ([True, True, True, False], 4, 1)
    found = replay(path, options)
    assert any("3 of 12 solutions (25.0%) state no answer" in text for text in found.notes)
    assert not any("--map" in text for text in found.notes)
    found = replay(log_of(tmp_path / "log.jsonl", [texts[0], texts[3], "Hm, well."]), options)
    assert any("(66.7%) state no" in t and "--map" in t for t in found.notes)
    with pytest.raises(InputError, match=r"6 of 6 .* state no answer .*--map"):
        replay(log_of(tmp_path / "log.jsonl", [texts[3], "Hm, well."]), options)
