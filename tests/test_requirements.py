"""What the extras ask for can be installed beside what others ask for."""

import importlib.metadata
import importlib.util
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
# Every release of the runtime from 4.9 on.
RELEASED = [
    *("4.9", "4.9.1", "4.9.2", "4.9.3", "4.10", "4.11.0"),
    *("4.11.1", "4.12.0", "4.13.0", "4.13.1", "4.13.2"),
]
# What hydra-core 1.3 and omegaconf 2.3 require.
HYDRA = SpecifierSet("==4.9.*")
RUNTIME = "antlr4-python3-runtime"


def extra(name):
    with PROJECT.open("rb") as file:
        project = tomllib.load(file)["project"]
    return [Requirement(text) for text in project["optional-dependencies"][name]]


def all_of(requirements, wanted):
    """Every specifier of one distribution that requirements ask for, through what is installed."""
    found, seen, waiting = SpecifierSet(), set(), list(requirements)
    while waiting:
        one = waiting.pop()
        if one.name == wanted:
            found &= one.specifier
        key = (one.name, tuple(sorted(one.extras)))
        if key in seen:
            continue
        seen.add(key)
        try:
            texts = importlib.metadata.requires(one.name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for text in texts:
            inner = Requirement(text)
            extras = {"", *one.extras, *(e.replace("_", "-") for e in one.extras)}
            if inner.marker is None or any(inner.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(inner)
    return found


def test_replay_lives_beside_hydra():
    pytest.importorskip("math_verify")
    allowed = [v for v in RELEASED if all_of(extra("replay"), RUNTIME).contains(v)]
    assert any(HYDRA.contains(v) for v in allowed), allowed


def test_a_pin_would_be_noticed():
    pytest.importorskip("math_verify")
    pinned = all_of([Requirement("math-verify[antlr4_13_2]")], RUNTIME)
    assert not any(HYDRA.contains(v) for v in RELEASED if pinned.contains(v))


def test_every_runtime_that_may_be_installed_has_a_parser():
    pytest.importorskip("math_verify")
    folder = Path(importlib.util.find_spec("latex2sympy2_extended").origin).parent / "gen"
    parsers = {entry.name.removeprefix("antlr").replace("_", ".") for entry in folder.iterdir()}
    # 4.11.1 reads what 4.11.0 wrote, and is taken for it.
    for version in RELEASED:
        if all_of(extra("replay"), RUNTIME).contains(version):
            assert version.replace("4.11.1", "4.11.0") in parsers, version
