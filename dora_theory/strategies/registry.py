"""The strategies by their command-line names: what each needs, and the options they share."""

import math
from dataclasses import dataclass

from dora_theory._errors import InputError, flag


@dataclass(frozen=True, slots=True)
class Strategy:
    """What one strategy needs of a problem and of the options.

    Attributes:
        about: one line of help.
        geometry: needs embeddings or similarity.
        directions: needs directions.
        options: names of the options without which it cannot run.
        literal: has a form with the paper's own rounding.
    """

    about: str
    geometry: bool = False
    directions: bool = False
    options: tuple[str, ...] = ()
    literal: bool = True


STRATEGIES = {
    "temperature": Strategy("the same for every candidate"),
    "beam": Strategy("M each to the best"),
    "dvts": Strategy("to the best of each of N/M groups"),
    "rebase": Strategy("in proportion to quality"),
    "rebase-sequential": Strategy("rounding up in descending order of score"),
    "dora": Strategy("in proportion to quality times uniqueness", geometry=True),
    "magnitude": Strategy("in proportion to quality times magnitude weighting", geometry=True),
    "optimal": Strategy("exact optimum", options=("kappa",), literal=False),
    "direction-optimal": Strategy(
        "exact optimum over direction totals, then evenly",
        directions=True,
        options=("kappa",),
        literal=False,
    ),
    "correlated": Strategy(
        "exact optimum of the hierarchical prior",
        directions=True,
        options=("kappa", "nu"),
        literal=False,
    ),
    "waterfill": Strategy("real-valued relaxation", options=("kappa",), literal=False),
}

POOLS = ("mean-exp", "max", "mean")

MOST_ROLLOUTS = 2**31 - 1
# The account of a direction is as long as the budget, and takes the square of it in time.
MOST_CORRELATED = 2**20
# Beyond these a quotient such as w/κ or R/T may leave the range of a double, or κ(1-w) fall among
# the subnormal numbers, which count as 0. Above 2^52 κ + 1 is no double of its own.
_LEAST, _MOST = 1e-290, {"kappa": 2.0**52, "nu": 2.0**52}
_MOST_TEMPERATURE = 1e290


@dataclass(frozen=True, slots=True)
class Options:
    """How to allocate, the same for every problem of a run. Hashable, so static under `jit`.

    Attributes:
        strategy: a key of `STRATEGIES`.
        budget: N, rollouts a problem.
        literal: the paper's own rounding, whose sum may miss N.
        quality_temperature: T_b of the softmax that turns scores into qualities.
        similarity_temperature: T_s of the similarity softmax.
        beam_width: M of beam search and DVTS.
        pool: how the scores of a direction become one score.
        kappa: concentration κ of the Beta prior of a candidate or direction, None if not stated.
        nu: concentration ν of the candidates of a direction around it, None if not stated.

    Raises:
        InputError: an option out of its range, or one that the strategy needs and lacks.
    """

    strategy: str
    budget: int
    literal: bool = False
    quality_temperature: float = 0.1
    similarity_temperature: float = 0.01
    beam_width: int = 4
    pool: str = "mean-exp"
    kappa: float | None = None
    nu: float | None = None

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise InputError(f"--strategy: {self.strategy!r} is none of {', '.join(STRATEGIES)}")
        for name, least in (("budget", 0), ("beam_width", 1)):
            if not least <= getattr(self, name) <= MOST_ROLLOUTS:
                raise InputError(
                    f"{flag(name)}: {getattr(self, name)}: "
                    f"needs a whole number in [{least}, {MOST_ROLLOUTS}]"
                )
        if self.strategy == "correlated" and self.budget > MOST_CORRELATED:
            raise InputError(
                f"--budget: {self.budget}: strategy correlated keeps an account as long as the "
                f"budget, needs a whole number in [0, {MOST_CORRELATED}]"
            )
        for name in ("quality_temperature", "similarity_temperature", "kappa", "nu"):
            value, most = getattr(self, name), _MOST.get(name, _MOST_TEMPERATURE)
            if value is not None and not _LEAST <= value <= most:
                needs = "a positive number" if value <= 0 or math.isnan(value) else "a number"
                raise InputError(
                    f"{flag(name)}: {value:g}: needs {needs} in [{_LEAST:g}, {most:g}]"
                )
        strategy = STRATEGIES[self.strategy]
        for name in strategy.options:
            if getattr(self, name) is None:
                raise InputError(f"{flag(name)}: missing, strategy {self.strategy} needs it")
        if self.literal and not strategy.literal:
            raise InputError(f"--literal: strategy {self.strategy} has no other rounding")
