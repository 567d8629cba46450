"""Each format, from rows written here after what the tools' own code writes."""

import json

import pytest

from dora_theory._errors import InputError
from dora_theory.replay.grade.final_answers import final_answer
from dora_theory.replay.options import LOG_FORMATS
from dora_theory.replay.read.formats import FORMATS, columns
from dora_theory.replay.read.readers import read_log
from dora_theory.replay.read.record import Node, Sample

TWO = ["so\n\n\\boxed{2}", "\\boxed{3}"]
BEST_OF_N = {
    "problem": "1 + 1?",
    "solution": "two",
    "answer": "2",
    "unique_id": "a/1",
    "level": 3,
    "completions": TWO,
    "scores": [[0.5, 0.9], [0.25]],
    "pred": TWO[0],
    "completion_tokens": [7, 9],
    "agg_scores": [0.9, 0.25],
    "pred_weighted@1": "\\boxed{2}",
    "pred_maj@2": "\\boxed{3}",
}
DVTS = {**BEST_OF_N, "completion_tokens": -1}
FORK = {
    **BEST_OF_N,
    "idx": 4,
    "quality_results": [0.1, 0.2],
    "diversity_results": [0.0, 0.0],
    "completions@2": TWO,
    "agg_scores@2": [0.9, 0.25],
    "preds@2": ["\\boxed{2}", "\\boxed{}"],
}
REBASE = {
    "id": 3,
    "question": "1 + 1?",
    "model_answer": [
        {"text": "Solve: 1 + 1?\nStep 1: one.\nThe answer is 2.", "step_scores": [0.5, 0.75]},
        {"text": "Solve: 1 + 1?\nStep 1: \\boxed{3}", "step_scores": [0.25]},
    ],
    "ground_truth_answer": "One more. #### 2",
    "total_tokens": 90,
}
SAMPLED = {
    **REBASE,
    "model_answer": [{"text": "Solve: 1 + 1?\nThe answer is: $2$", "num_gen_tokens": 12}],
    "ground_truth_answer": "So $\\boxed{2}$.",
}
OPENR = {
    "question": "1 + 1?",
    "groundtruth": "So $\\boxed{2}$.",
    "result": {"majority_vote": 1, "total_completion_tokens": 30},
    "output": [
        {"path_idx": 0, "text": TWO[0], "value": [0.5, 0.9], "completion_tokens": 7},
        {"path_idx": 1, "text": TWO[1], "value": [0.25], "completion_tokens": 0},
    ],
}
SEARCHED = {
    **OPENR,
    "output": [
        {"text": TWO[0], "value": [0], "extracted_answer": "2", "tree_completion_tokens": 9}
    ],
}
TREE = {
    "problem": "Make 24 of 4 6",
    "tree_nodes": [
        {"step": 0, "parent": -1, "line": "4 + 6 = 10", "value": 1.5, "selected": True},
        {"step": 0, "parent": -1, "line": "4 * 6 = 24", "value": 60, "left": ["24"]},
        {"step": 1, "parent": 1, "line": "24", "value": 0, "left": ["b", "a"], "solvable": True},
    ],
}


@pytest.fixture
def read(tmp_path):
    def run(*rows, **options):
        path = tmp_path / "log.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        notes = []
        return list(read_log(str(path), note=notes.append, **options)), notes

    return run


@pytest.mark.parametrize(
    ("row", "name", "kind"),
    [
        (BEST_OF_N, "search-and-learn", "independent"),
        (DVTS, "search-and-learn", "kept"),
        (FORK, "dora", "kept"),
        ({k: v for k, v in FORK.items() if "_results" not in k}, "dora", "independent"),
        (REBASE, "rebase", "kept"),
        (SAMPLED, "rebase", "independent"),
        (OPENR, "openr", "independent"),
        (SEARCHED, "openr", "kept"),
        (TREE, "plain", "tree"),
    ],
)
def test_formats_are_told_apart(read, row, name, kind):
    (record,), notes = read(row)
    assert record.kind == kind
    assert notes[0].endswith(f"read as a log of the {name} format")
    assert record.problem == row.get("problem", "1 + 1?")
    (forced,), notes = read(row, log_format=name)
    assert (forced, notes) == (record, [])


def test_search_and_learn(read):
    (record,), _ = read(BEST_OF_N)
    assert record.samples == (
        Sample(TWO[0], step_scores=(0.5, 0.9), tokens=7, aggregate=0.9),
        Sample(TWO[1], step_scores=(0.25,), tokens=9, aggregate=0.25),
    )
    assert record.votes == (("weighted@1", "\\boxed{2}"), ("maj@2", "\\boxed{3}"))


def test_the_fork_keeps_the_answers(read):
    (record,), _ = read(FORK)
    assert [sample.final_answer for sample in record.samples] == ["2", ""]


def test_rebase(read):
    (record, other), _ = read(REBASE, SAMPLED)
    assert (record.problem_id, record.gold_answer) == ("3", "2")
    assert record.samples == (
        Sample("Step 1: one.\nThe answer is 2.", step_scores=(0.5, 0.75)),
        Sample("Step 1: \\boxed{3}", step_scores=(0.25,)),
    )
    assert other.samples == (Sample("The answer is: $2$", tokens=12),)
    assert [final_answer(r.samples[0].text) for r in (record, other)] == ["2", "2"]
    assert other.gold_answer == "2"


def test_openr(read):
    (record, other), _ = read(OPENR, SEARCHED)
    assert record.gold_answer == "2"
    assert record.samples[0] == Sample(TWO[0], step_scores=(0.5, 0.9), tokens=7)
    assert record.samples[1].tokens is None
    assert other.samples == (Sample(TWO[0], final_answer="2"),)


def test_trees(read):
    (record,), _ = read(TREE)
    assert record.samples == ()
    assert record.nodes == (
        Node(0, -1, "4 + 6 = 10", 1.5, selected=True),
        Node(0, -1, "4 * 6 = 24", 60.0, state=("24",)),
        Node(1, 1, "24", 0.0, state=("a", "b"), solvable=True),
    )


def changed(row, **fields):
    return row | fields


def node(**fields):
    return {"problem": "p", "tree_nodes": [TREE["tree_nodes"][0] | fields]}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (changed(BEST_OF_N, agg_scores=[1]), "agg_scores: has length 1, but completions has"),
        (changed(BEST_OF_N, agg_scores=[1, "x"]), "agg_scores[1]: is a string: needs a finite"),
        (changed(BEST_OF_N, **{"pred_maj@2": [1]}), "pred_maj@2: is a list"),
        (changed(FORK, quality_results=["x"]), 'quality_results: [0] is "x"'),
        (changed(FORK, **{"preds@2": ["x"]}), "preds@2: has length 1"),
        (changed(REBASE, model_answer={}), "model_answer: needs a list, got an object"),
        (changed(REBASE, model_answer=["x"]), "model_answer[0]: is a string: needs an object"),
        (changed(REBASE, question=None), "question: missing"),
        (changed(OPENR, output=[{"text": 1}]), "output[0].text: is 1: needs a text"),
        (changed(OPENR, output=[{"text": "", "value": 1}]), "output[0].value: is 1"),
        (node(parent=0), "tree_nodes[0].parent: is 0 at step 0: needs an earlier node"),
        (node(step=1), "tree_nodes[0].parent: is -1 at step 1"),
        (node(step=True), "tree_nodes[0].step: is true: needs an integer"),
        (node(value=None), "tree_nodes[0].value: missing"),
        (node(value=10**400), "tree_nodes[0].value: is 1000"),
        (node(left="x"), "tree_nodes[0].left: is a string: needs a list"),
        (node(solvable="yes"), "tree_nodes[0].solvable: is a string: needs true, false"),
    ],
)
def test_bad_rows(read, row, message):
    with pytest.raises(InputError) as caught:
        read(row)
    assert f"log.jsonl:1: {message}" in str(caught.value)


def test_a_format_that_the_log_is_not_of(read):
    with pytest.raises(InputError, match=r"log.jsonl:1: completions: missing"):
        read(REBASE, log_format="search-and-learn")
    with pytest.raises(InputError, match=r"samples: missing: needs .*\(rebase\).* got idea"):
        read({"idea": 1})


def test_names_are_those_of_the_options():
    assert tuple(FORMATS) == LOG_FORMATS


def test_columns_of_lists(read):
    row = {
        "q": "1 + 1?",
        "meta": {"gold": 2, "a.b": 3},
        "out": TWO,
        "prm": [[0.5, 0.9], None],
        "ok": [1, False],
        "len": [7, None],
    }
    text = "problem=q, gold_answer=meta.gold,completions=out,step_scores=prm,correct=ok,tokens=len"
    (record,), _ = read(row, mapping=columns.parse_map(text))
    assert (record.problem, record.gold_answer, record.problem_id) == ("1 + 1?", "2", "row 1")
    assert record.samples == (
        Sample(TWO[0], correct=True, step_scores=(0.5, 0.9), tokens=7),
        Sample(TWO[1], correct=False),
    )


def test_columns_of_single_solutions(read):
    rows = [{"problem": p, "t": t, "y": 2} for p, t in zip("aabba", "vwxyz", strict=True)]
    found, _ = read(*rows, mapping=columns.parse_map("text=t,gold_answer=y"))
    assert [(r.problem, "".join(s.text for s in r.samples)) for r in found] == [
        ("a", "vwz"),
        ("b", "xy"),
    ]
    assert [r.place.rpartition(":")[2] for r in found] == ["1", "3"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"problem": "p", "out": "x"}, "out: needs a list, got a string"),
        ({"problem": "p", "out": ["x", 1]}, "out: \\[1\\] is 1: needs a text"),
        (
            {"problem": "p", "out": ["x"], "ok": ["yes"]},
            "ok\\[0\\]: is 'yes': needs true or false; --map correct=ok=VALUE",
        ),
        ({"out": ["x"]}, "problem: missing"),
    ],
)
def test_bad_columns_are_named_as_in_the_table(read, row, message):
    with pytest.raises(InputError, match=f"log.jsonl:1: {message}"):
        read(row, mapping=columns.parse_map("completions=out,correct=ok"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("problem=q", "needs completions=COLUMN"),
        ("completions=a,text=b", "needs completions=COLUMN"),
        ("completions", "'completions': needs field=column"),
        ("completions=", "needs field=column"),
        ("text=a,text=b", "text appears twice"),
        ("text=a,answer=b", "'answer' is none of problem, problem_id, gold_answer"),
    ],
)
def test_bad_maps(text, message):
    with pytest.raises(InputError, match=f"^--map: .*{message}"):
        columns.parse_map(text)


def test_real_logs_of_the_tools_themselves(real_log):
    path = real_log("native/search_and_learn_bon_n16_llama31_8b")
    record = next(read_log(path))
    assert {f"{how}@{n}" for how in ("weighted", "maj", "naive") for n in (1, 2, 4, 8, 16)} == {
        name for name, _ in record.votes
    }
    for sample in record.samples:
        assert sample.aggregate == sample.step_scores[-1]
