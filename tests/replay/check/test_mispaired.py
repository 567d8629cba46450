"""Logs whose completions were dealt to the wrong problems are refused, all others are not."""

from dataclasses import replace

import numpy as np
import pytest

from dora_theory._errors import InputError
from dora_theory.replay.check import mispaired
from dora_theory.replay.check.mispaired import Pairing, foreign
from dora_theory.replay.check.repair import repaired as given_back
from dora_theory.replay.read.readers import read_log
from dora_theory.replay.synthetic import write_synthetic_log


def check_paired(records, log):
    return Pairing(log).over(records)


def repaired(records, log, note):
    return Pairing(log, repaired=True).over(given_back(records, log, note))


@pytest.fixture
def records(tmp_path):
    path = tmp_path / "log.jsonl"
    write_synthetic_log(path, problems=100, samples=6)
    return list(read_log(str(path)))


def dealt(records, batch):
    """Completion j of row i goes where a batch read column by column would put it."""
    out = []
    for start in range(0, len(records), batch):
        group = records[start : start + batch]
        flat = [sample for record in group for sample in record.samples]
        out += [
            replace(record, samples=tuple(flat[i :: len(group)])) for i, record in enumerate(group)
        ]
    return out


def test_a_sound_log_passes_unchanged(records):
    assert list(check_paired(records, "log")) == records
    assert foreign(records).mean() < 0.05


@pytest.mark.parametrize("batch", [5, 25, 100])
def test_dealt_completions_are_refused(records, batch):
    with pytest.raises(InputError, match=r"^log: completions: \d+% of those of lines 1 to 64"):
        list(check_paired(dealt(records, batch), "log"))


def test_a_log_that_goes_wrong_later_is_refused(records, monkeypatch):
    # Nothing before a bad window is held back, the window itself is.
    monkeypatch.setattr(mispaired, "_WINDOW", 64)
    late = records[:64] + dealt(records[64:], 12)
    stream = check_paired(late, "log")
    assert [next(stream) for _ in range(64)] == records[:64]
    with pytest.raises(InputError, match="lines 65 to 100"):
        next(stream)


def test_some_foreign_completions_in_every_row_are_refused(records):
    mixed = [
        replace(r, samples=r.samples[:4] + other.samples[4:])
        for r, other in zip(records, dealt(records, 25), strict=True)
    ]
    assert 0.1 < foreign(mixed).mean() < 0.5
    with pytest.raises(InputError, match="answer the problem of another row"):
        list(check_paired(mixed, "log"))


def shifted(records, share, *, seed=0):
    """Some rows hold the samples of one another."""
    rows = np.sort(
        np.random.default_rng(seed).permutation(len(records))[: int(share * len(records))]
    )
    out = list(records)
    for here, there in zip(rows, np.roll(rows, 1), strict=True):
        out[here] = replace(records[here], samples=records[there].samples)
    return out


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6])
@pytest.mark.parametrize("window", [32, 512])
def test_shifted_rows_are_refused(records, share, window, monkeypatch):
    monkeypatch.setattr(mispaired, "_WINDOW", window)
    with pytest.raises(InputError, match=r"answer the problem of another row.*--repair"):
        list(check_paired(shifted(records, share), "log"))


@pytest.mark.parametrize(
    ("rows", "odd", "verdict"),
    [
        # As five sound logs are, and then with a tenth of their rows shifted, which is found of
        # half of them.
        (500, 1, "good"),
        (164, 2, "good"),
        (100, 2, "good"),
        (20, 1, "good"),
        (500, 39, "doubtful"),
        (164, 10, "doubtful"),
        (100, 7, "doubtful"),
        (20, 2, "doubtful"),
    ],
)
def test_a_tenth_of_shifted_rows_is_more_than_chance(rows, odd, verdict):
    pairing = Pairing("log")
    pairing.rows, pairing.foreign = rows, odd
    assert pairing.finding().verdict == verdict


def test_few_shifted_rows_are_noted(records):
    pairing = Pairing("log")
    odd = shifted(records, 0.11)
    assert list(pairing.over(odd)) == odd
    finding = pairing.finding()
    assert finding.verdict == "doubtful"
    assert "of the rows hold completions that answer another row's problem (" in finding.what
    sound = Pairing("log")
    list(sound.over(records))
    assert sound.finding().verdict == "good"


@pytest.mark.parametrize("share", [0.2, 0.6])
def test_shifted_rows_are_given_back(records, share):
    notes = []
    odd = shifted(records, share)
    back = list(repaired(odd, "log", notes.append))
    assert [[s.text for s in r.samples] for r in back] == [
        [s.text for s in r.samples] for r in records
    ]
    for old, new, sound in zip(odd, back, records, strict=True):
        assert new.repaired == (old.samples != sound.samples)
        if new.repaired:
            assert all(s.step_scores is None and s.correct is None for s in new.samples)
    assert f"the completions of {int(100 * share)} of 100 rows given back" in notes[0]


def test_rows_whose_completions_are_lost_are_left_out(records):
    # Each row from the middle on holds the completions of the one before, the last row's are gone.
    odd = [
        replace(record, samples=records[i - 1].samples) if i > 50 else record
        for i, record in enumerate(records)
    ]
    notes = []
    back = list(repaired(odd, "log", notes.append))
    # Row 50 stands twice; one of both may take the place of the last.
    assert [r.problem for r in back] == [r.problem for r in records[:99]]
    assert "1 row left out, as no completions answer its problem" in notes[0]


def test_logs_that_say_nothing_about_it(records):
    alike = [replace(record, problem="the same") for record in records[:5]]
    silent = [replace(record, problem="+") for record in records[:5]]
    for log in (records[:1], alike, [*silent, replace(records[5], problem="-")]):
        assert not foreign(log).any()
        assert list(check_paired(log, "log")) == log


@pytest.mark.parametrize("answer", ["{}", "It is {}.", "{0}, so {0}", "= {}"])
def test_a_number_in_another_problem_is_no_mispairing(records, answer):
    # Every sum is a summand of another problem.
    sums = [
        replace(
            records[0],
            problem=f"{a} + {b} = ?",
            samples=tuple(replace(x, text=answer.format(a + b)) for x in records[0].samples),
        )
        for a in range(1, 7)
        for b in range(1, 7)
    ]
    assert not foreign(sums).any()


def test_the_real_mispaired_log(first_lines):
    path = first_lines("native/search_and_learn_bon_n16_llama31_8b", 50)
    records = list(read_log(path))
    assert foreign(records).mean() > 0.7
    with pytest.raises(InputError, match="mispaired"):
        list(check_paired(records, path))


def misdealt(records, batch):
    """As a tool deals that generates all first completions of a batch before all second ones.

    Scores are then computed for the rows where the completions stand: here the row's number.
    """
    out = []
    for start in range(0, len(records), batch):
        group = records[start : start + batch]
        made = [r.samples[j] for j in range(len(group[0].samples)) for r in group]
        n = len(group[0].samples)
        out += [
            replace(
                record,
                samples=tuple(
                    replace(sample, step_scores=(0.001 * (start + i),))
                    for sample in made[i * n : (i + 1) * n]
                ),
                votes=(("maj@6", "7"),),
            )
            for i, record in enumerate(group)
        ]
    return out


@pytest.mark.parametrize("batch", [7, 25, 40, 100])
def test_dealt_completions_are_dealt_back(records, batch):
    notes = []
    back = list(repaired(misdealt(records, batch), "log", notes.append))
    assert len(back) == 100
    kept = 0
    for i, (record, sound) in enumerate(zip(back, records, strict=True)):
        assert [s.text for s in record.samples] == [s.text for s in sound.samples]
        assert record.repaired
        assert record.votes == ()
        for sample in record.samples:
            assert sample.correct is None
            assert sample.step_scores in (None, (0.001 * i,))
            kept += sample.step_scores is not None
    assert 0 < kept < 100
    assert f"in batches of {batch}; {kept} keep scores" in notes[0]


def test_nothing_is_repaired_that_is_sound(records):
    assert list(repaired(records, "log", pytest.fail)) == records


def test_what_was_dealt_otherwise_is_refused(records):
    with pytest.raises(InputError, match="even after repair"):
        list(repaired(dealt(records, 25)[::-1], "log", print))
    ragged = misdealt(records, 25)
    ragged[3] = replace(ragged[3], samples=ragged[3].samples[:5])
    with pytest.raises(InputError, match="even after repair"):
        list(repaired(ragged, "log", print))
    late = misdealt(records * 3, 25)
    late[250:] = misdealt(records[::-1], 25)[50:]
    late[280:] = dealt(records, 20)[80:]
    with pytest.raises(InputError, match="even after dealing them back"):
        list(repaired(late, "log", print))


def test_the_real_mispaired_log_is_repaired(real_log):
    path = real_log("native/search_and_learn_bon_n16_llama31_8b")
    notes = []
    back = list(repaired(read_log(path), path, notes.append))
    assert "1520 of 1600 completions dealt back to their problems in batches of 25" in notes[0]
    assert foreign(back).mean() < 0.03
    assert sum(s.step_scores is not None for r in back for s in r.samples) == 80
    # What the right row had computed for it: the number of its steps, too.
    for record in back:
        for sample in record.samples:
            if sample.step_scores:
                assert len(sample.step_scores) == len(sample.text.split("\n\n"))


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("sal_math500_llama31_8b_steps19", 0.05),
        ("sal_math500_beam4x4_llama31_8b", 0.05),
        ("openr_math500_bon4_qwen25math15b", 0.05),
        ("bayesprm_math3_bon256_llama32_1b", 0.05),
        ("humaneval_codegen16b_n100", 0.15),
        ("game24_gpt4_cot100", 0.05),
        ("native/search_and_learn_beam_n3_llama31_8b", 0.05),
    ],
)
def test_real_sound_logs(first_lines, name, most):
    assert np.mean(foreign(list(read_log(first_lines(name, 64))))) <= most
