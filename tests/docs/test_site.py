"""The built site in a real browser, wide and narrow: whole formulas, no scrolling sideways."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from explore_page import CHROMIUM

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
pytest.importorskip("material", reason="needs mkdocs-material")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)"),
]
ROOT = Path(__file__).parents[2]
# A folder for screenshots, if they are to be looked at.
PICTURES = os.environ.get("DORA_THEORY_SCREENSHOTS")

# Formulas that leave their box or the screen, and how many there are.
FORMULAS = """() => {
  const wide = document.documentElement.clientWidth
  const cut = []
  for (const box of document.querySelectorAll('.formula')) {
    const outer = box.getBoundingClientRect()
    const style = getComputedStyle(box)
    const hides = style.overflowX !== 'visible' || style.overflowY !== 'visible'
    const parts = [...box.querySelectorAll('math')].map(part => part.getBoundingClientRect())
    const leaves = parts.some(x => x.left < outer.left - 1 || x.right > outer.right + 1
      || x.top < outer.top - 1 || x.bottom > outer.bottom + 1 || x.right > wide || x.width === 0)
    if (hides || leaves) cut.push(box.innerText)
  }
  return [cut, document.querySelectorAll('.formula').length]
}"""

# Words of code in tables that are split over two lines.
SPLIT = """() => {
  const split = []
  for (const code of document.querySelectorAll('th code, td code')) {
    const walk = document.createTreeWalker(code, NodeFilter.SHOW_TEXT)
    for (let text = walk.nextNode(); text; text = walk.nextNode()) {
      for (const word of text.data.matchAll(/[A-Za-z]+/g)) {
        const range = document.createRange()
        range.setStart(text, word.index)
        range.setEnd(text, word.index + word[0].length)
        const boxes = [...range.getClientRects()].filter(x => x.width > 0.5)
        if (new Set(boxes.map(x => Math.round(x.top))).size > 1) split.push(word[0])
      }
    }
  }
  return split
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    walked = subprocess.run([sys.executable, ROOT / "docs" / "walk.py", folder], check=False)
    assert walked.returncode == 0
    return folder


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def each_page(browser, site, width):
    """Every page, open, with its path."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    for path in sorted(site.rglob("*.html")):
        if path.name != "404.html":
            page.goto(path.as_uri())
            page.evaluate("document.fonts.ready")
            yield page, str(path.relative_to(site))
    page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_pages_fit_and_formulas_and_words_are_whole(browser, site, width):
    found, bad = 0, []
    for page, name in each_page(browser, site, width):
        across = page.evaluate("document.documentElement.scrollWidth")
        cut, count = page.evaluate(FORMULAS)
        found += count
        bad += [f"{name}: scrolls to {across}"] * (across > width)
        bad += [f"{name}: {formula}" for formula in cut]
        bad += [f"{name}: splits {word}" for word in page.evaluate(SPLIT)]
        if PICTURES:
            slug = re.sub(r"\W+", "_", name.removesuffix(".html"))
            page.screenshot(path=Path(PICTURES) / f"site_{slug}_{width}.png", full_page=True)
    assert bad == []
    assert found >= 90


def test_formulas_have_the_font_and_its_sizes(browser, site):
    page = browser.new_page()
    page.goto((site / "theory" / "objective.html").as_uri())
    page.evaluate("document.fonts.ready")
    assert page.evaluate('document.fonts.check("16px Latin Modern Math")')
    assert "Latin Modern Math" in page.evaluate(
        "getComputedStyle(document.querySelector('math')).fontFamily"
    )
    ratio = page.evaluate(
        """() => {
          const signs = [...document.querySelectorAll('.formula mo')]
          const sign = signs.find(x => x.textContent === '∏')
          return sign.getBoundingClientRect().height / parseFloat(getComputedStyle(sign).fontSize)
        }"""
    )
    assert ratio > 1.2
    assert "𝔼" in page.locator(".formula").first.inner_text()
    page.close()


def test_every_claim_has_a_heading_that_can_be_linked(site):
    import claims

    for claim in claims.claims():
        text = "".join(p.read_text(encoding="utf-8") for p in (site / "theory").glob("*.html"))
        assert f'id="{claims.anchor(claim)}"' in text, claim.name


def test_every_public_name_has_a_heading_and_a_line(site):
    import pages

    overview = (site / "api" / "index.html").read_text(encoding="utf-8").replace("<wbr>", "")
    for name in pages.public():
        page, _, anchor = pages.place(name).partition("#")
        assert f'id="{anchor}"' in (site / page).read_text(encoding="utf-8"), name
        assert f"<code>dt.{name}</code>" in overview
        assert pages.summary(name), name
