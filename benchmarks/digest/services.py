"""Whether a digest shows what went wrong in a service's log, when that is hidden in healthy traffic.

    python benchmarks/digest/services.py [--lines 50000] [--verbose]

Each example in `examples/` is put as it is into `--lines` lines of its own healthy traffic: at the start, in the middle,
at the end. The traffic replays the example's unalarming lines from before the incident, with times that run on and with
other numbers and identifiers. What is looked for are the `decisive_lines` of `truth.json`; one counts as shown where a
line equal to it but for numbers and identifiers is shown, and as `first` where it is shown itself or by one before it.
The end of the log and a search with two lines of context are given the same number of characters.
"""

import argparse
import json
import random
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import fmean

from baselines import grep, tail

from bifrost_domain.logs.digester import Budget, Digester
from bifrost_domain.logs.evidence import cost
from bifrost_domain.logs.redaction import Redactor

EXAMPLES = Path(__file__).parents[2] / "examples"
SIZES = (4000, 8000)
PLACES = {"start": 0.0, "middle": 0.5, "end": 1.0}
FEWEST_HEALTHY = 5

_ALARMING = re.compile(
    r"error|fail|fatal|panic|exception|warn|crit|refus|time[d ]?out|kill|oom|denied|unable|cannot|can't|not |no |abort"
    r"|back-?off|crash|expired|exceed|lost|lock|[\" ][45]\d\d[\", ]",
    re.IGNORECASE,
)
_STAMP = re.compile(r"(?P<date>\d{4}(?P<sep>[-/])\d\d[-/]\d\d)(?P<between>[T ])(?P<time>\d\d:\d\d:\d\d)")
_IDENTIFIER = re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{8,}\b|\b\d{4,}\b")


@dataclass(frozen=True)
class Example:
    name: str
    texts: Sequence[str]
    healthy: Sequence[str]
    decisive: Sequence[int]
    """Numbers from 1 on."""


def examples() -> Iterator[Example]:
    for truth in sorted(EXAMPLES.glob("*/truth.json")):
        known = json.loads(truth.read_text(encoding="utf-8"))
        if not known["decisive_lines"]:
            continue
        texts = (truth.parent / known["log"]).read_text(encoding="utf-8", errors="replace").splitlines()
        told = set(known["decisive_lines"]) | set(known["consequence_lines"])
        calm = [
            (number, text)
            for number, text in enumerate(texts, 1)
            if text and number not in told and not text[0].isspace() and not _ALARMING.search(_STAMP.sub("", text))
        ]
        before = [text for number, text in calm if number < min(told)]
        healthy = before if len(before) >= FEWEST_HEALTHY else [text for _, text in calm]
        yield Example(truth.parent.name, texts, healthy, known["decisive_lines"])


def _moment(texts: Sequence[str], default: datetime) -> datetime:
    for text in texts:
        if found := _STAMP.search(text):
            return datetime.fromisoformat(f"{found['date'].replace('/', '-')} {found['time']}")
    return default


def traffic(example: Example, count: int, start: datetime, chance: random.Random) -> Iterator[str]:
    """`count` healthy lines, fifty a second from `start` on."""

    def other(found: re.Match[str]) -> str:
        digits = "0123456789" if found[0].isdigit() else "0123456789abcdef"
        return "".join(chance.choices(digits, k=len(found[0])))

    for number in range(count):
        text = chance.choice(example.healthy)
        now = start + timedelta(seconds=number // 50)
        parts: list[str] = []
        end = 0
        for found in _STAMP.finditer(text):
            stamp = now.strftime(f"%Y{found['sep']}%m{found['sep']}%d{found['between']}%H:%M:%S")
            parts += [_IDENTIFIER.sub(other, text[end : found.start()]), stamp]
            end = found.end()
        yield "".join([*parts, _IDENTIFIER.sub(other, text[end:])])


def hidden(example: Example, count: int, place: float) -> tuple[list[str], int]:
    """The example's log in `count` lines of traffic, and how many of these stand before it."""
    chance = random.Random(f"{example.name} {place}")
    before = round(count * place)
    default = datetime(2026, 11, 23)
    first, last = _moment(example.texts, default), _moment(example.texts[::-1], default)
    lead = traffic(example, before, first - timedelta(seconds=before // 50 + 1), chance)
    trail = traffic(example, count - before, last + timedelta(seconds=1), chance)
    return [*lead, *example.texts, *trail], before


def _sort(text: str) -> str:
    return re.sub(r"[0-9a-f-]*\d[0-9a-f-]*", "0", text).strip()


def score(example: Example, texts: Sequence[str], shift: int, numbers: set[int]) -> tuple[float, float]:
    """The share of decisive lines of which one alike is among `numbers`, and of which none later one is the first."""
    earliest: dict[str, int] = {}
    for number in sorted(numbers):
        if shift < number <= shift + len(example.texts):
            earliest.setdefault(_sort(texts[number - 1]), number)
    found = [earliest.get(_sort(example.texts[number - 1])) for number in example.decisive]
    firsts = [
        place is not None and place <= number + shift for place, number in zip(found, example.decisive, strict=True)
    ]
    return fmean(place is not None for place in found), fmean(firsts)


def digests(texts: Sequence[str]) -> dict[int, set[int]]:
    """The numbers of the lines that a digest of each size shows."""
    digester = Digester("service.log", Redactor(bytes(32)))
    digester.feed("\n".join(texts).encode() + b"\n")
    return {room: {line.number for line in digester.finish(Budget(characters=room)).lines} for room in SIZES}


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--lines", type=int, default=50_000)
    ask.add_argument("--verbose", action="store_true", help="name what a digest misses")
    given = ask.parse_args()
    scores: dict[tuple[str, str, int], list[tuple[float, float]]] = {}
    for example in examples():
        for where, place in PLACES.items():
            texts, shift = hidden(example, given.lines, place)
            costs = [cost(number, text) for number, text in enumerate(texts, 1)]
            for room, numbers in digests(texts).items():
                shown = {
                    "digest": numbers,
                    "tail": {place + 1 for place in tail(texts, costs, room)},
                    "first of grep -C2": {place + 1 for place in grep(texts, costs, room, context=2)},
                    "last of grep -C2": {place + 1 for place in grep(texts, costs, room, context=2, last=True)},
                }
                for method, numbers in shown.items():
                    result = score(example, texts, shift, numbers)
                    scores.setdefault((method, where, room), []).append(result)
                    if given.verbose and method == "digest" and min(result) < 1:
                        print(f"{example.name} at the {where}, {room:,}: shown {result[0]:.2f}, first {result[1]:.2f}")
    methods = sorted({method for method, _, _ in scores}, key=lambda method: (method != "digest", method))
    print(f"{len(scores['digest', 'start', SIZES[0]])} examples, each in {given.lines:,} lines\n")
    print("| hidden at | characters | " + " | ".join(methods) + " | digest, first |")
    print("|---|---|" + "---|" * (len(methods) + 1))
    for where in PLACES:
        for room in SIZES:
            cells = [fmean(shown for shown, _ in scores[method, where, room]) for method in methods]
            cells.append(fmean(first for _, first in scores["digest", where, room]))
            print(f"| {where} | {room:,} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")
    print(f"{time.process_time():.0f} s of CPU")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
