"""Tables as text in columns, and as files: CSV for anyone, Parquet for data frames."""

import csv
import io
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dora_theory.io.atomic_write import utf8, whole_output
from dora_theory.io.extras import module_of


def aligned(rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> list[str]:
    """Rows of cells as lines of columns; those of `left` are flush left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def write_csv(path: str, rows: Sequence[Mapping[str, Any]], option: str = "--csv") -> None:
    """Writes rows as CSV with a line of names, whole or not at all; what is missing is empty.

    Args:
        path: a file, replaced in one step, or `-` for standard output.
        rows: mappings from column to value; columns are in the order in which they first appear.
        option: that gave the path, for messages.

    Raises:
        InputError: the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(rows), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: "" if _missing(x) else x for name, x in row.items()})
    with whole_output(path, option) as file:
        file.write(utf8(text.getvalue()))


def write_parquet(path: str, rows: Sequence[Mapping[str, Any]], option: str = "--parquet") -> None:
    """Writes rows as Parquet, whole or not at all; what is missing is null.

    Args:
        path: a file, replaced in one step.
        rows: as for `write_csv`.
        option: that gave the path, for messages.

    Raises:
        InputError: the file cannot be written, or pyarrow is not installed.
    """
    parquet, pyarrow = (module_of(x, "all", f"{option}:") for x in ("pyarrow.parquet", "pyarrow"))
    columns = {name: [row.get(name) for row in rows] for name in _columns(rows)}
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table(columns), sink)
    with whole_output(path, option) as file:
        file.write(sink.getvalue())


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
