"""Populations fitted to real logs, with where each comes from.

`paper_repro/fit_populations.py` fits them and gives the equations; `figures/populations.md` shows
how well they fit, moment by moment. Parameters have three digits, which is more than the logs
determine.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dora_theory._checks import named
from dora_theory.simulation.populations import Population


@dataclass(frozen=True)
class Preset:
    """A population and its origin.

    Attributes:
        population: the fitted population, of as many candidates as the log has on average.
        log: what was logged.
        model: that generated.
        scorer: the PRM, or a word on its absence.
        source: repository and commit of the log, and its license.
        command: that fits it, LOG being the log.
        moments: of the log, means over problems, by the names of `fit_populations.FITTED`.

    Examples:
        >>> dt.PRESETS["math500-llama31-8b"].population.num_candidates
        19
    """

    population: Population
    log: str
    model: str
    scorer: str
    source: str
    command: str
    moments: Mapping[str, float]


PRESETS = {
    "math500-llama31-8b": Preset(
        population=Population(
            num_candidates=19,
            num_directions=19,
            sizes="crp",
            skew=0.12,
            discount=0.615,
            level=-1.15,
            difficulty=2.61,
            spread=0.112,
            concentration=5.89,
            slope=2.08,
            offset=0.648,
            noise=0.1,
            similarity_within=0.799,
            similarity_between=0.533,
            dimension=5,
        ),
        log="500 problems of MATH-500, 19 solutions each, sampled step by step, cut after step 2",
        model="Llama-3.1-8B-Instruct, AWQ",
        scorer="RLHFlow/Llama3.1-8B-PRM-Deepseek-Data",
        source="mert-cemri/search-and-learn 900b127c, Apache-2.0",
        command="python -m paper_repro.fit_populations LOG --steps 2",
        moments={
            "accuracy": 0.4259,
            "unlike_inside": 0.1062,
            "unlike_across": 0.1266,
            "score": 0.7642,
            "score_inside": 0.0100,
            "score_across": 0.0146,
            "directions": 7.206,
            "same": 0.3435,
            "cosine_inside": 0.7985,
            "cosine_across": 0.5328,
        },
    ),
    "humaneval-codegen16b": Preset(
        population=Population(
            num_candidates=66,
            num_directions=66,
            sizes="crp",
            skew=2.55,
            discount=0.547,
            level=-2.34,
            difficulty=2.69,
            spread=0.0,
            concentration=3.94,
            offset=0.5,
            similarity_within=0.937,
            similarity_between=0.201,
            dimension=17,
        ),
        log="164 problems of HumanEval, 100 solutions each, cut after the first line",
        model="CodeGen-16B-mono, temperature 0.8",
        scorer="none: all scores are the same, and nothing but counting tells candidates apart",
        source="microsoft/CodeT 35f54d60, MIT",
        command="python -m paper_repro.fit_populations LOG --steps 1 --step-end line",
        moments={
            "accuracy": 0.2329,
            "unlike_inside": 0.0757,
            "unlike_across": 0.0950,
            "score": 0.5,
            "score_inside": 0.0,
            "score_across": 0.0,
            "directions": 24.3902,
            "same": 0.1275,
            "cosine_inside": 0.9367,
            "cosine_across": 0.2009,
        },
    ),
}


def preset(name: str) -> Population:
    """A population fitted to a real log.

    Args:
        name: a key of `PRESETS`, which says where it comes from.

    Returns:
        The population; `with_changes` makes others of it. Its directions are at most as many as its
        candidates, so another number of these needs one of directions too.

    Raises:
        ValueError: an unknown name.

    Examples:
        >>> dt.preset("math500-llama31-8b").num_candidates
        19
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"preset = {named(name)}: needs one of {', '.join(PRESETS)}")
    return PRESETS[name].population
