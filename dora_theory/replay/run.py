"""Replays a log under every strategy: what each would have reached with N further rollouts.

read → notice mispaired logs → judge answers → cut into candidates → allocate → estimate
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from dora_theory.errors import InputError
from dora_theory.replay.candidates import Candidates, candidates
from dora_theory.replay.correctness import Judge, final_answer
from dora_theory.replay.encoders import make_encoder
from dora_theory.replay.mispaired import check_paired
from dora_theory.replay.options import BASELINE, ReplayOptions
from dora_theory.replay.readers import read_log
from dora_theory.replay.record import Record

Note = Callable[[str], None]

CAVEAT = (
    "Off-policy: what is replayed is one decision, taken after the first steps of logged solutions "
    "and followed by continuations that the log's own model had drawn. Nothing is scored or cut "
    "again on the way, continuations of one direction count as draws of one success probability, "
    "and a rollout counts as right if its answer is: success is that of at least one right rollout."
)

# So many numbers are computed at once, so that memory does not grow with the log.
_NUMBERS = 1 << 22


@dataclass(frozen=True, slots=True)
class Replay:
    """What a log says, strategies × budgets × problems.

    Attributes:
        log: its name.
        options: how it was replayed.
        samples: logged solutions in all.
        directions: directions of each problem, shape `(problems,)`.
        lower: estimated success, or its lower bound, shape `(strategies, budgets, problems)`.
        upper: as `lower`, its upper bound.
        clipped: where the two are bounds, same shape.
        notes: what the user should know about the log.
    """

    log: str
    options: ReplayOptions
    samples: int
    directions: Float[np.ndarray, " problems"]
    lower: Float[np.ndarray, "strategies budgets problems"]
    upper: Float[np.ndarray, "strategies budgets problems"]
    clipped: Bool[np.ndarray, "strategies budgets problems"]
    notes: tuple[str, ...]


def replay(
    path: str, options: ReplayOptions | None = None, *, note: Note = lambda _: None
) -> Replay:
    """Replays one log.

    Args:
        path: a log that `read_log` reads.
        options: how, the defaults if None.
        note: called with each note as soon as it is known.

    Returns:
        Success of every strategy at every budget on every problem.

    Raises:
        InputError: the log cannot be read, judged or used.
    """
    options = options or ReplayOptions()
    notes: list[str] = []

    def remember(text: str) -> None:
        notes.append(text)
        note(text)

    encoder = make_encoder(options.encoder)
    log = read_log(
        path,
        log_format=options.log_format,
        mapping=options.mapping,
        skip_bad=options.skip_bad,
        note=remember,
    )
    records = check_paired(_independent(log, path, remember), path)
    with Judge() as judge:
        problems = [
            candidates(
                judged(record, judge),
                encoder,
                steps=options.steps,
                step_end=options.step_end,
                threshold=options.threshold,
                score_scale=options.score_scale,
            )
            for record in _progress(records)
        ]
        if judge.undecided:
            remember(f"{judge.undecided} answers took too long to judge and count as wrong")
    for text in _remarks(problems, options):
        remember(f"{path}: {text}")
    lower, upper, clipped = _estimate(problems, options)
    return Replay(
        log=path,
        options=options,
        samples=sum(len(p.scores) for p in problems),
        directions=np.array([p.directions.max() + 1.0 for p in problems]),
        lower=lower,
        upper=upper,
        clipped=clipped,
        notes=tuple(notes),
    )


def judged(record: Record, judge: Judge) -> Record:
    """The record with every sample judged: by the log where it says, else by its final answer.

    Args:
        record: the record.
        judge: compares the answers.

    Returns:
        The record; a sample whose solution ends in no answer is wrong.

    Raises:
        InputError: a sample is not judged and there is no right answer to judge it by.
    """
    if all(sample.correct is not None for sample in record.samples):
        return record
    if record.gold_answer is None:
        raise InputError(f"{record.place}: gold_answer: missing, and samples are not judged")
    samples = []
    for sample in record.samples:
        if sample.correct is None:
            answer = sample.final_answer or final_answer(sample.text)
            right = answer is not None and judge.same(record.gold_answer, answer)
            sample = replace(sample, final_answer=answer, correct=right)
        samples.append(sample)
    return replace(record, samples=tuple(samples))


def _independent(records: Iterable[Record], log: str, note: Note) -> Iterator[Record]:
    kept = 0
    for record in records:
        if record.kind == "tree":
            raise InputError(
                f"{record.place}: tree_nodes: a log of a tree search, whose paths share steps and "
                "were cut by the search: none is an independent continuation, replay needs those"
            )
        kept += record.kind == "kept"
        yield record
    if kept:
        note(
            f"{log}: {kept} problems have solutions that a search kept, which are no independent "
            "draws: their estimates are biased"
        )


def _remarks(problems: Sequence[Candidates], options: ReplayOptions) -> Iterator[str]:
    """What the candidates themselves give reason to say."""
    samples = sum(len(p.scores) for p in problems)
    unscored = sum(not p.scored for p in problems)
    if unscored:
        yield f"{unscored} problems have no scores: their candidates all have the same score"
    finished = sum(int(p.finished.sum()) for p in problems) / samples
    if finished > 0.05:
        hint = "; --step-end line cuts them finer" if options.step_end == "blank-line" else ""
        yield f"{finished:.0%} of the solutions end by step {options.steps}{hint}"
    copies = sum(p.copies for p in problems) / samples
    if copies > 0.05:
        yield (
            f"{copies:.0%} of the solutions repeat another of their problem word for word: "
            "if a search copied them, they are no independent draws"
        )
    short = [str(b) for b in options.budgets if b > max(len(p.scores) for p in problems)]
    if short:
        yield (
            f"budgets of {', '.join(short)} are more than was logged of any problem: success is a "
            "lower bound there for every strategy"
        )
    if len(problems) < 20:
        yield f"only {len(problems)} problems: the intervals cover less than 95%"


def _estimate(
    problems: Sequence[Candidates], options: ReplayOptions
) -> tuple[Float[np.ndarray, "s b p"], Float[np.ndarray, "s b p"], Bool[np.ndarray, "s b p"]]:
    # Not before the log has proved good: JAX takes longer to load than most logs to read.
    import jax

    from dora_theory.replay.estimator import replayed_success
    from dora_theory.replay.policies import allocate, pad

    parts = []
    with jax.enable_x64(True):
        for group in _groups(problems):
            batch = pad(group)
            by_strategy = [
                replayed_success(
                    allocate(strategy, batch, options),
                    batch.directions,
                    batch.correct,
                    batch.num_directions,
                    mask=batch.mask,
                )
                for strategy in options.strategies
            ]
            parts.append(
                [np.stack(list(map(np.asarray, x))) for x in zip(*by_strategy, strict=True)]
            )
    lower, upper, clipped = (np.concatenate(x, axis=-1) for x in zip(*parts, strict=True))
    return lower, upper, clipped


def _groups(problems: Sequence[Candidates]) -> Iterator[Sequence[Candidates]]:
    largest = max(len(p.scores) for p in problems)
    size = max(1, _NUMBERS // largest**2)
    for start in range(0, len(problems), size):
        yield problems[start : start + size]


def _progress(records: Iterator[Record]) -> Iterator[Record]:
    if not sys.stderr.isatty():
        yield from records
        return
    from tqdm import tqdm

    with tqdm(records, unit=" problems", delay=2, leave=False) as bar:
        yield from bar


def summary(result: Replay) -> dict[str, Any]:
    """The JSON document of one log: means over problems, with 95% intervals.

    Args:
        result: the replay.

    Returns:
        `strategies`: for each and each budget `success` with its interval `low`, `high`, and beside
        it `upper_bound` and `clipped`, the share of problems where the log does not suffice;
        `success` counts its lower bound there. `paired`: for each strategy but REBASE the
        `difference` to it with its interval, over the `problems` where the log suffices for both
        (null if there is none), and between which bounds, `lowest` and `highest`, the difference
        over all problems lies.
    """
    from dora_theory.replay.estimator import bootstrap

    options = result.options
    success = bootstrap(result.lower, seed=options.seed, resamples=options.resamples)
    upper, clipped = result.upper.mean(-1), result.clipped.mean(-1)
    strategies = {
        name: {
            "budget": {
                str(budget): {
                    "success": float(success.mean[i, j]),
                    "low": float(success.low[i, j]),
                    "high": float(success.high[i, j]),
                    "upper_bound": float(upper[i, j]),
                    "clipped": float(clipped[i, j]),
                }
                for j, budget in enumerate(options.budgets)
            }
        }
        for i, name in enumerate(options.strategies)
    }
    paired = _paired(result) if BASELINE in options.strategies else {}
    low, middle, high = np.quantile(result.directions, [0, 0.5, 1])
    return {
        "log": result.log,
        "problems": len(result.directions),
        "samples": result.samples,
        "directions": {"least": int(low), "median": float(middle), "most": int(high)},
        "strategies": strategies,
        "paired": paired,
        "options": options.as_json(),
        "notes": list(result.notes),
        "caveat": CAVEAT,
    }


def _paired(result: Replay) -> dict[str, Any]:
    """Differences to REBASE, problem by problem.

    Only where the log suffices for both: elsewhere the one that asks more of the log would seem
    worse. Which problems these are depends on the prefixes, never on an outcome.
    """
    from dora_theory.replay.estimator import bootstrap

    options = result.options
    base = options.strategies.index(BASELINE)
    suffices = ~(result.clipped | result.clipped[base])
    gain = bootstrap(
        result.lower - result.lower[base],
        suffices,
        seed=options.seed,
        resamples=options.resamples,
    )
    counts = suffices.sum(-1)
    lowest = (result.lower - result.upper[base]).mean(-1)
    highest = (result.upper - result.lower[base]).mean(-1)

    def cell(i: int, j: int) -> dict[str, Any]:
        known = counts[i, j] > 0
        return {
            "difference": float(gain.mean[i, j]) if known else None,
            "low": float(gain.low[i, j]) if known else None,
            "high": float(gain.high[i, j]) if known else None,
            "problems": int(counts[i, j]),
            "lowest": float(lowest[i, j]),
            "highest": float(highest[i, j]),
        }

    return {
        f"{name}-{BASELINE}": {
            "budget": {str(budget): cell(i, j) for j, budget in enumerate(options.budgets)}
        }
        for i, name in enumerate(options.strategies)
        if i != base
    }
