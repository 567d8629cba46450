"""`dora-theory allocate`: reads a problem a line, writes an allocation a line."""

import argparse
import json
import math
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any

from dora_theory._errors import InputError
from dora_theory.cli.options import given_options, given_strategy, integer, number
from dora_theory.io.atomic_write import whole_output
from dora_theory.io.problem_lines import Problem, read_problems
from dora_theory.io.terminal import counted
from dora_theory.strategies.options import POOLS, Options
from dora_theory.strategies.registry import STRATEGIES, Strategy

if TYPE_CHECKING:
    from dora_theory.strategies.batches import Answer

# A line does not state the true qualities.
_ALLOCATED = tuple(name for name, strategy in STRATEGIES.items() if not strategy.oracle)
# A batch is computed at once. It ends when it has this many problems or this many numbers, so
# that memory does not grow with the file, and each call still does enough work to be worth it.
_BATCH_PROBLEMS = 4096
_BATCH_NUMBERS = 1 << 20

_DESCRIPTION = """\
Reads a problem a line, writes an allocation a line, in the same order.

A problem is a JSON object: `id` (optional), either `scores` (PRM scores in [0, 1]) or `weights`
(qualities in [0, 1], used as they are); `embeddings` (k rows) or `similarity` (k rows of k cosines)
for dora and magnitude; `directions` (k labels) for direction-optimal and correlated, and
`direction_weights` (an object label → quality) if they are not to come from the scores. Fields that
are null count as absent, other fields are ignored.

An allocation is a JSON object: `id`, `strategy`, `allocation`, `weights` (what the strategy shares
the budget by), `log_failure` and `success` (null without --kappa). Certain success has a log
failure of minus infinity, written -1e999: a JSON number, which every reader takes for -Infinity.

Nothing is written before the whole input has been read and found good. Bad input ends with status
2 and one line, `file:line: field: what`.
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the subparsers of `dora-theory`."""
    parser = commands.add_parser(
        "allocate",
        help="allocate rollouts to the candidates of each problem of a file",
        description=_DESCRIPTION,
        epilog="strategies:\n"
        + "\n".join(f"  {name:18} {STRATEGIES[name].about}" for name in _ALLOCATED)
        + "\n  package.module:function, a rule of your own",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("file", metavar="FILE.jsonl", help="problems, gzip-compressed or not; - is standard input")
    add("--strategy", required=True, metavar="S", help="see below")
    add("--budget", required=True, type=integer, metavar="N", help="rollouts for each problem")
    add("--literal", action="store_true", help="the paper's rounding, whose sum may miss N")
    add(
        "--kappa",
        "--concentration",
        dest="concentration",
        type=number,
        metavar="K",
        help="concentration of the Beta prior",
    )
    add(
        "--nu",
        "--within-concentration",
        dest="within_concentration",
        type=number,
        metavar="V",
        help="concentration inside a direction (correlated)",
    )
    add(
        "--quality-temperature",
        type=number,
        default=0.1,
        metavar="T",
        help="of the softmax of scores (default %(default)s, as in the paper; the authors of "
        "rebase-sequential use 0.2)",
    )
    add(
        "--similarity-temperature",
        type=number,
        default=0.01,
        metavar="T",
        help="of the softmax of similarities (dora, magnitude; default %(default)s)",
    )
    add("--beam-width", type=integer, default=4, metavar="M", help="beam, dvts (default 4)")
    add("--pool", choices=POOLS, default="mean-exp", help="scores of a direction into one")
    add("--out", metavar="PATH", help="write there, in one step, instead of to standard output")
    add("--json", action="store_true", help="one JSON document: an array of the output lines")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; `InputError` if an option or a line cannot be used."""
    options = given_options(
        literal=arguments.literal,
        quality_temperature=arguments.quality_temperature,
        similarity_temperature=arguments.similarity_temperature,
        beam_width=arguments.beam_width,
        pool=arguments.pool,
        concentration=arguments.concentration,
        within_concentration=arguments.within_concentration,
    )
    budget = arguments.budget
    strategy = given_strategy(arguments.strategy, options, budget=budget, among=_ALLOCATED)
    with whole_output(arguments.out) as file:
        problems = counted(_usable(read_problems(arguments.file), strategy), "problems")
        answers = _answers(problems, strategy, budget, options)
        texts = (_text(*pair, strategy) for pair in answers)
        _write(texts, file, document=arguments.json)
    return 0


def _usable(problems: Iterable[tuple[str, Problem]], strategy: Strategy) -> Iterator[Problem]:
    """The problems, as long as each has what the strategy needs."""
    for place, problem in problems:
        missing: tuple[str, ...] = ()
        if problem.scores is None and problem.weights is None and not strategy.directions:
            missing = "scores", "weights"
        elif strategy.geometry and problem.embeddings is None and problem.similarity is None:
            missing = "embeddings", "similarity"
        elif strategy.directions and problem.directions is None:
            missing = ("directions",)
        if missing:
            needs = " or ".join(missing)
            raise InputError(f"{place}: {missing[0]}: missing: strategy {strategy} needs {needs}")
        yield problem


def _answers(
    problems: Iterable[Problem], strategy: Strategy, budget: int, options: Options
) -> Iterator[tuple[Problem, "Answer"]]:
    """Each problem with its answer, in order, computed in batches."""
    account = budget if "within_concentration" in strategy.options else 0
    for batch in _batches(problems, account):
        # Not before the first lines have proved good: JAX takes longer to load than to use.
        from dora_theory.strategies.batches import answer

        try:
            yield from zip(batch, answer(batch, strategy, budget, options), strict=True)
        except ValueError as error:
            raise InputError(str(error)) from None


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


def _text(problem: Problem, answer: "Answer", strategy: Strategy) -> str:
    """A line of output, strict JSON: -1e999 is a number of its grammar, -Infinity is not."""
    log_failure = answer.log_failure
    if log_failure is None:
        prospects = '"log_failure": null, "success": null'
    else:
        shown = "-1e999" if log_failure == -math.inf else _dump(log_failure)
        # Of no rollout both are 0; minus it is no probability that a reader expects.
        prospects = f'"log_failure": {shown}, "success": {_dump(0.0 - math.expm1(log_failure))}'
    return (
        f'{{"id": {_dump(problem.id)}, "strategy": {_dump(strategy.name)}, '
        f'"allocation": {_dump(answer.allocation)}, "weights": {_dump(answer.weights)}, '
        f"{prospects}}}"
    )


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
