"""Presets: valid, of the moments that they state, and what the fit makes of the logs themselves."""

import os
from pathlib import Path

import numpy as np
import pytest

from dora_theory.simulation.populations import Population
from dora_theory.simulation.presets import PRESETS, preset
from paper_repro import fit_populations
from paper_repro.fit_populations import Table, drawn, fit, logged, population

pytestmark = pytest.mark.slow

LOGS = os.environ.get("DORA_THEORY_LOGS")
# Preset → file, m, what ends a step; the last two as in its command.
FILES = {
    "math500-llama31-8b": ("sal_math500_llama31_8b_steps19.jsonl.gz", 2, "blank-line"),
    "humaneval-codegen16b": ("humaneval_codegen16b_n100.jsonl.gz", 1, "line"),
}


@pytest.fixture(scope="module")
def tables():
    return {name: Table.of(drawn(p.population, 600)) for name, p in PRESETS.items()}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_the_moments_that_it_states(tables, name):
    """To 5 standard errors of 600 problems, and to what three digits and whole k leave."""
    assert preset(name).checked() == PRESETS[name].population
    table, stated = tables[name], PRESETS[name].moments
    assert set(stated) <= set(fit_populations.FITTED)
    found = table.means()
    for moment, value in stated.items():
        error = np.nanstd(table.column(moment)) / np.sqrt(600)
        assert abs(found[moment] - value) < 5 * error + 0.03 * abs(value) + 1e-9, moment


def test_an_unknown_preset_is_named():
    with pytest.raises(ValueError, match="preset = 'gsm8k': needs one of math500-llama31-8b"):
        preset("gsm8k")


def test_the_fit_finds_what_a_population_was_made_with():
    """Of 6,000 problems of one population, to a few standard errors of what the equations give."""
    made = Population(
        num_candidates=12,
        num_directions=12,
        sizes="crp",
        skew=1.5,
        discount=0.3,
        level=-1.0,
        difficulty=1.2,
        spread=0.3,
        concentration=3.0,
        slope=0.6,
        offset=0.4,
        noise=0.05,
        similarity_within=0.9,
        similarity_between=0.5,
        dimension=8,
    )
    found = fit(Table.of(drawn(made, 6000, seed=3)))
    again = population(found, 12)
    widths = {
        "level": 0.15, "difficulty": 0.1, "spread": 0.04, "concentration": 0.4, "slope": 0.1,
        "offset": 0.02, "noise": 0.002, "skew": 0.2, "discount": 0.05, "similarity_within": 0.003,
        "similarity_between": 0.01, "dimension": 1,
    }  # fmt: skip
    for name, width in widths.items():
        assert abs(getattr(again, name) - getattr(made, name)) <= width, name
    assert again.direction_noise == 0


def test_scores_that_say_nothing_are_noise():
    """No score tells a direction: spread is 0, and what differs between directions is an error."""
    made = Population(
        num_candidates=8, num_directions=4, sizes="equal", level=0.5, difficulty=1.0, spread=0.0,
        noise=0.1,
    )  # fmt: skip
    table = Table.of(drawn(made, 300))
    values = table.values.copy()
    values[:, table.names.index("telling_across")] = -1.0
    found = fit(Table(table.names, values))
    assert found["spread"] == 0
    between = max(table.means()["score_across"] - table.means()["score_inside"], 0)
    assert found["direction_noise"] == pytest.approx(np.sqrt(between))


@pytest.mark.skipif(LOGS is None, reason="the logs: set DORA_THEORY_LOGS to their folder")
@pytest.mark.parametrize("name", PRESETS)
def test_the_script_makes_the_constants_of_its_log(name):
    file, steps, end = FILES[name]
    command = PRESETS[name].command
    assert f"--steps {steps}" in command
    assert ("--step-end line" in command) == (end == "line")
    table = Table.of(logged(str(Path(LOGS) / file), steps, end))
    found = population(fit(table), round(table.means()["candidates"]))
    for attribute, value in vars(PRESETS[name].population).items():
        other = getattr(found, attribute)
        if isinstance(value, float):
            # One in the third digit, which may round either way.
            assert other == pytest.approx(value, rel=0.011, abs=1e-9), attribute
        else:
            assert other == value, attribute
    for moment, value in PRESETS[name].moments.items():
        assert table.means()[moment] == pytest.approx(value, abs=6e-5), moment
