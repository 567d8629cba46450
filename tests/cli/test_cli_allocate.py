"""`allocate` as its users meet it: right answers, ties included, and clear refusals."""

import gzip
import json
import math
import os
import random
import subprocess
import sys
import threading
import time
from fractions import Fraction

import numpy as np
import pytest
from oracles import greedy

from dora_theory.cli.allocate import _batches
from dora_theory.cli.main import main
from dora_theory.io.problem_lines import parse_problem
from dora_theory.strategies.registry import STRATEGIES


def exact_log_failure(weights, kappa, given):
    failure = Fraction(1)
    for w, b in zip(weights, given, strict=True):
        for r in range(b):
            failure *= (kappa * (1 - w) + r) / (kappa + r)
    return math.log(failure.numerator) - math.log(failure.denominator) if failure else -math.inf


def random_weights(generator, most):
    """Multiples of 1/64: exact in binary, with ties in plenty."""
    size = generator.randint(1, most)
    return [Fraction(generator.choice([0, 1, 2, 4, 8, 16, 3, 6]), 64) for _ in range(size)]


@pytest.mark.parametrize("kappa", [Fraction(1, 2), Fraction(1), Fraction(3, 4), Fraction(7)])
def test_the_optimum_is_the_rational_one_ties_included(allocate, kappa):
    generator = random.Random(int(kappa * 4))
    problems = [random_weights(generator, 12) for _ in range(150)]
    for budget in (0, 1, 17):
        lines = [{"id": i, "weights": [*map(float, w)]} for i, w in enumerate(problems)]
        options = "--strategy", "optimal", "--budget", budget, "--kappa", float(kappa)
        status, answers, err = allocate(lines, *options)
        assert (status, err) == (0, "")
        assert [answer["id"] for answer in answers] == list(range(150))
        for w, answer in zip(problems, answers, strict=True):
            given = list(greedy(w, [kappa] * len(w), budget))
            assert answer["allocation"] == given
            truth = exact_log_failure(w, kappa, given)
            assert answer["log_failure"] == pytest.approx(truth, rel=1e-12, abs=1e-300)
            assert answer["success"] == pytest.approx(-math.expm1(truth), rel=1e-12)
            assert answer["weights"] == [*map(float, w)]


def test_direction_totals_are_the_rational_optimum(allocate):
    generator = random.Random(5)
    lines, expected = [], []
    for _ in range(100):
        labels = [generator.choice("abcd") for _ in range(generator.randint(1, 9))]
        names = list(dict.fromkeys(labels))
        quality = {name: random_weights(generator, 1)[0] for name in names}
        lines.append(
            {"directions": labels, "direction_weights": {n: float(q) for n, q in quality.items()},
             "scores": [0.5] * len(labels)}
        )  # fmt: skip
        expected.append((labels, names, quality))
    options = "--strategy", "direction-optimal", "--budget", 13, "--kappa", 1
    status, answers, _ = allocate(lines, *options)
    assert status == 0
    for (labels, names, quality), answer in zip(expected, answers, strict=True):
        totals = list(greedy([quality[n] for n in names], [Fraction(1)] * len(names), 13))
        for name, total in zip(names, totals, strict=True):
            given = [b for b, n in zip(answer["allocation"], labels, strict=True) if n == name]
            even = [total // len(given) + (i < total % len(given)) for i in range(len(given))]
            assert given == even
        truth = exact_log_failure([quality[n] for n in names], Fraction(1), totals)
        assert answer["log_failure"] == pytest.approx(truth, rel=1e-12)


FIGURE_2 = {
    "scores": [0.95] * 4,
    "similarity": [[1, 1, 1, 0.1], [1, 1, 1, 0.1], [1, 1, 1, 0.1], [0.1, 0.1, 0.1, 1]],
}


def test_dora_s_weights_are_the_paper_s(allocate):
    status, answers, _ = allocate([FIGURE_2], "--strategy", "dora", "--budget", 12)
    assert status == 0
    assert answers[0]["weights"] == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2], rel=1e-12)
    assert answers[0]["allocation"] == [2, 2, 2, 6]
    assert answers[0]["log_failure"] is None
    assert answers[0]["success"] is None


@pytest.mark.slow
def test_weights_and_literal_rounding_are_those_of_the_equations(allocate):
    rng = np.random.default_rng(2)
    lines = []
    for _ in range(60):
        k = int(rng.integers(1, 20))
        lines.append(
            {"scores": rng.random(k).tolist(), "embeddings": rng.normal(size=(k, 3)).tolist()}
        )
    temperatures = "--quality-temperature", 0.3, "--similarity-temperature", 0.2
    for strategy in ("rebase", "dora"):
        options = "--strategy", strategy, "--budget", 32, *temperatures, "--literal"
        _, literal, _ = allocate(lines, *options)
        _, exact, _ = allocate(lines, *options[:-1])
        for line, one, other in zip(lines, literal, exact, strict=True):
            w = np.exp(np.array(line["scores"]) / 0.3)
            if strategy == "dora":
                e = np.array(line["embeddings"])
                e /= np.linalg.norm(e, axis=1, keepdims=True)
                p = np.exp(e @ e.T / 0.2)
                w *= np.diag(p) / p.sum(1)
            w /= w.sum()
            assert one["weights"] == pytest.approx(w, rel=1e-9)
            assert one["allocation"] == [round(32 * x) for x in w]
            assert sum(other["allocation"]) == 32


@pytest.mark.parametrize("temperature", ["1e-20", "1e-290"])
@pytest.mark.parametrize(
    "strategy", ["rebase", "rebase-sequential", "dora", "optimal", "correlated"]
)
def test_a_quality_temperature_near_0_leaves_the_best(allocate, strategy, temperature):
    line = {"scores": [0.2, 0.9, 0.5], "similarity": np.eye(3).tolist(), "directions": [0, 1, 2]}
    options = "--strategy", strategy, "--budget", 16, "--kappa", 2, "--nu", 3
    status, answers, err = allocate([line], *options, "--quality-temperature", temperature)
    assert (status, err) == (0, "")
    assert answers[0]["allocation"] == [0, 16, 0]


@pytest.mark.slow
@pytest.mark.parametrize("kappa", ["1e-6", "0.5", "1e6"])
@pytest.mark.parametrize("budget", [0, 1, 40])
@pytest.mark.filterwarnings("error")
def test_edges_have_answers_and_no_warnings(allocate, kappa, budget):
    lines = [
        {"weights": w, "directions": list(range(len(w))), "similarity": np.eye(len(w)).tolist()}
        for w in ([0.3], [0], [1], [0, 0, 0], [1, 1], [0.25] * 4, [1, 0, 0.5])
    ]
    for strategy in (name for name, s in STRATEGIES.items() if not s.oracle):
        options = "--strategy", strategy, "--budget", budget, "--kappa", kappa, "--nu", "2"
        status, answers, err = allocate(lines, *options)
        assert (status, err) == (0, "")
        for answer in answers:
            assert sum(answer["allocation"]) == pytest.approx(budget)
            assert min(answer["allocation"]) >= 0
            assert 0 <= answer["success"] <= 1
            if answer["success"] < 1 or answer["log_failure"] is not None:
                assert answer["log_failure"] <= 0
    assert answers[2]["success"] == (1 if budget else 0)


def test_the_least_concentration_takes_no_near_certainty_for_certainty(allocate):
    # κ(1-w) must not fall among the subnormal numbers, which count as 0.
    options = "--strategy", "optimal", "--budget", 1, "--kappa", "1e-290"
    for w in (1 - 1e-9, math.nextafter(1, 0)):
        _, answers, _ = allocate([{"weights": [w]}], *options)
        assert answers[0]["log_failure"] == pytest.approx(math.log1p(-w), rel=1e-12)


def test_a_lifted_matrix_is_said_and_by_how_much(allocate):
    weights = [0.5, 0.3, 0.2]
    near = [[1, 0.9, 0.9], [0.9, 1, -0.5], [0.9, -0.5, 1]]
    lines = [
        {"id": 1, "weights": weights, "similarity": near},
        {"id": 2, "weights": weights, "similarity": np.eye(3).tolist()},
    ]
    options = "--strategy", "root-weights", "--budget", 8, "--kappa", 1
    status, answers, err = allocate(lines, *options, "--similarity-temperature", 1)
    lift = -np.linalg.eigvalsh(np.exp(np.array(near) - 1))[0]
    assert status == 0
    assert answers[0]["lift"] == pytest.approx(lift, rel=1e-9)
    assert "lift" not in answers[1]
    assert f"no correlations: 1 problem, by at most {lift:.3g}" in err


def test_a_batch_of_long_accounts_is_computed_in_parts():
    lines = [b'{"scores": [0.5, 0.5], "directions": [0, 1]}'] * 9
    batches = list(_batches(map(parse_problem, lines), 1 << 18))
    assert [len(batch) for batch in batches] == [2, 2, 2, 2, 1]


def test_minus_infinity_is_strict_json(tmp_path, capsys):
    path = tmp_path / "sure.jsonl"
    path.write_text('{"weights": [1]}\n')
    main(["allocate", str(path), "--strategy", "optimal", "--budget", "1", "--kappa", "1"])
    out = capsys.readouterr().out
    found = json.loads(out, parse_constant=pytest.fail)
    assert (found["log_failure"], found["success"]) == (None, 1)


BAD = [
    (b'{"scores": [0.5, NaN]}\n', r"problems.jsonl:1: scores: [1] is NaN"),
    (b'{"scores": [0.5]}\n{"scores": [-0.5]}\n', r"problems.jsonl:2: scores: [0] is -0.5"),
    (b'{"scores": [1.5]}\n', r"problems.jsonl:1: scores: [0] is 1.5"),
    (b'{"scores": []}\n', r"problems.jsonl:1: scores: empty"),
    (b'{"scores": "high"}\n', r"problems.jsonl:1: scores: needs a list, got a string"),
    (b'{"scores": [true]}\n', r"problems.jsonl:1: scores: [0] is true"),
    (b'{"scores": [0.5], "weights": [0.5]}\n', r"problems.jsonl:1: weights: given beside scores"),
    (b'{"id": 3}\n', r"problems.jsonl:1: scores: missing"),
    (b"[0.5]\n", r"problems.jsonl:1: line: needs a JSON object, got a list"),
    (b'{"scores": [0.5], "directions": [1, 2]}\n', r"problems.jsonl:1: directions: has length 2"),
    (b'{"scores": [0.5], "scores": [0.5]}\n', r"problems.jsonl:1: scores: appears twice"),
    (b'{"scores": [0.5]}\n{"scores": [0.', r"problems.jsonl:2: line: not JSON"),
    (b'{"scores": [0.5]}\n\n{"scores": [0.5]}\n', r"problems.jsonl:2: line: is blank"),
    (b'{"scores": [0.5\xff]}\n', r"problems.jsonl:1: line: not UTF-8"),
    (b'{"scores": [1e400]}\n', r"problems.jsonl:1: scores: [0] is Infinity"),
    (
        b'{"scores": [0.5]\n',
        r"problems.jsonl:1: line: not JSON (Expecting ',' delimiter at column 17)",
    ),
    (b"[" * 100_000, r"problems.jsonl:1: line: not JSON"),
    (b'{"scores": [' + b"9" * 5000 + b"]}\n", r"problems.jsonl:1: "),
    (b'{"scores": [0.5], "similarity": [[1, 0]]}\n', r"similarity: is 1"),
    (b'{"scores": [0.5], "embeddings": [[0, 0]]}\n', r"embeddings: [0] is zero"),
    (b'{"scores": [0.5, 0.5], "embeddings": [[1], [1, 2]]}\n', r"embeddings: [1] has length 2"),
]


@pytest.mark.parametrize(("raw", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_lines_are_named_and_nothing_is_written(allocate, tmp_path, raw, message):
    out = tmp_path / "out.jsonl"
    for extra in ([], ["--out", out]):
        options = "--strategy", "rebase", "--budget", 4, *extra
        status, answers, err = allocate([], *options, raw=raw)
        assert status == 2
        assert answers == []
        assert message in err
        assert err.count("\n") == 1
        assert "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["problems.jsonl"]


def test_gzip_is_read_and_half_a_gzip_refused(allocate):
    data = gzip.compress("".join(json.dumps(FIGURE_2) + "\n" for _ in range(500)).encode())
    options = "--strategy", "dora", "--budget", 8
    status, answers, _ = allocate([], *options, raw=data, name="a.jsonl.gz")
    assert (status, len(answers)) == (0, 500)
    assert allocate([], *options, raw=data, name="told-by-its-bytes")[0] == 0
    for raw in (data[: len(data) // 2], data[:5], data + b"junk"):
        status, answers, err = allocate([], *options, raw=raw, name="a.jsonl.gz")
        assert (status, answers) == (2, [])
        assert "a.jsonl.gz:" in err
        assert ": gzip: " in err
        assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--strategy", "guess", "--budget", "4"],
            "--strategy: 'guess' is none of temperature, beam",
        ),
        (["--strategy", "optimal", "--budget", "4"], "--kappa: missing"),
        (["--strategy", "correlated", "--budget", "4", "--kappa", "1"], "--nu: missing"),
        (["--strategy", "waterfill", "--budget", "4", "--kappa", "0"], "--kappa: 0"),
        (["--strategy", "optimal", "--budget", "4", "--kappa", "nan"], "--kappa: nan"),
        (["--strategy", "optimal", "--budget", "4", "--kappa", "1e-300"], "--kappa: 1e-300"),
        (["--strategy", "optimal", "--budget", "4", "--kappa", "1e25"], "--kappa: 1e+25"),
        (["--strategy", "waterfill", "--budget", "4", "--kappa", "4.6e15"], "--kappa: 4.6e+15"),
        (
            ["--strategy", "correlated", "--budget", "4", "--kappa", "1", "--nu", "1e25"],
            "--nu: 1e+25",
        ),
        (["--strategy", "rebase", "--budget", "-1"], "--budget: -1"),
        (
            ["--strategy", "correlated", "--budget", "1048577", "--kappa", "1", "--nu", "1"],
            "--budget: 1048577: strategy correlated",
        ),
        (["--strategy", "rebase", "--budget", "1.5"], "'1.5' is not an integer"),
        (["--strategy", "rebase"], "--budget"),
        (["--strategy", "beam", "--budget", "4", "--beam-width", "0"], "--beam-width: 0"),
        (["--strategy", "dora", "--budget", "4"], "needs embeddings or similarity"),
        (["--strategy", "direction-optimal", "--budget", "4", "--kappa", "1"], "directions"),
        (["--strategy", "optimal", "--budget", "4", "--kappa", "1", "--literal"], "--literal"),
    ],
)
def test_bad_options_are_named(allocate, arguments, message):
    status, answers, err = allocate([{"scores": [0.5]}], *arguments)
    assert (status, answers) == (2, [])
    assert message in err
    assert err.count("\n") == 1


def test_a_missing_file_is_named(capsys):
    assert main(["allocate", "/no/such/file", "--strategy", "beam", "--budget", "4"]) == 2
    assert capsys.readouterr().err == "/no/such/file: No such file or directory\n"


def test_out_replaces_in_one_step_and_json_is_one_document(allocate, tmp_path):
    out = tmp_path / "out.json"
    out.write_text("old")
    lines = [{"id": i, "scores": [0.5, 0.6]} for i in range(3)]
    options = "--strategy", "beam", "--budget", 5, "--json", "--out", out
    status, answers, _ = allocate(lines, *options)
    assert (status, answers) == (0, [])
    document = json.loads(out.read_text())
    assert [answer["allocation"] for answer in document] == [[1, 4]] * 3
    assert allocate([], *options[:-2])[1] == [[]]
    bad = allocate([], *options, raw=b"torn")
    assert bad[0] == 2
    assert json.loads(out.read_text()) == document


def run(*arguments, data=b""):
    command = [sys.executable, "-m", "dora_theory", *arguments]
    return subprocess.run(command, input=data, capture_output=True, timeout=120, check=False)


def test_standard_input_as_a_process():
    done = run("allocate", "-", "--strategy", "rebase", "--budget", "3", data=b'{"scores":[1]}\n')
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["allocation"] == [3]
    done = run("allocate", "-", "--strategy", "rebase", "--budget", "3", data=b'{"scores":[1')
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"<stdin>:1: line: not JSON")


@pytest.mark.parametrize(("closed", "name"), [("stdin", "<stdin>"), ("stdout", "standard output")])
def test_a_closed_stream_is_named(closed, name, monkeypatch, capsys):
    # As a shell closes them (`<&-`, `>&-`): the interpreter then starts without them.
    monkeypatch.setattr(sys, closed, None)
    assert main(["allocate", "-", "--strategy", "rebase", "--budget", "3"]) == 2
    assert capsys.readouterr().err == f"{name}: is closed\n"


def test_help_does_not_load_jax():
    code = (
        "import sys, dora_theory.cli.main as c\n"
        "try: c.main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "assert not {'jax', 'matplotlib', 'sklearn'} & set(sys.modules), 'loaded'\n"
    )
    for arguments in ([], ["allocate"], ["bench"]):
        command = [sys.executable, "-c", code, *arguments, "--help"]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert b"usage" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_memory_does_not_grow_with_the_file(tmp_path):
    """Two runs, one on ten times the lines: the peaks differ by less than the inputs do.

    Held in memory, the larger input, its numbers and its answers would be several times that.
    """
    peaks = []
    # What glibc keeps in the arenas of idle threads is no memory that the program asked for.
    one_arena = {**os.environ, "MALLOC_ARENA_MAX": "1"}
    line = json.dumps({"scores": [0.125] * 400}) + "\n"
    for count in (4_000, 40_000):
        path, out = tmp_path / f"{count}.jsonl", tmp_path / f"{count}.out"
        path.write_text(line * count)
        code = (
            # Not getrusage, whose peak is that of the process which started this one.
            "import sys; from dora_theory.cli.main import main; status = main(sys.argv[1:]);"
            "print(*(l.split()[1] for l in open('/proc/self/status') if 'VmHWM' in l));"
            "sys.exit(status)"
        )
        arguments = "allocate", str(path), "--strategy", "rebase", "--budget", "16"
        command = [sys.executable, "-c", code, *arguments, "--out", str(out)]
        done = subprocess.run(command, capture_output=True, timeout=300, check=True, env=one_arena)
        peaks.append(int(done.stdout))
        assert out.read_bytes().count(b"\n") == count
    assert (peaks[1] - peaks[0]) * 1024 < 36_000 * len(line)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_run_that_is_ended_leaves_nothing(tmp_path):
    out = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "dora_theory", "allocate", "-", "--strategy", "rebase",
               "--budget", "4", "--out", str(out)]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0) as process:
        feeder = threading.Timer(0, process.stdin.write, [b'{"scores": [0.5]}\n' * 10])
        feeder.start()
        deadline = time.monotonic() + 30
        while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert list(tmp_path.iterdir())
        process.terminate()
        process.wait(30)
        feeder.join()
    assert process.returncode == 143
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("options", [("optimal", ()), ("correlated", ("--nu", "2"))])
def test_no_rollout_has_success_0_not_minus_0(options):
    strategy, more = options
    problem = b'{"scores": [0.5, 0.2], "directions": ["a", "b"]}\n'
    arguments = "allocate", "-", "--strategy", strategy, "--budget", "0", "--kappa", "3", *more
    done = run(*arguments, data=problem)
    assert b'"log_failure": 0.0, "success": 0.0}' in done.stdout
