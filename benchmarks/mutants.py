"""Mutants: small errors planted in the numeric core, and what notices them.

A seeded choice of mutants (another operator, comparison or constant, off by one, a dropped term,
two swapped arguments) is tried one after the other in a copy of the repository: against the quick
tests of the module, and against `verify` on few instances if those pass. Results go to a file of
one JSON object per line, from which a run that was stopped goes on; explanations of survivors are
kept there too, as "why", and `--table` writes the Markdown table beside it.

    python benchmarks/mutants.py --count 200 --seed 0     # hours; stop and start it at will
    python benchmarks/mutants.py --again                  # what survived, if no "why" is given
    python benchmarks/mutants.py --table

Processes are forked from one that has loaded JAX and pytest, and share a compilation cache, so that
a mutant costs seconds. Limits are CPU time, which a busy machine does not eat.
"""

import argparse
import importlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

from planting import Key, Mutant, planted

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "mutants.jsonl"
SCRATCH = Path(tempfile.gettempdir()) / "dora-mutants"
# The numeric core, and for each module the tests that concern it, the nearest first.
_OPTIMAL = (
    "tests/allocation/test_optimal.py",
    "tests/kernels/test_divisor_pallas.py",
    "tests/allocation/test_concentration_range.py",
)
_HIERARCHY = ("tests/allocation/test_hierarchical.py", "tests/model/test_mixture.py")
MODULES: dict[str, tuple[str, ...]] = {
    "bias.py": ("tests/test_bias.py",),
    "model/clustering.py": ("tests/model/test_clustering.py",),
    "model/directions.py": ("tests/model/test_directions.py", "tests/test_bias.py"),
    "model/hierarchy.py": (*_HIERARCHY, "tests/model/test_priors.py"),
    "model/magnitude.py": ("tests/model/test_magnitude.py", "tests/allocation/test_rules.py"),
    "model/mixture.py": _HIERARCHY,
    "model/objective.py": ("tests/model/test_objective.py", "tests/model/test_priors.py"),
    "model/pochhammer.py": (
        "tests/model/test_pochhammer.py",
        "tests/model/test_objective.py",
        "tests/kernels/test_outcome_kernel.py",
    ),
    "model/priors.py": ("tests/model/test_priors.py", "tests/allocation/test_hierarchical.py"),
    "model/similarity.py": (
        "tests/model/test_similarity.py",
        "tests/kernels/test_similarities.py",
        "tests/allocation/test_rules.py",
    ),
    "model/streamed_magnitude.py": ("tests/model/test_streamed_magnitude.py",),
    "allocation/by_level.py": _HIERARCHY,
    "allocation/hierarchical.py": _HIERARCHY,
    "allocation/optimal.py": _OPTIMAL,
    "allocation/optimize.py": ("tests/allocation/test_optimize.py",),
    "allocation/rules.py": ("tests/allocation/test_rules.py",),
    "allocation/waterfill.py": ("tests/allocation/test_waterfill.py",),
    "kernels/arithmetic.py": ("tests/kernels/test_beta_sampler.py",),
    "kernels/beta_sampler.py": ("tests/kernels/test_beta_sampler.py",),
    "kernels/random_words.py": ("tests/kernels/test_beta_sampler.py",),
    "kernels/dispatch.py": ("tests/kernels",),
    "kernels/divisor.py": _OPTIMAL,
    "kernels/divisor_pallas.py": ("tests/kernels/test_divisor_pallas.py",),
    "kernels/level_search.py": ("tests/kernels/test_level_search.py", *_OPTIMAL),
    "kernels/outcomes.py": ("tests/kernels/test_outcome_kernel.py",),
    "kernels/similarities.py": ("tests/kernels/test_similarities.py",),
    "kernels/similarities_triton.py": ("tests/kernels/test_similarities.py",),
}
# CPU seconds: of the tests, and of `verify`.
TESTS, CLAIMS = 90, 400
INSTANCES = 128


def chosen(count: int, seed: int, known: dict[Key, Mutant]) -> list[Mutant]:
    """As many mutants as are missing, each as likely as any other."""
    every = [
        mutant
        for file in MODULES
        for mutant, _ in planted((ROOT / "dora_theory" / file).read_text(encoding="utf-8"), file)
    ]
    random.Random(seed).shuffle(every)
    missing = count - sum(m.status != "gone" for m in known.values())
    return [m for m in every if m.key not in known][: max(missing, 0)]


def forked(job: Callable[[], int], cpu: int, output: Path) -> str:
    """Runs a job in a process of its own; "passed", "failed" or "slow"."""
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 5))
            with output.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            status = job()
        except BaseException as error:  # the child must not return into the parent's loop
            print(f"ERROR {type(error).__name__}: {error}", flush=True)
            status = 1
        finally:
            sys.stdout.flush()
            os._exit(1 if status else 0)
    deadline = time.monotonic() + 8 * cpu
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.05)
    if os.WIFSIGNALED(status):
        return "slow" if os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL) else "failed"
    return "failed" if os.WEXITSTATUS(status) else "passed"


def run_tests(tests: tuple[str, ...]) -> int:
    import pytest

    return int(
        pytest.main(
            [
                "-x",
                "-q",
                "-p",
                "no:cacheprovider",
                "-p",
                "no:xdist",
                "--no-header",
                "--tb=line",
                "-m",
                "not slow",
                *tests,
            ]
        )
    )


def run_claims(skip: frozenset[str], all_of_them: bool = False) -> int:
    """`verify` on few instances, up to the first verdict that is not the expected one."""
    from dora_theory.claims import claims
    from dora_theory.claims.check.verifying import verify

    few = [
        replace(claim, least=INSTANCES)
        for claim in claims()
        if claim.test == "all" and claim.name not in skip
    ]
    for found in verify(few, instances=INSTANCES, workers=1):
        if not found.as_expected:
            print(f"CLAIM {found.claim.id} {found.claim.name}", flush=True)
            if not all_of_them:
                return 1
    return 0


def sound(files: set[str], output: Path) -> None:
    """Sees that without a mutant all tests pass."""
    for tests in sorted({MODULES[file] for file in files}):
        # Longer than a mutant has: it may have to fill the cache.
        if forked(lambda tests=tests: run_tests(tests), 4 * TESTS, output) != "passed":
            raise SystemExit(f"{' '.join(tests)}: fail without a mutant, see {output}")


@cache
def undecided(output: Path) -> frozenset[str]:
    """The claims that need more instances than they are given here, without any mutant."""
    if forked(lambda: run_claims(frozenset(), True), 2 * CLAIMS, output) != "passed":
        raise SystemExit(f"verify: fails without a mutant, see {output}")
    return frozenset(re.findall(r"^CLAIM \S+ (.+)", output.read_text(encoding="utf-8"), re.M))


def loaded() -> None:
    """What every child needs and no mutant touches. Plugins of pytest must not be among it."""
    for name in ("jax.numpy", "mpmath", "pytest", "scipy.integrate", "scipy.stats"):
        importlib.import_module(name)


def copied(tree: Path) -> None:
    """The files that git knows, as they stand here."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    shutil.rmtree(tree, ignore_errors=True)
    for name in filter(None, names):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tree / name)


def tried(mutant: Mutant, tree: Path, claims: bool) -> Mutant:
    """A mutant with what became of it; with claims or only by the tests."""
    path = tree / "dora_theory" / mutant.file
    source = path.read_text(encoding="utf-8")
    kept = path.stat()
    there = next(((m, t) for m, t in planted(source, mutant.file) if m.key == mutant.key), None)
    if there is None:
        return replace(mutant, status="gone", by="")
    mutant, text = replace(mutant, line=there[0].line), there[1]()
    output = tree.parent / "output.txt"
    path.write_text(text, encoding="utf-8")
    try:
        tests = MODULES[mutant.file]
        end = forked(lambda: run_tests(tests), TESTS, output)
        said = output.read_text(encoding="utf-8", errors="replace")
        found = re.findall(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
        if end == "failed":
            return replace(mutant, status="killed", by=found[0] if found else "import")
        if end == "slow":
            return replace(mutant, status="slow", by=f"tests take more than {TESTS} s of CPU time")
        if end == "passed" and not claims:
            return replace(mutant, status="survived", by="")
        path.write_text(source, encoding="utf-8")
        skip = undecided(output)
        path.write_text(text, encoding="utf-8")
        end = forked(lambda: run_claims(skip), CLAIMS, output)
        said = output.read_text(encoding="utf-8", errors="replace")
        found = re.findall(r"^CLAIM (.+)|^ERROR (.+)", said, re.MULTILINE)
        if end == "failed":
            by = f"verify: {found[0][0] or found[0][1]}" if found else "verify: an error"
            return replace(mutant, status="killed", by=by)
        if end == "slow":
            return replace(mutant, status="slow", by=f"`verify` takes more than {CLAIMS} s of it")
        return replace(mutant, status="survived", by="")
    finally:
        path.write_text(source, encoding="utf-8")
        os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))


def read(results: Path) -> dict[Key, Mutant]:
    if not results.exists():
        return {}
    lines = results.read_text(encoding="utf-8").splitlines()
    return {m.key: m for m in (Mutant(**json.loads(line)) for line in lines)}


def write(results: Path, found: list[Mutant]) -> None:
    lines = [json.dumps(asdict(m), ensure_ascii=False) + "\n" for m in found]
    part = results.with_suffix(".part")
    part.write_text("".join(lines), encoding="utf-8")
    part.replace(results)


def table(found: list[Mutant]) -> str:
    """The mutants as a Markdown table, survivors first."""
    order = {"survived": 0, "slow": 1, "killed": 2}
    counts = Counter(m.status for m in found)
    explained = sum(bool(m.why) for m in found if m.status == "survived")
    by_tests = sum(m.status == "killed" and not m.by.startswith("verify") for m in found)

    def cell(text: str) -> str:
        text = " ".join(text.split())
        return "`" + text.replace("|", "\\|").replace("`", "") + "`"

    rows = [
        f"| {m.file}:{m.line} | {m.function or 'module'} | {cell(m.before)} | {cell(m.after)} | "
        f"{m.status} | {m.why or m.by} |"
        for m in sorted(found, key=lambda m: (order.get(m.status, 3), m.file, m.line))
        if m.status != "gone"
    ]
    return "\n".join(
        [
            "# Mutants of the numeric core",
            "",
            f"{len(rows)} mutants, chosen at random by `benchmarks/mutants.py`: {counts['killed']} "
            f"are killed, {by_tests} of them by quick tests and {counts['killed'] - by_tests} by "
            f"`verify` on {INSTANCES} instances; with {counts['slow']} the tests do not end in "
            f"{TESTS} s of CPU time, which is seen too; {counts['survived']} survive. "
            f"{explained} are explained: they compute the same, or differ in nothing promised. "
            "Lines are those at the time of the trial.",
            "",
            "| where | function | it was | it became | verdict | killed by, or why not |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--scratch", type=Path, default=SCRATCH)
    parser.add_argument("--again", action="store_true", help="those neither killed nor explained")
    parser.add_argument("--tests", action="store_true", help="leave `verify` to a run --again")
    parser.add_argument("--check", action="store_true", help="see first that tests pass as it is")
    parser.add_argument("--limit", type=int, default=None, help="at most so many in this run")
    parser.add_argument("--table", action="store_true", help="write the table and stop")
    arguments = parser.parse_args(argv)
    arguments.results, arguments.scratch = arguments.results.resolve(), arguments.scratch.resolve()
    known = read(arguments.results)
    if arguments.table:
        arguments.results.with_suffix(".md").write_text(table([*known.values()]), encoding="utf-8")
        return
    if arguments.again:
        todo = [m for m in known.values() if m.status in ("survived", "slow") and not m.why]
    else:
        todo = chosen(arguments.count, arguments.seed, known)
    tree = arguments.scratch / "tree"
    copied(tree)
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    sys.dont_write_bytecode = True
    os.environ |= {
        "JAX_COMPILATION_CACHE_DIR": str(arguments.scratch / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    loaded()
    if arguments.check:
        sound({m.file for m in todo[: arguments.limit]}, arguments.scratch / "output.txt")
    for mutant in todo[: arguments.limit]:
        start = time.monotonic()
        found = tried(mutant, tree, not arguments.tests)
        known[found.key] = found
        write(arguments.results, [*known.values()])
        print(
            f"{len(known)} {time.monotonic() - start:.0f} s {found.file}:{found.line} "
            f"{found.before!r} → {found.after!r}: {found.status} {found.by}",
            flush=True,
        )


if __name__ == "__main__":
    main()
