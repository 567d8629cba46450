# marimo writes notebooks in this form: a function a cell, its names shared with the cells after it.
"""The page itself, a marimo notebook: `dora-theory explore` or `marimo run` opens it."""

import marimo

app = marimo.App(width="full", app_title="dora-theory: where should the next rollout go?")


@app.cell
def _():
    import json

    import jax
    import marimo as mo

    # As on the command line: answers are float64, and a float64 tie is a tie.
    jax.config.update("jax_enable_x64", True)

    from dora_theory._errors import InputError
    from dora_theory.explore import charts, logged, scene, view, words
    from dora_theory.replay.options import ReplayOptions

    return InputError, ReplayOptions, charts, json, logged, mo, scene, view, words


@app.cell
def _(ReplayOptions, json, logged, mo):
    path, options = (mo.cli_args().get(name) for name in ("log", "options"))
    log = logged.Log(str(path), ReplayOptions(**json.loads(str(options)))) if path else None
    sources = ["made up", *(["log"] if log else [])]
    source = mo.ui.radio(sources, value=sources[-1], label="problem", inline=True)
    return log, source


@app.cell
def _(mo, scene):
    preset = mo.ui.dropdown(list(scene.PRESETS), value=next(iter(scene.PRESETS)), label="preset")
    return (preset,)


@app.cell
def _(log, mo, preset, scene, source, words):
    controls = words.controls(mo, scene.PRESETS[preset.value].scene)
    number = mo.ui.number(
        1, log.count if log else 1, value=log.first() if log else 1, label=log.title if log else ""
    )
    made_up = source.value == "made up"
    side = [
        mo.md("## Where should the next rollout go?"),
        source,
        *([preset, mo.md(scene.PRESETS[preset.value].story)] if made_up else [number]),
        words.laid_out(mo, controls, made_up),
    ]
    # Here, since a cell that only uses the controls is run again when one of them moves.
    mo.sidebar(side, width="330px")
    return controls, made_up, number


@app.cell
def _(InputError, controls, log, made_up, mo, number, view, words):
    try:
        chosen = words.scene_of(controls.value)
        record, problem = (
            (None, view.subject(chosen))
            if made_up
            else log.problem(words.whole("problem", number.value), chosen.quality_temperature)
        )
        seen = view.look(problem, chosen)
        complaint = None
    except InputError as error:
        complaint = mo.callout(mo.plain_text(str(error)), kind="danger")
    # Cells below do not run on bad input; this one says what is wrong with it.
    mo.stop(complaint is not None, complaint)
    return chosen, problem, record, seen


@app.cell
def _(seen, view):
    # After the first picture is there, so that it does not wait.
    if seen:
        view.warm_up()
    return


@app.cell
def _(charts, made_up, mo, problem, seen, words):
    mo.vstack(
        [
            mo.md(words.ABOUT_STRATEGIES),
            *([] if made_up else [mo.md(words.about_log(problem))]),
            mo.hstack(
                [mo.Html(words.table(seen)), charts.allocation_chart(problem, seen)],
                justify="start",
                align="start",
                gap=2,
            ),
        ]
    )
    return


@app.cell
def _(charts, chosen, made_up, mo, problem, seen, view, words):
    panels = [
        mo.vstack([mo.md(words.ABOUT_SIMILARITY), charts.similarity_chart(problem, seen)]),
        mo.vstack(
            [mo.md(words.ABOUT_BIAS), charts.bias_chart(seen, chosen.similarity_temperature)]
        ),
    ]
    if made_up and chosen.across < 1:
        chart = charts.price_chart(view.price_map(chosen), chosen)
        panels.append(mo.vstack([mo.md(words.ABOUT_PRICE), chart]))
    mo.hstack([panels[0], mo.vstack(panels[1:])], justify="start", align="start", gap=3)
    return


@app.cell
def _(chosen, made_up, mo, problem, record, words):
    mo.output.append(
        words.reproduced(mo, chosen) if made_up else mo.Html(words.texts(record, problem))
    )
    return


if __name__ == "__main__":
    app.run()
