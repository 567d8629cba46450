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
    texts = [f"{HOSTILE}\n\nstep {i}\n\nThe answer is \\boxed{{{i % 2}}}." for i in range(4)]
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
    return page.get_by_role("textbox", name=name).filter(visible=True).first


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_shows_the_numbers_of_the_api(page, name):
    choose(page, name)
    page.get_by_text(PRESETS[name].story).first.wait_for()
    picture(page, name)


def test_a_moved_slider_and_an_edited_list_change_the_numbers(page):
    choose(page, "Ten copies against one")
    scene = PRESETS["Ten copies against one"].scene
    budget = page.get_by_role("slider", name="budget N").first
    budget.focus()
    budget.press("ArrowRight")
    changed = replace(scene, budget=scene.budget + 1)
    assert expected(changed) != expected(scene)
    until(page, expected(changed))
    sizes = field(page, "candidates of each direction")
    sizes.fill("5, 1")
    sizes.press("Enter")
    until(page, expected(replace(changed, sizes=(5, 1))))


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


def test_wrong_input_is_named_and_fixed(page):
    choose(page, "Figure 2")
    for name, wrong, message, right in (
        (
            "candidates of each direction",
            "3, <b>many</b>",
            "sizes: '<b>many</b>' is not an integer",
            "3, 1",
        ),
        ("score of each direction", "0.9", "scores: 1 of them for 2 directions", "0.95, 0.95"),
        ("score of each direction", "nan, 1", "score = nan: needs a number", "0.95, 0.95"),
    ):
        field(page, name).fill(wrong)
        field(page, name).press("Enter")
        page.get_by_text(message).first.wait_for()
        picture(page, f"wrong {wrong}")
        assert page.get_by_text("Traceback").count() == 0
        field(page, name).fill(right)
        field(page, name).press("Enter")
        until(page, expected(PRESETS["Figure 2"].scene))


def test_a_number_that_is_not_whole_is_named_and_fixed(page):
    choose(page, "Figure 2")
    seed = page.locator("[data-testid=marimo-plugin-number-input] input").filter(visible=True).first
    for wrong, message in (("2.5", "and got 2.5"), ("", "and got an empty field")):
        seed.fill(wrong)
        seed.press("Enter")
        page.get_by_text(f"seed of the noise: needs an integer, {message}").first.wait_for()
        picture(page, f"wrong seed {wrong}")
        seed.fill("0")
        seed.press("Enter")
        until(page, expected(PRESETS["Figure 2"].scene))


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
