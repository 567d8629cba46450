"""Fits a population to published curves and predicts DORA: `python -m paper_repro.fit_curves`."""

import argparse
import csv
import io
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from math import log2
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dora_theory._errors import InputError
from dora_theory.io.atomic_write import whole_output
from dora_theory.io.terminal import progress_bar

if TYPE_CHECKING:
    from paper_repro.calibration import Fit
    from paper_repro.published import Panel

_DESCRIPTION = """\
Fits the synthetic tree's six free parameters for each benchmark and policy model to the curves of
temperature, beam, dvts and rebase in a file like the paper's Figure 3, by least squares on an
emulator of simulated searches. Then searches the fitted populations, which says how good the fit is
and predicts DORA's curves. Rows of DORA are not read. A fit that misses its points by more than
twice their scatter is reported as failed.
"""

# Searches of the design by budget: those of many rollouts cost more and scatter less.
_SEARCHES = {16: 8192, 32: 8192, 64: 8192, 128: 4096, 256: 2048}
# Searched of each fitted population, by each strategy at each budget.
_PROBLEMS = 500
_HERE = Path(__file__).parent / "data" / "figure3.csv"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the fit; `InputError` if an option or the file cannot be used."""
    parser = argparse.ArgumentParser(
        prog="fit_curves",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("curves", nargs="?", default=str(_HERE), metavar="FIGURE3.csv", help="default: the paper's")
    add("--predictions", metavar="PATH.csv", help="write the predictions for DORA there, as CSV")
    add(
        "--effort",
        type=float,
        default=1.0,
        metavar="X",
        help="multiple of the usual number of searches (default %(default)s: minutes)",
    )
    add("--draws", type=int, default=16, metavar="B", help="of the bootstrap (default %(default)s)")
    add("--json", action="store_true", help="one JSON document")
    add("--out", metavar="PATH", help="write there, in one step, instead of to standard output")
    arguments = parser.parse_args(argv)
    if not 0 < arguments.effort <= 64:
        raise InputError(f"--effort: {arguments.effort:g}: needs a number above 0, at most 64")
    if not 2 <= arguments.draws <= 10_000:
        raise InputError(f"--draws: {arguments.draws}: needs an integer from 2 to 10000")
    path = arguments.curves

    from paper_repro.published import read_panels

    panels = read_panels(path)
    # Opened before minutes of simulation, not after.
    with ExitStack() as files:
        out = files.enter_context(whole_output(arguments.out))
        predicted = arguments.predictions and files.enter_context(
            whole_output(arguments.predictions, "--predictions")
        )
        fits = _fit(panels, arguments.effort, arguments.draws)
        found = document(path, fits)
        text = json.dumps(found, indent=1, allow_nan=False) if arguments.json else table(fits)
        out.write(text.encode() + b"\n")
        if predicted:
            predicted.write(predictions(fits).encode())
    return 0


def _fit(panels: Sequence["Panel"], effort: float, draws: int) -> list["Fit"]:
    from dora_theory.search.tree import Tree
    from paper_repro.calibration import ASSUMED, FITTED, RULES, fit_panel, simulate_panel
    from paper_repro.emulator import fit_emulator, run_design

    # Powers of two, as Sobol's sequence wants them.
    searches = {n: 1 << max(6, round(log2(effort * count))) for n, count in _SEARCHES.items()}
    simulate = partial(simulate_panel, problems=max(20, round(effort * _PROBLEMS)))
    steps = len(searches) * len(RULES) + 1 + len(panels)
    with progress_bar(steps, "steps") as bar:
        design = run_design(
            Tree(), {**FITTED, **ASSUMED}, RULES, searches, after=lambda *_: bar.update()
        )
        emulator = fit_emulator(design)
        bar.update()
        fits = []
        for panel in panels:
            fits.append(fit_panel(panel, emulator, draws=draws, simulate=simulate))
            bar.update()
    return fits


def document(path: str, fits: Sequence["Fit"]) -> dict[str, Any]:
    """The JSON document of a calibration."""
    from paper_repro.calibration import ASSUMED, STRATEGIES

    return {
        "curves": Path(path).name,
        "strategies": list(STRATEGIES[:-1]),
        "assumed": {name: list(ends) for name, ends in ASSUMED.items()},
        "panels": [_panel(fit) for fit in fits],
    }


def _panel(fit: "Fit") -> dict[str, Any]:
    from paper_repro.emulator import METRICS

    names = ("value", "low", "high")
    return {
        "benchmark": fit.panel.benchmark,
        "policy_model": fit.panel.model,
        "verdict": "fails" if fit.fails else "fits",
        "misfit": fit.misfit,
        "rms_points": dict(zip(METRICS, fit.rms.tolist(), strict=True)),
        "scatter_points": dict(zip(METRICS, fit.panel.deviation.tolist(), strict=True)),
        # Between emulator and searches, by metric, over all five strategies.
        "emulator_rms_points": _emulator_rms(fit),
        "parameters": {
            name: dict(zip(names, values, strict=True)) for name, values in fit.parameters.items()
        },
        "at_bound": list(fit.at_bound),
        "budgets": list(fit.panel.budgets),
        # By budget, strategy and metric.
        "fitted_percent": fit.fitted.tolist(),
    }


def _emulator_rms(fit: "Fit") -> dict[str, float]:
    import numpy as np

    from paper_repro.emulator import METRICS

    searched = np.concatenate([fit.fitted, fit.predicted[:, None, :, 0]], 1)
    rms = np.sqrt(np.mean((searched - fit.emulated) ** 2, axis=(0, 1)))
    return dict(zip(METRICS, rms.tolist(), strict=True))


def predictions(fits: Sequence["Fit"]) -> str:
    """What is predicted of DORA, as CSV: a line for each metric, panel and budget."""
    from paper_repro.calibration import PREDICTED
    from paper_repro.emulator import METRICS

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ("metric", "benchmark", "policy_model", "strategy", "budget", "percent", "low", "high")
    writer.writerow([*head, "fit_rms_points", "fit"])
    for m, metric in enumerate(METRICS):
        for fit in fits:
            verdict = "fails" if fit.fails else "fits"
            for n, values in zip(fit.panel.budgets, fit.predicted[:, m], strict=True):
                place = (metric, fit.panel.benchmark, fit.panel.model, PREDICTED, n)
                numbers = [f"{x:.2f}" for x in (*values, fit.rms[m])]
                writer.writerow([*place, *numbers, verdict])
    return text.getvalue()


def table(fits: Sequence["Fit"]) -> str:
    """The fits as a Markdown table."""
    names = list(fits[0].parameters)
    head = ["benchmark", "policy model", *names, "rms accuracy", "rms pass rate", "misfit", "fit"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for fit in fits:
        values = []
        for name, (value, low, high) in fit.parameters.items():
            mark = " (bound)" if name in fit.at_bound else ""
            values.append(f"{value:.2f}{mark} [{low:.2f}, {high:.2f}]")
        rest = [*(f"{x:.2f}" for x in (*fit.rms, fit.misfit)), "**fails**" if fit.fails else "yes"]
        lines.append(f"| {' | '.join([fit.panel.benchmark, fit.panel.model, *values, *rest])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    from dora_theory.cli.main import guarded

    sys.exit(guarded(main))
