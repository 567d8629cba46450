"""What a replay certifies, and T_s fitted on half of the problems for the other half."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from dora_theory.cli.main import main
from dora_theory.replay.cut.candidates import Candidates
from dora_theory.replay.estimate.certified import certified as certified_of
from dora_theory.replay.estimate.policies import pad
from dora_theory.replay.estimate.ties import _reordered
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.report.page import report
from dora_theory.replay.report.summary import summary
from dora_theory.replay.report.table import table
from dora_theory.replay.run import replay
from dora_theory.replay.synthetic import write_synthetic_log
from dora_theory.strategies.options import Options

pytestmark = pytest.mark.slow

NAMES = ("rebase", "optimal", "shared-divisors")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("logs") / "log.jsonl")
    write_synthetic_log(path, seed=1, problems=24, concentration=2.0, noise=0.02)
    return path


@pytest.fixture(scope="module")
def certified(path):
    # So cold a kernel that all candidates are independent but for exact copies.
    options = ReplayOptions(
        budgets=(2, 4), strategies=NAMES, certify=True, similarity_temperature=1e-4
    )
    return replay(path, options)


def test_bounds_are_there_and_show(certified):
    epsilon = certified.epsilon
    assert epsilon.shape == certified.lower.shape
    assert np.all((epsilon >= -1e-9) & (epsilon <= 1))
    document = summary(certified)
    cell = document["strategies"]["rebase"]["budget"]["4"]
    assert cell["epsilon"] == pytest.approx(epsilon[0, 1].mean())
    most = f"ε {np.ceil(1e4 * cell['epsilon']) / 100:.2f}"
    row = next(line for line in table(document).splitlines() if line.startswith("rebase "))
    assert row.endswith(f"] {most}")
    assert f"<br><small>{most}</small></td></tr>" in report([document | {"checks": []}])
    bare = summary(replace(certified, epsilon=None))
    assert "epsilon" not in bare["strategies"]["rebase"]["budget"]["4"]


def test_the_optimum_of_independent_candidates_lacks_little(certified):
    # Bounds of independent candidates are exact; copies, which share one chance, are few.
    _, optimal, shared = certified.epsilon.mean(-1)
    assert np.all(shared < 0.03)
    assert np.all(optimal < 0.1)


def test_an_order_of_candidates_changes_no_bound():
    rng = np.random.default_rng(2)
    e = rng.normal(size=(5, 4))
    e[3] = e[1]
    one = Candidates(
        problem_id="1",
        scores=np.array([0.9, 0.8, 0.8, 0.8, 0.2]),
        embeddings=e / np.linalg.norm(e, axis=-1, keepdims=True),
        directions=np.arange(5),
        correct=np.zeros(5, bool),
        scored=True,
        finished=np.zeros(5, bool),
    )
    order = np.array([4, 2, 0, 3, 1])
    spent = rng.multinomial(4, np.ones(5) / 5, (2, 1)).transpose(1, 0, 2)
    # A problem of its own, whose only candidate leaves nothing to gain.
    alone = _reordered(one, order[:1])
    batch = pad([one, _reordered(one, order), alone])
    rows = np.stack([spent[0], spent[0][:, order], 4 * np.eye(5, dtype=int)[[0, 0]]], 1)
    options = Options(concentration=0.5, similarity_temperature=0.1)
    with jax.enable_x64(True):
        found = certified_of(batch, [rows], options, 0)
    assert found.shape == (1, 2, 3)
    np.testing.assert_array_equal(found[..., 0], found[..., 1])
    assert (found[..., :2] > 0).any()
    np.testing.assert_allclose(found[..., 2], 0, atol=1e-12)


def test_each_half_is_replayed_with_what_fits_the_other(path):
    options = ReplayOptions(
        budgets=(4,), strategies=NAMES, fit_similarity_temperature=True, similarity_temperature=0.05
    )
    found = replay(path, options)
    assert found.lengths is not None
    assert len(found.lengths) == 2
    alone = [
        replay(path, ReplayOptions(budgets=(4,), strategies=NAMES, similarity_temperature=t)).lower
        for t in found.lengths
    ]
    same = [np.isclose(found.lower, x).all((0, 1)) for x in alone]
    # Every problem is in place, and of one half or the other.
    assert np.all(same[0] | same[1])
    assert "T_s fitted on each half of the problems for the other" in table(summary(found))


def test_what_replaces_gamma_is_held_against_dora_too(path):
    names = ("rebase", "dora", "shared-divisors")
    document = summary(replay(path, ReplayOptions(budgets=(2,), strategies=names)))
    assert list(document["paired_to_dora"]) == ["shared-divisors-dora"]
    to_rebase = document["paired"]["shared-divisors-rebase"]["budget"]["2"]
    to_dora = document["paired_to_dora"]["shared-divisors-dora"]["budget"]["2"]
    of_dora = document["paired"]["dora-rebase"]["budget"]["2"]
    if to_rebase["problems"] == of_dora["problems"] == to_dora["problems"]:
        gap = to_rebase["difference"] - of_dora["difference"]
        assert to_dora["difference"] == pytest.approx(gap)
    assert "Difference to DORA, percentage points" in table(document)


def test_what_cannot_be_fitted_or_certified_is_refused(capsys):
    assert main(["replay", "-", "--fit-similarity-temperature", "--budgets", "2"]) == 2
    assert "reads a log twice" in capsys.readouterr().err
