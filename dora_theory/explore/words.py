"""Controls, the table of results and texts of the page; whatever comes from a log is escaped."""

import re
from html import escape
from typing import Any

from dora_theory._errors import InputError, amount
from dora_theory.explore.scene import (
    MOST_CANDIDATES,
    MOST_DIRECTIONS,
    MOST_ROLLOUTS,
    Scene,
    as_command,
    as_python,
)
from dora_theory.explore.view import Subject, View
from dora_theory.replay.read.record import Record, Sample
from dora_theory.strategies.registry import (
    CORRELATED,
    DIRECTION_OPTIMAL,
    DORA,
    ORACLE,
    REBASE,
    STRATEGIES,
)

# Powers of ten and what lies between them, in the order of a slider.
_MANTISSAS = (1, 1.5, 2, 3, 5, 7)
_SHARED = "One success probability per direction (ν = ∞)"

# Copies and score of a direction.
Row = tuple[int, float]

ABOUT_STRATEGIES = """\
**What every strategy spends.** *Success* is the probability of at least one right rollout under the
prior. *Rollouts lost* is how many of the $N$ the optimum would have left over at that success.
*optimal* is the optimum for independent candidates, *direction-optimal* for directions whose
candidates share one $p$, both by the scores; the *oracle* knows the true quality of each direction.
"""
ABOUT_SIMILARITY = (
    "**Which candidates look alike**, sorted by direction, and the uniqueness $\\gamma$"
)
ABOUT_BIAS = (
    "**Bias against $T_s$**, whatever $\\kappa$ and $\\nu$: dots at the chosen $T_s$, broken line "
    "at the paper's"
)
ABOUT_PRICE = (
    "**Price of DORA's weights**: times the rollouts of the optimum for the same success, for many "
    "rollouts, without noise in the scores, at $\\nu = \\infty$"
)


def about_log(problem: Subject) -> str:
    """What success means for a logged problem."""
    text = (
        "The qualities of directions are pooled from the scores, and success is what the prior "
        "predicts from them. The outcomes of the logged solutions are below."
    )
    if problem.quality.size == 1:
        text += (
            " **All solutions of this problem are one direction**: there is nothing to choose, and "
            "every strategy does as well."
        )
    return text


def whole(name: str, value: float | None) -> int:
    """What a number field holds, or `InputError` if it is not an integer."""
    if value is None or not float(value).is_integer():
        held = "an empty field" if value is None else f"{value:g}"
        raise InputError(f"{name}: needs an integer, and got {held}")
    return int(value)


def controls(mo: Any, scene: Scene) -> Any:
    """Sliders and the seed, set to a scene, as one dictionary of marimo elements."""
    ui = mo.ui

    def share(top: float, step: float, value: float, label: str) -> Any:
        return ui.slider(0, top, step, value=value, label=label, show_value=True, full_width=True)

    within, between = scene.similarity_within, scene.similarity_between
    return ui.dictionary(
        {
            "budget": share(MOST_ROLLOUTS, 1, scene.budget, "N, rollouts"),
            "concentration": _decades(ui, "κ, trust in the scores", -3, 3, scene.concentration),
            "quality_temperature": _decades(
                ui, "T_b, quality temperature", -2, 1, scene.quality_temperature
            ),
            "similarity_temperature": _decades(
                ui, "T_s, similarity temperature", -3, 0, scene.similarity_temperature
            ),
            "similarity_within": share(1, 0.005, within, "Similarity within a direction"),
            "similarity_between": share(1, 0.005, between, "Similarity between directions"),
            "noise": share(0.3, 0.01, scene.noise, "σ, noise of the scores"),
            "seed": ui.number(0, 10**6, value=scene.seed, label="Seed of the noise"),
        }
    )


def shared_p(mo: Any, scene: Scene) -> Any:
    """Whether the candidates of a direction share one success probability."""
    return mo.ui.checkbox(scene.within_concentration is None, label=_SHARED)


def within(mo: Any, value: float, shared: bool) -> Any:
    """The slider of ν, which does nothing where candidates share one p."""
    return _decades(mo.ui, "ν, how alike a direction's candidates are", -2, 3, value, shared)


class Rows:
    """The directions as rows of copies and score, with buttons that add and remove one.

    Attributes:
        fields: the marimo element that holds the values.
        buttons: the one that counts how often each button was pressed.
        view: what to lay out.
    """

    def __init__(self, mo: Any, rows: list[Row]) -> None:
        """Makes the elements.

        Args:
            mo: marimo.
            rows: copies and score of each direction.
        """
        ui = mo.ui

        def number(top: float, step: float, value: float, name: str, j: int) -> Any:
            label = f"{name} {j + 1}"
            return ui.number(0, top, step, value=value, label=label, full_width=True)

        self.fields = ui.array(
            [
                ui.array(
                    [
                        number(MOST_CANDIDATES, 1, size, "Copies", j),
                        number(1, 0.01, score, "Score", j),
                    ]
                )
                for j, (size, score) in enumerate(rows)
            ]
        )

        def button(label: str, tooltip: str, disabled: bool) -> Any:
            # The last direction stays, and there are no more than the page has room for.
            return ui.button(
                label=label,
                tooltip=tooltip,
                disabled=disabled,
                value=0,
                on_click=lambda count: count + 1,
            )

        removes = [
            button("×", f"Remove direction {j + 1}", len(rows) == 1) for j in range(len(rows))
        ]
        add = button("Add a direction", "", len(rows) == MOST_DIRECTIONS)
        self.buttons = ui.array([*removes, add])
        *remove, add = self.buttons
        self.view = mo.vstack(
            [
                *(
                    mo.hstack([*pair, cross], widths=[1, 1, 0], align="end", gap=0.4)
                    for pair, cross in zip(self.fields, remove, strict=True)
                ),
                add,
            ],
            gap=0.3,
        )


def rows_after(pressed: list[int], rows: list[Row]) -> list[Row] | None:
    """The rows once a button of `Rows` has been pressed, or None if none has been.

    Args:
        pressed: how often each was.
        rows: what the fields held.
    """
    *remove, add = map(bool, pressed)
    if add:
        return [*rows, (1, rows[-1][1])]
    if any(remove):
        return [row for row, gone in zip(rows, remove, strict=True) if not gone]
    return None


def rows_of(values: list[list[float | None]]) -> list[Row]:
    """Copies and score of each direction, or `InputError` that names the field."""
    rows = []
    for j, (size, score) in enumerate(values, 1):
        if score is None:
            raise InputError(f"Score {j}: an empty field")
        rows.append((whole(f"Copies {j}", size), float(score)))
    return rows


def scene_of(value: dict[str, Any], rows: list[Row], within_concentration: float | None) -> Scene:
    """The scene that the controls are set to, or `InputError`."""
    return Scene(
        sizes=tuple(size for size, _ in rows),
        scores=tuple(score for _, score in rows),
        within_concentration=within_concentration,
        **(value | {"seed": whole("Seed of the noise", value["seed"])}),
    )


def laid_out(mo: Any, elements: Any, nu: list[Any], made_up: bool) -> Any:
    """The controls below each other, without those in which a logged problem leaves no choice."""
    given = {"similarity_within", "similarity_between", "noise", "seed"} if not made_up else set()
    shown = [element for name, element in elements.elements.items() if name not in given]
    return mo.vstack([*shown[:2], *nu, *shown[2:]])


def grid(mo: Any, *panels: Any) -> Any:
    """Panels beside each other where there is room, below each other where there is not."""
    cells = "".join(f"<div style='min-width:0'>{mo.as_html(panel).text}</div>" for panel in panels)
    columns = "repeat(auto-fit,minmax(min(100%,20rem),1fr))"
    return mo.Html(
        f"<div style='display:grid;gap:1.5rem;grid-template-columns:{columns}'>{cells}</div>"
    )


def table(view: View) -> str:
    """What every strategy gives each direction, its success, and its loss, as HTML.

    The oracle's allocation is proved optimal (theory 2.2, 5.1), so that what others lack is exact.
    """
    best = view.success[view.strategies.index(ORACLE)]
    rows = "".join(
        f"<tr data-strategy='{escape(name)}'><td>{escape(STRATEGIES[name].label)}</td>"
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
            "rollouts per direction",
            "success",
            "rollouts lost",
            "within ε of optimal",
        )
    )
    return (
        "<style>.results td,.results th{padding:.1em .7em;text-align:right;white-space:nowrap;"
        "font-variant-numeric:tabular-nums}.results td:first-child,.results th:first-child"
        "{text-align:left}</style>"
        "<div style='overflow-x:auto'>"
        f"<table class='results'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _short(epsilon: float) -> str:
    """What an allocation lacks, in words where that is nothing."""
    return "optimal" if epsilon < 1e-12 else f"{epsilon:.2g}"


def reproduced(mo: Any, scene: Scene) -> Any:
    """The Python call and the command lines that give what is shown."""
    best = DIRECTION_OPTIMAL if scene.within_concentration is None else CORRELATED
    commands = "\n".join(as_command(scene, name) for name in (REBASE, DORA, best))
    return mo.accordion(
        {
            "the same in Python": mo.md(f"```python\n{as_python(scene)}```"),
            "the same on the command line": mo.md(f"```sh\n{commands}\n```"),
        }
    )


def texts(record: Record, problem: Subject) -> str:
    """A logged problem and its solutions by direction, as HTML.

    Nothing of the log is markup; what is between TeX's delimiters is set as mathematics.
    """
    parts = []
    for j, quality in enumerate(problem.quality):
        mine = [i for i, at in enumerate(problem.labels) if at == j]
        right = sum(bool(record.samples[i].correct) for i in mine)
        solutions = "".join(_solution(i, record.samples[i]) for i in mine)
        parts.append(
            f"<details class='direction' style='margin:.4em 0'><summary>direction {j + 1}: "
            f"{amount(len(mine), 'solution')}, {right} right, quality {quality:.3f}</summary>"
            f"<div style='margin-left:1.2em'>{solutions}</div></details>"
        )
    return (
        f"<h3>{escape(record.problem_id)}</h3>{_with_mathematics(record.problem)}{''.join(parts)}"
    )


def _solution(i: int, sample: Sample) -> str:
    return (
        f"<details class='solution'><summary>solution {i + 1}: {_verdict(sample.correct)}, answer "
        f"<code>{escape(sample.final_answer or '–')}</code></summary>"
        f"{_with_mathematics(sample.text)}</details>"
    )


# $$…$$, \[…\], \(…\) and $…$; a dollar beside a blank or before a digit is money.
_TEX = re.compile(
    r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|\$(?!\s)([^$\n]+?)(?<!\s)\$(?!\d)", re.DOTALL
)


def _with_mathematics(text: str) -> str:
    """Text of a log as HTML in which only mathematics is set, by KaTeX, which trusts nothing."""
    pieces, at = [], 0
    for found in _TEX.finditer(text):
        shown, inline = found[1] or found[2], found[3] or found[4]
        ends = ("||[", "||]") if shown else ("||(", "||)")
        tex = f"{ends[0]}{escape(shown or inline)}{ends[1]}"
        pieces += [
            escape(text[at : found.start()]),
            f"<marimo-tex class='arithmatex'>{tex}</marimo-tex>",
        ]
        at = found.end()
    style = "white-space:pre-wrap;overflow-wrap:anywhere;overflow-x:auto;margin:.5em 0"
    return f"<div class='logged' style='{style}'>{''.join(pieces)}{escape(text[at:])}</div>"


def _verdict(correct: bool | None) -> str:
    return {True: "right", False: "wrong", None: "not judged"}[correct]


def _decades(ui: Any, label: str, low: int, high: int, value: float, disabled: bool = False) -> Any:
    """A slider with several steps a decade, with the given value among them."""
    steps = {round(m * 10.0**e, 9) for e in range(low, high) for m in _MANTISSAS}
    steps |= {10.0**high, value}
    return ui.slider(
        steps=sorted(steps),
        value=value,
        label=label,
        show_value=True,
        disabled=disabled,
        full_width=True,
    )
