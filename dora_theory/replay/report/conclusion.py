"""What a replay says, in sentences: who differs from REBASE, what that would take, what is left."""

from typing import Any

from dora_theory._errors import agree, amount
from dora_theory.plots import label
from dora_theory.strategies.registry import BASELINE

# Of a 95% interval, and of a test that finds a difference four times in five.
_INTERVAL, _POWER = 1.959963984540054, 0.8416212335729143
# Budgets are reported where the log suffices for nearly all problems.
_CLIPPED = 0.05
_ENOUGH = 30
# Policies across problems that are the yardstick, or know what nobody knows beforehand.
_KNOWING = "uniform", "oracle", "known"


def conclusion(summary: dict[str, Any]) -> list[str]:
    """Sentences about one log, computed from its numbers.

    Args:
        summary: what `replay.summary.summary` returns; with `calibration` and `across`, if they
            are there.

    Returns:
        Which strategies differ from REBASE beyond the interval; how many problems it would take to
        tell those that do not, with power 80% at the observed difference and paired variance; how
        much of what REBASE leaves any rule takes; what one budget for all problems gains; which κ
        to give `allocate`.
    """
    strategies = summary["strategies"]
    budget = _budget(strategies)
    found = _differences(summary, budget) + _headroom(summary, budget)
    if summary.get("across"):
        found += _across(summary["across"])
    fit = summary.get("calibration", {}).get("use")
    if fit:
        found.append(f"For allocate use {use_in_words(fit)}.")
    return found


def unit(summary: dict[str, Any]) -> str:
    """What the budgets of a replay are of, as the heading of a row or an axis."""
    return "further tokens" if summary.get("options", {}).get("by_cost") else "further rollouts N"


def _at(summary: dict[str, Any], budget: str) -> str:
    by_cost = summary.get("options", {}).get("by_cost")
    return f"At {amount(int(budget), 'further token', ',')}" if by_cost else f"At N = {budget}"


def use_in_words(fit: dict[str, Any]) -> str:
    """The κ for `allocate` as its flag, with its interval."""
    high = "∞" if fit["high"] is None else f"{fit['high']:.3g}"
    return f"--kappa {fit['concentration']:.3g} (95%: {fit['low']:.3g} to {high})"


def problems_needed(cell: dict[str, Any]) -> float | None:
    """Problems after which a difference as observed is distinguished from 0 four times in five.

    The variance of a paired difference is read off the width of its interval.

    Args:
        cell: `difference`, `low`, `high` and `problems` of a pair at one budget.

    Returns:
        A number of problems, or None where the difference or its interval is 0 or unknown, or is
        of fewer than thirty problems, whose scatter says too little.
    """
    if not cell["difference"] or cell["high"] == cell["low"] or cell["problems"] < _ENOUGH:
        return None
    error = (cell["high"] - cell["low"]) / (2 * _INTERVAL)
    return cell["problems"] * ((_INTERVAL + _POWER) * error / cell["difference"]) ** 2


def _budget(strategies: dict[str, Any]) -> str:
    """The largest budget for which the log suffices on nearly all problems, or the smallest."""
    budgets = list(next(iter(strategies.values()))["budget"])
    worst = {n: max(of["budget"][n]["clipped"] for of in strategies.values()) for n in budgets}
    return next((n for n in reversed(budgets) if worst[n] <= _CLIPPED), budgets[0])


def _differences(summary: dict[str, Any], budget: str) -> list[str]:
    different, open_, same = [], [], []
    counted = False
    for pair, of in summary["paired"].items():
        cell, name = of["budget"][budget], label(pair.removesuffix("-rebase"))
        if cell["difference"] is None:
            continue
        low, high = cell["low"], cell["high"]
        if low > 0 or high < 0:
            different.append(f"{name} {_points(cell)}")
        elif cell["difference"] == 0:
            same.append(name)
        else:
            needed = problems_needed(cell)
            counted |= needed is not None
            more = "" if needed is None else f", needs about {_rough(needed)} problems"
            open_.append(f"{name} ({_points(cell)}{more})")
    if not different and not open_ and not same:
        return []
    found = []
    at = _at(summary, budget)
    if different:
        found.append(
            f"{at}, these differ from REBASE, in points of success: {', '.join(different)}."
        )
    else:
        found.append(f"{at}, no strategy differs from REBASE beyond its 95% interval.")
    if open_:
        count = summary["problems"]
        how = (
            " If the observed difference is the true one, the number given decides four times in "
            "five"
        )
        found.append(
            f"{at}, {amount(count, 'problem')} {agree(count, 'are')} too few to decide whether "
            f"these differ from REBASE{'.' + how if counted else ''}: {', '.join(open_)}."
        )
    if same:
        found.append(
            f"{at}, the mean difference from REBASE is 0 for {', '.join(same)}, where the log "
            "suffices."
        )
    return found


def _headroom(summary: dict[str, Any], budget: str) -> list[str]:
    strategies = summary["strategies"]
    solvable = summary.get("solvable")
    if BASELINE not in strategies or solvable is None:
        return []
    base = strategies[BASELINE]["budget"][budget]
    room = solvable - base["success"]
    bound = "at least " if base["clipped"] else ""
    start = (
        f"{_at(summary, budget)}, REBASE solves {bound}{100 * base['success']:.1f}% of the "
        f"problems; the log has a right solution for {100 * solvable:.1f}%"
    )
    # Paired, over problems where the log suffices: two lower bounds have no difference.
    cells = {
        pair.removesuffix("-rebase"): of["budget"][budget] for pair, of in summary["paired"].items()
    }
    every = summary["problems"]
    # Of all problems, as the gap is: nothing is gained where nothing is known.
    gains = {
        name: (cell["difference"] or 0.0) * cell["problems"] / every for name, cell in cells.items()
    }
    best = max(gains, key=lambda name: gains[name], default="")
    if room <= 0 or not best or gains[best] <= 0:
        if any(cell["problems"] < every for cell in cells.values()):
            return [f"{start}. No rule gains on REBASE where the log suffices for both."]
        return [f"{start}. No rule closes any of that gap."]
    share, counted = 100 * min(gains[best] / room, 1), cells[best]["problems"]
    where = (
        f", by what it gains on {counted} of {amount(every, 'problem')}, where the log suffices "
        "for both"
        if counted < every
        else ""
    )
    return [f"{start}. {label(best)} closes the most of that gap, {share:.0f}%{where}."]


def _across(found: dict[str, Any]) -> list[str]:
    policies = found["policies"]
    budgets = [n for n in policies["uniform"] if policies["uniform"][n]["solved"] is not None]
    if not budgets:
        return []
    n = budgets[len(budgets) // 2]
    cells = {
        name: of[n]
        for name, of in policies.items()
        if not name.startswith(_KNOWING) and n in of and of[n]["solved"] is not None
    }
    if not cells:
        return []
    best = max(cells, key=lambda name: cells[name]["solved"])
    gain = cells[best]["solved"] - policies["uniform"][n]["solved"]
    return [
        f"One budget for all problems: with {amount(int(n), 'rollout')} per problem on average, "
        f"{best} solves {100 * cells[best]['solved']:.1f}%, {100 * gain:+.1f} points against equal "
        "shares."
    ]


def _points(cell: dict[str, Any]) -> str:
    mean, low, high = (100 * cell[name] for name in ("difference", "low", "high"))
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"


def _rough(number: float) -> str:
    """To two digits, with commas."""
    if number < 10:
        return str(round(number + 0.5))
    digits = len(str(int(number))) - 2
    return f"{round(number, -digits):,.0f}"
