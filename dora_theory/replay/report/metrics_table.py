"""The text of `replay --metrics`."""

import textwrap
from typing import Any

_WIDTH = 100


def metrics_table(found: dict[str, Any]) -> str:
    """What `replay_metrics` returns as text.

    Args:
        found: the document of one log.

    Returns:
        Lines, without an end of line at the last.
    """
    ks = list(next(iter(found["metrics"].values())))
    lines = [
        f"{found['log']}: {found['problems']} problems, {found['samples']} solutions",
        "",
        "% of problems, k solutions of each [95% over problems]",
        *_rows(
            [("k", ks)]
            + [(name, [_cell(of[k]) for k in ks]) for name, of in found["metrics"].items()]
        ),
    ]
    agreement = found["agreement"]
    head = ["right accepted", "wrong accepted", "accepted right", "ceiling"]
    rates = [("a verifier", head)]
    for tau, of in (found["verifier"] or {}).items():
        three = [_cell(of[x]) for x in ("true_positive", "false_positive", "precision")]
        end = "-" if of["ceiling"] is None else f"{100 * of['ceiling']:.1f}"
        rates.append((f"score ≥ {tau}", [*three, end]))
    both = [_cell(agreement[x]) for x in ("true_positive", "false_positive")]
    rates.append(("what most answer", [*both, "-", "-"]))
    lines += ["", "Verifiers: rates of acceptance, %, and P(right) with rollouts without end"]
    lines += _rows(rates)
    for title, name in (
        ("Stop at the first acceptance within k solutions: believed to be solved, %", "believed"),
        ("right of those, %", "right"),
        ("accuracy of the answer, %: the accepted, else the best-scored", "accuracy"),
    ):
        if found["verifier"]:
            cells = [
                (f"score ≥ {tau}", [_cell(of["budget"][k][name]) for k in ks])
                for tau, of in found["verifier"].items()
            ]
            lines += ["", title, *_rows([("k", ks), *cells])]
    return "\n".join([*lines, "", *textwrap.wrap(found["caveat"], _WIDTH)])


def _rows(rows: list[tuple[str, list[str]]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*(cells for _, cells in rows), strict=True)]
    return [
        f"{name:17}"
        + "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        for name, cells in rows
    ]


def _cell(x: dict[str, float | None]) -> str:
    if x["mean"] is None:
        return "-"
    mean, low, high = (100 * float(x[name] or 0) for name in ("mean", "low", "high"))
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"
