"""What README and the documentation show is what happens: every block of every page is run."""

import doctest
import io
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import claims
import jax
import pytest
import walk

from dora_theory.cli.main import main, parser

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.slow

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINKED = [*PAGES, *sorted((ROOT / "figures").glob("*.md")), ROOT / "proofs" / "README.md"]
# Languages of blocks that are text, which nothing can be done with.
TEXT = {"text", "toml", "json", "bibtex"}
# What ends only when it is interrupted, needs what a reader brings, or tries every claim, which
# has tests of its own: that its arguments are taken is all that is seen here.
ONLY_PARSED = re.compile(r"dora-theory (explore|verify)|--coordinator|--distributed|\bLOG\b")


def blocks(page):
    """Language, title and text of each block, in order."""
    text = page.read_text(encoding="utf-8")
    form = r'^```(\S*)(?: title="(.*?)")?\n(.*?)^```'
    return re.findall(form, text, re.MULTILINE | re.DOTALL)


def named(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_blocks_do_what_they_show(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    with jax.enable_x64(False):
        for language, title, text in blocks(page):
            if title:
                Path(title).write_text(text, encoding="utf-8")
            match language:
                case "python":
                    exec(compile(text, named(page), "exec"), names)
                case "pycon":
                    check_session(text, names, page)
                case "console":
                    check_command(text, monkeypatch, capsys)
                case "sh":
                    for line in text.replace("\\\n", "").splitlines():
                        check_line(line.partition("#")[0].strip(), monkeypatch, capsys)
                case _:
                    assert language in TEXT, f"{language!r}: say what it is"


def check_session(text, names, page):
    test = doctest.DocTestParser().get_doctest(text, names, named(page), str(page), 0)
    assert test.examples
    assert doctest.DocTestRunner(verbose=False).run(test, clear_globs=False).failed == 0
    names.update(test.globs)


def check_command(text, monkeypatch, capsys):
    """Output is as shown, but for the last digits, which may differ between processors."""
    command, _, shown = text.partition("\n")
    done, out, err = run(command.removeprefix("$ "), monkeypatch, capsys)
    assert (done, err) == (0, "")
    numbers = r"-?\d+\.\d+"
    assert re.sub(numbers, "#", out) == re.sub(numbers, "#", shown)
    got, want = ([float(x) for x in re.findall(numbers, text)] for text in (out, shown))
    assert got == pytest.approx(want, rel=1e-12)


def check_line(line, monkeypatch, capsys):
    line = line.removeprefix("srun ")
    if line.startswith(("dora-theory ", "echo ")):
        if ONLY_PARSED.search(line):
            parser().parse_args(shlex.split(line)[1:])
        else:
            done, _, err = run(line, monkeypatch, capsys)
            assert done == 0, err
    elif line.startswith("make "):
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert re.search(rf"^{line.split()[1]}:", makefile, re.MULTILINE), line
    elif line.startswith("pip install "):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for extra in re.findall(r"(?:\.|dora-theory)\[(\w+)\]", line):
            assert extra in project["optional-dependencies"], line
    elif line.startswith("python "):
        assert (ROOT / shlex.split(line)[1]).exists(), line
    elif line.startswith("export JAX_"):
        name = line.removeprefix("export ").partition("=")[0].lower()
        assert name in jax.config.values, line
    else:
        assert not line, f"{line}: nobody knows whether this works"


def run(command, monkeypatch, capsys):
    """Exit status, output and errors of a command that may be fed by `echo`, in this process."""
    before, _, after = command.rpartition(" | ")
    given = shlex.split(before)[1] if before else ""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode() + b"\n")))
    program, *arguments = shlex.split(after)
    assert program == "dora-theory"
    capsys.readouterr()
    return main(arguments), *capsys.readouterr()


@pytest.mark.parametrize("page", LINKED, ids=named)
def test_linked_files_exist(page):
    # Three pages of the documentation are made when it is built, and pictures are copied.
    made = {ROOT / "docs" / name for name in ("api/index.md", "gallery.md", "proofs/index.md")}
    made |= {path.with_suffix(".md") for path in (ROOT / "docs" / "notebooks").glob("*.ipynb")}
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        target = (page.parent / link).resolve()
        if target.parent == ROOT / "docs" / "figures":
            target = ROOT / "figures" / target.name
        assert link.startswith("https://") or target.exists() or target in made, link


def test_the_tables_of_the_readme_are_what_the_claims_say():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert claims.said_by_the_paper() in text
    assert claims.counts() in text
    assert claims.proved() in text


def test_what_claims_say_is_proved_is_a_theorem():
    named = [claim.proved.partition(": ") for claim in claims.claims() if claim.proved]
    assert {by for by, _, _ in named} == {"Coq", "SMT"}
    for module, _, name in (what.partition(".") for by, _, what in named if by == "Coq"):
        text = (ROOT / "proofs" / f"{module}.v").read_text(encoding="utf-8")
        assert re.search(rf"^(Theorem|Corollary) {name}\b", text, re.MULTILINE), name


def test_every_chapter_of_claims_has_a_page():
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs/theory").glob("*"))
    asked = re.findall(r"<!-- claims of (\w+) -->", pages)
    assert sorted(asked) == sorted({claims.chapter(claim) for claim in claims.claims()})


def test_every_command_is_told_of():
    commands = re.findall(r"^    (\w+)\b", parser().format_help(), re.MULTILINE)
    assert "allocate" in commands
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for command in commands:
        assert f"dora-theory {command}" in text


def test_every_picture_is_in_the_gallery_with_its_command():
    text = (ROOT / "figures" / "README.md").read_text(encoding="utf-8")
    tracked = subprocess.run(
        ["git", "ls-files", "figures/*.png"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    for picture in tracked.stdout.split():
        assert f"]({Path(picture).name})" in text, picture
    for script in re.findall(r"`python (\S+\.py)", text):
        assert (ROOT / script).exists(), script


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    (tmp_path / "a.html").write_text("<p id='x'><a href='b.html#y'><a href='#x'><a href='c.html'>")
    (tmp_path / "b.html").write_text("<a href='a.html#x'><img src='https://elsewhere/p.png'>")
    assert list(walk.broken(tmp_path)) == [
        "a.html: b.html#y: no such place",
        "a.html: c.html: no such file",
        "b.html: loads https://elsewhere/p.png",
    ]
