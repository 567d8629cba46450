"""What the README shows is what happens."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "figures" / "README.md"]
TEXT = PAGES[0].read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_python_examples_give_what_they_show():
    (code,) = blocks("pycon")
    test = doctest.DocTestParser().get_doctest(code, {}, "README.md", "README.md", 0)
    assert len(test.examples) >= 8
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


@pytest.mark.parametrize("block", blocks("console"))
def test_commands_print_what_they_show(block):
    command, _, shown = block.partition("\n")
    program = f"{sys.executable} -m dora_theory"
    command = command.removeprefix("$ ").replace("dora-theory", program, 1)
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")
    numbers = r"-?\d+\.\d+"
    assert re.sub(numbers, "#", done.stdout) == re.sub(numbers, "#", shown)
    got, want = ([float(x) for x in re.findall(numbers, text)] for text in (done.stdout, shown))
    # The last digits may differ between processors.
    assert got == pytest.approx(want, rel=1e-12)


def test_commands_of_make_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\S+)", "\n".join(blocks("sh")), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_linked_files_exist(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    for link in links:
        assert link.startswith("https://") or (page.parent / link).exists(), link
