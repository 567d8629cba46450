"""How fast the unsolved share falls, with and without looking.

For p ~ Beta(a, b), a < 1, the share left by n rollouts per problem falls as n to the power minus
this exponent: a without looking or knowing, a + a² + … + a^R in R rounds, a/(1 - a) by looking at
every outcome, or by knowing every p. Below, what each of the two leaves to be gained: the rollouts
needed by knowing without looking, and by looking without knowing, over those needed by doing both,
for the same share. Above a = 0.2138 looking is worth more than knowing (theory 7.4).

The table also has what an equal split of the budget costs (theory 7.2i), how near one problem is to
its law C N^-κ and that shares q for w multiply its failure by exp κ KL(w‖q) (theory 7.4d), how
three estimators find a in logs, and how well κ of DORA's model is found from the slope of joint
failures between N = 12 and 36, from that slope and the model's own, and by likelihood (theory 7.4e,
which does not state the weights and the logged rollouts; here 0.4, 0.3, 0.2, 0.1 and 20).
"""

from pathlib import Path

import jax
import numpy as np
from scipy import optimize
from scipy.special import betaln, gammaln

import dora_theory as dt
from paper_repro.drawing import BLACK, GRAY, ORDER, mark, panels
from paper_repro.script import Row, page, row, run

ALPHA = np.linspace(0.02, 0.8, 200)
# a, b, problems, solutions logged, and the depths of the slope; the hazards are at 0 and j1/2.
LOGS = (
    (0.3, 1.0, 164, 100, (16, 64), 8),
    (0.5, 0.7, 500, 19, (4, 16), 2),
    (1.0, 2.0, 500, 32, (8, 24), 4),
)
RUNS, FITS = 300, 120
# One problem's candidates, so many problems, and rollouts logged of each candidate.
WEIGHTS, PROBLEMS, LOGGED, BUDGETS = np.array([0.4, 0.3, 0.2, 0.1]), 300, 20, (12, 36)


def crossing() -> float:
    """Where not looking and not knowing cost the same."""
    return float(
        optimize.brentq(
            lambda a: float(dt.price_of_not_looking(a) - dt.price_of_not_knowing(a)), 0.1, 0.4
        )
    )


def local_exponents(alpha: float) -> np.ndarray:
    """The slopes of log f at n = 10^24, in 1 to 4 rounds."""
    ends = np.array(
        [[dt.lomax_rounds(alpha, r, n).log_unsolved for n in (1e24, 1e25)] for r in (1, 2, 3, 4)]
    )
    return -np.diff(ends)[:, 0] / np.log(10)


def equal_split(alpha: float, rounds: int, budget: float) -> float:
    """How many times the rollouts an equal split needs for what the best one leaves."""
    goal = dt.lomax_rounds(alpha, rounds, budget).log_unsolved

    def off(log_budget: float) -> float:
        depth = 0.0
        for _ in range(rounds):
            depth += np.exp(log_budget) / rounds * (1 + depth) ** alpha
        return -alpha * np.log1p(depth) - goal

    log_n = np.log(budget)
    return float(np.exp(optimize.brentq(off, log_n - 1, log_n + 2) - log_n))


def power_law() -> list[float]:
    """F N^κ/C of κ = 1 and w = .5, .3, .2 at N = 10^3, 10^5, and of shares the other way round."""
    w = np.array([0.5, 0.3, 0.2])
    found = []
    for shares, n in ((w, 1000), (w, 100_000), (w[::-1], 100_000)):
        log_failure = dt.log_failure(w, 1.0, np.rint(shares * n))
        found.append(float(np.exp(log_failure + np.log(n) - dt.dora_constant(w, 1.0))))
    return found


def estimators() -> dict[str, np.ndarray]:
    """Median, spread and mean standard error of a by slope, hazard line and likelihood."""
    rng = np.random.default_rng(0)
    found = {}
    for a, b, m, k, (first, last), depth in LOGS:
        every: list[list[tuple[float, float]]] = [[], [], []]
        for i in range(RUNS):
            right = rng.binomial(k, rng.beta(a, b, size=m))
            every[0].append(dt.exponent_slope(right, k, first, last))
            every[1].append(dt.exponent_hazard_line(right, k, 0, depth))
            if i < FITS:
                fit = dt.fit_beta(right, np.full(m, k))
                every[2].append((fit[0], fit[2]))
        for name, values in zip(("slope", "hazard line", "likelihood"), every, strict=True):
            value, error = np.array([tuple(v) for v in values]).T
            key = f"a = {a:g}, b = {b:g}, {m} × {k}: {name}: median, sd, own s.e."
            found[key] = np.array([np.median(value), value.std(ddof=1), error.mean()])
    return found


def concentrations() -> dict[str, np.ndarray]:
    """Mean and spread of three estimates of κ = 1 from logs of DORA's model."""
    rng, w = np.random.default_rng(0), WEIGHTS
    plans = [np.asarray(dt.optimal_allocation(w, 1.0, n)) for n in BUDGETS]
    log_ratio = np.log(BUDGETS[1] / BUDGETS[0])

    def log_failure(kappa: float, given: np.ndarray) -> float:
        fail = gammaln(kappa * (1 - w) + given) - gammaln(kappa * (1 - w))
        return float((fail - gammaln(kappa + given) + gammaln(kappa)).sum())

    def drop(log_kappa: float) -> float:
        few, many = (log_failure(np.exp(log_kappa), given) for given in plans)
        return few - many

    every = []
    for _ in range(RUNS):
        right = rng.binomial(LOGGED, rng.beta(w, 1 - w, size=(PROBLEMS, w.size)))
        joint = []
        for given in plans:
            pairs = zip(right.T, given.tolist(), strict=True)
            fail = [1 - np.asarray(dt.pass_at(LOGGED, c, b)) for c, b in pairs]
            joint.append(np.prod(np.stack(fail), 0).mean())
        seen = np.log(joint[0] / joint[1])

        def loss(log_kappa: float, right: np.ndarray = right) -> float:
            a, b = np.exp(log_kappa) * w, np.exp(log_kappa) * (1 - w)
            return -float((betaln(a + right, b + LOGGED - right) - betaln(a, b)).sum())

        matched = optimize.brentq(lambda x, seen=seen: drop(x) - seen, -5, 5)
        fit = optimize.minimize_scalar(loss, bounds=(-3, 3), method="bounded")
        every.append((seen / log_ratio, np.exp(matched), np.exp(fit.x)))
    names = ("slope", "slope against the model's", "likelihood")
    table = np.array(every).T
    return {n: np.array([x.mean(), x.std(ddof=1)]) for n, x in zip(names, table, strict=True)}


def main(out: Path) -> list[Row]:
    with jax.enable_x64(True):
        at, law, found, kappas = crossing(), power_law(), estimators(), concentrations()
        looking, knowing = (
            np.asarray(f(ALPHA)) for f in (dt.price_of_not_looking, dt.price_of_not_knowing)
        )
    rounds = {r: np.array([dt.rounds_exponent(a, r) for a in ALPHA]) for r in (2, 4)}
    with panels(out / "unsolved_exponents", 2, height=2.1) as (above, below):
        above.plot(ALPHA, ALPHA / (1 - ALPHA), color=BLACK, label="looking, or knowing p")
        for (r, y), color in zip(rounds.items(), ORDER[1:], strict=False):
            above.plot(ALPHA, y, "--", color=color, label=f"{r} rounds")
        above.plot(ALPHA, ALPHA, color=GRAY, label="neither")
        above.set(ylabel="exponent of the unsolved", ylim=(0, 2), xlim=(0, 0.8))
        above.legend(loc="upper left")
        below.plot(ALPHA, looking, color=ORDER[0], label="knowing without looking")
        below.plot(ALPHA, knowing, color=ORDER[1], label="looking without knowing")
        below.set(
            ylabel="rollouts over those\nof doing both", yscale="log", ylim=(1, 30),
            xlim=(0, 0.8), xlabel="a of the prior Beta(a, b)",
        )  # fmt: skip
        below.set_yticks([1, 2, 4, 10, 20], ["1", "2", "4", "10", "20"])
        below.minorticks_off()
        mark(below, at, f"a* = {at:.4f}", y=0.1)
        below.legend(loc="upper right")
    name = "Exponents"
    rows = [
        row(name, "a* where looking and knowing are worth the same", None, at, 5),
        row(name, "a = 1/2: exponent of 1, 2, 4 rounds and of looking", None,
            [0.5, dt.rounds_exponent(0.5, 2), dt.rounds_exponent(0.5, 4), 1.0], 4),
        row(name, "a = 1/2: rollouts without looking, without knowing", None,
            [float(dt.price_of_not_looking(0.5)), float(dt.price_of_not_knowing(0.5))], 4),
        *(row(name, f"a = {a}: local exponents at n = 10^24, R = 1, 2, 3, 4", None,
              local_exponents(a), 3) for a in (0.3, 0.5)),
        row(name, "a = 0.3, R = 4: an equal split at n = 10, 100, 10^4 times θ", None,
            [equal_split(0.3, 4, n) for n in (10.0, 100.0, 1e4)], 3),
        row(name, "one problem, F N^κ/C at N = 10^3, 10^5; with shares reversed", None, law, 5),
        row(name, "exp κ KL(w‖q), w = .5, .3, .2, q reversed", None, 2.5**0.3, 5),
        *(row(name, key, None, value, 3) for key, value in found.items()),
        *(row(name, f"κ = 1, 300 problems × 4, by {key}: mean, sd", None, value, 3)
          for key, value in kappas.items()),
    ]  # fmt: skip
    (out / "unsolved_exponents.md").write_text(page(__doc__, rows), encoding="utf-8")
    return rows


if __name__ == "__main__":
    run(main, __doc__)
