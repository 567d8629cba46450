"""The page of a replay: every log's numbers, checks and pictures, and nothing from anywhere else.

One HTML file, pictures and all, of the parts of `dora_theory.replay.report.html`.
"""

from collections.abc import Sequence
from html import escape
from typing import Any

from dora_theory._errors import amount
from dora_theory.plots import label
from dora_theory.replay.cut.similarity import PAPER
from dora_theory.replay.report.calibration_picture import calibration_panels
from dora_theory.replay.report.calibration_table import calibration_table
from dora_theory.replay.report.conclusion import conclusion, unit
from dora_theory.replay.report.html import checks, image, page, table
from dora_theory.replay.report.kinds import ACROSS, METRICS, titles_of
from dora_theory.replay.report.picture import success_against_budget
from dora_theory.replay.report.similarity_picture import similarity_panels
from dora_theory.replay.report.table import Cell, similarity_in_words, tables


def report(summaries: Sequence[dict[str, Any]]) -> str:
    """The page of one or many logs.

    Args:
        summaries: what `replay.summary.summary` returns, at least one; with `calibration`, what
            `replay.calibrating.calibrate` returns, or `uncalibrated`, why there is none; with
            `across`, what `replay.across.run.replay_across` returns, or without; with `metrics`,
            what `replay.metrics.replay_metrics` returns, or without.

    Returns:
        HTML, the same for the same summaries.
    """
    titles = titles_of(summaries)
    picture = image(
        success_against_budget(summaries, titles),
        "Success against budget, and difference to REBASE, one panel a log",
    )
    overview = _overview(summaries, titles) if len(summaries) > 1 else ""
    sections = "".join(
        _section(i, summary, title)
        for i, (summary, title) in enumerate(zip(summaries, titles, strict=True))
    )
    return page(
        f"Replay of {', '.join(titles)}",
        "What logged rollouts say about every strategy",
        f"{overview}{picture}\n{sections}",
    )


def _overview(summaries: Sequence[dict[str, Any]], titles: Sequence[str]) -> str:
    rows = []
    for i, (summary, title) in enumerate(zip(summaries, titles, strict=True)):
        doubtful = sum(check["verdict"] == "doubtful" for check in summary["checks"])
        similarity = summary["similarity"]
        called = similarity["similarity_temperature"]
        rows.append(
            [
                f"<a href='#log{i}'>{escape(title)}</a>",
                "trees" if summary["kind"] == "tree" else "solutions",
                f"{summary['problems']:,}",
                f"{summary['samples']:,}",
                f"{similarity['effective']['mean']:.2f}",
                "–" if called is None else f"{called:.3g}",
                f"<span class='doubtful'>{doubtful}</span>" if doubtful else "0",
            ]
        )
    head = ["log", "of", "problems", "logged", "effective directions", "T_s called for", "doubts"]
    caption = (
        "The logs. Effective directions: exp of the entropy of their sizes. T_s called for: where "
        f"γ makes the shares of directions most nearly equal; the paper's is {PAPER:g}."
    )
    return table(head, rows, caption)


def _section(number: int, summary: dict[str, Any], title: str) -> str:
    tree = summary["kind"] == "tree"
    parts = [
        f"<h2 id='log{number}'>{escape(title)}</h2>\n<p>{escape(summary['log'])}: "
        f"{amount(summary['problems'], 'problem', ',')}, "
        f"{amount(summary['samples'], 'node' if tree else 'solution', ',')}.</p>",
        "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in conclusion(summary)) + "</ul>",
        f"<p class='caveat'>{escape(summary['caveat'])}</p>",
        *(
            table([unit(summary), *budgets], list(map(_row, rows)), words)
            for words, budgets, rows in tables(summary)
        ),
    ]
    similarity = summary["similarity"]
    sizes = ", ".join(f"{n:,} of {k}" for k, n in similarity["sizes"].items())
    parts += [
        "<h3>Directions</h3>",
        f"<p>{escape(similarity_in_words(summary))}</p>",
        f"<p>Directions by number of candidates: {escape(sizes)}.</p>",
        image(similarity_panels(similarity), "Cosines, loss against T_s, sizes of directions"),
        *_calibration(summary, title),
        *(ACROSS.parts(summary["across"], title) if "across" in summary else []),
        *(METRICS.parts(summary["metrics"], title) if "metrics" in summary else []),
        "<h3>Is this log what it says?</h3>",
        checks(summary["checks"]),
    ]
    if summary["notes"]:
        notes = "".join(f"<li>{escape(note)}</li>" for note in summary["notes"])
        parts.append(f"<h3>Notes</h3>\n<ul>{notes}</ul>")
    options = [[escape(k), escape(_said(v))] for k, v in summary["options"].items()]
    parts.append(
        f"<details><summary>Options</summary>{table(['option', 'value'], options, '')}</details>"
    )
    return "\n".join(parts) + "\n"


def _said(value: Any) -> str:
    """An option's value in words."""
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{k}={v}" for k, v in value.items()) or "none"
    return str(value)


def _calibration(summary: dict[str, Any], title: str) -> list[str]:
    head = "<h3>How far can its scores be trusted?</h3>"
    if "uncalibrated" in summary:
        return [head, f"<p>Not known: {escape(summary['uncalibrated'])}.</p>"]
    if "calibration" not in summary:
        return []
    found = summary["calibration"]
    return [
        head,
        image(calibration_panels(found, title), "Scores against outcomes, and κ by depth"),
        f"<pre class='wide'>{escape(calibration_table(found))}</pre>",
    ]


def _row(row: tuple[str, list[Cell]]) -> list[str]:
    """A strategy's row as HTML."""
    name, cells = row
    return [escape(label(name)), *map(_cell, cells)]


def _cell(cell: Cell) -> str:
    """A number with what is said of it below."""
    below = filter(None, (cell.about + cell.clipped, cell.certified))
    return escape(cell.value) + "".join(f"<br><small>{escape(line)}</small>" for line in below)
