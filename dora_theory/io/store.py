"""Results on disk: a folder of Parquet files that is whole at every moment, whatever is killed.

    sweep.json                     what the rows are results of; written once
    part-00000000-00000512.parquet rows: number of the first, and how many
    lock                           held while a run is on; the system lets go when the run dies

A file appears under its name when all of it is on disk, and is never touched again. So a kill at
any moment loses the rows that were not written yet, and nothing else.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dora_theory._errors import InputError
from dora_theory.io.atomic_write import naming
from dora_theory.io.extras import module_of

FORMAT = "dora-theory sweep 1"
_MANIFEST, _LOCK = "sweep.json", "lock"
_PART = re.compile(r"part-(\d{8,})-(\d{8,})\.parquet")
_UNFINISHED = re.compile(r"\.(sweep\.json|part-.*\.parquet)\.unfinished")


@dataclass(frozen=True)
class Store:
    """An open store, ours alone until it is closed.

    Attributes:
        path: the folder.
        columns: name → Arrow type as text; `cell`, a row's number, is the first.
        done: numbers of the rows that were there when it was opened.
    """

    path: Path
    columns: Mapping[str, str]
    done: frozenset[int]

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds rows, all of them or none."""
        if not rows:
            return
        arrow, parquet = _pyarrow()
        table = arrow.Table.from_pylist(list(rows), schema=_schema(self.columns))
        sink = arrow.BufferOutputStream()
        parquet.write_table(table, sink, write_page_checksum=True)
        name = f"part-{rows[0]['cell']:08d}-{len(rows):08d}.parquet"
        _write(self.path / name, sink.getvalue())


@contextmanager
def open_store(
    path: str | Path, definition: Mapping[str, Any], columns: Mapping[str, str], rows: int
) -> Iterator[Store]:
    """A store to append to, made if there is none.

    Args:
        path: the folder.
        definition: what the rows are results of, of JSON's types. Only a store of the same can be
            continued.
        columns: name → Arrow type as text, the first `cell`.
        rows: how many there are to be.

    Yields:
        The store, locked against other runs.

    Raises:
        InputError: another run is using it; it is not a store, or one of something else, or
            damaged. It is left as it was.
    """
    path = Path(path)
    written = {"format": FORMAT, "rows": rows, "columns": dict(columns), **definition}
    # Before a lock is made, for what is refused stays as it is; and when no one else can write.
    _done(path, written)
    path.mkdir(parents=True, exist_ok=True)
    filelock = _needed("filelock")
    with ExitStack() as stack:
        try:
            stack.enter_context(filelock.FileLock(path / _LOCK, timeout=0))
        except filelock.Timeout:
            raise InputError(f"{path}: another run is writing to this store") from None
        done = _done(path, written)
        for name in os.listdir(path):
            if _UNFINISHED.fullmatch(name):
                (path / name).unlink()
        if not (path / _MANIFEST).exists():
            _write(path / _MANIFEST, json.dumps(written, indent=1).encode() + b"\n")
        yield Store(path, columns, done)


def read_store(path: str | Path) -> tuple[dict[str, Any], Any]:
    """What is in a store, also while a run is adding to it.

    Args:
        path: the folder.

    Returns:
        Its definition, and a `pyarrow.Table` of its rows in the order of `cell`.

    Raises:
        InputError: it is not a store, or damaged.

    Examples:
        >>> import pathlib, tempfile
        >>> store = pathlib.Path(tempfile.mkdtemp()) / 'store'
        >>> sweep = dt.Sweep(axes={"population.concentration": (0.5, 5.0)},
        ...     strategies=("rebase",), budget=8, num_problems=16, level="closed")
        >>> _ = dt.run_sweep(sweep, store)
        >>> _, table = dt.read_store(store)
        >>> table.num_rows
        2
    """
    path = Path(path)
    if not (path / _MANIFEST).exists():
        raise InputError(f"{path}: no store of a sweep: there is no {_MANIFEST}")
    arrow, _ = _pyarrow()
    definition = _manifest(path)
    columns = definition["columns"]
    tables = [_read(part, columns) for part in _parts(path)]
    table = arrow.concat_tables([_schema(columns).empty_table(), *tables])
    return definition, table.sort_by("cell")


def _done(path: Path, written: dict[str, Any]) -> frozenset[int]:
    """Numbers of the rows that are there, if this is the store of what is written, or none yet."""
    if not path.exists():
        return frozenset()
    if not path.is_dir():
        raise InputError(f"{path}: not a folder, so no store of a sweep")
    if not (path / _MANIFEST).exists():
        if not all(n == _LOCK or _UNFINISHED.fullmatch(n) for n in os.listdir(path)):
            raise InputError(f"{path}: holds files and no {_MANIFEST}: not a store of a sweep")
        return frozenset()
    found, wanted = _manifest(path), json.loads(json.dumps(written))
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            raise InputError(f"{path}: holds another sweep: its {name} differ")
    return frozenset(_cells(path, written["columns"], written["rows"]))


def _manifest(path: Path) -> dict[str, Any]:
    try:
        found = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise InputError(f"{path / _MANIFEST}: cannot be read ({error})") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputError(f"{path / _MANIFEST}: not of the format {FORMAT!r}")
    _check_columns(path / _MANIFEST, found.get("columns"))
    return found


def _check_columns(path: Path, columns: Any) -> None:
    """`InputError` unless a manifest has names of columns, `cell` first, with types of Arrow."""
    arrow, _ = _pyarrow()
    if not isinstance(columns, dict) or next(iter(columns), None) != "cell":
        raise InputError(f"{path}: columns: needs names with their types, cell first")
    for name, kind in columns.items():
        try:
            # A type that is not text is not a type.
            arrow.type_for_alias(str(kind))
        except ValueError:
            raise InputError(f"{path}: columns: {name}: {kind!r} is not an Arrow type") from None


def _parts(path: Path) -> list[Path]:
    found = sorted(name for name in os.listdir(path) if name.endswith(".parquet"))
    for name in found:
        if not _PART.fullmatch(name):
            raise InputError(f"{path / name}: not a file of this store")
    return [path / name for name in found]


def _cells(path: Path, columns: Mapping[str, str], rows: int) -> set[int]:
    """Numbers of all rows; every file is read whole and checked."""
    done: set[int] = set()
    for part in _parts(path):
        cells = _read(part, columns)["cell"].to_pylist()
        if done & set(cells) or not all(0 <= c < rows for c in cells):
            raise InputError(f"{part}: has rows that are elsewhere too, or in no place")
        done.update(cells)
    return done


def _read(part: Path, columns: Mapping[str, str]) -> Any:
    arrow, parquet = _pyarrow()
    try:
        table = parquet.read_table(part, page_checksum_verification=True, partitioning=None)
    except (arrow.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{part}: damaged, not a whole Parquet file ({reason})") from None
    match = _PART.fullmatch(part.name)
    assert match is not None
    cells = table["cell"].to_pylist() if "cell" in table.column_names else []
    if not table.schema.equals(_schema(columns)):
        raise InputError(f"{part}: has other columns than the store")
    if len(cells) != int(match[2]) or cells[:1] != [int(match[1])] or len({*cells}) < len(cells):
        raise InputError(f"{part}: its rows are not those that its name says")
    return table


def _write(path: Path, data: Any) -> None:
    """The file, whole and on disk before it has its name."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with naming(str(path)):
            with open(unfinished, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    # The name is on disk when the folder is; file systems that cannot say so are believed.
    with suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _schema(columns: Mapping[str, str]) -> Any:
    arrow, _ = _pyarrow()
    return arrow.schema([(name, arrow.type_for_alias(kind)) for name, kind in columns.items()])


def _pyarrow() -> tuple[Any, Any]:
    parquet = _needed("pyarrow.parquet")
    return _needed("pyarrow"), parquet


def _needed(name: str) -> Any:
    return module_of(name, "sweeps", "the store of a sweep")
