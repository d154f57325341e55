"""Does the confidence of the offline analyst mean anything? A table of confidence against the share that was right.

    calibration.py [--chunks DIR] [--cases DIR ...] [--verbose]

`--chunks`: logs with `labels.jsonl`, a row `{"log": NAME, "lines": [...]}` for each (LogChunks): a report is right where
its first quote stands within ten lines of a line that a person marked, or says the same as one, numbers aside. `--cases`: directories with `raw.log` and
`ground_truth.json` (LogDx-CI, or what make_logs.py makes): right where the category is the labelled one or, in the
table of neighbours, half way to it, and at least half of the critical signals are cited. Exits with 1 where reports of
a confidence of 0.7 or more are right less often than `--least`.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from make_logs import COLOUR, LABELS, OWN_LABELS

from bifrost_domain.diagnosis import diagnose
from bifrost_domain.logs.digester import Budget, Digester
from bifrost_domain.logs.redaction import Redactor
from bifrost_domain.report import Report

NEAR = 10
BINS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.01)
SURE = 0.7


class Outcome(NamedTuple):
    name: str
    group: str
    confidence: float
    right: bool
    said: str


def report_on(log: Path) -> Report:
    digester = Digester(log.name, Redactor(b"k" * 32))
    with log.open("rb") as stream:
        while block := stream.read(1 << 20):
            digester.feed(block)
    return diagnose(digester.finish(Budget()))


def folded(line: str) -> str:
    return re.sub(r"\d+", "0", " ".join(COLOUR.sub("", line).split()))


def of_chunks(directory: Path) -> Iterator[Outcome]:
    for row in (directory / "labels.jsonl").read_text().splitlines():
        label: dict[str, Any] = json.loads(row)
        report = report_on(directory / label["log"])
        first = report.evidence[0].line_start if report.evidence else -NEAR - 1
        texts = (directory / label["log"]).read_text(errors="replace").split("\n")
        marked = {folded(texts[line - 1]) for line in label["lines"]}
        right = any(abs(first - line) <= NEAR for line in label["lines"]) or (
            bool(report.evidence) and folded(report.evidence[0].quote) in marked
        )
        said = (
            f"{report.category}: line {first}, marked {label['lines'][0]}-{label['lines'][-1]}: {report.summary[:110]}"
        )
        yield Outcome(label["log"], label["log"].partition("__")[0], report.confidence, right, said)


def of_cases(directory: Path) -> Iterator[Outcome]:
    for truth_file in sorted(directory.rglob("ground_truth.json")):
        truth: dict[str, Any] = json.loads(truth_file.read_text())
        report = report_on(truth_file.with_name("raw.log"))
        said = LABELS.get(report.category, report.category if report.category in OWN_LABELS else "other")
        label = truth["root_cause"]["category"]
        text = "\n".join(
            [report.summary, report.root_cause, *report.files, *report.tests, *(e.quote for e in report.evidence)]
        )
        critical = [s.get("value") or s.get("file") for s in truth["required_signals"] if s["importance"] == "critical"]
        cited = sum(signal in text for signal in critical)
        right = said == label and 2 * cited >= len(critical)
        name = truth_file.parent.name
        yield Outcome(name, name, report.confidence, right, f"{report.category}, is {label}: {report.summary[:110]}")


def table(outcomes: list[Outcome]) -> float:
    """Prints the table; the share that is right among those who are sure."""
    print("confidence      logs  right  share")
    for low, high in pairwise(BINS):
        within = [one for one in outcomes if low <= one.confidence < high]
        if within:
            right = sum(one.right for one in within)
            print(f"{low:.2f} to {min(high, 1):.2f}  {len(within):6} {right:6}  {right / len(within):.2f}")
    sure = [one for one in outcomes if one.confidence >= SURE]
    right = sum(one.right for one in sure)
    share = right / len(sure) if sure else 1.0
    print(f"{SURE} and more  {len(sure):5} {right:6}  {share:.2f}   of {len(outcomes)} logs")
    expected = sum(one.confidence for one in outcomes) / len(outcomes)
    print(f"mean confidence {expected:.2f}, share right {sum(one.right for one in outcomes) / len(outcomes):.2f}")
    return share


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--chunks", type=Path)
    ask.add_argument("--cases", type=Path, action="append", default=[])
    ask.add_argument("--least", type=float, default=0.0)
    ask.add_argument("--verbose", action="store_true", help="the reports that were sure and wrong")
    given = ask.parse_args()
    outcomes = list(of_chunks(given.chunks)) if given.chunks else []
    for directory in given.cases:
        outcomes += of_cases(directory)
    if not outcomes:
        print("nothing to measure: give --chunks or --cases", file=sys.stderr)
        return 2
    if given.verbose:
        for one in sorted(outcomes, key=lambda one: -one.confidence):
            if not one.right:
                print(f"{one.confidence:.2f} {one.name}: {one.said}")
    return 0 if table(outcomes) >= given.least else 1


if __name__ == "__main__":
    sys.exit(main())
