"""What is remembered of past analyses, and how it is asked for."""

from datetime import datetime

from msgspec import Struct

from bifrost_domain.report import Analysis, Category, Severity


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
    files, source). `cursor` is the `next_cursor` of the page before: opaque, and valid while rows arrive or go.
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


class Page(Struct, frozen=True, kw_only=True):
    items: tuple[AnalysisSummary, ...]
    next_cursor: str | None = None


class Incident(Struct, frozen=True, kw_only=True):
    """All analyses of one fingerprint: how many, when first and last."""

    fingerprint: str
    seen: int
    first_seen: datetime
    last_seen: datetime


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
