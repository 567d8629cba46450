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
import ast
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
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "mutants.jsonl"
TABLE = RESULTS.with_suffix(".md")
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
    "kernels/beta_sampler.py": ("tests/kernels/test_beta_sampler.py",),
    "kernels/dispatch.py": ("tests/kernels",),
    "kernels/divisor.py": _OPTIMAL,
    "kernels/divisor_pallas.py": ("tests/kernels/test_divisor_pallas.py",),
    "kernels/level_search.py": ("tests/kernels/test_level_search.py", *_OPTIMAL),
    "kernels/outcomes.py": ("tests/kernels/test_outcome_kernel.py",),
    "kernels/similarities.py": ("tests/kernels/test_similarities.py",),
}
# CPU seconds: of the tests, and of `verify`.
TESTS, CLAIMS = 90, 400
INSTANCES = 128

_OTHER: dict[type, tuple[type, ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
}
_NAMES = {
    "maximum": "minimum",
    "minimum": "maximum",
    "max": "min",
    "min": "max",
    "argmax": "argmin",
    "argmin": "argmax",
    "floor": "ceil",
    "ceil": "floor",
    "log1p": "log",
    "expm1": "exp",
    "any": "all",
    "all": "any",
}

Key = tuple[str, str, int, str, str]


@dataclass(frozen=True)
class Mutant:
    """One planted error: where, what stood there, and what stands there now.

    `nth` counts equal texts of a function, so that a mutant outlives lines that move.
    """

    file: str
    function: str
    nth: int
    before: str
    after: str
    line: int
    status: str = ""
    by: str = ""
    why: str = ""

    @property
    def key(self) -> Key:
        """What says which mutant it is."""
        return self.file, self.function, self.nth, self.before, self.after


def variants(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in a node's place."""
    match node:
        case ast.BinOp(left, op, right):
            for other in _OTHER.get(type(op), ()):
                yield ast.BinOp(left, other(), right)
            if isinstance(op, ast.Add | ast.Sub | ast.Mult | ast.Div):
                yield left
        case ast.Compare(left, [op], [right]):
            for other in _OTHER.get(type(op), ()):
                yield ast.Compare(left, [other()], [right])
        case ast.BoolOp(op, values):
            yield ast.BoolOp(_OTHER[type(op)][0](), values)
        case ast.UnaryOp(ast.USub() | ast.Invert() | ast.Not(), operand):
            yield operand
        case ast.Constant(bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(int() as value):
            yield ast.Constant(value + 1)
            if value > 1:
                yield ast.Constant(value - 1)
        case ast.Constant(float() as value):
            yield ast.Constant(1.01 * value if value else 1.0)
        case ast.Call(called, arguments, keywords):
            if isinstance(called, ast.Attribute) and called.attr in _NAMES:
                new = ast.Attribute(called.value, _NAMES[called.attr], ast.Load())
                yield ast.Call(new, arguments, keywords)
            for i in range(len(arguments) - 1):
                one, two = arguments[i : i + 2]
                if ast.dump(one) != ast.dump(two) and not (
                    _loud(called, one) or _loud(called, two)
                ):
                    yield ast.Call(
                        called, [*arguments[:i], two, one, *arguments[i + 2 :]], keywords
                    )


def _loud(called: ast.expr, argument: ast.expr) -> bool:
    """Whether to swap this argument would change nothing or end in an error at once."""
    name = ast.unparse(called).rpartition(".")[2]
    if name in (
        "maximum",
        "minimum",
        "max",
        "min",
        "scan",
        "map",
        "while_loop",
        "fori_loop",
        "cond",
    ):
        return True
    return isinstance(argument, ast.Lambda | ast.Tuple) or (
        isinstance(argument, ast.Constant) and isinstance(argument.value, str | None)
    )


def sites(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    """Expressions that compute, each with the name of the function around it."""

    def visit(node: ast.AST, name: str) -> Iterator[tuple[ast.expr, str]]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            inside = f"{name}.{node.name}" if name else node.name
            defaults = (
                [d for d in node.args.kw_defaults + node.args.defaults if d]
                if isinstance(node, ast.FunctionDef)
                else []
            )
            for child in [*defaults, *node.body]:
                yield from visit(child, inside)
            return
        # Messages, annotations and imports compute nothing.
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom):
            return
        if isinstance(node, ast.AnnAssign):
            if node.value is not None:
                yield from visit(node.value, name)
            return
        if isinstance(node, ast.expr):
            yield node, name
        for child in ast.iter_child_nodes(node):
            yield from visit(child, name)

    yield from visit(tree, "")


def planted(source: str, file: str) -> Iterator[tuple[Mutant, Callable[[], str]]]:
    """Every mutant of a file, with what makes the text of the file that has it."""
    raw = source.encode()
    starts = [0]
    for line in raw.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    seen: Counter[tuple[str, str, str]] = Counter()
    for node, function in sites(ast.parse(source)):
        before = ast.unparse(node)
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        for after in map(ast.unparse, variants(node)):
            nth = seen[function, before, after]
            seen[function, before, after] += 1
            if after == before:
                continue
            yield (
                Mutant(file, function, nth, before, after, node.lineno),
                partial(_spliced, raw, begin, end, after),
            )


def _spliced(raw: bytes, begin: int, end: int, text: str) -> str:
    return (raw[:begin] + f"({text})".encode() + raw[end:]).decode()


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
    explained = sum(bool(m.why) for m in found if m.status in ("survived", "slow"))
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
            f"`verify` on {INSTANCES} instances; {counts['slow']} do not end in time; "
            f"{counts['survived']} survive. Of those that are not killed {explained} are "
            "explained: they compute the same, or differ in nothing that is promised.",
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
    parser.add_argument("--scratch", type=Path, default=Path("/tmp/dora-mutants"))
    parser.add_argument("--again", action="store_true", help="those neither killed nor explained")
    parser.add_argument("--tests", action="store_true", help="leave `verify` to a run --again")
    parser.add_argument("--check", action="store_true", help="see first that tests pass as it is")
    parser.add_argument("--limit", type=int, default=None, help="at most so many in this run")
    parser.add_argument("--table", action="store_true", help="write the table and stop")
    arguments = parser.parse_args(argv)
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
