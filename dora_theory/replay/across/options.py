"""What a replay across problems can be given. No JAX: bad options end before anything loads."""

from dataclasses import asdict, dataclass

from dora_theory._errors import InputError

BUDGETS = (1, 2, 4, 8, 16, 32, 64)
COLUMNS = ("level", "subject")
# Problems are dealt to so many folds: what a prior says of one is fitted to the others.
FOLDS = 5


@dataclass(frozen=True, slots=True)
class AcrossOptions:
    """How to replay one budget for all problems, the same for every log of a run.

    Attributes:
        budgets: n, rollouts per problem on average, ascending.
        coverages: shares of problems at which the saving is given; empty for every tenth that the
            log reaches with more than one rollout per problem.
        rounds: R of the policies that look only between batches of equal budgets.
        by: what priors differ by: columns of the log (`level`, `subject`), and `score` for a hazard
            that falls with failures and their mean scores; empty for one common prior.
        accept: scores from which a solution is believed to be right; empty for the median and the
            upper quartile and decile of all scores.
        num_draws: orders of the log, and resamples of its problems.
        seed: of orders, folds and resamples.

    Raises:
        InputError: an option out of its range.

    Examples:
        >>> dt.AcrossOptions(budgets=(1, 2, 4)).budgets
        (1, 2, 4)
    """

    budgets: tuple[int, ...] = BUDGETS
    coverages: tuple[float, ...] = ()
    rounds: tuple[int, ...] = (2, 4, 8)
    by: tuple[str, ...] = ()
    accept: tuple[float, ...] = ()
    num_draws: int = 400
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least, most in (("budgets", 1, 1 << 20), ("rounds", 2, 1 << 10)):
            values = getattr(self, name)
            if not values and name == "budgets":
                raise InputError("--budgets: needs at least one")
            for x in values:
                if not least <= x <= most or x != int(x):
                    raise InputError(f"--{name}: {x}: needs an integer in [{least}, {most}]")
            object.__setattr__(self, name, tuple(sorted(set(values))))
        for name in ("coverages", "accept"):
            for x in getattr(self, name):
                # A score of 0 would accept everything.
                if not 0 < x <= 1:
                    raise InputError(f"--{name}: {x:g}: needs a number in (0, 1]")
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))
        for x in self.by:
            if x not in (*COLUMNS, "score"):
                known = ", ".join((*COLUMNS, "score"))
                raise InputError(f"--by: {x!r} is none of {known}")
        if len(set(self.by)) < len(self.by):
            raise InputError(f"--by: {','.join(self.by)}: needs different columns")
        if not 20 <= self.num_draws <= 100_000:
            raise InputError(f"--num-draws: {self.num_draws}: needs an integer in [20, 100000]")
        if not 0 <= self.seed < 2**31:
            raise InputError(f"--seed: {self.seed}: needs an integer in [0, {2**31 - 1}]")

    def as_json(self) -> dict[str, object]:
        """Name → value."""
        return asdict(self)
