"""What the page shows, as a setting: directions, scores, similarities, prior, budget."""

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from dora_theory._errors import InputError
from dora_theory.model.quality import quality_weights
from dora_theory.strategies.registry import CORRELATED, DORA, ORACLE, REBASE

# The page keeps its arrays at fixed shapes, so that no change but the first to a finite ν compiles
# anything.
MOST_CANDIDATES, MOST_DIRECTIONS, MOST_ROLLOUTS = 64, 8, 256


@dataclass(frozen=True, slots=True)
class Scene:
    """A setting of the page.

    Attributes:
        sizes: candidates of each direction.
        scores: true score of each direction, in [0, 1].
        noise: standard deviation of a candidate's own error of its score.
        seed: of these errors.
        concentration: κ of the directions.
        within_concentration: ν of candidates around their direction; None for one shared p.
        quality_temperature: T_b.
        similarity_temperature: T_s.
        similarity_within: cosine of two candidates of one direction.
        similarity_between: cosine of two candidates of different directions.
        budget: N rollouts.
    """

    sizes: tuple[int, ...] = (12, 3, 1)
    scores: tuple[float, ...] = (0.8, 0.8, 0.8)
    noise: float = 0.0
    seed: int = 0
    concentration: float = 1.0
    within_concentration: float | None = None
    quality_temperature: float = 0.1
    similarity_temperature: float = 0.01
    similarity_within: float = 0.95
    similarity_between: float = 0.7
    budget: int = 32

    def __post_init__(self) -> None:
        sizes, scores, nu = self.sizes, self.scores, self.within_concentration
        if not 1 <= len(sizes) <= MOST_DIRECTIONS:
            raise InputError(f"sizes: needs 1 to {MOST_DIRECTIONS} directions, got {len(sizes)}")
        if min(sizes) < 1 or sum(sizes) > MOST_CANDIDATES:
            raise InputError(
                f"sizes: {_listed(sizes)}: needs integers ≥ 1 of sum at most {MOST_CANDIDATES}"
            )
        if len(scores) != len(sizes):
            raise InputError(f"scores: {len(scores)} of them for {len(sizes)} directions")
        for name, value, low, high in (
            *(("score", score, 0, 1) for score in scores),
            ("σ", self.noise, 0, 1),
            ("κ", self.concentration, 1e-6, 1e6),
            ("ν", 1 if nu is None else nu, 1e-6, 1e6),
            ("T_b", self.quality_temperature, 1e-3, 1e3),
            ("T_s", self.similarity_temperature, 1e-4, 1e3),
            ("Similarity between directions", self.similarity_between, 0, 1),
            ("Similarity within a direction", self.similarity_within, 0, 1),
            ("N", self.budget, 0, MOST_ROLLOUTS),
        ):
            # Not `value < low or value > high`, which lets NaN pass.
            if not low <= value <= high:
                raise InputError(f"{name} = {value:g}: needs a number from {low:g} to {high:g}")
        if self.similarity_within < self.similarity_between:
            raise InputError(
                f"Similarity within a direction = {self.similarity_within:g}: needs at least that "
                f"between directions, {self.similarity_between:g}"
            )

    @property
    def labels(self) -> Int[np.ndarray, " k"]:
        """The direction of each candidate."""
        return np.repeat(np.arange(len(self.sizes), dtype=np.int32), self.sizes)

    @property
    def observed(self) -> Float[np.ndarray, " k"]:
        """The PRM score of each candidate: its direction's, and noise."""
        scores = np.asarray(self.scores)[self.labels]
        if self.noise == 0:
            return scores
        error = jax.random.normal(jax.random.key(self.seed), (MOST_CANDIDATES,), np.float32)
        return scores + self.noise * np.asarray(error, float)[: sum(self.sizes)]

    @property
    def similarity(self) -> Float[np.ndarray, "k k"]:
        """The cosine similarity of all candidates."""
        same = self.labels[:, None] == self.labels
        similarity = np.where(same, self.similarity_within, self.similarity_between)
        np.fill_diagonal(similarity, 1.0)
        return similarity


class Preset(NamedTuple):
    """A setting with a story.

    Attributes:
        scene: the setting.
        story: what to see.
    """

    scene: Scene
    story: str


PRESETS = {
    "Figure 2": Preset(
        Scene(
            sizes=(3, 1),
            scores=(0.95, 0.95),
            similarity_within=1.0,
            similarity_between=0.1,
            budget=12,
        ),
        "Three copies of one idea and one other idea, all of score 0.95. Counting candidates gives "
        "the copies three quarters of the budget, even in the optimum over candidates. DORA, and "
        "the optima that see directions, split it evenly.",
    ),
    "Ten copies against one": Preset(
        Scene(
            sizes=(10, 1),
            scores=(0.8, 0.8),
            similarity_within=1.0,
            similarity_between=0.5,
            budget=32,
        ),
        "The more copies, the higher the price: REBASE spends ten elevenths of the rollouts on one "
        "of two equally good ideas. Move the sizes and watch its loss grow.",
    ),
    "T_s too small": Preset(
        Scene(similarity_temperature=0.003),
        "Near-copies of cosine 0.95 look different at T_s = 0.003, so γ is 1 and DORA is REBASE. "
        "Raise T_s toward 0.07, where the curve is lowest.",
    ),
    "T_s too large": Preset(
        Scene(similarity_temperature=1.0),
        "At T_s = 1 all candidates look alike, γ differs by a fifth only, and DORA is nearly "
        "REBASE again. Magnitude weighting has no such upper branch.",
    ),
    "Certain and uncertain scores": Preset(
        Scene(
            sizes=(1, 1, 1, 1),
            scores=(0.9, 0.8, 0.7, 0.6),
            concentration=50.0,
            similarity_within=1.0,
            similarity_between=0.0,
            budget=8,
        ),
        "With κ = 50 the scores can be trusted, and the optimum spends nearly all on the best. "
        "Lower κ to 0.5, where rounding a softmax is optimal, and on to 0.01, where every "
        "candidate gets a rollout before any gets many.",
    ),
    "Correlated candidates": Preset(
        Scene(
            sizes=(8, 2),
            scores=(0.8, 0.75),
            concentration=1.0,
            within_concentration=2.0,
            similarity_within=1.0,
            similarity_between=0.3,
            budget=32,
        ),
        "Candidates of one direction are alike but not the same: each has a success probability "
        "of its own around its direction's. The larger direction deserves more than one share and "
        "less than eight; as ν grows, its copies become one.",
    ),
}


def as_python(scene: Scene) -> str:
    """Python that gives what the page shows of REBASE, DORA and the oracle."""
    nu = scene.within_concentration
    if nu is None:
        best = "dt.direction_allocation(quality, directions, kappa, budget)"
        totals = "dt.direction_totals(allocation, directions, len(sizes))"
        failure = f"dt.log_failure(quality, kappa, {totals})"
    else:
        best = f"dt.correlated_allocation(quality, directions, kappa, {nu!r}, budget)"
        failure = (
            "dt.hierarchical_log_failure(quality, directions, kappa, "
            f"{nu!r}, allocation, points=max(budget, 1))"
        )
    if scene.noise:
        scores = f"np.array({_listed(scene.observed)})  # with noise {scene.noise!r}"
    else:
        scores = f"np.repeat({_listed(scene.scores)}, sizes)"
    return f"""\
import jax
import numpy as np
import dora_theory as dt

jax.config.update("jax_enable_x64", True)
sizes, kappa, budget = {_listed(scene.sizes)}, {scene.concentration!r}, {scene.budget}
directions = np.repeat(np.arange(len(sizes)), sizes)
scores = {scores}
within, between = {scene.similarity_within!r}, {scene.similarity_between!r}
similarity = np.where(directions[:, None] == directions, within, between)
np.fill_diagonal(similarity, 1.0)
t_b, t_s = {scene.quality_temperature!r}, {scene.similarity_temperature!r}
quality = dt.quality_weights(np.array({_listed(scene.scores)}), quality_temperature=t_b)
weights = dt.quality_weights(scores, quality_temperature=t_b)
uniqueness = dt.uniqueness_from_similarity(similarity, similarity_temperature=t_s)
allocations = {{
    "{REBASE}": dt.apportion(weights, budget),
    "{DORA}": dt.apportion(weights * uniqueness, budget),
    "{ORACLE}": {best},
}}
for name, allocation in allocations.items():
    success = -np.expm1({failure})
    print(name, allocation, f"{{success:.6f}}")
"""


def as_command(scene: Scene, strategy: str) -> str:
    """The command line that gives a strategy's allocation and success in this setting.

    Args:
        scene: the setting.
        strategy: `REBASE`, `DORA`, or what the oracle is there: `DIRECTION_OPTIMAL` if ν is None,
            else `CORRELATED`.
    """
    nu, t_b = scene.within_concentration, scene.quality_temperature
    quality = np.asarray(
        quality_weights(np.asarray(scene.scores), quality_temperature=t_b)
    ).tolist()
    problem = {
        # Qualities, for noise may take a score out of [0, 1].
        "weights": np.asarray(quality_weights(scene.observed, quality_temperature=t_b)).tolist(),
        "directions": scene.labels.tolist(),
        "direction_weights": dict(zip(map(str, range(len(quality))), quality, strict=True)),
        "similarity": scene.similarity.tolist(),
    }
    options: dict[str, object] = {"strategy": strategy, "budget": scene.budget}
    if strategy == DORA:
        options["similarity-temperature"] = scene.similarity_temperature
    if nu is None or strategy == CORRELATED:
        # The others' success is stated for one success probability per direction only.
        options["kappa"] = scene.concentration
    if strategy == CORRELATED:
        options["nu"] = nu
    given = " ".join(f"--{name} {value}" for name, value in options.items())
    return f"echo {shlex.quote(json.dumps(problem))} | dora-theory allocate - {given}"


def _listed(values: Iterable[float]) -> str:
    return f"[{', '.join(repr(getattr(x, 'item', lambda x=x: x)()) for x in values)}]"
