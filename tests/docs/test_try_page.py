"""The page to share, in a real browser: its numbers are the package's."""

import io
import json
import os
import re
import shlex
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from explore_page import CHROMIUM

import dora_theory as dt
from dora_theory.cli.main import main

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)"),
    pytest.mark.usefixtures("float64"),
]
PAGE = Path(__file__).parents[2] / "docs" / "try.html"
# A folder for screenshots, if they are to be looked at.
PICTURES = os.environ.get("DORA_THEORY_SCREENSHOTS")
WIDTHS = 1280, 390


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(PAGE.as_uri())
    yield page
    page.close()
    assert errors == []


def settings():
    """A grid, and settings at random."""
    rng = np.random.default_rng(0)
    names = [
        "sizes",
        "scores",
        "budget",
        "concentration",
        "quality_temperature",
        "similarity_temperature",
        "similarity_within",
        "similarity_between",
    ]
    grid = product(
        [([12, 3, 1], [0.8, 0.8, 0.8]), ([1, 1, 4], [0.9, 0.35, 0.6]), ([3], [0.0])],
        [0, 1, 7, 32],
        [0.01, 0.5, 30.0],
        [0.1],
        [0.003, 0.01, 0.3],
        [(1.0, 0.0), (0.95, 0.7)],
    )
    found = [[*rows, *middle, *cosines] for rows, *middle, cosines in grid]
    for _ in range(100):
        g = int(rng.integers(1, 9))
        between, within = np.sort(rng.uniform(0, 1, 2))
        found.append(
            [
                rng.integers(1, 9, g).tolist(),
                np.round(rng.uniform(0, 1, g), 2).tolist(),
                int(rng.integers(0, 257)),
                *(float(10 ** rng.uniform(*ends)) for ends in ((-3, 3), (-2, 1), (-3, 0.4))),
                float(within),
                float(between),
            ]
        )
    return [dict(zip(names, values, strict=True)) for values in found]


def of_the_package(every, shown):
    """What the page shows of each problem, by the public functions: one padded batch of all.

    Where the page breaks a tie of rounded priorities in another way, which the certificate decides,
    success and waste are those of its own totals.
    """
    sizes, own, real = (np.zeros((len(every), 8)) for _ in range(3))
    for i, s in enumerate(every):
        g = len(s["sizes"])
        sizes[i, :g], own[i, :g], real[i, :g] = s["sizes"], s["scores"], 1
    names = "concentration", "quality_temperature", "similarity_temperature"
    kappa, t_b, t_s = (np.array([s[name] for s in every]) for name in names)
    within, between = (
        np.array([s[f"similarity_{which}"] for s in every])[:, None, None]
        for which in ("within", "between")
    )
    n = np.array([s["budget"] for s in every])
    places = np.arange(64)
    mask = places < sizes.sum(1, keepdims=True)
    labels = (places[:, None] >= sizes.cumsum(1)[:, None]).sum(-1) * mask
    scores = np.take_along_axis(own, labels, 1)
    same = labels[:, :, None] == labels[:, None]
    similarity = np.where(np.eye(64) == 1, 1.0, np.where(same, within, between))
    real = real.astype(bool)
    quality = dt.quality_weights(own, quality_temperature=t_b, mask=real)
    weights = dt.quality_weights(scores, quality_temperature=t_b, mask=mask)
    unique = dt.uniqueness_from_similarity(similarity, similarity_temperature=t_s, mask=mask)
    magnitude = dt.magnitude_weighting_from_similarity(
        similarity, similarity_temperature=t_s, mask=mask
    )
    allocations = {
        "temperature": dt.temperature_allocation(scores, n, mask=mask),
        "beam": dt.beam_allocation(scores, n, mask=mask),
        "dvts": dt.dvts_allocation(scores, n, mask=mask),
        "rebase": dt.apportion(weights, n, mask=mask),
        "dora": dt.apportion(weights * unique, n, mask=mask),
        "magnitude": dt.apportion(weights * magnitude, n, mask=mask),
        "optimal": dt.optimal_allocation(weights, kappa, n, mask=mask),
        "direction-optimal": dt.direction_allocation(quality, labels, kappa, n, mask=mask),
    }
    steps = np.arange(257)[:, None]
    best = dt.optimal_allocation(np.asarray(quality), kappa, steps, mask=real)
    curves = np.maximum(np.asarray(dt.log_failure(quality, kappa, best)), -1e300)
    found = [{"quality": q, "strategies": {}, "bias": {}} for q in np.asarray(quality)]
    shares = {"rebase": weights, "dora": weights * unique, "magnitude": weights * magnitude}
    for name, given in allocations.items():
        totals = np.asarray(dt.direction_totals(given, labels, 8, mask=mask)).copy()
        theirs = np.array([np.pad(x["strategies"][name]["totals"], (0, 8))[:8] for x in shown])
        if name in shares:
            copy = places - (sizes.cumsum(1) - sizes)[np.arange(len(every))[:, None], labels]
            of, into = (np.take_along_axis(x.astype(int), labels, 1) for x in (theirs, sizes))
            spread = of // np.maximum(into, 1) + (copy < of % np.maximum(into, 1))
            proof = dt.certificate(shares[name], 0.5, np.where(mask, spread, 0), mask=mask)
            tied = np.asarray(proof.largest_next <= proof.smallest_last * (1 + 1e-12))
            tied = tied & (totals != theirs).any(1)
            assert tied.mean() < 0.2
            totals[tied] = theirs[tied]
        log = np.asarray(dt.log_failure(quality, kappa, totals))
        success = np.asarray(dt.success_probability(quality, kappa, totals))
        for i, one in enumerate(found):
            curve = curves[: n[i] + 1, i]
            reached = np.interp(-max(log[i], -1e300), -curve, np.arange(n[i] + 1))
            one["strategies"][name] = {
                "totals": totals[i].tolist(),
                "success": success[i],
                "wasted": n[i] - reached,
            }
    for name, w in shares.items():
        mass = dt.direction_totals(w / w.sum(-1, keepdims=True), labels, 8, mask=mask)
        for one, bias in zip(found, np.asarray(dt.kl_divergence(quality, mass)), strict=True):
            one["bias"][name] = bias
    return found


def test_one_problem_has_the_numbers_of_the_package(page):
    every = settings()
    shown = page.evaluate("all => all.map(one)", every)
    for s, found, wanted in zip(every, shown, of_the_package(every, shown), strict=True):
        g = len(s["sizes"])
        assert found["quality"] == pytest.approx(wanted["quality"][:g], rel=1e-9), s
        assert found["bias"] == pytest.approx(wanted["bias"], rel=1e-9, abs=1e-9), s
        for name, row in wanted["strategies"].items():
            assert found["strategies"][name]["totals"] == row["totals"][:g], (name, s)
            for what in ("success", "wasted"):
                got = found["strategies"][name][what]
                assert got == pytest.approx(row[what], rel=1e-9, abs=1e-9), (name, what, s)


@pytest.mark.parametrize(("n", "rounds"), [(1, 1), (4, 2), (16, 4)])
def test_many_problems_have_the_numbers_of_the_package(page, n, rounds):
    depth = 256
    a, b = np.array([[0.417, 0.55], [0.254, 0.9], [0.215, 5.1], [1, 1], [3, 2]]).T
    unsolved = np.asarray(
        dt.log_failure(
            dt.BetaPrior(a[:, None, None], b[:, None, None]), None, np.arange(depth + 1)[:, None]
        )
    )
    unsolved = np.exp(unsolved)
    plan = dt.rounds_plan(
        1.0, dt.BetaPrior(a[:, None, None], b[:, None, None]), n, rounds, depth=depth
    )
    for i, f in enumerate(unsolved):
        found = page.evaluate(
            """([alpha, beta, budget, rounds, depth]) => {
              const f = unsolved(alpha, beta, depth)
              return [1 - f[budget], roundRobin(f, budget), coverageCost(f, budget),
                bestOfRounds(f, rounds, budget)]
            }""",
            [a[i], b[i], n, rounds, depth],
        )
        cost = np.concatenate([[0.0], np.cumsum(f)[:-1]])
        wanted = [1 - f[n], np.interp(n, cost, 1 - f), cost[n], float(plan.bound[i])]
        assert found == pytest.approx(wanted, rel=1e-9)
        assert cost[n] == pytest.approx(float(dt.coverage_cost(a[i], b[i], n)), rel=1e-8)
        s = {"alpha": a[i], "beta": b[i], "budget": n, "rounds": rounds}
        assert page.evaluate("many", s)["uniform"] == pytest.approx(wanted[0], rel=1e-9)


def presets(page, tab):
    return page.evaluate(f"Object.keys(PRESETS.{tab})")


def open_tab(page, tab):
    page.locator(f"#tab-{tab}").click()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("tab", ["one", "many"])
def test_examples_fit_the_screen(page, width, tab):
    page.set_viewport_size({"width": width, "height": 900})
    open_tab(page, tab)
    for name in presets(page, tab):
        page.locator(f"#preset-{tab}").select_option(name)
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert page.locator(f"#headline-{tab}").inner_text()
        if PICTURES:
            slug = re.sub(r"\W+", "_", name.lower())
            picture = Path(PICTURES) / f"try_{tab}_{slug}_{width}.png"
            page.screenshot(path=picture, full_page=True)


def test_the_headline_and_the_table_show_what_is_computed(page):
    found = page.evaluate("one(state.one)")["strategies"]
    headline = page.locator("#headline-one").inner_text()
    assert f"wastes {found['rebase']['wasted']:.1f} of 32 rollouts" in headline
    assert headline.startswith("Counting candidates")
    row = page.locator("tr[data-strategy=dora]").inner_text()
    assert f"{found['dora']['success']:.5f}" in row
    assert " + ".join(map(str, found["dora"]["totals"])) in row
    page.locator("#preset-one").select_option(label="No copies, trusted scores")
    assert page.locator("#headline-one").inner_text().startswith("REBASE wastes 2.3 of 8 rollouts")


def test_an_address_holds_the_setting(page, browser):
    page.get_by_label("Copies of direction 1").fill("9")
    page.get_by_label("Score of direction 2, exact").fill("0.65")
    page.get_by_label("T_s, similarity temperature, exact").fill("0.0123")
    page.get_by_role("button", name="Remove direction 3").click()
    page.get_by_role("button", name="Add a direction").click()
    shown = page.locator("#panel-one table").inner_text()
    again = browser.new_page()
    again.goto(page.url)
    assert again.locator("#panel-one table").inner_text() == shown
    assert again.evaluate("state.one.similarity_temperature") == 0.0123
    again.close()
    open_tab(page, "many")
    page.get_by_label("a: small if many problems are hopeless, exact").fill("0.33")
    other = browser.new_page()
    other.goto(page.url)
    assert other.evaluate("[state.tab, state.many.alpha]") == ["many", 0.33]
    other.close()


def test_the_keyboard_alone_suffices(page):
    page.locator("#tab-one").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#panel-many").is_visible()
    page.keyboard.press("ArrowLeft")
    slider = page.get_by_role("slider", name="N, rollouts")
    slider.focus()
    before = page.locator("#strategies").inner_text()
    slider.press("ArrowRight")
    assert page.evaluate("state.one.budget") == 33
    assert slider.get_attribute("aria-valuetext") == "33"
    assert page.locator("#strategies").inner_text() != before


def test_every_control_has_a_name(page):
    for tab in ("one", "many"):
        open_tab(page, tab)
        nameless = page.evaluate(
            """() => [...document.querySelectorAll('input, select, button, pre')].filter(e =>
              e.offsetParent && !e.ariaLabel && !e.labels?.length && !e.textContent.trim()
              ).length"""
        )
        assert nameless == 0


@pytest.mark.parametrize(
    ("label", "wrong", "said"),
    [
        ("N, rollouts, exact", "2.5", "N, rollouts: needs an integer from 0 to 256"),
        ("κ, trust in the scores, exact", "", "κ, trust in the scores: needs a number"),
        ("Copies of direction 2", "0", "Copies of direction 2: needs an integer from 1 to 64"),
        ("Score of direction 1, exact", "1.2", "Score of direction 1: needs a number from 0 to 1"),
        ("Similarity between directions, exact", "0.97", "Similarity: needs more within"),
    ],
)
def test_wrong_input_is_named_beside_the_last_good_picture(page, label, wrong, said):
    before, url = page.locator("#panel-one table").inner_text(), page.url
    page.get_by_label(label).fill(wrong)
    assert said in page.locator("#complaint-one").inner_text()
    assert page.locator("#panel-one table").inner_text() == before
    assert page.url == url


def test_an_address_of_nonsense_is_named(page, browser):
    for address in ("#directions=axb", "#budget=-3", "#tab=many&alpha=x"):
        other = browser.new_page()
        other.goto(PAGE.as_uri() + address)
        assert "needs" in other.locator("[role=alert]:visible").inner_text()
        other.close()


def test_what_is_offered_in_python_gives_what_is_shown(page, capsys):
    for name in presets(page, "one"):
        page.locator("#preset-one").select_option(name)
        found = page.evaluate("one(state.one)")["strategies"]
        exec(page.locator("#python-one").text_content(), {})
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 3
        for line in lines:
            strategy, totals, success = re.fullmatch(r"(\S+) \[(.*)\] (\S+)", line).groups()
            assert list(map(int, totals.split())) == found[strategy]["totals"]
            assert float(success) == pytest.approx(found[strategy]["success"], rel=1e-9)
    open_tab(page, "many")
    exec(page.locator("#python-many").text_content(), {})
    values = [float(line.split()[-1]) for line in capsys.readouterr().out.splitlines()]
    shown = page.evaluate("many(state.many)")
    wanted = [shown[x] for x in ("uniform", "rounds", "round-robin", "cost")]
    assert values == pytest.approx(wanted, rel=1e-9)


def test_what_is_offered_for_the_shell_gives_what_is_shown(page, capsys, monkeypatch):
    found = page.evaluate("one(state.one)")["strategies"]
    sizes = page.evaluate("state.one.sizes")
    for line in page.locator("#shell-one").text_content().splitlines():
        echo, problem, pipe, program, *arguments = shlex.split(line)
        assert (echo, pipe, program) == ("echo", "|", "dora-theory")
        answer = run(arguments, problem, monkeypatch, capsys)[0]
        cut = np.cumsum(sizes)[:-1]
        totals = [int(part.sum()) for part in np.split(np.array(answer["allocation"]), cut)]
        assert totals == found[answer["strategy"]]["totals"]
        # Qualities of directions are pooled by a mean of exponentials, to rounding the same.
        success = found[answer["strategy"]]["success"]
        assert answer["success"] == pytest.approx(success, rel=1e-9)
    open_tab(page, "many")
    comment, *lines = page.locator("#shell-many").text_content().splitlines()
    assert comment.startswith("#")
    seq, sed, program = (shlex.split(part) for part in " ".join(lines).split(" | "))
    form = re.fullmatch(r"s/\.\*/(.*)/", sed[1])[1]
    problems = [form.replace("&", str(i + 1)) for i in range(int(seq[1]))]
    answers = run(program[1:], "\n".join(problems), monkeypatch, capsys)
    assert sum(answer["rollouts"] for answer in answers) == len(problems)


def run(arguments, text, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode() + b"\n")))
    capsys.readouterr()
    assert main(arguments) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_nothing_is_loaded(page):
    assert not re.search(r"""(src|href)=["']https?:""", PAGE.read_text(encoding="utf-8"))
