"""Calibration on curves whose parameters are known, and a file whose DORA rows are nonsense."""

import csv
import io
import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from dora_theory._errors import InputError
from dora_theory.cli.main import guarded
from dora_theory.search.engine import Candidates, one_of
from dora_theory.search.rules import as_rule
from dora_theory.search.tree import Tree
from paper_repro import calibration, fit_curves
from paper_repro import emulator as emulation
from paper_repro.calibration import ASSUMED, FITTED, RULES, STRATEGIES, fit_panel
from paper_repro.emulator import ABILITIES, Design, Emulator, fit_emulator, run_design
from paper_repro.published import BASELINES, Panel, read_panels

pytestmark = pytest.mark.slow

FIGURE3 = Path(__file__).parents[2] / "paper_repro" / "data" / "figure3.csv"
BUDGETS = (16, 32, 64, 128, 256)


def made_up(count=1500, noise=False):
    """A design whose outcomes are logistic in the parameters, each strategy in its own way."""
    generator = np.random.default_rng(0)
    points = generator.uniform(-1, 1, (count, 2 + len(FITTED) + len(ASSUMED)))
    outcomes, own = {}, np.random.default_rng(1)
    for name in STRATEGIES:
        slopes = own.normal(0, 1, (2, points.shape[1]))
        slopes[:, 0] = 6.0
        slopes[:, -1] = 0.5 if name == "dora" else 0.0
        p = special.expit(points @ slopes.T + own.normal(0, 0.3, 2))
        outcomes[name] = (generator.random(p.shape) < p).astype(float) if noise else p
    return Design({**FITTED, **ASSUMED}, points, outcomes)


@pytest.fixture(scope="module")
def emulator():
    return fit_emulator(made_up())


def test_the_emulator_finds_the_function_behind_the_outcomes(emulator):
    design = made_up()
    p = np.stack(list(design.outcomes.values()), 1)
    # To within what the ridge holds back.
    np.testing.assert_allclose(emulator.at(design.points), p, atol=0.01)
    # Of outcomes that are 0 or 1 it finds the mean as well, to their scatter.
    noisy = fit_emulator(made_up(4000, noise=True)).at(design.points)
    assert np.abs(noisy - p).mean() < 0.05


def test_a_population_is_the_mean_over_normal_abilities(emulator):
    unit = np.array([0.1, -0.3, 0.5, 0.2, 0.0])
    found = emulator.population(-2.0, 3.0, unit, (16, 64))
    low, high = ABILITIES
    for i, log_n in enumerate((-1.0, 0.0)):

        def outcome(z, log_n=log_n):
            at = 2 * (np.clip(z, low, high) - low) / (high - low) - 1
            return emulator.at(np.array([[at, log_n, *unit]]))[0, 3, 0]

        mean, _ = integrate.quad(
            lambda z, f=outcome: f(z) * stats.norm.pdf(z, -2, 3), -20, 16, limit=200
        )
        assert found[i, 3, 0] == pytest.approx(mean, abs=2e-3)


def searched(emulator, noise=0.0):
    """Searches whose outcome is the emulator's, give or take."""

    def simulate(parameters, panel):
        unit = [2 * (parameters[n] - a) / (b - a) - 1 for n, (a, b) in FITTED.items()]
        at = parameters["ability"], parameters["spread"]
        found = 100 * emulator.population(*at, np.array([*unit, 0.0]), panel.budgets)
        return found + noise

    return simulate


def panel_of(emulator: Emulator, at, unit):
    curves = 100 * emulator.population(*at, np.array([*unit, 0.0]), BUDGETS)
    return Panel("B", "M", BUDGETS, curves[:, :4], np.array([1.0, 0.5])), curves[:, 4]


def test_known_parameters_come_back_and_dora_is_predicted(emulator):
    truth = -1.5, 2.5
    unit = np.array([0.2, -0.4, 0.3, 0.5])
    panel, dora = panel_of(emulator, truth, unit)
    # Points that are not there are left out.
    panel.percent[0, 0, 0] = np.nan
    fit = fit_panel(panel, emulator, draws=12, simulate=searched(emulator))
    assert fit.misfit < 0.02
    assert not fit.fails
    assert not fit.at_bound
    assert fit.parameters["ability"][0] == pytest.approx(truth[0], abs=0.05)
    for (name, (low, high)), x in zip(FITTED.items(), unit, strict=True):
        value, below, above = fit.parameters[name]
        assert value == pytest.approx(low + (x + 1) / 2 * (high - low), abs=0.02 * (high - low))
        assert below < value < above
    np.testing.assert_allclose(fit.predicted[..., 0], dora, atol=0.5)
    # What searches give counts, not what the emulator says.
    other = fit_panel(panel, emulator, draws=2, simulate=searched(emulator, 3.0))
    assert other.parameters["ability"][0] == fit.parameters["ability"][0]
    np.testing.assert_allclose(other.predicted[..., 0], fit.predicted[..., 0] + 3)
    assert other.fails
    np.testing.assert_allclose(other.rms, 3, atol=0.1)
    assert np.all(fit.predicted[..., 1] < dora)
    assert np.all(fit.predicted[..., 2] > dora)


def test_curves_that_no_population_has_are_a_failed_fit(emulator):
    panel, _ = panel_of(emulator, (-1.5, 2.5), np.zeros(4))
    panel.percent[1::2] += 25
    fit = fit_panel(panel, emulator, draws=2, simulate=searched(emulator))
    assert fit.fails
    assert fit.misfit > 5
    assert np.all(fit.rms > 5)


def test_dora_rows_are_not_looked_at(tmp_path):
    text = FIGURE3.read_text(encoding="utf-8")
    lines = ["nonsense,,,dora,none,," if ",dora," in line else line for line in text.splitlines()]
    changed = tmp_path / "figure3.csv"
    changed.write_text("\n".join(lines), encoding="utf-8")
    panels, same = read_panels(str(FIGURE3)), read_panels(str(changed))
    assert len(panels) == 9
    for a, b in zip(panels, same, strict=True):
        assert (a.benchmark, a.model, a.budgets) == (b.benchmark, b.model, b.budgets)
        np.testing.assert_array_equal(a.percent, b.percent)
        np.testing.assert_array_equal(a.deviation, b.deviation)
    first = panels[0]
    assert (first.benchmark, first.model) == ("MATH500", "Llama-3.2-1B-Instruct")
    # Rows of the file: temperature at 16 first, REBASE at 256 last; accuracy, then pass rate.
    assert first.percent[0, 0, 0] == 46.22
    assert first.percent[4, 3].tolist() == [67.60, 58.46]
    assert "dora" not in BASELINES


HEAD = "metric,benchmark,policy_model,strategy,budget,percent,band_low,band_high"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,b"], ":1: metric: no such column"),
        ([HEAD], "no rows of"),
        ([HEAD, "accuracy,B,M,luck,16,5,,"], ":2: strategy: 'luck'"),
        ([HEAD, "votes,B,M,rebase,16,5,,"], ":2: metric: 'votes'"),
        ([HEAD, "accuracy,B,M,rebase,16,nan,,"], ":2: percent: 'nan'"),
        ([HEAD, "accuracy,B,M,rebase,0,5,,"], ":2: budget: '0'"),
        ([HEAD, "accuracy,B,M,rebase,4096,5,,"], "needs a number from 16 to 256"),
        ([HEAD, "accuracy,B,M,rebase,16.7,5,,"], ":2: budget: '16.7', needs an integer"),
        ([HEAD, "accuracy,B,M,rebase,16"], ":2: too few fields"),
        ([HEAD, *["accuracy,B,M,rebase,16,5,,"] * 2], ":3: budget: 16 comes twice"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, lines, message):
    path = tmp_path / "f.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_panels(str(path))


TINY = Tree(steps=3, first=2, num_directions=2, answers=5, dimension=4)


def test_a_design_is_searches_of_the_tree_under_each_rule():
    rules = {name: RULES[name] for name in ("temperature", "rebase")}
    told = []
    design = run_design(
        TINY, {"noise": (1.0, 1.0)}, rules, {6: 256}, after=lambda *x: told.append(x)
    )
    assert told == [(6, "temperature"), (6, "rebase")]
    assert design.points.shape == (256, 3)
    found = {name: y.mean(0) for name, y in design.outcomes.items()}
    assert found["rebase"][1] > found["temperature"][1]
    # Able problems are solved, others are not.
    z = design.points[:, 0]
    assert design.outcomes["rebase"][z > 0.6].mean() > 0.9
    assert design.outcomes["rebase"][z < -0.6].mean() < 0.1


def test_a_rule_among_several_is_the_rule_alone():
    generator = np.random.default_rng(0)
    seen = Candidates(
        jnp.asarray(generator.random(6)),
        jnp.asarray(generator.normal(size=(6, 3))),
        jnp.arange(6),
        jnp.ones(6, bool),
    )
    rules = as_rule("rebase"), as_rule("beam")
    for which, rule in enumerate(rules):
        among = jax.jit(lambda i, c: one_of(rules, i)(c, jnp.int32(9)))(jnp.int32(which), seen)
        assert among.tolist() == rule(seen, jnp.int32(9)).tolist()


@pytest.fixture
def quick(monkeypatch):
    """No searches: outcomes made up."""
    design = made_up()
    monkeypatch.setattr(emulation, "run_design", lambda *_, **__: design)
    simulate = searched(fit_emulator(design))
    monkeypatch.setattr(calibration, "fit_panel", partial(fit_panel, simulate=simulate))


def test_the_command(tmp_path, quick, capsys):
    rows = [line for line in FIGURE3.read_text(encoding="utf-8").splitlines() if "dora" not in line]
    small = tmp_path / "small.csv"
    small.write_text(
        "\n".join(line for line in rows if "MATH500,Qwen" in line or "metric" in line),
        encoding="utf-8",
    )
    out, predicted = tmp_path / "c.json", tmp_path / "p.csv"
    options = ["--draws", "2", "--json", "--out", str(out), "--predictions", str(predicted)]
    assert fit_curves.main([str(small), *options]) == 0
    (panel,) = json.loads(out.read_text(encoding="utf-8"))["panels"]
    assert panel["policy_model"] == "Qwen2.5-1.5B-Instruct"
    assert panel["verdict"] in ("fits", "fails")
    assert set(panel["parameters"]) == {"ability", "spread", *FITTED}
    made = list(csv.DictReader(io.StringIO(predicted.read_text(encoding="utf-8"))))
    assert [int(r["budget"]) for r in made] == [*BUDGETS, *BUDGETS]
    assert {r["strategy"] for r in made} == {"dora"}
    assert all(float(r["low"]) <= float(r["high"]) for r in made)
    assert fit_curves.main([str(small), "--draws", "2"]) == 0
    assert "| MATH500 | Qwen2.5-1.5B-Instruct |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["nowhere.csv"], "nowhere.csv: No such file"),
        (["--effort", "0"], "--effort: 0"),
        (["--draws", "1"], "--draws: 1"),
    ],
)
def test_bad_options_are_one_line(options, message, capsys, tmp_path):
    out = tmp_path / "out.json"
    assert guarded(lambda: fit_curves.main([*options, "--out", str(out)])) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not out.exists()


def test_what_is_committed_is_what_it_says_it_is():
    """The fit's error from the file's own curves, and every panel predicted, Qwen's as well."""
    document = json.loads((FIGURE3.parent / "calibration.json").read_text(encoding="utf-8"))
    panels = read_panels(str(FIGURE3))
    assert len(document["panels"]) == len(panels)
    for made, panel in zip(document["panels"], panels, strict=True):
        assert made["policy_model"] == panel.model
        off = np.array(made["fitted_percent"]) - panel.percent
        rms = np.sqrt(np.nanmean(off**2, axis=(0, 1)))
        np.testing.assert_allclose(list(made["rms_points"].values()), rms, atol=1e-6)
        free = np.sum(~np.isnan(off)) - len(made["parameters"])
        misfit = np.sqrt(np.nansum((off / panel.deviation) ** 2) / free)
        assert made["misfit"] == pytest.approx(misfit, rel=1e-6)
        assert made["verdict"] == ("fails" if misfit > 2 else "fits")
    with (FIGURE3.parent / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    models = {p.model for p in panels}
    assert len(rows) == 2 * len(panels) * len(BUDGETS)
    assert {r["policy_model"] for r in rows} == models
    assert all(0 <= float(r["low"]) <= float(r["percent"]) <= float(r["high"]) for r in rows)
