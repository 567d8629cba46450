"""Whether a record can be replayed: what its format allows, and no estimate can be made of.

Such a record is bad as one that cannot be read, and is counted, skipped or refused with those.
"""

from dora_theory.io.jsonl import FieldError
from dora_theory.replay.read.links import Link, linked
from dora_theory.replay.read.record import Record


def check_usable(record: Record, score_scale: float = 1.0) -> None:
    """`FieldError` unless a record can be replayed.

    Args:
        record: its scores linked.
        score_scale: scores are divided by it, 1 for probabilities.

    Raises:
        FieldError: a score, or the value of a tree's node, outside [0, 1] after scaling, samples
            with and without scores, or samples that neither the log judges nor a right answer.
    """
    # Of a tree its nodes are replayed, whatever is said of its solutions.
    samples = () if record.kind == "tree" else record.samples
    for i, node in enumerate(record.nodes):
        _check_range("tree_nodes", node.value, score_scale, f"of node {i}")
    has = [sample.step_scores is not None for sample in samples]
    if any(has) and not all(has) and not record.repaired:
        raise FieldError("step_scores", f"sample {has.index(False)} has none, others have")
    for i, sample in enumerate(samples):
        for score in sample.step_scores or ():
            _check_range("step_scores", score, score_scale, f"of sample {i}")
    if not record.gold_answer and any(sample.correct is None for sample in samples):
        what = "missing" if record.gold_answer is None else "empty"
        raise FieldError("gold_answer", f"{what}, and samples are not judged")


class OneKind:
    """`linked` and `check_usable`, and whether all records are of the kind of the first."""

    def __init__(self, score_scale: float = 1.0, link: Link | None = None) -> None:
        """Makes a check.

        Args:
            score_scale: scores are divided by it.
            link: makes probabilities of scores, none if None.
        """
        self._scale, self._link = score_scale, link or Link()
        self._tree: bool | None = None

    def __call__(self, record: Record) -> Record:
        """The record, linked; `FieldError` if it cannot be replayed with those before it."""
        record = linked(record, self._link)
        check_usable(record, self._scale)
        tree = record.kind == "tree"
        if self._tree is not None and tree != self._tree:
            what = "a tree among solutions" if tree else "missing, records before it have some"
            raise FieldError("tree_nodes", what)
        self._tree = tree
        return record


def _check_range(field: str, score: float, scale: float, of: str) -> None:
    if not 0 <= score / scale <= 1:
        divided = f" / {scale:g}" if scale != 1 else ""
        raise FieldError(
            field,
            f"{score:g}{divided} {of} is not a number in [0, 1]; --score-scale divides scores on "
            "another scale, --score-link sigmoid takes log odds, --score-link minmax any numbers, "
            "and --map without step_scores leaves scores out",
        )
