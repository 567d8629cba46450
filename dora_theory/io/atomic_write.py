"""Where a command's results go: all of them or nothing.

A command that streams may meet bad input after a million good lines. What it has written by then
stays in a file of its own, which takes its place at the end, if the end is reached.
"""

import io
import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from dora_theory._errors import InputError

# Up to here what goes to standard output waits in memory, beyond it on disk.
_IN_MEMORY = 16 << 20


def utf8(text: str) -> bytes:
    """UTF-8 of a text. What has none, half a surrogate pair of a log, is written as JSON would."""
    return text.encode("utf-8", "backslashreplace")


@contextmanager
def whole_output(path: str | None, option: str = "--out") -> Iterator[IO[bytes]]:
    """A file to write to, whose content appears at `path` when the block ends without an error.

    Args:
        path: a file, which is replaced in one step; None or `-` for standard output, which
            receives everything at the end (as do pipes and devices, which cannot be replaced).
        option: that gave the path, for messages.

    Yields:
        A binary file. If the block raises, nothing of it is left anywhere.

    Raises:
        InputError: the place cannot be written to or is full, or standard output is closed.
    """
    if path is None or path == "-":
        if sys.stdout is None:
            raise InputError("standard output: is closed")
        with _Spool(max_size=_IN_MEMORY) as spool:
            yield spool
            spool.seek(0)
            with naming("standard output"):
                sys.stdout.flush()
                shutil.copyfileobj(spool, sys.stdout.buffer)
                sys.stdout.buffer.flush()
        return
    place = f"{option}: {path}"
    # Behind a link it is the file itself that is replaced.
    target = Path(os.path.realpath(path))
    with naming(place):
        mode = target.stat().st_mode if target.exists() else None
        if mode is not None and stat.S_ISDIR(mode):
            raise IsADirectoryError(None, "is a directory")
        replace = mode is None or stat.S_ISREG(mode)
        if mode is None:
            umask = os.umask(0)
            os.umask(umask)
            mode = 0o666 & ~umask
        folder = target.parent if replace else Path(tempfile.gettempdir())
    # A name is chosen first: nothing comes between making the file and being bound to remove it.
    part = folder / f".{target.name[:100]}.{secrets.token_hex(8)}"
    try:
        with naming(place):
            raw = _Part(part, place if replace else str(folder))
        with io.BufferedRandom(raw) as file:
            yield file
            if not replace:
                file.seek(0)
                with naming(place), open(target, "wb") as device:
                    shutil.copyfileobj(file, device)
        if replace:
            with naming(place):
                os.chmod(part, stat.S_IMODE(mode))
                os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def naming(place: str) -> Iterator[None]:
    """`InputError` that names the place where the system has an error; a closed pipe is none."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"{place}: {error.strerror or error}") from None


class _Part(io.FileIO):
    """A new file, ours alone, whose errors name what it is going to be."""

    def __init__(self, path: Path, place: str) -> None:
        super().__init__(path, "x+", opener=lambda name, flags: os.open(name, flags, 0o600))
        self._place = place

    def write(self, data: Any) -> int:
        with naming(self._place):
            return super().write(data)


class _Spool(tempfile.SpooledTemporaryFile):
    """Memory, and beyond that a file, whose errors name where that lies."""

    def write(self, data: Any) -> int:
        with naming(tempfile.gettempdir()):
            return super().write(data)
