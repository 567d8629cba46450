"""`dora-theory simulate --families`: what every rule loses where candidates are correlated."""

import argparse
import json

from dora_theory._errors import InputError
from dora_theory.cli.simulate_benchmark import whole
from dora_theory.io.terminal import progress_bar


def add_families(parser: argparse.ArgumentParser) -> None:
    """Adds the options of families of correlated problems."""
    group = parser.add_argument_group(
        "families of correlated problems",
        "Instead of a sweep: the regret of every rule for correlated candidates, with 95%\n"
        "intervals, where the truth is known: U and E are copula priors whose candidates' scores\n"
        "differ and mean it, or are equal in a direction; H is the hierarchy, D one chance per\n"
        "direction, both with noisy scores. As a table, with --json as a document. --out is then\n"
        "a file of JSON lines, a problem each, from which a run goes on.",
    )
    add = group.add_argument
    add("--families", metavar="F,F", help="some of U,E,H,D")
    add(
        "--strategy",
        action="append",
        default=[],
        metavar="S",
        help="a row for a strategy, or for package.module:function of your own; repeatable",
    )
    add(
        "--similarity-temperature",
        metavar="T",
        default="0.03",
        help="T_s that those strategies are given (0.03)",
    )


def run_families(arguments: argparse.Namespace) -> int:
    """Runs the command; `InputError` for an option that cannot be used."""
    if arguments.sweep is not None:
        raise InputError("--families: takes the place of SWEEP.toml")
    problems = whole("--num-problems", arguments.num_problems or "100", 2)
    seed = whole("--seed", arguments.seed, 0)
    try:
        temperature = float(arguments.similarity_temperature)
    except ValueError:
        raise InputError(
            f"--similarity-temperature: {arguments.similarity_temperature!r}: needs a number"
        ) from None
    names = arguments.families.split(",")
    # Not for `--help`: this loads JAX.
    from dora_theory.simulation.family_regret import simulate_families

    with progress_bar(problems * len(names), "problems") as bar:
        try:
            found = simulate_families(
                names,
                num_problems=problems,
                strategies=arguments.strategy,
                similarity_temperature=temperature,
                seed=seed,
                store=arguments.out,
                after=bar.update,
            )
        except InputError:
            raise
        except ValueError as error:
            message = str(error).replace("similarity_temperature", "similarity-temperature", 1)
            raise InputError("--" + message.replace("strategies:", "strategy:", 1)) from None
    print(json.dumps(found.data, indent=1) if arguments.json else found.to_text())
    return 0
