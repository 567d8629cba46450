"""Results as tables and files."""

import sys

import numpy as np
import pytest

import dora_theory as dt
from dora_theory._errors import InputError
from dora_theory.claims.results import Verdicts, verify
from dora_theory.replay.synthetic import write_synthetic_log
from dora_theory.simulation.result import Simulation
from dora_theory.simulation.stored import StoredSweep


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    log = str(tmp_path_factory.mktemp("log") / "log.jsonl")
    write_synthetic_log(log, problems=3, samples=4, seed=2)
    return dt.replay(log, strategies=["rebase", "beam"], budgets=[1, 2])


def test_a_replay_is_a_table(replayed):
    rows = replayed.rows()
    assert [(r["strategy"], r["budget"]) for r in rows] == [
        ("rebase", 1), ("rebase", 2), ("beam", 1), ("beam", 2)
    ]  # fmt: skip
    cell = replayed.data["strategies"]["beam"]["budget"]["2"]
    assert rows[3]["success"] == cell["success"]
    assert rows[0]["difference"] is None
    frame = replayed.to_dataframe()
    assert list(frame.columns) == list(rows[0])
    assert len(frame) == 4
    text = repr(replayed)
    assert "3 problems" in text
    assert "beam" in text
    html = replayed._repr_html_()
    assert html.count("<tr>") == 5
    assert "<td>rebase</td>" in html


def test_there_and_back(replayed, tmp_path):
    path = tmp_path / "replay.json"
    replayed.save(path)
    assert type(replayed).load(path).rows() == replayed.rows()
    path.write_text("[1]", encoding="utf-8")
    with pytest.raises(InputError, match=r"replay.json: needs a JSON object"):
        type(replayed).load(path)
    with pytest.raises(InputError, match="No such file"):
        type(replayed).load(tmp_path / "nowhere.json")


def test_without_pandas_the_extra_is_named(replayed, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'dora-theory\[all\]'"):
        replayed.to_dataframe()


def test_a_simulation_is_saved_whole(tmp_path):
    made = Simulation(
        ("rebase", "oracle"), 4, 8, 1, "closed",
        np.full((2, 2), 0.5), np.ones((2, 2, 2)), np.ones((2, 2, 2)),
    )  # fmt: skip
    path = tmp_path / "simulation.json"
    made.save(path)
    back = Simulation.load(path)
    np.testing.assert_array_equal(back.scatter, made.scatter)
    assert back.strategies == made.strategies
    assert {row["metric"] for row in made.rows()} == {"success", "correct", "pass_rate", "regret"}
    pytest.importorskip("xarray")
    found = back.to_xarray()
    assert dict(found.sizes) == {"strategy": 2, "budget": 1, "metric": 4}
    cell = found.sel(strategy="oracle", budget=4, metric="success")
    assert [float(cell[name]) for name in made.success("oracle")._fields] == [
        *made.success("oracle")
    ]
    assert (found.attrs["num_problems"], found.strategy.values.tolist()) == (
        8,
        ["rebase", "oracle"],
    )
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="needs the fields strategies, budget"):
        Simulation.load(path)


def test_a_sweep_is_labeled_by_its_axes(monkeypatch):
    definition = {
        "axes": [["noise", [1.0, 0.5]], ["budget", [4, 8]]],
        "columns": ["rebase.success", "dora.success"],
        "budget": 4,
    }
    cells = tuple(
        {"cell": i, "noise": noise, "budget": 4, "rebase.success": i / 4, "dora.success": 1.0}
        | {f"{name}.success_{end}": i / 4 for name in ("rebase", "dora") for end in ("low", "high")}
        for i, noise in enumerate((1.0, 0.5))
    )
    sweep = StoredSweep("here", definition, cells)
    pytest.importorskip("xarray")
    found = sweep.to_xarray()
    assert found.noise.values.tolist() == [1.0, 0.5]
    assert found.value.sel(noise=0.5, budget=4, strategy="rebase", metric="success") == 0.25
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match=r"pip install 'dora-theory\[xarray\]'"):
        sweep.to_xarray()


def test_verdicts():
    found = verify(["2.5"], instances=2000)
    assert isinstance(found, Verdicts)
    assert found.as_expected
    assert {row["id"] for row in found.rows()} == {"2.5"}
    with pytest.raises(ValueError, match=r"claims: '9.99' is none of"):
        verify(["9.99"])
