"""Scores of reports against labelled cases: comparisons of names, lines and strings, and never another model's opinion.

A score is None where a case has no label for it, so that it takes no part in the mean.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import msgspec
import re2
from msgspec import Meta, Struct

from bifrost_domain.errors import BadOption
from bifrost_domain.grounding import HEURISTIC_MARK
from bifrost_domain.logs.templates import mask
from bifrost_domain.report import Analysis, Category, Evidence, Report, Severity

CONFIDENT = 0.7
"""A wrong category held with at least this confidence is a confident error."""
LEAST_OVERLAP = 6
"""A quote of fewer characters than this says the same as a labelled line only where it is the whole line."""

_PLACE = re2.compile(r"(?::\d+)+$")

LineNumber = Annotated[int, Meta(ge=1)]
Words = Annotated[str, Meta(min_length=1)]


class Label(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The truth about one case, as `truth.json` states it; what is left out is not scored.

    log: the log, as a path within the case's folder.
    severity, category: what a report should say; `categories_accepted` are true as well.
    cause: the truth in a sentence, for people; it is not scored.
    decisive_lines: the lines that prove the cause, of which a report should cite one of each text.
    consequence_lines: lines that are true and loud and not the cause; to cite them costs no precision.
    must_mention: of each group of words one has to be in the summary or the root cause, in any case.
    files, tests: names that the failure concerns.
    signals: texts of which each has to be in the report, for logs that are labelled by text and not by line.
    """

    log: Words
    severity: Severity | None = None
    category: Category | None = None
    categories_accepted: tuple[Category, ...] = ()
    cause: str = ""
    decisive_lines: tuple[LineNumber, ...] = ()
    consequence_lines: tuple[LineNumber, ...] = ()
    must_mention: tuple[Annotated[tuple[Words, ...], Meta(min_length=1)], ...] = ()
    files: tuple[Words, ...] = ()
    tests: tuple[Words, ...] = ()
    signals: tuple[Words, ...] = ()

    @property
    def numbered(self) -> frozenset[int]:
        """The lines whose text the scores need."""
        return frozenset((*self.decisive_lines, *self.consequence_lines))


class Scores(Struct, frozen=True, kw_only=True):
    """One report against its label, each from 0 to 1.

    category: 1 where the category is the labelled one or an accepted one.
    severity: 1 where the severity is the labelled one.
    cause_cited: 1 where a decisive line is cited, be it one of many that say the same.
    evidence_recall: cited / labelled, over the distinct texts of the decisive lines and the signals. Texts are distinct
        that differ in more than times, ids and numbers; a signal is cited where a quote holds it.
    evidence_precision: items of evidence that cite a labelled line or hold a signal / items of evidence. Labels name
        the decisive lines and not all that is relevant, so this is a lower bound.
    files, tests: labelled names that the report lists / labelled names.
    terms: groups of `must_mention` with a word in the summary or root cause / groups.
    signals: signals in the summary, root cause, quotes, files, tests or next steps / signals.
    confident_error: 1 where the category is wrong and the confidence is at least `CONFIDENT`. Lower is better.
    abstained: 1 where the category is `unknown`. Neither good nor bad in itself.
    grounding: quotes that code found in the log / quotes that the engine claimed.
    own_diagnosis: 1 where summary and root cause are the engine's own and were not taken over from the heuristic's.
    """

    category: float | None = None
    severity: float | None = None
    cause_cited: float | None = None
    evidence_recall: float | None = None
    evidence_precision: float | None = None
    files: float | None = None
    tests: float | None = None
    terms: float | None = None
    signals: float | None = None
    confident_error: float | None = None
    abstained: float | None = None
    grounding: float | None = None
    own_diagnosis: float | None = None


METRICS = tuple(field.name for field in msgspec.structs.fields(Scores))
HIGHER_IS_BETTER = tuple(name for name in METRICS if name not in ("confident_error", "abstained"))


class Row(Struct, frozen=True, kw_only=True):
    """One engine on one case. `error` says why there is no report; `degraded` why the report is the heuristic's.

    `seconds` is wall time; `cost_usd` is None where no price is known.
    """

    case: str
    engine: str
    scores: Scores = Scores()
    category: Category | None = None
    severity: Severity | None = None
    confidence: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    seconds: float = 0.0
    degraded: str | None = None
    error: str | None = None


class Mean(Struct, frozen=True, kw_only=True):
    """The macro average, each case counting alike: the sum of the scores / `n`, the cases that have one."""

    mean: float | None
    n: int


class Summary(Struct, frozen=True, kw_only=True):
    """One engine on all cases.

    `scores` are over the `answered` cases alone; `delivered` are over the `degraded` ones as well, in which the engine
    failed and the heuristic answered: they are what a user of the engine gets. Tokens, cost and seconds are sums.
    """

    engine: str
    prompt: str | None
    cases: int
    answered: int
    degraded: int
    failed: int
    scores: dict[str, Mean]
    delivered: dict[str, Mean]
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    seconds: float


class Floor(Struct, frozen=True, kw_only=True):
    """A score of `METRIC=VALUE` that an engine must reach."""

    metric: str
    value: float

    def held_by(self, summary: Summary) -> bool:
        """Whether the mean reaches the floor; a metric that no case has a score for does not."""
        mean = summary.scores[self.metric].mean
        return mean is not None and mean >= self.value


def read_label(data: bytes, where: str) -> Label:
    """The label in the JSON text `data`. Raises BadOption, naming the file `where` and the field."""
    try:
        label = msgspec.json.decode(data, type=Label)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadOption(f"{where}: {error}", hint="docs/how-to/evaluate-engines.md lists the fields") from error
    except RecursionError as error:
        raise BadOption(f"{where}: nested too deeply") from error
    if label.log.startswith("/") or ".." in label.log.split("/"):
        raise BadOption(f"{where}: the log must lie in the case's folder - at `$.log`")
    if label.categories_accepted and label.category is None:
        raise BadOption(f"{where}: `categories_accepted` needs a `category` - at `$.category`")
    if label == Label(log=label.log, cause=label.cause):
        raise BadOption(
            f"{where}: nothing is labelled, so nothing can be scored", hint="state `category` or `signals` at the least"
        )
    return label


def read_floor(text: str) -> Floor:
    """`METRIC=VALUE`. Raises BadOption for a metric that does not exist or is better when low, and for no number."""
    metric, _, value = text.partition("=")
    if metric not in HIGHER_IS_BETTER:
        raise BadOption(f"{metric!r} is no metric to set a floor for", hint=f"there are {', '.join(HIGHER_IS_BETTER)}")
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise BadOption(f"{value!r} is no score", hint=f"write {metric}=VALUE with a number from 0 to 1")
    return Floor(metric=metric, value=number)


def score(analysis: Analysis, label: Label, texts: Mapping[int, str]) -> Scores:
    """The scores of one analysis. `texts` has the clean text of the lines `label.numbered`, by number."""
    report, claims = analysis.report, analysis.grounding
    right = None if label.category is None else report.category in (label.category, *label.categories_accepted)
    decisive = _distinct(label.decisive_lines, texts)
    labelled = _distinct((*label.decisive_lines, *label.consequence_lines), texts)
    cited = [any(_cites(item, lines, text) for item in report.evidence) for text, lines in decisive.items()]
    quoted = [any(signal in item.quote for item in report.evidence) for signal in label.signals]
    relevant = [
        any(_cites(item, lines, text) for text, lines in labelled.items())
        or any(signal in item.quote for signal in label.signals)
        for item in report.evidence
    ]
    prose = f"{report.summary}\n{report.root_cause}".lower()
    shown = _shown(report)
    return Scores(
        category=_binary(right),
        severity=_binary(None if label.severity is None else report.severity is label.severity),
        cause_cited=_binary(any(cited) if cited else None),
        evidence_recall=_share((*cited, *quoted)),
        evidence_precision=_share(relevant) if labelled or label.signals else None,
        files=_share([any(_same_file(name, file) for file in report.files) for name in label.files]),
        tests=_share([any(name in test for test in report.tests) for name in label.tests]),
        terms=_share([any(word.lower() in prose for word in group) for group in label.must_mention]),
        signals=_share([signal in shown for signal in label.signals]),
        confident_error=_binary(None if right is None else not right and report.confidence >= CONFIDENT),
        abstained=_binary(report.category is Category.UNKNOWN),
        grounding=claims.verified / claims.claims if claims.claims else None,
        own_diagnosis=_binary(not report.root_cause.startswith(HEURISTIC_MARK)),
    )


def row(case: str, engine: str, analysis: Analysis, label: Label, texts: Mapping[int, str], seconds: float) -> Row:
    """What `engine` made of `case` in `seconds` of wall time."""
    report, usage = analysis.report, analysis.usage
    return Row(
        case=case,
        engine=engine,
        scores=score(analysis, label, texts),
        category=report.category,
        severity=report.severity,
        confidence=report.confidence,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_usd=usage.cost_usd,
        seconds=round(seconds, 3),
        degraded=(analysis.engine.degraded_reason or "") if analysis.engine.degraded else None,
    )


def summarize(engine: str, prompt: str | None, rows: Sequence[Row]) -> Summary:
    """The means and sums of one engine's rows."""
    delivered = [row for row in rows if row.error is None]
    answered = [row for row in delivered if row.degraded is None]
    costs = [row.cost_usd for row in answered if row.cost_usd is not None]
    return Summary(
        engine=engine,
        prompt=prompt,
        cases=len(rows),
        answered=len(answered),
        degraded=len(delivered) - len(answered),
        failed=len(rows) - len(delivered),
        scores=_means(answered),
        delivered=_means(delivered),
        input_tokens=sum(row.input_tokens for row in rows),
        output_tokens=sum(row.output_tokens for row in rows),
        cost_usd=round(sum(costs), 8) if answered and len(costs) == len(answered) else None,
        seconds=round(sum(row.seconds for row in rows), 3),
    )


def _means(rows: Iterable[Row]) -> dict[str, Mean]:
    columns: dict[str, list[float]] = {name: [] for name in METRICS}
    for one in rows:
        for name, column in columns.items():
            value = getattr(one.scores, name)
            if value is not None:
                column.append(value)
    return {
        name: Mean(mean=round(sum(column) / len(column), 4) if column else None, n=len(column))
        for name, column in columns.items()
    }


def _distinct(numbers: Iterable[int], texts: Mapping[int, str]) -> dict[str, set[int]]:
    """The labelled lines by what they say apart from times, ids and numbers; one without a text stands for itself."""
    groups: dict[str, set[int]] = {}
    for number in numbers:
        groups.setdefault(_folded(texts.get(number, "")) or f"line {number}", set()).add(number)
    return groups


def _cites(item: Evidence, lines: set[int], text: str) -> bool:
    """Whether `item` covers one of `lines`, or quotes a line that says the same at another place."""
    if any(item.line_start <= number <= item.line_end for number in lines):
        return True
    rows = [_folded(part) for part in item.quote.split("\n")]
    return any(part == text or (len(part) >= LEAST_OVERLAP and part in text) for part in rows if part)


def _folded(line: str) -> str:
    return mask(" ".join(line.split()))


def _same_file(name: str, listed: str) -> bool:
    """Whether `listed`, its line and column aside, is `name` or a longer path to it."""
    path = str(_PLACE.sub("", listed))
    return path == name or path.endswith(f"/{name}")


def _shown(report: Report) -> str:
    quotes = (item.quote for item in report.evidence)
    steps = (f"{action.title}\n{action.command or ''}\n{action.why}" for action in report.actions)
    return "\n".join((report.summary, report.root_cause, *quotes, *report.files, *report.tests, *steps))


def _binary(value: bool | None) -> float | None:
    return None if value is None else float(value)


def _share(hits: Sequence[bool]) -> float | None:
    return sum(hits) / len(hits) if hits else None
