"""The cost model by fractions of the printed table, and of a search counted by hand."""

from fractions import Fraction

import numpy as np
import pytest

from dora_theory.search.measures import Measures
from paper_repro import cost_frontier, table1
from paper_repro.audit import budget_to_reach
from paper_repro.costs import Models, flops, rereading, search_flops


def test_table_1_by_fractions(tmp_path):
    found = {r["quantity"]: r for r in table1.main(tmp_path)}
    assert (
        (tmp_path / "table1.md")
        .read_text(encoding="utf-8")
        .endswith(table1.table(list(found.values())))
    )
    made = [r for r in found.values() if r["item"] == "Table 1"]
    assert len(made) == 16
    assert all(r["agrees"] for r in made)
    # 8.45e13 / (2 · 1e9 · 64) tokens, read 9/2 times by 0.57e9 parameters.
    tokens = Fraction(845 * 10**11, 128 * 10**9)
    embedding = 2 * 57 * 10**7 * 64 * tokens * Fraction(9, 2)
    total = 845 * 10**11 * 8 + embedding
    cells = {q.split(" FLOPs")[0]: r["ours"] for q, r in found.items()}
    assert cells["dora, N = 64: embedding"] == f"{float(embedding):.2e}"
    assert cells["dora, N = 64: total"] == f"{float(total):.2e}"
    ratios: dict[str, list] = {}
    for r in found.values():
        if r not in made:
            ratios.setdefault(r["quantity"].split(" than")[0], []).append(r)
    for what, ours in (("FLOPs", (3.49, 3.11)), ("rollouts", (4, 3.56))):
        at_table, at_figure = ratios[f"times fewer {what}"]
        assert (at_table["agrees"], at_figure["agrees"]) == (True, False)
        assert (at_table["ours"], at_figure["ours"]) == pytest.approx(ours, abs=0.01)


def test_a_prefix_is_read_again_at_every_step():
    # Prefixes of 1, 2, 3 steps: 6 for 3 written; without the last, finished one 3 for 3.
    assert rereading(3, finished=True) == 2
    assert rereading(3, finished=False) == 1
    with pytest.raises(ValueError, match="at least one"):
        rereading(0, finished=True)


def test_flops_of_a_search():
    measures = Measures(*np.zeros(10))._replace(steps=np.array([11.0]), read=np.array([10.0]))
    sizes = Models(policy=3, prm=5, embedding=7)
    found = search_flops(measures, 2.0, embeds=True, models=sizes)
    assert [float(x[0]) for x in found] == [2 * 3 * 22, 2 * 5 * 22, 2 * 7 * 20]
    assert float(found.total[0]) == 2 * (8 * 22 + 7 * 20)
    assert float(search_flops(measures, 2.0, embeds=False, models=sizes).embedding[0]) == 0
    assert flops(1.0, 0.0).total == 2 * (1e9 + 7e9)
    with pytest.raises(ValueError, match="tokens"):
        search_flops(measures, 0.0, embeds=True)


def test_the_published_curves_by_flops_and_the_ratio_at_equal_accuracy():
    found = cost_frontier.published()
    assert set(found) == {"beam", "dvts", "rebase", "dora"}
    cost, accuracy = max(found["rebase"].items())
    assert cost == pytest.approx(3.11e15)
    # 71.8 rollouts of DORA at 8.92e14 / 64 each.
    assert cost / budget_to_reach(found["dora"], accuracy) == pytest.approx(3.11, abs=0.01)
