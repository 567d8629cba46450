"""What a row of the table must not be."""

from collections.abc import Iterator
from typing import Any

# Bytes a thread, stores and loads together: one or two numbers outside of the inner loop.
MOST_SPILLED = 32


def broken(row: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a row, one line for each fault."""
    if row.get("error"):
        yield f"does not compile: {row['error']}"
        return
    if not row["in_program"]:
        yield f"falls back silently: no kernel {row['kernel']} in the program"
        return
    if row["spilled"] > MOST_SPILLED:
        yield f"spills {row['spilled']} bytes a thread, more than {MOST_SPILLED}"
    if row["precision"] in ("tf32", "bfloat16") and not row["tensor"]:
        yield f"has no tensor-core instruction for {row['precision']}"
    if row["kept"] > row["linear"]:
        yield f"keeps {row['kept']} bytes, more than the {row['linear']} of O(k d)"
    if row["devices"] > 1 and "all-gather" in row["gathers"]:
        yield "gathers the batch: an all-gather in the program"
    for warning in row["warnings"]:
        yield f"warns its user: {warning}"


def name(row: dict[str, Any]) -> str:
    """What tells a row from all others."""
    where = f"{row['devices']} × {row['device']}" if row["devices"] > 1 else row["device"]
    parts = row["case"], row["precision"]
    what = f"{row['kernel']} ({row['backend']}): {', '.join(filter(None, parts))}"
    return f"JAX {row['jax']}, {where}, {what}"
