"""The report says what the equations say, of figures worked out by hand and of scores."""

import numpy as np
import pytest

import dora_theory as dt


def test_sizes_and_qualities_by_hand():
    report = dt.bias_report([0.5, 0.5], sizes=[3, 1], budget=8)
    np.testing.assert_allclose(report.counted, [0.75, 0.25], rtol=1e-6)
    np.testing.assert_allclose(report.dora, [0.5, 0.5], rtol=1e-6)
    kl = 0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)
    assert report.kl == pytest.approx(kl, rel=1e-5)
    assert report.factor == pytest.approx(np.exp(kl), rel=1e-5)
    # S(3) = 2 · 3^(1/2)/(e ln 3).
    assert report.specht == pytest.approx(2 * 3**0.5 / (np.e * np.log(3)), rel=1e-5)

    # κ = 1: a direction fails B times with chance Π (1/2 + r)/(1 + r).
    def failure(rollouts):
        return np.prod([(0.5 + r) / (1 + r) for r in range(rollouts)])

    assert report.success["optimal"] == pytest.approx(1 - failure(4) ** 2, rel=1e-5)
    assert report.success["rebase"] == pytest.approx(1 - failure(6) * failure(2), rel=1e-5)
    assert report.loss == pytest.approx(failure(6) * failure(2) - failure(4) ** 2, abs=1e-6)
    assert report.loss_with_dora == 0


def test_scores_and_embeddings():
    """Figure 2 of the paper: three copies and another idea."""
    embeddings = np.array([[1, 0], [1, 0], [1, 0], [0.1, 0.995]])
    report = dt.bias_report([0.95] * 4, ["a", "a", "a", "b"], embeddings=embeddings, budget=12)
    assert report.directions == ("a", "b")
    np.testing.assert_array_equal(report.sizes, [3, 1])
    np.testing.assert_allclose(report.dora, [0.5, 0.5], rtol=1e-5)
    assert report.loss > report.loss_with_dora == 0
    assert report.to_dataframe().shape == (2, 5)
    assert "1.155 times the rollouts" in repr(report)
    assert "<table>" in report._repr_html_()
    assert len(report.plot().axes) == 2


def test_a_block_model_that_sees_no_copies_is_counting():
    report = dt.bias_report([0.2, 0.8], sizes=[5, 1], theta=np.inf)
    np.testing.assert_allclose(report.dora, report.counted)
    assert report.loss == report.loss_with_dora


def test_a_direction_without_candidates_has_no_bound():
    report = dt.bias_report([0.2, 0.8], sizes=[0, 2])
    np.testing.assert_allclose(report.direction_weights, [0, 1])
    assert np.isnan(report.specht)
    assert report.kl == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.1],), "needs directions"),
        (([0.1], [0], [1]), "needs directions"),
        (([0.0, 0.0], None, [1, 1]), "positive quality"),
        (([0.1, 0.2], None, [1]), "sizes"),
        (([0.1, 0.2], "ab"), "needs a label of each"),
        (([0.1, np.nan], [0, 1]), r"scores\[1\] = nan"),
        (([], []), r"scores: needs the values of one problem, got shape \(0,\)"),
        (([[0.1, 0.2]], [0, 1]), r"scores: needs the values of one problem, got shape \(1, 2\)"),
        ((["a", "b"], [0, 1]), "scores: needs real numbers"),
        (([[0.1], [0.2, 0.3]], [0, 1]), "scores: not a rectangular array"),
        (([0.1, 0.2], [0, np.nan]), r"directions\[1\] = nan: needs a number or a text"),
        (([0.1, 0.2], ["a", None]), r"directions\[1\] = None: needs"),
        (([0.1, 0.2], [["a"], ["b"]]), "directions = .*: needs a label of each"),
        (([0.1, 0.2], 5), "directions = 5: needs a label of each"),
        (([0.1, 0.2], None, [3, 1.5]), r"sizes\[1\] = 1.5: needs an integer"),
        (([0.1, -0.2], None, [3, 1]), r"\[1\] = -0.2"),
    ],
)
def test_bad_input_is_named(arguments, message):
    values, directions, sizes = (*arguments, None, None)[:3]
    with pytest.raises(ValueError, match=message):
        dt.bias_report(values, directions, sizes=sizes)


def test_a_temperature_is_checked_even_if_nothing_needs_it():
    with pytest.raises(ValueError, match="similarity_temperature = -1"):
        dt.bias_report([0.1, 0.2], [0, 1], similarity_temperature=-1)


def test_the_legend_hides_no_bar():
    figure = dt.bias_report([0.9, 0.9, 0.9, 0.5], list("aaab")).plot()
    figure.canvas.draw()
    (legend,) = figure.legends + [a.get_legend() for a in figure.axes if a.get_legend()]
    box = legend.get_window_extent()
    assert not any(axes.get_window_extent().overlaps(box) for axes in figure.axes)
