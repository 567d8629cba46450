"""`calibrate`: the κ and the slope that made a log are found; what the log cannot tell is said."""

import json

import numpy as np
import pytest

from dora_theory._errors import InputError
from dora_theory.cli.main import main
from dora_theory.replay.calibrate.counts import EDGE
from dora_theory.replay.calibrate.fit import calibrate
from dora_theory.replay.calibrate.reliability import fit_concentration
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.report.calibration_picture import calibration_panels
from dora_theory.replay.report.calibration_table import calibration_table
from dora_theory.replay.synthetic import write_synthetic_log

pytestmark = pytest.mark.slow

OPTIONS = ReplayOptions(budgets=(2, 4))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return str(tmp_path_factory.mktemp("logs") / "log.jsonl")


@pytest.fixture(scope="module")
def truths(path):
    return write_synthetic_log(path, seed=1, problems=100, concentration=2.0, noise=0.02)


@pytest.fixture(scope="module")
def document(path, truths):
    return calibrate(path, OPTIONS, depths=(1, 4))


def test_the_fit_is_that_of_the_true_directions(path, truths, document):
    """Counted by the truth that the log itself states, without encoder or clustering."""
    mean, logged, correct = [], [], []
    with open(path) as file:
        for truth, row in zip(truths, map(json.loads, file), strict=True):
            scores = np.array([s["step_scores"][1] for s in row["samples"]])
            right = np.array([s["correct"] for s in row["samples"]])
            for j in range(len(truth.success)):
                mine = truth.directions == j
                mean.append(scores[mine].mean())
                logged.append(mine.sum())
                correct.append(right[mine].sum())
    wanted = fit_concentration(np.clip(mean, EDGE, 1 - EDGE), np.array(logged), np.array(correct))
    found = document["concentration"]["score"]
    assert found["groups"] == wanted.groups
    assert found["concentration"] == pytest.approx(wanted.concentration, rel=1e-6)
    assert found["low"] < 2 < found["high"]
    assert document["concentration"]["calibrated"]["slope"] == pytest.approx(1, abs=0.25)
    # Means that sum to 1 over a problem are not these problems' chances.
    quality = document["concentration"]["quality"]["log_likelihood"]
    assert quality < found["log_likelihood"] - 20
    assert document["best"] in ("score", "calibrated")


def test_depth_and_difficulty(document):
    # Everything ends with step 4: nothing goes on after it.
    assert list(document["depth"]) == ["1", "2"]
    assert list(document["level"]) == ["1", "2", "3", "4", "5"]
    assert (
        sum(fit["groups"] for fit in document["level"].values()) == document["depth"]["2"]["groups"]
    )


def test_scores_know_more_at_the_end(document):
    step, final = document["scores"]["step"], document["scores"]["final"]
    assert step["error"] < 3 * step["floor"]
    assert final["auc"] > step["auc"] > 0.6


def test_table(document):
    text = calibration_table(document)
    assert f"{document['concentration']['score']['concentration']:.3g} [" in text
    assert "optimal, fitted" in text
    assert "independent given their means" in " ".join(text.split())
    unknown = document["concentration"]["score"] | {"high": None, "warnings": ["nobody knows"]}
    doubtful = document | {"concentration": document["concentration"] | {"score": unknown}}
    assert ", ∞]" in calibration_table(doubtful)
    assert "! nobody knows" in calibration_table(doubtful)


def test_picture(document):
    figure = calibration_panels(document, "made up")
    step, _, depth = figure.axes
    found = document["scores"]["step"]
    points = [(s, a) for s, a in zip(found["score"], found["accuracy"], strict=True) if a]
    drawn = step.collections[-1].get_offsets()
    assert {tuple(p) for p in np.round(points, 9)} <= {tuple(p) for p in np.round(drawn, 9)}
    (line,) = (c[0] for c in depth.containers)
    assert list(line.get_ydata()) == [fit["concentration"] for fit in document["depth"].values()]
    # No interval at all is drawn where the likelihood does not end.
    open_ = {m: fit | {"low": 0, "high": None} for m, fit in document["depth"].items()}
    calibration_panels(document | {"depth": open_}, "").draw_without_rendering()


def test_logs_that_tell_nothing(tmp_path):
    path = tmp_path / "log.jsonl"
    row = {"problem": "p", "samples": [{"text": "a\n\nb\n\nc", "correct": True}] * 2}
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(InputError, match="no scores of solutions that go on after step 1"):
        calibrate(str(path), OPTIONS)
    row["samples"] = [{"text": "a\n\nb", "correct": True, "step_scores": [0.5, 0.5]}]
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(InputError, match="no solution goes on after step 2"):
        calibrate(str(path), OPTIONS)


def test_command_line(path, truths, capsysbinary, tmp_path):
    assert main(["calibrate", "-"]) == 2
    assert b"more than once" in capsysbinary.readouterr().err
    assert main(["calibrate", path, "--depths", "0"]) == 2
    assert b"--depths: needs integers" in capsysbinary.readouterr().err
    out = tmp_path / "out.json"
    picture = ["--figure", str(tmp_path / "a.png")]
    assert main(["calibrate", path, path, *picture]) == 2
    assert b"--figure: " in capsysbinary.readouterr().err
    options = ["--budgets", "2,4", "--json", "--out", str(out), *picture]
    assert main(["calibrate", path, *options]) == 0
    assert (tmp_path / "a.svg").exists()
    assert json.loads(out.read_text())["concentration"]["score"]["concentration"] > 0
    assert main(["calibrate", str(tmp_path / "nowhere"), "--out", str(out)]) == 2
    assert b"No such file" in capsysbinary.readouterr().err
    assert json.loads(out.read_text())["steps"] == 2
