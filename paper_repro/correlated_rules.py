"""What every rule loses where candidates are correlated, against the best allocation known.

Families U and E are copula priors whose candidates' scores differ (U) or are equal in a direction
(E), H is the hierarchy, D DORA's model; in H and D the noise of scores is noise. Regret is in
success × 10⁴, by fresh draws of the truth, against the best of all rows; intervals are of 95%.
Rules are apportioned with the true κ, which in H, by the variance of a candidate's chance, is
κν/(κ + ν + 1). "True T" rows know the length of the kernel, as nobody does outside a simulation;
"best T_s" is the best of five in hindsight.

The same as `dora-theory simulate --families U,E,H,D`, with a picture. The run goes on where it was
stopped: each problem is a line of OUT/correlated_rules.jsonl.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dora_theory.plots import column, save, style
from dora_theory.simulation.families import FAMILIES
from dora_theory.simulation.family_regret import (
    FamilySimulation,
    half_width,
    regrets,
    shown,
    simulate_families,
    stored,
)
from paper_repro.drawing import ORDER

PROBLEMS = 240
WORDS = {
    "U": "U: scores differ",
    "E": "E: scores equal in a direction",
    "H": "H: hierarchy",
    "D": "D: DORA's model",
}
Regrets = Mapping[str, Mapping[str, np.ndarray]]


def page(found: FamilySimulation, regret: Regrets) -> str:
    """The numbers as Markdown."""
    count = found.data["problems"]
    head = "| rule | " + " | ".join(f"{f} ({count})" for f in found.data["families"]) + " |"
    lines = [f"| {label} | {' | '.join(cells)} |" for label, cells in found.table().items()]
    title, _, rest = (__doc__ or "").strip().partition("\n\n")
    text = [f"# {title.rstrip('.')}", " ".join(rest.split("\n\n")[0].split())]
    body = [head, "|" + "---|" * (1 + len(FAMILIES)), *lines]
    return "\n\n".join([*text, "\n".join([*body, "", *paired(regret)])]) + "\n"


def paired(regret: Regrets) -> list[str]:
    """What shared divisors at T_s = 0.03 gain over REBASE and DORA on the same problems."""
    lines = []
    for family, of in regret.items():
        gains = [of[other] - of["shared 0.03"] for other in ("rebase", "dora 0.01")]
        over = [shown(float(x.mean()), half_width(x)) for x in gains]
        lines.append(
            f"- {family}: shared divisors at T_s = 0.03 gain {over[0]} over REBASE, {over[1]} "
            "over DORA at T_s = 0.01 (paired)"
        )
    return lines


def _tick(name: str) -> str:
    """A row's name beneath a picture."""
    kind, _, at = name.partition(" ")
    short = {"rebase": "REBASE", "dora": "γ", "smooth": "smoothed", "pair": "pairs"}
    return f"{short.get(kind, kind)} {at.replace('T', '$T$')}".strip()


def draw_picture(regret: Regrets, stem: Path) -> None:
    """Regret by rule and family: above what sees a fixed T_s, below what is given the true one."""
    panels = (
        ("rebase", "dora 0.01", "dora 0.1", "magnitude 0.1", "shared 0.03", "smooth 0.1"),
        ("dora T", "magnitude T", "determinantal T", "root T/2", "shared T/2", "pair T"),
    )
    with style():
        figure, axes = column(2, height=2.2)
        for ax, names, title in zip(axes, panels, ("a fixed $T_s$", "the true $T$"), strict=True):
            colors = dict(zip(regret, ORDER, strict=False))
            shown = {f: of for f, of in regret.items() if any(name in of for name in names)}
            for i, (family, of) in enumerate(shown.items()):
                drawn = [(j, 1e4 * of[name]) for j, name in enumerate(names) if name in of]
                x = [j + 0.15 * (i - (len(shown) - 1) / 2) for j, _ in drawn]
                y = [max(v.mean(), 0.3) for _, v in drawn]
                error = [half_width(v) for _, v in drawn]
                low = [min(e, 0.7 * m) for e, m in zip(error, y, strict=True)]
                ax.errorbar(
                    x, y, [low, error], fmt="o", ms=3, color=colors[family], label=WORDS[family]
                )
            ax.set(yscale="log", ylabel="regret × 10⁴", title=title)
            ax.set_yticks([1, 3, 10, 30, 100, 300], ["1", "3", "10", "30", "100", "300"])
            ax.minorticks_off()
            ax.set_xticks(range(len(names)), map(_tick, names), rotation=25, ha="right")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, ncols=2, loc="outside lower center")
        save(figure, stem)


def main() -> None:
    """Runs the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--out", type=Path, default=Path("figures"), help="folder of the picture and the numbers")
    add("--problems", type=int, default=PROBLEMS, metavar="N", help="of each family")
    given = parser.parse_args()
    try:
        given.out.mkdir(parents=True, exist_ok=True)
        path = given.out / "correlated_rules.jsonl"
        found = simulate_families(num_problems=given.problems, store=path)
        regret = regrets_of(path, given.problems)
        text = page(found, regret)
        (given.out / "correlated_rules.md").write_text(text, encoding="utf-8")
        draw_picture(regret, given.out / "correlated_rules")
    except (ValueError, OSError) as error:
        parser.error(str(error))
    print(text, end="")


def regrets_of(path: Path, count: int) -> Regrets:
    """Regret of each rule on each problem that a run has kept."""
    done = stored(path)
    return {f: regrets([done[f, i, 0] for i in range(count)]) for f in FAMILIES}


if __name__ == "__main__":
    main()
