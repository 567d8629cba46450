"""Pictures show the numbers they are given, and their files never change by themselves."""

from itertools import pairwise
from pathlib import Path

import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from dora_theory import plots
from dora_theory._errors import InputError
from dora_theory.strategies import registry

OKABE_ITO = {"#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"}


def curves() -> Figure:
    success = {"rebase": np.array([0.4, 0.6, 0.7]), "dora": jnp.array([0.5, 0.65, 0.8])}
    band = {"dora": np.array([[0.4, 0.6], [0.6, 0.7], [0.7, 0.9]])}
    return plots.success_curves(np.array([4, 16, 64]), success, band, title="Replay")


def test_same_bytes_again_whatever_the_users_settings(tmp_path: Path) -> None:
    first = plots.save(curves(), tmp_path / "a" / "picture")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 20}):
        second = plots.save(curves(), tmp_path / "b" / "picture")
    assert [p.name for p in first] == ["picture.png", "picture.svg"]
    for left, right in zip(first, second, strict=True):
        assert left.read_bytes() == right.read_bytes()
    for forbidden in (b"<dc:date>", b"Matplotlib v"):
        assert forbidden not in first[1].read_bytes()


def test_a_stem_with_a_dot_keeps_it(tmp_path: Path) -> None:
    names = {p.name for p in plots.save(curves(), tmp_path / "T_s=0.01")}
    assert names == {"T_s=0.01.png", "T_s=0.01.svg"}


def test_nothing_is_left_where_writing_fails(tmp_path: Path) -> None:
    (tmp_path / "picture.png").mkdir()
    with pytest.raises(InputError, match=r"picture\.png"):
        plots.save(curves(), tmp_path / "picture")
    assert [p.name for p in tmp_path.iterdir()] == ["picture.png"]


def test_style_puts_back_what_was_there() -> None:
    with matplotlib.rc_context({"font.size": 17}):
        with plots.style():
            assert matplotlib.rcParams["font.size"] == 7.5
        assert matplotlib.rcParams["font.size"] == 17


def test_every_strategy_has_a_look_of_its_own() -> None:
    assert set(plots.COLORS) >= set(registry.STRATEGIES)
    looks = [(s.color, s.line, s.marker) for s in registry.STRATEGIES.values()]
    assert len(set(looks)) == len(looks)
    assert {c.lower() for c in plots.COLORS.values()} <= OKABE_ITO | {"#808080"}
    assert (plots.label("dora"), plots.label("beam")) == ("DORA", "beam")


def test_success_curves_show_their_numbers() -> None:
    axes = curves().axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    np.testing.assert_allclose(lines["DORA"].get_ydata(), [0.5, 0.65, 0.8], rtol=1e-6)
    np.testing.assert_array_equal(lines["REBASE"].get_xdata(), [4, 16, 64])
    assert to_hex(lines["DORA"].get_color()) == plots.COLORS["dora"].lower()
    assert [t.get_text() for t in axes.get_xticklabels()] == ["4", "16", "64"]
    (band,) = axes.collections
    extent = band.get_datalim(axes.transData)
    assert (extent.ymin, extent.ymax) == pytest.approx((0.4, 0.9))


def test_bars_show_their_numbers() -> None:
    whole, real = np.array([3, 0, 2]), np.array([0.5, 0.3, 0.2])
    figure = plots.bar_panels(
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
    figure = plots.bar_panels({"w": np.full(16, 0.25), "dora": np.full(16, 3)}, np.zeros(16, int))
    figure.set_dpi(300)
    figure.canvas.draw()
    for axes in figure.axes:
        boxes = [t.get_window_extent() for t in axes.texts[:16]]
        assert all(a.x1 < b.x0 for a, b in pairwise(boxes))
    assert figure.axes[0].texts[0].get_text() == ".25"
    assert figure.get_figwidth() == pytest.approx(80 / 25.4, rel=0.02)


def test_bars_of_nothing_but_zeros_are_drawn() -> None:
    axes = plots.bar_panels({"beam": np.zeros(2, int)}, np.array([0, 1])).axes[0]
    assert axes.get_ylim()[1] > 0


def test_allocation_shows_both_sides_of_zero() -> None:
    kappa = np.array([0.01, 1.0, 100.0])
    exact = np.array([[5, 3], [6, 2], [8, 0]])
    rule = np.array([[5.1, 2.9], [6.5, 1.5], [40.0, -32.0]])
    figure = plots.allocation_against_concentration(
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
