"""What a plan of R rounds gains on mixed problems, beside the bound of every such plan.

240 problems of six kinds, Beta(a, b) with a value v of solving one, and 6 rollouts per problem. The
policy of theory 7.2f solves a dynamic program before each round, at the price where the expected
cost of all rounds to come is the budget that is left, and rolls its first stage; equal budgets
spend N/R in each round, by the exact optimum for one batch. All run on the same random problems,
less what the committed batch gains on them above its mean; no policy of R rounds exceeds the bound,
in expectation. Theory 7.2f has this table for other
kinds of problems, which it does not name.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import dora_theory as dt
from paper_repro.script import Row, page, row, run

# a, b and v; so many problems of each.
KINDS = np.array(
    [(0.2, 0.8, 1), (0.4, 0.6, 1), (1, 1, 1), (2, 5, 1), (0.3, 3, 2), (1, 10, 3)], float
)
COPIES, EACH, DEPTH, RUNS = 40, 6, 128, 40
# A problem that is not solved within these.
_NEVER = 1 << 30


def _spread(x: np.ndarray) -> np.ndarray:
    return np.repeat(x, COPIES)


def _beta(a: np.ndarray, b: np.ndarray) -> dt.BetaPrior:
    return dt.BetaPrior(jnp.asarray(a), jnp.asarray(b))


def _prior(depth: np.ndarray) -> dt.BetaPrior:
    """Posteriors of all problems after so many failures."""
    a, b = (_spread(KINDS[:, i])[:, None] for i in (0, 1))
    return _beta(a, b + depth[:, None])


def planned(times: np.ndarray, rounds: int, total: int) -> float:
    """The value gained by the policy of theory 7.2f, where problem m is solved by rollout T_m."""
    value, left = _spread(KINDS[:, 2]), total
    stage, depth = np.zeros(len(KINDS)), np.zeros(times.size, int)
    for r in range(rounds, 1, -1):
        alive = (times > depth).reshape(len(KINDS), COPIES).sum(-1)
        prior = _beta(KINDS[:, :1], KINDS[:, 1:2] + stage[:, None])
        plan = dt.rounds_plan(KINDS[:, 2], prior, left, r, depth=DEPTH, multiplicity=alive)
        first = np.asarray(plan.first)
        stage, depth = stage + first, depth + np.where(times > depth, _spread(first), 0)
        left -= int(first @ alive)
    return float(value[times <= _last(times, depth, left)].sum())


def equal(times: np.ndarray, rounds: int, total: int) -> float:
    """The same with N/R in each round."""
    value, depth = _spread(KINDS[:, 2]), np.zeros(times.size, int)
    for r in range(rounds):
        depth = _last(times, depth, total * (r + 1) // rounds - total * r // rounds)
    return float(value[times <= depth].sum())


def _last(times: np.ndarray, depth: np.ndarray, total: int) -> np.ndarray:
    """Depths after a batch by the exact optimum for it."""
    room = np.where(times > depth, _NEVER, 0)
    found = dt.allocate_problems(
        _spread(KINDS[:, 2]), _prior(depth), total, max_rollouts=room
    )  # fmt: skip
    return depth + np.asarray(found.rollouts)


def main(out: Path, *, runs: int = RUNS) -> list[Row]:
    """Writes `out/mixed_rounds.md`, from so many draws of all problems."""
    total, rng = EACH * COPIES * len(KINDS), np.random.default_rng(0)
    value, none = _spread(KINDS[:, 2]), np.zeros(COPIES * len(KINDS), int)
    p = rng.beta(_spread(KINDS[:, 0]), _spread(KINDS[:, 1]), (runs, none.size))
    times = np.minimum(np.ceil(np.log(rng.random(p.shape)) / np.log1p(-p)), _NEVER).astype(int)
    with jax.enable_x64(True):
        batch = dt.allocate_problems(value, _prior(none), total)
        committed = float(dt.expected_value(value, _prior(none), batch.allocation).sum())
        luck = (times <= np.asarray(batch.rollouts)) @ value - committed
        rows = [row("Mixed problems", "one committed batch, exact", None, committed, 1)]
        for r in (2, 4):
            bound = dt.rounds_plan(
                KINDS[:, 2], _beta(KINDS[:, :1], KINDS[:, 1:2]), total, r,
                depth=DEPTH, multiplicity=np.full(len(KINDS), COPIES),
            ).bound  # fmt: skip
            ours, even = (np.array([f(t, r, total) for t in times]) for f in (planned, equal))
            # What the committed batch gained on the same draws, whose mean is known.
            ours, even = ours - luck, even - luck
            rows += [
                row("Mixed problems", f"R = {r}: planned (± s.e.), bound", None,
                    [*_mean(ours), float(bound)], 1),
                row("Mixed problems", f"R = {r}: equal budgets, planned less equal", None,
                    [*_mean(even), *_mean(ours - even)], 1),
            ]  # fmt: skip
        looking = np.asarray(
            dt.adaptive_value_estimate(jax.random.key(0), value, _prior(none), total, 4000)
        )
        top = float(dt.adaptive_bound(value, _prior(none), total).value)
    rows.append(row("Mixed problems", "every outcome seen (± s.e.), bound", None,
                    [*_mean(looking), top], 1))  # fmt: skip
    (out / "mixed_rounds.md").write_text(page(__doc__, rows), encoding="utf-8")
    return rows


def _mean(x: np.ndarray) -> tuple[float, float]:
    return float(x.mean()), float(x.std(ddof=1) / np.sqrt(x.size))


if __name__ == "__main__":
    run(main, __doc__)
