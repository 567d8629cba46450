"""Logs to read: small ones written here, real ones where DORA_THEORY_LOGS says they lie."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def real_log() -> Callable[[str], str]:
    """Path of a real log by name; the test is skipped if there is none."""

    def find(name: str) -> str:
        folder = os.environ.get("DORA_THEORY_LOGS")
        if not folder:
            pytest.skip("DORA_THEORY_LOGS names no folder of real logs")
        path = Path(folder) / f"{name}.jsonl.gz"
        if not path.exists():
            pytest.skip(f"no log {name} there")
        return str(path)

    return find


@pytest.fixture
def first_lines(tmp_path: Path, real_log: Callable[[str], str]) -> Callable[..., str]:
    """A log of some lines of a real one."""
    import gzip

    def cut(name: str, lines: int) -> str:
        with gzip.open(real_log(name)) as file:
            data = b"".join(line for _, line in zip(range(lines), file, strict=False))
        path = tmp_path / f"{Path(name).name}.jsonl"
        path.write_bytes(data)
        return str(path)

    return cut
