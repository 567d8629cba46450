"""`dora-theory reproduce` runs the scripts beside the package, and says what there are."""

from pathlib import Path

import pytest

from dora_theory.cli import main, reproduce


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of scripts, each of which writes its arguments or fails."""
    folder = tmp_path / "paper_repro"
    folder.mkdir()
    body = (
        "import sys\nfrom pathlib import Path\n\n\ndef main(out: Path) -> None:\n"
        "    (out / '{0}.txt').write_text(' '.join(sys.argv[3:]))\n\n\n"
        "main(Path(sys.argv[2]))\nsys.exit({1})\n"
    )
    for name, status in {"report": 0, "audit": 0, "price": 0, "broken": 3}.items():
        (folder / f"{name}.py").write_text(body.format(name, status))
    (folder / "__init__.py").touch()
    (folder / "script.py").write_text("def row():\n    pass\n")
    monkeypatch.setattr(reproduce, "SCRIPTS", folder)
    return folder


def made(out: Path) -> set[str]:
    return {p.name for p in out.iterdir()}


def test_all_or_what_is_named(scripts: Path, tmp_path: Path) -> None:
    assert main.main(["reproduce", "--out", str(tmp_path / "a" / "b")]) == 0
    assert made(tmp_path / "a" / "b") == {"report.txt", "audit.txt"}
    assert main.main(["reproduce", "price", "--out", str(tmp_path / "c")]) == 0
    assert made(tmp_path / "c") == {"price.txt"}


def test_parameters_reach_the_script(scripts: Path, tmp_path: Path) -> None:
    out = tmp_path / "a"
    sets = ["--set", "budget=64", "--set", "sizes=4,1"]
    assert main.main(["reproduce", "price", *sets, "--out", str(out)]) == 0
    assert (out / "price.txt").read_text() == "--set budget=64 --set sizes=4,1"


def test_the_first_failure_ends_it(scripts: Path, tmp_path: Path) -> None:
    assert main.main(["reproduce", "broken", "price", "--out", str(tmp_path / "a")]) == 3
    assert made(tmp_path / "a") == {"broken.txt"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["prize"], "prize: there is no such item; audit, broken, price, report"),
        (["script"], "script: there is no such item"),
        (["price", "--out", "FILE"], "--out: "),
        (["price", "audit", "--set", "budget=4"], "--set: budget=4: needs one ITEM"),
    ],
)
def test_bad_input_is_one_line_and_makes_nothing(
    scripts: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    (tmp_path / "file").touch()
    before = made(tmp_path)
    given = [str(tmp_path / "file") if a == "FILE" else a for a in arguments]
    if "--out" not in given:
        given += ["--out", str(tmp_path / "new")]
    assert main.main(["reproduce", *given]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert made(tmp_path) == before


def test_an_installed_package_says_where_the_scripts_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reproduce, "SCRIPTS", tmp_path / "paper_repro")
    assert main.main(["reproduce", "price", "--out", str(tmp_path / "x")]) == 2
    err = capsys.readouterr().err
    assert "its scripts come with the source distribution" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_every_script_with_a_picture_is_an_item() -> None:
    found = set(reproduce.items(reproduce.SCRIPTS))
    assert {"report", "audit", "figure1", "price", "replay_synthetic", "sharpening"} <= found
    assert not {"script", "drawing"} & found
