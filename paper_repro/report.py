"""Runs every script of this folder and writes one page: the pictures, and "the paper says, we get".

Every number on the page is computed while it is written; the sentences are the scripts' own.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from dora_theory._errors import InputError
from dora_theory.io.atomic_write import whole_output
from paper_repro import (
    adaptivity,
    bias_maps,
    correlation,
    figure1,
    figure2,
    figure5,
    gap_over_kappa,
    price,
    proposition1,
    replay_synthetic,
    rounding,
    rounds_kept,
    rules_regret,
    score_noise,
    sharpening,
    similarity_temperature,
    solution_level,
    unsolved_by_rule,
    unsolved_exponents,
    wrong_concentration,
)
from paper_repro.script import table

# The paper's figures, then the theorems in the order of the theory, then what is measured.
SCRIPTS = (
    figure1,
    figure2,
    proposition1,
    figure5,
    rounding,
    rules_regret,
    gap_over_kappa,
    solution_level,
    price,
    similarity_temperature,
    score_noise,
    correlation,
    adaptivity,
    wrong_concentration,
    sharpening,
    bias_maps,
    rounds_kept,
    unsolved_exponents,
    unsolved_by_rule,
)


def main(out: Path, extra: Sequence[Path] = ()) -> Path:
    """Writes `out/report.md` and the pictures that it shows.

    `extra` are Markdown files that are appended as they are, in order.
    """
    more = [path.read_text(encoding="utf-8").strip() for path in extra]
    parts = [
        "# What the paper shows, computed again",
        "Written by `make reproduce`. A number counts as the same if it agrees to the two decimals "
        "that the paper prints. – means that the paper gives no number.",
        *(_section(script, out, script.table) for script in (replay_synthetic,)),
        *(_section(script, out, table) for script in SCRIPTS),
    ]
    page = out / "report.md"
    with whole_output(str(page)) as file:
        file.write(("\n\n".join(parts + more) + "\n").encode())
    return page


def _section(script: ModuleType, out: Path, table: Callable[[list], str]) -> str:
    rows = script.main(out)
    title, _, text = (script.__doc__ or "").strip().partition("\n\n")
    title = " ".join(title.rstrip(".").split())
    picture = f"![{title}]({script.__name__.rpartition('.')[2]}.png)"
    return "\n\n".join([f"## {title}", picture, " ".join(text.split()), table(rows).rstrip()])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the page")
    parser.add_argument(
        "--extra",
        type=Path,
        action="append",
        default=[],
        help="Markdown file to append; repeatable",
    )
    arguments = parser.parse_args()
    try:
        print(main(arguments.out, arguments.extra))
    except (InputError, OSError) as error:
        parser.error(str(error))
