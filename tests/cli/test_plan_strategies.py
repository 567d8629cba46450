"""All strategies of `dora-theory plan` against rules written out in exact rationals."""

import json
import random
from collections.abc import Callable
from fractions import Fraction

import pytest

from dora_theory.cli.main import main
from dora_theory.strategies.plans import PLANS

M = 5
PRIOR = Fraction(1, 2), Fraction(3, 2)
# No number of rollouts that these instances give reaches it.
_NEVER = 10**6


def problems(seed):
    """Lines with exact numbers: counts, own priors, values, floors, caps and solved ones."""
    r = random.Random(seed)
    lines = []
    for i in range(M):
        line = {"id": f"p{i}"}
        attempts = r.choice([0, 0, 2, 4])
        if r.random() < 0.6:
            line |= {"right": r.randint(0, attempts), "attempts": attempts}
        else:
            line |= {"alpha": r.choice([0.5, 1, 2]), "beta": r.choice([0.5, 1, 3, 6])}
        line["value"] = r.choice([1, 1, 1, 2, 0.5])
        line["floor"] = r.choice([0, 0, 0, 1, 2])
        line["cap"] = line["floor"] + r.choice([0, 1, 2, 40, 40])
        line["solved"] = r.random() < 0.15
        lines.append(line)
    floors = sum(x["floor"] for x in lines if not x["solved"])
    return lines, floors + r.choice([0, 1, 3, 7, 12])


def posterior(line):
    a, b = (Fraction(line.get(k, p)) for k, p in zip(("alpha", "beta"), PRIOR, strict=True))
    return a + line.get("right", 0), b + line.get("attempts", 0) - line.get("right", 0)


def one_by_one(lines, total, key: Callable[[int, int], object]):
    """The floors, then each rollout to the largest key(problem, n), ties to the lowest problem."""
    n = [0 if x["solved"] else x["floor"] for x in lines]
    caps = [0 if x["solved"] else x["cap"] for x in lines]
    for _ in range(total - sum(n)):
        open_ = [i for i in range(M) if n[i] < caps[i]]
        if not open_:
            break
        n[max(open_, key=lambda i: (key(i, n[i]), -i))] += 1
    return n


def hazard(a, b, n):
    return a / (a + b + n)


def failure(a, b, n):
    f = Fraction(1)
    for r in range(n):
        f *= 1 - hazard(a, b, r)
    return f


def rule(strategy, lines):
    """The key that a strategy takes the largest of."""
    beliefs = [posterior(x) for x in lines]
    values = [Fraction(x["value"]) for x in lines]
    counts = [(x.get("right", 0), x.get("attempts", 0)) for x in lines]
    means = [a / (a + b) for a, b in beliefs]

    def marginal(i, n):
        return values[i] * failure(*beliefs[i], n) * hazard(*beliefs[i], n)

    def hora(i, n):
        s, k = counts[i]
        a, b = Fraction(1 + s), Fraction(1 + k - s)
        return failure(a, b, n) * hazard(a, b, n)

    def neyman(i, n):
        spread = means[i] * (1 - means[i])
        # First rollouts before all second ones; then p(1 - p)/(n(n + 1)), the squares.
        return (n == 0, spread / (n * (n + 1)) if n else spread)

    return {
        "committed": marginal,
        "rounds": marginal,
        "stages": marginal,
        "index": lambda i, n: values[i] * hazard(*beliefs[i], n),
        "uniform": lambda i, n: -n,
        "round-robin": lambda i, n: -(n + counts[i][1]),
        "hora": hora,
        "neyman": neyman,
    }[strategy]


@pytest.fixture
def planned(tmp_path, capsys):
    def call(lines, *options):
        path = tmp_path / "state.jsonl"
        path.write_text("".join(json.dumps(x) + "\n" for x in lines), encoding="utf-8")
        assert main(["plan", str(path), "--prior", "0.5,1.5", *map(str, options)]) == 0
        return [json.loads(x) for x in capsys.readouterr().out.splitlines()]

    return call


@pytest.mark.parametrize("strategy", [x for x in PLANS if x != "knapsack-rl"])
def test_a_plan_is_the_rule_in_exact_rationals(planned, strategy):
    for seed in range(12):
        lines, total = problems(seed)
        found = planned(lines, "--total", total, "--strategy", strategy)
        want = one_by_one(lines, total, rule(strategy, lines))
        assert [x["rollouts"] for x in found] == want, (seed, lines, total)
        gains = [
            float(Fraction(x["value"]) * (1 - failure(*posterior(x), n)))
            for x, n in zip(lines, want, strict=True)
        ]
        assert [x["expected"] for x in found] == pytest.approx(gains, rel=1e-13)


def test_knapsack_opens_in_pairs_in_the_order_of_exact_densities(planned):
    for seed in range(12):
        lines, total = problems(seed)
        lines = [x | {"floor": 0, "cap": 40, "solved": False} for x in lines]
        total += total % 2
        found = planned(lines, "--total", total, "--strategy", "knapsack-rl")
        assert sum(x["rollouts"] for x in found) == total
        means = [a / (a + b) for a, b in map(posterior, lines)]
        items = []
        for i, p in enumerate(means):
            q = 1 - p
            gains = [p * q**2 * (p**n * q + q**n * p) for n in range(2, total)]
            items += [(-g, i, n, 1) for n, g in enumerate(gains, 3)]
            items.append((-(p**2 * q**3), i, 2, 2))
        want, left = [0] * M, total
        for _, i, _, size in sorted(items):
            if size > left:
                break
            want[i] += size
            left -= size
        if not left:
            assert [x["rollouts"] for x in found] == want, (seed, lines, total)


@pytest.mark.parametrize(("total", "rounds"), [(30, 4), (7, 3), (2, 4), (0, 2)])
def test_rounds_spend_equal_shares_that_sum_to_the_total(planned, total, rounds):
    lines = [{"id": i, "right": 0, "attempts": 0} for i in range(M)]
    spent = []
    for r in range(1, rounds + 1):
        found = planned(lines, "--total", total, "--rounds", rounds, "--round", r)
        spent.append(sum(x["rollouts"] for x in found))
        for line, x in zip(lines, found, strict=True):
            line["attempts"] += x["rollouts"]
    assert sum(spent) == total
    assert max(spent) - min(spent) <= 1


@pytest.mark.slow
def test_candidates_share_a_problem_as_their_merged_hazards(planned):
    """Ties inside a problem go to the lowest candidate; weights are κw, κ(1 - w)."""
    r = random.Random(1)
    for _ in range(6):
        lines, beliefs = [], []
        for i in range(M):
            k = r.randint(1, 3)
            if i % 2:
                w = [r.choice([0, 0.125, 0.25, 0.5]) for _ in range(k)]
                lines.append({"id": i, "weights": w})
                beliefs.append([(2 * Fraction(x), 2 * (1 - Fraction(x))) for x in w])
            else:
                a, b = ([r.choice([1, 2, 3]) for _ in range(k)] for _ in range(2))
                n = [r.randint(0, 3) for _ in range(k)]
                lines.append({"id": i, "alpha": a, "beta": b, "right": [0] * k, "attempts": n})
                beliefs.append(
                    [(Fraction(x), Fraction(y + z)) for x, y, z in zip(a, b, n, strict=True)]
                )
        split = [[0] * len(x) for x in beliefs]
        left = [Fraction(1)] * M
        for _ in range(17):
            ways = [
                (left[m] * hazard(a, b, split[m][j]), -m, -j)
                for m, x in enumerate(beliefs)
                for j, (a, b) in enumerate(x)
            ]
            _, m, j = max(ways)
            left[-m] *= 1 - hazard(*beliefs[-m][-j], split[-m][-j])
            split[-m][-j] += 1
        found = planned(lines, "--total", 17, "--kappa", 2, "--strategy", "committed")
        assert [x["allocation"] for x in found] == split
