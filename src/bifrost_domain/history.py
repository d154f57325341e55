"""What is remembered of past analyses, and how it is asked for."""

import unicodedata
from datetime import datetime

from msgspec import Struct

from bifrost_domain.errors import BadOption
from bifrost_domain.logs.digest import Digest
from bifrost_domain.report import Analysis, Category, Language, PromptReference, Severity

MAX_LIMIT = 1000
MAX_TEXT = 1000
"""Characters of a search."""


class AnalysisSummary(Struct, frozen=True, kw_only=True):
    """One row of a list: enough to recognise an analysis without loading it. `provider` is who wrote the report."""

    id: str
    created_at: datetime
    source: str
    provider: str
    model: str
    severity: Severity
    category: Category
    summary: str
    confidence: float
    fingerprint: str
    cached: bool
    degraded: bool


class HistoryQuery(Struct, frozen=True, kw_only=True):
    """Filters, all of which must hold; None does not filter. Newest first, `limit` rows from 1 to 1000.

    `text` is free user text: every word of it must occur in the stored analysis (summary, cause, quotes, actions,
    files, source). `since` is part of what is found, `until` is not. `cursor` is the `next_cursor` of the page before:
    opaque, and valid while rows arrive or go. Raises BadOption for a value that no history can answer.
    """

    text: str | None = None
    severity: Severity | None = None
    category: Category | None = None
    provider: str | None = None
    source: str | None = None
    fingerprint: str | None = None
    cached: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 50
    cursor: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_LIMIT:
            raise BadOption(f"a page has 1 to {MAX_LIMIT} rows, not {self.limit}")
        if self.text is not None and len(self.text) > MAX_TEXT:
            raise BadOption(f"a search has at most {MAX_TEXT} characters, not {len(self.text)}")
        for name in ("text", "provider", "source", "fingerprint", "cursor"):
            value: str | None = getattr(self, name)
            if value is not None and not _encodable(value):
                raise BadOption(f"{name} is not valid Unicode text")
        for name in ("since", "until"):
            moment: datetime | None = getattr(self, name)
            if moment is not None and moment.tzinfo is None:
                raise BadOption(f"{name} has no time zone")


class Page(Struct, frozen=True, kw_only=True):
    items: tuple[AnalysisSummary, ...]
    next_cursor: str | None = None


class Incident(Struct, frozen=True, kw_only=True):
    """All stored analyses of one fingerprint: how many, when first and last, and what the newest of them says."""

    fingerprint: str
    seen: int
    first_seen: datetime
    last_seen: datetime
    last_id: str
    severity: Severity
    category: Category
    source: str
    summary: str


class IncidentPage(Struct, frozen=True, kw_only=True):
    """Last seen first."""

    items: tuple[Incident, ...]
    next_cursor: str | None = None


class PromptPin(Struct, frozen=True, kw_only=True):
    """Exactly which wording asked: its checksum too, so that no later one can pass for it."""

    name: str
    version: int
    checksum: str

    @property
    def reference(self) -> PromptReference:
        return PromptReference(name=self.name, version=self.version)


class Provenance(Struct, frozen=True, kw_only=True):
    """What an analysis was made of: enough to make it again, with another wording or another model.

    `digest` is what the engine saw, cleaned and redacted; None where it is not to be kept. `prompt` is None for the
    heuristic.
    """

    language: Language
    prompt: PromptPin | None = None
    digest: Digest | None = None


def summarise(analysis: Analysis) -> AnalysisSummary:
    return AnalysisSummary(
        id=analysis.id,
        created_at=analysis.created_at,
        source=analysis.source.name,
        provider=analysis.engine.provider,
        model=analysis.engine.model,
        severity=analysis.report.severity,
        category=analysis.report.category,
        summary=analysis.report.summary,
        confidence=analysis.report.confidence,
        fingerprint=analysis.cache.fingerprint,
        cached=analysis.cache.hit,
        degraded=analysis.engine.degraded,
    )


_PADDING = "\n\n"
"""At the end of what is searched, so that every character begins a trigram."""


def searchable(analysis: Analysis) -> str:
    """What a text search looks at, folded: summary, cause, evidence, actions, files, tests and source, one a line."""
    report = analysis.report
    parts = [report.summary, report.root_cause, *report.files, *report.tests, analysis.source.name]
    parts += (file.name for file in analysis.source.files)
    for evidence in report.evidence:
        parts += (evidence.quote, evidence.reason, evidence.file)
    for action in report.actions:
        parts += (action.title, action.command or "", action.why)
    return folded("\n".join(dict.fromkeys(part for part in parts if part))) + _PADDING


def words(text: str) -> tuple[str, ...]:
    """The words of a search, folded, each once. A text is found where every one of them is a part of it."""
    return tuple(dict.fromkeys(folded(text).split()))


def folded(text: str) -> str:
    """`text` without the differences a search ignores: case, and composed or decomposed letters (NFC)."""
    return unicodedata.normalize("NFC", text.casefold()).replace("\0", " ")


def matches(analysis: Analysis, query: HistoryQuery) -> bool:
    """Whether every filter of `query` holds: what any storage has to find. `limit` and `cursor` play no part."""
    report, text = analysis.report, None if query.text is None else searchable(analysis)
    return (
        (query.severity is None or report.severity == query.severity)
        and (query.category is None or report.category == query.category)
        and (query.provider is None or analysis.engine.provider == query.provider)
        and (query.source is None or analysis.source.name == query.source)
        and (query.fingerprint is None or analysis.cache.fingerprint == query.fingerprint)
        and (query.cached is None or analysis.cache.hit == query.cached)
        and (query.since is None or analysis.created_at >= query.since)
        and (query.until is None or analysis.created_at < query.until)
        and (text is None or all(word in text for word in words(query.text or "")))
    )


def _encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
