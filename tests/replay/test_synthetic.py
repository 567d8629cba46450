"""Made-up logs: the same bytes each time, and the truth that they say they have."""

import json

import numpy as np
import pytest

from dora_theory.replay.cut.candidates import candidates
from dora_theory.replay.cut.encoders import make_encoder
from dora_theory.replay.grade.final_answers import final_answer
from dora_theory.replay.read.readers import read_log
from dora_theory.replay.synthetic import write_synthetic_log


@pytest.mark.parametrize("log_format", ["plain", "search-and-learn"])
def test_readers_and_clustering_find_the_truth(tmp_path, log_format):
    path = str(tmp_path / "log.jsonl.gz")
    truths = write_synthetic_log(path, problems=20, log_format=log_format)
    records = list(read_log(path))
    encoder = make_encoder()
    for record, truth in zip(records, truths, strict=True):
        made = candidates(record, encoder)
        np.testing.assert_array_equal(made.directions, truth.directions)
        assert len(truth.success) == truth.directions.max() + 1
        for sample in record.samples:
            right = final_answer(sample.text) == record.gold_answer
            assert sample.correct in (None, right)


def test_bytes_and_truth(tmp_path):
    one, other = tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl.gz"
    truths = write_synthetic_log(one, problems=3)
    write_synthetic_log(other, problems=3)
    assert one.read_bytes() == other.read_bytes()
    write_synthetic_log(other, problems=3, seed=1)
    assert one.read_bytes() != other.read_bytes()
    plain = tmp_path / "c.jsonl"
    write_synthetic_log(plain, problems=3)
    rows = [json.loads(line) for line in plain.read_text().splitlines()]
    assert [row["truth"]["success"] for row in rows] == [t.success.tolist() for t in truths]


def test_answers_are_right_as_often_as_stated(tmp_path):
    path = str(tmp_path / "log.jsonl")
    truths = write_synthetic_log(path, problems=200, samples=20)
    gaps, variances = [], []
    for record, truth in zip(read_log(path), truths, strict=True):
        p = truth.success[truth.directions]
        gaps += [s.correct - q for s, q in zip(record.samples, p, strict=True)]
        variances += (p * (1 - p)).tolist()
    assert abs(sum(gaps)) < 4 * sum(variances) ** 0.5


@pytest.mark.parametrize("wrong", [{"directions": 13}, {"problems": 0}, {"samples": 0}])
def test_bad_arguments(tmp_path, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        write_synthetic_log(tmp_path / "log.jsonl", **wrong)
