"""What the catalogue is made of: signatures of known failures, and marks that point at names and places."""

from enum import StrEnum

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


class Step(Struct, frozen=True):
    """A next step. `command` never changes or deletes data and never comes from a log."""

    title: Text
    command: str | None = None


class Signature(Struct, frozen=True, kw_only=True):
    """One known sort of failure.

    `patterns` are RE2, searched in one line. Their named groups give details: `subject` is what the failure is about,
    and the groups of `Mark` are read as well. `weight`, from 0 to 1, is how likely a line of this sort is the cause
    where it stands in the log of something that failed. `what` says what broke, `why` what that means; both are
    whole statements without a full stop at the end of `what`.
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


class MarkKind(StrEnum):
    """What a mark tells of its line.

    TEST: names a test that failed. FINDING: states what a tool objects to. VALUES: what was expected and what came.
    PLACE: names a file of the project. COUNTS: a tool's totals. EXIT: how a step or process ended. COMMAND: what was
    run. RUNNER: printed by a CI runner. LISTED: a bare path, as tools list them. ADVICE: a tool's own word on how to
    repair it. HEALTHY: something went well. RECOVERED: trouble before it passed.
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
    HEALTHY = "healthy"
    RECOVERED = "recovered"


class Mark(Struct, frozen=True):
    """Lines that say nothing of a cause by themselves, but give names to it.

    Named groups: `test`, `file`, `line`, `expected`, `actual`, `code` (an exit status).
    """

    kind: MarkKind
    patterns: tuple[str, ...]
