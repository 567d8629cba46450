"""Runs the benchmarks, each job against what one would use instead, and writes figures and picture.

`python benchmarks/run.py [JOB …] [--races] [--out FOLDER] [--rounds N]` writes FOLDER/DEVICE.json
and FOLDER/DEVICE.png, named by device and cores, at the end and both or neither. A run of some jobs
or of the races alone writes only where --out says, and DEVICE-part, so that it never takes the
place of a whole. `dora-theory bench` and `make bench` call it.
"""

import argparse
import io
import json
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from dora_theory._errors import InputError, Interrupted
from dora_theory.cli.endings import guarded, leave
from dora_theory.io.atomic_write import whole_output
from dora_theory.io.tables import write_csv
from dora_theory.io.terminal import say

# In this order, by module.
JOBS = "exact_allocation", "across", "correlated", "uniqueness", "monte_carlo", "first_result"
RESULTS = Path(__file__).parent / "results"
INTERRUPTED = "interrupted: nothing written"


def measured(jobs: Mapping[str, ModuleType], rounds: int, *, growth: bool = True) -> dict[str, Any]:
    """What each job found, and where: races, and with `growth` how time grows where a job knows."""
    from timing import machine

    result: dict[str, Any] = {"machine": machine(), "rounds": rounds, "jobs": {}}
    for job, module in jobs.items():
        say(f"{job} …")
        found = module.run(rounds)
        if growth and hasattr(module, "growing"):
            found |= module.growing()
        result["jobs"][job] = found
        for name, each in found.get("races", {}).items():
            if each.get("left_out"):
                say(f"  {name}: not installed and left out: {', '.join(each['left_out'])}")
    return result


def table(result: dict[str, Any]) -> str:
    """Ratios with their spread, and seconds to the first result, as lines of text."""
    lines = []
    for found in result["jobs"].values():
        for name, race in found.get("races", {}).items():
            # What is raced against the others comes first.
            ours, milliseconds = next(iter(race["milliseconds"].items()))
            lines.append(f"{name}, {ours}: {milliseconds:.3g} ms")
            for other, r in race["times_faster_than"].items():
                spread = f"({r['low']:.3g} to {r['high']:.3g})"
                open_rows = race.get("rows_without_answer", {}).get(other)
                but = f", which leaves {open_rows:.1%} of rows without answer" if open_rows else ""
                lines.append(f"  {r['median']:10.3g} times faster {spread} than {other}{but}")
        for name, seconds in found.get("seconds_to_first_result", {}).items():
            times = ", ".join(
                f"{state} {t['median']:.2f} s ({t['low']:.2f} to {t['high']:.2f})"
                for state, t in seconds.items()
            )
            lines.append(f"{name}: {times}")
    return "\n".join(lines)


def rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each race and opponent: both times in milliseconds, their ratio and its spread."""
    found = []
    for job, of in result["jobs"].items():
        for name, race in of.get("races", {}).items():
            ours, milliseconds = next(iter(race["milliseconds"].items()))
            for other, r in race["times_faster_than"].items():
                found.append(
                    {
                        "job": job,
                        "race": name,
                        "ours": ours,
                        "against": other,
                        "milliseconds": milliseconds,
                        "against_milliseconds": race["milliseconds"][other],
                        "times_faster": r["median"],
                        "low": r["low"],
                        "high": r["high"],
                        "rows_without_answer": race.get("rows_without_answer", {}).get(other),
                    }
                )
    return found


def device_name(described: dict[str, Any]) -> str:
    """Such as `nvidia-h100-80gb-hbm3` or `cpu-amd-epyc-2-cores`."""
    name = described["device"]
    if name == "cpu":
        name = f"cpu {described['processor']} {described['cores']} cores"
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def write(result: dict[str, Any], folder: Path, name: str) -> tuple[Path, Path]:
    """Figures and picture, each in the place of what stood there before, both or neither."""
    from picture import draw

    figures, picture = folder / f"{name}.json", folder / f"{name}.png"
    drawn = io.BytesIO()
    draw(result, drawn)
    with (
        _undisturbed(),
        whole_output(str(figures)) as text,
        whole_output(str(picture)) as image,
    ):
        text.write(as_json(result).encode())
        image.write(drawn.getvalue())
    return figures, picture


def as_json(result: dict[str, Any]) -> str:
    return json.dumps(result, indent=2, ensure_ascii=False) + "\n"


@contextmanager
def _undisturbed() -> Iterator[None]:
    """For the moment in which one file is in its place and the other is not."""
    kept = {s: signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def writable(path: str, option: str = "--out") -> Path:
    """A folder that files can be made in: found out now, and not after minutes of measuring."""
    if not path:
        raise InputError(f"{option}: needs a folder, got ''")
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return Path(path)
    except OSError as error:
        raise InputError(f"{option}: {path}: {error.strerror}") from None


def _options() -> argparse.Namespace:
    # Bad input ends with one line, as the command line's own does.
    parser = argparse.ArgumentParser(
        prog="dora-theory bench", description=__doc__, usage=argparse.SUPPRESS, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("jobs", nargs="*", metavar="JOB", help=f"of {', '.join(JOBS)}; default all")
    parser.add_argument("--out", metavar="FOLDER", help=f"default for a whole run {RESULTS}")
    parser.add_argument("--rounds", type=int, default=5, help="of each race (default 5)")
    parser.add_argument("--races", action="store_true", help="these alone, not how time grows")
    parser.add_argument("--json", action="store_true", help="print figures as JSON, not a table")
    parser.add_argument("--csv", metavar="PATH", help="write the races as a tidy table, as CSV")
    options = parser.parse_args()
    for job in options.jobs:
        if job not in JOBS:
            parser.error(f"{job!r} is none of {', '.join(JOBS)}")
    if options.rounds < 1:
        parser.error(f"--rounds: {options.rounds}: needs at least 1")
    return options


def main() -> int:
    options = _options()
    jobs = [job for job in JOBS if job in options.jobs] or list(JOBS)
    whole = jobs == list(JOBS) and not options.races
    given = str(RESULTS) if options.out is None and whole else options.out
    folder = None if given is None else writable(given)

    try:
        modules = {job: import_module(job) for job in jobs}
        result = measured(modules, options.rounds, growth=not options.races)
        name = device_name(result["machine"]) + ("" if whole else "-part")
        files = write(result, folder, name) if folder else ()
        if options.csv is not None:
            write_csv(options.csv, rows(result))
    except KeyboardInterrupt:
        # Of those that follow, which the command that waits for this one passes on, none is news.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        say(INTERRUPTED)
        raise Interrupted from None
    with whole_output(None) as out:
        out.write((as_json(result) if options.json else table(result) + "\n").encode())
    if files:
        say(f"wrote {files[0]} and {files[1]}")
    else:
        say("not all was run, so nothing is written: --out FOLDER does it nevertheless")
    return 0


if __name__ == "__main__":
    sys.exit(leave(guarded(main, whole_process=True)))
