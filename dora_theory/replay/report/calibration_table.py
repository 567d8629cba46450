"""What `calibrate` found in a log, as a table to read."""

import textwrap
from collections.abc import Mapping
from typing import Any

from dora_theory._errors import amount
from dora_theory.io.tables import aligned
from dora_theory.replay.report.conclusion import use_in_words
from dora_theory.strategies.registry import DIRECTION_OPTIMAL, OPTIMAL, REBASE

_WIDTH = 100
_HOW = {
    "score": "the score itself",
    "calibrated": "the score, recalibrated",
    "quality": "the paper's softmax",
}


def calibration_table(document: dict[str, Any]) -> str:
    """κ by mean, depth and difficulty, the scores against outcomes, and what the fit would bring.

    Args:
        document: what `calibrating.calibrate` returns.

    Returns:
        Lines without an end of line at the last.
    """
    steps, best = document["steps"], document["best"]
    means = {_HOW[name]: fit for name, fit in document["concentration"].items()}
    lines = [
        f"{document['log']}: {amount(document['problems'], 'problem')}, cut after step {steps}",
        "",
        *textwrap.wrap(
            "κ of p ~ Beta(κμ, κ(1 − μ)), the chance of a direction, by what μ is. The likelihood "
            f"is highest for {_HOW[best]}, which the next two tables take. Only directions with "
            "two or more continuations carry information about κ.",
            _WIDTH,
        ),
        *_fits("μ", means),
        "",
        *_fits("by depth", {f"step {m}": fit for m, fit in document["depth"].items()}),
    ]
    if document["level"]:
        of_levels = {f"level {m}": fit for m, fit in document["level"].items()}
        lines += ["", *_fits("by difficulty", of_levels)]
    if document["own"]:
        lines += ["", *_own(document["own"])]
    lines += ["", *textwrap.wrap(length_in_words(document["length"]), _WIDTH)]
    lines += ["", "scores against outcomes"]
    for name, at in (("step", f"after step {steps}"), ("final", "after the last step")):
        lines.append(f"  {at:24}{_scores(document['scores'][name])}")
    lines += [
        "",
        "success, % of problems [95% interval], with "
        f"κ = {document['replayed']['concentration']:.3g} as fitted, and with Webster's 0.5",
        *_replayed(document["replayed"]),
        "",
        *textwrap.wrap(
            "≥ is a lower bound: on some problems a direction was given more rollouts than were "
            "logged of it.",
            _WIDTH,
        ),
        *textwrap.wrap(document["caveat"], _WIDTH),
        "",
        f"For dora-theory allocate, whose qualities are the softmax of scores: use "
        f"{use_in_words(document['use'])}",
    ]
    return "\n".join(lines)


def length_in_words(found: Mapping[str, Any] | None) -> str:
    """Which T_s of the similarity kernel a log supports, in a sentence or two.

    Args:
        found: `length` of what `calibrate` returns.

    Returns:
        One line.
    """
    from dora_theory.replay.calibrate.kernel_length import ADVICE

    if found is None:
        return "T_s of the similarity kernel: no problem has two candidates to compare."
    fit = (
        f"{found['similarity_temperature']:.3g}, half of all resamples in "
        f"{found['lower_quartile']:.3g} to {found['upper_quartile']:.3g}, 95% in "
        f"{found['low']:.3g} to {found['high']:.3g}, "
        f"from {amount(found['num_pairs'], 'pair')} in {amount(found['num_problems'], 'problem')}"
    )
    if found["supported"]:
        return f"T_s of the similarity kernel: {fit}. Where unsure, {ADVICE}."
    return (
        f"T_s of the similarity kernel: the log supports none (the fit is {fit}, which reaches an "
        f"end of what is tried); {ADVICE}."
    )


def _own(found: Mapping[str, Any]) -> list[str]:
    """The map to a κ of each candidate, and what a single κ loses."""
    low, middle, high = found["concentration"]
    held = found["held_out"]
    lines = [
        "a prior Beta(κμ, κ(1 − μ)) of each candidate, from its score, the spread of its step "
        "scores and its depth",
        f"  logit μ = {_line(found['map']['mean'])}",
        f"  log κ = {_line(found['map']['log_concentration'])}",
        f"  κ of a direction: half are in {low:.3g} to {high:.3g}, the median is {middle:.3g}",
        f"  on problems that it was not fitted to ({found['folds']} folds) it raises log "
        f"likelihood by {held['mean']:+.3f} [{held['low']:+.3f}, {held['high']:+.3f}] a problem "
        "against a single κ",
    ]
    ns = list(found["lost"])
    rows = [("success that a single κ loses, points", [f"N = {n}" for n in ns])]
    for name, words in (("predicted", "if the map is right"), ("replayed", "on this log")):
        cells = [_lost(found["lost"][n][name]) for n in ns]
        rows.append((words, cells))
    rows.append(("problems", [str(found["lost"][n]["problems"]) for n in ns]))
    lines += ["  " + line for line in aligned([[words, *cells] for words, cells in rows])]
    gains = [n for n in ns if found["lost"][n]["replayed"]["low"] > 0]
    if gains:
        return [*lines, f"  on this log it pays to know κ of each at N = {', '.join(gains)}"]
    return [*lines, "  on this log one κ is enough: no interval of what it loses is above 0"]


def _line(of: Mapping[str, float]) -> str:
    names = ("", " logit score", " spread", " depth")
    terms = [f"{x:.3g}{name}" for x, name in zip(of.values(), names, strict=True)]
    return " + ".join(terms).replace("+ -", "− ")


def _lost(x: Mapping[str, float]) -> str:
    mean, low, high = (100 * x[name] for name in ("mean", "low", "high"))
    return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"


def _fits(head: str, fits: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A row for each fit, and its warnings below it."""
    rows = [[head, "κ [95% interval]", "best divisors", "directions", "logit μ"]]
    for name, fit in fits.items():
        high = "∞" if fit["high"] is None else f"{fit['high']:.3g}"
        line = f"{fit['intercept']:.2f} + {fit['slope']:.2f} logit score".replace("-", "−")
        rows.append(
            [
                f"  {name}",
                f"{fit['concentration']:.3g} [{fit['low']:.3g}, {high}]",
                fit["divisor"],
                f"{fit['telling']} of {fit['groups']}",
                "" if (fit["intercept"], fit["slope"]) == (0, 1) else line,
            ]
        )
    if not any(row[-1] for row in rows[1:]):
        rows = [row[:-1] for row in rows]
    first, *lines = aligned(rows, left=(0, 2, 4))
    warned = ([f"    ! {x}" for x in fit["warnings"]] for fit in fits.values())
    pairs = zip(lines, warned, strict=True)
    return [first, *(text for line, more in pairs for text in (line, *more))]


def _scores(found: Mapping[str, Any]) -> str:
    auc = "-" if found["auc"] is None else f"{found['auc']:.3f}"
    return (
        f"expected calibration error {found['error']:.3f} "
        f"[{found['error_low']:.3f}, {found['error_high']:.3f}] ({found['floor']:.3f} if scores "
        f"were exact), Brier {found['brier']:.3f}, AUC {auc}"
    )


def _replayed(found: Mapping[str, Any]) -> list[str]:
    rows = {REBASE: found["fitted"][REBASE]}
    for name in (OPTIMAL, DIRECTION_OPTIMAL):
        rows |= {f"{name}, fitted": found["fitted"][name], f"{name}, 0.5": found["webster"][name]}
    budgets = list(rows[REBASE])
    cells = [[name, *(_success(row[n]) for n in budgets)] for name, row in rows.items()]
    return ["  " + line for line in aligned([["rollouts N", *budgets], *cells])]


def _success(cell: Mapping[str, float]) -> str:
    sign = "≥" if cell["clipped"] else ""
    return f"{sign}{100 * cell['success']:.1f} [{100 * cell['low']:.1f}, {100 * cell['high']:.1f}]"
