"""The tables of `replay --across`, one budget for all problems of a log."""

from typing import Any


def tables(found: dict[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Savings, hard budgets and stops at a score.

    Args:
        found: what `replay.across.run.replay_across` returns.

    Returns:
        Caption, head and rows of cells of each table.
    """
    every = [_savings(found), *_policies(found)]
    if found["stopping"] is not None:
        every += _stopping(found["stopping"])
    return every


def fitted_in_words(found: dict[str, Any]) -> str:
    """The fitted difficulties, in a clause."""
    fit = found["fit"]
    if fit is None:
        return "no Beta(a, b) fits the difficulties"
    return (
        f"difficulties fit Beta({fit['alpha']:.3g} ± {fit['alpha_error']:.2g}, "
        f"{fit['beta']:.3g} ± {fit['beta_error']:.2g})"
    )


def _savings(found: dict[str, Any]) -> tuple[str, list[str], list[list[str]]]:
    words = (
        "Rollouts per problem until a share is solved, exact expectations of the log; how many "
        "times fewer round robin on the unsolved needs than uniform [95% over problems]; what the "
        f"fitted Beta predicts of that, and its limit (1 - a)/f: {fitted_in_words(found)}; then "
        "what policies whose priors differ need"
    )
    rows = []
    for row in found["savings"]:
        share = f"{100 * row['coverage']:.3g}%"
        if row["uniform"] is None:
            rows.append(
                [
                    share,
                    f"the log solves {100 * row['solved']:.1f}%",
                    *[""] * (4 + len(row["priors"])),
                ]
            )
            continue
        interval = "" if row["low"] is None else f" [{row['low']:.2f}, {row['high']:.2f}]"
        rows.append(
            [
                share,
                f"{row['uniform']:.3g}",
                f"{row['round_robin']:.3g}",
                f"{row['factor']:.2f}{interval}",
                _number(row["predicted"]),
                _number(row["limit"]),
                *map(_number, row["priors"].values()),
            ]
        )
    head = ["solved", "uniform", "round robin", "factor", "predicted", "limit"]
    head += found["savings"][0]["priors"] if found["savings"] else []
    return words, head, rows


def _policies(found: dict[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    policies = found["policies"]
    budgets = list(next(iter(policies.values())))
    solved, gained = [], []
    for name, of in policies.items():
        cells = [of[n] for n in budgets]
        solved.append([name, *(_percent(c, ("solved", "low", "high"), "z.1f") for c in cells)])
        if name != "uniform":
            gain = ("minus_uniform", "minus_low", "minus_high")
            gained.append([name, *(_percent(c, gain, "+z.1f") for c in cells)])
    head = ["rollouts per problem", *budgets]
    return [
        ("% of problems solved by a hard budget for all [95% of one run]", head, solved),
        ("the same minus uniform, percentage points, on the same orders [95%]", head, gained),
    ]


def _stopping(found: dict[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    rules = found["rules"]
    budgets = list(next(iter(rules.values())))
    believed, accuracy = [], []
    for tau, of in found["thresholds"].items():
        cells = [of["budget"][n] for n in budgets]
        pairs = [f"{100 * c['believed']:.1f} / {_share(c['right'])}" for c in cells]
        rates = (of["true_accept"], of["false_accept"])
        believed.append([f"score ≥ {tau}", *(_share(x) for x in rates), *pairs])
        accuracy.append([f"stop at score ≥ {tau}", *(f"{100 * c['accuracy']:.1f}" for c in cells)])
    for name, of in rules.items():
        accuracy.append([name, *(f"{100 * of[n]:.1f}" for n in budgets)])
    return [
        (
            "Stop at a score instead of a verified success: % of problems believed to be solved / "
            "% of those that are; acceptance of right and of wrong solutions, %",
            ["stop at", "right", "wrong", *budgets],
            believed,
        ),
        (
            "Accuracy of the answer, %: the accepted solution, else the best-scored; beside it "
            "uniform budgets, and a perfect verifier",
            ["rollouts per problem", *budgets],
            accuracy,
        ),
    ]


def _percent(cell: dict[str, float], fields: tuple[str, str, str], form: str) -> str:
    mean, low, high = (format(100 * cell[f], form) for f in fields)
    return f"{mean} [{low}, {high}]"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
