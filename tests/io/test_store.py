"""A store survives kills, refuses what is not its own, and leaves that as it was."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from dora_theory._errors import InputError
from dora_theory.io.store import open_store, read_store

pytestmark = pytest.mark.slow

COLUMNS = {"cell": "int64", "name": "string", "value": "float64"}
WHAT = {"seed": 3, "axes": [["x", [1, 2]]]}


def row(cell):
    return {"cell": cell, "name": f"n{cell}", "value": cell / 7}


def filled(path, cells=10, parts=3):
    with open_store(path, WHAT, COLUMNS, 20) as store:
        for first in range(0, cells, parts):
            store.append([row(c) for c in range(first, min(first + parts, cells))])
    return path


def snapshot(path):
    """Names, bytes and times of all that is there."""
    return {
        str(p.relative_to(path)): (p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else None)
        for p in sorted(path.rglob("*"))
    }


def refused(path, says, what=WHAT, columns=COLUMNS):
    before = snapshot(path)
    with pytest.raises(InputError, match=says), open_store(path, what, columns, 20):
        pass
    assert snapshot(path) == before


def test_rows_come_back_in_order_with_what_they_are_of(tmp_path):
    path = filled(tmp_path / "deep" / "store")
    definition, table = read_store(path)
    assert definition["seed"] == 3
    assert table.to_pylist() == [row(c) for c in range(10)]
    with open_store(path, WHAT, COLUMNS, 20) as store:
        assert store.done == frozenset(range(10))
        store.append([row(17), row(12)])
        store.append([])
    assert [r["cell"] for r in read_store(path)[1].to_pylist()] == [*range(10), 12, 17]


def test_a_foreign_folder_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    refused(tmp_path, "holds files and no sweep.json")
    (tmp_path / "sweep.json").write_text('{"format": "another"}')
    refused(tmp_path, "not of the format")
    (tmp_path / "sweep.json").write_text('{"format": "dora-th')
    refused(tmp_path, "sweep.json: cannot be read")
    with (
        pytest.raises(InputError, match="not a folder"),
        open_store(tmp_path / "notes.txt", WHAT, COLUMNS, 20),
    ):
        pass
    with pytest.raises(InputError, match="no store of a sweep"):
        read_store(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (None, "needs names with their types, cell first"),
        ([], "needs names with their types, cell first"),
        ({}, "needs names with their types, cell first"),
        ({"name": "string", "cell": "int64"}, "needs names with their types, cell first"),
        ({"cell": "int64", "name": "texts"}, "name: 'texts' is not an Arrow type"),
        ({"cell": 64}, "cell: 64 is not an Arrow type"),
        ({"cell": ["int64"]}, r"cell: \['int64'\] is not an Arrow type"),
    ],
)
def test_a_manifest_with_bad_columns_is_refused(tmp_path, columns, says):
    path = filled(tmp_path)
    manifest = json.loads((path / "sweep.json").read_text())
    (path / "sweep.json").write_text(json.dumps(manifest | {"columns": columns}))
    refused(path, says)
    before = snapshot(path)
    with pytest.raises(InputError, match=f"sweep.json: columns: {says}"):
        read_store(path)
    assert snapshot(path) == before


@pytest.mark.parametrize(
    "manifest", [b"", b"[]", b"\xff\xfe", b"null", b"3", b"{", b'{"format": 3}', b"[" * 100_000]
)
def test_a_manifest_that_is_none_is_refused(tmp_path, manifest):
    path = filled(tmp_path)
    (path / "sweep.json").write_bytes(manifest)
    refused(path, "sweep.json: (cannot be read|not of the format)")
    before = snapshot(path)
    with pytest.raises(InputError, match=r"sweep.json: (cannot be read|not of the format)"):
        read_store(path)
    assert snapshot(path) == before


def test_a_store_of_another_sweep_is_refused(tmp_path):
    filled(tmp_path)
    refused(tmp_path, "its seed differ", what=WHAT | {"seed": 4})
    refused(tmp_path, "its columns differ", columns=COLUMNS | {"more": "string"})


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_torn_file_is_refused(tmp_path, keep):
    filled(tmp_path)
    part = tmp_path / "part-00000003-00000003.parquet"
    part.write_bytes(part.read_bytes()[:keep])
    refused(tmp_path, "part-00000003-00000003.parquet: damaged")
    with pytest.raises(InputError, match="damaged"):
        read_store(tmp_path)


def test_a_flipped_bit_in_the_data_is_seen(tmp_path):
    """Checksums of pages: what still parses may yet be wrong."""
    filled(tmp_path)
    part = tmp_path / "part-00000003-00000003.parquet"
    data = bytearray(part.read_bytes())
    place = data.index(b"n4")
    data[place + 1] ^= 1
    part.write_bytes(data)
    refused(tmp_path, "damaged")


def test_files_that_do_not_fit_are_refused(tmp_path):
    filled(tmp_path)
    part = tmp_path / "part-00000003-00000003.parquet"
    part.rename(tmp_path / "part-00000004-00000003.parquet")
    refused(tmp_path, "not those that its name says")
    (tmp_path / "part-00000004-00000003.parquet").rename(tmp_path / "extra.parquet")
    refused(tmp_path, "extra.parquet: not a file of this store")
    (tmp_path / "extra.parquet").rename(part)
    other = filled(tmp_path / "other", cells=6, parts=6)
    (other / "part-00000000-00000006.parquet").rename(tmp_path / "part-00000000-00000006.parquet")
    refused(tmp_path, "rows that are elsewhere too")


def test_two_runs_do_not_meet(tmp_path):
    with open_store(tmp_path, WHAT, COLUMNS, 20) as store:
        refused(tmp_path, "another run is writing")
        store.append([row(0)])
        # Reading goes on.
        assert read_store(tmp_path)[1].num_rows == 1
    with open_store(tmp_path, WHAT, COLUMNS, 20) as store:
        assert store.done == {0}


def test_what_a_kill_left_is_cleared_away(tmp_path):
    filled(tmp_path)
    (tmp_path / ".part-00000010-00000003.parquet.unfinished").write_bytes(b"PAR1 torn")
    assert read_store(tmp_path)[1].num_rows == 10
    with open_store(tmp_path, WHAT, COLUMNS, 20):
        pass
    assert not list(tmp_path.glob(".*"))


PROGRAM = """
import sys, time
import pyarrow.parquet
# The first table imports pandas, where it is installed, which takes longer than the kills wait.
pyarrow.Table.from_pylist([{"cell": 1}])
from dora_theory.io import store as module
from dora_theory.io.store import open_store

class Slow:
    # Takes its time half-way, as a disk may, so that kills would find a torn file.
    def __init__(self, *given):
        self.file = open(*given)
    def __getattr__(self, name):
        return getattr(self.file, name)
    def __enter__(self):
        return self
    def __exit__(self, *_):
        self.file.close()
    def write(self, data):
        half = len(data) // 2
        self.file.write(memoryview(data)[:half])
        self.file.flush()
        time.sleep(0.002)
        self.file.write(memoryview(data)[half:])

module.open = Slow
columns = {"cell": "int64", "name": "string", "value": "float64"}
with open_store(sys.argv[1], {"seed": 1}, columns, 400) as store:
    print("open", flush=True)
    for first in range(0, 400, 4):
        rows = [
            {"cell": c, "name": f"n{c}", "value": c / 7}
            for c in range(first, first + 4) if c not in store.done
        ]
        time.sleep(0.001)
        store.append(rows)
"""


def test_a_run_killed_at_20_random_moments_ends_as_one_that_was_not(tmp_path):
    """SIGKILL from the first write on; after each kill the store can be read."""
    clock = random.Random(0)
    killed, seen = 0, [0]
    while killed < 20:
        run = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "s")], stdout=subprocess.PIPE
        )
        with run.stdout:
            assert run.stdout.readline() == b"open\n"
            time.sleep(clock.uniform(0, 0.03))
            run.send_signal(signal.SIGKILL)
            if run.wait() == 0:
                break
        killed += 1
        seen.append(read_store(tmp_path / "s")[1].num_rows)
    assert killed == 20, "too fast to be killed 20 times"
    assert seen == sorted(seen)
    assert len(set(seen)) > 5
    subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path / "s")], check=True)
    expected = [{"cell": c, "name": f"n{c}", "value": c / 7} for c in range(400)]
    assert read_store(tmp_path / "s")[1].to_pylist() == expected
    assert not [name for name in os.listdir(tmp_path / "s") if name.startswith(".")]
