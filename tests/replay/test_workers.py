"""Work over processes: the same results in the same order, whatever becomes of a process."""

import os
import pickle
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from dora_theory._errors import InputError
from dora_theory.cli.main import main
from dora_theory.replay.calibrate.fit import calibrate
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.report.summary import summary
from dora_theory.replay.run import replay
from dora_theory.replay.synthetic import write_synthetic_log
from dora_theory.replay.workers import _AHEAD, _PART, Workers, _Cluster, workers_at

OPTIONS = ReplayOptions(strategies=("rebase",), budgets=(4,))


class Client:
    """Does at once what a cluster does later, and counts what nobody has asked for yet."""

    def __init__(self):
        self.open = self.most = 0

    def nthreads(self):
        return {"one": 1, "two": 1}

    def submit(self, run, *given, pure):
        assert not pure
        self.open += 1
        self.most = max(self.most, self.open)
        return Future(self, partial(run, *given))


class Future:
    def __init__(self, client, call):
        self.client, self.call = client, call

    def result(self):
        self.client.open -= 1
        return self.call()


def broken(n):
    yield from range(n)
    raise InputError("the log ends here")


def test_results_come_in_order_and_before_what_reading_raises():
    client = Client()
    cluster, found = _Cluster(client), []
    with pytest.raises(InputError, match="the log ends here"):
        found.extend(cluster.map(str, broken(9 * _PART + 3)))
    assert found == [str(i) for i in range(9 * _PART + 3)]
    assert client.most == 2 * _AHEAD
    later = [cluster.submit(abs, -i) for i in range(8)]
    assert client.open == 3
    assert [one.result() for one in later] == [one.result() for one in later] == list(range(8))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--workers", "2"), "--workers: needs Dask: pip install 'dora-theory[cluster]'"),
        (("--scheduler", "tcp://here:1"), "--scheduler: needs Dask"),
        (("--workers", "0"), "--workers: 0: needs an integer from 1 on"),
        (("--workers", "2", "--scheduler", "tcp://here:1"), "--workers: has no use beside"),
        (("--workers", "2", "--across"), "--workers: has no form for --across"),
    ],
)
def test_what_is_missing_or_has_no_use_is_named(tmp_path, monkeypatch, capsys, flags, said):
    monkeypatch.setitem(sys.modules, "distributed", None)
    log = tmp_path / "log.jsonl"
    log.write_text("")
    assert main(["replay", str(log), *flags]) == 2
    assert capsys.readouterr().err.startswith(said)


class Killing(Workers):
    """Workers of which one dies while so many records are read."""

    elsewhere = True

    def __init__(self, workers, at):
        self._workers, self._at, self.killed = workers, at, 0

    def map(self, use, items):
        return self._workers.map(use, self._some(items))

    def submit(self, use, item):
        return self._workers.submit(use, item)

    def _some(self, items):
        for i, item in enumerate(items):
            if i == self._at:
                (pid, *_) = self._workers._client.run(os.getpid).values()
                os.kill(pid, signal.SIGKILL)
                self.killed += 1
            yield item


def test_workers_take_no_file_of_the_folder_for_a_module_of_python(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    (tmp_path / "signal.py").write_text("raise RuntimeError('taken for the module of Python')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    with workers_at(1) as workers:
        assert list(workers.map(abs, [-1, 2])) == [1, 2]
    assert "PYTHONSAFEPATH" not in os.environ


@pytest.mark.slow
def test_two_processes_one_of_which_dies_find_what_one_finds(tmp_path):
    pytest.importorskip("distributed")
    log = str(tmp_path / "log.jsonl")
    write_synthetic_log(log, problems=64, samples=4)
    notes, others = [], []
    one = summary(replay(log, OPTIONS, note=notes.append))
    with workers_at(2) as workers:
        killing = Killing(workers, 40)
        two = summary(replay(log, OPTIONS, note=others.append, workers=killing))
    assert killing.killed == 1
    assert pickle.dumps(two) == pickle.dumps(one)
    assert others == notes


@pytest.mark.slow
def test_a_calibration_is_the_same_with_two_processes(tmp_path):
    pytest.importorskip("distributed")
    log = str(tmp_path / "log.jsonl")
    write_synthetic_log(log, problems=40, samples=4)
    with workers_at(2) as workers:
        fitted = calibrate(log, OPTIONS, depths=(1,), workers=workers)
    assert fitted == calibrate(log, OPTIONS, depths=(1,))


@pytest.mark.slow
def test_an_interrupt_ends_all_processes_in_one_line(tmp_path):
    pytest.importorskip("distributed")
    log = str(tmp_path / "log.jsonl")
    write_synthetic_log(log, problems=400, samples=32)
    command = [sys.executable, "-m", "dora_theory", "replay", log, "--workers", "2"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    # Behind the first note the workers are at work, or start.
    first = process.stderr.readline()
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=100)
    assert first.endswith("read as a log of the plain format\n")
    assert (process.returncode, out, err) == (130, "", "interrupted\n")
