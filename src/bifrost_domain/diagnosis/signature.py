"""What the catalogue is made of: signatures of known failures, and marks that point at names and places."""

from enum import IntEnum, StrEnum

from msgspec import Struct

from bifrost_domain.report import Category, Language, Severity


class Text(Struct, frozen=True):
    """Prose in every language of a report."""

    en: str
    ko: str

    def of(self, language: Language) -> str:
        return self.ko if language is Language.KO else self.en


class Role(StrEnum):
    """What a matching line is to the story of a failure.

    CAUSE: states why something broke. VERDICT: a tool's own conclusion, which it backs with findings.
    SYMPTOM: mostly follows from something else and names a cause only where there is no better.
    """

    CAUSE = "cause"
    VERDICT = "verdict"
    SYMPTOM = "symptom"


class Stage(IntEnum):
    """How deep in a cascade a trouble lies. What begins at one stage brings about what begins later at a higher one.

    RESOURCE: what a program needs is missing, used up or refused. HOLD: something keeps what others wait for.
    CONTENTION: those who wait for it. SATURATION: the waiting have taken all places. SILENCE: whoever asks now gets no
    answer in time. SURFACE: what a user or supervisor sees of it.
    """

    RESOURCE = 0
    HOLD = 1
    CONTENTION = 2
    SATURATION = 3
    SILENCE = 4
    SURFACE = 5


class Step(Struct, frozen=True):
    """A next step. `command` never changes or deletes data and never comes from a log."""

    title: Text
    command: str | None = None


class Signature(Struct, frozen=True, kw_only=True):
    """One known sort of failure.

    `patterns` are RE2, searched in one line. Their named groups give details: `subject` is what the failure is about,
    and the groups of `Mark` are read as well. `weight`, from 0 to 1, is how likely a line of this sort is the cause
    where it stands in the log of something that failed. `what` says what broke, `why` what that means; both are
    whole statements without a full stop at the end of `what`. `stage` is None for what takes no part in the cascades
    of running services. `late`: the line is printed when the trouble ends, so that it may stand after what it caused.
    `nested`: of several matches in one trace the last is the first error and the ones above wrap it.
    """

    name: str
    category: Category
    patterns: tuple[str, ...]
    what: Text
    why: Text
    weight: float
    steps: tuple[Step, ...] = ()
    severity: Severity = Severity.ERROR
    role: Role = Role.CAUSE
    stage: Stage | None = None
    late: bool = False
    nested: bool = False


class MarkKind(StrEnum):
    """What a mark tells of its line.

    TEST: names a test that failed. FINDING: states what a tool objects to. VALUES: what was expected and what came.
    PLACE: names a file of the project. COUNTS: a tool's totals. EXIT: how a step or process ended. COMMAND: what was
    run. RUNNER: printed by a CI runner. LISTED: a bare path, as tools list them. ADVICE: a tool's own word on how to
    repair it. TEST_PASSED: a test began or passed. HOOK: names the check of a set that failed. SUCCEEDED: the runner
    says that a job came to its end. HEALTHY: something went well. RECOVERED: trouble before it passed. HOLDER: names
    the process that others wait for. DETAIL: the statement that a database's message is about. PASSED: a command of a
    job ended well.
    """

    TEST = "test"
    FINDING = "finding"
    VALUES = "values"
    PLACE = "place"
    COUNTS = "counts"
    EXIT = "exit"
    COMMAND = "command"
    RUNNER = "runner"
    LISTED = "listed"
    ADVICE = "advice"
    TEST_PASSED = "test_passed"
    HOOK = "hook"
    SUCCEEDED = "succeeded"
    HEALTHY = "healthy"
    RECOVERED = "recovered"
    HOLDER = "holder"
    DETAIL = "detail"
    PASSED = "passed"


class Mark(Struct, frozen=True):
    """Lines that say nothing of a cause by themselves, but give names to it.

    Named groups: `test`, `file`, `line`, `expected`, `actual`, `code` (an exit status),
    `signal` (the number of the one that ended a process), `within` (the class of a frame), `holder` (a process id).
    """

    kind: MarkKind
    patterns: tuple[str, ...]
