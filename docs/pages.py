"""Pages of the site that are made: gallery, proofs, the API by task, the command line."""

import argparse
import ast
import importlib
import re
from html import escape
from pathlib import Path

import dora_theory
from dora_theory.cli.main import parser

ROOT = Path(__file__).parent.parent
# Tasks, and which modules each takes: the longest beginning decides.
TASKS = {
    "allocate": (
        "Allocate",
        "Rollouts for the candidates of one problem: the rules, the exact optima, certificates.",
        ["allocation", "compilation_cache"],
    ),
    "correlated": (
        "Correlated candidates",
        "Optima, bounds and rules where candidates succeed or fail together.",
        [
            "allocation.branching",
            "allocation.certify",
            "allocation.expectation",
            "allocation.hierarchical",
            "allocation.joint",
            "allocation.joint_bounds",
            "allocation.joint_certificate",
            "allocation.shared_divisors",
        ],
    ),
    "costs": (
        "Costs, confidence and verifiers",
        "Rollouts of different costs, candidates with their own κ, verifiers that err.",
        [
            "allocation.best_of_n",
            "allocation.costs",
            "allocation.posterior_rules",
            "allocation.targets",
            "allocation.verifiers",
        ],
    ),
    "model": (
        "Qualities and success",
        "From scores and embeddings to qualities and weights, and what rollouts achieve.",
        ["model"],
    ),
    "counting": (
        "What counting costs",
        "The bias of counting candidates, in closed form.",
        ["bias", "bias_of_problem"],
    ),
    "across": (
        "Across problems",
        "One budget for many problems: optima, adaptive policies, rounds, scaling laws.",
        [
            "planning",
            "allocation.across",
            "allocation.across_certificate",
            "allocation.adaptive",
            "allocation.adaptive_value",
            "allocation.exponents",
            "allocation.fluid_rounds",
            "allocation.literature",
            "allocation.rounds",
            "allocation.scaling",
        ],
    ),
    "strategies": ("Strategies", "Every strategy by name, and rules of your own.", ["strategies"]),
    "simulate": (
        "Populations and Monte Carlo",
        "Synthetic problems, simulated outcomes, intervals, sweeps.",
        ["simulation", "kernels", "io"],
    ),
    "search": (
        "Search",
        "Whole searches by Algorithm 1, on trees and on the Game of 24.",
        ["search"],
    ),
    "replay": (
        "Replay and calibrate",
        "What strategies would have reached on logged rollouts, and κ fitted to them.",
        ["replay"],
    ),
    "claims": ("Claims", "Every claim as a program that can fail.", ["claims"]),
    "plots": ("Plots", "Pictures of results.", ["plots"]),
}


def public() -> dict[str, str]:
    """Public names and the modules they are in, from the stub that lists them."""
    stub = Path(dora_theory.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    return {
        alias.name: node.module or alias.name
        for node in ast.parse(stub).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def task(module: str) -> str:
    """The page on which the names of a module are."""
    fits = [
        (len(start), page)
        for page, (_, _, starts) in TASKS.items()
        for start in starts
        if f"{module}.".startswith(f"{start}.")
    ]
    if not fits:
        raise KeyError(f"{module}: no page of the API is for it; name one in docs/pages.py")
    return max(fits)[1]


def place(name: str) -> str:
    """Where a public name is documented: page and anchor."""
    module = public()[name]
    path = module if module == name else f"{module}.{name}"
    return f"api/{task(module)}.html#dora_theory.{path}"


def summary(name: str) -> str:
    """The first sentence that a docstring says."""
    module = public()[name]
    whole = importlib.import_module(f"dora_theory.{module}")
    text = (whole if module == name else getattr(whole, name)).__doc__ or ""
    if name in ("FAMILIES", "PRESETS", "STRATEGIES"):
        text = _comment(Path(whole.__file__ or ""), name)
    return " ".join(text.strip().split("\n\n")[0].split())


def _comment(path: Path, name: str) -> str:
    """The string or the comment beside a constant."""
    lines = path.read_text(encoding="utf-8").splitlines()
    at = next(i for i, line in enumerate(lines) if re.match(rf"{name}\b.*=", line))
    found: list[str] = []
    for line in reversed(lines[:at]):
        if not line.startswith("# "):
            break
        found.insert(0, line[2:])
    return " ".join(found) or f"`{name}`"


def api() -> dict[str, str]:
    """The overview of the API, and a page a task."""
    by_task: dict[str, list[str]] = {page: [] for page in TASKS}
    for name, module in public().items():
        by_task[task(module)].append(name)
    overview = [
        "# API",
        "This is everything that `import dora_theory as dt` offers; nothing else is public. "
        "Arrays are NumPy's or JAX's, leading axes are batch axes, and `mask` is false for "
        "padding. Bad values in lists and NumPy arrays raise `ValueError`. On a device, and under "
        "`jit`, they make the result of their problem -1, NaN or false; `dt.check` then says what "
        "is bad.",
    ]
    pages = {}
    for page, names in by_task.items():
        title, about, _ = TASKS[page]
        names.sort(key=str.lower)
        overview += [f"## [{title}]({page}.md)", about, _table(names, f"{page}.md")]
        parts = [f"# {title}", about, _table(names, "")]
        for name in names:
            module = public()[name]
            path = module if module == name else f"{module}.{name}"
            parts.append(
                f"::: dora_theory.{path}\n    options:\n      heading: dt.{name}\n"
                f"      toc_label: {name}\n      heading_level: 2"
            )
        pages[f"{page}.md"] = "\n\n".join(parts) + "\n"
    return {"index.md": "\n\n".join(overview) + "\n", **pages}


def _table(names: list[str], page: str) -> str:
    rows = []
    for name in names:
        anchor = place(name).partition("#")[2]
        text = summary(name).replace("|", r"\|")
        rows.append(f"| [`dt.{name}`]({page}#{anchor}) | {text} |")
    return "\n".join(["| name | what it is |", "|---|---|", *rows])


def command_line() -> str:
    """The help of every command."""
    main = parser()
    lines = [
        "# Command line",
        "Results go to standard output or to `--out`, messages and progress to standard error. "
        "`--json` prints one JSON document. The exit status is 0 if all is well, 1 if a checked "
        "claim failed, and 2 for bad input: then one line says what is wrong and where, and "
        "nothing is written.",
        _help(main),
    ]
    actions = (x for x in main._actions if isinstance(x, argparse._SubParsersAction))
    for name, command in next(actions).choices.items():
        lines += [f"## dora-theory {name}", _help(command)]
    return "\n\n".join(lines) + "\n"


def _help(command: argparse.ArgumentParser) -> str:
    return f"```text\n{command.format_help().rstrip()}\n```"


def gallery() -> str:
    """`figures/README.md`, its rows as cards that open the picture at full size."""
    text = (ROOT / "figures" / "README.md").read_text(encoding="utf-8")
    row = re.compile(r"^\| !\[(.*?)\]\((\w+)\.png\) \| (.*?) \| (.*?) \|$", re.MULTILINE)
    found = list(row.finditer(text))
    cards = "\n".join(_card(x) for x in found)
    head, tail = text[: found[0].start()], text[found[-1].end() :]
    # Without the head of the table.
    head = re.sub(r"\| picture.*\n\|[-| ]*\n$", "", head)
    made = f'---\nhide: [toc]\n---\n{head}\n<div class="cards" markdown>\n{cards}\n</div>\n{tail}'
    return re.sub(r"\]\((?!https?:|figures/)(\w+\.md)\)", r"](figures/\1)", made)


def _card(row: re.Match[str]) -> str:
    title, name, what, command = row.groups()
    vector = (ROOT / "figures" / f"{name}.svg").exists()
    more = f" · [SVG](figures/{name}.svg)" if vector else ""
    return (
        f'<div class="card" markdown>\n\n[![{escape(title)}](figures/{name}.png)'
        f'{{ loading=lazy }}](figures/{name}.png "open at full size")'
        f"\n\n{what}\n\n{command}{more}\n\n</div>"
    )


def proofs() -> dict[str, str]:
    """`proofs/README.md`, and each file of proofs as a page on which theorems can be linked."""
    pages = {}
    readme = (ROOT / "proofs" / "README.md").read_text(encoding="utf-8")
    pages["index.md"] = re.sub(r"\]\((\w+)\.v(#\w+)?\)", r"](\1.md\2)", readme)
    for source in sorted((ROOT / "proofs").glob("*.v")):
        whole = source.read_text(encoding="utf-8")
        parts = re.split(r"^(?=(?:Theorem|Corollary) (\w+))", whole, flags=re.MULTILINE)
        text = [f"# {source.stem}", f"```coq\n{parts[0].strip()}\n```"]
        for name, part in zip(parts[1::2], parts[2::2], strict=True):
            text += [f"## {name} {{ #{name} }}", f"```coq\n{part.strip()}\n```"]
        pages[f"{source.stem}.md"] = "\n\n".join(text) + "\n"
    return pages
