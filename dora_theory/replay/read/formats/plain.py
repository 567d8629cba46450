"""The plain format: a problem with `samples`, and for a tree search `tree_nodes`.

`problem_id`, `problem`, `gold_answer` and `samples`, objects with `text`, and if there
`final_answer`, `correct`, `step_scores`, `completion_tokens`, `method`. A node of a tree has
`step`, `parent`, `line`, `value`, and if there `selected`, `left` (what is left to solve),
`solvable`, and `step_valid`: from a step that is false nothing is solved, whatever it leaves.
"""

from typing import Any

from dora_theory._errors import short
from dora_theory.io.jsonl import FieldError
from dora_theory.replay.grade.final_answers import gold_of
from dora_theory.replay.read.formats import fields
from dora_theory.replay.read.record import Kind, Node, Record, Sample


def known(row: dict[str, Any]) -> bool:
    """Whether a row is of this format."""
    return "samples" in row or "tree_nodes" in row


def parse(row: dict[str, Any], place: str) -> Record:
    """The record of a row; `FieldError` if the row cannot be used."""
    problem = fields.required(row, "problem")
    tree = row.get("tree_nodes") is not None
    # A tree may come without the paths that a reader of samples wants.
    bare = tree and row.get("samples") is None
    entries = [] if bare else fields.entries(row, "samples", "sample")
    samples, methods, outcome = [], set(), list[bool]()
    for i, entry in enumerate(entries):
        where = f"samples[{i}]"
        if not isinstance(entry, dict):
            raise FieldError(where, f"is {fields.described(entry)}: needs an object")
        tokens, scores = entry.get("completion_tokens"), entry.get("step_scores")
        outcome.append(type(scores) in (int, float))
        samples.append(
            Sample(
                text=fields.solution(entry, "text", f"{where}."),
                final_answer=fields.optional(entry, "final_answer", f"{where}."),
                correct=fields.verdict(f"{where}.correct", entry.get("correct")),
                step_scores=fields.step_scores(
                    f"{where}.step_scores", "", [scores] if outcome[i] else scores
                ),
                tokens=fields.tokens(f"{where}.completion_tokens", "", tokens),
            )
        )
        methods.add(fields.optional(entry, "method", f"{where}.") or "")
    return Record(
        place=place,
        problem_id=fields.optional(row, "problem_id") or fields.row_name(place),
        problem=problem,
        gold_answer=gold_of(fields.optional(row, "gold_answer")),
        samples=tuple(samples),
        kind=_kind_of(tree, methods),
        level=fields.optional(row, "level"),
        subject=fields.optional(row, "subject"),
        nodes=_nodes(row) if tree else (),
        outcome=any(outcome),
    )


def _kind_of(tree: bool, methods: set[str]) -> Kind:
    if tree:
        return "tree"
    # What a search has pruned are no draws: the good ones are left.
    return "kept" if any(m.endswith("_pruned") for m in methods) else "independent"


def _nodes(row: dict[str, Any]) -> tuple[Node, ...]:
    nodes: list[Node] = []
    for i, entry in enumerate(fields.entries(row, "tree_nodes", "node")):
        where = f"tree_nodes[{i}]"
        if not isinstance(entry, dict):
            raise FieldError(where, f"is {fields.described(entry)}: needs an object")
        step, parent = (_place(f"{where}.{name}", entry.get(name)) for name in ("step", "parent"))
        # Parents first, so that there are no circles and a depth is what it says.
        depth = -1 if parent == -1 else nodes[parent].step if 0 <= parent < i else None
        if depth is None or step != depth + 1:
            raise FieldError(
                f"{where}.parent",
                f"is {short(str(parent))} at step {short(str(step))}: needs an earlier node of the "
                "step before, -1 for the "
                "first step",
            )
        solvable = fields.verdict(f"{where}.solvable", entry.get("solvable"))
        value = fields.number(f"{where}.value", entry.get("value"))
        if value is None:
            raise FieldError(f"{where}.value", "missing")
        nodes.append(
            Node(
                step=step,
                parent=parent,
                text=fields.required(entry, "line", f"{where}."),
                value=value,
                selected=fields.verdict(f"{where}.selected", entry.get("selected")),
                state=_state(f"{where}.left", entry.get("left")),
                solvable=False if entry.get("step_valid") is False else solvable,
            )
        )
    return tuple(nodes)


def _place(field: str, value: Any) -> int:
    if type(value) is not int:
        raise FieldError(field, f"is {fields.described(value)}: needs an integer")
    return value


def _state(field: str, value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(
        isinstance(part, str | int | float) for part in value
    ):
        raise FieldError(field, f"is {fields.described(value)}: needs a list of texts and numbers")
    return tuple(sorted(map(str, value)))
