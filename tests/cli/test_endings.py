"""Interrupts, termination and full disks: one line, the promised status, and nothing left."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from dora_theory._errors import InputError
from dora_theory.cli.endings import guarded
from dora_theory.cli.main import main
from dora_theory.io.atomic_write import whole_output

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")

# Of a process that the tests start, whatever ignores signals in the shell that started them.
HANDLED = "signal.signal(signal.SIGINT, signal.default_int_handler)"
RUNS = "from dora_theory.cli.main import main; sys.exit(main())"
# A signal in the middle of loading a module, inside the imports of others.
AT_IMPORT = """
class Finder:
    def find_spec(self, name, *_):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Finder())
"""
# A signal while a thread of JAX compiles.
AT_COMPILING = """
import threading, time
def send():
    while "dora_theory.strategies.batches" not in sys.modules:
        time.sleep(0.01)
    time.sleep({delay})
    os.kill(os.getpid(), {number})
threading.Thread(target=send, daemon=True).start()
"""
ALLOCATE = "allocate", "-", "--strategy", "optimal", "--kappa", "3", "--budget", "64"


def run(before, *arguments, code=RUNS, data=b'{"scores": [0.5, 0.2]}\n', **options):
    code = "\n".join(["import os, signal, sys", HANDLED, textwrap.dedent(before), code])
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        input=data, capture_output=True, timeout=120, check=False, **options,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.parametrize(
    ("number", "status", "says"),
    [(signal.SIGINT, 130, "interrupted\n"), (signal.SIGTERM, 143, "terminated\n")],
)
@pytest.mark.parametrize("module", ["argparse", "numpy", "numpy._core.multiarray", "jax._src.core"])
def test_a_signal_while_modules_load_ends_with_one_line(module, number, status, says, tmp_path):
    out = tmp_path / "out"
    before = AT_IMPORT.format(module=module, number=int(number))
    assert run(before, *ALLOCATE, "--out", str(out)) == (status, b"", says)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("replay", "none.jsonl"),
        ("calibrate", "none.jsonl"),
        ("simulate", "none.toml", "--out", "none"),
        ("reproduce", "none"),
        ("explore", "none.jsonl"),
        ("verify", "--claims", "none"),
    ],
)
def test_so_it_does_for_every_command(command):
    """It comes before the bad argument is found, which must not hide it."""
    before = AT_IMPORT.format(module="dora_theory.cli.verify", number=int(signal.SIGINT))
    status, out, err = run(before, *command)
    assert (status, out, err.count("\n")) == (130, b"", 1)
    assert err.startswith("interrupted")


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.0, 0.3, 0.6])
def test_a_signal_while_jax_compiles_does_not_crash_at_exit(delay):
    before = AT_COMPILING.format(delay=delay, number=int(signal.SIGTERM))
    # Too many sizes, each a program, to be done before.
    lines = "".join(f'{{"scores": {[0.5] * 2**n}}}\n' for n in range(2, 13)).encode()
    assert run(before, *ALLOCATE, data=lines) == (143, b"", "terminated\n")


def test_an_interrupt_in_a_finalizer_is_not_lost():
    code = """
    from dora_theory.cli.endings import guarded, leave
    import time
    class Thing:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)
    def command():
        thing = Thing()
        del thing
        time.sleep(10)
        return 0
    sys.exit(leave(guarded(command, whole_process=True)))
    """
    assert run("", code=textwrap.dedent(code)) == (130, b"", "interrupted\n")


# Each goes on for longer than it takes to send a signal again.
SWALLOWS = """
while True:
    try:
        while True:
            time.sleep(0.1)
    except (KeyboardInterrupt, SystemExit):
        if not more: raise
        more -= 1
"""
CLEANS_UP = """
try:
    os.kill(os.getpid(), signal.{name})
    time.sleep(10)
finally:
    try:
        raise OSError
    except OSError:
        time.sleep({seconds})
    print("cleaned up", end="")
"""
ANSWERS = """
try:
    os.kill(os.getpid(), signal.{name})
    time.sleep(10)
except (KeyboardInterrupt, SystemExit):
    answered()
time.sleep({seconds})
print("has answered", end="")
"""
GUARDED = """
from dora_theory.cli.endings import answered, guarded, leave
import threading, time
def after(seconds, number):
    threading.Timer(seconds, os.kill, (os.getpid(), number)).start()
def command(more=1):
{body}
    return 7
sys.exit(leave(guarded(command, whole_process=True)))
"""


def ended(body, before=""):
    start = time.monotonic()
    body = textwrap.indent(textwrap.dedent(before) + body, "    ")
    return *run("", code=GUARDED.format(body=body)), time.monotonic() - start


@pytest.mark.parametrize(
    ("number", "status", "says"),
    [(signal.SIGINT, 130, "interrupted\n"), (signal.SIGTERM, 143, "terminated\n")],
)
def test_a_signal_that_is_caught_and_forgotten_comes_again(number, status, says):
    *found, seconds = ended(SWALLOWS, f"after(0.1, {int(number)})")
    assert found == [status, b"", says]
    # A loop that never ends, and a test that would wait for it.
    assert seconds < 100


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_it_does_not_come_again_while_files_are_removed(name, status):
    body = CLEANS_UP.format(name=name, seconds=2.5)
    assert ended(body)[:2] == (status, b"cleaned up")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_it_does_not_come_again_to_a_command_that_has_answered(name):
    assert ended(ANSWERS.format(name=name, seconds=2.5))[:3] == (7, b"has answered", "")


@pytest.mark.parametrize("body", [CLEANS_UP, ANSWERS])
def test_a_second_interrupt_of_the_user_ends_what_the_first_one_began(body):
    body = body.format(name="SIGINT", seconds=60)
    status, _, err, seconds = ended(body, f"after(1.5, {int(signal.SIGINT)})")
    assert (status, err) == (130, "interrupted\n")
    assert seconds < 50


def test_an_interrupt_that_a_library_makes_an_error_of_its_own_is_one():
    def command():
        try:
            signal.raise_signal(signal.SIGTERM)
        except SystemExit:
            raise ImportError("a module is broken") from None

    assert guarded(command) == 143


def test_signals_that_are_ignored_stay_so_and_handlers_come_back():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert guarded(lambda: signal.raise_signal(signal.SIGTERM) or 7) == 7
    finally:
        signal.signal(signal.SIGTERM, before)
    guarded(lambda: 0)
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_device_is_named():
    arguments = ALLOCATE[0], "-", "--strategy", "rebase", "--budget", "3"
    status, out, err = run("", *arguments, "--out", "/dev/full")
    assert (status, out, err) == (2, b"", "--out: /dev/full: No space left on device\n")
    status, _, err = run("os.dup2(os.open('/dev/full', os.O_WRONLY), 1)", *arguments)
    assert (status, err) == (2, "standard output: No space left on device\n")


def test_a_full_disk_is_named_and_nothing_stays(tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    target = tmp_path / "out"
    target.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, hard))
        with (
            pytest.raises(InputError, match=f"--out: {target}: File too large"),
            whole_output(str(target)) as file,
        ):
            file.write(b"x" * (1 << 15))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert target.read_text() == "old"


def test_an_error_leaves_the_callers_standard_output_as_it_was(monkeypatch, capfd):
    def full(*_):
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr("dora_theory.cli.allocate.run", full)
    assert main(["allocate", "-", "--strategy", "rebase", "--budget", "3"]) == 2
    os.write(1, b"still here")
    assert capfd.readouterr() == ("still here", "somewhere: No space left on device\n")


def test_a_reader_that_is_gone_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    with contextlib.closing(os.fdopen(writing, "wb")) as pipe:
        command = [sys.executable, "-m", "dora_theory", "--help"]
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, timeout=60, check=False)
    # 0 where argparse itself has met the closed pipe, which it passes over.
    assert done.returncode in (0, 141)
    assert done.stderr == b""


def test_an_interrupt_before_the_command_is_loaded_ends_it_as_signals_do(tmp_path):
    command = tmp_path / "dora-theory"
    before = AT_IMPORT.format(module="lazy_loader", number=int(signal.SIGINT))
    command.write_text("\n".join(["import os, signal, sys", HANDLED, before, RUNS]))
    done = subprocess.run(
        [sys.executable, command, *ALLOCATE], capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")
