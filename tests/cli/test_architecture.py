"""`docs/architecture.md` is true: its functions are called in its order, each room entered once."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"
# In a process of its own: what is compiled already is not called again.
PROGRAM = """
import sys
from dora_theory.cli.main import main

def see(frame, event, _):
    module = frame.f_globals.get("__name__", "")
    if event == "call" and module.startswith("dora_theory."):
        name = f"{module.removeprefix('dora_theory.')}.{frame.f_code.co_qualname}"
        print(name, file=sys.stderr)

sys.setprofile(see)
main(["allocate", "-", "--strategy", "rebase", "--budget", "12"])
sys.setprofile(None)
"""


@pytest.mark.slow
def test_a_score_takes_the_way_that_the_page_shows():
    text = PAGE.read_text(encoding="utf-8")
    line = re.search(r"echo '(.*)' \|", text)[1]
    command = [sys.executable, "-c", PROGRAM]
    run = subprocess.run(command, input=line, capture_output=True, text=True, check=True)
    assert run.stdout in text
    called = run.stderr.splitlines()
    shown = re.findall(r"^\|[^|]*\| `([\w.]+)` \|", text, re.MULTILINE)
    assert len(shown) > 9
    places = [called.index(name) for name in shown]
    assert places == sorted(places)
    rooms = [name.partition(".")[0] for name in shown]
    entered = [room for i, room in enumerate(rooms) if i == 0 or room != rooms[i - 1]]
    assert entered == ["cli", "io", "strategies", "model", "allocation", "kernels"]
