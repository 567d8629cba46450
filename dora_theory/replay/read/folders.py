"""Which files of a folder are one log, and in which order."""

import json
import os
import re
from pathlib import Path

from dora_theory._errors import InputError

_LOGS = (".json", ".jsonl", ".parquet", ".arrow", ".gz", ".zst")
# What tools write beside their logs.
_BESIDE = {
    "config.json",
    "avg_result.json",
    "dataset_info.json",
    "dataset_infos.json",
    "dataset_dict.json",
    "state.json",
}
_SHARD = re.compile(r"(.+?)-\d{5}-of-\d{5}(-[0-9a-f]+)?\..*")
_SPLIT = re.compile(r"(train|test|validation|valid|val|dev)\..*")
_PART = re.compile(r"record[_-]?\d+\..*")


def log_files(folder: Path) -> list[Path]:
    """The files of a folder that hold one log, in the order of the numbers in their names.

    Args:
        folder: a data set saved by `datasets`, a snapshot of one, files, or folders with files, of
            which all are read if each is a problem with files `record_0`, `record_1`, ….

    Returns:
        The files, at least one.

    Raises:
        InputError: there is no log, or more than one, which are named.
    """
    try:
        if (folder / "dataset_dict.json").exists():
            return _saved(_only_split(folder))
        if (folder / "state.json").exists():
            return _saved(folder)
        files = _logs_in(folder)
        if files:
            return _one_split(folder, files)
        below = _folders_with_logs(folder)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror or error}") from None
    if not below:
        raise InputError(f"{folder}: a folder without logs ({', '.join(_LOGS)})")
    if all(_PART.fullmatch(file.name) for inner in below for file in _logs_in(inner)):
        # Each is a problem; a run is what they lie in.
        runs = sorted({inner.parent for inner in below if inner.parent != folder})
        if len(runs) <= 1 and (not runs or all(inner.parent in runs for inner in below)):
            return [file for inner in below for file in _in_order(_logs_in(inner))]
        _refuse(folder, [str(run) for run in runs])
    if len(below) > 1:
        _refuse(folder, [name for inner in below for name in _names(inner)])
    return log_files(below[0])


def split_files(path: Path) -> list[Path]:
    """The files of a split, `FOLDER/train` or `FOLDER/data/train`; none if there are no such."""
    for folder in (path.parent, path.parent / "data"):
        if folder.is_dir():
            files = [f for f in _logs_in(folder) if _split_of(f) == path.name]
            if files:
                return _in_order(files)
    return []


def unread(folder: Path) -> list[str]:
    """Folders with logs beside the files that `log_files` reads."""
    if not _logs_in(folder) or (folder / "state.json").exists():
        return []
    return [str(inner.relative_to(folder)) for inner in _folders_with_logs(folder)]


def _logs_in(folder: Path) -> list[Path]:
    # With links that lead nowhere, which cannot be read and so are named.
    return [
        file
        for file in folder.iterdir()
        if file.suffix in _LOGS
        and not file.name.startswith(".")
        and file.name not in _BESIDE
        and not file.is_dir()
    ]


def _folders_with_logs(folder: Path) -> list[Path]:
    """The folders below one that hold files of logs, none inside of another."""
    found = []
    for name, folders, _ in os.walk(folder):
        here = Path(name)
        folders[:] = [inner for inner in folders if not inner.startswith(".")]
        if here != folder and (_logs_in(here) or (here / "dataset_dict.json").exists()):
            found.append(here)
            folders.clear()
    return sorted(found, key=lambda inner: _numbered(str(inner.relative_to(folder))))


def _in_order(files: list[Path]) -> list[Path]:
    return sorted(files, key=lambda file: _numbered(file.name))


def _numbered(name: str) -> list[tuple[int, str]]:
    """2 before 10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _split_of(file: Path) -> str:
    """The split that a file is a part of, empty if its name says none."""
    found = _SHARD.fullmatch(file.name) or _SPLIT.fullmatch(file.name)
    return found[1] if found else ""


def _one_split(folder: Path, files: list[Path]) -> list[Path]:
    splits = sorted({_split_of(file) for file in files} - {""})
    if len(splits) > 1:
        _refuse(folder, [str(folder / split) for split in splits])
    return _in_order(files)


def _names(folder: Path) -> list[str]:
    """A folder, or its splits if it has several."""
    splits = sorted({_split_of(file) for file in _logs_in(folder)} - {""})
    return [str(folder / split) for split in splits] if len(splits) > 1 else [str(folder)]


def _refuse(folder: Path, names: list[str]) -> None:
    raise InputError(f"{folder}: holds several logs, give one of them: {', '.join(names)}")


def _only_split(folder: Path) -> Path:
    splits = sorted(f.name for f in folder.iterdir() if (f / "state.json").exists())
    if len(splits) != 1:
        names = ", ".join(splits) or "none"
        raise InputError(f"{folder}: holds several data sets, give one of them: {names}")
    return folder / splits[0]


def _saved(folder: Path) -> list[Path]:
    """The files of a data set saved to disk, which its state names."""
    path = folder / "state.json"
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        names = [entry["filename"] for entry in state["_data_files"]]
        # Nothing outside the folder is read, whatever the file says.
        files = [folder / Path(name).name for name in names]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        raise InputError(f"{path}: is not the state of a saved data set") from None
    if state.get("_indices_data_files") or state.get("_indices_files"):
        raise InputError(f"{path}: has rows picked by indices: save it after flatten_indices()")
    return files
