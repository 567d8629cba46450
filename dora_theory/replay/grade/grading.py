"""Which solutions of a log are right, and how many of them state an answer that can be read."""

from collections.abc import Iterator
from dataclasses import replace

from dora_theory._errors import InputError, agree, amount
from dora_theory.replay.grade.correctness import Judge
from dora_theory.replay.grade.final_answers import final_answer
from dora_theory.replay.read.record import Record

_HINT = (
    r"name the column of answers or of verdicts (--map …,final_answer=COLUMN or …,correct=COLUMN); "
    r"in a solution, \boxed{5}, The answer is 5, A: 5 and #### 5 are read"
)


def judged(record: Record, judge: Judge) -> Record:
    """The record with every sample judged: by the log where it says, else by its final answer.

    Args:
        record: the record.
        judge: compares the answers; counts the solutions it had to read, and those it could not.

    Returns:
        The record; a sample whose solution states no answer is wrong.

    Raises:
        InputError: a sample is not judged and there is no right answer to judge it by.
    """
    if all(sample.correct is not None for sample in record.samples):
        return record
    if record.gold_answer is None:
        raise InputError(f"{record.place}: gold_answer: missing, and samples are not judged")
    samples = []
    for sample in record.samples:
        if sample.correct is None:
            answer = sample.final_answer or final_answer(sample.text)
            judge.graded += 1
            judge.unread += answer is None
            right = answer is not None and judge.same(record.gold_answer, answer)
            sample = replace(sample, final_answer=answer, correct=right)
        samples.append(sample)
    return replace(record, samples=tuple(samples))


def grading_notes(log: str, judge: Judge) -> Iterator[str]:
    """What is to be said of the judging of a log, when all of its records have passed.

    Args:
        log: its name.
        judge: that has judged them.

    Yields:
        One line each.

    Raises:
        InputError: no solution states an answer that can be read.
    """
    if judge.graded:
        share = (
            f"{judge.unread} of {amount(judge.graded, 'solution')} "
            f"({judge.unread / judge.graded:.1%}) {agree(judge.unread, 'state')}"
        )
        if judge.unread == judge.graded:
            raise InputError(f"{log}: {share} no answer that can be read: {_HINT}")
        wrong = f", and {agree(judge.unread, 'count')} as wrong" if judge.unread else ""
        hint = f": {_HINT}" if 2 * judge.unread > judge.graded else ""
        yield f"{log}: {share} no answer that can be read{wrong}{hint}"
    if judge.undecided:
        yield (
            f"{log}: {amount(judge.undecided, 'answer')} took too long to judge and "
            f"{agree(judge.undecided, 'count')} as wrong"
        )
