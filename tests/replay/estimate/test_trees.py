"""Trees: decisions by hand, and the real tree log."""

import json

import numpy as np
import pytest

from dora_theory._errors import InputError
from dora_theory.io.jsonl import FieldError
from dora_theory.replay.cut.encoders import make_encoder
from dora_theory.replay.estimate.trees import decisions
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.read.record import Node, Record
from dora_theory.replay.read.usable import check_usable
from dora_theory.replay.report.summary import summary
from dora_theory.replay.report.table import table
from dora_theory.replay.run import replay

# Three first steps, of which two leave the same; then a depth where nothing is solvable.
NODES = (
    Node(0, -1, "4 + 6", 0.9, selected=True, state=("10",), solvable=False),
    Node(0, -1, "4 * 6", 0.2, selected=False, state=("24",), solvable=True),
    Node(0, -1, "6 + 4", 0.8, selected=False, state=("10",), solvable=False),
    Node(0, -1, "?", 0.5, selected=False),
    Node(1, 0, "10", 0.1, selected=True, state=("10",), solvable=False),
)


def record(nodes=NODES):
    return Record("log:1", "p", "make 24", None, (), kind="tree", nodes=nodes)


def test_decisions():
    (made,) = decisions(record(), make_encoder(), ReplayOptions())
    order = np.argsort(made.candidates.scores)
    assert made.candidates.scores[order].tolist() == [0.2, 0.8, 0.9]
    good, *bad = made.candidates.directions[order]
    assert good not in bad
    assert bad[0] == bad[1]
    assert made.candidates.correct[order].tolist() == [True, False, False]
    assert made.kept is False


def test_without_states_directions_are_clustered():
    bare = tuple(Node(0, -1, n.text, n.value, solvable=n.solvable) for n in NODES[:3])
    (made,) = decisions(record(bare), make_encoder(), ReplayOptions())
    good, *bad = made.candidates.directions[np.argsort(made.candidates.scores)]
    assert good not in bad
    assert bad[0] == bad[1]
    assert made.kept is None


def test_values_on_another_scale():
    votes = record((*NODES, Node(0, -1, "6", 60.0, solvable=True)))
    with pytest.raises(
        FieldError, match=r"60 of node 5 is not a number in \[0, 1\]; --score-scale"
    ):
        check_usable(votes)
    check_usable(votes, score_scale=60)
    (made,) = decisions(votes, make_encoder(), ReplayOptions(score_scale=60))
    assert made.candidates.scores.max() == 1


def line(nodes=NODES):
    rows = [
        {
            "step": n.step,
            "parent": n.parent,
            "line": n.text,
            "value": n.value,
            "selected": n.selected,
            "left": None if n.state is None else list(n.state),
            "solvable": n.solvable,
        }
        for n in nodes
    ]
    return json.dumps({"problem": "p", "tree_nodes": rows}) + "\n"


SKIPPING = ReplayOptions(skip_bad=1, budgets=(1,), strategies=("temperature",))


def test_a_tree_whose_values_cannot_be_used_is_a_bad_record(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(line() + line((*NODES, Node(0, -1, "6", 60.0))) + line())
    with pytest.raises(InputError, match=r":2: tree_nodes: 60 of node 5 is not a number"):
        replay(str(path))
    found = replay(str(path), SKIPPING)
    assert len(found.directions) == 2
    assert any("1 bad record skipped, 2 records read" in note for note in found.notes)


def test_what_is_no_tree_among_trees_is_a_bad_record(tmp_path):
    path = tmp_path / "log.jsonl"
    sample = {"text": "24", "correct": True}
    path.write_text(line() + json.dumps({"problem": "p", "samples": [sample]}) + "\n" + line())
    with pytest.raises(InputError, match=r":2: tree_nodes: missing"):
        replay(str(path))
    assert len(replay(str(path), SKIPPING).directions) == 2


def test_replay(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(line())
    options = ReplayOptions(budgets=(1, 3), strategies=("rebase", "temperature", "beam"))
    found = replay(str(path), options)
    # One rollout goes to the best, which is none, and blindly to one of three; three go to all only
    # if they are spread.
    assert found.lower[..., 0] == pytest.approx(np.array([[0, 0], [1 / 3, 1], [0, 0]]))
    document = json.loads(json.dumps(summary(found), allow_nan=False))
    assert (document["kind"], document["problems"], document["samples"]) == ("tree", 1, 5)
    # Of one problem nothing but 95% of chance is known.
    assert document["search"] == {"success": 0, "low": 0, "high": pytest.approx(0.975)}
    assert "Node by node" in document["caveat"]
    assert "logged search" in table(document)


def test_the_real_tree_log(real_log):
    path = real_log("game24_gpt4_tot_bfs_tree")
    options = ReplayOptions(budgets=(5, 16), strategies=("temperature", "rebase"), score_scale=60)
    found = replay(path, options)
    assert (found.kind, found.search.shape) == ("tree", found.directions.shape)
    # More rollouts reach more, and five of the best no fewer than five of the first.
    assert (np.diff(found.lower.mean(-1), axis=-1) > 0).all()
    assert found.lower[1, 0].mean() > found.lower[0, 0].mean()
