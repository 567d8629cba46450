"""Theory 9.3: verifiers that err, against Bellman's equation in fractions, and best of N."""

from fractions import Fraction
from functools import cache
from math import comb

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

import dora_theory as dt


def moment(w, kappa, m):
    """E[p^m] under Beta(κw, κ(1 - w)), in fractions."""
    found = Fraction(1)
    for r in range(m):
        found *= (kappa * w + r) / (kappa + r)
    return found


def rejected(w, kappa, t, f, r, extra=0):
    """E[p^extra ρ^r], ρ = 1 - f - (t - f)p: the alternating sum, exact in fractions."""
    return sum(
        comb(r, m) * (1 - f) ** (r - m) * (f - t) ** m * moment(w, kappa, m + extra)
        for m in range(r + 1)
    )


def bellman(w, kappas, t, f, n, penalty, none):
    """The best value of any policy that stops at the first acceptance."""

    @cache
    def best(given):
        ways = [none]
        if sum(given) < n:
            for i, r in enumerate(given):
                whole = rejected(w[i], kappas[i], t[i], f[i], r)
                if whole == 0:
                    continue
                mu = rejected(w[i], kappas[i], t[i], f[i], r, 1) / whole
                accept = f[i] + (t[i] - f[i]) * mu
                reward = t[i] * mu - penalty * f[i] * (1 - mu)
                after = best((*given[:i], r + 1, *given[i + 1 :]))
                ways.append(reward + (1 - accept) * after)
        return max(ways)

    return best((0,) * len(w))


def instances(count, own):
    """Problems of three candidates in sixteenths, with rates, penalties and values of no answer."""
    rng = np.random.default_rng(7 + own)
    rates = [Fraction(x, 20) for x in (0, 1, 4, 8, 12, 16, 19, 20)]
    for _ in range(count):
        w = [Fraction(int(x), 16) for x in rng.integers(0, 16, 3)]
        kappas = [[Fraction(1, 4), Fraction(1), Fraction(6)][i] for i in rng.integers(0, 3, 3)]
        pairs = []
        for _ in range(3):
            low, high = sorted(rng.choice(len(rates), 2, replace=False))
            pairs.append((rates[high], rates[low]))
        t, f = zip(*(pairs if own else pairs[:1] * 3), strict=True)
        penalty = [Fraction(0), Fraction(1, 2), Fraction(3)][rng.integers(3)]
        none = [Fraction(0), Fraction(0), Fraction(1, 4), Fraction(9, 10)][rng.integers(4)]
        yield w, kappas, list(t), list(f), penalty, none


@pytest.mark.parametrize("own", [False, True], ids=["one rate", "own rates"])
def test_the_plan_is_worth_what_the_best_policy_is(float64, own):
    n, problems = 4, list(instances(60, own))
    w, kappas, t, f, penalty, none = (
        np.array([p[i] for p in problems], np.float64) for i in range(6)
    )
    rates = (t, f) if own else (t[:, 0], f[:, 0])
    plan = dt.verifier_order(w, kappas, *rates, n, penalty=penalty, no_answer=none)
    found = dt.verifier_outcome(w, kappas, *rates, plan.order, penalty=penalty, no_answer=none)
    for i, problem in enumerate(problems):
        best = bellman(*problem[:4], n, *problem[4:])
        assert float(found.value[i]) == pytest.approx(float(best), abs=1e-12), problem
    np.testing.assert_allclose(found.right, plan.right[:, -1], atol=1e-14)
    np.testing.assert_allclose(found.wrong, plan.wrong[:, -1], atol=1e-14)
    np.testing.assert_allclose(found.right + found.wrong + found.none, 1, atol=1e-12)
    counts = [[o.tolist().count(i) for i in range(3)] for o in np.asarray(plan.order)]
    assert plan.allocation.tolist() == counts


def test_no_index_is_right_under_a_cap(float64):
    """N = 1, p = 1/2 known: the larger reward has the smaller R/A (theory 9.3.2)."""
    given = [0.5, 0.5], 2.0**50, [0.5, 1.0], [0.0, 0.5], 1
    best, index = dt.verifier_order(*given), dt.verifier_order(*given, method="index")
    assert (best.order.tolist(), best.right.tolist()) == ([1], [0.5])
    assert (index.order.tolist(), index.right.tolist()) == ([0], [0.25])
    with pytest.raises(ValueError, match="method='index' is exact where"):
        dt.verifier_order([0.1] * 6, 1.0, [0.5] * 6, [0.1] * 6, 100)


def test_the_table_of_the_theory(float64):
    """9.3.3: right and wrong answers against N, the best N, and the ceiling."""
    w, rates = [0.4, 0.25, 0.15, 0.1, 0.05, 0.05], (0.5, 0.9, 0.05)
    plan = dt.verifier_order(w, *rates, 2048)
    table = {1: (0.360, 0.030), 4: (0.618, 0.087), 16: (0.745, 0.177), 64: (0.767, 0.230)}
    for n, (right, wrong) in {**table, 2048: (0.767, 0.233)}.items():
        # The theory cuts 0.6175 up.
        assert float(plan.right[n - 1]) == pytest.approx(right, abs=6e-4)
        assert float(plan.wrong[n - 1]) == pytest.approx(wrong, abs=6e-4)
    for penalty, most in ((0.25, 40), (1.0, 10), (4.0, 2)):
        cut = dt.verifier_order(w, *rates, 64, penalty=penalty)
        assert int((cut.order >= 0).sum()) == most
    value = np.asarray(plan.right - 4 * plan.wrong)
    assert value[1] == pytest.approx(0.286, abs=5e-4)
    assert value[-1] == pytest.approx(-0.164, abs=5e-4)
    precision = np.asarray(plan.right / (plan.right + plan.wrong))
    assert np.all(np.diff(precision) < 1e-12)


def test_failures_are_no_rejections(float64):
    """The order of a perfect verifier loses little, and repeats too little (theory 9.3.3)."""
    w, kappa, n = np.array([0.4, 0.25, 0.15, 0.1, 0.05, 0.05]), 0.5, 32
    given = np.zeros(6, int)
    order = []
    for _ in range(n):
        order.append(int(np.argmax(w / (kappa + given))))
        given[order[-1]] += 1
    for t, f, loss in ((0.9, 0.05, 0.001), (0.9, 0.2, 0.003), (0.6, 0.05, 0.01)):
        best = dt.verifier_order(w, kappa, t, f, n)
        found = dt.verifier_outcome(w, kappa, t, f, np.array(order))
        assert 0 < float(best.right[-1] - found.right) < 2 * loss
        assert best.allocation[0] >= given[0]
    perfect = dt.verifier_order(w, kappa, 1.0, 0.0, n)
    assert perfect.allocation.tolist() == dt.optimal_allocation(w, kappa, n).tolist()
    assert float(perfect.right[-1]) == pytest.approx(
        float(dt.success_probability(w, kappa, perfect.allocation)), rel=1e-12
    )


def test_the_ceiling_is_the_integral(float64):
    rng = np.random.default_rng(3)
    w, kappa = rng.random(12), np.exp(rng.uniform(-4, 4, 12))
    t = rng.uniform(0.3, 1, 12)
    f = t * np.exp(rng.uniform(-11, -0.1, 12))
    found = dt.verifier_ceiling(w[:, None], kappa[:, None], t[:, None], f[:, None])[:, 0]
    with mpmath.workdps(30):
        for i in range(12):
            a, b = mpmath.mpf(kappa[i]) * w[i], mpmath.mpf(kappa[i]) * (1 - w[i])
            z = -(mpmath.mpf(t[i]) - f[i]) / f[i]
            want = t[i] / (mpmath.mpf(t[i]) - f[i]) * (1 - mpmath.hyp2f1(1, a, a + b, z))
            assert float(found[i]) == pytest.approx(float(want), abs=1e-11)
    assert dt.verifier_ceiling([0.0, 0.3, 1.0], 0.5, 0.9, 0.0).tolist() == [0, 1, 1]
    assert dt.verifier_ceiling([0.0, 1.0], 0.5, 0.9, 0.05).tolist() == pytest.approx([0, 1])
    assert dt.verifier_ceiling([0.3], 0.5, 0.9, 0.05).tolist() == pytest.approx([0.507], abs=5e-4)
    assert dt.verifier_ceiling([0.3], 0.5, 0.9, 0.01).tolist() == pytest.approx([0.608], abs=5e-4)
    # Many rollouts come as near as their rejections allow.
    long = dt.verifier_order([0.3], 0.5, 0.9, 0.05, 400)
    assert float(long.right[-1]) == pytest.approx(0.507, abs=1e-3)


def test_bad_rates_are_named():
    for t, f in ((0.5, 0.5), (0.3, 0.4)):
        with pytest.raises(ValueError, match="true_positive - false_positive"):
            dt.verifier_order([0.5], 1.0, t, f, 3)
        bad = dt.verifier_order([0.5], 1.0, jnp.array(t), f, 3)
        assert bad.order.tolist() == [-1] * 3
        assert np.isnan(bad.right).all()
    with pytest.raises(ValueError, match=r"true_positive = 1\.5"):
        dt.verifier_order([0.5], 1.0, 1.5, 0.1, 3)
    with pytest.raises(ValueError, match=r"false_positive = -0\.1"):
        dt.verifier_ceiling([0.5], 1.0, 0.5, -0.1)
    with pytest.raises(ValueError, match="no_answer = 2"):
        dt.verifier_order([0.5], 1.0, 0.5, 0.1, 3, no_answer=2.0)
    with pytest.raises(ValueError, match="penalty = -1"):
        dt.verifier_order([0.5], 1.0, 0.5, 0.1, 3, penalty=-1.0)
    with pytest.raises(ValueError, match="order: needs candidates from 0 to 0"):
        dt.verifier_outcome([0.5], 1.0, 0.5, 0.1, [0, 1])
    assert np.isnan(dt.verifier_outcome([0.5], 1.0, 0.5, 0.1, jnp.array([0, 1])).right)
    with pytest.raises(ValueError, match="method = 'best'"):
        dt.verifier_order([0.5], 1.0, 0.5, 0.1, 3, method="best")


def test_both_precisions_and_nothing_to_do(x64):
    plan = dt.verifier_order([0.5, 0.2, 0.9], 0.5, 0.9, 0.05, 40, mask=[True, True, False])
    assert 2 not in plan.order.tolist()
    assert float(plan.right[-1] + plan.wrong[-1]) <= 1
    none = dt.verifier_order([0.5, 0.2], 0.5, 0.9, 0.05, 0)
    assert (none.order.size, none.allocation.tolist()) == (0, [0, 0])
    nothing = dt.verifier_outcome([0.5, 0.2], 0.5, 0.9, 0.05, np.zeros(0, int), no_answer=0.3)
    assert (float(nothing.none), float(nothing.value)) == (1, pytest.approx(0.3))


def integral(w, kappa, b, d, right, wrong):
    """9.3.5 by two quadratures: Gauss-Jacobi in each p, adaptive in the score."""
    rules = []
    for x, n in zip(w, b, strict=True):
        nodes, weights = scipy.special.roots_jacobi(n + 2, kappa * (1 - x) - 1, kappa * x - 1)
        rules.append(((nodes + 1) / 2, weights / weights.sum(), n))

    def density(s):
        f1, f0 = scipy.stats.norm.cdf([(s - d) / right, s / wrong])
        below = [(q * (p * f1 + (1 - p) * f0) ** n).sum() for p, q, n in rules]
        total = 0.0
        for i, (p, q, n) in enumerate(rules):
            best = n * (q * p * (p * f1 + (1 - p) * f0) ** (n - 1)).sum() if n else 0.0
            total += best * np.prod([x for j, x in enumerate(below) if j != i])
        return total * scipy.stats.norm.pdf((s - d) / right) / right

    return scipy.integrate.quad(density, d - 9 * right, d + 9 * right, limit=400, epsabs=1e-11)[0]


def test_best_of_n_is_its_integral(float64):
    w, b = np.array([0.45, 0.3, 0.15]), np.array([5, 3, 0])
    for kappa, d, right, wrong in (
        (0.5, 1.0, 1.0, 1.0),
        (2.0, -0.5, 0.4, 1.5),
        (30.0, 2.0, 2.0, 0.5),
    ):
        found = dt.best_of_n_accuracy(w, kappa, b, d, right_scale=right, wrong_scale=wrong)
        assert float(found) == pytest.approx(integral(w, kappa, b, d, right, wrong), abs=1e-9)
    same = dt.best_of_n_accuracy(w, 0.5, b, 0.0)
    assert float(same) == pytest.approx((5 * 0.45 + 3 * 0.3) / 8)
    far = dt.best_of_n_accuracy(w, 0.5, b, 40.0)
    assert float(far) == pytest.approx(float(dt.success_probability(w, 0.5, b)), abs=1e-9)


def test_known_chances_rise_or_peak_as_the_theory_says(float64):
    n = np.array([[8], [64], [128], [1024], [65536]])
    rises = dt.best_of_n_accuracy([0.2], None, n, 1.0)
    peaks = dt.best_of_n_accuracy([0.2], None, n, 1.0, wrong_scale=1.2)
    np.testing.assert_allclose(
        np.asarray(rises)[[0, 1, 3, 4]], [0.468, 0.700, 0.865, 0.953], atol=6e-4
    )
    np.testing.assert_allclose(peaks, [0.399, 0.470, 0.475, 0.456, 0.346], atol=6e-4)
    near = dt.best_of_n_accuracy([0.2], 1e9, n[:2], 1.0)
    np.testing.assert_allclose(near, rises[:2], atol=1e-7)


def test_best_of_n_says_what_it_lacks(x64):
    assert float(dt.best_of_n_accuracy([0.5, 0.3], 1.0, [0, 0], 1.0)) == 0
    single, double = (dt.best_of_n_accuracy([0.5, 0.3], 1.0, b, 1.0) for b in ([1, 0], [3, 2]))
    assert float(single) == pytest.approx(0.5, abs=1e-4)
    assert float(double) > 0.5
    with pytest.raises(ValueError, match="max_rollouts"):
        jax.jit(lambda b: dt.best_of_n_accuracy([0.5], 1.0, b, 1.0))(jnp.array([3]))
    short = jax.jit(lambda b: dt.best_of_n_accuracy([0.5], 1.0, b, 1.0, max_rollouts=2))
    assert np.isnan(short(jnp.array([3])))
    with pytest.raises(ValueError, match="wrong_scale = 0"):
        dt.best_of_n_accuracy([0.5], 1.0, [1], 1.0, wrong_scale=0.0)
