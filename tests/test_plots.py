"""Pictures show the numbers they are given, and their files never change by themselves."""

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


N, SUCCESS = np.array([4, 16, 64]), jnp.array([0.5, 0.65, 0.8])
BAND = np.array([[0.4, 0.6], [0.6, 0.7], [0.7, 0.9]])


def curves() -> Figure:
    with plots.style():
        figure, (axes,) = plots.column()
        plots.draw_strategy(axes, N, SUCCESS, "dora", band=BAND)
    return figure


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


def test_a_strategy_s_line_shows_its_numbers() -> None:
    axes = curves().axes[0]
    (line,) = axes.get_lines()
    np.testing.assert_allclose(line.get_ydata(), SUCCESS)
    np.testing.assert_array_equal(line.get_xdata(), N)
    assert line.get_label() == "DORA"
    assert to_hex(line.get_color()) == plots.COLORS["dora"].lower()
    (band,) = axes.collections
    extent = band.get_datalim(axes.transData)
    assert (extent.ymin, extent.ymax) == pytest.approx((0.4, 0.9))
