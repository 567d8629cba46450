"""`dora-theory plan`: how often each of many problems is rolled next, between two batches."""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dora_theory._errors import InputError, agree, amount
from dora_theory.cli.options import add_kappa, add_output, new_command
from dora_theory.io.atomic_write import whole_output
from dora_theory.io.state_lines import MOST_ROLLOUTS, StateLine, read_state, with_priors
from dora_theory.strategies.plans import PLANS, SEVERAL

if TYPE_CHECKING:
    from dora_theory.planning import Plan, PlanState

_DESCRIPTION = """\
Reads the state of a benchmark, one problem per line, and writes how many rollouts each problem gets
next, one line per problem, in the same order.

A problem is a JSON object: `id`, and what you know about it, one of
  right, attempts   rollouts so far and how many were right; the prior is --prior
  alpha, beta       its own Beta(a, b), which right and attempts (optional here) update
  weights           qualities in [0, 1] of its candidates, Beta(κw, κ(1 - w)) with --kappa;
                    or scores
alpha, beta, right and attempts may be lists, one entry per candidate. Optional: `value` of solving
it (1), `cost` of a rollout (1; committed and rounds only, --total is then in its unit), `floor` (0)
and `cap` (none) of the rollouts to come, `solved` (false; true receives nothing more).

A line of output: `id`, `rollouts`, `allocation` (their split over the candidates, null without
candidates), `expected` (value that these rollouts are expected to gain). Ties go to the lowest
problem, then to the lowest candidate. A summary is printed on standard error.

Bad input ends with exit status 2, one line `file:line: field: what`, and no output.
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the subparsers of `dora-theory`."""
    parser = new_command(
        commands,
        "plan",
        run,
        help="plan the next batch of rollouts of a whole benchmark",
        description=_DESCRIPTION,
        epilog="strategies:\n" + "\n".join(f"  {name:12} {about}" for name, about in PLANS.items()),
    )
    add = parser.add_argument
    add("file", metavar="FILE.jsonl", help="problems, gzip-compressed or not; - is standard input")
    add(
        "--total",
        required=True,
        metavar="N",
        help="rollouts of this batch; for rounds, of all R; for stages, what is left",
    )
    add("--strategy", default="rounds", choices=list(PLANS), metavar="S", help="default rounds")
    add(
        "--rounds",
        default="1",
        metavar="R",
        help="for rounds and stages: the number of batches (1)",
    )
    add("--round", default="1", metavar="r", help="the number of this batch, from 1 (1)")
    add(
        "--prior",
        default="fit",
        metavar="fit|A,B|FILE",
        help="Beta(a, b) of problems with neither alpha nor weights; fit (the default) takes the "
        "most likely one for right and attempts; FILE has a line for each of these problems, with "
        "its id, alpha and beta",
    )
    add_kappa(parser, str, "concentration of the prior of weights and scores")
    add(
        "--quality-temperature",
        default="0.1",
        metavar="T",
        help="of the softmax of scores (default %(default)s)",
    )
    add_output(parser, "an array of the output lines")


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; `InputError` if an option or a line cannot be used."""
    strategy = arguments.strategy
    rounds = _integer("--rounds", arguments.rounds, 1)
    batch = _integer("--round", arguments.round, 1)
    if batch > rounds:
        raise InputError(f"--round: {batch}: needs an integer in [1, {rounds}], --rounds")
    if rounds > 1 and strategy not in SEVERAL:
        several = " or ".join(SEVERAL)
        raise InputError(
            f"--rounds: strategy {strategy} plans one batch, needs --strategy {several}"
        )
    kappa = arguments.concentration
    kappa = None if kappa is None else _positive("--kappa", kappa)
    temperature = _positive("--quality-temperature", arguments.quality_temperature)
    prior, prior_file = _prior(arguments.prior)
    total: float = _amount("--total", arguments.total)
    with whole_output(arguments.out) as file:
        lines = read_state(arguments.file)
        unknown = ""
        if prior_file is not None:
            lines, unknown = with_priors(lines, prior_file)
        costly = any(line.cost != 1 for line in lines)
        if not costly:
            total = _integer("--total", arguments.total, 0)
        _check(lines, strategy, costly, kappa)
        share: float = total / rounds
        if strategy == "stages":
            share = total
        elif not costly:
            share = total * batch // rounds - total * (batch - 1) // rounds
        floors = sum(x.floor * x.cost for x in lines if not x.solved)
        if floors > share:
            raise InputError(f"--total: {share:g} for this batch, less than all floors, {floors:g}")
        _check_number(lines, share)

        # Not before the input has proved good: JAX takes longer to load than to use.
        import jax

        from dora_theory.planning import plan

        idle = share == 0 or all(line.solved for line in lines)
        with jax.enable_x64(True):
            state, said = _state(arguments.file, lines, prior, kappa, temperature, costly, idle)
            found = jax.device_get(
                plan(state, total, strategy=strategy, rounds=rounds, batch=batch)
            )
        texts = _texts(lines, found)
        whole = "[\n" + ",\n".join(texts) + "\n]\n" if arguments.json else "\n".join(texts) + "\n"
        file.write(whole.encode())
    unrolled = sum(line.right is None for line in lines)
    if strategy in ("hora", "round-robin") and unrolled:
        said += "\n" if said else ""
        said += (
            f"{amount(unrolled, 'problem')} {agree(unrolled, 'have')} no right and attempts: "
            f"{strategy} takes {agree(unrolled, 'them')} as unrolled"
        )
    for text in (unknown, said, *_summary(lines, found, costly)):
        if text:
            print(text, file=sys.stderr)
    return 0


def _check(lines: Sequence[StateLine], strategy: str, costly: bool, kappa: float | None) -> None:
    """`InputError` where a line lacks what the strategy needs, or has what it cannot use."""
    for line in lines:
        if kappa is None and (line.weights is not None or line.scores is not None):
            field = "weights" if line.weights is not None else "scores"
            raise InputError(f"{line.place}: {field}: need --kappa")
        if costly and strategy not in ("committed", "rounds") and line.cost != 1:
            raise InputError(
                f"{line.place}: cost: is {line.cost:g}: strategy {strategy} counts rollouts, "
                "needs 1 (committed and rounds know costs)"
            )


def _check_number(lines: Sequence[StateLine], share: float) -> None:
    """`InputError` where costs are so small that a share pays for more than can be counted."""
    todo = [x for x in lines if not x.solved and x.cap != 0]
    each = sum(min(share / x.cost, math.inf if x.cap is None else x.cap) for x in todo)
    cheapest = min(todo, key=lambda x: x.cost, default=None)
    if cheapest is not None and min(each, share / cheapest.cost) > MOST_ROLLOUTS:
        raise InputError(
            f"{cheapest.place}: cost: is {cheapest.cost:g}: {share:g} would pay for more than "
            f"{MOST_ROLLOUTS} rollouts"
        )


def _state(
    path: str,
    lines: Sequence[StateLine],
    prior: tuple[float, float] | None,
    kappa: float | None,
    temperature: float,
    costly: bool,
    idle: bool,
) -> tuple["PlanState", str]:
    """The state that the lines describe, and what is to be said of the prior.

    Where nothing is to be spent, `idle`, a prior that cannot be fitted is no error.
    """
    import jax.numpy as jnp

    from dora_theory.model.priors import BetaPrior
    from dora_theory.model.quality import quality_weights
    from dora_theory.planning import PlanState

    # Candidates of a line that has no prior of its own share the common one.
    common = [x for x in lines if x.alpha is None and x.weights is None and x.scores is None]
    said, pair = "", (1.0, 1.0)
    if prior is not None:
        pair = prior
    elif common:
        pair, said = _fitted(path, common, idle)
    m, k = len(lines), max(line.size for line in lines)
    alpha, beta = np.zeros((m, k)), np.ones((m, k))
    mask = np.zeros((m, k), bool)
    for i, line in enumerate(lines):
        here = slice(0, line.size)
        mask[i, here] = True
        if line.alpha is not None:
            alpha[i, here], beta[i, here] = line.alpha, line.beta
        elif line.weights is not None or line.scores is not None:
            w = np.asarray(
                line.weights
                if line.scores is None
                else quality_weights(line.scores, quality_temperature=temperature)
            )
            assert kappa is not None
            alpha[i, here], beta[i, here] = kappa * w, kappa * (1 - w)
        else:
            alpha[i, here], beta[i, here] = pair
        if line.right is not None and line.attempts is not None:
            alpha[i, here] += line.right
            beta[i, here] += line.attempts - line.right
    return (
        PlanState(
            posterior=BetaPrior(jnp.asarray(alpha), jnp.asarray(beta)),
            right=_array([0.0 if x.right is None else x.right.sum() for x in lines]),
            attempts=_array([0.0 if x.attempts is None else x.attempts.sum() for x in lines]),
            solved=jnp.asarray([x.solved for x in lines]),
            values=_array([x.value for x in lines]),
            costs=_array([x.cost for x in lines]) if costly else None,
            min_rollouts=jnp.asarray([x.floor for x in lines], jnp.int32),
            max_rollouts=jnp.asarray(
                [2**31 - 1 if x.cap is None else x.cap for x in lines], jnp.int32
            ),
            mask=jnp.asarray(mask),
        ),
        said,
    )


def _array(values: list[float]) -> Any:
    import jax.numpy as jnp

    return jnp.asarray(values, jnp.float64)


def _fitted(path: str, lines: Sequence[StateLine], idle: bool) -> tuple[tuple[float, float], str]:
    from dora_theory.allocation.exponents import fit_beta

    right = np.concatenate([x.right for x in lines if x.right is not None])
    attempts = np.concatenate([x.attempts for x in lines if x.attempts is not None])
    try:
        a, b, a_error, b_error = fit_beta(right, attempts)
    except ValueError as error:
        if idle:
            return (1.0, 1.0), "prior: Beta(1, 1), as none can be fitted and nothing is to be spent"
        name = "<stdin>" if path == "-" else path
        raise InputError(f"{name}: {error}; --prior A,B gives one") from None
    told = int((attempts > 0).sum())
    said = f"prior: Beta({a:.4g}, {b:.4g}), fitted to {amount(told, 'count')}, "
    return (a, b), said + f"standard errors {a_error:.2g} and {b_error:.2g}"


def _texts(lines: Sequence[StateLine], found: "Plan") -> list[str]:
    rollouts = np.asarray(found.rollouts).tolist()
    split, expected = np.asarray(found.allocation).tolist(), np.asarray(found.expected).tolist()
    return [
        json.dumps(
            {
                "id": line.id,
                "rollouts": rollouts[i],
                "allocation": split[i][: line.size] if line.several else None,
                "expected": expected[i],
            },
            allow_nan=False,
        )
        for i, line in enumerate(lines)
    ]


def _summary(lines: Sequence[StateLine], found: "Plan", costly: bool) -> list[str]:
    rollouts = np.asarray(found.rollouts)
    worth = all(line.value == 1 for line in lines)
    price = float(np.exp(found.log_price))
    gain = f"{float(found.expected.sum()):.4g} {'newly solved' if worth else 'of value'}"
    said = [
        f"{amount(int(rollouts.sum()), 'rollout')} to {int((rollouts > 0).sum())} of "
        f"{amount(len(lines), 'problem')} ({sum(x.solved for x in lines)} solved), "
        f"expected: {gain}; one more {'unit of cost' if costly else 'rollout'} would be worth "
        f"{price:.3g}"
    ]
    left = float(found.unspent)
    if left > (1e-9 if costly else 0):
        why = "the next rollout does not fit, or caps" if costly else "caps or solved problems"
        said.append(f"{left:g} of the batch {agree(left, 'remain')} unspent: {why} leave no room")
    again = sum(bool(x.right is not None and x.right.sum() and not x.solved) for x in lines)
    if again:
        said.append(
            f"{amount(again, 'problem')} {agree(again, 'have')} right > 0 and "
            f"{agree(again, 'are')} not marked solved: {agree(again, 'they')} may receive rollouts"
        )
    return said


def _prior(text: str) -> tuple[tuple[float, float] | None, str | None]:
    """A pair, a file of priors, or neither, which is to fit."""
    if text == "fit":
        return None, None
    parts = text.split(",")
    if len(parts) != 2 or Path(text).is_file():
        if not Path(text).is_file():
            raise InputError(f"--prior: {text!r}: needs fit, or two numbers A,B, or a file")
        return None, text
    a, b = (_positive("--prior", part) for part in parts)
    return (a, b), None


def _amount(option: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{option}: {text!r} is not a number") from None
    if not 0 <= value <= MOST_ROLLOUTS:
        raise InputError(f"{option}: {text}: needs a number in [0, {MOST_ROLLOUTS}]")
    return value


def _positive(option: str, text: str) -> float:
    value = _amount(option, text)
    if value < 1e-290:
        raise InputError(f"{option}: {text}: needs a number above 0")
    return value


def _integer(option: str, text: str, least: int) -> int:
    value = _amount(option, text)
    if not value.is_integer() or value < least:
        raise InputError(f"{option}: {text}: needs an integer in [{least}, {MOST_ROLLOUTS}]")
    return int(value)
