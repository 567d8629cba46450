"""Work on many problems: in this process, or over processes and hosts by Dask.

What is handed out are some records of a log at a time, and groups of problems to estimate. Both are
put together here, in the order of the log, so that results are the same, bit for bit, however many
processes work on them. What a process that dies had in hand is done again by another.
"""

import logging
import os
import pickle
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import lru_cache
from multiprocessing import resource_tracker
from typing import Any, Protocol, TypeVar

from dora_theory._errors import InputError

_A = TypeVar("_A")
_B = TypeVar("_B")
_Result = TypeVar("_Result", covariant=True)

# Records that are handed out together, and how many such parts wait for each process.
_PART, _AHEAD = 16, 3
# Seconds until a scheduler counts as not there.
_PATIENCE = 10
_EXTRA = "needs Dask: pip install 'dora-theory[cluster]'"


class Later(Protocol[_Result]):
    """A result that may not be there yet."""

    def result(self) -> _Result:
        """The result, once it is there."""
        ...


class Workers:
    """One process, which works on one item after another.

    Attributes:
        elsewhere: whether other processes do the work.
    """

    elsewhere = False

    def map(self, use: Callable[[_A], _B], items: Iterable[_A]) -> Iterator[_B]:
        """What becomes of each item, in order.

        Args:
            use: a function that keeps nothing from one item to the next.
            items: read a little ahead of the results; what their reading raises comes after the
                results of what had been read.
        """
        return map(use, items)

    def submit(self, use: Callable[[_A], _B], item: _A) -> Later[_B]:
        """What becomes of one item, to be asked for later."""
        return _Done(use(item))


class _Done:
    def __init__(self, value: Any) -> None:
        self._value = value

    def result(self) -> Any:
        return self._value


@contextmanager
def workers_at(where: int | str | None) -> Iterator[Workers]:
    """The workers of a command, while it lasts.

    Args:
        where: how many processes of this machine, or the address of a Dask scheduler; None for
            this process alone.

    Yields:
        The workers.

    Raises:
        InputError: Dask is not installed; no scheduler is at the address, or one without workers,
            or with workers of another version of this package.
    """
    if where is None:
        yield Workers()
        return
    flag = "--scheduler" if isinstance(where, str) else "--workers"
    with ExitStack() as stack:
        stack.enter_context(_safe_path())
        # What begins is not to be left half begun.
        with _interrupts_held():
            try:
                import dask
                import distributed
            except ImportError:
                raise InputError(f"{flag}: {_EXTRA}") from None
            # Parts of a log are large, and few wait at a time.
            quiet = {"distributed.admin.large-graph-warning-threshold": "1TB"}
            stack.enter_context(dask.config.set(quiet))
            if isinstance(where, str):
                try:
                    client = distributed.Client(where, timeout=_PATIENCE, set_as_default=False)
                except (OSError, ValueError) as error:
                    what = str(error).splitlines()[0] if str(error) else "no scheduler answers"
                    raise InputError(f"{flag}: {where}: {what}") from None
            else:
                local = distributed.LocalCluster(
                    n_workers=where,
                    threads_per_worker=1,
                    memory_limit=None,
                    host="127.0.0.1",
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                )
                client = distributed.Client(stack.enter_context(local), set_as_default=False)
            stack.enter_context(client)
        _check_versions(flag, where, client)
        yield _Cluster(client)


@contextmanager
def _safe_path() -> Iterator[None]:
    """Lets no Python that begins meanwhile take a `signal.py` of the current folder for its own.

    A worker has the path of this process as soon as it runs.
    """
    name = "PYTHONSAFEPATH"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Holds interrupts back, and for good from the processes of threads that begin meanwhile.

    A terminal sends them to all processes; this one ends the others.
    """
    came = False

    def later(*_: Any) -> None:
        nonlocal came
        came = True

    # Any thread may receive what this one does not; only the main one may say what comes of it.
    main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, later) if main else None
    masks = hasattr(signal, "pthread_sigmask")
    if masks:
        # It would let them through again in the thread that starts it.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if main:
            signal.signal(signal.SIGINT, handler or signal.SIG_DFL)
    if came:
        # To whoever handles them: a handler counts what it raises.
        signal.raise_signal(signal.SIGINT)


def _check_versions(flag: str, where: int | str, client: Any) -> None:
    def installed() -> str:
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("dora-theory")
        except PackageNotFoundError:
            return "none"

    # A function of here goes by value: a host without this package can say so.
    found, ours = client.run(installed), installed()
    if not found:
        raise InputError(f"{flag}: {where}: the scheduler has no workers")
    for host, theirs in found.items():
        if theirs != ours:
            raise InputError(f"{flag}: {host}: has dora-theory {theirs}, where this is {ours}")


class _Cluster(Workers):
    elsewhere = True

    def __init__(self, client: Any) -> None:
        self._client = client
        self._threads = sum(client.nthreads().values())
        self._open: deque[_Later] = deque()

    def map(self, use: Callable[[_A], _B], items: Iterable[_A]) -> Iterator[_B]:
        payload = _packed(use)
        waiting: deque[_Later] = deque()
        parts = _parts(items)
        failed: Exception | None = None
        while True:
            while failed is None and len(waiting) < _AHEAD * self._threads:
                try:
                    waiting.append(self._send(payload, next(parts)))
                except StopIteration:
                    failed = StopIteration()
                except Exception as error:
                    failed = error
            if not waiting:
                break
            yield from waiting.popleft().result()
        if not isinstance(failed, StopIteration):
            assert failed is not None
            raise failed

    def submit(self, use: Callable[[_A], _B], item: _A) -> Later[_B]:
        sent = self._send(_packed(use), [item])
        # Until it has been fetched, what a result is made of is kept in case a worker dies.
        self._open.append(sent)
        while len(self._open) > self._threads + 1:
            self._open.popleft().result()
        return _First(sent)

    def _send(self, payload: bytes, part: list) -> "_Later":
        data = pickle.dumps(part, protocol=5)
        return _Later(self._client.submit(_run, payload, _x64(), data, pure=False))


class _Later:
    def __init__(self, future: Any) -> None:
        self._future, self._value = future, None

    def result(self) -> Any:
        if self._future is not None:
            from distributed import KilledWorker

            try:
                self._value = pickle.loads(self._future.result())
            except KilledWorker as error:
                raise InputError(
                    f"--workers: the same problems have ended {error.allowed_failures + 1} "
                    "workers, perhaps for want of memory: take fewer"
                ) from None
            self._future = None
        return self._value


class _First:
    def __init__(self, of: _Later) -> None:
        self._of = of

    def result(self) -> Any:
        return self._of.result()[0]


def _parts(items: Iterable[_A]) -> Iterator[list[_A]]:
    """The items, some at a time; the last ones too if their reading ends in an error."""
    part: list[_A] = []
    try:
        for item in items:
            part.append(item)
            if len(part) == _PART:
                yield part
                part = []
    except Exception:
        if part:
            yield part
        raise
    if part:
        yield part


def _packed(use: Callable) -> bytes:
    import cloudpickle

    return cloudpickle.dumps(use)


def _x64() -> bool | None:
    jax = sys.modules.get("jax")
    return None if jax is None else bool(jax.config.jax_enable_x64)


# The same function, not an equal one, each time: JAX compiles for each anew.
@lru_cache(maxsize=8)
def _loaded(payload: bytes) -> Callable:
    return pickle.loads(payload)


def _run(payload: bytes, x64: bool | None, data: bytes) -> bytes:
    """What a worker does with a part."""
    use = _loaded(payload)
    import jax

    with nullcontext() if x64 is None else jax.enable_x64(x64):
        return pickle.dumps([use(item) for item in pickle.loads(data)], protocol=5)
