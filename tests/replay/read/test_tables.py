"""Tables as other tools leave them: rows in any order, verdicts in any words, solutions missing."""

import json
import random

import pytest

from dora_theory._errors import InputError
from dora_theory.replay.examined import opened
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.read.formats.columns import parse_map
from dora_theory.replay.read.readers import read_log


@pytest.fixture
def read(tmp_path):
    def run(rows, mapping="", **options):
        path = tmp_path / "log.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        notes = []
        how = {"mapping": parse_map(mapping)} if mapping else {}
        records = list(opened(str(path), ReplayOptions(**how, **options), notes.append))
        return records, [note.replace(f"{path}: ", "") for note in notes]

    return run


def verdicts(records):
    return [[sample.correct for sample in record.samples] for record in records]


def test_rows_of_a_problem_are_one_record_wherever_they_stand(tmp_path, read):
    rows = [{"id": f"T/{p}", "out": f"f{p} {s}", "ok": s == 0} for p in range(5) for s in range(4)]
    mapping = "problem=id,text=out,correct=ok"
    grouped, _ = read(rows, mapping)
    assert [len(record.samples) for record in grouped] == [4] * 5
    interleaved, _ = read(sorted(rows, key=lambda row: row["out"][-1]), mapping)
    assert [r.samples for r in interleaved] == [r.samples for r in grouped]
    random.Random(0).shuffle(rows)
    shuffled, _ = read(rows, mapping)
    assert [r.problem for r in shuffled] == list(dict.fromkeys(row["id"] for row in rows))
    texts = {record.problem: {s.text for s in record.samples} for record in shuffled}
    assert texts == {r.problem: {s.text for s in r.samples} for r in grouped}


def test_a_log_in_order_is_held_one_problem_at_a_time(tmp_path):
    path = tmp_path / "log.jsonl"
    rows = [{"problem": f"{i // 3}", "t": "x"} for i in range(300)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "torn")
    records = read_log(str(path), mapping=parse_map("text=t"), skip_bad=1)
    assert [len(next(records).samples) for _ in range(3)] == [3, 3, 3]


def test_standard_input_is_grouped_too(monkeypatch, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(
        "".join(json.dumps({"problem": p, "t": t}) + "\n" for p, t in ("ax", "by", "az"))
    )
    with path.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        records = list(read_log("-", mapping=parse_map("text=t")))
    assert [[s.text for s in record.samples] for record in records] == [["x", "z"], ["y"]]


def test_missing_solutions_are_failed_attempts(read):
    rows = [{"name": f"t{i}"} | ({"out": "x", "ok": True} if i % 2 else {}) for i in range(20)]
    mapping = "problem=name,text=out,correct=ok"
    records, notes = read(rows, mapping)
    assert verdicts(records) == [[False], [True]] * 10
    assert notes == [
        "10 of 20 solutions are empty or missing and count as failed attempts, unless the log "
        "judges them"
    ]
    with pytest.raises(InputError, match=r"20 of 20 solutions are empty .* named right"):
        read(rows, "problem=name,text=solution,correct=ok")


@pytest.mark.parametrize("empty", ["", " \n", None])
@pytest.mark.parametrize("scores", [[[0.5, 0.9], []], [[0.5, 0.9], None]])
def test_an_empty_completion_is_a_wrong_one(read, empty, scores):
    row = {"problem": "?", "answer": "1", "completions": ["so\n\n\\boxed{1}", empty]}
    (record,), notes = read([row | {"scores": scores}])
    assert verdicts([record]) == [[None, False]]
    assert [s.step_scores for s in record.samples] == [(0.5, 0.9), (0.0,)]
    assert notes[1].startswith(
        "1 of 2 solutions is empty or missing and counts as a failed attempt"
    )
    (record,), _ = read([row])
    assert [s.step_scores for s in record.samples] == [None, None]


def test_what_is_skipped_for_one_field_is_no_random_part(read):
    good = {"problem": "?", "answer": "1", "completions": ["\\boxed{1}"]}
    bad = good | {"completions": [7]}
    records, notes = read([good, bad, good, bad, bad], skip_bad=3)
    assert len(records) == 2
    assert notes[-2].startswith("3 of 3 bad records were skipped for the same field, completions")
    assert notes[-1] == "3 bad records skipped, 2 records read"
    _, notes = read([good, bad], skip_bad=3)
    assert notes[-1] == "1 bad record skipped, 1 record read"
    assert "random" not in "".join(notes)


def test_numbers_are_names_of_problems(read):
    rows = [{"idx": 900 + i, "ys": ["a b", "c d"], "accs": [True, False]} for i in range(3)]
    records, _ = read(rows, "problem=idx,problem_id=idx,completions=ys,correct=accs")
    assert [(r.problem, r.problem_id) for r in records] == [
        (f"{i}", f"{i}") for i in (900, 901, 902)
    ]


@pytest.mark.parametrize(
    ("column", "found"),
    [
        ("resps.0", ["a", "b"]),
        ("resps[0]", ["a", "b"]),
        ("resps.-1", ["c"]),
        ("chat.message.content", ["a", "b"]),
        ("chat[*].message.content", ["a", "b"]),
        ("deep.0.x.y", ["a"]),
        ("a.b", ["dot"]),
        ("c.d.e", ["dots"]),
    ],
)
def test_places_inside_of_columns(read, column, found):
    row = {
        "problem": "?",
        "answer": {"text": "#### 5"},
        "resps": [["a", "b"], ["c"]],
        "chat": [{"message": {"role": "x", "content": text}} for text in "ab"],
        "deep": [{"x": {"y": ["a"]}}],
        "a.b": ["dot"],
        "c": {"d.e": ["dots"]},
    }
    (record,), _ = read([row], f"completions={column},gold_answer=answer.text")
    assert [sample.text for sample in record.samples] == found
    assert record.gold_answer == "5"


def test_a_list_of_lists_is_told_what_to_name(read):
    with pytest.raises(InputError, match=r"resps: \[0\] is a list: needs a text.*resps\.0"):
        read([{"problem": "?", "resps": [["a"]]}], "completions=resps")


def test_the_columns_of_a_row_are_all_named(read):
    names = [f"a_long_name_of_a_column_{i}" for i in range(30)]
    with pytest.raises(InputError, match=", ".join(names)):
        read([dict.fromkeys(names, 1)], "completions=out")
    with pytest.raises(InputError, match=", ".join(names)):
        read([dict.fromkeys(names, 1)])


@pytest.mark.parametrize(
    ("test", "values", "found"),
    [
        ("v", [True, False, 1, 0.0, None], [True, False, True, False, None]),
        ("v", ["passed", "failed: AssertionError", "timed out"], [True, False, False]),
        ("v", ["True", "false"], [True, False]),
        ("v>0", [-1.0, 1.0, 0, 0.1], [False, True, False, True]),
        ("v > 0.5", [0.1, 1.1, None, True], [False, True, None, True]),
        ("v>=1", [1, 0.99, 10**300], [True, False, True]),
        ("v<0.5", [0.1, 0.5], [True, False]),
        ("v<=0.5", [0.1, 0.5, 0.6], [True, True, False]),
        ("v=ok", ["ok", "OK", "error", None], [True, False, False, None]),
        ("v==ok|fine", ["ok", " fine", "bad"], [True, True, False]),
        ("v!=error", ["ok", "error"], [True, False]),
        ("v=2", [2, 2.0, 1, "2"], [True, True, False, True]),
        ("v=true", [True, False], [True, False]),
    ],
)
def test_which_values_are_right(read, test, values, found):
    row = {"problem": "?", "gold": "1", "out": ["x"] * len(values), "v": values}
    (record,), _ = read([row], f"completions=out,gold_answer=gold,correct={test}")
    assert [sample.correct for sample in record.samples] == found


@pytest.mark.parametrize(
    ("test", "value", "message"),
    [
        ("v", "good", "v: is 'good': needs true or false; --map correct=v=VALUE says"),
        ("v", -1.0, "v: is -1.0: needs true or false; --map correct=v>=LIMIT says"),
        ("v", 0.1, "correct=v>=LIMIT"),
        ("v>0", "good", "v: is a string: needs a finite number"),
    ],
)
def test_values_that_are_no_verdicts(read, test, value, message):
    with pytest.raises(InputError) as caught:
        read([{"problem": "?", "out": "x", "v": value}], f"text=out,correct={test}")
    assert message in str(caught.value)
    for limit in ("x", "nan", "inf"):
        with pytest.raises(InputError, match=f"--map: 'v>{limit}': needs a number after >"):
            parse_map(f"text=out,correct=v>{limit}")


def test_tokens_may_be_floats(read):
    row = {"problem": "p", "answer": "1", "completions": ["a", "b", "c"], "scores": [[0.5]] * 3}
    (record,), _ = read([row | {"completion_tokens": [3.0, float("nan"), None]}])
    assert [sample.tokens for sample in record.samples] == [3, None, None]


def test_one_score_for_a_solution(read, tmp_path):
    row = {"problem": "?", "answer": "1", "completions": ["so\n\n\\boxed{1}", "\\boxed{0}"]}
    (record,), notes = read([row | {"scores": [0.9, 0.2]}])
    assert [sample.step_scores for sample in record.samples] == [(0.9,), (0.2,)]
    assert notes[1].startswith("one score for a solution instead of one for a step")
    plain = {"problem": "?", "samples": [{"text": "a", "correct": True, "step_scores": 0.9}]}
    (record,), notes = read([plain])
    assert (record.samples[0].step_scores, record.outcome) == ((0.9,), True)
    rows = [{"problem": "?", "t": t, "ok": True, "r": 0.5} for t in "ab"]
    (record,), notes = read(rows, "text=t,correct=ok,step_scores=r")
    assert [sample.step_scores for sample in record.samples] == [(0.5,), (0.5,)]
    with pytest.raises(InputError, match=r"scores\[1\]: is 2: needs a list of numbers"):
        read([row | {"scores": [[0.5], 2]}])


@pytest.mark.parametrize(
    ("link", "found"),
    [
        ("sigmoid", [(0.5, 0.8807970779778823), (0.11920292202211755,)]),
        ("minmax", [(0.5, 1.0), (0.0,)]),
    ],
)
def test_scores_that_are_no_probabilities(read, tmp_path, link, found):
    row = {"problem": "?", "answer": "1", "completions": ["a\n\n\\boxed{1}", "\\boxed{0}"]}
    (record,), _ = read([row | {"scores": [[0.0, 2.0], [-2.0]]}], score_link=link)
    assert [sample.step_scores for sample in record.samples] == found
    with pytest.raises(InputError, match=r"2 of sample 0 .*--score-link sigmoid .*minmax.*--map"):
        read([row | {"scores": [[0.0, 2.0], [-2.0]]}])


def test_scores_far_from_zero(read):
    row = {"problem": "?", "answer": "1", "completions": ["\\boxed{1}"] * 2}
    (record,), _ = read([row | {"scores": [[1e6], [-1e6]]}], score_link="sigmoid")
    assert [sample.step_scores for sample in record.samples] == [(1.0,), (0.0,)]
    (record,), _ = read([row | {"scores": [[3.0], [3.0]]}], score_link="minmax")
    assert [sample.step_scores for sample in record.samples] == [(0.5,), (0.5,)]
    node = {"step": 0, "parent": -1, "line": "a", "value": 60.0, "solvable": True}
    (record,), _ = read(
        [{"problem": "?", "tree_nodes": [node, node | {"value": 0}]}], score_link="minmax"
    )
    assert [node.value for node in record.nodes] == [1.0, 0.0]


def test_links_that_cannot_be_used():
    with pytest.raises(InputError, match="--score-link: 'log' is none of none, sigmoid, minmax"):
        ReplayOptions(score_link="log")
    with pytest.raises(InputError, match="--score-scale: has no use beside --score-link"):
        ReplayOptions(score_link="minmax", score_scale=2)
    with pytest.raises(InputError, match="minmax reads a log twice"):
        opened("-", ReplayOptions(score_link="minmax"), str)
