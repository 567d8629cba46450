"""Small made-up logs whose truth is known, in the formats of real ones.

Every problem has directions with success probabilities of their own, p ~ Beta(κ Q, κ (1 − Q)), and
solutions that follow one direction each: the PRM's score is the quality of the direction and noise,
the answer is right with probability p. A replay of such a log can be held against 1 − Π (1 − p)^B.
"""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

Format = Literal["plain", "search-and-learn"]

_NOUNS = (
    "apple basket candle donkey engine feather garden hammer island jacket kettle ladder marble "
    "needle orange pencil quarry ribbon saddle teapot umbrella violin walnut yarn zebra anchor "
    "barrel cactus dragon eagle ferry goblet"
)
_VERBS = "count split double halve stack weigh shift fold merge trade share swap"
_METHODS = (
    "symmetry recursion induction substitution factoring graphing tabulation estimation "
    "contradiction inversion telescoping enumeration"
)


class Truth(NamedTuple):
    """What generated one problem.

    Attributes:
        success: success probability of each direction, shape `(g,)`.
        directions: direction of each solution, shape `(k,)`, numbered by first appearance.
    """

    success: Float[np.ndarray, " g"]
    directions: Int[np.ndarray, " k"]


def write_synthetic_log(
    path: str | Path,
    *,
    seed: int = 0,
    problems: int = 40,
    samples: int = 16,
    directions: int = 5,
    concentration: float = 1.0,
    noise: float = 0.05,
    log_format: Format = "plain",
) -> list[Truth]:
    """Writes a log; the same arguments write the same bytes.

    Args:
        path: where; gzip-compressed if the name ends in .gz.
        seed: of NumPy's default generator.
        problems: how many, a line each.
        samples: solutions of each problem.
        directions: most directions of a problem, at most 12.
        concentration: κ of the directions' success probabilities around their quality.
        noise: standard deviation of the scores around the quality.
        log_format: the tool whose format to write.

    Returns:
        The truth of every problem, in order; `plain` logs hold it too, as the field `truth`.

    Raises:
        ValueError: more directions than there are names for, or no problems, samples, directions.
    """
    if not 1 <= directions <= len(_METHODS.split()):
        raise ValueError(
            f"directions = {directions}: needs a number in [1, {len(_METHODS.split())}]"
        )
    if problems < 1 or samples < 1:
        raise ValueError(f"problems = {problems}, samples = {samples}: needs at least one")
    generator = np.random.default_rng(seed)
    truths, lines = [], []
    for number in range(problems):
        truth, row = _problem(generator, number, samples, directions, concentration, noise)
        truths.append(truth)
        lines.append(json.dumps(_FORMATS[log_format](row)) + "\n")
    data = "".join(lines).encode()
    # No time stamp and no name, so that the bytes are always the same.
    packed = gzip.compress(data, mtime=0) if str(path).endswith(".gz") else data
    Path(path).write_bytes(packed)
    return truths


def _problem(
    generator: np.random.Generator,
    number: int,
    samples: int,
    directions: int,
    concentration: float,
    noise: float,
) -> tuple[Truth, dict[str, Any]]:
    nouns = generator.choice(_NOUNS.split(), 4, replace=False)
    numbers = generator.integers(10, 1000, 3)
    problem = (
        f"Ann has {numbers[0]} {nouns[0]}s and {numbers[1]} {nouns[1]}s, Bob has {numbers[2]} "
        f"{nouns[2]}s. How many {nouns[3]}s can they trade for all of them?"
    )
    gold = int(generator.integers(1000, 10_000))
    # Crowds differ in size by far more than in quality, as they do in real logs.
    share = generator.dirichlet(np.full(directions, 0.7))
    quality = generator.uniform(0.05, 0.9, directions)
    success = generator.beta(concentration * quality, concentration * (1 - quality))
    drawn = generator.choice(directions, samples, p=share)
    # Directions that no solution follows are not there.
    found, first, label = np.unique(drawn, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    truth = Truth(success[found[np.argsort(first)]], order[label].astype(np.int32))
    methods = generator.permutation(_METHODS.split())[:directions]
    rows = [
        _solution(generator, problem, nouns, methods[j], gold, quality[j], success[j], noise)
        for j in drawn
    ]
    return truth, {
        "problem_id": f"synthetic/{number}",
        "problem": problem,
        "gold_answer": str(gold),
        "level": str(1 + number % 5),
        "samples": rows,
        "truth": {
            "success": truth.success.tolist(),
            "directions": truth.directions.tolist(),
        },
    }


def _solution(
    generator: np.random.Generator,
    problem: str,
    nouns: Any,
    method: str,
    gold: int,
    quality: float,
    success: float,
    noise: float,
) -> dict[str, Any]:
    verbs = _VERBS.split()
    verb = verbs[generator.integers(len(verbs))]
    correct = bool(generator.random() < success)
    answer = gold if correct else gold + int(generator.integers(1, 900))
    steps = [
        f"## Step 1: {method}\nBy {method} of {nouns[0]}s, {method} of {nouns[1]}s.",
        f"## Step 2: {method} again\nFirst {method} of {nouns[2]}s, then we {verb}.",
        f"## Step 3: more\nAll {nouns[3]}s together: {problem}",
        f"The final answer is $\\boxed{{{answer}}}$.",
    ]
    drift = np.where(np.arange(4) < 2, quality, 0.5 * quality + 0.5 * correct)
    scores = np.clip(drift + noise * generator.normal(size=4), 0, 1)
    return {
        "text": "\n\n".join(steps),
        "final_answer": str(answer),
        "correct": correct,
        "step_scores": scores.round(6).tolist(),
        "completion_tokens": int(generator.integers(50, 400)),
    }


def _search_and_learn(row: dict[str, Any]) -> dict[str, Any]:
    samples = row["samples"]
    return {
        "problem": row["problem"],
        "answer": row["gold_answer"],
        "unique_id": row["problem_id"],
        "level": int(row["level"]),
        "completions": [sample["text"] for sample in samples],
        "scores": [sample["step_scores"] for sample in samples],
        "completion_tokens": [sample["completion_tokens"] for sample in samples],
        "pred": max(samples, key=lambda sample: sample["step_scores"][-1])["text"],
    }


_FORMATS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "plain": lambda row: row,
    "search-and-learn": _search_and_learn,
}
