"""Problems in a batch: padded, given back, refused where rows do not fit."""

import numpy as np
import pytest

import dora_theory as dt

ROWS = [
    {"scores": [0.1, 0.2, 0.3], "directions": [0, 2, 1], "embeddings": [[1, 0], [0, 1], [1, 1]]},
    {"scores": [0.4], "directions": [0], "embeddings": [[2]]},
]


def test_there_and_back():
    problems = dt.Problems.from_rows(ROWS)
    assert problems.mask.tolist() == [[True] * 3, [True, False, False]]
    assert problems.embeddings.shape == (2, 3, 2)
    assert problems.directions_bound == 3
    back = problems.to_rows()
    assert [row["scores"].tolist() for row in back] == [[0.1, 0.2, 0.3], [0.4]]
    assert back[0]["directions"].tolist() == [0, 2, 1]
    again = dt.Problems.from_rows(back)
    np.testing.assert_array_equal(again.scores, problems.scores)
    wide = dt.Problems.from_rows(ROWS, at_least={"k": 8, "g": 4})
    assert wide.scores.shape == (2, 8)
    assert wide.directions_bound == 4


def test_padding_changes_nothing():
    for strategy in ("rebase", "dora", "temperature", "direction-optimal"):
        options = dt.Options(concentration=2.0)
        together = dt.allocate(dt.Problems.from_rows(ROWS), strategy, 5, options)
        wide = dt.Problems.from_rows(ROWS, at_least={"k": 8, "d": 4, "g": 8})
        assert dt.allocate(wide, strategy, 5, options)[:, :3].tolist() == together.tolist()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "needs at least one problem"),
        ([[]], r"rows\[0\]: needs at least one candidate"),
        ([[0.1], ["a"]], r"rows\[1\]: scores: needs numbers"),
        ([[0.1], {"weights": [0.1]}], r"rows\[1\]: has other fields than rows\[0\]"),
        ([{"score": [0.1]}], r"rows\[0\]: score: unknown"),
        ([{"scores": [0.1], "embeddings": np.ones((3, 2))}], "embeddings has 3 entries where"),
        ([{"scores": [0.1], "directions": [-1]}], "directions: needs integers from 0 on"),
        ([{"scores": [0.1], "directions": [1], "quality": [1.0]}], "1 is beyond its weights"),
    ],
)
def test_rows_that_do_not_fit(rows, message):
    with pytest.raises(ValueError, match=message):
        dt.Problems.from_rows(rows)


@pytest.mark.parametrize(
    ("strategy", "options", "message"),
    [
        ("dora", {}, "needs embeddings or similarity"),
        ("optimal", {}, "needs concentration"),
        ("direction-optimal", {"concentration": 1.0}, "needs directions"),
        ("oracle", {"concentration": 1.0}, "needs directions"),
        ("optimal", {"concentration": 1.0, "literal": True}, "has no other rounding"),
        ("rebase", {"quality_temperature": 0}, "quality_temperature = 0: needs a positive number"),
        ("beam", {"beam_width": 0}, "beam_width = 0: needs an integer"),
        ("rebase", {"pool": "median"}, "pool = 'median': needs one of"),
    ],
)
def test_what_is_missing_is_named(strategy, options, message):
    with pytest.raises(ValueError, match=message):
        dt.allocate(dt.Problems.from_rows([[0.1, 0.2]]), strategy, 4, dt.Options(**options))


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1, 0.5], [0.4, 1]], r"similarity\[0, 0, 1\] = 0.5: needs a symmetric matrix, for"),
        ([[1, 0.5], [0.5, 0.9]], r"similarity\[0, 1, 1\] = 0.9: needs 1 on the diagonal"),
        ([[1, 1.5], [1.5, 1]], r"similarity\[0, 0, 1\] = 1.5: needs a number in \[-1, 1\]"),
        ([[1, np.nan], [np.nan, 1]], r"similarity\[0, 0, 1\] = nan"),
    ],
)
def test_a_similarity_that_is_no_correlation_is_named(matrix, message):
    problems = dt.Problems.from_rows([{"scores": [0.5, 0.4], "similarity": matrix}])
    options = dt.Options(concentration=1.0)
    with pytest.raises(ValueError, match=message):
        dt.allocate(problems, "shared-divisors", 4, options)
