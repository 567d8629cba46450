"""From a record to its candidates, as the options say."""

from functools import partial

from dora_theory._errors import InputError
from dora_theory.replay.cut.candidates import Candidates, candidates
from dora_theory.replay.cut.encoder_cache import CachedEncoder
from dora_theory.replay.cut.encoders import SENTENCE, Encoder, make_encoder
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.read.record import Record


def encoder_of(options: ReplayOptions) -> Encoder:
    """The encoder that the options name, with its cache if they name one.

    Args:
        options: `encoder` and `encoder_cache`.

    Returns:
        The encoder.

    Raises:
        InputError: there is no such encoder, or its embeddings cannot be kept.
    """
    name, cache = options.encoder, options.encoder_cache
    if not cache:
        return make_encoder(name)
    if not name.startswith(SENTENCE):
        raise InputError(
            f"--encoder-cache: {name} has nothing to keep: its embedding of a text depends on the "
            "other texts of the problem"
        )
    return CachedEncoder(name, cache, partial(make_encoder, name))


def cut(record: Record, options: ReplayOptions, encoder: Encoder) -> Candidates:
    """The candidates of a record as they are, judged or not; of those not judged none is right."""
    return candidates(
        record,
        encoder,
        steps=options.steps,
        step_end=options.step_end,
        threshold=options.threshold,
        score_scale=options.score_scale,
        votes=options.votes > 0,
        costs=options.by_cost,
    )
