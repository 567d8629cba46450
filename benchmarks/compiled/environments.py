"""Environments with JAX and its CUDA compiler, of which the rest of the project needs none."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
# What the package imports, besides JAX.
_NEEDED = "jaxtyping", "lazy-loader", "numpy", "scipy", "packaging"
# Without their own dependencies, which are 3 GB of libraries that only a GPU could run.
_COMPILER = "jax-cuda12-plugin=={jax}", "jax-cuda12-pjrt=={jax}", "nvidia-cuda-nvcc-cu12"
_NEWER = "3.13", "3.12"


class Missing(Exception):
    """Packages cannot be had."""


class Environment(NamedTuple):
    """Python with JAX for CUDA, and the assembler."""

    python: Path
    jax: str
    assembler: Path


def oldest_jax() -> str:
    """The first version that the package supports."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        needed = tomllib.load(file)["project"]["dependencies"]
    (jax,) = (r for r in map(Requirement, needed) if r.name == "jax")
    version = next(s.version for s in jax.specifier if s.operator == ">=")
    return version if version.count(".") == 2 else f"{version}.0"


def newest_python() -> str:
    """The newest JAX is not for the oldest Python."""
    for version in _NEWER:
        places = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        found = [shutil.which(f"python{version}"), *sorted(places.glob(f"{version}.*/bin/python"))]
        for python in filter(None, found):
            asked = [str(python), "-c", "import sys, venv; print(sys.version_info[:2])"]
            ran = subprocess.run(asked, capture_output=True, check=False)
            if ran.returncode == 0:
                return str(python)
    return sys.executable


def made(folder: Path, python: str, jax: str | None) -> Environment:
    """An environment in a folder, made unless it is there; the newest JAX if none is named.

    Raises:
        Missing: what pip said last.
    """
    ready = folder / "ready.json"
    own = folder / "bin" / "python"
    if not ready.exists():
        shutil.rmtree(folder, ignore_errors=True)
        _run([python, "-m", "venv", str(folder)])
        wanted = f"jax=={jax}" if jax else "jax"
        _pip(own, wanted, f"jaxlib=={jax}" if jax else "jaxlib", *_NEEDED)
        look = "import jax; print(jax.__version__)"
        version = _run([str(own), "-c", look]).strip().splitlines()[-1]
        _pip(own, "--no-deps", *(package.format(jax=version) for package in _COMPILER))
        (assembler,) = folder.glob("lib/python*/site-packages/nvidia/*/bin/ptxas")
        ready.write_text(json.dumps({"jax": version, "assembler": str(assembler)}))
    known = json.loads(ready.read_text())
    return Environment(own, known["jax"], Path(known["assembler"]))


def _pip(python: Path, *packages: str) -> None:
    quiet = "--quiet", "--disable-pip-version-check", "--retries=1", "--timeout=30"
    _run([str(python), "-m", "pip", "install", *quiet, *packages])


def _run(command: list[str]) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        errors = [line for line in ran.stderr.splitlines() if line.startswith("ERROR")]
        raise Missing((errors or ran.stderr.splitlines() or ["no reason given"])[-1])
    return ran.stdout
