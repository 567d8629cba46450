"""Lemmas behind the theorems, proved for all reals: by z3 (nonlinear arithmetic) and by sympy.

A lemma is proved when its assumptions and the negation of its conclusion contradict each other. So
that a proof can fail, every assumption is also dropped in turn, and a counterexample must then
exist: no lemma assumes more than it needs. Rollouts are real here, which only proves more.

Notation: a rollout of a candidate of quality w after r failures fails with probability
f(r) = 1 - κ w/(κ + r) and has priority w/(κ + r).
"""

from dataclasses import dataclass, field

import pytest
import sympy
import z3

# A proof takes milliseconds; z3's own limit, in its unit of work, turns a hang into a failure.
_EFFORT = 50_000_000

kappa, w, v, r, s, x, y, t = z3.Reals("kappa w v r s x y t")


def fails(quality: z3.ArithRef, after: z3.ArithRef) -> z3.ArithRef:
    return 1 - kappa * quality / (kappa + after)


def priority(quality: z3.ArithRef, after: z3.ArithRef) -> z3.ArithRef:
    return quality / (kappa + after)


@dataclass(frozen=True)
class Lemma:
    """What is assumed (each by name, each needed), what follows, and what is left to a reader.

    `defined` says that no denominator is 0, which is kept when an assumption is dropped: what is
    found then is a counterexample, not a division by 0.
    """

    name: str
    theory: str
    assumptions: dict[str, z3.BoolRef]
    conclusion: z3.BoolRef
    left: str
    defined: list[z3.BoolRef] = field(default_factory=list)


F = z3.Real("F")
f0, f1, f2 = z3.Reals("f0 f1 f2")
a0, a1, a2, b0, b1, b2, m, n = z3.Reals("a0 a1 a2 b0 b1 b2 m n")
q, k, h = z3.Reals("q k h")

# One y of a prior: failure F so far, chances of failure of the next rollouts of i and j.
fail_i, fail_j = z3.Reals("fail_i fail_j")
# Two values of a latent: share of the first, log ratios, and their exponentials.
share, first, second, e_first, e_second = z3.Reals("share first second e_first e_second")
mean = share * first + (1 - share) * second

POSITIVE = {"κ > 0": kappa > 0}
LEMMAS = (
    Lemma(
        "a rollout gains no more after one of another candidate",
        "8.1.1",
        {"F ≥ 0": F >= 0, "q_i ≤ 1": fail_i <= 1, "q_j ≤ 1": fail_j <= 1},
        F * fail_j * (1 - fail_i) <= F * (1 - fail_i),
        "means over p keep both inequalities",
    ),
    Lemma(
        "Jensen on two points, from the tangent of exp",
        "8.1.7",
        {
            "0 ≤ share": share >= 0,
            "share ≤ 1": share <= 1,
            "e^t ≥ 1 + t at the first": e_first >= 1 + (first - mean),
            "e^t ≥ 1 + t at the second": e_second >= 1 + (second - mean),
        },
        # In units of e^mean.
        share * e_first + (1 - share) * e_second >= 1,
        "more points by the same sum",
    ),
    Lemma(
        "the chance of failure does not fall with failures",
        "2.1",
        {**POSITIVE, "w ≥ 0": w >= 0, "0 ≤ r": r >= 0, "r ≤ s": r <= s},
        fails(w, r) <= fails(w, s),
        "nothing",
        [kappa + r != 0, kappa + s != 0],
    ),
    Lemma(
        "and rises strictly where w > 0",
        "2.1",
        {**POSITIVE, "w > 0": w > 0, "0 ≤ r": r >= 0, "r < s": r < s},
        fails(w, r) < fails(w, s),
        "nothing",
        [kappa + r != 0, kappa + s != 0],
    ),
    Lemma(
        "exchange: moving a rollout to the larger priority lowers the joint failure, and only that",
        "2.1",
        # From candidate v, which has y ≥ 1, to candidate w, which has x: the joint failure is
        # multiplied by f_w(x)/f_v(y - 1).
        {**POSITIVE},
        (priority(w, x) > priority(v, y - 1)) == (fails(w, x) < fails(v, y - 1)),
        "induction over exchanges: an allocation that does not hold N largest priorities has a "
        "rollout to move; each move lowers failure, and there are finitely many allocations",
        [kappa + x != 0, kappa + y - 1 != 0],
    ),
    Lemma(
        "certificate, sufficient: if it forbids one move between two candidates, it forbids t + 1",
        "2.2",
        {
            **POSITIVE,
            "v ≥ 0": v >= 0,
            "x ≥ 0": x >= 0,
            "t ≥ 0": t >= 0,
            "t + 1 ≤ y": t + 1 <= y,
            "certificate": priority(w, x) <= priority(v, y - 1),
        },
        fails(w, x + t) >= fails(v, y - 1 - t),
        "induction over t: the factors of the joint failure from move to move are all ≥ 1, as the "
        "solver proves, so no allocation of two candidates has less failure; more candidates by "
        "the exchange lemma, pair by pair",
        [kappa + x != 0, kappa + x + t != 0, kappa + y - 1 != 0, kappa + y - 1 - t != 0],
    ),
    Lemma(
        "certificate, necessary: where it fails, one move lowers the joint failure",
        "2.2",
        {
            **POSITIVE,
            "F > 0": F > 0,
            "f_v(y - 1) > 0": fails(v, y - 1) > 0,
            "no certificate": priority(w, x) > priority(v, y - 1),
        },
        F / fails(v, y - 1) * fails(w, x) < F,
        "nothing; where f_v(y - 1) = 0 a rollout of v is sure to succeed, and F = 0 is optimal",
        [kappa + x != 0, kappa + y - 1 != 0, fails(v, y - 1) != 0],
    ),
    Lemma(
        "failure is log-convex where the chance of failure does not fall: F(B+1)² ≤ F(B) F(B+2)",
        "2.1, 5.1",
        {"f(B) ≥ 0": f0 >= 0, "f(B) ≤ f(B+1)": f0 <= f1},
        (F * f0) * (F * f0) <= F * (F * f0 * f1),
        "F(B) = Π f(r) is the definition; f rises by the first lemma, and stays or rises when the "
        "total of a direction is spread evenly over its copies",
    ),
    Lemma(
        "the value of one more rollout of a problem falls",
        "7.1",
        # Δ(n) = v F h and Δ(n + 1) = v F (1 - h) h', with h the hazard and h' the next.
        {"v ≥ 0": v >= 0, "F ≥ 0": F >= 0, "h ≤ 1": h <= 1, "h' ≤ h": q <= h},
        v * (F * (1 - h)) * q <= v * F * h,
        "nothing",
    ),
    Lemma(
        "of two falling tapes no two rewards exceed those that the larger head comes to",
        "7.2",
        # From a (the larger head) and b two are taken, in the order of each tape.
        {"a1 ≥ b1": a1 >= b1, "b1 ≥ b2": b1 >= b2},
        z3.And(
            a1 + z3.If(a2 >= b1, a2, b1) >= a1 + a2,
            a1 + z3.If(a2 >= b1, a2, b1) >= a1 + b1,
            a1 + z3.If(a2 >= b1, a2, b1) >= b1 + b2,
        ),
        "induction over tapes and N: merging falling tapes takes the N largest",
    ),
    Lemma(
        "a mixture of two log-convex sequences is log-convex",
        "5.1",
        {
            "m ≥ 0": m >= 0,
            "n ≥ 0": n >= 0,
            "a(B) ≥ 0": a0 >= 0,
            "a(B+2) ≥ 0": a2 >= 0,
            "b(B) ≥ 0": b0 >= 0,
            "b(B+2) ≥ 0": b2 >= 0,
            "a log-convex": a1 * a1 <= a0 * a2,
            "b log-convex": b1 * b1 <= b0 * b2,
        },
        (m * a1 + n * b1) * (m * a1 + n * b1) <= (m * a0 + n * b0) * (m * a2 + n * b2),
        "induction over the parts of a finite mixture; an integral over m is a limit of these",
    ),
    Lemma(
        "the divergence of two directions falls toward p = q and rises beyond it",
        "4.2",
        # Its derivative in p, (p - q)/(p (1 - p)), is sympy's part below.
        {"0 < p": x > 0, "p < 1": x < 1},
        z3.And((x < q) == ((x - q) / (x * (1 - x)) < 0), (x > q) == ((x - q) / (x * (1 - x)) > 0)),
        "the mean value theorem: KL is 0 at p = q, strictly monotone on either side, hence > 0",
        [x * (1 - x) != 0],
    ),
    Lemma(
        "counting candidates leaves the shares of two directions as they are iff k_1 = k_2",
        "4.2",
        {"0 < q": q > 0, "q < 1": q < 1},
        (k * q / (k * q + h * (1 - q)) == q) == (k == h),
        "nothing; some candidate exists, as the denominator says",
        [k * q + h * (1 - q) != 0],
    ),
)


def decide(*conditions: z3.BoolRef) -> z3.CheckSatResult:
    solver = z3.SolverFor("QF_NRA")
    solver.set(rlimit=_EFFORT)
    solver.add(*conditions)
    return solver.check()


@pytest.mark.parametrize("lemma", LEMMAS, ids=lambda lemma: lemma.name)
def test_proved_for_all_reals(lemma: Lemma) -> None:
    premises = [*lemma.defined, *lemma.assumptions.values()]
    assert decide(*premises, z3.Not(lemma.conclusion)) == z3.unsat
    # The premises themselves must be possible, or they would prove anything.
    assert decide(*premises) == z3.sat


@pytest.mark.parametrize(
    ("lemma", "dropped"),
    [(lemma, name) for lemma in LEMMAS for name in lemma.assumptions],
    ids=lambda part: part if isinstance(part, str) else part.name,
)
def test_every_assumption_is_needed(lemma: Lemma, dropped: str) -> None:
    kept = [x for name, x in lemma.assumptions.items() if name != dropped]
    assert decide(*lemma.defined, *kept, z3.Not(lemma.conclusion)) == z3.sat


def test_a_proof_that_z3_cannot_give_is_no_proof() -> None:
    # Log-concavity, the opposite of the lemma.
    assert decide(f0 >= 0, f0 <= f1, z3.Not((F * f0) * (F * f0) >= F * (F * f0 * f1))) == z3.sat


def test_failure_is_the_product_of_its_factors() -> None:
    """Theory 1, 5.2: E[(1-p)^r] = B(a, b+r)/B(a, b); the step from r to r + 1 is proved.

    Assumed: a, b > 0. Left: induction over r from E[(1-p)^0] = 1. The complement of the factor is
    the posterior mean after r failures, which with a = κw and a + b = κ is κ times the priority.
    """
    a, b, depth = sympy.symbols("a b r", positive=True)

    def moment(r: sympy.Expr) -> sympy.Expr:
        return sympy.gamma(b + r) * sympy.gamma(a + b) / (sympy.gamma(b) * sympy.gamma(a + b + r))

    factor = sympy.gammasimp(moment(depth + 1) / moment(depth))
    assert sympy.simplify(factor - (b + depth) / (a + b + depth)) == 0
    assert moment(sympy.Integer(0)) == 1
    posterior_mean = a / (a + b + depth)
    assert sympy.simplify(1 - factor - posterior_mean) == 0
    kappa, w = sympy.symbols("kappa w")
    by_quality = posterior_mean.subs({a: kappa * w, b: kappa * (1 - w)}, simultaneous=True)
    assert sympy.simplify(by_quality - kappa * w / (kappa + depth)) == 0


def test_log_failure_as_a_difference_of_gamma_functions() -> None:
    """Theory 4.3: -log F(B) is log Γ(κ+B)/Γ(b+B) less log Γ(κ)/Γ(b), b = κ(1 - Q).

    Assumed: κ, b > 0. The step from B to B + 1 is proved, and B = 0. Left: induction over B, and
    that B may be real.
    """
    kappa, b, given = sympy.symbols("kappa b B", positive=True)

    def step(sign: int) -> sympy.Expr:
        ratio = sympy.gamma(kappa + given) / sympy.gamma(b + given)
        more = ratio.subs(given, given + 1) / ratio
        # e^{-log F} grows by (κ + B)/(b + B) with a rollout more.
        return sympy.gammasimp(more**sign) - (kappa + given) / (b + given)

    assert sympy.simplify(step(1)) == 0
    # The check can fail: with the sign turned it is log F.
    assert sympy.simplify(step(-1)) != 0


def test_divergence_of_two_directions() -> None:
    """Theory 4.2: KL((q, 1-q)‖(p, 1-p)) is 0 at p = q and has derivative (p - q)/(p (1 - p)).

    Assumed: 0 < p, q < 1. With the sign of that derivative, which z3 proves, KL ≥ 0 with equality
    iff p = q. Left: the mean value theorem.
    """
    p, q = sympy.symbols("p q", positive=True)

    def divergence(q: sympy.Expr, p: sympy.Expr) -> sympy.Expr:
        return q * sympy.log(q / p) + (1 - q) * sympy.log((1 - q) / (1 - p))

    derivative = (p - q) / (p * (1 - p))
    assert sympy.simplify(sympy.diff(divergence(q, p), p) - derivative) == 0
    assert divergence(q, q) == 0
    # The check can fail: the divergence in the other direction has another derivative.
    assert sympy.simplify(sympy.diff(divergence(p, q), p) - derivative) != 0


def test_theta_of_the_block_model() -> None:
    """Theory 4.5, 5.6: γ and the magnitude weighting of a direction are ∝ 1/(k_j + θ).

    Assumed: a > b, and the denominators are not 0. Three directions stand for any number: K, or
    what the directions have in common, is all that one sees of the others.
    """
    a, b, *sizes = sympy.symbols("a b k1 k2 k3", positive=True)
    total = sum(sizes)
    theta = (1 - a + total * b) / (a - b)
    for size in sizes:
        gamma = 1 / (1 + (size - 1) * a + (total - size) * b)
        assert sympy.simplify(gamma * (size + theta) * (a - b) - 1) == 0
    theta = (1 - a) / (a - b)
    shape = [1 / (size + theta) for size in sizes]
    # Z v = 1: every row of Z gives the same number for v ∝ shape, so a constant makes it 1.
    row_sums = [
        mine * (1 + (size - 1) * a)
        + b * sum(k * x for k, x in zip(sizes, shape, strict=True))
        - b * size * mine
        for size, mine in zip(sizes, shape, strict=True)
    ]
    assert sympy.simplify(row_sums[0] - row_sums[1]) == 0
    assert sympy.simplify(row_sums[0] - row_sums[2]) == 0


def test_what_looking_can_gain() -> None:
    """Theory 7.2e: 1 - e^{-q} ≥ (1 - 1/e) q on [0, 1].

    The difference is 0 at both ends and its second derivative is -e^{-q} < 0. Left: that a concave
    function is above its chord.
    """
    x = sympy.symbols("q", nonnegative=True)

    def above(constant: sympy.Expr) -> sympy.Expr:
        return 1 - sympy.exp(-x) - constant * x

    gap = above(1 - sympy.exp(-1))
    assert sympy.simplify(gap.subs(x, 0)) == 0
    assert sympy.simplify(gap.subs(x, 1)) == 0
    assert sympy.simplify(sympy.diff(gap, x, 2) + sympy.exp(-x)) == 0
    # The check can fail: no larger constant will do.
    assert sympy.simplify(above(1 - sympy.exp(-2)).subs(x, 1)) < 0


def test_the_cost_of_coverage_telescopes() -> None:
    """Theory 7.4b: [(a+b-1) - (a+b+s-1) f(s)]/(a-1) grows by f(s) from s to s + 1, from 0 at 0.

    Assumed: a ≠ 1, (a+b+s) f(s+1) = (b+s) f(s). Left: induction over s.
    """
    a, b, depth, f = sympy.symbols("a b s f", positive=True)

    def spent(s: sympy.Expr, unsolved: sympy.Expr, start: int = 1) -> sympy.Expr:
        return ((a + b - start) - (a + b + s - start) * unsolved) / (a - 1)

    following = (b + depth) / (a + b + depth) * f
    assert sympy.simplify(spent(depth + 1, following) - spent(depth, f) - f) == 0
    assert sympy.simplify(spent(sympy.Integer(0), sympy.Integer(1))) == 0
    # The check can fail: with the sum of another start it does not telescope.
    assert sympy.simplify(spent(depth + 1, following, 2) - spent(depth, f, 2) - f) != 0
