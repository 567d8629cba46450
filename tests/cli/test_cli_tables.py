"""Tables as files, a finished sweep as a picture, help without a command, completion."""

import csv
import io
import json

import pandas
import pytest

from dora_theory._errors import InputError
from dora_theory.cli.main import main
from dora_theory.io.store import open_store
from dora_theory.io.tables import write_csv, write_parquet
from dora_theory.replay.synthetic import write_synthetic_log
from dora_theory.simulation.stored import read_sweep_results
from dora_theory.simulation.sweeps import Sweep

ROWS = [{"a": 1, "b": None, "c": "x,y"}, {"a": 2.5, "c": float("nan"), "d": "\ud800"}]


def test_rows_as_csv(tmp_path):
    path = tmp_path / "table.csv"
    write_csv(str(path), ROWS)
    found = list(csv.DictReader(io.StringIO(path.read_text())))
    assert found[0] == {"a": "1", "b": "", "c": "x,y", "d": ""}
    assert found[1] == {"a": "2.5", "b": "", "c": "", "d": "\\ud800"}


def test_rows_as_parquet(tmp_path):
    path = tmp_path / "table.parquet"
    write_parquet(str(path), [{"a": 1, "b": None}, {"a": 2.5, "b": "x"}])
    frame = pandas.read_parquet(path)
    assert frame["a"].tolist() == [1, 2.5]
    assert frame["b"].isna().tolist() == [True, False]


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_a_place_that_cannot_be_written_is_named(write, tmp_path):
    with pytest.raises(InputError, match="no/table"):
        write(str(tmp_path / "no" / "table"), [{"a": 1}])


@pytest.fixture
def store(tmp_path):
    """Of two budgets and two κ, all done, with figures made up."""
    axes = {"population.concentration": (0.5, 2.0), "budget": (4, 8, 16)}
    sweep = Sweep(axes=axes, strategies=("rebase", "dora"), num_problems=4)
    path = tmp_path / "store"
    with open_store(path, sweep.definition(), sweep.columns(), len(sweep)) as kept:
        rows = []
        for number, place in enumerate(sweep.places()):
            row = {"cell": number, "key": "", "version": "", "jax": "", "device": "", "seconds": 0}
            for i, name in enumerate(("rebase", "dora")):
                value = 0.1 * i + place["budget"] / 40
                numbers = (value, value - 0.02, value + 0.02, 2.0, 0.5)
                ends = "success", "success_low", "success_high", "correct", "correct_error"
                row |= {f"{name}.{end}": x for end, x in zip(ends, numbers, strict=True)}
            rows.append(row | place)
        kept.append(rows)
    return path


def test_a_store_is_tidy(store):
    found = read_sweep_results(store)
    frame = found.to_dataframe()
    assert len(frame) == 6 * 2 * 2
    first = frame.iloc[0]
    assert (first.strategy, first.metric, first.budget) == ("rebase", "success", 4)
    assert (first.value, first.low, first.high) == (0.1, 0.08, pytest.approx(0.12))
    assert frame.iloc[1].high == pytest.approx(2 + 0.5 * 1.96, rel=1e-4)
    assert [axes.get_title("left") for axes in found.plot().axes] == [
        "concentration = 0.5",
        "concentration = 2.0",
    ]
    assert found.plot("population.concentration").axes[0].get_xlabel() == "population.concentration"
    with pytest.raises(InputError, match="no axis of numbers"):
        found.plot("seed")


def test_show_prints_and_draws_a_finished_sweep(store, tmp_path, capsys):
    table, picture = tmp_path / "t.csv", tmp_path / "p.png"
    arguments = "--show", "--csv", table, "--figure", picture
    assert main(["simulate", "--out", str(store), *map(str, arguments)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{store}: 6 of 6 cells"
    assert len(out) == 2 + 24
    assert len(list(csv.DictReader(io.StringIO(table.read_text())))) == 24
    assert picture.stat().st_size > 10_000
    assert main(["simulate", "--out", str(store), "--show", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 24
    assert main(["simulate", "--out", str(store)]) == 2
    assert "SWEEP.toml: missing" in capsys.readouterr().err


def test_without_a_command_help_is_printed(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "allocate" in out
    assert "COMMAND" in out


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_commands_and_options(shell, capsys):
    assert main(["completion", shell]) == 0
    out = capsys.readouterr().out
    for word in ("allocate", "--strategy", "--stream", "calibrate"):
        assert word in out


@pytest.mark.slow
def test_replay_calibrate_and_verify_write_tables(tmp_path, capsys):
    log = tmp_path / "log.jsonl"
    write_synthetic_log(log, problems=12, samples=8)
    of = {
        "replay": [str(log), "--budgets", "2,4", "--strategies", "rebase,dora"],
        "calibrate": [str(log), "--depths", "1", "--budgets", "2"],
        "verify": ["--claims", "2.1", "--instances", "4096"],
    }
    for command, more in of.items():
        table, columns = tmp_path / f"{command}.csv", tmp_path / f"{command}.parquet"
        tables = "--csv", str(table), "--parquet", str(columns)
        assert main([command, *more, *tables]) == 0
        rows = list(csv.DictReader(io.StringIO(table.read_text())))
        assert len(rows) == len(pandas.read_parquet(columns)) > 0
    replayed = list(csv.DictReader(io.StringIO((tmp_path / "replay.csv").read_text())))
    assert [(r["strategy"], r["budget"]) for r in replayed] == [
        (name, n) for name in ("rebase", "dora") for n in ("2", "4")
    ]
