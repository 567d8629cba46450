"""What every rule loses where candidates are correlated, against the best allocation known.

Families U and E are copula priors whose candidates' scores differ (U) or are equal in a direction
(E), H is the hierarchy, D DORA's model; in H and D the noise of scores is noise. Regret is in
success × 10⁴, by fresh draws of the truth, against the best of all rows; intervals are of 95%.
Rules are apportioned with the true κ. "True T" rows know the length of the kernel, as nobody does
outside a simulation; "best T_s" is the best of five in hindsight.

The run goes on where it was stopped: each problem is a line of OUT/correlated_rules.jsonl.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import dora_theory as dt
from dora_theory._errors import InputError
from dora_theory.model.copula import copula_kernel
from dora_theory.plots import column, save, style
from dora_theory.strategies.choosing import as_strategy
from dora_theory.strategies.registry import Strategy
from paper_repro import correlated_families as families
from paper_repro.drawing import ORDER

TEMPERATURES = (0.01, 0.03, 0.1, 0.3, 1.0)
PROBLEMS = 300
_JUDGED, _SEARCHED = 40_000, 8192
_LABELS = {
    "rebase": "REBASE",
    "dora": "DORA's γ",
    "magnitude": "magnitude",
    "clusters": "hard clusters, direction optimum",
    "shared": "shared divisors",
    "smooth": "smoothed scores, shared divisors",
    "determinantal": "determinantal",
    "root": "root weights",
    "moment": "moment divisors",
    "pair": "pair divisors",
    "greedy": "greedy on 8,192 draws of the truth",
}


@jax.jit
def blind_rules(w: Any, s: Any, mask: Any, kappa: Any, n: Any) -> dict[str, Any]:
    """Rules that do not know the true correlation, at every T_s."""

    def spent(weights: Any) -> Any:
        total = weights.sum()
        return dt.optimal_allocation(jnp.minimum(weights / total, 1), kappa, n, mask=mask)

    found = {"rebase": spent(w)}
    for t in TEMPERATURES:
        c = copula_kernel(s, t, mask=mask)
        found[f"dora {t:g}"] = spent(
            w * dt.uniqueness_from_similarity(s, similarity_temperature=t, mask=mask)
        )
        v = dt.magnitude_weighting_from_similarity(s, similarity_temperature=t, mask=mask)
        found[f"magnitude {t:g}"] = spent(w * v)
        found[f"shared {t:g}"] = dt.shared_divisor_allocation(w, c, kappa, n, mask=mask)
        found[f"smooth {t:g}"] = dt.shared_divisor_allocation(
            w, c, kappa, n, smooth=True, mask=mask
        )
    return found


@jax.jit
def informed_rules(w: Any, s: Any, mask: Any, kappa: Any, n: Any, length: Any) -> dict[str, Any]:
    """Rules that are given the true length of the kernel, or half and a quarter of it."""

    def spent(weights: Any) -> Any:
        return dt.optimal_allocation(weights / weights.sum(), kappa, n, mask=mask)

    found = {}
    for name, t in (("T", length), ("T/2", length / 2), ("T/4", length / 4)):
        c = copula_kernel(s, t, mask=mask)
        found[f"dora {name}"] = spent(
            w * dt.uniqueness_from_similarity(s, similarity_temperature=t, mask=mask)
        )
        v = dt.magnitude_weighting_from_similarity(s, similarity_temperature=t, mask=mask)
        found[f"magnitude {name}"] = spent(w * v)
        if name != "T/4":
            found[f"root {name}"] = dt.root_weight_allocation(w, c, kappa, n, mask=mask)
            found[f"shared {name}"] = dt.shared_divisor_allocation(w, c, kappa, n, mask=mask)
        if name == "T":
            found[f"determinantal {name}"] = dt.determinantal_allocation(w, c, kappa, n, mask=mask)
            found[f"moment {name}"] = dt.copula_moment_allocation(w, c, kappa, n, mask=mask)
            found[f"pair {name}"] = dt.pair_divisor_allocation(w, c, kappa, n, mask=mask)
    return found


@jax.jit
def successes(x: Any, allocations: Any) -> Any:
    """Success of each allocation, over blocks of draws."""
    x = jnp.minimum(x, 1e30)
    return 1 - jnp.exp(-(x @ allocations.T.astype(x.dtype))).mean(0)


def by_clusters(problem: families.Instance) -> np.ndarray:
    """Directions cut at the threshold, then the exact optimum over them (theory 4.1)."""
    k = int(problem.mask.sum())
    # Vectors whose cosines these are.
    values, vectors = np.linalg.eigh(problem.similarity[:k, :k])
    embeddings = vectors * np.sqrt(np.maximum(values, 0))
    labels = dt.hard_directions(embeddings, threshold=1 - problem.threshold)
    w = problem.weights[:k]
    q = np.bincount(labels, w) / np.bincount(labels)
    totals = dt.optimal_allocation(q / q.sum(), problem.concentration, problem.budget)
    return np.pad(np.asarray(dt.spread_evenly(totals, labels)), (0, families.K - k))


def own_rule(strategy: Strategy, problem: families.Instance) -> np.ndarray:
    """A rule of a user's own, on the problem without its padding."""
    k = int(problem.mask.sum())
    row = {
        "weights": problem.weights[:k],
        "similarity": problem.similarity[:k, :k],
        "directions": problem.directions[:k],
    }
    options = dt.Options(concentration=problem.concentration, similarity_temperature=0.1)
    given = dt.allocate(dt.Problems.from_rows([row]), strategy, problem.budget, options)
    spent = np.asarray(given)[0]
    if spent.min() < 0:
        raise InputError(f"strategy {strategy}: made no allocation of a problem")
    return np.pad(spent, (0, families.K - k))


def evaluate(
    family: str, number: int, strategies: Sequence[Strategy], seed: int = 0
) -> dict[str, float]:
    """Success of every rule on one problem, by fresh draws of its truth."""
    problem = families.draw(family, number, seed)
    given = [jnp.asarray(x) for x in problem[:3]]
    kappa, n = jnp.asarray(problem.concentration), jnp.asarray(problem.budget)
    found = dict(blind_rules(*given, kappa, n))
    if family in "UE":
        found |= informed_rules(*given, kappa, n, jnp.asarray(problem.length))
    found["clusters"] = by_clusters(problem)
    drawn = families.truth(family, 2 * number, problem, _SEARCHED)
    found["greedy"] = dt.draws_allocation(drawn, n)
    for strategy in strategies:
        found[strategy.name] = own_rule(strategy, problem)
    fresh = families.truth(family, 2 * number + 1, problem, _JUDGED)
    table = np.stack([np.asarray(b) for b in found.values()])
    assert np.all(table.sum(-1) == problem.budget), family
    return dict(zip(found, successes(fresh, jnp.asarray(table)).tolist(), strict=True))


def collected(path: Path, count: int, strategies: Sequence[Strategy]) -> list[dict[str, Any]]:
    """All problems of all families; those in the file are not computed again."""
    names = [s.name for s in strategies]
    done: dict[tuple[str, int], dict[str, Any]] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            # A run that was killed may have left part of a line.
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if all(name in entry["success"] for name in names):
                done[entry["family"], entry["number"]] = entry
    wanted = [(family, i) for i in range(count) for family in families.FAMILIES]
    with path.open("a", encoding="utf-8") as file, jax.enable_x64(True):
        for family, number in wanted:
            if (family, number) not in done:
                found = evaluate(family, number, strategies)
                entry = {"family": family, "number": number, "success": found}
                file.write(json.dumps(entry) + "\n")
                file.flush()
                done[family, number] = entry
    return [done[each] for each in wanted]


def regrets(entries: Sequence[dict[str, Any]], family: str) -> dict[str, np.ndarray]:
    """Regret × 10⁴ of each rule on each problem of a family."""
    own = [e["success"] for e in entries if e["family"] == family]
    best = np.array([max(e.values()) for e in own])
    return {name: 1e4 * (best - np.array([e[name] for e in own])) for name in own[0]}


def cell(values: np.ndarray) -> str:
    """A mean and its 95% interval."""
    error = 1.96 * values.std(ddof=1) / np.sqrt(values.size)
    digits = 0 if values.mean() >= 10 else 1
    return f"{values.mean():.{digits}f} ± {error:.{digits}f}"


def rows_of(entries: Sequence[dict[str, Any]], own: Sequence[str]) -> dict[str, list[str]]:
    """The table: label → a cell for each family, empty where a rule does not apply."""
    by_family = {f: regrets(entries, f) for f in families.FAMILIES}
    names = list(dict.fromkeys(name for found in by_family.values() for name in found))
    table: dict[str, list[str]] = {}
    for name in names:
        kind, _, at = name.partition(" ")
        label = name if name in own else _LABELS[kind]
        if at:
            label += f", true {at}" if at[0] == "T" else f", T_s = {at}"
        table[label] = [cell(by_family[f][name]) if name in by_family[f] else "" for f in by_family]
    for kind in ("dora", "magnitude", "shared", "smooth"):
        cells = []
        for found in by_family.values():
            at = [found[f"{kind} {t:g}"] for t in TEMPERATURES]
            cells.append(cell(min(at, key=np.mean)))
        table[f"{_LABELS[kind]}, best T_s"] = cells
    return dict(sorted(table.items(), key=lambda row: row[0]))


def page(entries: Sequence[dict[str, Any]], own: Sequence[str]) -> str:
    """The numbers as Markdown."""
    table = rows_of(entries, own)
    count = len(entries) // len(families.FAMILIES)
    head = "| rule | " + " | ".join(f"{f} ({count})" for f in families.FAMILIES) + " |"
    lines = [f"| {label} | {' | '.join(cells)} |" for label, cells in table.items()]
    title, _, rest = (__doc__ or "").strip().partition("\n\n")
    text = [f"# {title.rstrip('.')}", " ".join(rest.split("\n\n")[0].split())]
    body = [head, "|" + "---|" * (1 + len(families.FAMILIES)), *lines]
    return "\n\n".join([*text, "\n".join([*body, "", *paired(entries)])]) + "\n"


def paired(entries: Sequence[dict[str, Any]]) -> list[str]:
    """What shared divisors at T_s = 0.03 gain over REBASE and DORA on the same problems."""
    lines = []
    for family in families.FAMILIES:
        found = regrets(entries, family)
        gains = [f"{cell(found[o] - found['shared 0.03'])}" for o in ("rebase", "dora 0.01")]
        lines.append(
            f"- {family}: shared divisors at T_s = 0.03 gain {gains[0]} over REBASE, {gains[1]} "
            "over DORA at T_s = 0.01 (paired)"
        )
    return lines


def _tick(name: str) -> str:
    """A row's name beneath a picture."""
    kind, _, at = name.partition(" ")
    short = {"rebase": "REBASE", "dora": "γ", "smooth": "smoothed", "pair": "pairs"}
    return f"{short.get(kind, kind)} {at.replace('T', '$T$')}".strip()


def draw_picture(entries: Sequence[dict[str, Any]], stem: Path) -> None:
    """Regret by rule and family: above what sees a fixed T_s, below what is given the true one."""
    panels = (
        ("rebase", "dora 0.01", "dora 0.1", "magnitude 0.1", "shared 0.03", "smooth 0.1"),
        ("dora T", "magnitude T", "determinantal T", "root T/2", "shared T/2", "pair T"),
    )
    with style():
        figure, axes = column(2, height=2.2)
        for ax, names, title in zip(axes, panels, ("a fixed $T_s$", "the true $T$"), strict=True):
            for i, (family, color) in enumerate(zip(families.FAMILIES, ORDER, strict=False)):
                found = regrets(entries, family)
                shown = [(j, found[name]) for j, name in enumerate(names) if name in found]
                if not shown:
                    continue
                x = [j + 0.15 * (i - 1.5) for j, _ in shown]
                y = [max(v.mean(), 0.3) for _, v in shown]
                error = [1.96 * v.std() / np.sqrt(v.size) for _, v in shown]
                low = [min(e, 0.7 * m) for e, m in zip(error, y, strict=True)]
                ax.errorbar(x, y, [low, error], fmt="o", ms=3, color=color, label=family)
            ax.set(yscale="log", ylabel="regret × 10⁴", title=title)
            ax.set_yticks([1, 3, 10, 30, 100, 300], ["1", "3", "10", "30", "100", "300"])
            ax.minorticks_off()
            ax.set_xticks(range(len(names)), map(_tick, names), rotation=25, ha="right")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, ncols=4, loc="outside lower center")
        save(figure, stem)


def main() -> None:
    """Runs the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--out", type=Path, default=Path("figures"), help="folder of the picture and the numbers")
    add("--problems", type=int, default=PROBLEMS, metavar="N", help="of each family")
    add("--strategy", action="append", default=[], metavar="module:function", help="a row more")
    given = parser.parse_args()
    try:
        if given.problems < 2:
            raise InputError(f"--problems: {given.problems}: needs at least 2")
        strategies = [as_strategy(name) for name in given.strategy]
        given.out.mkdir(parents=True, exist_ok=True)
        entries = collected(given.out / "correlated_rules.jsonl", given.problems, strategies)
        text = page(entries, [s.name for s in strategies])
        (given.out / "correlated_rules.md").write_text(text, encoding="utf-8")
        draw_picture(entries, given.out / "correlated_rules")
    except (ValueError, OSError) as error:
        parser.error(str(error))
    print(text, end="")


if __name__ == "__main__":
    main()
