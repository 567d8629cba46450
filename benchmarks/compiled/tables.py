"""The table of what was compiled, as Markdown and as JSON."""

import json
from collections.abc import Sequence
from typing import Any

_HEAD = """# What the compiler makes of the kernels

Compiled without a GPU by `make gpu-compile`. **Nothing here was measured on a GPU.** Registers and
spilled bytes are a thread's, shared memory a program's (block's); occupancy is the share of a
multiprocessor's threads that these allow at once. Bytes are those of arguments and results, as an
ideal program moves them once; kept is what the program holds beside them while it runs.
"""


def compiled(rows: Sequence[dict[str, Any]], planted: Sequence[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [_HEAD]
    versions = list(dict.fromkeys((row["jax"], row["device"]) for row in rows))
    for jax, device in versions:
        lines += [f"\n## {device}, JAX {jax}\n", _HEADINGS, "|---" * _COLUMNS + "|"]
        lines += [_line(r) for r in rows if (r["jax"], r["device"]) == (jax, device)]
    for row in planted:
        lines.append(
            f"\nPlanted for JAX {row['jax']}: tiles that registers do not hold spill "
            f"{row['spilled']} bytes, which the limit refuses."
        )
    return "\n".join(lines) + "\n"


_HEADINGS = (
    "| program | devices | registers | spilled | shared | occupancy | tensor cores | read, MB "
    "| written, MB | kept, MB | flop a byte | compiled, s |"
)
_COLUMNS = _HEADINGS.count("|") - 1


def _line(row: dict[str, Any]) -> str:
    what = f"`{row['kernel']}`, {row['case']}"
    what += f", {row['precision']}" if row["precision"] else ""
    what += f" ({row['backend']})"
    if row.get("error") or not row["in_program"]:
        why = row.get("error") or "no kernel in the program"
        return f"| {what} | {row['devices']} | {why} |" + " |" * (_COLUMNS - 3)
    tensor = ", ".join(f"{count} {name}" for name, count in row["tensor"].items()) or "–"
    intensity = row.get("flop_a_byte")
    cells = [
        what, row["devices"], row["registers"], row["spilled"], row["shared"],
        f"{row['occupancy']:.0%}", tensor, *(f"{row[x] / 1e6:.2f}" for x in _BYTES),
        "–" if intensity is None else f"{intensity:.3g}", f"{row['seconds']:.1f}",
    ]  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


_BYTES = "read", "written", "kept"


def as_json(rows: Sequence[dict[str, Any]]) -> str:
    """One row a line."""
    kept = ({k: v for k, v in row.items() if k not in ("loops", "planted")} for row in rows)
    return "[\n" + ",\n".join(map(json.dumps, kept)) + "\n]\n"
