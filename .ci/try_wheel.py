"""Uses the installed package as somebody without its source would: `python try_wheel.py`.

Allocates, verifies, serves the page and fetches it, and imports with JAX's x64 off and on; a
warning anywhere is an error.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

PYTHON = [sys.executable, "-W", "error"]
COMMAND = [*PYTHON, "-m", "dora_theory"]
PORT = 27183


def run(arguments: list[str], given: str = "") -> str:
    done = subprocess.run(arguments, input=given, capture_output=True, text=True, check=False)
    if done.returncode or "arning" in done.stderr:
        sys.exit(f"{arguments}: status {done.returncode}\n{done.stderr}")
    return done.stdout


def allocate() -> None:
    options = ["--strategy", "optimal", "--budget", "3", "--kappa", "1"]
    out = run([*COMMAND, "allocate", "-", *options], '{"weights": [0.5, 0.5]}\n')
    assert json.loads(out)["allocation"] == [2, 1], out


def verify() -> None:
    out = run([*COMMAND, "verify", "--claims", "2.5", "--instances", "2000", "--json"])
    assert {c["verdict"] for c in json.loads(out)["claims"]} == {"holds", "refuted"}, out


def explore() -> None:
    command = [sys.executable, "-m", "dora_theory", "explore", "--headless", "--port", str(PORT)]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{PORT}", timeout=10) as page:
                    assert b"next rollout go" in page.read()
                return
            except OSError:
                assert server.poll() is None, "the server ended"
                time.sleep(0.1)
        sys.exit("explore: no page")
    finally:
        server.terminate()
        server.wait(30)


def both_precisions() -> None:
    for wide in ("0", "1"):
        code = (
            f"import os; os.environ['JAX_ENABLE_X64'] = '{wide}'; import dora_theory as dt, sys;"
            "assert 'jax' not in sys.modules;"
            "w = dt.quality_weights([0.9, 0.8, 0.1]);"
            f"assert w.dtype.itemsize == {4 + 4 * int(wide)}, w.dtype;"
            "assert dt.optimal_allocation(w, 0.5, 7).sum() == 7"
        )
        run([*PYTHON, "-c", code])


def main() -> None:
    # Where no source is.
    os.chdir(tempfile.mkdtemp())
    import dora_theory

    assert "site-packages" in str(dora_theory.__file__), dora_theory.__file__
    for step in (both_precisions, allocate, verify, explore):
        start = time.monotonic()
        step()
        seconds = time.monotonic() - start
        print(f"{step.__name__.replace('_', ' ')}: good, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
