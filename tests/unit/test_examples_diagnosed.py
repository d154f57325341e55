"""The offline analyst on the logs of the examples: it finds what their labels say, and quotes the lines that decide."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bifrost_domain.diagnosis import diagnose
from bifrost_domain.logs.digester import Budget, Digester
from bifrost_domain.logs.redaction import Redactor
from bifrost_domain.report import Category, Language, Report, Severity

EXAMPLES = sorted(path.parent for path in (Path(__file__).parents[2] / "examples").glob("*/truth.json"))
MOST_SENTENCES = 6

every_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)


def truth(example: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((example / "truth.json").read_text())
    return found


@cache
def report_on(example: Path, language: Language = Language.EN) -> Report:
    name = truth(example)["log"]
    digester = Digester(name, Redactor(b"k" * 32))
    digester.feed((example / name).read_bytes())
    return diagnose(digester.finish(Budget()), language)


def folded(line: str) -> str:
    """What a line says apart from its numbers: a digest may keep a later line that says the same."""
    return re.sub(r"\d+", "0", line.strip())


def prose(report: Report) -> str:
    return f"{report.summary} {report.root_cause}".lower()


@every_example
def test_the_category_is_the_labelled_one(example: Path) -> None:
    assert report_on(example).category in truth(example)["categories_accepted"]


@every_example
def test_a_healthy_log_is_told_from_a_failure(example: Path) -> None:
    label, report = truth(example), report_on(example)
    healthy = Severity(label["severity"]) is Severity.OK
    assert (report.severity is Severity.OK) == healthy
    assert (report.category is Category.NONE) == healthy
    assert healthy or report.severity >= Severity.ERROR


@every_example
def test_the_first_quote_is_a_line_that_decides(example: Path) -> None:
    label, report = truth(example), report_on(example)
    if not label["decisive_lines"]:
        assert report.evidence == ()
        return
    lines = (example / label["log"]).read_text().split("\n")
    decisive = {folded(lines[number - 1]) for number in label["decisive_lines"]}
    assert folded(report.evidence[0].quote) in decisive


@every_example
def test_the_files_and_tests_that_failed_are_named(example: Path) -> None:
    label, report = truth(example), report_on(example)
    assert set(label.get("files", ())) <= set(report.files)
    assert set(label.get("tests", ())) <= set(report.tests)


@every_example
def test_the_prose_names_what_it_must(example: Path) -> None:
    text = prose(report_on(example))
    for group in truth(example)["must_mention"]:
        assert any(word.lower() in text for word in group), (group, text)


@every_example
@pytest.mark.parametrize("language", Language)
def test_the_prose_is_clean_and_short(example: Path, language: Language) -> None:
    report = report_on(example, language)
    assert not report.summary[0].islower()
    assert report.summary.endswith(".")
    assert report.summary not in report.root_cause
    for text in (report.summary, report.root_cause):
        assert ".." not in text.replace("...", "")
        assert ": :" not in text
        assert "“" not in text
    assert len(re.findall(r"[.?] ", report.root_cause)) < MOST_SENTENCES
    for action in report.actions:
        assert action.why.endswith(".")
        assert action.why != action.title


def test_the_demo_names_the_lock_first_and_the_exhausted_pool_as_its_consequence() -> None:
    report = report_on(next(path for path in EXAMPLES if path.name == "checkout-lock"))
    quoted = [item.line_start for item in report.evidence]
    assert quoted[0] == 212
    assert {213, 214, 1854} <= set(quoted)
    assert quoted.index(279) > quoted.index(1854)
    assert report.severity is Severity.CRITICAL
    assert report.confidence >= 0.7
    events = [entry.line for entry in report.timeline]
    assert events == sorted(events)
    assert {212, 279, 1854, 1855} <= set(events)
