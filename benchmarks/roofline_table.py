"""The table of a roofline: what was measured of the kernels, beside what was predicted of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from roofline import PRECISIONS, of_form
from workloads import Sizes, of_shape

_PREDICTED = Path(__file__).parent / "results" / "gpu-predicted.json"
# Groups of the table, by the kernel that predictions name.
_KERNELS = {
    "exact allocation": "largest_priorities",
    "uniqueness": "similarity_sums",
    "Monte Carlo": "expected_outcomes",
}


def predictions(device: str) -> dict[tuple[str, str], float]:
    """Milliseconds that a roofline predicts of the kernels on a device, by group and row."""
    groups = {kernel: group for group, kernel in _KERNELS.items()}
    rows = json.loads(_PREDICTED.read_text())
    return {
        (
            groups[row["kernel"]],
            f"{row['case']} {row['precision']}".strip() + of_form(row["backend"]),
        ): row["milliseconds"]
        for row in rows
        if row["device"] == device
    }


def names(sizes: Sizes) -> Iterator[tuple[str, str]]:
    """Groups and names of the rows of the Triton kernels."""
    yield from (("exact allocation", str(weights)) for weights in sizes.allocations)
    for shape in sizes.shapes:
        yield from (("uniqueness", f"{of_shape(shape)} {precision}") for precision in PRECISIONS)
    yield from (("Monte Carlo", f"{n} strategies") for n in sizes.strategies)


def table(found: dict[str, Any], device: str) -> str:
    """Markdown; the bars stand in the headings."""
    known = predictions(device)
    ceilings = {"copy": float("nan"), "product": {}} | found.get("ceilings", {})
    rates = ", ".join(f"{name} {rate:.1f} TFLOP/s" for name, rate in ceilings["product"].items())
    lines = [f"Copy: {ceilings['copy']:.0f} GB/s read and written. Products: {rates}."]
    # For each group its figures, the first of which is milliseconds.
    headings = {
        "exact allocation": (
            ("times_a_copy", "times a copy (bar: 2)", ".2f"),
            ("times_faster_than_reference", "times faster than the reference", ".1f"),
        ),
        "uniqueness": (
            ("teraflops", "TFLOP/s", ".2f"),
            ("share_of_rate", "share of the matrix rate (bar: 0.6)", ".2f"),
            ("share_of_product", "of the plain product of its shape", ".2f"),
            ("times_faster_than_reference", "times faster than the reference", ".1f"),
        ),
        "Monte Carlo": (
            ("billion_draws_a_second", "billion draws/s", ".2f"),
            ("gigabytes_a_second", "GB/s moved", ".3g"),
            ("times_faster_than_reference", "times faster than the reference (bar: 10)", ".1f"),
            ("times_faster_than_plain", "than `jax.random.beta`", ".1f"),
        ),
    }
    for group, columns in headings.items():
        heads = ["γ" if group == "uniqueness" else group, "measured, ms", "predicted, ms"]
        heads += [head for _, head, _ in columns]
        lines += ["", _line(heads), "|---" * len(heads) + "|"]
        for name, row in found.get(group, {}).items():
            if group == "uniqueness" and ceilings["product"]:
                (rate,) = (ceilings["product"][p] for p in PRECISIONS if f" {p}" in name)
                row = row | {"share_of_rate": row["teraflops"] / rate}
            row = row | {"predicted": known.get((group, name))}
            every = ("milliseconds", "", ".4f"), ("predicted", "", ".4f"), *columns
            found_of = ((row.get(key), how) for key, _, how in every)
            lines.append(
                _line([name, *("–" if x is None else format(x, how) for x, how in found_of)])
            )
    lines += [f"\nFailed: {name}: {why}" for name, why in found.get("failed", {}).items()]
    lines += ["", *(f"{note}\n" for note in found.get("notes", ()))]
    lines += ["Predictions are of a roofline, without a device, and no measurement."]
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
