"""T_s fitted on each half of a log for the other, so that no problem's outcomes choose its own."""

from dataclasses import replace
from functools import partial

import numpy as np

from dora_theory._errors import InputError
from dora_theory.replay.calibrate.counts import EDGE, concentration_of, counts_of, directions_of
from dora_theory.replay.calibrate.log_length import Alike, alike, length_of_log
from dora_theory.replay.cut.cutting import cut
from dora_theory.replay.cut.encoders import Encoder
from dora_theory.replay.examined import Examined, Note
from dora_theory.replay.grade.correctness import Judge
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.read.record import Record
from dora_theory.replay.workers import Workers


def fitted_halves(
    path: str,
    options: ReplayOptions,
    judge: Judge,
    encoder: Encoder,
    note: Note,
    workers: Workers,
) -> tuple[ReplayOptions, ReplayOptions]:
    """The options of each half of the problems, by the remainder of their keys.

    Args:
        path: a log, which is read once more.
        options: how to read and cut it.
        judge: compares answers.
        encoder: embeds prefixes.
        note: called with what is doubtful about the fits.
        workers: who judges and cuts.

    Returns:
        The options, with the T_s that fits the outcomes of the other half; their own T_s where
        that half supports none.

    Raises:
        InputError: a half without scored problems.
    """
    rows: tuple[list, list] = ([], [])
    pairs: tuple[list[Alike], list[Alike]] = ([], [])
    log = Examined(path, options, judge, lambda _: None, workers)
    for of_one in log.solutions(partial(_seen, options, encoder)):
        if of_one is not None:
            half, counts, pair = of_one
            rows[half].extend(counts)
            pairs[half].append(pair)
    found = []
    for half in (0, 1):
        other = 1 - half
        if not rows[other]:
            raise InputError(f"{path}: too few scored problems to fit T_s on half of them")
        fit = length_of_log(pairs[other], concentration_of(counts_of(rows[other]), "calibrated"))
        if fit is None or not fit["supported"]:
            note(
                f"{path}: one half of the problems supports no T_s; the other keeps "
                f"{options.similarity_temperature:g}"
            )
            found.append(options)
        else:
            length = float(np.clip(fit["similarity_temperature"], 1e-6, 1e6))
            found.append(replace(options, similarity_temperature=length))
    return found[0], found[1]


def _seen(
    options: ReplayOptions, encoder: Encoder, record: Record
) -> tuple[int, list[tuple], Alike] | None:
    """The half of a record, its directions and its pairs; None if it tells nothing."""
    seen = cut(record, options, encoder)
    if not seen.scored or seen.finished.all():
        return None
    going = ~seen.finished
    scores, correct = seen.scores[going], seen.correct[going]
    t = options.quality_temperature
    rows = list(directions_of(scores, seen.directions[going], correct, t, ""))
    return seen.key % 2, rows, alike(scores, correct, seen.embeddings[going], EDGE)
