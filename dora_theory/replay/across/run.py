"""`replay --across`: one budget for all problems of a log, as a JSON document."""

from dataclasses import asdict
from typing import Any

import jax

from dora_theory._errors import InputError, agree, amount, budgets_of
from dora_theory.replay.across.budgets import solved_at_budgets
from dora_theory.replay.across.curves import fitted, savings
from dora_theory.replay.across.options import AcrossOptions
from dora_theory.replay.across.problems import LoggedProblems, collect
from dora_theory.replay.across.threshold import stopping
from dora_theory.replay.examined import Examined, Note, Notes
from dora_theory.replay.grade.correctness import Judge
from dora_theory.replay.options import ReplayOptions

CAVEAT = (
    "Rollouts are the log's own solutions, drawn without replacement. A problem counts as solved "
    "with its first right one, which a perfect verifier would see at once, or after each batch. "
    "A policy that reaches all that the log solves has budget left. Intervals of shares are those "
    "of one run: problems drawn anew, and the order of solutions."
)


def replay_across(
    path: str,
    options: AcrossOptions,
    reading: ReplayOptions,
    *,
    note: Note = lambda _: None,
    judge: Judge | None = None,
) -> dict[str, Any]:
    """Replays one budget for all problems of a log.

    Args:
        path: a log that `read_log` reads; scores are not needed.
        options: budgets, coverages, rounds, what priors differ by, thresholds.
        reading: how the log is read.
        note: called with each note as soon as it is known.
        judge: compares answers; one of its own if None.

    Returns:
        `savings`, `policies` and, where every solution has scores, `stopping`, see `savings`,
        `solved_at_budgets` and `stopping`, with the fitted Beta.

    Raises:
        InputError: the log cannot be read, judged or used.
    """
    notes = Notes(note)

    with judge or Judge() as judge:
        log = Examined(path, reading, judge, notes)
        if log.kind == "tree":
            raise InputError(f"{path}: a log of trees has no rollouts to share out among problems")
        problems = collect(log.solutions(), reading.score_scale)
    with jax.enable_x64(True):
        document = across(path, problems, options, notes)
    return document | {"checks": [asdict(f) for f in log.findings()], "notes": list(notes)}


def across(
    path: str, problems: LoggedProblems, options: AcrossOptions, note: Note = lambda _: None
) -> dict[str, Any]:
    """The document of problems that have been read, as `replay_across`."""
    m, k = problems.correct.shape
    for column in (c for c in options.by if c != "score"):
        if all(x is None for x in problems.columns[column]):
            raise InputError(f"{path}: --by: the log has no {column}")
    if problems.scores is None and ("score" in options.by or options.accept):
        flag = "--by: score" if "score" in options.by else "--accept"
        raise InputError(f"{path}: {flag}: needs scores, and some solutions have none")
    if not any(n <= k for n in options.budgets):
        least = min(options.budgets)
        raise InputError(f"{path}: --budgets: {least}: more than the {k} logged of any problem")
    least = int(problems.logged.min())
    if least < k:
        note(f"{path}: {least} to {k} solutions of a problem: those with fewer end there")
    fit = fitted(problems)
    if isinstance(fit, str):
        note(f"{path}: no Beta prior: {fit}")
    try:
        saved = savings(problems, fit, options)
        found = solved_at_budgets(problems, options, [row["coverage"] for row in saved])
    except ValueError as error:
        raise InputError(f"{path}: --by: {error}") from None
    if found["left_out"]:
        note(
            f"{path}: {budgets_of(found['left_out'])} more than was logged of any problem: left out"
        )
    if found["common"]:
        few = found["common"]
        note(
            f"{path}: {amount(few, 'problem')} {agree(few, 'take')} the common prior, "
            f"{agree(few, 'their')} group being small"
        )
    for i, row in enumerate(saved):
        row["priors"] = {name: needed[i] for name, needed in found["needed"].items()}
    return {
        "log": path,
        "problems": m,
        "samples": int(problems.logged.sum()),
        "logged": k,
        "solved": float((problems.right > 0).mean()),
        "fit": None if isinstance(fit, str) else fit._asdict(),
        "savings": saved,
        "policies": found["policies"],
        "stopping": None if problems.scores is None else stopping(problems, options),
        "options": options.as_json(),
        "caveat": CAVEAT,
    }
