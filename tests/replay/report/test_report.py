"""The page stands alone, shows the numbers of the summary, and takes no log's text for HTML."""

import json
import re
from html.parser import HTMLParser

import pytest

from dora_theory.cli.main import main
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.report.page import report
from dora_theory.replay.report.summary import summary
from dora_theory.replay.run import replay
from dora_theory.replay.synthetic import write_synthetic_log

HOSTILE = "<script>alert(1)</script>&\"'<img src=http://evil/x onerror=alert(1)>"


class Page(HTMLParser):
    """Tags, attributes and text of a page; every tag that is opened is closed."""

    VOID = ("meta", "br", "img")

    def __init__(self, text):
        super().__init__()
        self.tags, self.values, self.words, self.open = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.values += [value for name, value in attrs if name in ("src", "href", "srcset")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("logs") / "log.jsonl")
    write_synthetic_log(path, problems=40)
    return summary(replay(path, ReplayOptions(budgets=(2, 32), strategies=("rebase", "dora"))))


def test_the_page_stands_alone_and_has_the_numbers(document):
    text = report([document])
    page = Page(text)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert all(value.startswith(("data:image/png;base64,", "#log")) for value in page.values)
    assert "default-src 'none'" in text
    cell = document["strategies"]["dora"]["budget"]["2"]
    assert any(word.endswith(f"{100 * cell['success']:.1f}") for word in page.words)
    assert f"[{100 * cell['low']:.1f}, {100 * cell['high']:.1f}]" in " ".join(page.words)
    assert document["caveat"] in page.words
    assert text == report([document])


def test_text_of_a_log_is_never_markup(document):
    hostile = document | {
        "log": HOSTILE,
        "notes": [HOSTILE],
        "checks": [{"check": HOSTILE, "verdict": "doubtful", "what": HOSTILE}],
        "options": {"mapping": {HOSTILE: HOSTILE}},
    }
    page = Page(report([hostile, document]))
    assert "script" not in page.tags
    assert page.tags.count("img") == 3
    # Log, note, check and what it found, name and column of the mapping.
    assert "".join(page.words).count(HOSTILE) == 6
    assert all(value.startswith(("data:", "#")) for value in page.values)


def test_what_cannot_be_calibrated_says_why(document):
    page = Page(report([document | {"uncalibrated": f"no scores {HOSTILE}"}]))
    assert f"Not known: no scores {HOSTILE}." in "".join(page.words)
    assert "script" not in page.tags


@pytest.mark.slow
def test_command_line(tmp_path, capsysbinary):
    log = str(tmp_path / "log.jsonl")
    write_synthetic_log(log, problems=40)
    out = tmp_path / "made" / "out"
    options = ["--budgets", "2,32", "--strategies", "rebase,dora"]
    assert main(["replay", log, log, *options, "--report", str(out)]) == 0
    assert b"Difference to REBASE" in capsysbinary.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["replay.json", "report.html"]
    numbers = json.loads((out / "replay.json").read_text(encoding="utf-8"))
    assert len(numbers) == 2
    text = (out / "report.html").read_text(encoding="utf-8")
    assert re.findall(r"<h2 id='(log\d)'", text) == ["log0", "log1"]
    error = numbers[0]["calibration"]["scores"]["step"]["error"]
    assert f"expected calibration error {error:.3f}" in " ".join(Page(text).words)
    (tmp_path / "file").write_text("")
    blocked = ["--report", str(tmp_path / "file" / "out")]
    assert main(["replay", log, *options, *blocked]) == 2
    captured = capsysbinary.readouterr()
    assert captured.out == b""
    assert b"Not a directory" in captured.err
