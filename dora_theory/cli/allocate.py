"""`dora-theory allocate`: reads one problem per line, writes one allocation per line."""

import argparse
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

from dora_theory._errors import InputError, amount
from dora_theory.cli.options import (
    add_kappa,
    add_output,
    add_rules,
    given_options,
    given_strategy,
    integer,
    new_command,
    number,
)
from dora_theory.io.atomic_write import whole_output
from dora_theory.io.correlations import correlation_fault
from dora_theory.io.problem_lines import Problem, read_problems
from dora_theory.io.terminal import counted, say
from dora_theory.strategies.options import POOLS, Options
from dora_theory.strategies.registry import ONE_CONCENTRATION, OPTIMAL, STRATEGIES, Strategy

if TYPE_CHECKING:
    from dora_theory.strategies.batches import Answer, Goal

# A line does not state the true qualities.
_ALLOCATED = tuple(name for name, strategy in STRATEGIES.items() if not strategy.oracle)
# A batch is computed at once. It ends when it has this many problems or this many numbers, so
# that memory does not grow with the file, and each call still does enough work to be worth it.
_BATCH_PROBLEMS = 4096
_BATCH_NUMBERS = 1 << 20

_DESCRIPTION = """\
Reads one problem per line, writes one allocation per line, in the same order.

A problem is a JSON object: `id` (optional), either `scores` (PRM scores in [0, 1]) or `weights`
(qualities in [0, 1], used as given); `embeddings` (k rows) or `similarity` (k rows of k cosines)
for dora and magnitude; `directions` (k labels) for direction-optimal and correlated, and
`direction_weights` (an object label → quality) to override those from the scores. For
optimal and waterfill also `concentrations` (κ of each candidate, in place of --kappa), or `alpha`
and `beta` in place of weights and κ; for --budget-cost `costs` (of one rollout of each candidate,
> 0). Fields that are null count as absent, other fields are ignored.

An allocation is a JSON object: `id`, `strategy`, `allocation`, `weights` (what the strategy shares
the budget by), `log_failure` and `success` (null without --kappa). Certain success, whose log
failure is minus infinity, is a `log_failure` of null beside a `success` of 1.
With --budget-cost it also has `cost`, what is spent. There optimal and direction-optimal have costs
in their objective; every other strategy spends as without costs, on the most rollouts that are paid
for. optimal adds `success_bound`, which no allocation of that cost exceeds: equal to `success`
where that is proved optimal, as it is for costs that are small integers.
With --target it has `budget`, the smallest N, and `budget_closed_form`; both budget and allocation
are null where even 2^30 rollouts are too few. With root-weights it has `lift` where
similarities are no correlations: what their diagonal was raised by. Standard error sums that up.

Nothing is written before the whole input has been read and checked. Bad input ends with exit status
2 and one line, `file:line: field: what`. With --stream, each line of standard input is answered at
once, a bad line by `id` and `error`; the exit status is then 2.
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the subparsers of `dora-theory`."""
    parser = new_command(
        commands,
        "allocate",
        run,
        help="allocate rollouts to the candidates of each problem of a file",
        description=_DESCRIPTION,
        epilog="strategies:\n"
        + "\n".join(f"  {name:18} {STRATEGIES[name].about}" for name in _ALLOCATED)
        + "\n  package.module:function, a rule of your own",
    )
    add = parser.add_argument
    add("file", metavar="FILE.jsonl", help="problems, gzip-compressed or not; - is standard input")
    add("--strategy", required=True, metavar="S", help="see below")
    goal = parser.add_mutually_exclusive_group(required=True)
    goal.add_argument("--budget", type=integer, metavar="N", help="rollouts for each problem")
    goal.add_argument(
        "--budget-cost", type=number, metavar="C", help="cost for each problem, from `costs`"
    )
    goal.add_argument(
        "--target", type=number, metavar="Q", help="the fewest rollouts for this success (optimal)"
    )
    add("--literal", action="store_true", help="the paper's rounding, whose sum may miss N")
    add_kappa(parser, number, "concentration of the Beta prior")
    add(
        "--nu",
        "--within-concentration",
        dest="within_concentration",
        type=number,
        metavar="V",
        help="concentration within a direction (correlated)",
    )
    add_rules(parser)
    add("--pool", choices=POOLS, default="mean-exp", help="how to pool the scores of a direction")
    add_output(parser, "an array of the output lines")
    add(
        "--stream",
        action="store_true",
        help="answer each line of standard input at once; a bad line by an object with `error`",
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; `InputError` if an option or a line cannot be used."""
    options = given_options(
        literal=arguments.literal,
        smooth=arguments.smooth,
        quality_temperature=arguments.quality_temperature,
        similarity_temperature=arguments.similarity_temperature,
        beam_width=arguments.beam_width,
        pool=arguments.pool,
        concentration=arguments.concentration,
        within_concentration=arguments.within_concentration,
    )
    goal, budget = _goal(arguments)
    strategy = given_strategy(
        arguments.strategy, options, budget=arguments.budget or 0, among=_ALLOCATED, own=True
    )
    if goal == "target" and strategy.name != OPTIMAL:
        raise InputError(f"--target: strategy {strategy} has no form for it, {OPTIMAL} has")
    if goal == "cost" and (strategy.real or "within_concentration" in strategy.options):
        raise InputError(f"--budget-cost: strategy {strategy} has no form for it")
    if arguments.stream:
        return _stream(arguments, strategy, budget, options, goal)
    with whole_output(arguments.out) as file:
        usable = _usable(read_problems(arguments.file), strategy, goal, options)
        answers = _answers(counted(usable, "problems"), strategy, budget, options, goal)
        texts = (_text(*pair, strategy, options) for pair in answers)
        _write(texts, file, document=arguments.json)
    return 0


def _stream(
    arguments: argparse.Namespace,
    strategy: Strategy,
    budget: float,
    options: Options,
    goal: "Goal",
) -> int:
    from dora_theory.cli.streaming import stream

    if arguments.file != "-" or arguments.out is not None or arguments.json:
        raise InputError("--stream: reads -, writes to standard output, and has no --json")

    def texts(problems: Sequence[Problem]) -> list[str]:
        answers = _answers(problems, strategy, budget, options, goal)
        return [_text(*pair, strategy, options) for pair in answers]

    def usable(place: str, problem: Problem) -> Problem:
        return next(_usable([(place, problem)], strategy, goal, options))

    return stream(usable, texts)


def _goal(arguments: argparse.Namespace) -> tuple["Goal", float]:
    """What each problem is given, and how much of it."""
    cost, target = arguments.budget_cost, arguments.target
    if cost is not None:
        if not 0 <= cost < math.inf:
            raise InputError(f"--budget-cost: {cost:g}: needs a finite number ≥ 0")
        return "cost", cost
    if target is not None:
        if not 0 < target < 1:
            raise InputError(f"--target: {target:g}: needs a success in (0, 1)")
        return "target", target
    return "budget", arguments.budget


def _usable(
    problems: Iterable[tuple[str, Problem]], strategy: Strategy, goal: "Goal", options: Options
) -> Iterator[Problem]:
    """The problems, as long as each has what the strategy needs."""
    for place, problem in problems:
        missing: tuple[str, ...] = ()
        if problem.scores is None and problem.weights is None and not strategy.directions:
            missing = "scores", "weights"
        elif strategy.geometry and problem.embeddings is None and problem.similarity is None:
            missing = "embeddings", "similarity"
        elif strategy.directions and problem.directions is None:
            missing = ("directions",)
        elif strategy.directions and problem.concentrations is not None:
            raise InputError(f"{place}: concentrations: strategy {strategy} {ONE_CONCENTRATION}")
        elif goal == "cost" and problem.costs is None:
            raise InputError(f"{place}: costs: missing: --budget-cost needs them")
        elif strategy.own and options.concentration is None and problem.concentrations is None:
            raise InputError(
                f"--kappa: missing, strategy {strategy} needs it: {place} has no concentrations"
            )
        if missing:
            needs = " or ".join(missing)
            raise InputError(f"{place}: {missing[0]}: missing: strategy {strategy} needs {needs}")
        if strategy.correlation and problem.similarity is not None and problem.embeddings is None:
            fault = correlation_fault(problem.similarity)
            if fault is not None:
                raise InputError(f"{place}: similarity: {fault}, for strategy {strategy}")
        yield problem


def _answers(
    problems: Iterable[Problem], strategy: Strategy, budget: float, options: Options, goal: "Goal"
) -> Iterator[tuple[Problem, "Answer"]]:
    """Each problem with its answer, in order, computed in batches."""
    account = int(budget) if "within_concentration" in strategy.options else 0
    lifts: list[float] = []
    for batch in _batches(problems, account):
        # Not before the first lines have proved good: JAX takes longer to load than to use.
        from dora_theory.strategies.batches import answer

        try:
            found = answer(batch, strategy, budget, options, goal=goal)
        except ValueError as error:
            raise InputError(str(error)) from None
        lifts += [lift for each in found if (lift := each.more.get("lift", 0)) > 0]
        yield from zip(batch, found, strict=True)
    if lifts:
        say(
            f"{strategy}: lifted the diagonals of similarities that are no correlations: "
            f"{amount(len(lifts), 'problem')}, by at most {max(lifts):.3g}"
        )


def _batches(problems: Iterable[Problem], account: int) -> Iterator[list[Problem]]:
    """Problems to be computed at once; each direction takes an account of so many numbers more."""
    batch: list[Problem] = []
    numbers = 0
    for problem in problems:
        batch.append(problem)
        numbers += problem.size
        if account and problem.directions is not None:
            numbers += account * (int(problem.directions.max()) + 1)
        for matrix in (problem.embeddings, problem.similarity):
            numbers += 0 if matrix is None else matrix.size
        if len(batch) == _BATCH_PROBLEMS or numbers >= _BATCH_NUMBERS:
            yield batch
            batch, numbers = [], 0
    if batch:
        yield batch


def _text(problem: Problem, answer: "Answer", strategy: Strategy, options: Options) -> str:
    """A line of output, strict JSON, which has no minus infinity."""
    log_failure, more = answer.log_failure, answer.more
    if log_failure is None:
        prospects = '"log_failure": null, "success": null'
    else:
        prospects = f'"log_failure": {_log(log_failure)}, "success": {_success(log_failure)}'
    allocation = _dump(answer.allocation)
    if "cost" in more:
        prospects += f', "cost": {_dump(more["cost"])}'
        if "log_failure_bound" in more:
            prospects += f', "success_bound": {_success(more["log_failure_bound"])}'
    elif "budget" in more:
        n, closed = more["budget"], more["budget_closed_form"]
        if n < 0:
            allocation, prospects = "null", '"log_failure": null, "success": null'
        prospects += f', "budget": {_dump(n if n >= 0 else None)}'
        prospects += f', "budget_closed_form": {_dump(closed if closed < math.inf else None)}'
    if more.get("lift", 0) > 0:
        prospects += f', "lift": {_dump(more["lift"])}'
    smooth = '"smooth": true, ' if options.smooth else ""
    return (
        f'{{"id": {_dump(problem.id)}, "strategy": {_dump(strategy.name)}, {smooth}'
        f'"allocation": {allocation}, "weights": {_dump(answer.weights)}, {prospects}}}'
    )


def _log(x: float) -> str:
    return "null" if x == -math.inf else _dump(x)


def _success(log_failure: float) -> str:
    # Of no rollout both are 0; minus it is no probability that a reader expects.
    return _dump(0.0 - math.expm1(log_failure))


_dump = json.JSONEncoder(allow_nan=False).encode


def _write(texts: Iterable[str], file: IO[bytes], *, document: bool) -> None:
    if not document:
        for text in texts:
            file.write(text.encode() + b"\n")
        return
    separator = b"["
    for text in texts:
        file.write(separator + b"\n" + text.encode())
        separator = b","
    file.write(b"[]\n" if separator == b"[" else b"\n]\n")
