"""The tables of `replay --metrics`."""

from collections.abc import Iterator, Mapping
from typing import Any

_STOPS = (
    ("believed", "Stop at the first acceptance within k solutions: believed to be solved, %"),
    ("right", "Right of those, %"),
    ("believed_right", "Believed and right, % of problems"),
)

Table = tuple[str, list[str], list[list[str]]]


def verifiers_of(found: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The verifiers of a document of `replay_metrics` by the name that a reader is given.

    Args:
        found: the document of one log.

    Returns:
        Thresholds of scores, if there are scores, agreement, if there are answers, and the perfect
        one.
    """
    by_score = {f"score ≥ {tau}": of for tau, of in (found["verifier"] or {}).items()}
    agreement = {} if found["agreement"] is None else {"agreement": found["agreement"]}
    return by_score | agreement | {"perfect": found["perfect"]}


def tables(found: Mapping[str, Any]) -> Iterator[Table]:
    """All tables of one log: what each says, its head and its rows.

    Args:
        found: what `replay_metrics` returns.
    """
    ks = list(found["perfect"]["budget"])
    plain = [[name, *(_cell(of[k]) for k in ks)] for name, of in found["metrics"].items()]
    yield "% of problems, k solutions of each [95% over problems]", ["k", *ks], plain
    head = ["a verifier", "right accepted", "wrong accepted", "accepted right", "ceiling"]
    columns = "true_positive", "false_positive", "precision", "ceiling"
    every = verifiers_of(found)
    rates = [[name, *(_cell(of[x]) for x in columns)] for name, of in every.items()]
    yield "Verifiers: rates, %, and P(right) with rollouts without end", head, rates

    def stops(measure: str) -> list[list[str]]:
        return [
            [name, *(_cell(of["budget"][k][measure]) for k in ks)] for name, of in every.items()
        ]

    for measure, title in _STOPS:
        yield title, ["k", *ks], stops(measure)
    others = [[name, *(_cell(of[k]) for k in ks)] for name, of in found["answers"].items()]
    title = "Accuracy of the answer, %: the accepted, else the best-scored, or any without scores"
    yield title, ["k", *ks], stops("accuracy") + others
    unit, one = found["cost_unit"], found["cost_per_solution"]["mean"]
    spent = [
        [name, *(f"{of['budget'][k]['cost']['mean']:,.4g}" for k in ks)]
        for name, of in every.items()
    ]
    every_k = ["all k", *(f"{int(k) * one:,.4g}" for k in ks)]
    yield f"Cost until the stop, {unit} per problem", ["k", *ks], [*spent, every_k]


def _cell(x: Mapping[str, float | None] | None) -> str:
    if x is None or x["mean"] is None:
        return "-"
    mean, low, high = (100 * float(x[name] or 0) for name in ("mean", "low", "high"))
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"
