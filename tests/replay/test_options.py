"""Options out of their range are named."""

import pytest

import dora_theory as dt
from dora_theory._errors import InputError
from dora_theory.replay.options import ReplayOptions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budgets": ()}, "--budgets: needs different values"),
        ({"budgets": (4, 4)}, "--budgets: needs different values"),
        ({"budgets": (0,)}, "--budgets: 0: needs an integer in"),
        ({"strategies": ("rebase", "luck")}, "--strategies: 'luck' is none of temperature"),
        ({"steps": 0}, "--steps: 0"),
        ({"beam_width": 0}, "--beam-width: 0"),
        ({"seed": -1}, "--seed: -1"),
        ({"skip_bad": -1}, "--skip-bad: -1"),
        ({"threshold": 2.5}, "--threshold: 2.5"),
        ({"threshold": float("nan")}, "--threshold: nan"),
        ({"concentration": 0.0}, "--kappa: 0: needs a number in"),
        ({"score_scale": float("inf")}, "--score-scale: inf"),
        ({"resamples": 1}, "--resamples: 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError) as caught:
        ReplayOptions(**options)
    assert message in str(caught.value)


def test_budgets_are_sorted():
    assert ReplayOptions(budgets=(16, 4)).budgets == (4, 16)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"strategies": "rebase"}, "strategies = 'rebase': needs"), ({"budgets": 4}, "budgets = 4")],
)
def test_one_where_several_are_wanted_is_named(options, message):
    with pytest.raises(TypeError, match=message):
        dt.replay("log.jsonl", **options)
