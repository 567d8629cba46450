"""Runs the benchmarks, each job against what one would use instead, and writes figures and picture.

`python benchmarks/run.py [JOB …] [--out FOLDER] [--rounds N]` writes FOLDER/DEVICE.json and
FOLDER/DEVICE.png, named by device and cores. `dora-theory bench` and `make bench` call it.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from picture import draw
from timing import machine

# In this order, by module.
JOBS = "exact_allocation", "uniqueness", "monte_carlo", "first_result"
RESULTS = Path(__file__).parent / "results"


def measure(jobs: list[str], rounds: int, say: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """All that is known so far, after each job."""
    result: dict[str, Any] = {"machine": machine(), "rounds": rounds, "jobs": {}}
    for job in jobs:
        say(f"{job} …")
        found = import_module(job).run(rounds)
        result["jobs"][job] = found
        for name, each in found.get("races", {}).items():
            if each.get("left_out"):
                say(f"  {name}: not installed and left out: {', '.join(each['left_out'])}")
        yield result


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
                lines.append(f"  {r['median']:10.3g} times faster {spread} than {other}")
        for name, seconds in found.get("seconds_to_first_result", {}).items():
            times = ", ".join(f"{state} {t:.2f} s" for state, t in seconds.items())
            lines.append(f"{name}: {times}")
    return "\n".join(lines)


def device_name(described: dict[str, Any]) -> str:
    """Such as `nvidia-h100-80gb-hbm3` or `cpu-amd-epyc-2-cores`."""
    name = described["device"]
    if name == "cpu":
        name = f"cpu {described['processor']} {described['cores']} cores"
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def main() -> None:
    # Bad input ends with one line, as the command line's own does.
    parser = argparse.ArgumentParser(
        prog="dora-theory bench", description=__doc__.splitlines()[0], usage=argparse.SUPPRESS
    )
    parser.add_argument("jobs", nargs="*", metavar="JOB", help=f"of {', '.join(JOBS)}; default all")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for figures and picture")
    parser.add_argument("--rounds", type=int, default=5, help="of each race (default 5)")
    parser.add_argument("--json", action="store_true", help="print figures as JSON, not a table")
    options = parser.parse_args()
    for job in options.jobs:
        if job not in JOBS:
            parser.error(f"{job!r} is none of {', '.join(JOBS)}")
    if options.rounds < 1:
        parser.error(f"--rounds: {options.rounds}: needs at least 1")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out: {options.out}: {error.strerror}")

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    # Written after each job: a run that is stopped leaves what it has.
    for result in measure(options.jobs or list(JOBS), options.rounds, say):
        path = options.out / f"{device_name(result['machine'])}.json"
        text = json.dumps(result, indent=2, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
        picture = draw(result, path.with_suffix(".png"))
    print(text if options.json else table(result))
    say(f"wrote {path} and {picture}")


if __name__ == "__main__":
    main()
