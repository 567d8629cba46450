"""What tests of the command line share."""

import json

import pytest

from dora_theory.cli.main import main


@pytest.fixture
def allocate(tmp_path, capsysbinary):
    """Runs `allocate` on lines; returns exit status, answers and standard error."""

    def run(lines, *arguments, name="problems.jsonl", raw=None):
        path = tmp_path / name
        data = "".join(json.dumps(line) + "\n" for line in lines).encode() if raw is None else raw
        path.write_bytes(data)
        status = main(["allocate", str(path), *map(str, arguments)])
        out, err = capsysbinary.readouterr()
        return status, [json.loads(line) for line in out.splitlines()], err.decode()

    return run
