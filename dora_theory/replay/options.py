"""What a replay can be given. No JAX: a wrong option is reported before anything is loaded."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from dora_theory._errors import InputError, flag
from dora_theory.replay.read.record import LinkName, StepEnd
from dora_theory.strategies.choosing import as_strategies
from dora_theory.strategies.options import Options
from dora_theory.strategies.registry import STRATEGIES

# A log knows neither the true qualities nor ν.
REPLAYED = tuple(
    name
    for name, strategy in STRATEGIES.items()
    if not (strategy.real or strategy.oracle or "within_concentration" in strategy.options)
)
COSTLY = tuple(name for name in REPLAYED if STRATEGIES[name].costly)
BY_DEFAULT = tuple(name for name in REPLAYED if name not in COSTLY)
# Of `formats.FORMATS`, which cannot be asked before NumPy is loaded.
LOG_FORMATS = ("plain", "dora", "search-and-learn", "rebase", "openr")
LINKS = ("none", "sigmoid", "minmax")
BUDGETS = (4, 8, 16, 32, 64)
_MOST_ROLLOUTS = 1 << 20


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How to replay, the same for every log of a run.

    Attributes:
        budgets: N, further rollouts of a problem, ascending. The default ones end where the log
            ends: those that exceed the solutions of every problem are left out.
        strategies: names of `REPLAYED`, or rules of your own, see `as_strategy`; by default all but
            `moment-divisors` and `pair-divisors`, which cost several times the others together.
        steps: m, after which solutions are cut.
        step_end: what ends a step.
        encoder: name of the encoder of prefixes.
        threshold: largest mean cosine distance within a direction.
        concentration: κ of `optimal` and `direction-optimal`.
        quality_temperature: T_b.
        similarity_temperature: T_s.
        beam_width: M of beam search and DVTS.
        smooth: shared divisors take the mean score of like candidates, see `Options`.
        score_scale: scores of the log are divided by it.
        score_link: what makes a probability of a score, `none`, `sigmoid` of log odds, `minmax` by
            the range of the log's scores.
        seed: of the bootstrap.
        resamples: of the bootstrap.
        votes: how often the continuations of a problem are drawn for the accuracy of its vote; 0
            leaves votes out.
        skip_bad: bad records that may be skipped, for each log.
        log_format: a format's name, or `auto`.
        mapping: field → column of a table of any other form, or empty.
        repair: whether completions that were dealt to other problems are dealt back.
        encoder_cache: file that keeps embeddings, none if empty; no result depends on it.
        certify: whether to bound how far each allocation is from the best, if the prior that
            scores and similarities state is right.
        fit_similarity_temperature: whether to fit T_s on each half of the problems for the other.
        by_cost: whether budgets are tokens that the further rollouts of a problem may cost, by the
            lengths that the log has, instead of rollouts; see `Candidates`.
        all_budgets: whether even the default budgets go on where the log has ended.

    Raises:
        InputError: an option out of its range.

    Examples:
        >>> dt.ReplayOptions(budgets=(4, 8), encoder="tfidf").budgets
        (4, 8)
    """

    budgets: tuple[int, ...] = BUDGETS
    strategies: tuple[Any, ...] = BY_DEFAULT
    steps: int = 2
    step_end: StepEnd = "blank-line"
    encoder: str = "tfidf"
    threshold: float = 0.3
    concentration: float = 0.5
    quality_temperature: float = 0.1
    similarity_temperature: float = 0.01
    beam_width: int = 4
    smooth: bool = False
    score_scale: float = 1.0
    score_link: LinkName = "none"
    seed: int = 0
    resamples: int = 2000
    votes: int = 0
    skip_bad: int = 0
    log_format: str = "auto"
    mapping: Mapping[str, str] = field(default_factory=dict)
    repair: bool = False
    encoder_cache: str = ""
    certify: bool = False
    fit_similarity_temperature: bool = False
    by_cost: bool = False
    all_budgets: bool = False

    def __post_init__(self) -> None:
        named = "budget_cost" if self.by_cost else "budgets"
        if not self.budgets or len(set(self.budgets)) < len(self.budgets):
            raise InputError(f"{flag(named)}: needs different values, at least one")
        try:
            found = as_strategies(self.strategies, among=REPLAYED)
        except ValueError as error:
            raise InputError(f"--{error}") from None
        object.__setattr__(self, "strategies", found)
        for budget in self.budgets:
            _check_whole(named, budget, 1, _MOST_ROLLOUTS)
        object.__setattr__(self, "budgets", tuple(sorted(self.budgets)))
        if self.log_format not in ("auto", *LOG_FORMATS):
            known = ", ".join(("auto", *LOG_FORMATS))
            raise InputError(f"--format: {self.log_format!r} is none of {known}")
        if self.mapping and self.log_format != "auto":
            raise InputError("--map: says what the format is; leave --format out")
        if self.score_link not in LINKS:
            raise InputError(f"--score-link: {self.score_link!r} is none of {', '.join(LINKS)}")
        if self.score_link != "none" and self.score_scale != 1:
            raise InputError("--score-scale: has no use beside --score-link")
        for name, least in (("steps", 1), ("beam_width", 1), ("seed", 0), ("skip_bad", 0)):
            _check_whole(name, getattr(self, name), least, 2**31 - 1)
        _check_whole("votes", self.votes, 0, 1_000_000)
        _check_whole("resamples", self.resamples, 100, 1_000_000)
        if not 0 <= self.threshold <= 2:
            raise InputError(f"--threshold: {self.threshold:g}: needs a number in [0, 2]")
        for name in (
            "concentration",
            "quality_temperature",
            "similarity_temperature",
            "score_scale",
        ):
            value = getattr(self, name)
            if not (1e-6 <= value <= 1e6):
                raise InputError(f"{flag(name)}: {value:g}: needs a number in [1e-06, 1e+06]")

    def as_json(self) -> dict[str, object]:
        """Name → value, of what a result depends on."""
        left_out = "encoder_cache", "all_budgets"
        names = (entry.name for entry in fields(self) if entry.name not in left_out)
        return {name: getattr(self, name) for name in names} | {"strategies": list(self.names)}

    def within(self, samples: int) -> "ReplayOptions":
        """With the budgets that a log of at most so many solutions of a problem is replayed at."""
        if self.by_cost or self.all_budgets or self.budgets != BUDGETS:
            return self
        kept = tuple(n for n in self.budgets if n <= samples) or self.budgets[:1]
        return replace(self, budgets=kept)

    def in_rollouts(self) -> "ReplayOptions":
        """The same, with the default budgets of rollouts in place of budgets of tokens."""
        return replace(self, by_cost=False, budgets=BUDGETS) if self.by_cost else self

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the strategies."""
        return tuple(strategy.name for strategy in self.strategies)

    def of_strategies(self) -> Options:
        """What strategies are given."""
        return Options(
            quality_temperature=self.quality_temperature,
            similarity_temperature=self.similarity_temperature,
            concentration=self.concentration,
            beam_width=self.beam_width,
            smooth=self.smooth,
        )


def _check_whole(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most or math.floor(value) != value:
        raise InputError(f"{flag(name)}: {value}: needs an integer in [{least}, {most}]")
