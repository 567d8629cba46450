"""Measurements that are prepared by all cores at once and made one at a time.

Most of a benchmark of kernels is tracing and compiling, which Python does by one core. So processes
share the measurements out; each prepares its own, and when all are ready they measure in turn: no
process then uses the device but the one whose turn it is.
"""

import fcntl
import itertools
import multiprocessing
import os
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

# What is measured, once it is ready; what it returns goes to the caller's process.
Measure = Callable[[], Any]
Prepare = Callable[[], Measure]
# Seconds that are waited for what is being prepared at the end.
_LATE = 10


def in_turn(
    prepared: Callable[..., Sequence[Prepare]],
    *arguments: Any,
    processes: int | None = None,
    within: float = 300,
) -> Iterator[Any]:
    """What each measurement returns, as they are made.

    Args:
        prepared: a function of a module, which returns the same sequence in every process.
        *arguments: of it.
        processes: how many, at most; by default one for each core, up to 12.
        within: seconds after which nothing more is prepared, and what is ready is measured.

    Yields:
        What the measurements return. Those that are not ready are missing, and those of a process
        that crashes.
    """
    processes = processes or min(12, os.cpu_count() or 1)
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(processes), context.Queue()
    with tempfile.NamedTemporaryFile() as turn:
        given = prepared, arguments, processes, time.time() + within, ready, turn.name, results
        running = [
            context.Process(target=_share, args=(number, *given), daemon=True)
            for number in range(processes)
        ]
        for process in running:
            process.start()
        while True:
            alive = any(process.is_alive() for process in running)
            if any(process.exitcode for process in running):
                ready.abort()
            try:
                yield results.get(timeout=0.5)
            except queue.Empty:
                if not alive:
                    return


def _share(
    number: int,
    prepared: Callable[..., Sequence[Prepare]],
    arguments: tuple[Any, ...],
    processes: int,
    until: float,
    ready: Any,
    turn: str,
    results: Any,
) -> None:
    own = prepared(*arguments)[number::processes]
    measures = [prepare() for prepare in itertools.takewhile(lambda _: time.time() < until, own)]
    # Another may have crashed, or be long at what it has begun.
    with suppress(threading.BrokenBarrierError):
        ready.wait(max(1.0, until - time.time() + _LATE))
    for measure in measures:
        # A lock that the system takes from a process that crashes.
        with open(turn) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            results.put(measure())
