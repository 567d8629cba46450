"""Readers: every kind of bad line, files that are cut short, real logs."""

import gzip
import json
import re
from dataclasses import replace

import pytest

from dora_theory._errors import InputError
from dora_theory.replay.examined import opened
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.read.readers import read_log
from dora_theory.replay.read.record import Sample
from dora_theory.replay.read.usable import check_usable

NATIVE = {
    "problem": "1 + 1?",
    "answer": "2",
    "unique_id": "a/1",
    "level": 3,
    "subject": "Algebra",
    "completions": ["so\n\n\\boxed{2}", "no"],
    "scores": [[0.5, 0.9], [0.25]],
    "completion_tokens": [7, 0],
    "pred_maj@2": "\\boxed{2}",
}
PLAIN = {
    "problem_id": "p/1",
    "problem": "1 + 1?",
    "gold_answer": "2",
    "level": "Level 2",
    "samples": [
        {"text": "two", "final_answer": "2", "correct": True, "step_scores": [1], "method": "iid"},
        {"text": "three", "final_answer": None, "correct": False, "step_scores": None},
    ],
}


def changed(row, **fields):
    return {name: value for name, value in (row | fields).items() if value is not ...}


@pytest.fixture
def read(tmp_path):
    def run(*lines, skip_bad=0, name="log.jsonl", raw=None):
        path = tmp_path / name
        if raw is None:
            raw = "".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines)
            raw = raw.encode()
        path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        notes = []
        records = list(read_log(str(path), skip_bad=skip_bad, note=notes.append))
        return records, [note.replace(str(tmp_path) + "/", "") for note in notes]

    return run


@pytest.mark.parametrize("name", ["log.jsonl", "log.jsonl.gz", "log"])
def test_search_and_learn(read, name):
    (record,), notes = read(NATIVE, "", name=name)
    assert record.samples == (
        Sample("so\n\n\\boxed{2}", step_scores=(0.5, 0.9), tokens=7),
        Sample("no", step_scores=(0.25,)),
    )
    assert (record.problem_id, record.gold_answer, record.level) == ("a/1", "2", "3")
    assert record.place.endswith(f"{name}:1")
    assert record.kind == "independent"
    assert notes == [f"{name}: read as a log of the search-and-learn format"]


def test_search_and_learn_of_other_tools(read):
    (record,), _ = read(
        changed(NATIVE, unique_id=..., level=..., subject=..., completion_tokens=-1, scores=...)
    )
    assert record.problem_id == "row 1"
    assert record.level is None
    assert [sample.step_scores for sample in record.samples] == [None, None]
    assert [sample.tokens for sample in record.samples] == [None, None]


def test_plain(read):
    (record,), notes = read(PLAIN)
    assert record.samples == (
        Sample("two", final_answer="2", correct=True, step_scores=(1.0,)),
        Sample("three", correct=False),
    )
    assert (record.problem_id, record.level) == ("p/1", "Level 2")
    assert notes == ["log.jsonl: read as a log of the plain format"]


def test_kinds(read):
    pruned = changed(PLAIN, samples=[{"text": "a", "method": "beam_search_pruned"}])
    tree = changed(PLAIN, tree_nodes=[{"step": 0, "parent": -1, "line": "a", "value": 0}])
    bare = changed(tree, samples=...)
    unpruned = changed(PLAIN, samples=[{"text": "a", "method": "no_prune_step_sampling"}])
    records, _ = read(PLAIN, pruned, tree, bare, unpruned)
    assert [r.kind for r in records] == ["independent", "kept", "tree", "tree", "independent"]


BAD = [
    ("{", "log.jsonl:2: line: not JSON"),
    ("[1]", "log.jsonl:2: line: needs a JSON object, got a list"),
    (changed(NATIVE, problem=...), "log.jsonl:2: problem: missing"),
    (changed(NATIVE, problem=7), "log.jsonl:2: problem: is 7: needs a text"),
    (changed(NATIVE, answer=[2]), "log.jsonl:2: answer: is a list: needs a text or a number"),
    (changed(NATIVE, completions=...), "log.jsonl:2: completions: missing"),
    (changed(NATIVE, completions=[]), "log.jsonl:2: completions: empty"),
    (changed(NATIVE, completions="no"), "log.jsonl:2: completions: needs a list, got a string"),
    (changed(NATIVE, completions=["a", 1]), "log.jsonl:2: completions: [1] is 1: needs a text"),
    (changed(NATIVE, scores=[[1]]), "log.jsonl:2: scores: has length 1, but completions has"),
    (changed(NATIVE, scores=[[1], 2]), "log.jsonl:2: scores[1]: is 2: needs a list of numbers"),
    (changed(NATIVE, scores=[[1], [None]]), "log.jsonl:2: scores[1]: [0] is null: needs a finite"),
    (changed(NATIVE, scores=[[1], [True]]), "log.jsonl:2: scores[1]: [0] is true: needs a finite"),
    (changed(NATIVE, completion_tokens=[1]), "log.jsonl:2: completion_tokens: has length 1"),
    (changed(NATIVE, completion_tokens=[1, 0.5]), "log.jsonl:2: completion_tokens[1]: is 0.5"),
]
BAD_PLAIN = [
    (changed(PLAIN, samples=None), "log.jsonl:2: samples: missing"),
    (changed(PLAIN, samples=["a"]), "log.jsonl:2: samples[0]: is a string: needs an object"),
    (changed(PLAIN, samples=[{}]), "log.jsonl:2: samples[0].text: missing"),
    (
        changed(PLAIN, samples=[{"text": "a", "correct": 1}]),
        "log.jsonl:2: samples[0].correct: is 1: needs true, false or null",
    ),
    (
        changed(PLAIN, samples=[{"text": "a", "step_scores": ["x"]}]),
        'log.jsonl:2: samples[0].step_scores: [0] is "x": needs a finite number',
    ),
    (
        changed(PLAIN, samples=[{"text": "a", "completion_tokens": "x"}]),
        "log.jsonl:2: samples[0].completion_tokens: is a string: needs an integer",
    ),
    ('{"problem": NaN, "samples": [1]}', "log.jsonl:2: problem: is NaN: needs a text"),
]


@pytest.mark.parametrize(
    ("good", "line", "message"),
    [(NATIVE, *bad) for bad in BAD] + [(PLAIN, *bad) for bad in BAD_PLAIN],
)
def test_bad_lines(read, good, line, message):
    with pytest.raises(InputError) as caught:
        read(good, line, good)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    records, notes = read(good, line, good, skip_bad=1)
    assert [record.place.rpartition(":")[2] for record in records] == ["1", "3"]
    assert any(note.startswith(f"skipped {message}") or message in note for note in notes)
    assert notes[-1] == "log.jsonl: 1 bad record skipped, 2 records read"
    with pytest.raises(InputError, match="1 before it skipped"):
        read(good, line, line, skip_bad=1)


def test_unknown_format(read):
    with pytest.raises(InputError, match=r"log.jsonl:1: samples: missing: needs .* got id, scores"):
        read({"id": 1, "scores": [1]})


@pytest.mark.parametrize("name", ["log.jsonl", "log.jsonl.gz"])
def test_a_torn_last_line(read, name):
    raw = (json.dumps(NATIVE) + "\n" + json.dumps(NATIVE)[:40]).encode()
    with pytest.raises(InputError, match=r":2: line: not JSON .* is the file cut short"):
        read(raw=raw, name=name)
    records, _ = read(raw=raw, name=name, skip_bad=1)
    assert len(records) == 1


def test_a_last_line_without_an_end_is_whole(read):
    assert len(read(raw=json.dumps(NATIVE).encode())[0]) == 1


def test_a_torn_gzip_file(tmp_path):
    import random

    generator = random.Random(0)
    rows = [changed(PLAIN, problem=str(generator.random())) for _ in range(200)]
    data = gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())
    path = tmp_path / "log.jsonl.gz"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="is the file cut short"):
        list(read_log(str(path)))
    notes = []
    records = list(read_log(str(path), skip_bad=1, note=notes.append))
    assert 0 < len(records) < 200
    assert "cut short" in notes[-2]


def test_files_that_cannot_be_read(tmp_path, read):
    with pytest.raises(InputError, match=r"nowhere\.jsonl: No such file"):
        list(read_log(str(tmp_path / "nowhere.jsonl"), skip_bad=5))
    pytest.importorskip("pyarrow")
    with pytest.raises(InputError, match="ZSTD"):
        read(raw=b"\x28\xb5\x2f\xfd rest", skip_bad=5)
    with pytest.raises(InputError, match="holds no record"):
        read("", "")


@pytest.mark.parametrize(
    ("name", "problems", "samples", "kind"),
    [
        ("sal_math500_llama31_8b_steps19", 500, 19, "independent"),
        ("sal_math500_beam4x4_llama31_8b", 100, 16, "kept"),
        ("game24_gpt4_tot_bfs_tree", 100, None, "tree"),
        ("native/search_and_learn_beam_n3_llama31_8b", 500, 3, "independent"),
    ],
)
def test_real_logs(real_log, name, problems, samples, kind):
    records = list(read_log(real_log(name)))
    assert len(records) == problems
    assert {record.kind for record in records} == {kind}
    if samples:
        assert {len(record.samples) for record in records} == {samples}


def test_a_real_log_left_by_a_run_that_died(real_log):
    path = real_log("native/search_and_learn_bon_n256_llama32_1b_torn")
    with pytest.raises(InputError, match=":4: line: not JSON"):
        list(read_log(path))
    assert [len(r.samples) for r in read_log(path, skip_bad=1)] == [256] * 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"scores": [[0.5, 1.5], [0.25]]},
            "step_scores: 1.5 of sample 0 is not a number in [0, 1]",
        ),
        ({"scores": [[0.5, 0.9], None]}, "step_scores: sample 1 has none, others have"),
        ({"answer": None}, "gold_answer: missing, and samples are not judged"),
        ({"answer": ""}, "gold_answer: empty, and samples are not judged"),
    ],
)
def test_a_record_that_cannot_be_replayed_is_a_bad_record(tmp_path, changes, message):
    path = str(tmp_path / "log.jsonl")
    with open(path, "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in (NATIVE, NATIVE | changes, NATIVE))
    with pytest.raises(InputError, match=re.escape(f"{path}:2: {message}")):
        list(opened(path, ReplayOptions(), lambda _: None))
    notes = []
    records = list(opened(path, ReplayOptions(skip_bad=1), notes.append))
    assert [record.place for record in records] == [f"{path}:1", f"{path}:3"]
    assert notes[1].startswith(f"skipped {path}:2: {message}")
    assert notes[2] == f"{path}: 1 bad record skipped, 2 records read"
    # Of a tree, nodes are replayed and not what is beside them.
    check_usable(replace(records[0], kind="tree", gold_answer=None))
    # On the scale that the log itself has, its scores are good.
    if "scores" in changes and None not in changes["scores"]:
        assert len(list(opened(path, ReplayOptions(score_scale=2), notes.append))) == 3
