"""Audit: what the paper's own figures say about its headline claims.

Recomputed from the numbers of Figure 3, Figure 4 and Table 1 (data/README.md). Curves are read
between budgets by a straight line in log N. A number read off a figure agrees with a printed one
("yes") if it rounds to it. "Within reading error" means that it does so give or take the 0.02
points to which a figure was read; a lead of less than twice that counts as a tie. "No" is bold
where the difference is more than the last printed decimal. The DORA points of Qwen2.5-1.5B-Instruct
are not in the data, so 30 of Figure 3's 45 points per metric can be compared.
"""

import argparse
import csv
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import jax
import numpy as np

import dora_theory as dt
from dora_theory._errors import InputError
from dora_theory.io.atomic_write import whole_output

DATA = Path(__file__).parent / "data"
READ = 0.02
# MATH500's problems of difficulty 1 to 5.
LEVELS = np.array([43, 90, 105, 128, 134])
# Parameters behind Table 1's FLOPs: policy and PRM.
POLICY, PRM = 1e9, 7e9
SMALL, LARGE = "Llama-3.2-1B-Instruct", "Llama-3.2-3B-Instruct"
MATH = "accuracy", "MATH500", SMALL
BASELINES = "temperature", "beam_search", "dvts", "rebase"

WITHIN = "within reading error"
Row = dict[str, str | bool | None]
Curve = dict[int, float]


def rows(name: str) -> list[dict[str, str]]:
    """The records of one CSV file."""
    with (DATA / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def curves(column: str = "percent") -> dict[tuple[str, str, str, str], Curve]:
    """Figure 3: metric, benchmark, model and strategy → budget → value, where there is one."""
    found: dict[tuple[str, str, str, str], Curve] = {}
    for r in rows("figure3"):
        key = r["metric"], r["benchmark"], r["policy_model"], r["strategy"]
        if r[column]:
            found.setdefault(key, {})[int(r["budget"])] = float(r[column])
    return found


def budget_to_reach(curve: Curve, target: float) -> float:
    """The first N at which a curve, straight in log N between its points, is at the target."""
    points = sorted(curve.items())
    for (n, low), (m, high) in pairwise(points):
        if low <= target <= high and high > low:
            return float(n * (m / n) ** ((target - low) / (high - low)))
    raise InputError(f"figure3.csv: no budget reaches {target}")


def same(printed: float, read: float, decimals: int = 1) -> bool | str:
    """Whether a number read off a figure can be the one that is printed to so many decimals.

    Returns:
        True or False; `WITHIN` if only the error of reading makes it so; a no with the difference
        if that is less than the last decimal.
    """
    off = abs(printed - read)
    if off <= 0.5 * 10**-decimals + 1e-9:
        return True
    if off <= 0.5 * 10**-decimals + READ + 1e-9:
        return WITHIN
    return f"no, by {off:.2f}" if off < 10**-decimals else False


def behind(ours: float, other: float) -> bool:
    """Whether one number read off a figure is below another by more than both reading errors."""
    return other - ours > 2 * READ + 1e-9


def claim(text: str, stated: str, found: str, agrees: bool | str | None) -> Row:
    return {"claim": text, "stated": stated, "recomputed": found, "agrees": agrees}


def accuracies() -> Iterator[Row]:
    """Table 1's accuracies against Figure 3."""
    figure, low, high = curves(), curves("band_low"), curves("band_high")
    for r in rows("table1"):
        key, n, printed = (*MATH, r["strategy"]), int(r["budget"]), float(r["accuracy_percent"])
        read = figure[key][n]
        band = f"{low[key][n]:.2f} to {high[key][n]:.2f}"
        yield claim(
            f"Table 1: accuracy of {r['strategy']} at N = {n}, MATH500, 1B model",
            f"{printed:.1f}%",
            f"Figure 3: {read:.2f}% (band {band})",
            same(printed, read),
        )


def crossings() -> Iterator[Row]:
    """How many rollouts DORA needs for what REBASE has with 256, and what they cost."""
    figure = curves()
    cost = {r["strategy"]: r for r in rows("table1")}
    dora, rebase = figure[*MATH, "dora"], figure[*MATH, "rebase"]
    stated = {s: float(cost[s]["accuracy_percent"]) for s in ("dora", "rebase")}
    yield claim(
        "DORA with 64 rollouts is more accurate than REBASE with 256, 1B model",
        f"{stated['dora']:.1f}% against {stated['rebase']:.1f}%",
        f"{dora[64]:.2f}% against {rebase[256]:.2f}%",
        dora[64] > rebase[256],
    )
    needed = budget_to_reach(dora, rebase[256])
    most = int(cost["rebase"]["budget"])
    ratio = most / int(cost["dora"]["budget"])
    yield claim(
        "fewer rollouts for REBASE's accuracy at 256, 1B model",
        f"{ratio:.2f} times (64 rollouts)",
        f"{most / needed:.2f} times ({needed:.1f} rollouts)",
        most / needed >= ratio - 0.005,
    )
    for column, unit in (("total_flops", "fewer FLOPs"), ("latency_seconds", "less latency")):
        ratio = float(cost["rebase"][column]) / float(cost["dora"][column])
        # In proportion to rollouts: Table 1 has one budget of DORA only.
        found = ratio * int(cost["dora"]["budget"]) / needed
        yield claim(
            f"{unit} for REBASE's accuracy at 256, 1B model",
            f"{ratio:.2f} times (Table 1, at 64 rollouts)",
            f"{found:.2f} times (at {needed:.1f} rollouts)",
            found >= ratio - 0.005,
        )
    large = "accuracy", "MATH500", LARGE
    needed = budget_to_reach(figure[*large, "dora"], figure[*large, "rebase"][most])
    yield claim(
        "the same crossing, 3B model",
        "–",
        f"{most / needed:.2f} times fewer rollouts ({needed:.1f})",
        None,
    )


def wins() -> Iterator[Row]:
    """How consistently DORA is ahead of the other four."""
    figure, low, high = curves(), curves("band_low"), curves("band_high")
    for metric in ("accuracy", "pass_rate"):
        first, apart, comparable, points = 0, 0, 0, 0
        for key, curve in figure.items():
            if key[0] != metric or key[3] != "dora":
                continue
            for n, percent in curve.items():
                rival = max(BASELINES, key=lambda s, k=key, n=n: figure[*k[:3], s][n])
                other = *key[:3], rival
                points += 1
                first += not behind(percent, figure[other][n])
                if n in low.get(key, {}) and n in high.get(other, {}):
                    comparable += 1
                    apart += low[key][n] > high[other][n]
        name = metric.replace("_", " ")
        yield claim(
            f"outperforms strong baselines, whatever benchmark, model and N: {name}",
            "consistently",
            f"best, or tied with the best, in {first} of {points}",
            first == points,
        )
        yield claim(
            f"of these, DORA's band lies wholly above the best baseline's: {name}",
            "–",
            f"{apart} of the {comparable} whose bands are both in the frame",
            None,
        )


def levels() -> Row:
    """Whether Figure 4's levels add up to Figure 3."""
    totals: dict[tuple[str, str, int], float] = {}
    for r in rows("figure4"):
        key = r["policy_model"], r["strategy"], int(r["budget"])
        share = LEVELS[int(r["level"]) - 1] / LEVELS.sum()
        totals[key] = totals.get(key, 0) + share * float(r["percent"])
    figure = curves()

    def read(key: tuple[str, str, int]) -> float:
        return figure["accuracy", "MATH500", *key[:2]][key[2]]

    miss = {key: abs(x - read(key)) for key, x in totals.items()}
    worst = max(miss, key=lambda k: miss[k])
    near, read_so = (sum(x <= most + 1e-9 for x in miss.values()) for most in (0.1, 2 * READ))
    return claim(
        "Figure 4's levels, weighted by their problems, are Figure 3's accuracy",
        f"{len(miss)} of {len(miss)} points",
        f"{near} of {len(miss)} within 0.1, {read_so} within reading error; worst for {worst[1]}, "
        f"{worst[0]}, N = {worst[2]}: {totals[worst]:.2f}% by level, {read(worst):.2f}% in "
        "Figure 3",
        near == len(miss),
    )


def flops() -> Iterator[Row]:
    """What Table 1's FLOPs are made of."""
    for r in rows("table1"):
        policy, prm = float(r["policy_flops"]), float(r["prm_flops"])
        tokens = policy / (2 * POLICY * int(r["budget"]))
        again = 2 * PRM * tokens * int(r["budget"])
        parts = policy + prm + float(r["embedding_flops"])
        total = float(r["total_flops"])
        yield claim(
            f"Table 1: FLOPs of {r['strategy']} are 2 × parameters × tokens (1B, 7B), summed",
            f"PRM {prm:.2e}, total {total:.2e}",
            f"PRM {again:.2e}, total {parts:.2e}; {tokens:.0f} tokens per rollout",
            # Three printed digits each.
            abs(again / prm - 1) < 0.01 and abs(parts / total - 1) < 0.01,
        )


def temperature() -> Row:
    """How much REBASE as the paper states it differs from REBASE as its authors run it."""
    with jax.enable_x64(True):
        scores = jax.random.uniform(jax.random.key(0), (4000, 16))
        paper = dt.rebase_allocation(scores, 64, quality_temperature=0.1, literal=True)
        authors = dt.rebase_sequential_allocation(scores, 64, quality_temperature=0.2)
        equal = np.mean(np.all(np.asarray(paper) == np.asarray(authors), -1))
    return claim(
        "T_b = 0.1 and round(N w) are REBASE's original setting",
        "T_b = 0.1, round(N w)",
        "published settings: T_b = 0.2, rounding up in order of score; the same rollouts on "
        f"{equal:.0%} of 4,000 problems of 16 uniform scores, N = 64",
        bool(equal == 1),
    )


def audit() -> list[Row]:
    """All rows of the table."""
    return [*accuracies(), *crossings(), *wins(), levels(), *flops(), temperature()]


def table(found: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| claim | as stated | as recomputed | agrees |", "|---|---|---|---|"]
    for r in found:
        agrees = {True: "yes", False: "**no**", None: ""}.get(r["agrees"], r["agrees"])
        lines.append(f"| {r['claim']} | {r['stated']} | {r['recomputed']} | {agrees} |")
    return "\n".join(lines) + "\n"


def main(out: Path) -> list[Row]:
    """Writes `out/audit.md`; returns its rows."""
    found = audit()
    out.mkdir(parents=True, exist_ok=True)
    title, _, text = (__doc__ or "").strip().partition("\n\n")
    page = f"# {title.rstrip('.')}\n\n{' '.join(text.split())}\n\n{table(found)}"
    with whole_output(str(out / "audit.md")) as file:
        file.write(page.encode())
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of audit.md")
    arguments = parser.parse_args()
    try:
        print(table(main(arguments.out)), end="")
    except (InputError, OSError) as error:
        parser.error(str(error))
