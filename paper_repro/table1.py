"""Table 1: FLOPs by 2 × parameters × tokens, and what must be assumed for each cell.

One number per row is taken from the table, the tokens of a rollout, from the policy's FLOPs with
1e9 parameters; everything else is computed. The PRM's cell then needs 7e9 parameters and that it
reads every token once. The embedding model's needs 0.57e9 and that it reads prefixes again: as
often as in solutions of 8 equal steps if finished ones are read too, of 10 if not. Cells are the
same if they agree within one in a hundred. A total here is the sum of cells computed, that of
audit.md the sum of cells printed: for REBASE they differ by one in the third digit. Latencies
follow from no such model and are not recomputed. Below, what DORA saves for REBASE's accuracy at
256 if that accuracy is read off Figure 3 (see audit.md), and if prefixes were kept instead of read
again; the same, to a tenth, is asked of each number of DORA's rollouts apart.
"""

import argparse
from pathlib import Path

from dora_theory._errors import InputError
from dora_theory.io.atomic_write import whole_output
from paper_repro.audit import MATH, budget_to_reach, curves, rows
from paper_repro.costs import Models, flops, rereading
from paper_repro.script import Row, table

SMALL = Models()
STEPS = 8


def cells() -> list[Row]:
    """Every cell of FLOPs, as printed and as computed."""
    found = []
    for r in rows("table1"):
        name, n = r["strategy"], int(r["budget"])
        printed = {part: float(r[f"{part}_flops"]) for part in ("policy", "prm", "embedding")}
        tokens = printed["policy"] / (2 * SMALL.policy * n)
        again = rereading(STEPS, finished=True) if printed["embedding"] else 0.0
        made = flops(n * tokens, n * tokens * again, SMALL)
        assumed = {
            "policy": f"{SMALL.policy:.2g} parameters give {tokens:.0f} tokens per rollout",
            "prm": f"{SMALL.prm:.2g} parameters, every token read once",
            "embedding": f"{SMALL.embedding:.2g} parameters, every prefix read again in {STEPS} "
            f"steps: {again:g} times a token"
            if again
            else "no embeddings",
        }
        for part, assumption in assumed.items():
            value = float(getattr(made, part))
            found.append(cell(f"{name}, N = {n}: {part}", printed[part], value, assumption))
        total = float(r["total_flops"])
        found.append(cell(f"{name}, N = {n}: total", total, float(made.total), "the sum"))
    return found


def cell(quantity: str, printed: float, made: float, assumption: str) -> Row:
    """A row; the same if the three printed digits are, give or take two rounding errors."""
    return {
        "item": "Table 1",
        "quantity": f"{quantity} FLOPs ({assumption})",
        "paper": f"{printed:.2e}",
        "ours": f"{made:.2e}",
        "agrees": abs(made - printed) <= 0.01 * printed,
        "digits": 2,
    }


def savings() -> list[Row]:
    """Iso-accuracy ratios at the table's rollouts, then at those that Figure 3's curves need."""
    by_name = {r["strategy"]: r for r in rows("table1")}
    dora, rebase = by_name["dora"], by_name["rebase"]
    most, few = int(rebase["budget"]), int(dora["budget"])
    figure = curves()
    needed = budget_to_reach(figure[*MATH, "dora"], figure[*MATH, "rebase"][most])
    spent = {name: float(r["total_flops"]) for name, r in by_name.items()}
    tokens = float(dora["policy_flops"]) / (2 * SMALL.policy)
    kept = float(flops(tokens, tokens, SMALL).total)
    latency = float(rebase["latency_seconds"]) / float(dora["latency_seconds"])
    at_table = (
        ("rollouts", "4", most / few),
        ("FLOPs", "3.5", spent["rebase"] / spent["dora"]),
        ("FLOPs (prefixes kept, not read again)", None, spent["rebase"] / kept),
        ("seconds", "4", latency),
    )
    return [
        saving(what, stated, times * few / n, n)
        for what, stated, times in at_table
        for n in (few, needed)
    ]


def saving(what: str, stated: str | None, times: float, n: float) -> Row:
    return {
        "item": "iso-accuracy",
        "quantity": f"times fewer {what} than REBASE's 256, if DORA needs {n:.3g} rollouts",
        "paper": stated,
        "ours": times,
        # To a tenth: 3.49 may be called 3.5.
        "agrees": None if stated is None else times >= float(stated) - 0.05,
        "digits": 2,
    }


def main(out: Path) -> list[Row]:
    """Writes `out/table1.md`; returns its rows."""
    found = [*cells(), *savings()]
    out.mkdir(parents=True, exist_ok=True)
    title, _, text = (__doc__ or "").strip().partition("\n\n")
    page = f"# {title.rstrip('.')}\n\n{' '.join(text.split())}\n\n{table(found)}"
    with whole_output(str(out / "table1.md")) as file:
        file.write(page.encode())
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of table1.md")
    arguments = parser.parse_args()
    try:
        print(table(main(arguments.out)), end="")
    except (InputError, OSError) as error:
        parser.error(str(error))
