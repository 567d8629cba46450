"""The paper's panels show the numbers that they are given."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex

from paper_repro import panels


def test_bars_show_their_numbers() -> None:
    whole, real = np.array([3, 0, 2]), np.array([0.5, 0.3, 0.2])
    figure = panels.bar_panels(
        {"dora": whole, "quality": real, "more": real},
        np.array([0, 0, 1]),
        own_scale=["quality"],
        totals=["dora"],
        groups={"more": np.array([2])},
        ylabels={"quality": "w"},
    )
    dora, quality, more = figure.axes
    assert [a.get_xlabel() for a in figure.axes] == ["", "", "candidate, and its direction"]
    assert [a.get_ylabel() for a in figure.axes] == ["rollouts", "w", "rollouts"]
    assert [bar.get_height() for bar in dora.patches] == [3, 0, 2]
    assert [t.get_text() for t in dora.texts] == ["3", "2"]
    assert dora.get_title("left") == "DORA"
    assert dora.get_title("right").endswith("A: 3   B: 2")
    assert [t.get_text() for t in quality.texts] == ["0.50", "0.30", "0.20"]
    assert [t.get_text() for t in more.texts] == ["0.50", "0.30", "0.20", "A", "B"]
    assert dora.get_ylim() == more.get_ylim() != quality.get_ylim()
    (cut,) = more.get_lines()
    assert set(cut.get_xdata()) == {1.5}
    colors = [to_hex(bar.get_facecolor()) for bar in dora.patches]
    assert colors[0] == colors[1] != colors[2]


def test_many_bars_keep_their_numbers_apart() -> None:
    figure = panels.bar_panels({"w": np.full(16, 0.25), "dora": np.full(16, 3)}, np.zeros(16, int))
    figure.set_dpi(300)
    figure.canvas.draw()
    for axes in figure.axes:
        boxes = [t.get_window_extent() for t in axes.texts[:16]]
        assert all(a.x1 < b.x0 for a, b in pairwise(boxes))
    assert figure.axes[0].texts[0].get_text() == ".25"
    assert figure.get_figwidth() == pytest.approx(80 / 25.4, rel=0.02)


def test_bars_of_nothing_but_zeros_are_drawn() -> None:
    axes = panels.bar_panels({"beam": np.zeros(2, int)}, np.array([0, 1])).axes[0]
    assert axes.get_ylim()[1] > 0


def test_allocation_shows_both_sides_of_zero() -> None:
    kappa = np.array([0.01, 1.0, 100.0])
    exact = np.array([[5, 3], [6, 2], [8, 0]])
    rule = np.array([[5.1, 2.9], [6.5, 1.5], [40.0, -32.0]])
    figure = panels.allocation_against_concentration(
        kappa, exact, rule, np.array([0.6, 0.3]), marks={"Jefferson": 1.0}, start=exact[0],
        end=exact[-1], rule_start=np.array([1, 1]),
    )  # fmt: skip
    top, bottom = figure.axes
    steps = [x for x in top.get_lines() if x.get_drawstyle() == "steps-post"]
    np.testing.assert_array_equal([x.get_ydata() for x in steps], exact.T)
    dashed = [x for x in bottom.get_lines() if x.get_linestyle() == "--"]
    np.testing.assert_array_equal([x.get_ydata() for x in dashed], rule.T)
    assert bottom.get_ylim()[0] < 0 < 8 < bottom.get_ylim()[1]
    assert any(set(x.get_xdata()) == {1.0} for x in top.get_lines())
