"""What a replay finds, problem by problem."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from dora_theory.replay.check.integrity import Finding
from dora_theory.replay.cut.similarity import Similarity
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.read.record import Kind


@dataclass(frozen=True, slots=True)
class Replay:
    """What a log says, strategies × budgets × problems.

    Attributes:
        log: its name.
        kind: of its records; `tree` means nodes of searches, all else means solutions.
        options: how it was replayed.
        samples: logged solutions, or nodes, in all.
        directions: directions of each problem, shape `(problems,)`.
        lower: estimated success, or its lower bound, shape `(strategies, budgets, problems)`.
        upper: as `lower`, its upper bound.
        clipped: where the two are bounds, same shape.
        findings: what the checks found.
        notes: what the user should know about the log.
        search: of trees: by what share of a problem's decisions the logged search itself kept a
            node from which the problem can be solved, shape `(problems,)`; else None.
        votes: accuracy of the vote by majority and by final scores, an estimate where `clipped` is
            false, shape `(2, strategies, budgets, problems)`; None if not asked for, or if no
            wrong answer is logged.
        epsilon: upper bound on what each allocation lacks, under the prior that strategies are
            given, shape `(strategies, budgets, problems)`; None if not asked for.
        lengths: the T_s that each half of the problems was given, fitted on the other; else None.
        similarity: how alike the candidates are, of a problem or of a decision.
        solvable: share of the problems that some logged solution solves; None of trees.
    """

    log: str
    kind: Kind
    options: ReplayOptions
    samples: int
    directions: Float[np.ndarray, " problems"]
    lower: Float[np.ndarray, "strategies budgets problems"]
    upper: Float[np.ndarray, "strategies budgets problems"]
    clipped: Bool[np.ndarray, "strategies budgets problems"]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    similarity: Similarity
    votes: Float[np.ndarray, "2 strategies budgets problems"] | None = None
    search: Float[np.ndarray, " problems"] | None = None
    epsilon: Float[np.ndarray, "strategies budgets problems"] | None = None
    lengths: tuple[float, ...] | None = None
    solvable: float | None = None
