"""Folders: runs with a folder for each problem, snapshots, splits, and tables of long rows."""

import json

import pytest

from dora_theory._errors import InputError
from dora_theory.replay.read import sources
from dora_theory.replay.read.readers import read_log

PATH = {"text": "Think.\n\n\\boxed{1}", "value": [0.5, 0.6], "tree_completion_tokens": 9}


def write(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def question(i, size=1):
    return {"question": f"{i}?", "groundtruth": "\\boxed{1}", "output": [PATH] * size}


@pytest.fixture
def run(tmp_path):
    root = tmp_path / "MATH_beam" / "LM" / "RM" / "40_4_2"
    for i in (0, 2, 10):
        for j in range(2):
            write(root / f"question_{i}" / f"record_{j}.jsonl", question(i, j + 1))
    write(root / "question_10" / "record_2.jsonl")
    for folder in (root, tmp_path):
        (folder / "config.json").write_text('{"a": 1}')
        (folder / "avg_result.json").write_text('{"a": 1}')
    return root


def test_a_folder_for_each_problem(tmp_path, run):
    for path in (tmp_path, tmp_path / "MATH_beam", run):
        records = list(read_log(str(path)))
        assert [r.problem for r in records] == ["0?", "2?", "10?"]
        assert [r.problem_id for r in records] == ["question_0", "question_2", "question_10"]
        assert [len(r.samples) for r in records] == [3, 3, 3]
        assert {r.kind for r in records} == {"kept"}
    (record,) = read_log(str(run / "question_2"))
    assert len(record.samples) == 3


def test_other_problems_in_a_folder_stay_apart(run):
    write(run / "question_0" / "record_1.jsonl", question(7))
    assert [r.problem for r in read_log(str(run))] == ["0?", "7?", "2?", "10?"]


def test_runs_are_not_mixed(tmp_path, run):
    other = run.parent / "40_8_2"
    write(other / "question_0" / "record_0.jsonl", question(0))
    with pytest.raises(InputError, match=r"several logs, give one of them: .*/40_4_2, .*/40_8_2"):
        list(read_log(str(tmp_path)))
    assert len(list(read_log(str(other)))) == 1


def row(i):
    return {"problem": f"p{i}", "answer": "1", "completions": ["\\boxed{1}"]}


@pytest.mark.parametrize("suffix", [".jsonl", "-00000-of-00001.jsonl"])
@pytest.mark.parametrize("below", ["data", "."])
def test_splits_are_kept_apart(tmp_path, suffix, below):
    write(tmp_path / below / f"train{suffix}", row(0), row(1))
    (tmp_path / "README.md").write_text("# data")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "x.json").write_text("{}")
    assert [r.problem for r in read_log(str(tmp_path))] == ["p0", "p1"]
    write(tmp_path / below / f"test{suffix}", row(2))
    with pytest.raises(InputError, match=r"several logs, give one of them: .*test, .*train"):
        list(read_log(str(tmp_path)))
    for split, names in (("train", ["p0", "p1"]), ("test", ["p2"])):
        assert [r.problem for r in read_log(str(tmp_path / split))] == names
        assert [r.problem for r in read_log(str(tmp_path / below / split))] == names


def test_a_snapshot_with_links_to_its_files(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow = pytest.importorskip("pyarrow")
    root = tmp_path / "datasets--a--b"
    (root / "blobs").mkdir(parents=True)
    data = root / "snapshots" / "0123abcd" / "data"
    data.mkdir(parents=True)
    for i in range(12):
        parquet.write_table(pyarrow.Table.from_pylist([row(i)]), root / "blobs" / f"{i}f")
        (data / f"train-{i:05}-of-00012.parquet").symlink_to(root / "blobs" / f"{i}f")
    for path in (root, data.parent, data, data.parent / "train"):
        assert [r.problem for r in read_log(str(path))] == [f"p{i}" for i in range(12)]


def test_folders_beside_a_log_are_named(tmp_path):
    write(tmp_path / "log.jsonl", row(0))
    write(tmp_path / "older" / "log.jsonl", row(1))
    notes = []
    assert len(list(read_log(str(tmp_path), note=notes.append))) == 1
    assert f"{tmp_path}: logs in its folders are not read: older" in notes


def test_two_folders_are_two_logs(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name / "log.jsonl", row(0))
    with pytest.raises(InputError, match=r"several logs, give one of them: .*/a, .*/b"):
        list(read_log(str(tmp_path)))


@pytest.mark.parametrize("held", [1, 200, 1 << 26])
@pytest.mark.parametrize("most", [1, 3, 1000])
def test_rows_that_do_not_fit_into_one_batch(tmp_path, monkeypatch, held, most):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "log.parquet"
    table = [row(i) | {"completions": ["x" * i]} for i in range(100)]
    parquet.write_table(pyarrow.Table.from_pylist(table), path, row_group_size=70)
    batches = parquet.ParquetFile.iter_batches

    def up_to(self, batch_size, **how):
        # As Arrow does where the lists of a batch are beyond 2 GiB.
        for i, batch in enumerate(batches(self, batch_size=batch_size, **how)):
            if batch_size > most and i > 0:
                raise pyarrow.ArrowNotImplementedError("Nested data conversions")
            yield batch

    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", up_to)
    monkeypatch.setattr(sources, "_BYTES", held)
    found = list(sources.rows(str(path)))
    assert [entry for _, entry in found] == table
    assert [place.rpartition(":")[2] for place, _ in found] == [str(i) for i in range(1, 101)]
