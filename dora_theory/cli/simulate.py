"""`dora-theory simulate`: strategies on synthetic problems, over a grid, resumable."""

import argparse
import ctypes
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dora_theory._errors import InputError, amount
from dora_theory.cli.options import add_tables, check_picture, draw, new_command, write_tables
from dora_theory.cli.simulate_benchmark import add_benchmark, run_benchmark
from dora_theory.cli.simulate_families import add_families, run_families
from dora_theory.io.terminal import progress_bar

_DESCRIPTION = """\
Simulates every cell of a grid of population and strategy parameters and adds a row for each to a
store, a folder of Parquet files. A run that was stopped or killed goes on where it was.

A sweep is a TOML file:

  strategies = ["rebase", "dora", "oracle"] # oracle: the exact optimum, which knows what is true
  num_problems = 1024                           # of each cell
  num_samples = 16                              # of each problem
  level = "conditional"                     # or "rollouts", "closed": how much is thrown
  seed = 0                                  # one for all cells: common random numbers
  rollouts_lost = false                     # also N less what the optimum needs for the same
  by_cost = false                           # budgets are costs; population.cost_spread makes them

  [population]                              # fields of dora_theory.Population
  preset = "math500-llama31-8b"             # optional: of dora_theory.PRESETS
  num_candidates = 16
  num_directions = 4

  [options]                                 # quality_temperature, similarity_temperature,
                                            # beam_width, pool, smooth
  pool = "mean-exp"

  [grid]                                    # axes, the last varies fastest; budget = N above if one
  budget = [16, 64]
  population.concentration = { from = 0.1, to = 100, count = 7, spacing = "log" }
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the subparsers of `dora-theory`."""
    parser = new_command(
        commands,
        "simulate",
        run,
        help="simulate strategies on synthetic problems, over a grid",
        description=_DESCRIPTION,
    )
    add = parser.add_argument
    add("sweep", metavar="SWEEP.toml", nargs="?", help="what to simulate")
    add("--out", metavar="STORE", help="the store, a folder")
    add(
        "--json", action="store_true", help="one JSON document about the run; with --show, the rows"
    )
    add("--show", action="store_true", help="print what is in the store, as a table")
    add("--figure", metavar="PATH.png", help="draw it, along --along, as PNG and SVG")
    add("--along", metavar="AXIS", help="such as budget (default: the last axis of numbers)")
    add_tables(parser)
    add(
        "--distributed",
        action="store_true",
        help="one of several processes, with hosts and ranks from SLURM or MPI",
    )
    add("--coordinator", metavar="HOST:PORT", help="address of process 0")
    add("--processes", type=int, metavar="P", help="number of processes")
    add("--process", type=int, metavar="I", help="number of this process, from 0")
    add_benchmark(parser)
    add_families(parser)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; `InputError` if the sweep or the store cannot be used."""
    if arguments.benchmark is not None:
        return run_benchmark(arguments)
    if arguments.families is not None:
        return run_families(arguments)
    if arguments.out is None:
        raise InputError("--out: missing: needs the store, a folder")
    if arguments.sweep is None:
        if not _shows(arguments):
            raise InputError("SWEEP.toml: missing: needs what to simulate, or --show")
        return _show(arguments)
    hosts = arguments.coordinator, arguments.processes, arguments.process
    if any(x is not None for x in hosts) and None in hosts:
        raise InputError("--coordinator, --processes, --process: needs all three or none")
    if arguments.processes is not None and not 0 <= arguments.process < arguments.processes:
        raise InputError(
            f"--process: {arguments.process}: needs a number from 0 to --processes - 1 = "
            f"{arguments.processes - 1}"
        )
    # Not for `--help`: these load JAX.
    import jax

    from dora_theory.simulation.sweep_files import read_sweep

    start = time.monotonic()
    with jax.enable_x64(True):
        sweep = read_sweep(arguments.sweep)
        if arguments.distributed or arguments.coordinator:
            with _clean_output():
                jax.distributed.initialize(*hosts)
                cells = _run(sweep, arguments.out)
        else:
            cells = _run(sweep, arguments.out)
    if jax.process_index() > 0:
        return 0
    if _shows(arguments):
        return _show(arguments)
    seconds = time.monotonic() - start
    if arguments.json:
        document = {"store": arguments.out, "cells": len(sweep), "simulated": cells}
        print(json.dumps(document | {"seconds": seconds}, indent=1))
    else:
        said = f"{amount(len(sweep), 'cell')}, {cells} of them simulated"
        print(f"{arguments.out}: {said} in {seconds:.0f} s")
    return 0


def _shows(arguments: argparse.Namespace) -> bool:
    return bool(arguments.show or arguments.figure or arguments.csv or arguments.parquet)


def _show(arguments: argparse.Namespace) -> int:
    """The store as a table, as a picture and as files."""
    figure = arguments.figure
    check_picture(figure)
    from dora_theory.simulation.stored import read_sweep_results

    found = read_sweep_results(arguments.out)
    if figure is not None:
        draw(found.plot(arguments.along), figure)
    rows = found.rows()
    write_tables(arguments, rows)
    if arguments.json:
        print(json.dumps(rows, indent=1, allow_nan=False))
    elif arguments.show:
        print(found.to_text())
    return 0


def _run(sweep: Any, path: str) -> int:
    """Process 0 keeps the store; all processes simulate, the same cells in the same order."""
    import jax

    from dora_theory.simulation.sweeps import run_sweep, simulate_cells

    if jax.process_index() > 0:
        done = _told(None, len(sweep))
        if done is None:
            raise InputError(f"--out: {path}: process 0 cannot use this store")
        return sum(1 for _ in simulate_cells(sweep, done))
    began = False

    def begin(done: frozenset[int]) -> frozenset[int]:
        nonlocal began
        began = True
        bar.update(len(done))
        bar.unpause()
        # The first cell takes as long as its program takes to compile.
        bar.set_description("compiling")
        return _told(done, len(sweep)) or frozenset()

    def after(_: Any) -> None:
        bar.set_description("", refresh=False)
        bar.update()

    with progress_bar(len(sweep), "cells") as bar:
        try:
            return run_sweep(sweep, path, begin=begin, after=after)
        except InputError:
            if not began:
                _told(None, len(sweep))
            raise


def _told(done: frozenset[int] | None, cells: int) -> frozenset[int] | None:
    """The cells that process 0 has found to be done, None if it cannot use the store."""
    import jax
    import numpy as np
    from jax.experimental import multihost_utils

    if jax.process_count() == 1:
        return done
    marks = np.full(cells, -1, np.int32)
    if done is not None:
        marks[:] = 0
        marks[list(done)] = 1
    marks = np.asarray(multihost_utils.broadcast_one_to_all(marks))
    return None if np.any(marks < 0) else frozenset(np.flatnonzero(marks).tolist())


@contextmanager
def _clean_output() -> Iterator[None]:
    """Standard output of native code goes to standard error: Gloo says there whom it has met."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        # What C has not written yet is not to come after what is ours.
        sys.stdout.flush()
        ctypes.CDLL(None).fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
