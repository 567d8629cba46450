"""The table of theory 8.3.3: what every rule loses in each family, resumable, with your own rules.

Regret is against the best of all rows, by fresh draws of the truth; rules are apportioned with the
true κ of a candidate, and hard clusters with that of a direction, which differ in H.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from dora_theory._checks import check_number, check_whole
from dora_theory._errors import InputError
from dora_theory.io.documents import Document
from dora_theory.simulation.arguments import CONTENDERS
from dora_theory.simulation.families import FAMILIES
from dora_theory.simulation.family_rules import LABELS, TEMPERATURES, evaluate, evaluate_own
from dora_theory.strategies.choosing import AnyStrategy, as_strategies
from dora_theory.strategies.registry import DORA, MAGNITUDE, ORACLE

_AMONG = tuple(name for name in CONTENDERS if name != ORACLE)
# Rules at several T_s; the best in hindsight has a row of its own.
_AT_FIXED = DORA, MAGNITUDE, "shared", "smooth"


class FamilySimulation(Document):
    """Regret of every rule in each family, see `simulate_families`."""

    def rows(self) -> list[dict[str, Any]]:
        """A row for each rule and family: mean regret, and half of its 95% interval."""
        return [
            {"rule": rule, "family": family, **cell}
            for rule, of in self.data["rules"].items()
            for family, cell in of.items()
        ]

    def table(self) -> dict[str, list[str]]:
        """Regret × 10⁴ ± half of its 95% interval by rule, a cell for each family."""
        return {
            rule: [shown(of[f]["regret"], of[f]["half_width"]) if f in of else "" for f in self._of]
            for rule, of in self.data["rules"].items()
        }

    def to_text(self) -> str:
        """The table as text in columns."""
        lines = [f"{self._title():42}" + "".join(f"{f:>14}" for f in self._of)]
        for rule, cells in self.table().items():
            lines.append((f"{rule:42}" + "".join(f"{cell:>14}" for cell in cells)).rstrip())
        return "\n".join(lines)

    @property
    def _of(self) -> list[str]:
        return list(self.data["families"])

    def _title(self) -> str:
        return f"regret × 10⁴, {self.data['problems']} problems each"


def simulate_families(
    families: Sequence[str] = tuple(FAMILIES),
    *,
    num_problems: int = 100,
    strategies: Sequence[AnyStrategy] = (),
    similarity_temperature: float = 0.03,
    seed: int = 0,
    store: str | Path | None = None,
    after: Callable[[], None] = lambda: None,
) -> FamilySimulation:
    """Regret of the rules for correlated candidates where the truth is known.

    Args:
        families: names of `FAMILIES`.
        num_problems: of each family, at least 2.
        strategies: rules of your own beside the rest, see `as_strategy`. They see weights,
            similarity, κ, and directions as found by clustering.
        similarity_temperature: T_s that they see; the truth's own they do not.
        seed: of all problems.
        store: a file, to which each problem is added when it is done; what is in it is not computed
            again. Your own rules are run anew, since their code may have changed.
        after: called after each problem.

    Returns:
        For each rule and family `regret`, the mean difference in success from the best of all
        rules, and `half_width` of its 95% interval. Rows with "true T" know the length of the
        truth's kernel; "best T_s" is the best in hindsight.

    Raises:
        ValueError: an unknown family or strategy, numbers out of range, a rule of your own that
            broke its budget.
        InputError: a store that cannot be used.

    Source: theory 8.3.3.
    """
    count = check_whole("num_problems", num_problems, 2)
    check_number("similarity_temperature", similarity_temperature, 0, low_open=True)
    seed = check_whole("seed", seed, 0, 2**31 - 2)
    names = list(families)
    if not names or len(set(names)) < len(names) or not set(names) <= set(FAMILIES):
        raise ValueError(
            f"families = {', '.join(map(str, names))}: needs some of {', '.join(FAMILIES)}, "
            "each once"
        )
    own = as_strategies(strategies, among=_AMONG) if strategies else ()
    done = stored(store) if store is not None else {}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with jax.enable_x64(True):
        for number in range(count):
            for name in names:
                place = name, number, seed
                if place not in done:
                    done[place] = evaluate(*place)
                    if store is not None:
                        _keep(store, place, done[place])
                more = {}
                if own:
                    more = evaluate_own(
                        name, number, own, seed, similarity_temperature=similarity_temperature
                    )
                found[name].append(done[place] | more)
                after()
    return FamilySimulation(_document(found, count))


def regrets(successes: Sequence[dict[str, float]]) -> dict[str, Float[np.ndarray, " n"]]:
    """Regret of each rule on each problem of a family, against the best of all rules there."""
    best = np.array([max(each.values()) for each in successes])
    return {rule: best - np.array([each[rule] for each in successes]) for rule in successes[0]}


def half_width(values: Float[np.ndarray, " n"]) -> float:
    """Half of the 95% interval of a mean."""
    return float(1.96 * values.std(ddof=1) / np.sqrt(values.size))


def shown(mean: float, error: float) -> str:
    """A mean and half of its interval, × 10⁴."""
    digits = 0 if 1e4 * mean >= 10 else 1
    return f"{1e4 * mean:.{digits}f} ± {1e4 * error:.{digits}f}"


def label_of(rule: str) -> str:
    """A rule's name as tables have it."""
    kind, _, at = rule.partition(" ")
    if kind == "own":
        return at
    given = f", true {at}" if at.startswith("T") else f", T_s = {at}"
    return LABELS[kind] + (given if at else "")


def _document(found: dict[str, list[dict[str, float]]], count: int) -> dict[str, Any]:
    regret = {family: regrets(successes) for family, successes in found.items()}
    rules: dict[str, dict[str, Any]] = {}

    def add(label: str, family: str, values: np.ndarray) -> None:
        cell = {"regret": float(values.mean()), "half_width": half_width(values)}
        rules.setdefault(label, {})[family] = cell

    for family, of in regret.items():
        for rule, values in of.items():
            add(label_of(rule), family, values)
        for kind in _AT_FIXED:
            at = [of[f"{kind} {t:g}"] for t in TEMPERATURES]
            add(f"{LABELS[kind]}, best T_s", family, min(at, key=np.mean))
    own = {label_of(r) for of in regret.values() for r in of if r.startswith("own ")}
    first = {label: rules[label] for label in rules if label in own}
    rest = dict(sorted((label, of) for label, of in rules.items() if label not in own))
    about = {family: FAMILIES[family].about for family in found}
    return {"problems": count, "families": about, "rules": first | rest}


_Place = tuple[str, int, int]


def stored(store: str | Path) -> dict[_Place, dict[str, float]]:
    """What earlier runs have computed; the file is made if it is not there."""
    found: dict[_Place, dict[str, float]] = {}
    path = Path(store)
    try:
        if not path.exists():
            path.touch()
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{store}: {getattr(error, 'strerror', None) or error}") from None
    for i, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            found[entry["family"], entry["number"], entry["seed"]] = dict(entry["success"])
        except json.JSONDecodeError:
            # A run that was killed may have left part of a line.
            if not line.startswith("{"):
                raise InputError(f"{store}:{i}: not JSON") from None
        except (ValueError, TypeError, KeyError):
            raise InputError(f"{store}:{i}: needs family, number, seed and success") from None
    return found


def _keep(store: str | Path, place: _Place, success: dict[str, float]) -> None:
    family, number, seed = place
    entry = {"family": family, "number": number, "seed": seed, "success": success}
    with Path(store).open("ab+") as file:
        file.seek(0, 2)
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(entry).encode() + b"\n")
