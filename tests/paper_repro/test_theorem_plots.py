"""The theorem plots: numbers against closed forms, and that page and gallery show them all."""

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from PIL import Image

from paper_repro import (
    adaptivity,
    correlation,
    drawing,
    gap_over_kappa,
    price,
    report,
    rounding,
    score_noise,
    script,
    sharpening,
    similarity_temperature,
)

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("float64")]


def test_gap_over_kappa_tends_to_kl() -> None:
    found = [float(gap_over_kappa.gap(4200, kappa)) for kappa in (0.001, 1.0, 10.0)]
    assert np.round(found, 5).tolist() == [0.40715, 0.40642, 0.39994]
    # KL of thirds from 10/14, 3/14, 1/14.
    limit = np.mean(np.log(14 / 3 / np.array([10, 3, 1])))
    assert float(gap_over_kappa.gap(10**8, 1.0)) == pytest.approx(limit, abs=1e-6)


def test_price_under_specht() -> None:
    pairs = np.stack([price.TABLE, np.ones(3)], -1)
    h = price.TABLE
    bound = (h - 1) * h ** (1 / (h - 1)) / (np.e * np.log(h))
    np.testing.assert_allclose(price.price(price.worst_quality(h), pairs), bound, rtol=1e-12)
    assert np.round(bound, 2).tolist() == [1.26, 2.39, 5.95]
    assert [round(price.needed(saving), 4) for saving in (2.0, 4.0)] == [11.5465, 36.2633]
    four = np.array([16, 1, 1, 1])
    assert price.price(np.full(4, 0.25), four) == pytest.approx(19 / 4 / 2, rel=1e-13)


def test_similarity_temperature_is_u_shaped() -> None:
    # Theory 4.5, to its four decimals.
    table = {
        (0.98, 0.7): [0.4741, 0.1927, 0.0607, 0.0133, 0.0425, 0.1715, 0.3369],
        (0.95, 0.7): [0.4795, 0.4520, 0.2628, 0.0655, 0.0769, 0.2009, 0.3519],
        (0.90, 0.6): [0.4795, 0.4793, 0.4520, 0.1938, 0.0953, 0.1728, 0.3296],
    }
    for cosines, expected in table.items():
        found = similarity_temperature.dora(cosines, similarity_temperature.TABLE)
        np.testing.assert_allclose(found, expected, atol=5.1e-5)
    few = np.array([0.01, 0.05, 0.1, 0.5, 5])
    magnitude = similarity_temperature.magnitude((0.95, 0.7), few)
    np.testing.assert_allclose(magnitude, [0.452, 0.061, 0.019, 0.004, 0.0025], atol=5.1e-4)


def test_repetition_sharpens_until_rounding_decides() -> None:
    found = sharpening.price(np.array(sharpening.QUALITY), np.array([2, 4, 6]))
    assert np.round(found, 2).tolist() == [1.06, 1.59, 2.83]
    dying = sharpening.repeated(sharpening.UNEQUAL)
    # 64 · 0.8 = 51.2 copies; then the others are due 0.29 rollouts each, below a half.
    assert (64 * dying[:3]).tolist() == [[51, 13], [64, 0], [64, 0]]


def test_noise_of_three_pools() -> None:
    factor, spread = score_noise.expected("mean-exp", np.array([1.0]), np.array([8]))
    assert factor[0] == pytest.approx(np.exp(0.5), rel=1e-13)
    assert spread[0] == pytest.approx(np.sqrt((np.e - 1) / 8), rel=1e-13)
    # Of two normal numbers the larger one is (sum + |difference|)/2: E e^max = 2 e^{1/2} Φ(1/√2).
    largest = score_noise.moment("max", 1.0, np.array(1.0), np.array(2))
    exact = 2 * np.exp(0.5) * scipy.stats.norm.cdf(0.5**0.5)
    assert float(largest) == pytest.approx(exact, rel=1e-12)
    for pool in score_noise.POOLS:
        expected = [x[0] for x in score_noise.expected(pool, np.array([0.5]), np.array([8]))]
        # 20,000 draws: six standard errors of a mean, and about as much of a deviation.
        np.testing.assert_allclose(score_noise.measured(pool, 0.5, 8), expected, rtol=0.03)


def test_rounding_misses_the_budget() -> None:
    miss = rounding.misses(problems=100)
    assert miss.shape == (3, 38, 100)
    assert (miss[:, 0] == 0).all(), "two candidates always round to N"
    # Theory 3.2 has 62% of 4,000; six standard errors of 11,400.
    assert np.mean(miss != 0) == pytest.approx(0.62, abs=0.03)
    assert (miss.min(), miss.max()) <= (-3, 1)


def test_correlation_goes_from_one_limit_to_the_other(tmp_path: Path) -> None:
    rows = {r["quantity"]: r["ours"] for r in correlation.main(tmp_path)}
    assert rows["ν = 0.01: optimum"] == rows["independent candidates"] == [12, 3, 1]
    assert rows["ν = 1000: optimum"] == rows["one chance per direction"] == [6, 5, 5]
    shared = rows["one chance per direction: points lost at ν = 0.01, 1, 1000"]
    alone = rows["independent candidates: points lost at ν = 0.01, 1, 1000"]
    assert shared[2] == alone[0] == 0
    assert min(shared[0], alone[2]) > 1


def test_adaptivity_is_free(tmp_path: Path) -> None:
    rows = {r["quantity"]: r["ours"] for r in adaptivity.main(tmp_path)}
    assert rows["budgets from 0 to 40 where the two differ"] == 0
    assert sum(rows["allocation after 40 failures"]) == 40
    assert rows["its chances less the largest priorities, at most"] < 1e-15
    chained, offline = rows["success by N = 16, chained; offline"]
    assert chained == pytest.approx(offline, rel=1e-13)


def test_no_success_is_lost_by_rounding_alone() -> None:
    used, best = np.log([0.2, 1e-3, 0.2]), np.log([0.1, 1e-3, 0.2])
    used[2] -= 1e-16
    np.testing.assert_allclose(script.success_lost(used, best), [0.1, 0, 0], atol=1e-15)


def test_panels_stand_below_one_another(tmp_path: Path) -> None:
    with drawing.panels(tmp_path / "two", 2) as (top, bottom):
        drawing.curves(top, np.arange(3), {"a": np.arange(3), "b": np.ones(3)})
        drawing.level(bottom, 0.5, "half")
        drawing.mark(bottom, 0.5, "here")
        assert top.figure is bottom.figure
    above, below = top.get_position(), bottom.get_position()
    assert above.y0 > below.y1
    assert (above.x0, above.x1) == pytest.approx((below.x0, below.x1), abs=1e-6)
    assert {p.name for p in tmp_path.iterdir()} == {"two.png", "two.svg"}


# The README's picture is as wide as two columns, 18 panels as a page (170 mm); the app's as
# a screen.
COLUMNS = {"saving": 2, "figure3": 2.127}
DRAWN = sorted(path.stem for path in (ROOT / "figures").glob("*.svg") if path.stem != "explore")


@pytest.mark.parametrize("name", DRAWN)
def test_pictures_read_well_at_the_width_of_a_column(name: str) -> None:
    path = ROOT / "figures" / f"{name}.svg"
    text = path.read_text(encoding="utf-8")
    width = float(re.search(r'<svg [^>]*width="([\d.]+)pt"', text)[1])
    widest = 80 / 25.4 * COLUMNS.get(name, 1)
    assert width <= 72 * widest + 0.1
    # Letters are outlines of 100 units, turned upside down and scaled to the size of their type.
    sizes = {100 * float(x) for x in re.findall(r"scale\((0\.\d+) -0\.\d+\)", text)}
    assert min(sizes) >= 6.9999, sorted(sizes)
    with Image.open(path.with_suffix(".png")) as image:
        assert image.width == int(300 * widest)


def test_page_has_the_numbers_of_the_theory() -> None:
    page = (ROOT / "figures" / "report.md").read_text(encoding="utf-8")
    cells = (line.strip("|\n ").split(" | ") for line in page.splitlines())
    rows = {c[1]: c[-1] for c in cells if len(c) == 3}
    # Theory 5.3: 0.0044 at κ = 0.01 to 0.00007 at κ = 100, in another sample of problems.
    lost = [float(x) for x in rows["success lost by κ' = 1/2: the same κ"].split(", ")]
    np.testing.assert_allclose([lost[0], lost[-1]], [0.0044, 0.00007], rtol=0.5)
    assert rows["N = 64, integers: shares at t = 4"] == "0.5000, 0.2969, 0.2031"
    assert rows["share of problems that miss N"] == "0.62"
    assert rows["Specht's ratio at h = 4, 16, 64"] == "1.26, 2.39, 5.95"
    assert rows["price at t = 2, 4, 6"] == "1.06, 1.59, 2.83"


def test_page_and_gallery_show_every_picture() -> None:
    page = (ROOT / "figures" / "report.md").read_text(encoding="utf-8")
    gallery = (ROOT / "figures" / "README.md").read_text(encoding="utf-8")
    for module in report.SCRIPTS:
        name = module.__name__.rpartition(".")[2]
        assert f"]({name}.png)" in page, f"{name}: make reproduce"
        assert f"]({name}.png)" in gallery, name
        assert f"`python -m paper_repro.{name}`" in gallery, name
    for name in re.findall(r"\]\(([^)]+)\)", page + gallery):
        assert (ROOT / "figures" / name).exists(), name
