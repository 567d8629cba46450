"""Compiled programs are kept where they should be, and only then."""

import os
import sys

import jax
import pytest

from dora_theory.compilation_cache import cache_compiled, cache_for_commands

NAMES = (
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_ENABLE_COMPILATION_CACHE",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
    "DORA_THEORY_CACHE",
)


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """Without JAX, and with a user's cache folder of its own."""
    for name in NAMES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delitem(sys.modules, "jax")
    return monkeypatch


@pytest.mark.skipif(sys.platform != "linux", reason="the folder is that of the desktop standard")
def test_commands_keep_programs_in_the_user_s_cache(environment, tmp_path):
    cache_for_commands()
    folder = tmp_path / "dora-theory" / "compiled"
    assert folder.is_dir()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JAX_COMPILATION_CACHE_DIR", "/elsewhere"),
        ("JAX_ENABLE_COMPILATION_CACHE", "false"),
        ("DORA_THEORY_CACHE", "off"),
    ],
)
def test_what_the_environment_says_stays(environment, tmp_path, name, value):
    environment.setenv(name, value)
    cache_for_commands()
    assert os.environ.get("JAX_COMPILATION_CACHE_DIR", "/elsewhere") == "/elsewhere"
    assert not list(tmp_path.iterdir())


def test_without_a_place_nothing_is_kept(environment, tmp_path):
    (tmp_path / "file").write_text("")
    environment.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    cache_for_commands()
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ


def test_one_call_turns_it_on(tmp_path):
    names = "jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs"
    before = {name: getattr(jax.config, name) for name in names}
    try:
        folder = cache_compiled(tmp_path / "kept")
        assert folder.is_dir()
        assert jax.config.jax_compilation_cache_dir == str(folder)
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
