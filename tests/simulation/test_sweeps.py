"""Sweeps: the file that says what, the cells, one program for many, and going on after a kill."""

import io
import json
import random
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace

import jax
import numpy as np
import pytest

from dora_theory._errors import InputError
from dora_theory.cli.main import main
from dora_theory.cli.simulate import _DESCRIPTION
from dora_theory.io.store import read_store
from dora_theory.simulation import montecarlo, sweeps
from dora_theory.simulation.montecarlo import rollouts_lost, simulate
from dora_theory.simulation.populations import Population
from dora_theory.simulation.presets import preset
from dora_theory.simulation.stored import read_sweep_results
from dora_theory.simulation.sweep_files import read_sweep
from dora_theory.simulation.sweeps import Sweep, arguments, run_sweep, simulate_cells
from dora_theory.strategies.options import Options

pytestmark = pytest.mark.slow

TOML = """
strategies = ["rebase", "oracle"]
num_problems = 40
num_samples = 2
seed = 9
[population]
num_candidates = 5
num_directions = 2
within_concentration = inf
[grid]
budget = [5, 6]
options.quality_temperature = [0.1, 0.3]
population.concentration = { from = 0.1, to = 10, count = 3, spacing = "log" }
"""


@pytest.fixture
def sweep_file(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(TOML)
    return path


def rows_of(store):
    """All that counts: seconds differ from run to run."""
    rows = read_store(store)[1].to_pylist()
    return [{name: x for name, x in row.items() if name != "seconds"} for row in rows]


def test_the_sweep_that_the_help_shows_is_one(tmp_path):
    shown = [line[2:] for line in _DESCRIPTION.splitlines() if line.startswith("  ")]
    path = tmp_path / "sweep.toml"
    path.write_text("\n".join(shown), encoding="utf-8")
    assert len(read_sweep(path)) == 14


def test_a_file_says_what_it_says(sweep_file):
    sweep = read_sweep(sweep_file)
    assert len(sweep) == 12
    places = list(sweep.places())
    assert places[0] == {
        "budget": 5, "options.quality_temperature": 0.1, "population.concentration": 0.1,
    }  # fmt: skip
    assert [p["population.concentration"] for p in places[:3]] == pytest.approx([0.1, 1, 10])
    assert [p["budget"] for p in places] == [5] * 6 + [6] * 6
    assert sweep.population == {
        "num_candidates": 5, "num_directions": 2, "within_concentration": float("inf"),
    }  # fmt: skip


def test_sequences_are_values_and_lists_of_them_axes(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(
        "[population]\nnum_candidates = 6\nnum_directions = 2\nquality = [0.6, 0.4]\n"
        '[grid.population]\nsizes = ["equal", [5, 1]]\n'
    )
    sweep = read_sweep(path)
    assert [p["population.sizes"] for p in sweep.places()] == ["equal", (5, 1)]
    assert sweep.population["quality"] == (0.6, 0.4)
    assert sweep.columns()["population.sizes"] == "string"


def test_a_preset_is_its_attributes_and_what_is_said_takes_their_place(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(
        '[population]\npreset = "math500-llama31-8b"\nlevel = 0\n'
        "[grid.population]\nnoise = [0, 1]\n"
    )
    sweep = read_sweep(path)
    assert "preset" not in sweep.population
    made = preset("math500-llama31-8b")
    for place in sweep.places():
        changes = {"level": 0.0, "noise": place["population.noise"]}
        assert arguments(sweep, place)[0] == made.with_changes(**changes)
    path.write_text('[population]\npreset = "gsm8k"\n')
    with pytest.raises(InputError, match="preset = 'gsm8k': needs one of"):
        read_sweep(path)


def test_a_row_is_what_simulate_says(sweep_file):
    sweep = read_sweep(sweep_file)
    (row,) = simulate_cells(sweep, frozenset(range(11)))
    made = Population(num_candidates=5, num_directions=2, concentration=10.0)
    found = simulate(
        jax.random.key(9), made, ("rebase", "oracle"), 6, num_problems=40, num_samples=2,
        options=Options(quality_temperature=0.3),
    )  # fmt: skip
    assert row["cell"] == 11
    assert row["budget"] == 6
    assert row["rebase.success"] == found.success("rebase").value
    assert row["rebase.regret_error"] == found.regret("rebase").error
    assert row["oracle.correct"] == found.correct("oracle").value
    assert set(row) == set(sweep.columns())


def test_rollouts_lost_are_in_the_row_if_asked():
    sweep = Sweep(strategies=("rebase", "oracle"), budget=6, num_problems=40, rollouts_lost=True)
    (row,) = simulate_cells(sweep)
    key = jax.random.key(0)
    found = simulate(key, Population(), sweep.strategies, 6, num_problems=40, num_samples=16)
    assert row["rebase.lost"] == rollouts_lost(key, Population(), found, "rebase").value
    assert set(row) == set(sweep.columns())


def test_cells_of_one_shape_share_one_program(sweep_file):
    before = montecarlo._row._cache_size()
    rows = list(simulate_cells(read_sweep(sweep_file)))
    # Budgets of 5 and 6 need the same power of two.
    assert montecarlo._row._cache_size() <= before + 1
    assert len({row["rebase.success"] for row in rows}) == 12


def counted(sweep, place):
    """Stands in for a simulation."""
    row = {name: 0.5 for name, kind in sweep.columns().items() if "." in name and name not in place}
    return row | {"key": "0", "rebase.success": sum(place.values())}


def test_a_run_goes_on_where_it_was_stopped(tmp_path, sweep_file):
    sweep = read_sweep(sweep_file)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run_sweep(sweep, whole, cell=counted) == 12

    def stop(row):
        if row["cell"] == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sweep(sweep, parts, cell=counted, after=stop)
    # What was simulated when it was interrupted is kept.
    assert len(rows_of(parts)) == 5
    assert run_sweep(sweep, parts, cell=counted) == 7
    assert run_sweep(sweep, parts, cell=counted) == 0
    assert rows_of(parts) == rows_of(whole)
    assert [row["rebase.success"] for row in rows_of(whole)] == [
        sum(place.values()) for place in sweep.places()
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("seed = 9", "seeds = 9"), "seeds: unknown, needs one of strategies"),
        (("seed = 9", "seed = 9.5"), "seed = 9.5: needs an integer"),
        (("seed = 9", f"seed = {10**20}"), f"seed = {10**20}: needs an integer from 0"),
        (("count = 3", "count = 1e11"), "concentration.count = 1[0-9e.+]*: needs an integer"),
        (("num_problems = 40", "num_problems = 1"), "num_problems = 1: needs at least 2"),
        (("num_problems = 40", 'num_problems = "many"'), "num_problems = 'many': needs an integer"),
        (('"rebase"', '"random"'), "strategies: 'random' is none of temperature"),
        (("num_directions = 2", "num_directions = 9"), "num_directions = 9: needs 1 to 5"),
        (("num_directions = 2", "direction = 2"), "population.direction: unknown"),
        (("num_directions = 2", "num_directions = true"), "population.num_directions = True"),
        (("[5, 6]", "[5, 0]"), r"grid.budget\[1\] = 0: needs an integer from 1 to 2147483647"),
        (("[5, 6]", "[]"), "grid.budget: needs a list of values"),
        (("[5, 6]", "[5, 5]"), "grid.budget: a value is there twice"),
        (("[0.1, 0.3]", "[0.1, -0.3]"), "temperature = -0.3"),
        (("[0.1, 0.3]", "[0.1, nan]"), "temperature = nan"),
        (("from = 0.1", "from = 0"), "grid.population.concentration: a log spacing"),
        (("count = 3, ", ""), "grid.population.concentration: count missing"),
        (('"log"', '"square"'), "grid.population.concentration.spacing = 'square'"),
        (('"log"', '["log"]'), r"concentration.spacing = \['log'\]: needs one of linear, log"),
        (
            ('["rebase", "oracle"]', '["rebase"]\nrollouts_lost = true'),
            "rollouts_lost = true: needs oracle",
        ),
        (
            ("num_candidates = 5", "num_candidates = 5\nconcentration = 1"),
            "concentration: is fixed as well",
        ),
        (("budget =", "budgets ="), "grid.budgets: unknown"),
        (("[grid]", "[grid"), "not TOML"),
    ],
)
def test_a_bad_file_is_status_2_and_one_line_with_the_field(sweep_file, capsys, change, says):
    text = sweep_file.read_text()
    assert change[0] in text
    sweep_file.write_text(text.replace(*change))
    store = sweep_file.parent / "store"
    assert main(["simulate", str(sweep_file), "--out", str(store)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"{sweep_file}: ")
    with pytest.raises(InputError, match=says):
        read_sweep(sweep_file)
    assert not store.exists()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_at_once_that_the_first_program_compiles(
    tmp_path, sweep_file, monkeypatch
):
    seen = []

    def stands_in(sweep, path, *, begin, after):
        seen.append(terminal.getvalue())
        begin(frozenset({0, 1}))
        seen.append(terminal.getvalue())
        after({})
        return 1

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sweeps, "run_sweep", stands_in)
    assert main(["simulate", str(sweep_file), "--out", str(tmp_path / "s")]) == 0
    assert "0/12" in seen[0]
    assert "compiling" in seen[1]
    assert "2/12" in seen[1]
    assert "compiling" not in terminal.getvalue().removeprefix(seen[1])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def command(sweep_file, store, *more):
    return [
        sys.executable,
        "-m",
        "dora_theory",
        "simulate",
        str(sweep_file),
        "--out",
        str(store),
        *more,
    ]


def test_the_command_killed_and_run_again_gives_the_same_rows(tmp_path, capsys):
    """SIGKILL of the real command, at random moments after it wrote something."""
    path = tmp_path / "s.toml"
    # A part is written every 512 rows: so many cells that two kills come well before the end.
    path.write_text(TOML.replace("count = 3", "count = 600"))
    clock, killed, parts = random.Random(1), tmp_path / "killed", set()
    for _ in range(2):
        run = subprocess.Popen(command(path, killed), stderr=subprocess.DEVNULL)
        while run.poll() is None and set(killed.glob("part*")) <= parts:
            time.sleep(0.02)
        time.sleep(clock.uniform(0, 0.5))
        run.send_signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
        parts = set(killed.glob("part*"))
        assert 0 < len(rows_of(killed)) < 2400
    whole = tmp_path / "whole"
    for store in (killed, whole):
        assert main(["simulate", str(path), "--out", str(store), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["cells"] == 2400
    assert rows_of(killed) == rows_of(whole)
    assert np.all(np.isfinite([row["rebase.regret"] for row in rows_of(whole)]))


def test_two_processes_share_the_cells_and_one_keeps_the_store(tmp_path, sweep_file):
    told = ["--coordinator", f"127.0.0.1:{free_port()}", "--processes", "2", "--process"]
    running = [
        subprocess.Popen(
            command(sweep_file, tmp_path / "two", "--json", *told, str(i)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for i in range(2)
    ]
    said = []
    for process in running:
        output, error = process.communicate(timeout=300)
        assert process.returncode == 0, error.decode()
        said.append(output)
    # Nothing but the document, and of one process alone, though Gloo has its say in both.
    assert json.loads(said[0])["simulated"] == 12
    assert said[1] == b""
    assert main(["simulate", str(sweep_file), "--out", str(tmp_path / "one")]) == 0
    assert rows_of(tmp_path / "two") == rows_of(tmp_path / "one")


def test_smooth_is_true_or_false(tmp_path):
    path = tmp_path / "sweep.toml"
    text = 'strategies = ["shared-divisors"]\nnum_problems = 4\n[options]\nsmooth = '
    path.write_text(text + "true\n", encoding="utf-8")
    assert read_sweep(path).options["smooth"] is True
    path.write_text(text + "1\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"options\.smooth = 1"):
        read_sweep(path)


def test_a_sweep_of_costs(tmp_path):
    path = tmp_path / "sweep.toml"
    text = 'by_cost = true\nnum_problems = 4\nlevel = "closed"\n{}[population]\ncost_spread = 0.5\n'
    grid = "num_candidates = 4\nnum_directions = 2\n[grid]\nbudget = [2.5, 4]\n"
    path.write_text(text.format("") + grid, encoding="utf-8")
    sweep = read_sweep(path)
    assert run_sweep(sweep, tmp_path / "store") == 2
    few, many = rows_of(tmp_path / "store")
    assert 0 < few["rebase.success"] < many["rebase.success"] < many["oracle.success"] < 1
    figure = read_sweep_results(tmp_path / "store").plot()
    assert figure.axes[0].get_xlabel() == "cost of a problem's rollouts"
    # Stores of rollouts are defined as they were.
    assert "by_cost" not in replace(sweep, by_cost=False).definition()
    for more, message in (
        ("rollouts_lost = true\n", "needs budgets of rollouts"),
        ("budget = 0\n", "budget"),
    ):
        path.write_text(text.format(more), encoding="utf-8")
        with pytest.raises(InputError, match=message):
            read_sweep(path)
