"""Families of correlated problems, and the table of every rule's regret in them."""

import json

import jax
import numpy as np
import pytest

import dora_theory as dt
from dora_theory.simulation import families, family_regret, family_rules
from paper_repro import correlated_rules as picture


def test_problems_are_what_their_family_says():
    with jax.enable_x64(True):
        for number in range(6):
            for family in families.FAMILIES:
                one = families.draw_instance(family, number)
                again = families.draw_instance(family, number)
                np.testing.assert_array_equal(one.weights, again.weights)
                k = int(one.mask.sum())
                assert k in (8, 16, 32)
                assert np.all(one.weights[k:] == 0)
                s = one.similarity[:k, :k]
                np.testing.assert_allclose(s, s.T)
                np.testing.assert_allclose(np.diag(s), 1)
                assert one.quality.sum() == pytest.approx(1)
                assert np.isnan(one.length) == (family in "HD")
                if family in "UE":
                    c = np.exp((s - 1) / one.length)
                    exponent = float(dt.root_weights(one.weights[:k], c).exponent)
                    assert exponent == pytest.approx(1, abs=1e-6)
                if family == "E":
                    groups = [one.weights[:k][one.directions[:k] == j] for j in range(2)]
                    assert all(np.ptp(g) < 1e-12 for g in groups)


@pytest.mark.parametrize("family", ["H", "D"])
def test_truth_has_the_moments_that_rules_are_given(family):
    with jax.enable_x64(True):
        one = families.draw_instance(family, 1)
        x = np.asarray(families.draw_truth(family, (1, 5), one, 20_000))
    k = int(one.mask.sum())
    p = -np.expm1(-x)
    q, kappa = one.quality[one.directions[:k]], one.own_concentration
    np.testing.assert_allclose(p[:, :k].mean(0), q, atol=0.015)
    # Of a Beta with that κ.
    np.testing.assert_allclose(
        (p[:, :k] ** 2).mean(0), q * (kappa * q + 1) / (kappa + 1), atol=0.015
    )
    assert np.all(p[:, k:] == 0)
    if family == "D":
        mates = np.flatnonzero(one.directions[:k] == one.directions[0])
        np.testing.assert_array_equal(p[:, mates], p[:, mates[:1]].repeat(mates.size, 1))


def fake(family, number):
    rng = np.random.default_rng(number)
    base = {"rebase": 0.9, "clusters": 0.91, "greedy": 0.95}
    for t in family_rules.TEMPERATURES:
        for kind in ("dora", "magnitude", "shared", "smooth"):
            base[f"{kind} {t:g}"] = 0.92
    if family in "UE":
        for name in (
            "dora T", "dora T/2", "magnitude T", "magnitude T/2", "root T", "root T/2",
            "shared T", "shared T/2", "determinantal T", "moment T", "pair T",
        ):  # fmt: skip
            base[name] = 0.94
    return {name: value - 0.001 * rng.random() for name, value in base.items()}


def equal(problems, budget, options):
    """A user's own rule; `options` have κ, and T_s as given."""
    assert options.similarity_temperature == 0.2
    return problems.mask * 1.0


def test_a_run_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    asked, own = [], []

    def evaluate(family, number, seed):
        asked.append((family, number, seed))
        return fake(family, number)

    def evaluate_own(family, number, strategies, seed, *, similarity_temperature):
        own.append((family, number))
        return {f"own {s}": 0.96 for s in strategies}

    monkeypatch.setattr(family_regret, "evaluate", evaluate)
    monkeypatch.setattr(family_regret, "evaluate_own", evaluate_own)
    path = tmp_path / "runs.jsonl"
    first = dt.simulate_families(num_problems=2, store=path)
    assert len(asked) == 8
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:5]) + "\n" + lines[5][:20])
    asked.clear()
    dt.simulate_families(num_problems=3, store=path)
    assert len(asked) == 7
    asked.clear()
    assert dt.simulate_families(num_problems=2, store=path) == first
    # A rule of one's own is run, and nothing else; another seed has other problems.
    found = dt.simulate_families(num_problems=2, store=path, strategies=[equal])
    assert not asked
    assert len(own) == 8
    best = found.data["rules"]["equal"]
    assert all(cell == {"regret": 0, "half_width": 0} for cell in best.values())
    assert (
        found.data["rules"]["REBASE"]["U"]["regret"] > first.data["rules"]["REBASE"]["U"]["regret"]
    )
    dt.simulate_families(["U"], num_problems=2, store=path, seed=1)
    assert asked == [("U", 0, 1), ("U", 1, 1)]


def test_the_table_and_the_picture_show_every_rule(tmp_path, monkeypatch):
    monkeypatch.setattr(
        family_regret, "evaluate", lambda family, number, seed: fake(family, number)
    )
    path = tmp_path / "runs.jsonl"
    found = dt.simulate_families(num_problems=4, store=path)
    regret = picture.regrets_of(path, 4)
    text = picture.page(found, regret)
    assert "| REBASE |" in text
    assert "shared divisors, best T_s" in text
    assert "pair divisors, true T" in text
    assert "U: shared divisors at T_s = 0.03 gain" in text
    row = next(line for line in text.splitlines() if line.startswith("| root weights, true T |"))
    assert row.rstrip().endswith("|  |  |")
    # 0.95 is the best known, with at most 0.001 to either side.
    cell = found.data["rules"]["root weights, true T"]["U"]
    assert 0.008 < cell["regret"] < 0.012
    assert {"rule": "root weights, true T", "family": "U", **cell} in found.rows()
    assert "H" not in found.data["rules"]["root weights, true T"]
    picture.draw_picture(regret, tmp_path / "picture")
    assert (tmp_path / "picture.png").exists()


def test_own_rules_spend_the_budget_on_problems_without_padding():
    strategies = dt.Strategy("equal", equal), dt.Strategy("none", lambda p, n, o: p.mask * np.nan)
    with jax.enable_x64(True):
        one = families.draw_instance("U", 0)
        spent = family_rules.by_strategy(strategies[0], one, 0.2)
        assert spent.sum() == one.budget
        assert np.all(spent[~one.mask] == 0)
        with pytest.raises(ValueError, match="strategy none: needs finite weights"):
            family_rules.by_strategy(strategies[1], one, 0.2)


@pytest.mark.slow
def test_rules_that_know_the_truth_come_near_the_best(tmp_path):
    found = dt.simulate_families(["U", "D"], num_problems=3, store=tmp_path / "runs.jsonl")
    of = found.data["rules"]
    assert of["greedy on 8,192 draws of the truth"]["U"]["regret"] < 1e-3
    assert of["pair divisors, true T"]["U"]["regret"] < of["REBASE"]["U"]["regret"]
    assert {"family", "number", "seed", "success"} == set(
        json.loads((tmp_path / "runs.jsonl").read_text().splitlines()[0])
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"families": ["U", "X"]}, "families = U, X: needs some of U, E, H, D, each once"),
        ({"families": []}, "families = : needs some"),
        ({"num_problems": 1}, "num_problems = 1"),
        ({"similarity_temperature": 0}, "similarity_temperature = 0"),
        ({"strategies": ["best"]}, "strategies: 'best' is none of"),
        ({"strategies": ["oracle"]}, "strategies: 'oracle' is none of"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        dt.simulate_families(**options)


@pytest.mark.parametrize("text", ["[1, 2]\n", "what\n", '{"family": "U"}\n'])
def test_a_file_of_something_else_is_refused_and_kept(tmp_path, text):
    path = tmp_path / "runs.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"runs\.jsonl:1: "):
        dt.simulate_families(store=path)
    assert path.read_text() == text
