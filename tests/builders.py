"""Whole values for tests, of which a test names only what it is about: `an_analysis(source="app.log")`."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import msgspec

from bifrost_domain.caching import CachedReport
from bifrost_domain.logs.digest import Coverage, Digest, Redactions, Source, SourceFile
from bifrost_domain.logs.lines import Level, Line
from bifrost_domain.report import (
    SCHEMA_VERSION,
    Action,
    Analysis,
    CacheUse,
    Category,
    Engine,
    Evidence,
    Grounding,
    PromptReference,
    Report,
    Severity,
    TimelineEntry,
    Usage,
)

START = datetime(2026, 3, 14, 9, 26, 53, 589793, tzinfo=UTC)

_ids = count(1)


def an_id() -> str:
    """A new one at each call: a UUIDv7 in shape, the later the greater."""
    number = next(_ids)
    return f"0195a000-{number >> 16 & 0xFFFF:04x}-7{number & 0xFFF:03x}-8000-{number:012x}"


class Ticking:
    """A clock that stands still until it is told how much time passed."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


def a_clock(now: datetime = START) -> Ticking:
    return Ticking(now)


def a_source(name: str = "app.log", kind: str = "file") -> Source:
    return Source(name=name, kind=kind, files=(SourceFile(name=name, lines=4, bytes=310),))


def an_evidence(**changes: Any) -> Evidence:
    evidence = Evidence(
        file="app.log",
        line_start=3,
        line_end=3,
        quote="ERROR db.pool: QueuePool limit of size 5 overflow 10 reached",
        reason="no connection was left",
        verified=True,
    )
    return msgspec.structs.replace(evidence, **changes)


def an_action(**changes: Any) -> Action:
    action = Action(title="Close sessions", command="grep -rn 'Session(' src", why="one is opened and never closed")
    return msgspec.structs.replace(action, **changes)


def a_report(**changes: Any) -> Report:
    report = Report(
        severity=Severity.ERROR,
        category=Category.DATABASE,
        summary="The connection pool ran dry",
        root_cause="Sessions are opened and not closed, so every connection of the pool is taken.",
        confidence=0.75,
        files=("src/orders.py",),
        tests=("tests/test_orders.py::test_checkout",),
        evidence=(an_evidence(),),
        actions=(an_action(),),
        timeline=(TimelineEntry(at="2026-03-14T09:26:50Z", line=3, event="the pool is empty"),),
    )
    return msgspec.structs.replace(report, **changes)


def an_analysis(**changes: Any) -> Analysis:
    """`changes` are fields of Analysis, or, for short, one of these that lie deeper.

    `source` (its name), `provider`, `model`, `degraded`, `fingerprint`, `cached`, and every field of Report.
    """
    deeper = {name: changes.pop(name) for name in Report.__struct_fields__ if name in changes}
    if isinstance(changes.get("source"), str):
        changes["source"] = a_source(changes["source"])
    engine = Engine(
        provider=changes.pop("provider", "ollama"),
        model=changes.pop("model", "a-model:8b"),
        prompt=PromptReference(name="root-cause", version=1),
        degraded=changes.pop("degraded", False),
    )
    cache = CacheUse(hit=changes.pop("cached", False), fingerprint=changes.pop("fingerprint", "3f9a1c0d5e7b2468"))
    analysis = Analysis(
        id=an_id(),
        created_at=START,
        source=a_source(),
        engine=engine,
        cache=cache,
        report=a_report(**deeper),
        coverage=Coverage(
            lines_read=4,
            bytes_read=310,
            templates=3,
            templates_shown=3,
            lines_shown=4,
            tokens_estimated=120,
            time_start=START - timedelta(minutes=1),
            time_end=START,
        ),
        redactions=Redactions(total=1, by_kind={"password": 1}),
        grounding=Grounding(claims=1, verified=1),
        usage=Usage(input_tokens=812, output_tokens=164, cost_usd=0.0),
        duration_ms=1234,
    )
    return msgspec.structs.replace(analysis, **changes)


def a_cached_report(**changes: Any) -> CachedReport:
    cached = CachedReport(
        schema_version=SCHEMA_VERSION,
        created_at=START,
        report=a_report(),
        usage=Usage(input_tokens=812, output_tokens=164),
        timeline_quotes=("ERROR db.pool: QueuePool limit of size 5 overflow 10 reached",),
    )
    return msgspec.structs.replace(cached, **changes)


def a_digest(*texts: str, **changes: Any) -> Digest:
    """`texts` become its lines, numbered from 1 and of level ERROR."""
    texts = texts or ("INFO app: started", "ERROR db.pool: QueuePool limit of size 5 overflow 10 reached")
    digest = Digest(
        source=a_source(),
        lines=tuple(
            Line(file="app.log", number=number, text=text, level=Level.ERROR, message=text, block=number)
            for number, text in enumerate(texts, 1)
        ),
        coverage=Coverage(lines_read=len(texts), lines_shown=len(texts), bytes_read=sum(map(len, texts))),
        redactions=Redactions(),
        fingerprint="3f9a1c0d5e7b2468",
    )
    return msgspec.structs.replace(digest, **changes)
