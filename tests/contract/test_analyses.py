"""What every history promises, whatever it is stored in."""

import asyncio
import json
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, closing
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bifrost_adapters import _sqlite
from bifrost_adapters.slots import open_slot
from bifrost_adapters.storage import _analyses, postgres, sqlite
from bifrost_domain.errors import (
    AnalysisNotFound,
    BadOption,
    ConfigurationError,
    StorageUnavailable,
)
from bifrost_domain.history import (
    AnalysisSummary,
    HistoryQuery,
    Incident,
    PromptPin,
    Provenance,
    matches,
    summarise,
)
from bifrost_domain.logs.digest import Coverage, Digest, Redactions, Source, SourceFile
from bifrost_domain.logs.lines import Level, Line
from bifrost_domain.ports import AnalysisRepository, Storage
from bifrost_domain.report import (
    Action,
    Analysis,
    CacheUse,
    Category,
    Engine,
    Evidence,
    Grounding,
    Language,
    PromptReference,
    Report,
    Severity,
    TimelineEntry,
    Usage,
)
from tests.builders import START, a_source, an_action, an_analysis, an_evidence, an_id
from tests.contract import kill_rounds
from tests.contract.choices_storage import CHOICES, StorageChoice

ROOT = Path(__file__).parents[2]

few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
every_lasting = pytest.mark.parametrize(
    "choice",
    [choice for choice in CHOICES.values() if choice.lasting],
    ids=[label for label, choice in CHOICES.items() if choice.lasting],
)


def opened(choice: StorageChoice, directory: Path) -> AbstractAsyncContextManager[Storage]:
    return open_slot("storage", choice.kind, choice.options(directory))


def sqlite_at(path: Path, busy_seconds: float = 5.0) -> AbstractAsyncContextManager[Storage]:
    return open_slot("storage", "sqlite", {"path": str(path), "busy_seconds": busy_seconds})


@pytest.fixture(params=CHOICES.values(), ids=CHOICES.keys())
async def analyses(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AnalysisRepository]:
    async with opened(request.param, tmp_path) as storage:
        yield storage.analyses


async def pages(analyses: AnalysisRepository, **query: object) -> list[AnalysisSummary]:
    """All pages of a query, one after the other."""
    items: list[AnalysisSummary] = []
    cursor: str | None = None
    while True:
        page = await analyses.search(HistoryQuery(**query, cursor=cursor))  # type: ignore[arg-type]
        items += page.items
        cursor = page.next_cursor
        if cursor is None:
            return items


async def ids(analyses: AnalysisRepository, **query: object) -> list[str]:
    return [item.id for item in await pages(analyses, **query)]


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30) | st.sampled_from(
    ["연결 풀이 고갈되었습니다", "🔥 pool 🇰🇷 drained", "Ⅻ ﬁnal Straße", "각 각 é é", 'a"b\\c/d', "‮rtl"]
)
MOMENTS = st.datetimes(
    datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.sampled_from([UTC, timezone(timedelta(hours=9))])
)
COUNTS = st.integers(0, 1 << 53)
FRACTIONS = st.floats(0, 1)


def tuples_of(item: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(item, max_size=3).map(tuple)


ANALYSES = st.builds(
    Analysis,
    id=st.just(""),
    created_at=MOMENTS,
    source=st.builds(
        Source,
        name=TEXTS,
        kind=st.sampled_from(["stdin", "file", "directory"]),
        files=tuples_of(st.builds(SourceFile, name=TEXTS, lines=COUNTS, bytes=COUNTS)),
    ),
    engine=st.builds(
        Engine,
        provider=TEXTS,
        model=TEXTS,
        prompt=st.none() | st.builds(PromptReference, name=TEXTS, version=COUNTS),
        degraded=st.booleans(),
        degraded_reason=st.none() | TEXTS,
    ),
    cache=st.builds(CacheUse, hit=st.booleans(), fingerprint=TEXTS),
    report=st.builds(
        Report,
        severity=st.sampled_from(Severity),
        category=st.sampled_from(Category),
        summary=TEXTS,
        root_cause=TEXTS,
        confidence=FRACTIONS,
        files=tuples_of(TEXTS),
        tests=tuples_of(TEXTS),
        evidence=tuples_of(
            st.builds(
                Evidence,
                file=TEXTS,
                line_start=COUNTS,
                line_end=COUNTS,
                quote=TEXTS,
                reason=TEXTS,
                verified=st.booleans(),
            )
        ),
        actions=tuples_of(st.builds(Action, title=TEXTS, command=st.none() | TEXTS, why=TEXTS)),
        timeline=tuples_of(st.builds(TimelineEntry, at=st.none() | TEXTS, line=COUNTS, event=TEXTS)),
    ),
    coverage=st.builds(
        Coverage,
        lines_read=COUNTS,
        bytes_read=COUNTS,
        templates=COUNTS,
        templates_shown=COUNTS,
        lines_shown=COUNTS,
        tokens_estimated=COUNTS,
        lines_truncated=COUNTS,
        time_start=st.none() | MOMENTS,
        time_end=st.none() | MOMENTS,
    ),
    redactions=st.builds(Redactions, total=COUNTS, by_kind=st.dictionaries(TEXTS, COUNTS, max_size=3)),
    grounding=st.builds(Grounding, claims=COUNTS, verified=COUNTS),
    usage=st.builds(Usage, input_tokens=COUNTS, output_tokens=COUNTS, cost_usd=st.none() | FRACTIONS),
    duration_ms=COUNTS,
)


@few
@given(analysis=ANALYSES)
async def test_an_analysis_comes_back_as_it_was(analyses: AnalysisRepository, analysis: Analysis) -> None:
    analysis = msgspec.structs.replace(analysis, id=an_id())
    await analyses.add(analysis)
    assert await analyses.get(analysis.id) == analysis
    assert summarise(analysis) in await pages(analyses, fingerprint=analysis.cache.fingerprint)


@every_lasting
async def test_what_is_stored_is_there_when_it_is_opened_again(choice: StorageChoice, tmp_path: Path) -> None:
    analysis = an_analysis()
    async with opened(choice, tmp_path) as storage:
        await storage.analyses.add(analysis)
    async with opened(choice, tmp_path) as storage:
        await storage.ping()
        assert await storage.analyses.get(analysis.id) == analysis


async def test_the_newest_comes_first_in_whatever_order_they_came(analyses: AnalysisRepository) -> None:
    made = [an_analysis(created_at=START + timedelta(microseconds=moment)) for moment in (3, 1, 2, 0)]
    for analysis in made:
        await analyses.add(analysis)
    assert await ids(analyses) == [made[index].id for index in (0, 2, 1, 3)]


async def test_analyses_of_one_moment_are_all_listed_page_by_page(analyses: AnalysisRepository) -> None:
    made = [an_analysis() for _ in range(7)]
    for analysis in made:
        await analyses.add(analysis)
    found = await pages(analyses, limit=2)
    assert sorted(item.id for item in found) == sorted(analysis.id for analysis in made)
    assert {item.created_at for item in found} == {START}


async def test_more_analyses_than_a_microsecond_has_places_are_all_kept(
    analyses: AnalysisRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bifrost_adapters.storage._rows.SAME_MICROSECOND", 4)
    made = [an_analysis() for _ in range(11)]
    for analysis in made:
        await analyses.add(analysis)
    assert set(await ids(analyses, limit=3)) == {analysis.id for analysis in made}
    assert [await analyses.get(analysis.id) for analysis in made] == made


VALUES = {
    "severity": st.sampled_from([Severity.ERROR, Severity.OK]),
    "category": st.sampled_from([Category.DNS, Category.TLS]),
    "provider": st.sampled_from(["heuristic", "ollama"]),
    "source": st.sampled_from(["a.log", "b.log"]),
    "fingerprint": st.sampled_from(["f1", "f2"]),
    "cached": st.booleans(),
}
WORDS = ["Pool", "pools", "oo", "ol", "x", "고갈되었습니다", "고갈", "풀", "C++", "-err", "foo(", 'a"b', "%", "_", "ÄÖ"]
PHRASES = st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join)
OFFSETS = st.integers(0, 5).map(lambda offset: START + timedelta(microseconds=offset))
STORED = st.fixed_dictionaries({**VALUES, "created_at": OFFSETS, "summary": PHRASES})
ASKED = st.fixed_dictionaries(
    {"limit": st.integers(1, 5)},
    optional={**VALUES, "text": PHRASES, "since": OFFSETS, "until": OFFSETS},
)


@few
@given(stored=st.lists(STORED, max_size=12), asked=st.lists(ASKED, min_size=1, max_size=4))
async def test_a_query_finds_exactly_what_matches_it(
    analyses: AnalysisRepository, stored: list[dict[str, object]], asked: list[dict[str, object]]
) -> None:
    await analyses.forget_before(START + timedelta(days=1))
    made = [an_analysis(**values) for values in stored]
    for analysis in made:
        await analyses.add(analysis)
    for query in asked:
        wanted = {analysis.id for analysis in made if matches(analysis, HistoryQuery(**query))}  # type: ignore[arg-type]
        found = await pages(analyses, **query)
        assert {item.id for item in found} == wanted
        assert len(found) == len(wanted)
        assert [item.created_at for item in found] == sorted((item.created_at for item in found), reverse=True)
        exported = [analysis async for analysis in analyses.export(HistoryQuery(**query))]  # type: ignore[arg-type]
        assert [analysis.id for analysis in exported] == [item.id for item in found]
        assert all(analysis in made for analysis in exported)


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ("QueuePool limit reached", "queuepool"),
        ("QueuePool limit reached", "LIMIT pool"),
        ("QueuePool limit reached", "limit   reached "),
        ("연결풀이 고갈되었습니다", "고갈"),
        ("연결풀이 고갈되었습니다", "풀"),
        ("연결풀이 고갈되었습니다", "고갈되었"),
        ("built with C++ and gcc", "C++"),
        ("ran tool -err now", "-err"),
        ("in foo(bar)", "foo("),
        ('said a"b twice', 'a"b'),
        ('said """ twice', '"""'),
        ("100% of disk_full", "0% disk_"),
        ("AND OR NOT NEAR(a b)", "NEAR(a AND not"),
        ("a:b ^c * d", "a:b ^c *"),
        ("it's {down}", "it's {down}"),
        ("STRASSE", "straße"),
        ("각", "각"),
    ],
)
async def test_any_text_is_a_search_for_its_words(analyses: AnalysisRepository, stored: str, text: str) -> None:
    wanted, other = an_analysis(root_cause=stored), an_analysis(root_cause="something else", evidence=())
    await analyses.add(wanted)
    await analyses.add(other)
    assert await ids(analyses, text=text) == [wanted.id]


@pytest.mark.parametrize("text", ["pools", "lim_t", "l%t", "limit absent", "reachedlimit", "ea*"])
async def test_a_text_that_does_not_occur_is_not_found(analyses: AnalysisRepository, text: str) -> None:
    await analyses.add(an_analysis(summary="pool", root_cause="limit reached", evidence=(), actions=()))
    assert await ids(analyses, text=text) == []


@few
@given(text=st.text(max_size=40))
async def test_no_text_is_an_unsafe_search(analyses: AnalysisRepository, text: str) -> None:
    try:
        query = HistoryQuery(text=text)
    except BadOption:
        return
    assert isinstance((await analyses.search(query)).items, tuple)


async def test_a_search_looks_at_every_part_that_people_read(analyses: AnalysisRepository) -> None:
    analysis = an_analysis(
        source=a_source("part-source"),
        summary="part-summary",
        root_cause="part-cause",
        files=("part-file",),
        tests=("part-test",),
        evidence=(an_evidence(quote="part-quote", reason="part-reason"),),
        actions=(an_action(title="part-title", command="part-command", why="part-why"),),
    )
    await analyses.add(analysis)
    for part in ("source", "summary", "cause", "file", "test", "quote", "reason", "title", "command", "why"):
        assert await ids(analyses, text=f"part-{part}") == [analysis.id], part


@pytest.mark.parametrize("text", [None, "pool"])
async def test_paging_is_stable_while_rows_arrive_and_go(analyses: AnalysisRepository, text: str | None) -> None:
    made = [an_analysis(created_at=START + timedelta(seconds=second)) for second in range(9)]
    for analysis in made:
        await analyses.add(analysis)
    first = await analyses.search(HistoryQuery(limit=3, text=text))
    await analyses.add(an_analysis(created_at=START + timedelta(seconds=60)))
    await analyses.delete(made[6].id)
    await analyses.delete(made[4].id)
    second = await analyses.search(HistoryQuery(limit=3, text=text, cursor=first.next_cursor))
    third = await analyses.search(HistoryQuery(limit=3, text=text, cursor=second.next_cursor))
    assert [item.id for item in first.items] == [made[index].id for index in (8, 7, 6)]
    assert [item.id for item in second.items] == [made[index].id for index in (5, 3, 2)]
    assert [item.id for item in third.items] == [made[index].id for index in (1, 0)]
    assert third.next_cursor is None


async def test_a_full_last_page_has_no_next_one(analyses: AnalysisRepository) -> None:
    for _ in range(4):
        await analyses.add(an_analysis())
    first = await analyses.search(HistoryQuery(limit=2))
    assert (await analyses.search(HistoryQuery(limit=2, cursor=first.next_cursor))).next_cursor is None


@few
@given(cursor=st.text(max_size=20) | st.sampled_from(["", "0", "AAAAAAAAAAAAAAAA", "A" * 15 + "=", "고갈"]))
async def test_a_cursor_that_it_did_not_make_is_refused(analyses: AnalysisRepository, cursor: str) -> None:
    with pytest.raises(BadOption):
        await analyses.search(HistoryQuery(cursor=cursor))


async def test_an_export_goes_on_while_rows_arrive_and_go(analyses: AnalysisRepository) -> None:
    made = [an_analysis(created_at=START + timedelta(seconds=second)) for second in range(210)]
    for analysis in made:
        await analyses.add(analysis)
    exported: list[str] = []
    async for analysis in analyses.export(HistoryQuery(limit=1)):
        if not exported:
            await analyses.add(an_analysis(created_at=START + timedelta(days=1)))
            await analyses.delete(made[20].id)
        exported.append(analysis.id)
    assert exported == [analysis.id for analysis in reversed(made) if analysis is not made[20]]


async def test_an_id_that_is_not_there_is_not_found(analyses: AnalysisRepository) -> None:
    with pytest.raises(AnalysisNotFound, match="nobody"):
        await analyses.get("nobody")
    with pytest.raises(AnalysisNotFound, match="nobody"):
        await analyses.delete("nobody")


async def test_an_id_is_taken_once(analyses: AnalysisRepository) -> None:
    first = an_analysis(summary="the first")
    await analyses.add(first)
    with pytest.raises(StorageUnavailable, match="already"):
        await analyses.add(an_analysis(id=first.id, summary="the second"))
    assert await analyses.get(first.id) == first
    assert await ids(analyses) == [first.id]


async def test_what_is_deleted_is_found_no_more(analyses: AnalysisRepository) -> None:
    gone, kept = an_analysis(fingerprint="f"), an_analysis(fingerprint="f")
    await analyses.add(gone)
    await analyses.add(kept)
    await analyses.delete(gone.id)
    with pytest.raises(AnalysisNotFound):
        await analyses.get(gone.id)
    assert await ids(analyses) == await ids(analyses, text="pool") == await ids(analyses, fingerprint="f") == [kept.id]


async def test_everything_before_a_moment_is_forgotten_and_counted(analyses: AnalysisRepository) -> None:
    made = [an_analysis(created_at=START + timedelta(seconds=second)) for second in range(510)]
    for analysis in made:
        await analyses.add(analysis)
    assert await analyses.forget_before(START + timedelta(seconds=505)) == 505
    assert (
        await ids(analyses, text="pool") == await ids(analyses) == [made[second].id for second in range(509, 504, -1)]
    )
    assert await analyses.forget_before(START) == 0


async def test_who_forgets_at_the_same_time_as_others_returns_when_all_is_gone(
    analyses: AnalysisRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_analyses, "ERASED_AT_ONCE", 5)
    for _ in range(40):
        await analyses.add(an_analysis(created_at=START))
    left: list[list[str]] = []

    async def forget() -> int:
        count = await analyses.forget_before(START + timedelta(days=1))
        left.append(await ids(analyses))
        return count

    assert sum(await asyncio.gather(*(forget() for _ in range(4)))) == 40
    assert left == [[], [], [], []]


async def test_an_incident_is_counted_by_its_fingerprint(analyses: AnalysisRepository) -> None:
    for seconds, fingerprint in ((5, "f"), (60, "f"), (1, "f"), (99, "g")):
        moment = START + timedelta(seconds=seconds)
        await analyses.add(an_analysis(fingerprint=fingerprint, created_at=moment, summary=f"at {seconds}"))
    found = await analyses.incident("f")
    assert found is not None
    assert (found.seen, found.summary) == (3, "at 60")
    assert (found.first_seen, found.last_seen) == (START + timedelta(seconds=1), START + timedelta(seconds=60))
    assert await analyses.incident("h") is None


@few
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.sampled_from("fgh"), st.integers(0, 50)),
            st.tuples(st.just("delete"), st.integers(0, 20)),
            st.tuples(st.just("forget"), st.integers(0, 50)),
        ),
        max_size=12,
    )
)
async def test_incidents_follow_what_is_stored(analyses: AnalysisRepository, steps: list[Any]) -> None:
    await analyses.forget_before(START + timedelta(days=1))
    kept: list[Analysis] = []
    for step in steps:
        match step:
            case ("add", fingerprint, seconds):
                made = an_analysis(fingerprint=fingerprint, created_at=START + timedelta(seconds=seconds))
                await analyses.add(made)
                kept.append(made)
            case ("delete", place) if kept:
                await analyses.delete(kept.pop(place % len(kept)).id)
            case ("forget", seconds):
                moment = START + timedelta(seconds=seconds)
                gone = [analysis for analysis in kept if analysis.created_at < moment]
                assert await analyses.forget_before(moment) == len(gone)
                kept = [analysis for analysis in kept if analysis.created_at >= moment]
    listed = await all_incidents(analyses)
    assert [incident.last_seen for incident in listed] == sorted((i.last_seen for i in listed), reverse=True)
    wanted: dict[str, list[datetime]] = {}
    for analysis in kept:
        wanted.setdefault(analysis.cache.fingerprint, []).append(analysis.created_at)
    assert {i.fingerprint: (i.seen, i.first_seen, i.last_seen) for i in listed} == {
        fingerprint: (len(moments), min(moments), max(moments)) for fingerprint, moments in wanted.items()
    }
    for incident in listed:
        assert await analyses.incident(incident.fingerprint) == incident
        assert (await analyses.get(incident.last_id)).created_at == incident.last_seen


async def all_incidents(analyses: AnalysisRepository) -> list[Incident]:
    """Page by page, one on each."""
    items: list[Incident] = []
    cursor: str | None = None
    while True:
        page = await analyses.incidents(limit=1, cursor=cursor)
        items += page.items
        cursor = page.next_cursor
        if cursor is None:
            return items


async def test_what_an_analysis_was_made_of_comes_back(analyses: AnalysisRepository) -> None:
    digest = Digest(
        source=Source(name="a.log", kind="file"),
        lines=(Line(file="a.log", number=3, text="ERROR 고갈 \x00", level=Level.ERROR),),
        coverage=Coverage(lines_read=9),
        redactions=Redactions(),
        fingerprint="f",
    )
    pin = PromptPin(name="root-cause", version=4, checksum="c" * 64)
    kept = Provenance(language=Language.KO, prompt=pin, digest=digest)
    made, without = an_analysis(), an_analysis()
    await analyses.add(made, kept)
    await analyses.add(without)
    assert await analyses.provenance(made.id) == kept
    assert await analyses.provenance(without.id) is None
    with pytest.raises(AnalysisNotFound):
        await analyses.provenance("nowhere")


@pytest.mark.parametrize("word", ["풀", "고갈", "연결풀", "갈되", "ø", "øz", "x9", "갈되었습니다"])
async def test_parts_of_words_are_found_however_short(analyses: AnalysisRepository, word: str) -> None:
    wanted = an_analysis(summary="연결풀이 고갈되었습니다", root_cause="the øz refuses x9")
    await analyses.add(wanted)
    await analyses.add(an_analysis(summary="Alles gut", root_cause="nichts"))
    assert await ids(analyses, text=word) == [wanted.id]


async def test_a_short_word_is_found_behind_many_newer_rows(
    analyses: AnalysisRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more rows than the newest that are looked at first."""
    monkeypatch.setattr(sqlite, "_NEWEST", 5)
    monkeypatch.setattr(postgres, "_PARTS", (2, 5))
    made = [an_analysis(summary="고갈" if number % 4 == 0 else "nothing") for number in range(20)]
    for analysis in made:
        await analyses.add(analysis)
    wanted = [analysis.id for number, analysis in enumerate(made) if number % 4 == 0]
    for text in ("고갈", "갈", "고갈 갈"):
        assert await ids(analyses, text=text, limit=2) == wanted[::-1]
    for text in ("Ωж", "\ud7ff", "\U0010ffff", "고\U0010ffff"):
        assert await ids(analyses, text=text, limit=2) == []


async def test_a_search_of_long_ago_goes_by_what_was_there_then(
    analyses: AnalysisRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows that are looked at first are the newest of those asked for."""
    monkeypatch.setattr(sqlite, "_NEWEST", 2)
    monkeypatch.setattr(postgres, "_PARTS", (2, 3))
    made = [an_analysis(created_at=START + timedelta(seconds=number), summary="고갈") for number in range(12)]
    for analysis in made:
        await analyses.add(analysis)
    wanted = [analysis.id for analysis in made[2:6]][::-1]
    asked = {"since": made[2].created_at, "until": made[6].created_at}
    for text in ("고갈", "pool", "갈 pool"):
        assert await ids(analyses, text=text, limit=1, **asked) == wanted


@pytest.mark.parametrize("first", [0x20, 0xAC00, 0x20000], ids=["ASCII", "Hangul", "four bytes each"])
async def test_a_very_long_text_is_kept_and_found_by_its_beginning(analyses: AnalysisRepository, first: int) -> None:
    """Of as many different trigrams as there are characters."""
    text = "".join(chr(first + number * number % 7919 % (90 if first < 0x80 else 7919)) for number in range(120_000))
    long = an_analysis(summary="long", root_cause=text)
    await analyses.add(long)
    await analyses.add(an_analysis(summary="short"))
    assert await analyses.get(long.id) == long
    assert await ids(analyses, text="long") == [long.id]


async def test_characters_that_a_database_may_not_have_are_kept(analyses: AnalysisRepository) -> None:
    odd = "a\0b\x1f\x7f\ufffe\uffff\U0010ffff"
    stored = an_analysis(id=an_id() + odd, source=a_source(name=odd), summary=odd, fingerprint=odd)
    await analyses.add(stored)
    assert await analyses.get(stored.id) == stored
    assert await ids(analyses, source=odd, fingerprint=odd, text="a b")
    incident = await analyses.incident(odd)
    assert incident is not None
    assert incident.seen == 1
    await analyses.delete(stored.id)
    assert await analyses.incident(odd) is None


async def test_incidents_stay_right_while_many_add_and_delete(analyses: AnalysisRepository) -> None:
    for number in range(6):
        name = f"f{number}"
        made = [an_analysis(fingerprint=name) for _ in range(12)]
        for analysis in made[:9]:
            await analyses.add(analysis)
        async with asyncio.TaskGroup() as group:
            for analysis in made[3:9]:
                group.create_task(analyses.delete(analysis.id))
            for analysis in made[9:]:
                group.create_task(analyses.add(analysis))
        incident = await analyses.incident(name)
        assert incident is not None
        listed = await pages(analyses, fingerprint=name)
        assert (incident.seen, incident.last_id) == (len(listed), listed[0].id)
        assert {item.id for item in listed} == {analysis.id for analysis in made[:3] + made[9:]}
        assert incident in (await analyses.incidents()).items
        async with asyncio.TaskGroup() as group:
            for item in listed:
                group.create_task(analyses.delete(item.id))
        assert await analyses.incident(name) is None


async def test_twenty_at_once_all_land(analyses: AnalysisRepository) -> None:
    made = [an_analysis() for _ in range(20)]
    async with asyncio.TaskGroup() as group:
        for analysis in made:
            group.create_task(analyses.add(analysis))
    assert set(await ids(analyses, text="pool")) == {analysis.id for analysis in made}


async def test_a_cancelled_add_leaves_all_of_it_or_nothing(analyses: AnalysisRepository) -> None:
    """Cancelled after one step of the event loop, after two, and so on, until it gets through."""
    made: dict[str, Analysis] = {}
    for steps in count():
        analysis = an_analysis()
        made[analysis.id] = analysis
        adding = asyncio.create_task(analyses.add(analysis))
        for _ in range(steps):
            await asyncio.sleep(0)
        done = adding.done()
        adding.cancel()
        await asyncio.gather(adding, return_exceptions=True)
        after = an_analysis()
        made[after.id] = after
        await analyses.add(after)
        assert await analyses.get(after.id) == after
        if done:
            break
    kept = await ids(analyses)
    assert {analysis.id, after.id} <= set(kept) <= set(made)
    assert sorted(await ids(analyses, text="pool")) == sorted(kept)
    assert [await analyses.get(id) for id in kept] == [made[id] for id in kept]


async def test_cancelled_reads_leave_nothing_locked(analyses: AnalysisRepository) -> None:
    await analyses.add(an_analysis())
    for steps in range(30):
        reading = asyncio.create_task(ids(analyses))
        for _ in range(steps):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    await analyses.add(an_analysis())
    assert len(await ids(analyses)) == 2


@every_lasting
async def test_two_processes_write_at_once(choice: StorageChoice, tmp_path: Path) -> None:
    options = json.dumps(choice.options(tmp_path))
    command = ["-m", "tests.contract.history_writer", choice.kind, options, "60"]
    writers = [
        await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
        for _ in range(2)
    ]
    written = [await writer.communicate() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    async with opened(choice, tmp_path) as storage:
        assert set(await ids(storage.analyses)) == {id for output, _ in written for id in output.decode().split()}


# --- SQLite alone -------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "bifrost.db"


async def test_the_file_and_its_directory_are_private(path: Path) -> None:
    async with sqlite_at(path) as storage:
        await storage.analyses.add(an_analysis())
        files = list(path.parent.iterdir())
        assert {file.name for file in files} == {"bifrost.db", "bifrost.db-wal", "bifrost.db-shm"}
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert storage.location == str(path)
    assert [file.name for file in path.parent.iterdir()] == ["bifrost.db"]


@pytest.mark.parametrize("forget", [False, True])
async def test_what_is_erased_is_nowhere_in_the_files(path: Path, forget: bool) -> None:
    marker = "zqxjvkqzxw" * 3
    trigrams = {marker[start : start + 3] for start in range(len(marker) - 2)}
    async with sqlite_at(path) as storage:
        for number in range(30):
            await storage.analyses.add(an_analysis(summary=f"filler {number}", created_at=START + timedelta(1)))
        analysis = an_analysis(root_cause=marker)
        await storage.analyses.add(analysis)
        assert trigrams & terms(path) == trigrams
        if forget:
            await storage.analyses.forget_before(START + timedelta(hours=1))
        else:
            await storage.analyses.delete(analysis.id)
        assert len(await ids(storage.analyses, text="filler")) == 30
        assert await ids(storage.analyses, text=marker) == []
    assert not trigrams & terms(path)
    assert all(marker.encode() not in file.read_bytes() for file in path.parent.iterdir())


def terms(path: Path) -> set[str]:
    """Every term that the index holds in any of its segments."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE VIRTUAL TABLE temp.terms USING fts5vocab(main, analyses_text, row)")
        return {term for (term,) in connection.execute("SELECT term FROM temp.terms")}


async def test_a_lock_of_another_program_is_waited_for_and_then_told(path: Path) -> None:
    async with sqlite_at(path, busy_seconds=0.05) as storage:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageUnavailable, match="locked"):
                await storage.analyses.add(an_analysis())
            assert await ids(storage.analyses) == []
        await storage.analyses.add(an_analysis())
        assert len(await ids(storage.analyses)) == 1


async def test_a_locked_file_that_is_not_made_yet_is_told(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageUnavailable, match="locked"):
            async with sqlite_at(path, busy_seconds=0.05):
                pass


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_told_and_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StorageUnavailable, match="not a SQLite database") as raised:
        asyncio.run(store(path))
    assert raised.value.hint
    assert path.read_bytes() == content


def test_a_file_that_is_damaged_later_is_told(path: Path) -> None:
    asyncio.run(store(path, 50))
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(StorageUnavailable, match="damaged"):
        asyncio.run(store(path, 1))


async def store(path: Path, analyses: int = 0) -> None:
    async with sqlite_at(path) as storage:
        for _ in range(analyses):
            await storage.analyses.add(an_analysis())


async def test_a_path_that_cannot_be_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "below"):
        with pytest.raises(StorageUnavailable) as raised:
            async with sqlite_at(path):
                pass
        assert type(raised.value) is StorageUnavailable
        assert str(tmp_path) in raised.value.message


async def test_memory_is_not_a_path(path: Path) -> None:
    with pytest.raises(ConfigurationError):
        async with sqlite_at(Path(":memory:")):
            pass


def test_a_file_that_must_not_be_written_is_told(path: Path) -> None:
    path.parent.mkdir()
    asyncio.run(store(path, 1))
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        with pytest.raises(sqlite3.OperationalError) as raised:
            connection.execute("DELETE FROM analyses")
        fault = _sqlite.fault(raised.value, path)
    assert fault.kind is _sqlite.FaultKind.UNAVAILABLE
    assert fault.message == f"the database {path} cannot be written"
    assert "permissions" in fault.hint


FILL = """
import asyncio, resource, sys
from bifrost_adapters.slots import open_slot
from bifrost_domain.errors import StorageFull
from bifrost_domain.history import HistoryQuery
from tests.builders import an_analysis

async def main():
    async with open_slot("storage", "sqlite", {"path": sys.argv[1]}) as storage:
        kept = []
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        try:
            while True:
                analysis = an_analysis(root_cause="x" * 20000)
                await storage.analyses.add(analysis)
                kept.append(analysis.id)
        except StorageFull:
            pass
        assert {item.id for item in (await storage.analyses.search(HistoryQuery(limit=1000))).items} == set(kept)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await storage.analyses.add(an_analysis())
        assert len((await storage.analyses.search(HistoryQuery(limit=1000))).items) == len(kept) + 1 > 1

asyncio.run(main())
"""


def test_a_full_disk_is_told_and_what_is_stored_stays_readable(path: Path) -> None:
    subprocess.run([sys.executable, "-c", FILL, str(path)], cwd=ROOT, check=True)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_an_analysis_of_another_shape_is_told(path: Path) -> None:
    analysis = an_analysis()
    async with sqlite_at(path) as storage:
        await storage.analyses.add(analysis)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE analyses SET body = '{}', schema_version = 7")
        with pytest.raises(StorageUnavailable, match="version 7"):
            await storage.analyses.get(analysis.id)


async def test_killed_writers_lose_nothing_that_they_said_is_stored(path: Path) -> None:
    kept: list[str] = []
    for acknowledged in (0, 7, 23):
        kept += await asyncio.to_thread(kill_rounds.write_and_kill, path, acknowledged, 0.0)
        await kill_rounds.check(path, kept)
    assert len(kept) >= 30


# --- memory alone -------------------------------------------------------------------------------------------------


async def test_memory_is_bounded_and_the_oldest_goes() -> None:
    async with open_slot("storage", "memory", {"max_analyses": 3}) as storage:
        made = [an_analysis(created_at=START + timedelta(seconds=second)) for second in range(5)]
        for analysis in made:
            await storage.analyses.add(analysis)
        assert await ids(storage.analyses) == [made[index].id for index in (4, 3, 2)]
        with pytest.raises(AnalysisNotFound):
            await storage.analyses.get(made[0].id)
