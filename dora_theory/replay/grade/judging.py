"""The process of `correctness.Judge`: a pair of answers a line in, a verdict a line out."""

import json
import sys
from typing import IO


def main(timeout: float, pairs: IO[str], verdicts: IO[str]) -> None:
    """Judges until the input ends: true, false, or null where the time ran out.

    Args:
        timeout: seconds for each of parsing one answer, parsing the other, comparing them.
        pairs: lines `[gold, answer]`.
        verdicts: receives `ready`, then a line for each line.
    """
    from math_verify import parse, verify
    from math_verify.errors import TimeoutException

    seconds = max(1, round(timeout))

    def boxed(answer: str) -> list:
        return parse(f"\\boxed{{{answer}}}", parsing_timeout=seconds, raise_on_error=True)

    def judge(gold: str, answer: str) -> bool | None:
        try:
            return bool(
                verify(boxed(gold), boxed(answer), timeout_seconds=seconds, raise_on_error=True)
            )
        except TimeoutException:
            return None
        except Exception:  # Whatever the algebra system cannot take apart is not equal.
            return False

    print("ready", file=verdicts, flush=True)
    for line in pairs:
        print(json.dumps(judge(*json.loads(line))), file=verdicts, flush=True)


if __name__ == "__main__":
    # Verdicts go where nothing that a library prints can get between them.
    out, sys.stdout = sys.stdout, sys.stderr
    main(float(sys.argv[1]), sys.stdin, out)
