"""Results as JSON documents: tables for pandas and notebooks, files that are written whole."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Self

from dora_theory._errors import InputError, amount
from dora_theory.io.atomic_write import utf8, whole_output
from dora_theory.io.extras import module_of
from dora_theory.io.tables import aligned


class Tabular:
    """What has a table of numbers: shown in a terminal and a notebook, and given to pandas."""

    def rows(self) -> list[dict[str, Any]]:
        """Its numbers as a tidy table: a mapping from column to value for each row."""
        raise NotImplementedError

    def to_dataframe(self) -> Any:
        """The table as a `pandas.DataFrame`.

        Raises:
            ImportError: pandas is not installed; it comes with `dora-theory[all]`.
        """
        pandas = module_of(
            "pandas", "all", "to_dataframe", error=ImportError, hint=", or use rows()"
        )
        return pandas.DataFrame(self.rows())

    def _dataset(self, axes: Sequence[str], **attributes: Any) -> Any:
        """The table as an `xarray.Dataset` over columns, a variable for each further column."""
        xarray = module_of("xarray", "xarray", "to_xarray", error=ImportError)
        frame = self.to_dataframe()
        names = list(axes)
        found = xarray.Dataset.from_dataframe(frame.set_index(names))
        # In the order of the table, not of the alphabet; cells that are missing are NaN.
        found = found.reindex({name: frame[name].drop_duplicates() for name in names})
        return found.assign_attrs(attributes)

    def to_text(self) -> str:
        """The whole table as text in columns."""
        return "\n".join([self._title(), *_lines(self.rows())])

    def __repr__(self) -> str:
        rows = self.rows()
        shown = [self._title(), *_lines(rows[:_SHOWN])]
        more = [f"… {amount(len(rows) - _SHOWN, 'more row')}"] if len(rows) > _SHOWN else []
        return "\n".join([*shown, *more])

    def _repr_html_(self) -> str:
        rows = self.rows()
        head = list(rows[0]) if rows else []
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(_short(row[name]))}</td>" for name in head) + "</tr>"
            for row in rows
        )
        title, names = escape(self._title()), "".join(f"<th>{escape(name)}</th>" for name in head)
        return f"<p>{title}</p><table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"

    def _title(self) -> str:
        return type(self).__name__


@dataclass(frozen=True, repr=False)
class Document(Tabular):
    """A result: the JSON document that the command line prints with `--json`.

    Attributes:
        data: the document.
    """

    data: Mapping[str, Any]

    def save(self, path: str | Path) -> None:
        """Writes the document as JSON, whole or not at all; `load` reads it back."""
        write_json(path, self.data)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """A document that `save` wrote.

        Raises:
            InputError: the file cannot be read, or is not a JSON object.
        """
        return cls(read_json(path))


def write_json(path: str | Path, data: Any) -> None:
    """Writes a JSON document in one step."""
    text = json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False)
    with whole_output(str(path)) as file:
        file.write(utf8(text) + b"\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """A JSON object; `InputError`, which names the file, if it holds none."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    if not isinstance(data, dict):
        raise InputError(f"{path}: needs a JSON object")
    return data


# Rows of a `repr`; all are in the HTML table.
_SHOWN = 12


def _short(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _lines(rows: list[dict[str, Any]]) -> list[str]:
    """The rows as aligned columns."""
    if not rows:
        return []
    cells = [list(rows[0]), *([_short(value) for value in row.values()] for row in rows)]
    return aligned(cells, range(len(cells[0])))
