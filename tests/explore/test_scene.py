"""Settings of the page: what they mean, and what they refuse."""

from dataclasses import replace

import numpy as np
import pytest

from dora_theory.errors import InputError
from dora_theory.explore.scene import Scene, numbers


def test_noise_belongs_to_candidates_and_comes_from_the_seed():
    scene = Scene(noise=0.1)
    assert np.array_equal(scene.observed, Scene(noise=0.1).observed)
    assert not np.array_equal(scene.observed, replace(scene, seed=1).observed)
    # A candidate more leaves the others as they were.
    assert np.array_equal(replace(scene, sizes=(12, 3, 2)).observed[:16], scene.observed)
    many = Scene(sizes=(64,), scores=(0.5,), noise=0.1).observed
    assert abs(many.std() - 0.1) < 0.03


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": (12, 3)}, "3 of them for 2 directions"),
        ({"sizes": (60, 3, 2)}, "sum at most 64"),
        ({"sizes": (0, 3, 2)}, "sizes"),
        ({"sizes": (1,) * 9, "scores": (0.5,) * 9}, "1 to 8 directions"),
        ({"scores": (0.8, float("nan"), 0.8)}, "scores = nan"),
        ({"scores": (0.8, 1.5, 0.8)}, "scores = 1.5"),
        ({"across": 0.96}, "inside = 0.95: needs a number from 0.96 to 1"),
        ({"budget": 257}, "budget = 257"),
        ({"concentration": 0.0}, "concentration = 0"),
        ({"within_concentration": 0.0}, "within_concentration = 0"),
    ],
)
def test_what_cannot_be_is_named(changes, message):
    with pytest.raises(InputError, match=message):
        Scene(**changes)


def test_numbers_are_read_with_commas_or_blanks():
    assert numbers("12, 3 1", "sizes", int) == (12, 3, 1)
    with pytest.raises(InputError, match="sizes: 'a' is not a whole number"):
        numbers("12, a", "sizes", int)
    with pytest.raises(InputError, match=r"sizes: '1.5' is not a whole number"):
        numbers("1.5", "sizes", int)
