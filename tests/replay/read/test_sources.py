"""Where records are: the same rows come out of every kind of file, and damage is reported."""

import gzip
import io
import json
import sys

import pytest

from dora_theory._errors import InputError
from dora_theory.io.jsonl import FieldError, Reading
from dora_theory.replay.read import sources
from dora_theory.replay.read.readers import read_log

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

ROWS = [
    {"problem": f"p{i}", "samples": [{"text": '[]{"}\\' * i, "n": [1.5, None]}]} for i in range(4)
]
JSONL = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def rows(path):
    return [
        (place.rpartition("/")[2], json.loads(row) if isinstance(row, bytes) else row)
        for place, row in sources.rows(str(path))
    ]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, "zstd"])
@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (JSONL, [1, 2, 3, 4]),
        (json.dumps(ROWS).encode(), [1, 1, 1, 1]),
        (json.dumps(ROWS, indent=4).encode(), None),
        ("\n\n".join(json.dumps(row, indent=4) for row in ROWS).encode(), None),
    ],
)
def test_json(tmp_path, data, lines, pack):
    if pack == "zstd":

        def pack(data):
            return pyarrow.compress(data, codec="zstd", asbytes=True)

    path = tmp_path / "log"
    path.write_bytes(pack(data))
    found = rows(path)
    assert [row for _, row in found] == ROWS
    places = [int(place.removeprefix("log:")) for place, _ in found]
    text = data.decode().split("\n")
    for place, row in zip(places, ROWS, strict=True):
        if lines is None:
            assert text[place - 1].strip() == "{"
            assert row["problem"] in text[place]
    assert lines is None or places == lines


@pytest.mark.parametrize("chunk", [1, 2, 7])
def test_values_are_put_together_from_whatever_pieces(monkeypatch, chunk):
    monkeypatch.setattr(sources, "_CHUNK", chunk)
    text = json.dumps(ROWS, ensure_ascii=False, indent=1).replace("p3", "π∞") + ' [{"a": 12}]'

    class Trickle(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, chunk))

    found = [row for _, row in sources.json_values(Reading("x", Trickle(text.encode())))]
    assert found == [*json.loads(json.dumps(ROWS).replace("p3", "π∞")), {"a": 12}]


@pytest.mark.parametrize(
    ("text", "good", "message"),
    [
        ('[{"a": 1}, 7, {"a": 2}]', 2, "needs a JSON object, got a number"),
        ('[{"a": 1, "a": 2}, {"a": 3}]', 1, "appears twice in one object"),
        ('[{"a": ' + "9" * 5000 + '}, {"a": 3}]', 1, "Exceeds the limit"),
        ('[{"a": 1}, {"a": ' + "[" * 100_000, 1, "nested too deep"),
        ('[{"a": 1}, {"a" 2}, {"a": 3} and a long rest]', 1, "nothing after it can be read"),
        ('[{"a": 1}, {"a": "xyz', 1, "is the file cut short?"),
        ('[{"a": 1}', 1, "the array has no end, is the file cut short?"),
    ],
)
def test_damaged_arrays(text, good, message):
    found = [row for _, row in sources.json_values(Reading("x", io.BytesIO(text.encode())))]
    wrong = [row for row in found if isinstance(row, FieldError)]
    assert len(found) - len(wrong) == good
    assert len(wrong) == 1
    assert message in wrong[0].what


def test_an_array_that_is_no_text():
    found = list(sources.json_values(Reading("x", io.BytesIO(b'[{"a": 1}, "\xff"]'))))
    assert "not UTF-8" in found[-1][1].what


def test_what_is_packed_and_cut_short(tmp_path):
    import random

    generator = random.Random(0)
    data = b"".join(b'{"n": %r}\n' % generator.random() for _ in range(100_000))
    path = tmp_path / "log"
    for packed in (gzip.compress(data), pyarrow.compress(data, codec="zstd", asbytes=True)):
        path.write_bytes(packed[: len(packed) // 2])
        *got, (place, lost) = sources.rows(str(path))
        assert 10_000 < len(got) < 100_000
        assert place == f"{path}:{len(got) + 1}"
        assert isinstance(lost, FieldError)
        assert "is the file cut short" in lost.what


def test_a_file_that_is_cut_short_ends_no_folder(tmp_path):
    packed = gzip.compress(b'{"n": 1}\n' * 100)
    (tmp_path / "a.jsonl.gz").write_bytes(packed[:-12])
    (tmp_path / "b.jsonl").write_bytes(b'{"n": 2}\n')
    found = list(sources.rows(str(tmp_path)))
    assert isinstance(found[-2][1], FieldError)
    assert found[-1] == (f"{tmp_path / 'b.jsonl'}:1", b'{"n": 2}\n')


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"n": 1}\n')
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"b\.jsonl: No such file"):
        list(sources.rows(str(tmp_path)))


@pytest.mark.parametrize("text", [b'{"n": 1}\n', b'[{"n": 1}]'])
def test_a_byte_order_mark_is_no_part_of_the_first_record(tmp_path, text):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + text)
    ((_, row),) = sources.rows(str(path))
    assert (row if isinstance(row, dict) else json.loads(row)) == {"n": 1}


def test_parquet_and_arrow(tmp_path):
    table = pyarrow.Table.from_pylist([*ROWS, {"problem": None, "samples": []}])
    parquet.write_table(table, tmp_path / "log.parquet")
    for name, new in (("file", pyarrow.ipc.new_file), ("stream", pyarrow.ipc.new_stream)):
        with new(str(tmp_path / name), table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    for name in ("log.parquet", "file", "stream"):
        found = rows(tmp_path / name)
        assert [place for place, _ in found] == [f"{name}:{i}" for i in range(1, 6)]
        assert [row for _, row in found][:4] == ROWS
    (tmp_path / "torn.parquet").write_bytes((tmp_path / "log.parquet").read_bytes()[:-20])
    (tmp_path / "torn").write_bytes((tmp_path / "stream").read_bytes()[:-300])
    for name in ("torn.parquet", "torn"):
        with pytest.raises(InputError, match=rf"{name}:\d+: cannot be read \("):
            rows(tmp_path / name)


def test_what_json_has_no_word_for(tmp_path):
    import datetime
    import decimal

    row = {
        "a": datetime.date(2025, 1, 2),
        "b": b"\xffx",
        "c": decimal.Decimal("1.5"),
        "d": {"e": 1},
    }
    parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "x.parquet")
    assert rows(tmp_path / "x.parquet")[0][1] == {
        "a": "2025-01-02",
        "b": "�x",
        "c": "1.5",
        "d": {"e": 1},
    }


def test_a_data_set_saved_to_disk(tmp_path):
    folder = tmp_path / "set" / "train"
    folder.mkdir(parents=True)
    table = pyarrow.Table.from_pylist(ROWS)
    names = [f"data-0000{i}-of-00002.arrow" for i in range(2)]
    for i, name in enumerate(names):
        with pyarrow.ipc.new_stream(str(folder / name), table.schema) as writer:
            writer.write_table(table.slice(2 * i, 2))
    state = {"_data_files": [{"filename": name} for name in names]}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")
    assert [row for _, row in rows(folder)] == ROWS
    (tmp_path / "set" / "dataset_dict.json").write_text('{"splits": ["train"]}')
    assert [r.problem for r in read_log(str(tmp_path / "set"))] == ["p0", "p1", "p2", "p3"]
    (tmp_path / "set" / "test").mkdir()
    (tmp_path / "set" / "test" / "state.json").write_text("{}")
    with pytest.raises(InputError, match="give one of them: test, train"):
        rows(tmp_path / "set")
    with pytest.raises(InputError, match="is not the state of a saved data set"):
        rows(tmp_path / "set" / "test")
    (folder / "state.json").write_text(json.dumps(state | {"_indices_data_files": ["x"]}))
    with pytest.raises(InputError, match="flatten_indices"):
        rows(folder)


def test_a_folder_is_read_in_order(tmp_path):
    for i, row in enumerate(ROWS):
        (tmp_path / f"answer_q{8 + i}.json").write_text(json.dumps(row, indent=4))
    (tmp_path / "notes.txt").write_text("no log")
    assert [row for _, row in rows(tmp_path)] == ROWS
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="a folder without logs"):
        rows(tmp_path / "empty")


def test_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name, head in (("a", b"PAR1"), ("b", b"ARROW1"), ("c", b"\x28\xb5\x2f\xfd")):
        (tmp_path / name).write_bytes(head + b"rest")
        with pytest.raises(InputError, match=r"pip install 'dora-theory\[replay\]'"):
            rows(tmp_path / name)
