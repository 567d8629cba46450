"""Estimates over populations: truth, coverage, stopping, and what the machine must not change."""

import os
import socket
import subprocess
import sys
from fractions import Fraction
from math import comb

import jax
import numpy as np
import pytest

from dora_theory.simulation import montecarlo
from dora_theory.simulation.arguments import contenders
from dora_theory.simulation.intervals import difference_interval
from dora_theory.simulation.montecarlo import rollouts_lost, simulate, simulate_until
from dora_theory.simulation.populations import Population, draw_problems
from dora_theory.strategies.options import Options
from dora_theory.strategies.registry import ORACLE

pytestmark = pytest.mark.slow

KEY = jax.random.key(5)
# Each problem of it is the same but for the order of candidates, which these two do not see.
KNOWN = Population(
    num_candidates=8, num_directions=3, sizes=(5, 2, 1), quality=(0.5, 0.3, 0.2), concentration=0.5
)
STRATEGIES = "temperature", ORACLE
BUDGET = 16


def success_in_rationals(totals):
    """1 - Π_j Π_{r<B_j} (κ(1-Q_j) + r)/(κ + r)."""
    kappa, failure = Fraction(1, 2), Fraction(1)
    for q, total in zip((Fraction(1, 2), Fraction(3, 10), Fraction(1, 5)), totals, strict=True):
        for r in range(total):
            failure *= (kappa * (1 - q) + r) / (kappa + r)
    return 1 - failure


def best_in_rationals(budget):
    """The optimum's success, by enumeration."""
    everyone = [(a, b, budget - a - b) for a in range(budget + 1) for b in range(budget + 1 - a)]
    assert len(everyone) == comb(budget + 2, 2)
    return max(map(success_in_rationals, everyone))


def truth():
    """Success, number correct and regret of temperature (two each), the oracle by enumeration."""
    totals = 10, 4, 2
    best = best_in_rationals(16)
    own = success_in_rationals(totals)
    correct = 10 * Fraction(1, 2) + 4 * Fraction(3, 10) + 2 * Fraction(1, 5)
    return tuple(map(float, (own, correct, best - own)))


@pytest.mark.parametrize("level", ["rollouts", "conditional"])
def test_intervals_cover_the_truth_as_often_as_they_say(level):
    """1,000 repetitions; a right interval is out of these bounds once in 30,000 runs."""
    success, correct, regret = truth()
    hits = np.zeros(4)
    for key in jax.random.split(KEY, 1000):
        found = simulate(
            key, KNOWN, STRATEGIES, BUDGET, num_problems=128, num_samples=2, level=level
        )
        estimates = [
            (found.success("temperature"), success),
            (found.correct("temperature"), correct),
            (found.pass_rate("temperature"), correct / BUDGET),
            (found.regret("temperature"), regret),
        ]
        hits += [e.low <= t <= e.high for e, t in estimates]
    off = (hits / 1000 - 0.95) / np.sqrt(0.95 * 0.05 / 1000)
    assert np.all(off > -4.5), hits
    # Where few problems show a difference its interval is wider than it need be.
    assert np.all(off[:3] < 4.5), hits


def test_what_a_budget_of_cost_achieves():
    """Against all allocations of each problem, and against the largest N that is paid for."""
    made, budget = KNOWN.with_changes(cost_spread=0.8), 6.5
    how = {"num_problems": 24, "level": "closed", "by_cost": True}
    found = simulate(KEY, made, STRATEGIES, budget, **how)
    problems = draw_problems(jax.random.split(KEY)[0], made, 24)
    costs, labels = np.asarray(problems.costs), np.asarray(problems.directions)
    assert abs(np.log(costs).std() - 0.8) < 0.15
    # Π_{r<B} (κ(1-Q_j) + r)/(κ + r).
    factors = (0.5 * (1 - np.array([[0.5], [0.3], [0.2]])) + np.arange(99)) / (0.5 + np.arange(99))
    fails = np.concatenate([np.ones((3, 1)), np.cumprod(factors, -1)], -1)
    own, best = [], []
    for c, label in zip(costs, labels, strict=True):
        given = np.zeros(8, int)
        while c @ (given + (np.arange(8) == given.sum() % 8)) <= budget:
            given[given.sum() % 8] += 1
        own.append(success_in_rationals([given[label == j].sum() for j in range(3)]))
        cheap = np.array([c[label == j].min() for j in range(3)])
        every = np.indices([int(budget / x) + 1 for x in cheap]).reshape(3, -1).T
        paid = every[every @ cheap <= budget]
        failure = fails[0, paid[:, 0]] * fails[1, paid[:, 1]] * fails[2, paid[:, 2]]
        best.append(1 - failure.min())
    assert found.success("temperature").value == pytest.approx(float(np.mean(own)), abs=1e-6)
    oracle = float(found.success(ORACLE).value)
    assert np.mean(best) - 0.01 < oracle <= np.mean(best) + 1e-6
    assert {row["metric"] for row in found.rows()} == {"success", "correct", "regret"}
    for change, message in (
        ({"within_concentration": 1.0}, "needs within_concentration = None"),
        ({"cost_spread": -1.0}, "cost_spread = -1"),
    ):
        with pytest.raises(ValueError, match=message):
            simulate(KEY, made.with_changes(**change), ("temperature",), budget, **how)
    with pytest.raises(ValueError, match="has a budget of cost"):
        rollouts_lost(KEY, made, found, "temperature")


def test_closed_form_is_the_rational_truth():
    success, correct, regret = truth()
    found = simulate(KEY, KNOWN, STRATEGIES, BUDGET, num_problems=64, level="closed")
    np.testing.assert_allclose(found.success("temperature").value, success, rtol=1e-6)
    np.testing.assert_allclose(found.correct("temperature").value, correct, rtol=1e-6)
    np.testing.assert_allclose(found.regret("temperature").value, regret, atol=1e-6)
    assert found.regret("temperature").error < 1e-6


MIXED = Population(
    num_candidates=10,
    num_directions=4,
    min_candidates=6,
    sizes="crp",
    noise=0.05,
    within_concentration=1.5,
)


LEVELS = "rollouts", "conditional", "closed"


@pytest.fixture(scope="module")
def mixed():
    """Means of 4,000 problems at each level, and the simulations that they make."""
    strategies = contenders(("rebase", "dora", ORACLE))
    work = {n: montecarlo._Work(KEY, MIXED, strategies, 12, 24, n, None, None) for n in LEVELS}
    values = {n: np.concatenate(list(w.blocks(4000, 12)), -1) for n, w in work.items()}
    return values, {n: w.run(4000) for n, w in work.items()}


def test_levels_agree_within_error_and_fall_in_variance(mixed):
    """Problem by problem: the closed form is the expectation of what is sampled."""
    values, found = mixed
    for level in ("rollouts", "conditional"):
        gap = values[level] - values["closed"]
        for of in (gap, gap[:, :1] - gap[:, 1:]):
            error = of.std(-1, ddof=1) / np.sqrt(4000)
            assert np.abs(of.mean(-1)).max() > 0
            assert np.all(np.abs(of.mean(-1)) < 4.5 * error), level
    errors = [found[x].success("rebase").error for x in LEVELS]
    assert errors == sorted(errors, reverse=True)


def test_nobody_beats_the_oracle_and_paired_differences_are_narrow(mixed):
    values, found = mixed
    success = values["closed"][0]
    # float32: a rounding of two numbers near 1.
    assert np.all(success <= success[-1:] + 3e-7)
    for strategy in ("rebase", "dora"):
        assert found["closed"].regret(strategy).low > 0
        alone = [found["rollouts"].success(s).error for s in (strategy, ORACLE)]
        assert found["rollouts"].regret(strategy).error < 0.6 * np.hypot(*alone)
    assert found["closed"].regret(ORACLE).value == 0


def test_moments_of_blocks_are_those_of_all_problems():
    work = montecarlo._Work(
        KEY, MIXED, contenders(("dora", ORACLE)), 12, 8, "conditional", None, None
    )
    values = np.concatenate(list(work.blocks(9000, 12)), -1)
    assert values.shape == (2, 2, 9000)
    found = work.run(9000)
    np.testing.assert_allclose(found.mean, values.mean(-1), rtol=1e-12)
    for metric in range(2):
        np.testing.assert_allclose(found.scatter[metric], np.cov(values[metric]) * 8999, rtol=1e-9)
    gap = difference_interval(values[0, 0] - values[0, 1])
    np.testing.assert_allclose(found.difference("dora", ORACLE), gap, rtol=1e-6, atol=1e-12)


def test_a_look_at_which_no_difference_has_shown_does_not_stop():
    """Of one rollout each problem has one outcome, whoever spends it on equal candidates."""
    same = Population(num_candidates=2, num_directions=1, sizes="equal", quality=(0.5,))
    options = {"level": "rollouts", "num_samples": 1}
    found = simulate(KEY, same, ("rebase", "temperature"), 2, num_problems=16, **options)
    gap = found.difference("rebase", "temperature")
    assert (gap.value, gap.error) == (0, 0)
    assert gap.low == -gap.high < -0.2
    found = simulate_until(
        KEY, same, ("rebase", "temperature"), 2, half_width=0.02, min_problems=16, **options,
        of=lambda r: [r.difference("rebase", "temperature")],
    )  # fmt: skip
    # 3.7/n is 0.02 at 185 problems.
    assert found.num_problems == 256


def test_memory_does_not_grow_with_problems_or_samples(monkeypatch):
    """What is on the device while blocks come, at 4 and at 24 chunks."""
    monkeypatch.setattr(montecarlo, "_MOST_SAMPLES", 8)
    held = []
    for problems, samples in ((2 * 4096, 16), (3 * 4096, 64)):
        work = montecarlo._Work(
            KEY, KNOWN, contenders(STRATEGIES), 12, samples, "conditional", None, None
        )
        most = 0
        for _ in work.blocks(problems, 12):
            most = max(most, sum(x.nbytes for x in jax.live_arrays()))
        held.append(most)
    assert held[1] <= held[0] + 1024


def test_stops_when_the_interval_is_as_narrow_as_asked():
    arguments = KEY, KNOWN, STRATEGIES, BUDGET
    found = simulate_until(*arguments, half_width=0.015, min_problems=200, num_samples=4)

    def widest(of):
        return max(of.success(s).high - of.success(s).low for s in STRATEGIES)

    assert widest(found) <= 0.03
    before = simulate(*arguments, num_problems=found.num_problems // 2, num_samples=4)
    assert widest(before) > 0.03
    whole = simulate(*arguments, num_problems=found.num_problems, num_samples=4)
    np.testing.assert_array_equal(found.mean, whole.mean)
    least = simulate_until(
        *arguments, half_width=1e-9, min_problems=150, max_problems=200, num_samples=4
    )
    assert least.num_problems == 200
    regret = simulate_until(
        *arguments,
        half_width=0.03,
        min_problems=200,
        num_samples=4,
        of=lambda r: [r.regret("temperature")],
    )
    assert regret.num_problems <= found.num_problems


def test_rollouts_lost_are_where_the_optimum_has_the_same_success():
    """KNOWN's curve in rationals, inverted by hand: the budget whose optimum does as well."""
    found = simulate(KEY, KNOWN, STRATEGIES, BUDGET, num_problems=64, level="closed")
    own, _, _ = truth()
    curve = [float(best_in_rationals(n)) for n in range(BUDGET + 1)]
    expected = BUDGET - np.interp(own, curve, np.arange(BUDGET + 1))
    lost = rollouts_lost(KEY, KNOWN, found, "temperature")
    assert expected > 0.5
    np.testing.assert_allclose(lost.value, expected, atol=1e-3)
    assert lost.low <= lost.value <= lost.high
    assert rollouts_lost(KEY, KNOWN, found, ORACLE).value == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"strategies": ("dora", "random")}, "'random' is none of temperature"),
        ({"strategies": ("dora", "dora")}, "each once"),
        ({"strategies": ()}, "needs one or more"),
        *(
            ({name: value}, f"{name} = {value!r}: needs an integer in ")
            for name in ("budget", "num_samples", "num_problems")
            for value in (0, 2.5, True, "x", None, float("nan"), float("inf"), 2**31)
        ),
        ({"num_problems": 1}, r"num_problems = 1: needs an integer in \[2, "),
        ({"level": "guess"}, "level = 'guess'"),
        ({"level": None}, "level = None: needs one of rollouts"),
        (
            {"options": Options(quality_temperature=(0.1, 0.2))},
            r"quality_temperature = \(0.1, 0.2\): needs a",
        ),
        ({"options": Options(beam_width=2.5)}, "beam_width = 2.5: needs an integer"),
        ({"devices": []}, r"devices = \[\]: needs one or more of this process"),
    ],
)
def test_bad_arguments_are_named(changes, says):
    arguments = {"key": KEY, "population": KNOWN, "strategies": STRATEGIES, "budget": 4} | changes
    with pytest.raises(ValueError, match=says):
        simulate(**arguments)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"key": None}, "key = None: needs one JAX random key"),
        ({"population": "math500"}, "population = 'math500': needs a Population"),
        ({"options": {"temperature": 1}}, "options = {'temperature': 1}: needs a Options"),
        ({"strategies": "dora"}, "strategies = 'dora': needs a sequence, such as"),
        ({"strategies": ("dora", 3)}, "strategy = 3: needs a name or a function"),
        ({"strategies": 3}, "strategies = 3: needs a sequence, such as"),
        ({"devices": "cpu"}, "devices = 'cpu': needs a sequence of devices"),
    ],
)
def test_arguments_of_another_type_are_named(changes, says):
    arguments = {"key": KEY, "population": KNOWN, "strategies": STRATEGIES, "budget": 4} | changes
    with pytest.raises(TypeError, match=says):
        simulate(**arguments)


def test_whole_numbers_may_be_floats():
    options = {"level": "closed"}
    found = simulate(KEY, KNOWN, STRATEGIES, 16.0, num_problems=64.0, num_samples=2.0, **options)
    same = simulate(KEY, KNOWN, STRATEGIES, 16, num_problems=64, num_samples=2, **options)
    np.testing.assert_array_equal(found.mean, same.mean)
    assert found.budget == 16


@pytest.mark.parametrize(
    ("changes", "kind", "says"),
    [
        ({"half_width": 0}, ValueError, "half_width = 0: needs a finite number in \\(0, inf\\)"),
        ({"half_width": "x"}, ValueError, "half_width = 'x': needs a number"),
        ({"min_problems": 1}, ValueError, r"min_problems = 1: needs an integer in \[2, "),
        (
            {"min_problems": 200, "max_problems": 100},
            ValueError,
            r"max_problems = 100: needs an integer in \[200, ",
        ),
        ({"max_problems": None}, ValueError, "max_problems = None: needs an integer"),
        ({"of": 3}, TypeError, "of = 3: needs a function"),
        ({"of": lambda _: [], "min_problems": 64}, ValueError, "of: gave no interval"),
    ],
)
def test_bad_arguments_of_the_sequential_mode_are_named(changes, kind, says):
    arguments = {"half_width": 0.1, "level": "closed"} | changes
    with pytest.raises(kind, match=says):
        simulate_until(KEY, KNOWN, STRATEGIES, 16, **arguments)


def test_rollouts_lost_wants_a_simulation_with_the_oracle_and_a_level_in_range():
    with pytest.raises(TypeError, match="found = None: needs a Simulation"):
        rollouts_lost(KEY, KNOWN, None, "temperature")
    found = simulate(KEY, KNOWN, ("temperature",), BUDGET, num_problems=64, level="closed")
    with pytest.raises(ValueError, match="'oracle' was not simulated; temperature were"):
        rollouts_lost(KEY, KNOWN, found, "temperature")
    with pytest.raises(ValueError, match="level = 'x': needs a number in"):
        found.success("temperature", level="x")


def test_rollouts_lost_cover_the_truth_as_often_as_they_say():
    """300 repetitions: the truth is KNOWN's curve in rationals, inverted by hand.

    A right interval is out of these bounds once in 30,000 runs.
    """
    own, _, _ = truth()
    curve = [float(best_in_rationals(n)) for n in range(BUDGET + 1)]
    lost = BUDGET - np.interp(own, curve, np.arange(BUDGET + 1))
    hits = 0
    for key in jax.random.split(KEY, 300):
        found = simulate(
            key, KNOWN, STRATEGIES, BUDGET, num_problems=128, num_samples=2, level="rollouts"
        )
        estimate = rollouts_lost(key, KNOWN, found, "temperature")
        hits += bool(estimate.low <= lost <= estimate.high)
    assert abs(hits / 300 - 0.95) < 4.2 * np.sqrt(0.95 * 0.05 / 300), hits


# Three blocks of problems, the last of them not full, and two parts of samples.
JOB = """
import jax
from dora_theory.simulation.montecarlo import simulate
from dora_theory.simulation.populations import Population
def moments(devices):
    made = Population(num_candidates=6, num_directions=3, sizes="equal", noise=0.1)
    found = simulate(
        jax.random.key(1), made, ("rebase",), 7, num_problems=150, num_samples=3000,
        level="rollouts", devices=devices,
    )
    return found.mean.tobytes().hex() + found.scatter.tobytes().hex()
"""
# Prints the moments on the first n devices, for each n asked.
PROGRAM = """
import sys
import jax
coordinator, rank, processes, *counts = sys.argv[1:]
if int(processes) > 1:
    jax.distributed.initialize(coordinator, int(processes), int(rank))
assert jax.device_count() == max(map(int, counts))
for n in counts:
    print("moments", moments(jax.devices()[:int(n)]), flush=True)
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def moments_of(*, processes, devices_each, counts):
    """Moments for each number of devices, as every one of the processes has them."""
    place = f"127.0.0.1:{free_port()}"
    environment = os.environ | {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices_each}",
        "JAX_PLATFORMS": "cpu",
    }
    told = [str(x) for x in (processes, *counts)]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", JOB + PROGRAM, place, str(rank), *told],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    lines = []
    for process in running:
        out, error = process.communicate(timeout=600)
        assert process.returncode == 0, error
        # Gloo has its say on standard output too.
        said = (line.split() for line in out.splitlines())
        lines += [words[1] for words in said if words[:1] == ["moments"]]
    assert len(lines) == processes * len(counts)
    return lines


def test_devices_and_processes_do_not_change_a_bit():
    """One device here; 1, 2 and 8 of 8 in one process; one in each of two processes."""
    here = {}
    exec(JOB, here)
    expected = here["moments"](jax.devices()[:1])
    assert np.frombuffer(bytes.fromhex(expected))[0] > 0.5
    assert moments_of(processes=1, devices_each=8, counts=(1, 2, 8)) == [expected] * 3
    assert moments_of(processes=2, devices_each=1, counts=(2,)) == [expected] * 2
