"""What a query may ask, and what it finds."""

from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost_domain.errors import BadOption
from bifrost_domain.history import MAX_LIMIT, MAX_TEXT, HistoryQuery, folded, matches, searchable, summarise, words
from bifrost_domain.report import Category, Severity
from tests.builders import START, an_analysis, an_evidence


def test_a_summary_has_the_analysis_own_values() -> None:
    analysis = an_analysis(cached=True, degraded=True, provider="gw", source="-")
    summary = summarise(analysis)
    assert (summary.id, summary.created_at, summary.source) == (analysis.id, analysis.created_at, "-")
    assert (summary.provider, summary.model) == ("gw", analysis.engine.model)
    assert (summary.cached, summary.degraded, summary.fingerprint) == (True, True, analysis.cache.fingerprint)
    for name in ("severity", "category", "summary", "confidence"):
        assert getattr(summary, name) == getattr(analysis.report, name)


@pytest.mark.parametrize("limit", [0, -1, MAX_LIMIT + 1])
def test_a_page_of_an_impossible_size_is_refused(limit: int) -> None:
    with pytest.raises(BadOption, match=str(limit)):
        HistoryQuery(limit=limit)


def test_the_greatest_page_and_the_longest_text_are_accepted() -> None:
    assert HistoryQuery(limit=MAX_LIMIT, text="x" * MAX_TEXT).limit == MAX_LIMIT


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(BadOption, match="characters"):
        HistoryQuery(text="x" * (MAX_TEXT + 1))


@pytest.mark.parametrize("name", ["text", "provider", "source", "fingerprint", "cursor"])
def test_a_text_that_is_not_unicode_is_refused(name: str) -> None:
    with pytest.raises(BadOption, match=name):
        HistoryQuery(**{name: "file\udcff"})


@pytest.mark.parametrize("name", ["since", "until"])
def test_a_time_without_a_zone_is_refused(name: str) -> None:
    with pytest.raises(BadOption, match=name):
        HistoryQuery(**{name: datetime(2026, 1, 1)})


@pytest.mark.parametrize(
    ("field", "same", "other"),
    [
        ("severity", Severity.ERROR, Severity.OK),
        ("category", Category.DATABASE, Category.DNS),
        ("provider", "ollama", "oll"),
        ("source", "app.log", "app"),
        ("fingerprint", "3f9a1c0d5e7b2468", "3f9a"),
        ("cached", False, True),
        ("since", START, START + timedelta(microseconds=1)),
        ("until", START + timedelta(microseconds=1), START),
        ("text", "POOL  limit", "pool absent"),
    ],
)
def test_a_filter_lets_through_what_has_its_value(field: str, same: object, other: object) -> None:
    analysis = an_analysis()
    assert matches(analysis, HistoryQuery(**{field: same}))  # type: ignore[arg-type]
    assert not matches(analysis, HistoryQuery(**{field: other}))  # type: ignore[arg-type]


def test_all_filters_must_hold() -> None:
    analysis = an_analysis()
    query = HistoryQuery(severity=Severity.ERROR, provider="ollama", text="pool")
    assert matches(analysis, query)
    assert not matches(analysis, msgspec.structs.replace(query, provider="bedrock"))
    assert not matches(analysis, msgspec.structs.replace(query, text="absent"))


def test_case_and_composition_make_no_difference() -> None:
    decomposed = "e\u0301 \u1100\u1161\u11a8"
    assert folded(decomposed) == folded("\u00c9 \uac01")
    assert words("STRASSE Stra\u00dfe strasse") == ("strasse",)


def test_a_word_does_not_reach_over_two_parts() -> None:
    analysis = an_analysis(summary="dead", root_cause="lock", evidence=(an_evidence(quote="x"),), files=())
    assert not matches(analysis, HistoryQuery(text="deadlock"))
    assert matches(analysis, HistoryQuery(text="lock dead"))


@given(st.text())
def test_every_word_of_a_text_is_found_in_that_text(text: str) -> None:
    assert all(word in folded(text) for word in words(text))
    assert "\0" not in folded(text)


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=MAX_TEXT))
def test_an_analysis_is_found_by_all_that_its_summary_says(text: str) -> None:
    analysis = an_analysis(summary=text)
    assert matches(analysis, HistoryQuery(text=text))
    assert folded(text) in searchable(analysis)
