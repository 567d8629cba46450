"""Replays a log under every strategy: what each would have reached with N further rollouts.

read → check → judge answers → cut into candidates → allocate → estimate, some problems at a time,
so that memory does not grow with the log but by a few numbers a problem.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from dora_theory._errors import InputError, agree, amount, budgets_of
from dora_theory.replay.cut.candidates import Candidates
from dora_theory.replay.cut.cutting import cut, encoder_of
from dora_theory.replay.cut.encoders import Encoder
from dora_theory.replay.cut.similarity import Numbers, Similarities, numbers_of
from dora_theory.replay.estimate.grouping import Groups
from dora_theory.replay.estimate.ties import averaged, orders
from dora_theory.replay.estimate.trees import replay_trees
from dora_theory.replay.estimate.votes import voted
from dora_theory.replay.examined import Examined, Note, Notes
from dora_theory.replay.grade.answers import RIGHT
from dora_theory.replay.grade.correctness import Judge
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.read.record import Record
from dora_theory.replay.result import Replay
from dora_theory.replay.workers import Workers


def replay(
    path: str,
    options: ReplayOptions | None = None,
    *,
    note: Note = lambda _: None,
    judge: Judge | None = None,
    workers: Workers | None = None,
) -> Replay:
    """Replays one log.

    Args:
        path: a log that `read_log` reads.
        options: how, the defaults if None.
        note: called with each note as soon as it is known.
        judge: compares answers, one that may know some already; one of its own if None.
        workers: who judges, cuts and estimates, this process if None; no result depends on it.

    Returns:
        Success of every strategy at every budget on every problem.

    Raises:
        InputError: the log cannot be read, judged or used.
    """
    options = options or ReplayOptions()
    notes = Notes(note)

    if path == "-" and options.fit_similarity_temperature:
        raise InputError("--fit-similarity-temperature: reads a log twice, not standard input")
    encoder, workers = encoder_of(options), workers or Workers()
    with judge or Judge() as judge:
        log = Examined(path, options, judge, notes, workers)
        if log.kind == "tree":
            if options.by_cost:
                raise InputError(f"{path}: a tree has no tokens to spend a budget of cost on")
            if options.certify or options.fit_similarity_temperature:
                raise InputError(f"{path}: a tree has no outcomes to fit T_s to or to certify by")
            found = replay_trees(path, log.trees(), encoder, options, workers)
        else:
            halves: tuple[ReplayOptions, ...] = (options,)
            if options.fit_similarity_temperature:
                from dora_theory.replay.calibrate.halves import fitted_halves

                halves = fitted_halves(path, options, judge, encoder, notes, workers)
            found = _replay_solutions(log, encoder, options, halves, notes, workers)
    return replace(found, notes=tuple(notes))


def _replay_solutions(
    log: Examined,
    encoder: Encoder,
    options: ReplayOptions,
    halves: tuple[ReplayOptions, ...],
    note: Note,
    workers: Workers,
) -> Replay:
    """Replays each problem with the options of its half, which is its key's remainder."""
    tally = _Tally()
    groups = [Groups(partial(_success, own), workers) for own in halves]
    similarities, copies = Similarities(), []
    half: list[int] = []
    for problem, numbers, reordered in log.solutions(partial(_seen, options, encoder)):
        tally.add(problem)
        similarities.add(numbers)
        copies.append(len(reordered))
        for one in reordered:
            half.append(one.key % len(halves))
            groups[half[-1]].add(one)
    left_out, options = options.budgets, options.within(tally.largest)
    left_out = left_out[len(options.budgets) :]
    found = [averaged(x, copies)[:, : len(options.budgets)] for x in _merged(groups, half)]
    epsilon = found.pop() if options.certify else None
    lower, upper, clipped, *votes = found
    if left_out:
        note(
            f"{log.path}: {budgets_of(left_out)} left out, for no problem "
            "has so many solutions; --budgets has them"
        )
    for text in tally.remarks(options):
        note(f"{log.path}: {text}")
    return Replay(
        log=log.path,
        kind="independent",
        solvable=tally.solved / len(tally.directions),
        options=options,
        samples=tally.samples,
        directions=np.array(tally.directions, dtype=float),
        lower=lower,
        upper=upper,
        clipped=clipped,
        findings=tuple(log.findings()),
        notes=(),
        similarity=similarities.done(),
        votes=np.stack(votes) if votes and tally.opposed else None,
        epsilon=epsilon,
        lengths=tuple(o.similarity_temperature for o in halves) if len(halves) > 1 else None,
    )


def _seen(
    options: ReplayOptions, encoder: Encoder, record: Record
) -> tuple[Candidates, Numbers, list[Candidates]]:
    """The candidates of a record, their similarities, and the orders to estimate them in."""
    problem = cut(record, options, encoder)
    return problem, numbers_of(problem), orders(problem, options.seed)


def _merged(groups: list[Groups], half: list[int]) -> list[np.ndarray]:
    """What the halves estimate, in the order in which problems came."""
    parts = {i: groups[i].done() for i in sorted(set(half))}
    order = np.argsort(np.argsort(half, kind="stable"), kind="stable")
    return [np.concatenate(x, -1)[..., order] for x in zip(*parts.values(), strict=True)]


def _success(options: ReplayOptions, batch: Any) -> tuple[np.ndarray, ...]:
    """Success of every strategy at every budget on every problem, as bounds, and where they are."""
    from dora_theory.replay.estimate.estimator import replayed_success
    from dora_theory.replay.estimate.policies import allocate, pooled

    given = [(pooled(s, batch), allocate(s, batch, options)) for s in options.strategies]
    by_strategy = [
        replayed_success(x, b.directions, b.correct, b.num_directions, mask=b.mask)
        for b, x in given
    ]
    found = tuple(np.stack(list(map(np.asarray, x))) for x in zip(*by_strategy, strict=True))
    if options.votes:
        votes = [voted(np.asarray(x), b, draws=options.votes, seed=options.seed) for b, x in given]
        found += tuple(map(np.stack, zip(*votes, strict=True)))
    if options.certify:
        from dora_theory.replay.estimate.certified import certified

        spent = [x for _, x in given]
        found += (certified(batch, spent, options.of_strategies(), options.seed),)
    return found


@dataclass
class _Tally:
    """What the problems are like, all together."""

    samples: int = 0
    solved: int = 0
    unscored: int = 0
    finished: int = 0
    largest: int = 0
    opposed: bool = False
    directions: list[int] = field(default_factory=list)

    def add(self, problem: Candidates) -> None:
        self.samples += len(problem.scores)
        self.solved += bool(problem.correct.any())
        self.unscored += not problem.scored
        self.finished += int(problem.finished.sum())
        self.largest = max(self.largest, len(problem.scores))
        self.opposed = self.opposed or (
            problem.answers is not None and problem.answers.max() > RIGHT
        )
        self.directions.append(int(problem.directions.max()) + 1)

    def remarks(self, options: ReplayOptions) -> Iterator[str]:
        """What the candidates themselves give reason to say."""
        if self.unscored:
            yield (
                f"{amount(self.unscored, 'problem')} {agree(self.unscored, 'have')} no scores: "
                f"{agree(self.unscored, 'their')} candidates all have the same one"
            )
        if options.votes and not self.opposed:
            yield "no wrong solution has an answer: nothing can be voted on"
        finished = self.finished / self.samples
        if finished > 0.05:
            hint = "; --step-end line cuts them finer" if options.step_end == "blank-line" else ""
            yield f"{finished:.0%} of the solutions end by step {options.steps}{hint}"
        short = [str(b) for b in options.budgets if b > self.largest and not options.by_cost]
        if short:
            yield (
                f"{budgets_of(short)} more than was logged of any problem: success "
                "is a lower bound there for every strategy"
            )
