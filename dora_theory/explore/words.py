"""Controls, the table of results and texts of the page; whatever comes from a log is escaped."""

from html import escape
from typing import Any

from dora_theory import plots
from dora_theory._errors import InputError
from dora_theory.explore.scene import (
    MOST_ROLLOUTS,
    Scene,
    as_command,
    as_python,
    numbers,
)
from dora_theory.explore.view import Subject, View
from dora_theory.replay.read.record import Record
from dora_theory.strategies.registry import ORACLE

# Powers of ten and what lies between them, in the order of a slider.
_MANTISSAS = (1, 1.5, 2, 3, 5, 7)
_SHARED = "one success probability per direction (ν = ∞)"

ABOUT_STRATEGIES = """\
**What every strategy spends.** Success is the probability of at least one right rollout under the
prior; *rollouts lost* is how many of the N the optimum would have left over at that success.
*optimal* is the optimum for candidates that have nothing to do with each other, *direction-optimal*
for directions whose candidates are one, both by the scores; the *oracle* knows the true quality of
every direction.
"""
ABOUT_SIMILARITY = "**Who is like whom**, and the uniqueness γ"
ABOUT_BIAS = (
    "**Bias against T_s**, whatever κ and ν: dots at the chosen T_s, broken line at the paper's"
)
ABOUT_PRICE = (
    "**Price of DORA's weights**: rollouts needed, over those of the optimum, if they are many, "
    "scores have no noise and ν = ∞"
)


def about_log(problem: Subject) -> str:
    """What success means for a logged problem."""
    text = (
        "The qualities of directions are pooled from the scores, and success is what κ and these "
        "promise: what the log's solutions came to stands below."
    )
    if problem.quality.size == 1:
        text += (
            " **All solutions of this problem are one direction**: there is nothing to choose, and "
            "every strategy does as well."
        )
    return text


def whole(name: str, value: float | None) -> int:
    """What a number field holds, or `InputError` if it is no integer."""
    if value is None or not float(value).is_integer():
        held = "an empty field" if value is None else f"{value:g}"
        raise InputError(f"{name}: needs an integer, and got {held}")
    return int(value)


def controls(mo: Any, scene: Scene) -> Any:
    """The controls, set to a scene, as one dictionary of marimo elements."""
    ui = mo.ui
    shared = scene.within_concentration is None
    return ui.dictionary(
        {
            "sizes": ui.text(
                ", ".join(map(str, scene.sizes)), label="candidates of each direction"
            ),
            "scores": ui.text(", ".join(map(str, scene.scores)), label="score of each direction"),
            "noise": ui.slider(
                0, 0.3, 0.01, value=scene.noise, label="PRM noise σ", show_value=True
            ),
            "seed": ui.number(0, 10**6, value=scene.seed, label="seed of the noise"),
            "budget": ui.slider(
                0, MOST_ROLLOUTS, value=scene.budget, label="budget N", show_value=True
            ),
            "concentration": _decades(ui, "κ", -3, 3, scene.concentration),
            "shared": ui.checkbox(shared, label=_SHARED),
            "within_concentration": _decades(ui, "ν", -2, 3, scene.within_concentration or 2.0),
            "quality_temperature": _decades(ui, "T_b", -2, 1, scene.quality_temperature),
            "similarity_temperature": _decades(ui, "T_s", -3, 0, scene.similarity_temperature),
            "inside": ui.slider(
                0, 1, 0.01, value=scene.inside, label="s_in, cosine inside", show_value=True
            ),
            "across": ui.slider(
                0, 1, 0.01, value=scene.across, label="s_out, cosine across", show_value=True
            ),
        }
    )


def scene_of(value: dict[str, Any]) -> Scene:
    """The scene that the controls are set to, or `InputError`."""
    return Scene(
        sizes=tuple(int(x) for x in numbers(value["sizes"], "sizes", int)),
        scores=numbers(value["scores"], "scores", float),
        seed=whole("seed of the noise", value["seed"]),
        within_concentration=None if value["shared"] else value["within_concentration"],
        **{
            name: value[name]
            for name in (
                "noise",
                "budget",
                "concentration",
                "quality_temperature",
                "similarity_temperature",
                "inside",
                "across",
            )
        },
    )


def laid_out(mo: Any, elements: Any, made_up: bool) -> Any:
    """The controls below each other, without those in which a logged problem leaves no choice."""
    given = {"sizes", "scores", "noise", "seed", "inside", "across"} if not made_up else set()
    return mo.vstack([elements[name] for name in elements.elements if name not in given])


def table(view: View) -> str:
    """What every strategy gives each direction, its success, and its loss, as HTML.

    The oracle's allocation is proved optimal (theory 2.2, 5.1), so that what others lack is exact.
    """
    best = view.success[view.strategies.index(ORACLE)]
    rows = "".join(
        f"<tr data-strategy='{escape(name)}'><td>{escape(plots.label(name))}</td>"
        f"<td>{' + '.join(map(str, totals))}</td>"
        f"<td>{success:.5f}</td><td>{loss:.1f}</td><td>{_short(best - success)}</td></tr>"
        for name, totals, success, loss in zip(
            view.strategies, view.totals, view.success, view.loss, strict=True
        )
    )
    head = "".join(
        f"<th>{text}</th>"
        for text in (
            "strategy",
            "rollouts a direction",
            "success",
            "rollouts lost",
            "within ε of optimal",
        )
    )
    return (
        "<style>.results td,.results th{padding:.1em .7em;text-align:right;white-space:nowrap;"
        "font-variant-numeric:tabular-nums}.results td:first-child,.results th:first-child"
        "{text-align:left}</style>"
        f"<table class='results'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _short(epsilon: float) -> str:
    """What an allocation lacks, in words where that is nothing."""
    return "optimal" if epsilon < 1e-12 else f"{epsilon:.2g}"


def reproduced(mo: Any, scene: Scene) -> Any:
    """The Python call and the command lines that give what is shown."""
    best = "direction-optimal" if scene.within_concentration is None else "correlated"
    commands = "\n".join(as_command(scene, name) for name in ("rebase", "dora", best))
    return mo.accordion(
        {
            "the same in Python": mo.md(f"```python\n{as_python(scene)}```"),
            "the same on the command line": mo.md(f"```sh\n{commands}\n```"),
        }
    )


def texts(record: Record, problem: Subject) -> str:
    """A logged problem and its solutions as HTML, in which nothing of the log is markup."""
    found = [
        [
            sample.correct
            for sample, j in zip(record.samples, problem.labels, strict=True)
            if j == at
        ]
        for at in range(problem.quality.size)
    ]
    directions = "".join(
        f"<li>direction {j + 1}: {len(given)} solutions, {sum(map(bool, given))} right, "
        f"quality {q:.3f}</li>"
        for j, (given, q) in enumerate(zip(found, problem.quality, strict=True))
    )
    solutions = "".join(
        f"<details class='solution'><summary>solution {i + 1} of direction "
        f"{problem.labels[i] + 1}: "
        f"{_verdict(sample.correct)}, answer "
        f"<code>{escape(sample.final_answer or '–')}</code></summary>"
        f"<pre style='white-space:pre-wrap'>{escape(sample.text)}</pre></details>"
        for i, sample in enumerate(record.samples)
    )
    return (
        f"<h3>{escape(record.problem_id)}</h3>"
        f"<pre style='white-space:pre-wrap'>{escape(record.problem)}</pre>"
        f"<ul>{directions}</ul>{solutions}"
    )


def _verdict(correct: bool | None) -> str:
    return {True: "right", False: "wrong", None: "not judged"}[correct]


def _decades(ui: Any, label: str, low: int, high: int, value: float) -> Any:
    """A slider with several steps a decade, on which the given value stands."""
    steps = {round(m * 10.0**e, 9) for e in range(low, high) for m in _MANTISSAS}
    steps |= {10.0**high, value}
    return ui.slider(steps=sorted(steps), value=value, label=label, show_value=True)
