"""Where a command's results go: all of them or nothing.

A command that streams may meet bad input after a million good lines. What it has written by then
stays in a file of its own, which takes its place at the end, if the end is reached.
"""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

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
        InputError: the place cannot be written to, or standard output is closed.
    """
    if path is None or path == "-":
        if sys.stdout is None:
            raise InputError("standard output: is closed")
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
            yield spool
            spool.seek(0)
            sys.stdout.flush()
            shutil.copyfileobj(spool, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        return
    # Behind a link it is the file itself that is replaced.
    target = Path(os.path.realpath(path))
    try:
        mode = target.stat().st_mode if target.exists() else None
        if mode is not None and stat.S_ISDIR(mode):
            raise IsADirectoryError(None, "is a directory")
        replace = mode is None or stat.S_ISREG(mode)
        if mode is None:
            umask = os.umask(0)
            os.umask(umask)
            mode = 0o666 & ~umask
        descriptor, part = tempfile.mkstemp(
            dir=target.parent if replace else None, prefix=f".{target.name[:100]}."
        )
    except OSError as error:
        raise InputError(f"{option}: {path}: {error.strerror or error}") from None
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            if not replace:
                file.seek(0)
                with open(target, "wb") as device:
                    shutil.copyfileobj(file, device)
        if replace:
            os.chmod(part, stat.S_IMODE(mode))
            os.replace(part, target)
    finally:
        Path(part).unlink(missing_ok=True)
