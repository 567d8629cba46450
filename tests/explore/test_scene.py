"""Settings of the page: what they mean, and what they refuse."""

from dataclasses import replace

import numpy as np
import pytest

from dora_theory._errors import InputError
from dora_theory.explore.scene import Scene
from dora_theory.explore.words import whole


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
        ({"scores": (0.8, float("nan"), 0.8)}, "score = nan"),
        ({"scores": (0.8, 1.5, 0.8)}, "score = 1.5"),
        (
            {"similarity_between": 0.96},
            "within a direction = 0.95: needs at least that between directions, 0.96",
        ),
        ({"budget": 257}, "N = 257"),
        ({"concentration": 0.0}, "κ = 0"),
        ({"within_concentration": 0.0}, "ν = 0"),
    ],
)
def test_what_cannot_be_is_named(changes, message):
    with pytest.raises(InputError, match=message):
        Scene(**changes)


@pytest.mark.parametrize(
    ("value", "held"), [(None, "an empty field"), (2.5, "2.5"), (float("nan"), "nan")]
)
def test_a_number_field_without_a_whole_number_is_named(value, held):
    assert whole("problem", 3.0) == 3
    with pytest.raises(InputError, match=f"problem: needs an integer, and got {held}"):
        whole("problem", value)
