"""What may import what: from lower layers, or from the same layer without cycles."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dora_theory
from dora_theory.strategies.registry import STRATEGIES

PACKAGE = Path(dora_theory.__file__).parent
# A module's layer is that of the longest prefix that is listed.
LAYERS = {
    "": 11,  # the package itself: an index, imported from nowhere inside
    "_arrays": 1,
    "_errors": 1,
    "_checks": 1,
    "_pytrees": 1,
    "_domains": 1,
    "_sizes": 1,
    "compilation_cache": 1,
    "io": 2,
    "kernels": 3,
    "model": 4,
    "allocation": 5,
    "strategies": 6,
    "bias": 6,
    "planning": 6,
    "simulation": 7,
    "plots": 7,
    "bias_of_problem": 8,
    "search": 8,
    "replay": 8,
    "claims": 9,
    "testing": 9,
    "adapters": 9,
    "explore": 9,
    "cli": 10,
    "__main__": 11,
}


def module_name(path):
    name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    return name.removesuffix(".__init__").removesuffix("__init__")


MODULES = {module_name(path): path for path in PACKAGE.rglob("*.py")}


def layer(name):
    parts = name.split(".")
    heads = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    found = next((LAYERS[head] for head in heads if head in LAYERS), None)
    assert found is not None, f"{name}: give it a layer"
    return found


def imports(path):
    """Modules of the package that a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names]
            names = [n if n.removeprefix("dora_theory.") in MODULES else module for n in names]
        for name in names:
            if name.split(".")[0] == "dora_theory":
                yield name.removeprefix("dora_theory").removeprefix(".")


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_imports_from_no_higher_layer(name):
    for other in imports(MODULES[name]):
        if other == "" and name in ("cli.main", "simulation.sweeps"):
            continue  # for __version__, which is all that stands there before a name is used
        assert layer(other) <= layer(name), f"{name} imports {other}"


def test_there_is_no_cycle():
    graph = {name: set(imports(path)) & set(MODULES) for name, path in MODULES.items()}
    done, open_ = set(), []

    def visit(name):
        assert name not in open_, f"cycle: {' → '.join([*open_, name])}"
        if name in done:
            return
        open_.append(name)
        for other in graph[name] - {""}:
            visit(other)
        open_.pop()
        done.add(name)

    for name in graph:
        visit(name)


def test_no_file_is_long():
    for name, path in MODULES.items():
        # Examples are documentation, however many there are.
        text = re.sub(r"\n\n    Examples:\n(        .*\n)+", "\n", path.read_text(encoding="utf-8"))
        assert len(text.splitlines()) <= 400, name


# Names of strategies that are also words, fields or policies, and modules that name log formats.
WORDS = {"temperature", "beam", "magnitude", "optimal", "oracle", "determinantal"}
FORMATS = {"replay.options", "replay.read.formats"}


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"strategies.registry", *FORMATS}))
def test_names_of_strategies_are_keys_in_the_registry_alone(name):
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    found = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert not found & (set(STRATEGIES) - WORDS)


def test_every_public_name_is_there_and_listed_once_in_order():
    stub = (PACKAGE / "__init__.pyi").read_text(encoding="utf-8")
    listed = [
        (node.module or "", alias.name, alias.asname)
        for node in ast.parse(stub).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    names = [name for _, name, _ in listed]
    assert len(set(names)) == len(names)
    assert dora_theory.__all__ == sorted([*names, "__version__"])
    for module, name, shown in listed:
        assert name == shown
        found = importlib.import_module(f"dora_theory.{module}".rstrip("."))
        assert getattr(dora_theory, name) is getattr(found, name)
        assert name.isupper() or getattr(dora_theory, name).__doc__, name
    with pytest.raises(AttributeError, match="No dora_theory attribute guess"):
        dora_theory.guess  # noqa: B018


def test_rooms_do_not_hide_functions_of_the_same_name():
    code = "import dora_theory.replay.options, dora_theory.search.engine, dora_theory as dt;"
    code += "assert callable(dt.replay) and callable(dt.search), (dt.replay, dt.search)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_importing_the_package_loads_nothing():
    code = "import sys, dora_theory; assert not {'jax', 'numpy', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
