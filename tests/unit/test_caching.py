"""What may be reused, under which name, and for how long."""

import hashlib
import hmac
import re
from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bifrost_domain.caching import CachePolicy, cache_key
from tests.builders import a_report

SECRET = b"s" * 32
PARTS = st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=6), max_size=5).map(tuple)


def test_the_key_is_an_hmac_over_length_prefixed_parts() -> None:
    message = b"\0\0\0\0\0\0\0\3" + "풀".encode() + b"\0\0\0\0\0\0\0\1b"
    assert cache_key(SECRET, ("풀", "b")) == hmac.new(SECRET, message, hashlib.sha256).hexdigest()
    assert re.fullmatch(r"[0-9a-f]{64}", cache_key(SECRET, ()))


@given(PARTS, PARTS)
def test_different_parts_never_share_a_key(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert (cache_key(SECRET, one) == cache_key(SECRET, other)) == (one == other)


@given(st.text("ab-", min_size=1, max_size=12), st.data())
def test_cutting_one_text_at_other_places_gives_another_key(text: str, data: st.DataObject) -> None:
    """`a-b`, `c` and `a`, `b-c` join to one text; so do all the ways to cut one."""
    first, second = (data.draw(st.integers(0, len(text))) for _ in range(2))
    assume(first != second)
    cut, cut_elsewhere = ((text[:place], text[place:]) for place in (first, second))
    assert cache_key(SECRET, cut) != cache_key(SECRET, cut_elsewhere)
    assert cache_key(SECRET, cut) != cache_key(SECRET, (text,))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a-b", "c"), ("a", "b-c")),
        (("a", "b"), ("b", "a")),
        (("a",), ("a", "")),
        ((), ("",)),
        (("ab",), ("a", "b")),
        (("\0\0\0\0\0\0\0\1a",), ("", "a")),
    ],
)
def test_parts_that_look_alike_have_keys_of_their_own(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert cache_key(SECRET, one) != cache_key(SECRET, other)


@given(PARTS)
def test_another_installation_has_other_keys(parts: tuple[str, ...]) -> None:
    assert cache_key(SECRET, parts) != cache_key(b"t" * 32, parts)


@pytest.mark.parametrize(("confidence", "share"), [(1.0, 1.0), (0.5, 1.0), (0.49, 0.25), (0.0, 0.25)])
def test_a_doubtful_report_is_kept_for_a_quarter_of_the_time(confidence: float, share: float) -> None:
    policy = CachePolicy(ttl=timedelta(hours=8), confident=0.5)
    assert policy.ttl_for(a_report(confidence=confidence)) == timedelta(hours=8) * share
