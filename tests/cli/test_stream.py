"""`allocate --stream` as a child process that answers line by line, of a shell and of Node."""

import codecs
import json
import os
import shutil
import subprocess
import sys

import pytest

from dora_theory._errors import InputError
from dora_theory.cli.main import main
from dora_theory.cli.streaming import _answered, _waiting
from dora_theory.io.jsonl import FieldError, numbered_lines, parsed_lines
from dora_theory.io.problem_lines import parse_problem

COMMAND = [sys.executable, "-m", "dora_theory", "allocate", "-", "--stream"]
REBASE = ["--strategy", "rebase", "--budget", "12"]
OPTIMAL = ["--strategy", "optimal", "--budget", "12", "--kappa", "2"]
GOOD = {"id": "a", "scores": [0.9, 0.5, 0.1]}
BAD = {"id": "b", "scores": [0.9, "x"]}


def lines_of(path, *arguments):
    """What the same lines are without --stream."""
    return subprocess.run(
        [*COMMAND[:4], str(path), *arguments], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.slow
def test_each_line_is_answered_before_the_next_is_written(tmp_path):
    with subprocess.Popen(
        [*COMMAND, *OPTIMAL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        answers = []
        for line in (GOOD, BAD, {"id": 3, "weights": [0.5] * 20}):
            child.stdin.write(json.dumps(line).encode() + b"\n")
            child.stdin.flush()
            answers.append(json.loads(child.stdout.readline()))
        # Without an end of line.
        child.stdin.write(b"[1]")
        child.stdin.close()
        last = json.loads(child.stdout.readline())
        assert child.wait() == 2
        said = child.stderr.read().decode()
    assert said == "standard input: 2 of 4 lines could not be answered\n"
    path = tmp_path / "good.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps({"id": 3, "weights": [0.5] * 20}) + "\n")
    expected = [json.loads(line) for line in lines_of(path, *OPTIMAL).splitlines()]
    assert [answers[0], answers[2]] == expected
    assert answers[1]["id"] == "b"
    assert answers[1]["error"].startswith("standard input:2: scores: [1] is")
    assert last["id"] is None
    assert "standard input:4" in last["error"]


SCRIPT = """\
coproc child { %s; }
for line in '{"id": 1, "scores": [0.9, 0.5]}' 'no JSON' '{"id": 3, "scores": [0.5, 0.5]}'; do
  printf '%%s\\n' "$line" >&"${child[1]}"
  IFS= read -r answer <&"${child[0]}"
  printf '%%s\\n' "$answer"
done
exec {child[1]}>&-
wait "$child_PID"
echo "status $?"
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_a_shell_script_drives_it(tmp_path):
    path = tmp_path / "drive.sh"
    path.write_text(SCRIPT % " ".join(map(str, [*COMMAND, *REBASE])))
    done = subprocess.run(["bash", path], capture_output=True, text=True, check=True)
    first, second, third, status = done.stdout.splitlines()
    assert json.loads(first)["allocation"] == [12, 0]
    assert json.loads(second)["id"] is None
    assert json.loads(third)["allocation"] == [6, 6]
    assert status == "status 2"


NODE = """\
const {spawn} = require("node:child_process");
const {createInterface} = require("node:readline");
const [command, ...rest] = JSON.parse(process.argv[2]);
const child = spawn(command, rest, {stdio: ["pipe", "pipe", "inherit"]});
const lines = createInterface({input: child.stdout})[Symbol.asyncIterator]();
(async () => {
  const sent = ['{"id": 1, "scores": [0.9, 0.5]}', '{"id": 2}', '{"id": 3, "scores": [1, 1]}'];
  for (const line of sent) {
    child.stdin.write(line + "\\n");
    console.log(JSON.stringify(JSON.parse((await lines.next()).value)));
  }
  child.stdin.end();
  child.on("close", (status) => console.log("status " + status));
})();
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_node_drives_it(tmp_path):
    path = tmp_path / "drive.js"
    path.write_text(NODE)
    command = ["node", path, json.dumps([*COMMAND, *REBASE])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, second, third, status = done.stdout.splitlines()
    assert json.loads(first)["allocation"] == [12, 0]
    assert json.loads(second)["id"] == 2
    assert "scores: missing" in json.loads(second)["error"]
    assert json.loads(third)["allocation"] == [6, 6]
    assert status == "status 2"


@pytest.mark.parametrize("more", [["--json"], ["--out", "there"]])
def test_it_writes_to_standard_output_alone(more, capsys):
    assert main(["allocate", "-", "--stream", *REBASE, *more]) == 2
    assert "--stream: reads -" in capsys.readouterr().err


def test_lines_that_wait_are_taken_together(tmp_path):
    path = tmp_path / "lines"
    text = b"".join(b"%d\n" % i for i in range(1000)) + b"x" * 3_000_000 + b"\nlast"
    path.write_bytes(text)
    with path.open("rb") as file:
        parts = list(_waiting(file.fileno()))
    assert b"".join(line for part in parts for line in part) == text
    assert max(map(len, parts)) == 256


@pytest.mark.parametrize("end", [b"\n", b""])
def test_only_a_line_without_an_end_is_taken_for_torn(end):
    reader, writer = os.pipe()
    os.write(writer, b'{"id": 1\n{"id": 2' + end)
    os.close(writer)
    lines = [line for some in _waiting(reader) for line in some]
    os.close(reader)
    found = [text for line in lines for _, text in _answered([line], 0, None, None)]
    assert ["the line has no end" in text for text in found] == [False, not end]


def test_a_rule_that_raises_costs_its_own_line_alone():
    """Whatever a user's rule raises; the other lines that waited with it are answered."""

    def texts(problems):
        if any(problem.id == "b" for problem in problems):
            raise ZeroDivisionError("float division by zero")
        return ["answered"] * len(problems)

    lines = [json.dumps(GOOD | {"id": name}).encode() for name in "abc"]
    found = _answered(lines, 0, lambda place, problem: problem, texts)
    assert [good for good, _ in found] == [True, False, True]
    said = {"id": "b", "error": "ZeroDivisionError: float division by zero"}
    assert json.loads(found[1][1]) == said


def test_a_byte_order_mark_before_the_first_line_is_no_part_of_it(tmp_path):
    path = tmp_path / "lines.jsonl"
    line = json.dumps(GOOD).encode() + b"\n"
    path.write_bytes(codecs.BOM_UTF8 + line)
    assert [found for _, found in numbered_lines(str(path))] == [line]
    ran = subprocess.run([*COMMAND, *REBASE], input=path.read_bytes(), capture_output=True)
    assert ran.returncode == 0, ran.stdout
    # Before any other line it is an error, as in a file.
    path.write_bytes(line + codecs.BOM_UTF8 + line)
    with pytest.raises(InputError, match=r"lines\.jsonl:2: line: not JSON"):
        list(parsed_lines(str(path), parse_problem))


def test_a_blank_line_is_called_blank():
    with pytest.raises(FieldError, match="is blank, needs a JSON object"):
        parse_problem(b"  \n")
