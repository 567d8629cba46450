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
def _(mo, scene):
    # What was last seen without an error, to show beside one.
    good = {}
    upload = mo.ui.file(label="Open a log (JSON lines, .gz, Parquet)", kind="button")
    preset = mo.ui.dropdown(list(scene.PRESETS), value=next(iter(scene.PRESETS)), label="Example")
    reset = mo.ui.button(label="Reset", tooltip="Set everything as in the example", value=0,
                         on_click=lambda count: count + 1)  # fmt: skip
    return good, preset, reset, upload


@app.cell
def _(InputError, ReplayOptions, json, logged, mo, upload):
    path, options = (mo.cli_args().get(name) for name in ("log", "options"))
    chosen_options = ReplayOptions(**json.loads(str(options))) if options else ReplayOptions()
    refused = None
    try:
        if upload.value:
            log = logged.uploaded(upload.name(0), upload.contents(0), chosen_options)
        else:
            log = logged.Log(str(path), chosen_options) if path else None
    except InputError as error:
        log, refused = None, str(error)
    sources = ["made up", *(["log"] if log else [])]
    source = mo.ui.radio(sources, value=sources[-1], label="Problem", inline=True)
    number = mo.ui.number(
        1, log.count if log else 1, value=log.first() if log else 1, label=log.title if log else ""
    )
    return log, number, refused, source


@app.cell
def _(mo, preset, reset, scene, words):
    # Made anew by another example and by a reset.
    reset.value
    start = scene.PRESETS[preset.value].scene
    controls, shared = words.controls(mo, start), words.shared_p(mo, start)
    rows, change = mo.state(list(zip(start.sizes, start.scores, strict=True)))
    held = {"nu": start.within_concentration or 2.0, "rows": rows()}
    return change, controls, held, rows, shared


@app.cell
def _(held, mo, shared, words):
    nu = words.within(mo, held["nu"], shared.value)
    return (nu,)


@app.cell
def _(mo, rows, words):
    directions = words.Rows(mo, rows())
    fields, buttons = directions.fields, directions.buttons
    return buttons, directions, fields


@app.cell
def _(buttons, change, held, words):
    if (other := words.rows_after(buttons.value, held["rows"])) is not None:
        change(other)
    return


@app.cell
def _(
    controls, directions, log, mo, nu, number, preset, refused, reset, scene, shared, source,
    upload, words,
):  # fmt: skip
    made_up = source.value == "made up"
    problem_of = [
        preset,
        mo.md(scene.PRESETS[preset.value].story),
        mo.hstack([mo.md("**Directions**"), reset], justify="space-between", align="center"),
        directions.view,
    ]
    # Here, since a cell that only uses the controls is run again when one of them moves.
    mo.sidebar(
        [
            mo.md("## Where should the next rollout go?"),
            upload,
            *([source] if log else []),
            *([mo.callout(mo.plain_text(refused), kind="danger")] if refused else []),
            *(problem_of if made_up else [number, reset]),
            words.laid_out(mo, controls, [shared, nu], made_up),
        ],
        width="330px",
    )
    return (made_up,)


@app.cell
def _(
    InputError, controls, fields, good, held, log, made_up, mo, nu, number, shared, view, words
):  # fmt: skip
    held["nu"] = nu.value
    try:
        held["rows"] = words.rows_of(fields.value)
        chosen = words.scene_of(controls.value, held["rows"], None if shared.value else nu.value)
        record, problem = (
            (None, view.subject(chosen))
            if made_up
            else log.problem(words.whole("problem", number.value), chosen.quality_temperature)
        )
        good["shown"] = chosen, record, problem, view.look(problem, chosen)
        complaint = None
    except InputError as error:
        complaint = mo.callout(
            mo.plain_text(f"{error}. Shown is what was there before."), kind="danger"
        )
    # With nothing to show yet, cells below do not run.
    mo.stop("shown" not in good, complaint)
    shown = good["shown"]
    complaint
    return (shown,)


@app.cell
def _(charts, mo, shown, words):
    _, record_, problem_, seen_ = shown
    mo.vstack(
        [
            # On a phone the button that opens the controls lies over the first line.
            mo.Html("<div style='height:1.5rem'></div>"),
            mo.md(words.ABOUT_STRATEGIES),
            *([mo.md(words.about_log(problem_))] if record_ else []),
            mo.Html(words.table(seen_)),
            charts.allocation_chart(problem_, seen_),
        ]
    )
    return


@app.cell
def _(charts, mo, shown, view, words):
    scene_, logged_, subject_, look_ = shown
    t_s = scene_.similarity_temperature
    panels = [
        mo.vstack([mo.md(words.ABOUT_SIMILARITY), charts.similarity_chart(subject_, look_)]),
        mo.vstack([mo.md(words.ABOUT_BIAS), charts.bias_chart(look_, t_s)]),
    ]
    if logged_ is None and scene_.similarity_between < 1:
        chart = charts.price_chart(view.price_map(scene_), scene_)
        panels.append(mo.vstack([mo.md(words.ABOUT_PRICE), chart]))
    words.grid(mo, *panels)
    return


@app.cell
def _(mo, shown, words):
    setting, of_log, of_problem, _seen = shown
    mo.output.append(
        mo.Html(words.texts(of_log, of_problem)) if of_log else words.reproduced(mo, setting)
    )
    return


@app.cell
def _(shown, view):
    # Last, so that the first picture does not wait: cells run in the order of the file.
    if shown:
        view.warm_up()
    return


if __name__ == "__main__":
    app.run()
