"""The examples keep what their README promises: real logs, whole, labelled, and of no particular machine."""

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from bifrost_domain.report import Category, Severity

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir() and path.name != "api")
MEGABYTE = 1 << 20
MACHINE = re.compile(rb"(?<![\w.-])/(?:root|home|work|tmp|Users)/")

every_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)


def truth(example: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((example / "truth.json").read_text())
    return found


def lines(example: Path) -> list[str]:
    text = (example / str(truth(example)["log"])).read_text()
    return text.removesuffix("\n").split("\n")


@every_example
def test_an_example_says_what_it_is_and_can_be_captured_again(example: Path) -> None:
    page = (example / "README.md").read_text()
    assert truth(example)["cause"] in page
    assert f"{len(lines(example)):,} lines" in page
    script = example / "capture.sh"
    assert script.stat().st_mode & stat.S_IXUSR
    assert script.read_text().startswith("#!/usr/bin/env bash\n# ")
    assert truth(example)["log"] in script.read_text()
    assert f"]({example.name}/)" in (ROOT / "examples" / "README.md").read_text()


@every_example
def test_a_truth_speaks_the_language_of_reports(example: Path) -> None:
    label = truth(example)
    assert set(label) - {"files", "tests"} == {
        "log",
        "severity",
        "category",
        "categories_accepted",
        "cause",
        "decisive_lines",
        "consequence_lines",
        "must_mention",
    }
    text = "\n".join(lines(example))
    assert all(name in text for name in (*label.get("files", ()), *label.get("tests", ())))
    healthy = Severity(label["severity"]) is Severity.OK
    assert healthy == (Category(label["category"]) is Category.NONE)
    assert label["category"] in {Category(name) for name in label["categories_accepted"]}
    assert healthy == (not label["decisive_lines"])
    assert healthy == (not label["must_mention"])


@every_example
def test_decisive_lines_exist_and_are_no_consequences(example: Path) -> None:
    label, log = truth(example), lines(example)
    for number in label["decisive_lines"] + label["consequence_lines"]:
        assert log[number - 1].strip()
    assert not set(label["decisive_lines"]) & set(label["consequence_lines"])


@every_example
def test_every_group_of_words_to_mention_comes_from_the_log(example: Path) -> None:
    text = "\n".join(lines(example)).lower()
    for group in truth(example)["must_mention"]:
        assert any(word.lower() in text for word in group), group


@every_example
def test_nothing_of_the_machine_it_was_captured_on_is_left(example: Path) -> None:
    for path in example.rglob("*"):
        if path.is_file():
            assert not MACHINE.search(path.read_bytes()), path


def test_the_examples_are_small_together() -> None:
    assert sum(path.stat().st_size for path in (ROOT / "examples").rglob("*") if path.is_file()) < 6 * MEGABYTE
    assert sum(len(lines(example)) >= 20_000 for example in EXAMPLES) == 1


def test_the_demo_shows_an_example() -> None:
    demo = ROOT / "src" / "bifrost_entrypoints" / "demo" / "incident.log"
    assert demo.read_bytes() == (ROOT / "examples" / "checkout-lock" / "incident.log").read_bytes()
