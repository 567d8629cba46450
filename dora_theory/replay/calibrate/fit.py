"""`calibrate LOG`: how far the scores of a log can be trusted, and which κ that means.

A log is cut after m steps into directions, each with so many continuations and so many of them
right. Three means for the Beta prior of a direction are held against these counts:

score       the mean PRM score of its candidates, as if it were the chance of success
calibrated  logit μ = α + β logit(score), α and β fitted together with κ
quality     the paper's: the softmax at T_b of all candidates' scores, pooled by direction. It sums
            to 1 over a problem, whatever the problem's chances are

The order in which an optimum spends rollouts, w/(κ + r), does not change if all means of a problem
are multiplied by a number; κ is what must be right.
"""

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from dora_theory._errors import InputError, agree, amount
from dora_theory.replay.calibrate.counts import (
    EDGE,
    MEANS,
    Counts,
    concentration_of,
    counts_of,
    directions_of,
)
from dora_theory.replay.cut.cutting import cut, encoder_of
from dora_theory.replay.cut.encoders import Encoder
from dora_theory.replay.examined import Examined, Note, Notes
from dora_theory.replay.grade.correctness import Judge
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.read.record import Record
from dora_theory.replay.run import replay
from dora_theory.replay.workers import Workers
from dora_theory.strategies.registry import DIRECTION_OPTIMAL, OPTIMAL, REBASE

if TYPE_CHECKING:
    from dora_theory.replay.calibrate.log_length import Alike

CAVEAT = (
    "Directions of one problem count as independent given their means; where a problem is easy or "
    "hard as a whole, κ is smaller for it and its interval too narrow. Solutions that are at their "
    "end by step m are left out."
)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Solutions of a log, one by one, as seen after m steps.

    Attributes:
        score: after step m, shape `(n,)`.
        final: after the last step.
        correct: whether right.
        problem: number of the problem.
    """

    score: Float[np.ndarray, " n"]
    final: Float[np.ndarray, " n"]
    correct: np.ndarray
    problem: Int[np.ndarray, " n"]


def calibrate(
    path: str,
    options: ReplayOptions,
    *,
    depths: tuple[int, ...] = (1, 2, 3, 4, 6, 8),
    note: Note = lambda _: None,
    judge: Judge | None = None,
    workers: Workers | None = None,
) -> dict[str, Any]:
    """Fits κ to a log, and holds its scores against outcomes.

    Args:
        path: a log that `read_log` reads, of solutions with scores.
        options: how to read and cut it; `steps` is the m of all but the sweep over depths.
        depths: m of the sweep.
        note: called with each note as soon as it is known.
        judge: compares answers, one that may know some already; one of its own if None.
        workers: who judges, cuts and replays, this process if None; no result depends on it.

    Returns:
        The JSON document: `concentration` by mean, with `best` the one of the highest likelihood;
        `use`, the κ for `allocate`, which sees the softmax of scores: that of `quality`; `depth`
        and `level`, the fits of the best mean by m and by difficulty; `scores`, calibration after
        step m (`step`) and after the last one (`final`); `length`, the T_s of the similarity kernel
        that outcomes of like candidates support, null if no problem has two; `own`, the map to a κ
        of each candidate, as `own_confidence` has it; `replayed`, success if the optimum for the κ
        to use is, beside REBASE and the optimum for κ = 1/2; `checks`, as of a replay; `notes`,
        `caveat`.

    Raises:
        InputError: the log cannot be read, judged or used, or has no scores.
    """
    depths = tuple(sorted({*depths, options.steps}))
    notes = Notes(note)

    # One judge for all passes: what it has compared once it knows.
    with judge or Judge() as judge:
        return _calibrated(path, options, depths, notes, judge, workers or Workers())


def _calibrated(
    path: str,
    options: ReplayOptions,
    depths: tuple[int, ...],
    notes: Notes,
    judge: Judge,
    workers: Workers,
) -> dict[str, Any]:
    log = Examined(path, options, judge, notes, workers)
    counts, outcomes, problems, pairs, rows = _collected(log, options, depths, notes)
    if not any(len(c.score) for c in counts.values()):
        raise InputError(f"{path}: no scores of solutions that go on after step {depths[0]}")
    main = counts[options.steps]
    if not len(main.score):
        raise InputError(
            f"{path}: no solution goes on after step {options.steps}: a smaller --steps"
        )
    edge = int(sum(((c < EDGE) | (c > 1 - EDGE)).sum() for c in main[:2]))
    if edge:
        notes(
            f"{path}: {edge} of {2 * len(main.score)} means {agree(edge, 'are')} nearer to 0 or 1 "
            f"than 1/512 and {agree(edge, 'count')} as if there: no outcome is impossible"
        )
    fits = {mean: _fit(main, mean) for mean in MEANS}
    from dora_theory.replay.calibrate.log_length import length_of_log
    from dora_theory.replay.calibrate.own_confidence import own_confidence, seen_of

    how = {"seed": options.seed, "resamples": options.resamples}
    best = max(fits, key=lambda mean: fits[mean]["log_likelihood"])
    return {
        "log": path,
        "problems": problems,
        "steps": options.steps,
        "concentration": fits,
        "best": best,
        "use": {name: fits["quality"][name] for name in ("concentration", "low", "high")},
        "depth": {str(m): _fit(c, best) for m, c in counts.items() if len(c.score)},
        "level": {
            str(level): _fit(_of_level(main, level), best)
            for level in sorted(set(main.level.tolist()))
            if level
        },
        "length": length_of_log(pairs, concentration_of(main, "calibrated")),
        "own": own_confidence(seen_of(rows), options.steps, options.budgets, **how),
        "scores": {"step": _scores(outcomes, "score"), "final": _scores(outcomes, "final")},
        "replayed": _replayed(path, options, fits["quality"]["concentration"], judge, workers),
        "checks": [asdict(finding) for finding in log.findings()],
        "notes": list(notes),
        "caveat": CAVEAT,
    }


def _replayed(
    path: str, options: ReplayOptions, kappa: float, judge: Judge, workers: Workers
) -> dict[str, Any]:
    from dora_theory.replay.report.summary import summary

    names = (REBASE, OPTIMAL, DIRECTION_OPTIMAL)
    both = []
    for k in (kappa, 0.5):
        how = replace(options, strategies=names, concentration=k)
        both.append(summary(replay(path, how, judge=judge, workers=workers)))
    return {
        "concentration": kappa,
        "fitted": {name: both[0]["strategies"][name]["budget"] for name in names},
        "webster": {name: both[1]["strategies"][name]["budget"] for name in names[1:]},
        "paired": both[0]["paired"],
    }


def _collected(
    log: Examined, options: ReplayOptions, depths: tuple[int, ...], note: Note
) -> tuple[dict[int, Counts], Outcomes, int, list["Alike"], list[tuple]]:
    encoder = encoder_of(options)
    groups: dict[int, list[tuple]] = {m: [] for m in depths}
    samples: list[tuple] = []
    pairs: list[Alike] = []
    rows: list[tuple] = []
    problems = unscored = 0
    for number, of_one in enumerate(log.solutions(partial(_seen, options, depths, encoder))):
        problems += 1
        unscored += of_one is None
        if of_one is not None:
            for m, group in of_one.directions.items():
                groups[m] += group
            rows += of_one.rows
            pairs += of_one.pairs
            samples += [(*sample, number) for sample in of_one.samples]
    if unscored:
        note(
            f"{log.path}: {amount(unscored, 'problem')} {agree(unscored, 'have')} no scores and "
            f"{agree(unscored, 'are')} left out"
        )
    columns = (np.array(x) for x in zip(*samples, strict=True)) if samples else [np.zeros(0)] * 4
    counts = {m: counts_of(group) for m, group in groups.items()}
    return counts, Outcomes(*columns), problems, pairs, rows


class _OfOne(NamedTuple):
    """What one record tells.

    Attributes:
        directions: by depth.
        rows: of its directions, as `directions_seen`.
        samples: score after step m, final score, verdict of each solution that goes on.
        pairs: of those, one entry if there are any.
    """

    directions: dict[int, list[tuple]]
    rows: list[tuple]
    samples: list[tuple]
    pairs: list["Alike"]


def _seen(
    options: ReplayOptions, depths: tuple[int, ...], encoder: Encoder, record: Record
) -> _OfOne | None:
    """What a record tells, None if it has no scores."""
    from dora_theory.replay.calibrate.log_length import alike
    from dora_theory.replay.calibrate.own_confidence import directions_seen

    of_one = _OfOne({}, [], [], [])
    for m in depths:
        seen = cut(record, replace(options, steps=m), encoder)
        if not seen.scored:
            return None
        going = ~seen.finished
        if not going.any():
            continue
        scores, correct = seen.scores[going], seen.correct[going]
        t = options.quality_temperature
        of_one.directions[m] = list(
            directions_of(scores, seen.directions[going], correct, t, record.level or "")
        )
        of_one.rows.extend(directions_seen(record, seen, options, m))
        if m == options.steps:
            of_one.pairs.append(alike(scores, correct, seen.embeddings[going], EDGE))
            last = np.array([(s.step_scores or ())[-1] for s in record.samples])
            final = last[going] / options.score_scale
            of_one.samples.extend(zip(scores, final, correct, strict=True))
    return of_one


def _of_level(counts: Counts, level: str) -> Counts:
    return Counts(*(x[counts.level == level] for x in counts))


def _fit(counts: Counts, mean: str) -> dict[str, Any]:
    from dora_theory.replay.calibrate.reliability import divisor_method

    fit = concentration_of(counts, mean)
    document = asdict(fit) | {"divisor": divisor_method(fit.low, fit.high)}
    document["warnings"] = list(fit.warnings)
    document["high"] = None if fit.high == np.inf else fit.high
    return document


def _scores(outcomes: Outcomes, which: str) -> dict[str, Any]:
    from dora_theory.replay.calibrate.scoring import calibration

    scores = getattr(outcomes, which).astype(float)
    _, problem = np.unique(outcomes.problem, return_inverse=True)
    found = asdict(calibration(scores, outcomes.correct.astype(bool), problem))
    return {name: _plain(value) for name, value in found.items()}


def _plain(value: Any) -> Any:
    """Without arrays, and with null for what is not a number."""
    if isinstance(value, np.ndarray):
        return [_plain(entry) for entry in value.tolist()]
    return None if value != value else value
