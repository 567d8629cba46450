"""Torn, mistyped and hostile logs: no traceback, and every record is read or listed as bad.

DORA_THEORY_FUZZ says how many records are tried, two thousand by default:

    DORA_THEORY_FUZZ=100000 pytest tests/replay/test_fuzz.py
"""

import copy
import gzip
import json
import os
import random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dora_theory._errors import InputError, amount
from dora_theory.replay.check.integrity import Watch
from dora_theory.replay.check.mispaired import Pairing
from dora_theory.replay.check.repair import repaired
from dora_theory.replay.cut.cutting import cut
from dora_theory.replay.cut.encoders import make_encoder
from dora_theory.replay.cut.order import in_order
from dora_theory.replay.estimate.trees import decisions
from dora_theory.replay.grade.grading import judged
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.read.formats import FORMATS
from dora_theory.replay.read.formats.columns import parse_map
from dora_theory.replay.read.readers import read_log

RECORDS = int(os.environ.get("DORA_THEORY_FUZZ", "2000"))
BATCH = 100
SETTINGS = settings(
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
    derandomize="DORA_THEORY_FUZZ" not in os.environ,
)

SAMPLE = {"text": "so\n\n\\boxed{2}", "step_scores": [0.5, 1], "correct": True}
NODE = {"step": 0, "parent": -1, "line": "4 + 6", "value": 0.5, "left": [10], "solvable": False}
ROWS = (
    {"problem_id": "a", "problem": "1 + 1?", "gold_answer": "2", "samples": [SAMPLE] * 2},
    {"problem": "make 24", "tree_nodes": [NODE, NODE | {"step": 1, "parent": 0, "solvable": True}]},
    {
        "problem": "1 + 1?", "answer": "2", "unique_id": "a", "level": 3, "pred_maj@2": "2",
        "completions": ["so\n\n\\boxed{2}", "no"], "scores": [[0.5, 1], [0]],
        "completion_tokens": [7, 0], "agg_scores": [1, 0],
    },
    {
        "problem": "1 + 1?", "answer": "2", "completions": ["\\boxed{2}"], "scores": [[1]],
        "quality_results": [0.5], "preds@1": ["\\boxed{2}"],
    },
    {
        "id": 3, "question": "1 + 1?", "ground_truth_answer": "2", "total_tokens": 9,
        "model_answer": [{"text": "1 + 1? The answer is 2.", "step_scores": [0.5]}],
    },
    {
        "question": "1 + 1?", "groundtruth": "\\boxed{2}", "result": {"majority_vote": 1},
        "output": [{"path_idx": 0, "text": "2", "value": [0.5], "completion_tokens": 3}],
    },
)  # fmt: skip

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        [10**400, -1, 2**63, "\ud800", "\0", "", "\ufeff", "</script>", "1e999", "\\boxed{" * 9]
    ),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
HOSTILE = st.lists(VALUES, min_size=12, max_size=12)


def places(value, at=()):
    yield at
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    for key in keys:
        yield from places(value[key], (*at, key))


def mistyped(row, values, generator):
    """A row with one to three of its values replaced, doubled, moved or gone."""
    row = copy.deepcopy(row)
    for _ in range(generator.randint(1, 3)):
        if not row:
            break
        *path, last = generator.choice([at for at in places(row) if at])
        owner = row
        for key in path:
            owner = owner[key]
        what = generator.randrange(4)
        if what == 0:
            del owner[last]
        elif what == 1 and isinstance(owner, list):
            owner.append(copy.deepcopy(generator.choice(values)))
        elif what == 2 and isinstance(owner, dict):
            owner[str(generator.choice(values))] = copy.deepcopy(owner[last])
        else:
            owner[last] = copy.deepcopy(generator.choice(values))
    return row


def damaged(line, generator):
    """A line with its end torn off, bytes changed or thrown in, a key twice, or nested for ever."""
    what = generator.randrange(5)
    at = generator.randrange(len(line) + 1)
    if what == 0:
        return line[:at]
    if what == 1:
        return line[:at] + bytes([generator.randrange(256)]) + line[at + 1 :]
    if what == 2:
        return line[:at] + generator.choice([b"\n", b"\r", b"\0", b"\xff", b"[" * 5000]) + line[at:]
    if what == 3:
        return line.replace(b"{", b'{"problem": 1, "problem": 2, ', 1)
    return generator.randbytes(generator.randrange(1, 40))


def lines_of(values, generator, count):
    rows = []
    base = generator.choice(ROWS)
    for _ in range(count):
        # Most logs are of one format, some are not.
        row = base if generator.random() < 0.8 else generator.choice(ROWS)
        kind = generator.random()
        changed = mistyped(row, values, generator) if kind < 0.6 else row
        line = json.dumps(changed, ensure_ascii=True).encode()
        rows.append(damaged(line, generator) if 0.5 < kind < 0.9 else line)
    return rows


class Judge:
    """Judges by text: what a log may hold must not start an algebra system 100,000 times."""

    graded = unread = 0

    def same(self, gold, answer):
        return gold == answer


def used(records, generator):
    """What every replay does with records: a mistake is an `InputError`."""
    watch, encoder, options = Watch(), make_encoder(), ReplayOptions()
    list(watch.over(records))
    watch.findings()
    for walk in (Pairing("log").over, lambda r: repaired(r, "log", str)):
        try:
            list(walk(records))
        except InputError as error:
            one_line(error)
    for record in records:
        if generator.random() > 0.05:
            continue
        try:
            if record.kind == "tree":
                decisions(record, encoder, options)
            else:
                seen = cut(in_order(judged(record, Judge())), options, encoder)
                assert len(seen.scores) == len(record.samples)
        except InputError as error:
            one_line(error)


def one_line(error):
    assert "\n" not in str(error)
    return str(error)


def read(path, **how):
    notes = []
    try:
        return list(read_log(str(path), note=notes.append, **how)), notes
    except InputError as error:
        return None, [*notes, one_line(error)]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "log.jsonl"


def number(place):
    return int(place.rpartition(":")[2])


@given(HOSTILE, st.integers(0, 2**32 - 1))
@settings(SETTINGS, max_examples=max(1, RECORDS // BATCH))
def test_lines_are_read_or_listed(path, values, seed):
    generator = random.Random(seed)
    data = b"\n".join(lines_of(values, generator, BATCH))
    path.write_bytes(gzip.compress(data, 1) if seed % 4 == 0 else data)
    log_format = generator.choice(["auto", *FORMATS])
    records, notes = read(path, skip_bad=10**6, log_format=log_format)
    wanted = [i for i, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    listed = [note for note in notes if note.startswith("skipped ")]
    bad = [int(note.removeprefix(f"skipped {path}:").partition(":")[0]) for note in listed]
    good = [number(record.place) for record in records or ()]
    assert sorted(good + bad) == wanted
    assert records is not None or notes[-1].endswith("holds no record")
    if bad:
        said = f"{amount(len(bad), 'bad record')} skipped, {amount(len(good), 'record')} read"
        assert any(said in note for note in notes)
        # The first bad one ends a run that allows none.
        none, [*_, error] = read(path, log_format=log_format)
        assert none is None
        assert error.startswith(f"{path}:{bad[0]}: ")
    if records:
        used(records, generator)


@given(HOSTILE, st.integers(0, 2**32 - 1))
@settings(SETTINGS, max_examples=max(1, RECORDS // BATCH // 4))
def test_arrays_are_read_or_listed(path, values, seed):
    generator = random.Random(seed)
    rows = [mistyped(generator.choice(ROWS), values, generator) for _ in range(BATCH // 4)]
    rows += [generator.choice(values) for _ in range(3)]
    path.write_text("[" + ",\n".join(map(json.dumps, rows)) + "]", encoding="utf-8")
    records, notes = read(path, skip_bad=10**6)
    bad = [note for note in notes if note.startswith("skipped ")]
    assert len(records or ()) + len(bad) == len(rows)


@given(HOSTILE, st.integers(0, 2**32 - 1), st.sampled_from(["array", "gzip", "zstd", "parquet"]))
@settings(SETTINGS, max_examples=max(4, RECORDS // BATCH // 2))
def test_torn_files_give_what_stands_before_the_tear(path, values, seed, pack):
    generator = random.Random(seed)
    good = [ROWS[2] | {"problem": f"{i} {generator.random()}"} for i in range(30)]
    data = "".join(json.dumps(row) + "\n" for row in good).encode()
    if pack == "array":
        data = json.dumps(good, indent=1).encode()
    elif pack == "gzip":
        data = gzip.compress(data)
    elif pack == "zstd":
        pyarrow = pytest.importorskip("pyarrow")
        data = pyarrow.compress(data, codec="zstd", asbytes=True)
    else:
        data = parquet(good)
    at = generator.randrange(1, len(data))
    torn = data[:at] if seed % 2 else data[:at] + generator.randbytes(3) + data[at + 3 :]
    path.write_bytes(torn)
    records, notes = read(path, skip_bad=10**6)
    found = [record.problem for record in records or ()]
    if seed % 2 and pack != "parquet" and at > 8:
        # A tear loses nothing that stands before it, and is told; a byte that is wrong may be text.
        assert found == [row["problem"] for row in good][: len(found)]
        assert len(notes) > 1 or len(found) == len(good) or records is None


def parquet(rows):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist(rows), sink)
    return sink.getvalue().to_pybytes()


@given(st.text(max_size=60), HOSTILE, st.integers(0, 2**32 - 1))
@settings(SETTINGS, max_examples=max(4, RECORDS // BATCH // 4))
def test_columns_of_any_name(path, text, values, seed):
    generator = random.Random(seed)
    try:
        mapping = parse_map(text)
    except InputError:
        mapping = parse_map("problem=problem,completions=completions,step_scores=scores,level=a.b")
    rows = [mistyped(ROWS[2], values, generator) for _ in range(BATCH // 4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    records, notes = read(path, skip_bad=10**6, mapping=mapping)
    bad = [note for note in notes if note.startswith("skipped ")]
    assert "text" in mapping or len(records or ()) + len(bad) == len(rows)
