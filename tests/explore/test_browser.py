"""The page in a real browser: presets, sliders, wrong input, a log that is hostile."""

import json
import os
import re
import socket
from dataclasses import replace
from urllib.parse import urlsplit

import jax
import pytest
from explore_page import CHROMIUM, opened, served
from jax.experimental.compilation_cache import compilation_cache

from dora_theory import plots
from dora_theory.explore.logged import Log
from dora_theory.explore.scene import PRESETS, as_command, as_python
from dora_theory.explore.view import look, subject
from dora_theory.strategies.registry import ORACLE

pytest.importorskip("playwright.sync_api", reason="needs playwright")
pytest.importorskip("marimo", reason="needs marimo")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)"),
    pytest.mark.filterwarnings("ignore"),
]
HOSTILE = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"
# A folder for screenshots, if they are to be looked at.
PICTURES = os.environ.get("DORA_THEORY_SCREENSHOTS")


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    texts = [
        f"{HOSTILE}\n\nstep $x^{i} < 3$\n\nThe answer is \\boxed{{{i % 2}}}." for i in range(4)
    ]
    record = {
        "problem": f"What is {HOSTILE}?",
        "answer": "1",
        "unique_id": HOSTILE,
        "completions": texts,
        "scores": [[0.5, 0.6, 0.7]] * 4,
    }
    path = tmp_path_factory.mktemp("log") / "hostile.jsonl"
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def asked():
    """Addresses of all that the page has asked for."""
    return []


@pytest.fixture(scope="module")
def page(log, asked, tmp_path_factory):
    """One server and one browser for all; what the server compiles, the tests need not."""
    folder = str(tmp_path_factory.mktemp("compiled"))
    settings = {"JAX_COMPILATION_CACHE_DIR": folder}
    settings["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        with served(log) as url, opened(url, asked) as page:
            page.get_by_text("made up").first.click()
            remember(folder)
            yield page
            remember(None)


def remember(folder):
    """Keeps compiled programs in a folder, or no longer."""
    jax.config.update("jax_compilation_cache_dir", folder)
    compilation_cache.reset_cache()


def table(view):
    best = view.success[view.strategies.index(ORACLE)]
    return [
        [
            *(plots.label(name), " + ".join(map(str, totals)), f"{success:.5f}", f"{loss:.1f}"),
            "optimal" if best - success < 1e-12 else f"{best - success:.2g}",
        ]
        for name, totals, success, loss in zip(
            view.strategies, view.totals, view.success, view.loss, strict=True
        )
    ]


def expected(scene):
    with jax.enable_x64(True):
        return table(look(subject(scene), scene))


def until(page, wanted):
    """Waits, on a busy machine long, until the table shows it; tells the difference if never."""
    for _ in range(3000):
        found = page.evaluate(
            "[...document.querySelectorAll('table.results tbody tr')]"
            ".map(row => [...row.cells].map(cell => cell.innerText))"
        )
        if found == wanted:
            return
        page.wait_for_timeout(100)
    assert found == wanted


def choose(page, name):
    page.locator("select:visible").first.select_option(label=name)
    until(page, expected(PRESETS[name].scene))


def picture(page, name):
    if PICTURES:
        page.wait_for_timeout(2500)
        slug = re.sub(r"\W+", "_", name.lower())
        page.screenshot(path=os.path.join(PICTURES, f"explore_{slug}.png"))


def field(page, name):
    """A number field, by its label."""
    return page.locator(".mo-label", has_text=name).locator("input").filter(visible=True).first


def enter(page, name, value):
    field(page, name).fill(value)
    field(page, name).press("Enter")


def press(page, name):
    page.get_by_role("button", name=name, exact=True).filter(visible=True).first.click()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_shows_the_numbers_of_the_api(page, name):
    choose(page, name)
    page.get_by_text(PRESETS[name].story).first.wait_for()
    picture(page, name)


def test_a_moved_slider_and_edited_rows_change_the_numbers_and_reset_undoes_it(page):
    choose(page, "Ten copies against one")
    scene = PRESETS["Ten copies against one"].scene
    budget = page.get_by_role("slider", name="N, rollouts").first
    budget.focus()
    budget.press("ArrowRight")
    changed = replace(scene, budget=scene.budget + 1)
    assert expected(changed) != expected(scene)
    until(page, expected(changed))
    enter(page, "Copies 1", "5")
    until(page, expected(replace(changed, sizes=(5, 1))))
    press(page, "Add a direction")
    until(page, expected(replace(changed, sizes=(5, 1, 1), scores=(0.8, 0.8, 0.8))))
    enter(page, "Score 3", "0.7")
    until(page, expected(replace(changed, sizes=(5, 1, 1), scores=(0.8, 0.8, 0.7))))
    press(page, "×")
    until(page, expected(replace(changed, sizes=(1, 1), scores=(0.8, 0.7))))
    press(page, "Reset")
    until(page, expected(scene))


def test_nu_is_off_where_it_does_nothing(page):
    choose(page, "Figure 2")
    nu = page.get_by_role("slider", name="ν, how alike").first
    assert nu.get_attribute("data-disabled") is not None
    choose(page, "Correlated candidates")
    nu = page.get_by_role("slider", name="ν, how alike").first
    assert nu.get_attribute("data-disabled") is None


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits(page, width):
    before = page.viewport_size
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(1500)
    picture(page, f"width {width}")
    # Only the table of results may scroll, in itself.
    wide = page.evaluate(
        "[...document.querySelectorAll('canvas,svg.marks,table.results,marimo-tex')]"
        ".filter(e => !e.closest('.results') && e.getBoundingClientRect().right > innerWidth + 1)"
        ".map(e => e.outerHTML.slice(0, 80))"
    )
    assert wide == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size(before)


def test_what_is_offered_for_copying_is_of_this_setting(page):
    choose(page, "Correlated candidates")
    scene = PRESETS["Correlated candidates"].scene
    with jax.enable_x64(True):
        commands = [as_command(scene, name) for name in ("rebase", "dora", "correlated")]
    for title, lines in {
        "the same in Python": as_python(scene).splitlines(),
        "the same on the command line": commands,
    }.items():
        page.get_by_role("button", name=title).first.click()
        shown = page.locator(".codehilite, .highlight").filter(visible=True).first
        shown.wait_for()
        assert shown.inner_text().split("\n")[: len(lines)] == lines
        picture(page, title)
        page.get_by_role("button", name=title).first.click()
        shown.wait_for(state="hidden")


def test_wrong_input_is_named_beside_the_last_good_picture(page):
    choose(page, "Figure 2")
    good = expected(PRESETS["Figure 2"].scene)
    for name, wrong, message, right in (
        ("Copies 1", "2.5", "1: needs an integer, and got 2.5", "3"),
        ("Copies 1", "64", "of sum at most 64", "3"),
        ("Score 2", "", "Score 2: an empty field", "0.95"),
        ("Seed of the noise", "2.5", "noise: needs an integer, and got 2.5", "0"),
        ("Seed of the noise", "", "noise: needs an integer, and got an empty field", "0"),
    ):  # fmt: skip
        enter(page, name, wrong)
        page.get_by_text(message).first.wait_for()
        picture(page, f"wrong {name} {wrong}")
        assert page.get_by_text("Traceback").count() == 0
        until(page, good)
        enter(page, name, right)
        page.get_by_text(message).first.wait_for(state="hidden")
        until(page, good)


def test_text_of_a_log_stays_text(page, log):
    page.get_by_text("log", exact=True).first.click()
    page.get_by_text("What is <img src=x").first.wait_for()
    scene = PRESETS["Figure 2"].scene
    with jax.enable_x64(True):
        _, problem = Log(log).problem(1, scene.quality_temperature)
        until(page, table(look(problem, scene)))
    page.wait_for_timeout(300)
    assert page.title() != "broken"
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("details.solution").count() == 4
    assert page.locator("details.direction").count() == problem.quality.size
    page.locator("details.direction summary").first.click()
    page.locator("details.solution summary").first.click()
    page.locator(".logged .katex").first.wait_for()
    picture(page, "log")


def test_nothing_is_asked_of_another_machine_and_no_other_may_ask(page, asked):
    here = {"127.0.0.1"}
    assert {
        urlsplit(url).hostname for url in asked if not url.startswith(("data:", "blob:"))
    } == here
    port = urlsplit(page.url).port
    for *_, address in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET):
        if not address[0].startswith("127."):
            with socket.socket() as elsewhere:
                elsewhere.settimeout(2)
                assert elsewhere.connect_ex(address) != 0


def test_a_log_is_opened_from_the_page(page, log, tmp_path):
    page.get_by_text("made up").first.click()
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"problem": 1}\n', encoding="utf-8")
    page.locator("input[type=file]").first.set_input_files(str(bad))
    page.get_by_text("bad.jsonl:1").first.wait_for()
    page.locator("input[type=file]").first.set_input_files(log)
    page.get_by_text("What is <img src=x").first.wait_for()
