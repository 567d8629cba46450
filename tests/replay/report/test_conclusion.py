"""The sentences say what the numbers say."""

import numpy as np
import pytest

from dora_theory.replay.report.conclusion import conclusion, problems_needed


def cell(success, clipped=0.0):
    return {"success": success, "clipped": clipped}


def pair(difference, low, high, problems=400):
    return {"difference": difference, "low": low, "high": high, "problems": problems}


def made(**pairs):
    success = {"rebase": 0.6} | {name: 0.6 + p["difference"] for name, p in pairs.items()}
    return {
        "problems": 400,
        "solvable": 0.8,
        "strategies": {
            name: {"budget": {"8": cell(x), "64": cell(x + 0.1, clipped=0.4)}}
            for name, x in success.items()
        },
        "paired": {f"{name}-rebase": {"budget": {"8": p}} for name, p in pairs.items()},
    }


def test_the_power_is_that_of_a_normal_test():
    """Of 400 differences with deviation 0.4 and mean 0.02, by simulating so many problems."""
    error = 0.4 / 20
    found = problems_needed(pair(0.02, 0.02 - 1.96 * error, 0.02 + 1.96 * error))
    assert found == pytest.approx((2.8016 * 0.4 / 0.02) ** 2, rel=1e-3)
    n = round(found)
    means = np.random.default_rng(0).normal(0.02, 0.4 / n**0.5, 20_000)
    assert (np.abs(means) > 1.96 * 0.4 / n**0.5).mean() == pytest.approx(0.8, abs=0.01)
    assert problems_needed(pair(0.0, -0.1, 0.1)) is None
    assert problems_needed(pair(None, None, None)) is None
    assert problems_needed(pair(0.02, -0.1, 0.14, problems=29)) is None


def test_who_differs_and_what_the_rest_would_take():
    found = conclusion(
        made(
            dora=pair(0.05, 0.02, 0.08), beam=pair(-0.01, -0.0492, 0.0292), dvts=pair(0.0, 0.0, 0.0)
        )
    )
    different, open_, same, room = found
    assert different == (
        "At N = 8, these differ from REBASE, in points of success: DORA +5.0 [+2.0, +8.0]."
    )
    assert "beam (-1.0 [-4.9, +2.9], needs about 13,000 problems)" in open_
    assert same.startswith("At N = 8, the mean difference from REBASE is 0 for DVTS, where")
    assert room == (
        "At N = 8, REBASE solves 60.0% of the problems; the log has a right solution for 80.0%. "
        "DORA closes the most of that gap, 25%."
    )


def test_nobody_differs_and_nothing_is_taken():
    found = conclusion(made(beam=pair(-0.01, -0.05, 0.03)))
    assert found[0] == "At N = 8, no strategy differs from REBASE beyond its 95% interval."
    assert found[-1].endswith("No rule closes any of that gap.")


def test_one_problem_is_too_few():
    found = conclusion(made(beam=pair(-0.01, -0.05, 0.03, problems=1)) | {"problems": 1})
    assert found[1].startswith("At N = 8, 1 problem is too few to decide whether these differ")


def test_one_budget_for_all_and_kappa_are_stated_where_they_are_known():
    more = {
        "across": {
            "policies": {
                "uniform": {"4": {"solved": 0.5}},
                "round-robin": {"4": {"solved": 0.62}},
                "oracle": {"4": {"solved": 0.9}},
            }
        },
        "calibration": {"use": {"concentration": 3.2, "low": 2.5, "high": None}},
    }
    *_, across, use = conclusion(made(beam=pair(-0.01, -0.05, 0.03)) | more)
    assert across.endswith("round-robin solves 62.0%, +12.0 points against equal shares.")
    assert use == "For allocate use --kappa 3.2 (95%: 2.5 to ∞)."


def test_lower_bounds_have_no_difference():
    """A rule of which the log knows more seems better, and is not."""
    summary = made(temperature=pair(0.0, -0.01, 0.01, problems=384))
    for name, success in (("rebase", 0.6), ("temperature", 0.8)):
        summary["strategies"][name]["budget"]["8"] = cell(success, clipped=0.04)
    room = conclusion(summary)[-1]
    assert "REBASE solves at least 60.0% of the problems" in room
    assert room.endswith("No rule gains on REBASE where the log suffices for both.")


def test_a_gain_over_some_of_the_problems_is_one_of_so_many():
    """Beam search gains more, over few of them."""
    found = conclusion(
        made(dora=pair(0.05, 0.02, 0.08, problems=320), beam=pair(0.08, 0.02, 0.14, problems=100))
    )
    assert found[-1].endswith(
        "DORA closes the most of that gap, 20%, by what it gains on 320 of 400 problems, where the "
        "log suffices for both."
    )
