"""The picture shows the numbers of the summary and no others."""

import copy

import numpy as np
import pytest

from dora_theory import plots
from dora_theory.plots import save
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.report.html import page_of_logs
from dora_theory.replay.report.picture import success_against_budget
from dora_theory.replay.report.summary import summary
from dora_theory.replay.report.table import table
from dora_theory.replay.run import replay
from dora_theory.replay.synthetic import write_synthetic_log

STRATEGIES = ("temperature", "beam", "rebase", "dora", "optimal")


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("logs") / "log.jsonl")
    write_synthetic_log(path, problems=60)
    return summary(replay(path, ReplayOptions(budgets=(2, 32), strategies=STRATEGIES)))


def test_numbers(document):
    figure = success_against_budget([document], ["made up"])
    success, difference = figure.axes[0], figure.axes[1]
    drawn = {tuple(np.asarray(line.get_ydata()).round(12)) for line in success.get_lines()}
    cells = [[r["budget"][n] for n in ("2", "32")] for r in document["strategies"].values()]
    # Estimates are drawn and bounds are not.
    assert drawn == {
        tuple(round(c["success"], 12) for c in x if c["clipped"] <= 0.05) for x in cells
    }
    assert any(c["clipped"] > 0.05 for x in cells for c in x)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "REBASE = optimal" in texts
    assert {"30 problems or more", "fewer than 30 problems"} <= set(texts)
    assert success.get_title(loc="left").startswith("made up\n60 problems")
    cells = [c for pair in document["paired"].values() for c in pair["budget"].values()]
    wanted = {round(c["difference"], 12) for c in cells if c["problems"] >= 30 and c["difference"]}
    assert wanted <= differences(difference, "solid")
    assert wanted


def test_one_problem_and_one_solution_have_no_plural(document):
    one = document | {"problems": 1, "samples": 1}
    axes = success_against_budget([one], ["made up"]).axes[0]
    assert axes.get_title(loc="left") == "made up\n1 problem, 1 solution"
    assert (
        page_of_logs([one], ["made up"], lambda *_: [], "", "").count("1 problem, 1 solution.") == 1
    )


def differences(axes, kind):
    """The differences that are drawn with solid or hollow marks."""
    return {
        y
        for line, *_ in axes.containers
        if (line.get_markerfacecolor() == "white") is (kind == "hollow")
        for y in np.asarray(line.get_ydata()).round(12)
    }


def test_differences_over_few_problems_are_hollow(document):
    few = copy.deepcopy(document)
    pair = next(p for p in few["paired"].values() if p["budget"]["2"]["difference"])
    cell = pair["budget"]["2"]
    cell |= {"problems": 12, "difference": 0.123, "low": 0.1, "high": 0.2}
    axes = success_against_budget([few], ["few"]).axes[1]
    assert 0.123 in differences(axes, "hollow") - differences(axes, "solid")


def test_every_strategy_and_a_rule_of_ones_own_has_its_look(document):
    (first, *_), strategies = STRATEGIES, document["strategies"]
    names = [*plots.COLORS, "mine:rule"]
    shifted = {
        name: {"budget": {n: c | {"low": i / 99} for n, c in strategies[first]["budget"].items()}}
        for i, name in enumerate(names)
    }
    figure = success_against_budget([document | {"strategies": shifted}], ["all"])
    handles = figure.legends[0].legend_handles
    looks = {(h.get_color(), h.get_linestyle(), h.get_marker()) for h in handles[: len(names)]}
    assert len(looks) == len(names)
    assert {plots.label(name) for name in names} <= {h.get_label() for h in handles}


def test_files_are_the_same_each_time(document, tmp_path):
    for name in ("a", "b"):
        save(success_against_budget([document] * 2, ["log"] * 2), tmp_path / name)
    for kind in ("png", "svg"):
        one, other = ((tmp_path / f"{name}.{kind}").read_bytes() for name in ("a", "b"))
        assert one == other


def test_table(document):
    lines = table(document).splitlines()
    assert "60 problems, 960 solutions" in lines[0]
    (row,) = (line for line in lines if line.startswith("temperature ") and "≥" in line)
    cell = document["strategies"]["temperature"]["budget"]["2"]
    assert f"{100 * cell['success']:.1f} [" in row
    assert any(line.startswith("beam") and line.endswith("-") for line in lines)
    assert "Off-policy" in "\n".join(lines)
    alone = table(document | {"paired": {}})
    assert "Difference to REBASE" not in alone


def test_no_point_of_few_problems_is_out_of_the_picture(document):
    few = copy.deepcopy(document)
    for pair in few["paired"].values():
        for cell in pair["budget"].values():
            cell |= {"problems": 3, "difference": 0.12, "low": -0.7, "high": 0.5}
    axes = success_against_budget([few], ["made up"]).axes[1]
    low, high = axes.get_ylim()
    drawn = differences(axes, "hollow")
    assert drawn
    assert low < min(drawn) <= max(drawn) < high
