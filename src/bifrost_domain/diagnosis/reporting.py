"""Writing the report: prose in the user's language, quotes and names as they stand in the log."""

from collections.abc import Iterable
from itertools import islice

import re2
from msgspec import Struct

from bifrost_domain.diagnosis import placing
from bifrost_domain.diagnosis.comparing import difference
from bifrost_domain.diagnosis.observing import CARET_ESCAPE, SEARCHED_CHARACTERS, Note, Observations
from bifrost_domain.diagnosis.reasoning import ABSTAINED, LOUD, Candidate, Finding
from bifrost_domain.diagnosis.signature import MarkKind, Role, Text
from bifrost_domain.logs.fingerprint import masked
from bifrost_domain.logs.lines import Level, Line
from bifrost_domain.report import Action, Category, Evidence, Language, Report, Severity, TimelineEntry

EVIDENCE = 12
"""At most so many quotes: a reader checks a dozen, not a dump."""
NAMES = 10
"""At most so many files and so many tests."""
LAST = 5
"""So many lines before the end are shown where nothing names a cause: tools say last what stopped them."""
INNER = 40
"""So many lines around an installer's verdict can be those of what it ran."""
BESIDE = 3
"""So many lines after the one that decides are shown with it: tools break a message into lines."""
FAILURES = 3
"""Of failures that have nothing in common so many are told each."""
UNSEEN = 0.2
"""The confidence of saying that all is well where a filter left no line."""
_SHOWN = 160
_BRIEF = 80

_T = {
    "healthy": Text("No failure in this log.", "이 로그에는 실패가 없습니다."),
    "healthy_why": Text(
        "No line reports an error or matches a known failure.",
        "오류를 알리거나 알려진 실패와 일치하는 줄이 없습니다.",
    ),
    "little": Text(
        "Nothing in this log tells of a failure, nor of anything else.",
        "이 로그에는 실패도, 다른 판단 근거도 없습니다.",
    ),
    "little_why": Text(
        "It has too few lines, and none of them says when or how anything went.",
        "줄이 너무 적고, 언제 무엇이 어떻게 되었는지 알리는 줄이 없습니다.",
    ),
    "unseen": Text("No line was as severe as was asked for.", "요청한 수준만큼 심각한 줄이 없습니다."),
    "unseen_why": Text(
        "The lines that were left out were read and counted, and not looked at: they may still tell of a failure.",
        "제외된 줄은 읽고 세기만 했을 뿐 살펴보지 않았습니다. 그 안에 실패가 있을 수 있습니다.",
    ),
    "unknown": Text(
        "Something failed, but the log does not tell why", "무언가 실패했지만 로그만으로는 원인을 알 수 없습니다"
    ),
    "novel": Text(
        "Something failed in a way that is not among the known failures",
        "알려진 실패 유형에 없는 방식으로 무언가 실패했습니다",
    ),
    "novel_why": Text(
        "Line {line} says most about it; what stands before and after it tells what it did.",
        "가장 많이 알려 주는 것은 {line}번 줄입니다. 그 앞뒤의 줄에서 무엇을 하던 중이었는지 확인하세요.",
    ),
    "unknown_why": Text(
        "The lines below report the failure without naming a cause; the cause stands in a part of the log that is "
        "missing here, or in the log of another component.",
        "아래 줄은 실패를 알릴 뿐 원인을 말하지 않습니다. 원인은 여기 없는 로그나 다른 구성 요소의 로그에 있을 수 "
        "있습니다.",
    ),
    "step": Text("It failed in the step that runs {command}.", "실패한 단계의 명령: {command}."),
    "look_wider": Text(
        "Get the log from before the first error, or with a higher log level",
        "첫 오류 이전의 로그나 더 자세한 수준의 로그를 확보하세요",
    ),
    "read_around": Text("Read the lines around the first error", "첫 오류 앞뒤의 줄을 읽으세요"),
    "summary": Text("{what}: {detail}.", "{what}: {detail}."),
    "summary_beneath": Text("{what}: {detail}; {beneath}.", "{what}: {detail}. {beneath}."),
    "because": Text("{why}, so that {what}: {detail}.", "{why}. 그 결과 {what}: {detail}."),
    "told": Text("{what}, as line {line} says{place}{quote}.", "{what}. 근거는 {line}번 줄입니다{place}{quote}."),
    "first": Text(
        "{what}, first at line {line}{place}{quote}.", "{what}. 처음 나타난 곳은 {line}번 줄입니다{place}{quote}."
    ),
    "surfaced": Text("It came to light as {what} (line {line}).", "겉으로는 이렇게 드러났습니다: {what}({line}번 줄)."),
    "more": Text("{first} and {n} more", "{first} 외 {n}건"),
    "values": Text("Expected vs actual: {expected} vs {actual}.", "기대값은 {expected}, 실제값은 {actual}입니다."),
    "values_differ": Text(
        "Expected vs actual: {expected} vs {actual}, which differ only in {difference}.",
        "기대값은 {expected}, 실제값은 {actual}이며 {difference}만 다릅니다.",
    ),
    "failures": Text("There are {n} distinct failures: {list}.", "서로 다른 실패가 {n}건 있습니다: {list}."),
    "failure": Text("{test} (line {line}: {said})", "{test}({line}번 줄: {said})"),
    "finding": Text("The error itself is at line {line}: {quote}.", "오류 내용은 {line}번 줄에 있습니다: {quote}."),
    "beneath": Text("Beneath it, {what} (line {line}): {quote}.", "그 바탕의 원인: {what}({line}번 줄: {quote})."),
    "followed": Text("What followed: {what}.", "그 뒤에 이어진 일: {what}."),
    "one_followed": Text("{what} (line {line})", "{what}({line}번 줄)"),
    "elsewhere": Text("Also seen, apart from this: {what}.", "이와 별개로 나타난 문제: {what}."),
    "others": Text("Besides, {what}.", "그 밖에 {what}."),
    "and": Text(", and ", "; "),
    "reason_advice": Text("what the tool itself advises", "도구가 직접 안내하는 방법입니다"),
    "ended": Text("It ended with exit code {code} (line {line}).", "마지막 종료 코드는 {code}입니다({line}번 줄)."),
    "signalled": Text("It was ended by {signal} (line {line}).", "{signal} 신호로 종료되었습니다({line}번 줄)."),
    "recovered": Text("It recovered at line {line}.", "{line}번 줄에서 복구되었습니다."),
    "reason_cause": Text("{what}", "{what}"),
    "reason_underlying": Text("the cause beneath: {what}", "바탕의 원인: {what}"),
    "reason_test": Text("names what failed", "실패한 테스트를 가리킵니다"),
    "reason_finding": Text("the error itself", "오류 내용입니다"),
    "reason_values": Text("expected and actual value", "기대값과 실제값입니다"),
    "reason_hook": Text("names the check that failed", "실패한 검사를 가리킵니다"),
    "reason_failure": Text("the error of {test}", "{test}의 오류입니다"),
    "reason_elsewhere": Text("another incident: {what}", "별개의 문제: {what}"),
    "reason_beside": Text("stands right beside it", "바로 옆에 있는 줄입니다"),
    "reason_place": Text("where it happened", "발생한 위치입니다"),
    "reason_counts": Text("how much failed in all", "전체 실패 집계입니다"),
    "reason_exit": Text("how it ended", "종료된 상태입니다"),
    "reason_command": Text("what was run", "실행한 명령입니다"),
    "reason_followed": Text("follows from it: {what}", "뒤이어 나타남: {what}"),
    "reason_error": Text("an error without a stated cause", "원인을 밝히지 않은 오류입니다"),
    "event_sign": Text("first sign", "첫 조짐"),
    "event_cause": Text("cause: {what}", "원인: {what}"),
    "event_beneath": Text("what lay beneath: {what}", "바탕의 원인: {what}"),
    "event_followed": Text("consequence: {what}", "결과: {what}"),
    "event_recovered": Text("recovery", "복구"),
    "event_end": Text("failure reported", "실패 보고"),
    "reason_holder": Text("names the session that the others wait for", "다른 세션이 기다리는 세션을 가리킵니다"),
    "reason_statement": Text("the statement it is about", "해당 SQL 문장입니다"),
    "why_shown": Text("Line {line} of {file} shows that {what}.", "{file} {line}번 줄에 따르면 {what}."),
    "why_narrower": Text("It narrows down what the step before shows.", "앞 단계에서 본 것을 더 좁혀 줍니다."),
    "why_cure": Text("It removes the cause, not only what followed.", "결과만이 아니라 원인을 없앱니다."),
    "why_wider": Text(
        "The cause was not logged here, or was logged at a level that is switched off.",
        "원인이 이 로그에 없거나, 꺼진 로그 수준으로 기록되었기 때문입니다.",
    ),
}

_TELLING = re2.compile(
    r"(?i)\bline \d+|[\w/-]\.\w+:\d+|'[^']+'|\"[^\"]+\"|`[^`]+`|: \w|"
    r"\b(?:because|caused by|due to|reason|expected|invalid|missing|unknown|unexpected|cannot|can't|unable|mismatch|"
    r"exceeded|conflict|denied|refused|duplicate|corrupt|unbalanced|not (?:found|allowed|supported|valid|a))\b"
)
"""What makes a line concrete: a place, a quoted name, a reason after a colon, a word for what does not fit."""
_SIGNALS = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    5: "SIGTRAP",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
    24: "SIGXCPU",
    25: "SIGXFSZ",
    31: "SIGSYS",
}
"""Signals of Linux by number (signal(7)). A shell reports the end by one as exit code 128 plus its number."""


class _Writer(Struct, frozen=True, kw_only=True):
    lines: tuple[Line, ...]
    observations: Observations
    finding: Finding
    language: Language

    def say(self, key: str, **values: object) -> str:
        """A sentence of the table. Log text only ever fills a place in it and is never itself a template."""
        return _T[key].of(self.language).format(**values)

    def what(self, candidate: Candidate) -> str:
        return candidate.signature.what.of(self.language)

    @property
    def several(self) -> bool:
        """Whether the lines are those of more than one file; a digest has the lines of a file together."""
        return self.lines[0].file != self.lines[-1].file

    def number(self, index: int) -> str:
        """The number of a line, with its file where there are several: "12", "12 of web.log"."""
        line = self.lines[index]
        if not self.several:
            return str(line.number)
        return Text(f"{line.number} of {line.file}", f"{line.file} {line.number}").of(self.language)

    def quote(self, index: int) -> str:
        """The text of a line as part of a sentence."""
        return _phrase(_bare(self.lines[index]))


def report(lines: tuple[Line, ...], observations: Observations, finding: Finding, language: Language) -> Report:
    writer = _Writer(lines=lines, observations=observations, finding=finding, language=language)
    cause = finding.cause
    if cause is None:
        return _silent(writer)
    tests = _tests(writer)
    files = _files(writer, cause)
    consequences = [one.signature.severity for one in finding.followed if one.signature.stage is not None]
    consequences += [one.signature.severity for one in finding.elsewhere]
    severity = max([cause.signature.severity, *consequences], key=lambda level: level.rank)
    if finding.recovery is not None and not finding.followed:
        severity = min(severity, Severity.WARNING, key=lambda level: level.rank)
    return Report(
        severity=severity,
        category=finding.category,
        summary=_summary(writer, cause, tests),
        root_cause=_root_cause(writer, cause, tests),
        confidence=finding.confidence,
        files=tuple(files[:NAMES]),
        tests=tuple(tests[:NAMES]),
        evidence=_evidence(writer, cause),
        actions=_actions(writer, cause),
        timeline=_timeline(writer, cause),
    )


def _silent(writer: _Writer) -> Report:
    if not writer.lines:
        return Report(
            severity=Severity.OK,
            category=Category.NONE,
            summary=writer.say("unseen"),
            root_cause=writer.say("unseen_why"),
            confidence=UNSEEN,
        )
    if not writer.finding.failed:
        little = writer.finding.confidence <= ABSTAINED
        return Report(
            severity=Severity.OK,
            category=Category.NONE,
            summary=writer.say("little" if little else "healthy"),
            root_cause=writer.say("little_why" if little else "healthy_why"),
            confidence=writer.finding.confidence,
        )
    exits = [note.index for note in writer.observations.noted(MarkKind.EXIT)]
    passed = {note.index for note in writer.observations.noted(MarkKind.PASSED)}
    errors = [index for index, line in enumerate(writer.lines) if line.level in LOUD and index not in exits]
    if writer.observations.pipeline and exits:
        # What a command prints last stands before its exit; errors far above belong to others.
        first = exits[0]
        start = max((index + 1 for index in passed if index < first), default=writer.observations.begin)
        inside = [index for index in range(start, first) if index not in writer.observations.echoed]
        last = [index for index in inside if _bare(writer.lines[index])][-LAST:]
        errors = (
            [index for index in errors if max(start, first - placing.AROUND) <= index < last[0]][-2:] + last
            if last
            else []
        )
    loud = [index for index in errors if writer.lines[index].level in LOUD and index not in exits]
    most = max(loud, key=lambda index: _concrete(_bare(writer.lines[index])), default=None)
    novel = most is not None and _concrete(_bare(writer.lines[most])) > 1
    first_of_all = [most] if most is not None and novel else []
    shown = _distinct(writer.lines, [*first_of_all, *sorted(set(errors))[: LAST + 2], *exits[:2]])
    summary = writer.say("novel" if novel else "unknown")
    if shown:
        said = most if most is not None else next((i for i in reversed(shown) if i not in exits), shown[0])
        summary += f": {writer.quote(said)}"
    step = _phrase(writer.finding.step)
    parts = [writer.say("step", command=step)] if step else []
    parts.append(
        writer.say("novel_why", line=writer.number(most)) if novel and most is not None else writer.say("unknown_why")
    )
    parts += _ended(writer)
    return Report(
        severity=Severity.ERROR,
        category=writer.finding.category,
        summary=f"{summary}.",
        root_cause=" ".join(parts),
        confidence=writer.finding.confidence,
        evidence=_quotes(
            writer,
            [(i, writer.say("reason_exit") if i in exits else writer.say("reason_error")) for i in shown],
        ),
        actions=(Action(title=writer.say("look_wider"), why=writer.say("why_wider")),),
        timeline=_events(writer, [(i, writer.say("event_end")) for i in exits[:1]]),
    )


def _summary(writer: _Writer, cause: Candidate, tests: list[str]) -> str:
    underlying = writer.finding.underlying
    what, detail = writer.what(cause), _detail(writer, cause, tests)
    if underlying is None:
        return _sentence(writer.say("summary", what=what, detail=detail))
    beneath = writer.what(underlying)
    if writer.finding.category is underlying.signature.category is not cause.signature.category:
        return _sentence(writer.say("because", why=beneath, what=what, detail=detail))
    return _sentence(writer.say("summary_beneath", what=what, detail=detail, beneath=beneath))


def _detail(writer: _Writer, cause: Candidate, tests: list[str]) -> str:
    """What the failure is about: a name, where the catalogue or a runner gives one, else the line that states it."""
    if tests and cause.signature.category is Category.TEST_FAILURE:
        return writer.say("more", first=tests[0], n=len(tests) - 1) if len(tests) > 1 else tests[0]
    return _phrase(_subject(cause)) or writer.quote(cause.deciding.index)


def _root_cause(writer: _Writer, cause: Candidate, tests: list[str]) -> str:
    """The cause, why it broke things, what proves it, what followed and how it ended: a sentence each."""
    finding = writer.finding
    underlying = finding.underlying
    deciding = cause.deciding
    verdict = cause.signature.role is Role.VERDICT
    overruled = finding.overruled
    first = underlying if underlying is not None and overruled else cause
    quote = writer.quote(first.deciding.index)
    place = "" if overruled else placing.first_place(writer.lines, writer.observations, cause)
    parts = [
        writer.say(
            "told" if first.signature.role is Role.VERDICT else "first",
            what=writer.what(first),
            line=writer.number(first.deciding.index),
            place=f" ({place})" if place else "",
            quote="" if quote == _detail(writer, cause, tests) else f": {quote}",
        )
    ]
    why = first.signature.why.of(writer.language)
    parts.append(why if not verdict or overruled else why.partition(". ")[0].rstrip(".") + ".")
    wrapper = _wrapper(writer, cause)
    if wrapper is not None:
        parts.append(writer.say("surfaced", what=writer.quote(wrapper), line=writer.number(wrapper)))
    elif underlying is not None and overruled:
        parts.append(writer.say("surfaced", what=writer.what(cause), line=writer.number(deciding.index)))
    if underlying is not None and not overruled:
        index = underlying.deciding.index
        parts.append(
            writer.say(
                "beneath",
                line=writer.number(index),
                what=writer.what(underlying),
                quote=writer.quote(index),
            )
        )
    if verdict:
        parts.extend(_proof(writer, cause, tests))
    if finding.others:
        parts.append(writer.say("others", what=writer.say("and").join(writer.what(one) for one in finding.others)))
    if finding.followed:
        parts.append(writer.say("followed", what="; ".join(_followed(writer, one) for one in finding.followed)))
    if finding.elsewhere:
        parts.append(writer.say("elsewhere", what="; ".join(_followed(writer, one) for one in finding.elsewhere)))
    parts += _ended(writer)
    if finding.recovery is not None:
        parts.append(writer.say("recovered", line=writer.number(finding.recovery)))
    return " ".join(_sentence(part) for part in parts)


def _ended(writer: _Writer) -> list[str]:
    """How the last process that told it ended: by which exit code or signal."""
    for note in reversed(writer.observations.noted(MarkKind.EXIT)):
        line = writer.number(note.index)
        if "signal" in note.groups:
            number = note.groups["signal"]
            return [writer.say("signalled", signal=_SIGNALS.get(int(number), number), line=line)]
        if code := note.groups.get("code"):
            signal = _SIGNALS.get(int(code) - 128) if code.isdigit() else None
            return [writer.say("ended", code=f"{code}/{signal}" if signal else code, line=line)]
    return []


def _wrapper(writer: _Writer, cause: Candidate) -> int | None:
    """The line of the exception that wraps the one a trace began with, where the trace shows both."""
    if not cause.signature.nested:
        return None
    block = writer.lines[cause.deciding.index].block
    above = (hit.index for hit in cause.hits if hit.index < cause.deciding.index and "subject" in hit.groups)
    return next((index for index in above if writer.lines[index].block == block), None)


def _failures(writer: _Writer, tests: list[str]) -> list[tuple[str, int]]:
    """The failed tests that end with different errors, each with the line that says its error.

    An error stands under the name of its test, or after it (` - `). Tests of one file that say the same but for
    numbers count once.
    """
    found: dict[str, int] = {}
    current = ""
    for note in writer.observations.noted(MarkKind.TEST, MarkKind.FINDING):
        if note.kind is MarkKind.FINDING:
            if current:
                found.setdefault(current, note.index)
            continue
        name = note.groups["test"].strip()
        tail = "::" + name.replace(".", "::")
        named = [test for test in tests if test == name or test.endswith((tail, f" > {name}"))]
        current = next((test for test in named if test not in found), "")
        if current and f"{name} - " in writer.lines[note.index].text:
            found[current] = note.index
    distinct: dict[tuple[str, str], tuple[str, int]] = {}
    for test in tests:
        if test in found:
            said = _bare(writer.lines[found[test]]).partition(f"{test} - ")
            key = test.partition("::")[0], masked(said[2] or said[0])
            distinct.setdefault(key, (test, found[test]))
    return list(distinct.values())


def _said(writer: _Writer, index: int) -> str:
    """What a line says of an error; the next one where it ends with a colon."""
    lines, text = writer.lines, _bare(writer.lines[index])
    if text.endswith(":") and index + 1 < len(lines) and lines[index + 1].number == lines[index].number + 1:
        return writer.quote(index + 1) or writer.quote(index)
    return writer.quote(index)


def _proof(writer: _Writer, cause: Candidate, tests: list[str]) -> list[str]:
    """What a tool's verdict rests on: each failure where there are several, the values that differ, else its first
    finding."""
    failures = _failures(writer, tests) if cause.signature.category is Category.TEST_FAILURE else []
    if len(failures) > 1:
        told = [
            writer.say(
                "failure",
                test=test,
                line=writer.number(index),
                said=_phrase(_said(writer, index).rpartition(f"{test} - ")[2], _BRIEF),
            )
            for test, index in failures[:FAILURES]
        ]
        rest = len(failures) - len(told)
        listed = "; ".join(told)
        listed = writer.say("more", first=listed, n=rest) if rest else listed
        return [writer.say("failures", n=len(failures), list=listed)]
    expected, actual = _values(writer.observations)
    if expected and actual:
        small = difference(expected, actual)
        values = {"expected": _phrase(expected), "actual": _phrase(actual)}
        if small is None:
            return [writer.say("values", **values)]
        return [writer.say("values_differ", difference=small.of(writer.language), **values)]
    findings = [note.index for note in placing.nearest(writer.observations, MarkKind.FINDING, cause)]
    if cause.deciding.index in findings:
        return []
    return [writer.say("finding", line=writer.number(index), quote=writer.quote(index)) for index in findings[:1]]


def _followed(writer: _Writer, one: Candidate) -> str:
    return writer.say("one_followed", what=writer.what(one), line=writer.number(one.first))


def _evidence(writer: _Writer, cause: Candidate) -> tuple[Evidence, ...]:
    observations, finding = writer.observations, writer.finding
    what = writer.say("reason_cause", what=writer.what(cause))
    pipeline_verdict = cause.signature.role is Role.VERDICT
    chosen: list[tuple[int, str]] = []

    def add(indexes: Iterable[int], reason: str, most: int) -> None:
        taken = [index for index, _ in chosen]
        fresh = _distinct(writer.lines, [*taken, *indexes])[len(_distinct(writer.lines, taken)) :]
        chosen.extend((index, reason) for index in fresh[:most])

    deciding = cause.deciding
    findings = (
        [note.index for note in placing.nearest(writer.observations, MarkKind.FINDING, cause)]
        if pipeline_verdict
        else []
    )
    tests = [note.index for note in observations.noted(MarkKind.TEST)]
    if cause.signature.category is Category.TEST_FAILURE and (findings or deciding.index not in tests):
        add(findings or tests, writer.say("reason_finding" if findings else "reason_test"), 1)
    add([deciding.index], what, 1)
    beside = [n for n in observations.noted(MarkKind.HOLDER, MarkKind.DETAIL) if 0 < n.index - deciding.index <= 4]
    add((n.index for n in beside if n.kind is MarkKind.HOLDER), writer.say("reason_holder"), 1)
    add((n.index for n in beside if n.kind is MarkKind.DETAIL), writer.say("reason_statement"), 1)
    add((hit.index for hit in cause.hits), what, 3 if pipeline_verdict else 2)
    failures = _failures(writer, _tests(writer)) if cause.signature.category is Category.TEST_FAILURE else []
    for test, index in failures[:FAILURES] if len(failures) > 1 else ():
        add((index,), writer.say("reason_failure", test=test), 1)
    for one in finding.elsewhere:
        add((one.deciding.index,), writer.say("reason_elsewhere", what=writer.what(one)), 1)
    if finding.underlying is not None:
        reason = writer.say("reason_underlying", what=writer.what(finding.underlying))
        add((hit.index for hit in finding.underlying.hits), reason, 2)
    for other in finding.others:
        add((hit.index for hit in other.hits), writer.say("reason_cause", what=writer.what(other)), 2)
    counts = observations.noted(MarkKind.COUNTS)
    if pipeline_verdict:
        add((n.index for n in reversed(counts)), writer.say("reason_counts"), 1)
        add(tests, writer.say("reason_test"), 3)
        add(findings, writer.say("reason_finding"), 3)
        add((n.index for n in observations.noted(MarkKind.VALUES)), writer.say("reason_values"), 2)
        add((n.index for n in reversed(observations.noted(MarkKind.HOOK))), writer.say("reason_hook"), 1)
    elif cause.signature.category in (Category.DEPENDENCY_INSTALL, Category.CONTAINER_BUILD):
        # An installer prints what the program that it ran had to say around its own verdict.
        inner = [
            n
            for n in placing.nearest(writer.observations, MarkKind.FINDING, cause)
            if abs(n.index - deciding.index) <= INNER
        ]
        add((n.index for n in reversed(inner)), writer.say("reason_finding"), 2)
    add((n.index for n in reversed(counts)), writer.say("reason_counts"), 1)
    places: dict[str, Note] = {}
    for note in placing.places(writer.lines, writer.observations, cause):
        places.setdefault(note.groups["file"], note)
    add((n.index for n in places.values()), writer.say("reason_place"), 3)
    if cause.signature.category in (Category.FORMATTING_FAILURE, Category.LINT_FAILURE):
        add((n.index for n in placing.listed(observations, cause)), writer.say("reason_place"), 3)
    advice = [
        n for n in placing.nearest(writer.observations, MarkKind.ADVICE, cause) if abs(n.index - deciding.index) <= 30
    ]
    add((n.index for n in advice), writer.say("reason_advice"), 1)
    if observations.pipeline:
        add(_beside(writer, deciding.index), writer.say("reason_beside"), BESIDE)
    for followed in finding.followed:
        add((followed.first,), writer.say("reason_followed", what=writer.what(followed)), 1)
    commands = [n for n in observations.noted(MarkKind.COMMAND) if n.index <= deciding.index]
    add((n.index for n in reversed(commands)), writer.say("reason_command"), 1)
    # How it ended is the last quote, whatever else there is to show.
    del chosen[EVIDENCE - 1 :]
    exits = observations.noted(MarkKind.EXIT)
    add((n.index for n in reversed(exits)), writer.say("reason_exit"), min(2, EVIDENCE - len(chosen)))
    return _quotes(writer, chosen)


def _beside(writer: _Writer, index: int) -> list[int]:
    """The lines that follow one without a gap, as far as the output of the same command goes."""
    lines, shown = writer.lines, []
    ends = {note.index for note in writer.observations.noted(MarkKind.EXIT, MarkKind.COMMAND, MarkKind.RUNNER)}
    for place in range(index + 1, min(len(lines), index + 2 * BESIDE + 1)):
        if place in ends or lines[place].number > lines[place - 1].number + 2:
            break
        if len(_bare(lines[place])) > 2:
            shown.append(place)
    return shown


def _quotes(writer: _Writer, chosen: list[tuple[int, str]]) -> tuple[Evidence, ...]:
    """The chosen lines as evidence, one quote a line: what a runner puts before a line is not part of its text, so
    that joined lines would not stand in the original."""
    return tuple(
        Evidence(
            file=(line := writer.lines[index]).file,
            line_start=line.number,
            line_end=line.number,
            quote=line.text,
            reason=reason,
            verified=True,
        )
        for index, reason in chosen
    )


def _actions(writer: _Writer, cause: Candidate) -> tuple[Action, ...]:
    actions = []
    for candidate in (writer.finding.underlying, cause):
        if candidate is None:
            continue
        line = writer.lines[candidate.deciding.index]
        shown = writer.say("why_shown", line=line.number, file=line.file, what=writer.what(candidate))
        for place, step in enumerate(candidate.signature.steps):
            why = shown if not place else writer.say("why_narrower" if step.command else "why_cure")
            actions.append(Action(title=step.title.of(writer.language), command=step.command, why=why))
        if candidate is cause and not actions:
            actions.append(Action(title=writer.say("read_around"), why=shown))
    if writer.finding.elsewhere:
        del actions[3:]
    for one in writer.finding.elsewhere:
        for step in one.signature.steps[:1]:
            shown = writer.say(
                "why_shown",
                line=writer.lines[one.deciding.index].number,
                file=writer.lines[one.deciding.index].file,
                what=writer.what(one),
            )
            actions.append(Action(title=step.title.of(writer.language), command=step.command, why=shown))
    return tuple(actions[:4])


def _timeline(writer: _Writer, cause: Candidate) -> tuple[TimelineEntry, ...]:
    """Onset, cause, cascade, and recovery or end, in the order of the log."""
    finding, pipeline = writer.finding, writer.observations.pipeline
    events: dict[int, str] = {}
    first = cause.deciding.index if pipeline else cause.first
    events[first] = writer.say("event_cause", what=writer.what(cause))
    signs = (
        index
        for index, line in enumerate(writer.lines[:first])
        if (line.level in LOUD or line.level is Level.WARNING)
        and index >= writer.observations.begin
        and line.file == writer.lines[first].file
    )
    for sign in islice(signs, 1):
        events[sign] = writer.say("event_sign")
    if finding.underlying is not None:
        events.setdefault(finding.underlying.first, writer.say("event_beneath", what=writer.what(finding.underlying)))
    for one in finding.followed:
        events.setdefault(one.first, writer.say("event_followed", what=writer.what(one)))
    exits = [note.index for note in writer.observations.noted(MarkKind.EXIT) if note.index > first]
    if finding.recovery is not None:
        events.setdefault(finding.recovery, writer.say("event_recovered"))
    elif exits:
        events.setdefault(exits[-1], writer.say("event_end"))
    return _events(writer, sorted(events.items()))


def _events(writer: _Writer, events: list[tuple[int, str]]) -> tuple[TimelineEntry, ...]:
    """The events in the order of the log, those of several files in the order of their times and with their files."""
    lines = [(writer.lines[index], event) for index, event in events]
    several = writer.several
    times = [line.time for line, _ in lines if line.time is not None]
    if several and len(times) == len(lines):
        lines = [pair for _, pair in sorted(zip(times, lines, strict=True), key=lambda it: it[0])]
    return tuple(
        TimelineEntry(
            at=line.time.isoformat().replace("+00:00", "Z") if line.time else None,
            line=line.number,
            event=f"{event} ({line.file})" if several else event,
        )
        for line, event in lines
    )


def _subject(candidate: Candidate) -> str:
    if "subject" in candidate.deciding.groups:
        return candidate.deciding.groups["subject"]
    return next((hit.groups["subject"] for hit in candidate.hits if "subject" in hit.groups), "")


def _tests(writer: _Writer) -> list[str]:
    """Names of the tests that failed, in order, with the file before a name where a runner prints it above."""
    cause = writer.finding.cause
    if cause is None or cause.signature.category not in (
        Category.TEST_FAILURE,
        Category.COMPILE_ERROR,
        Category.TIMEOUT,
        Category.CRASH,
        Category.APPLICATION_ERROR,
        *_environment_categories(),
    ):
        return []
    names: dict[str, None] = {}
    packages: set[str] = set()
    heading = ""
    for note in writer.observations.noted(MarkKind.TEST):
        name = note.groups["test"].strip()
        if not name or name.startswith(("Console", "Test suite failed", "coverage:", "summary")):
            continue
        if name == note.groups.get("file"):
            heading = name
        text = writer.lines[note.index].text
        if text.startswith("FAIL\t"):
            packages.add(name)
        qualified = f"{heading} > {name}" if heading and "●" in text and name != heading else name
        names.setdefault(qualified)
    if packages and len(names) > len(packages):
        # go test repeats the package under the tests of it that failed.
        names = {name: None for name in names if name not in packages}
    if any("::" in name for name in names):
        return [name for name in names if "::" in name]
    return [
        name
        for name in names
        if not any(other != name and (other.startswith(name) or other.endswith(f" {name}")) for other in names)
    ]


def _environment_categories() -> tuple[Category, ...]:
    return (
        Category.NETWORK,
        Category.DNS,
        Category.TLS,
        Category.RATE_LIMIT,
        Category.PERMISSION_OR_SECRET,
        Category.OUT_OF_MEMORY,
        Category.DATABASE,
        Category.CONFIGURATION,
    )


def _files(writer: _Writer, cause: Candidate) -> list[str]:
    """Files of the project that the failure concerns: those the cause itself names, then the nearest places."""
    observations, finding = writer.observations, writer.finding
    names: dict[str, None] = {}

    def add(groups: Iterable[str]) -> None:
        for name in groups:
            cleaned = placing.cleaned(name)
            if placing.in_project(cleaned):
                names.setdefault(cleaned)

    own = {hit.index for hit in cause.hits}
    places = observations.noted(MarkKind.PLACE)
    add(hit.groups["file"] for hit in cause.hits if "file" in hit.groups)
    tool = observations.pipeline or cause.signature.role is Role.VERDICT
    named = [note for note in places if note.index in own and tool]
    if cause.signature.role is Role.VERDICT:
        named += observations.noted(MarkKind.TEST)
    add(n.groups["file"] for n in sorted(named, key=lambda note: note.index) if "file" in n.groups)
    for other in finding.others:
        own = {hit.index for hit in other.hits}
        add(note.groups["file"] for note in places if note.index in own and "file" in note.groups)
    if cause.signature.category in (Category.FORMATTING_FAILURE, Category.LINT_FAILURE):
        add(note.groups["file"] for note in placing.listed(observations, cause))
    add(note.groups["file"] for note in placing.places(writer.lines, writer.observations, cause)[:12])
    return list(names)


def _values(observations: Observations) -> tuple[str, str]:
    expected = actual = ""
    for note in observations.noted(MarkKind.VALUES):
        expected = expected or note.groups.get("expected", "")
        actual = actual or note.groups.get("actual", "")
        if expected and actual:
            break
    return expected, actual


def _bare(line: Line) -> str:
    return (line.message or line.text).strip()


def _concrete(text: str) -> int:
    """How many different concrete things a line says."""
    return len({found.lower() for found in _TELLING.findall(text[:SEARCHED_CHARACTERS])})


def _phrase(text: str, most: int = _SHOWN) -> str:
    """Log text as part of a sentence: without a closing remark about where to read more, cut between words."""
    head, bracket, remark = text.strip().rpartition(" (")
    text = head if bracket and remark.endswith(")") and "://" in remark else text
    text = " ".join(CARET_ESCAPE.sub("", text).split()).removeprefix("E ")
    if len(text) > most:
        word = text.rfind(" ", most - 30, most)
        return text[: word if word > 0 else most].rstrip(" ,;:") + "…"
    return text.rstrip(" .;:")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _distinct(lines: tuple[Line, ...], indexes: Iterable[int]) -> list[int]:
    """The indexes without those whose line says the same as an earlier one."""
    seen: set[str] = set()
    kept: list[int] = []
    for index in indexes:
        text = _bare(lines[index])
        if text and text not in seen:
            seen.add(text)
            kept.append(index)
    return kept
