"""Cleaning: whatever the bytes, the text is safe, and no line is gained or lost."""

import codecs
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bifrost_domain.logs.cleaning import MAX_LINE, Transcoder, clean, clean_many, safe

UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)

fragments = st.sampled_from(
    [
        b"\x1b[31m",
        b"\x1b[0K",
        b"\x1b]0;title\x07",
        b"\x1b]8;;http://a\x1b\\",
        b"\x1b]52;c;",
        b"\x1bP1;2q..\x1b\\",
        b"\x1b(B",
        b"\x1b",
        b"\x9b31m",
        b"\xc2\x9b1m",
        b"\xc2\x9d0;x\xc2\x9c",
        b"\r",
        b"\r\n"[:1],
        b"\b",
        b"\x00",
        b"\t",
        b"\x7f",
        b"\x85",
        "\u202e\u200b\ufeff".encode(),
        "\U000e0041".encode(),
        b"\xed\xa0\x80",
        "오류 발생".encode("cp949"),
        "오류".encode(),
        b"caf\xe9",
        b"error",
        b" ",
        b"[",
        b"m",
        b"\xff\xfe",
        b"\xf0\x9f",
    ]
)
hostile = st.lists(fragments | st.binary(max_size=6), max_size=12).map(b"".join)
hostile_lines = hostile.map(lambda raw: raw.replace(b"\n", b""))


@given(hostile_lines)
def test_a_clean_line_holds_nothing_that_a_terminal_or_a_reader_could_act_on(raw: bytes) -> None:
    text = clean(raw)
    assert UNSAFE.search(text) is None
    assert "\n" not in text
    text.encode()


@given(hostile_lines)
def test_cleaning_twice_is_cleaning_once(raw: bytes) -> None:
    text = clean(raw)
    assert clean(text.encode()) == text
    assert safe(text) == text


@given(st.lists(hostile_lines, max_size=8))
def test_many_lines_are_cleaned_as_each_of_them_is(raws: list[bytes]) -> None:
    assert clean_many(raws).texts == [clean(raw) for raw in raws]


@given(st.text() | hostile.map(lambda raw: raw.decode("utf-8", "surrogateescape")))
def test_safe_text_keeps_line_ends_and_tabs_and_is_safe_for_good(text: str) -> None:
    result = safe(text)
    assert UNSAFE.search(result) is None
    assert safe(result) == result
    assert result.count("\n") == text.count("\n")


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_passes_untouched(text: str) -> None:
    assert safe(text) == text
    assert clean(text.encode()) == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\x1b[1;31merror\x1b[0m: x", "error: x"),
        (b"\x1b]0;title\x07text", "text"),
        (b"\x1b]8;;http://a.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1b]52;c;still here", "c;still here"),
        (b"\x1b[31", ""),
        (b"\x9b31mtext", "text"),
        (b"\xc2\x9b31mtext", "text"),
        (b"\x1bPq#0\x1b\\text", "text"),
        (b"\x1b(Btext", "text"),
        (b"lone \x1b", "lone \\x1b"),
        (b"10%\r20%\r100% done\r", "100% done"),
        (b"mark\r\x1b[0K", "mark"),
        (b"  \r", "  "),
        (b"E\bEr\brror", "Error"),
        (b"a\x00b", "a\\x00b"),
        ("a\u202eb\u200bc".encode(), "a\\u{202e}b\\u{200b}c"),
        ("\ufefffirst".encode(), "first"),
        ("오류가 발생했습니다: 연결 실패".encode("cp949"), "오류가 발생했습니다: 연결 실패"),
        (b"caf\xe9 au lait", "caf\ufffd au lait"),
        ("ошибка соединения".encode("cp1251"), "\ufffd" * 6 + " " + "\ufffd" * 10),
        (b"tab\there", "tab\there"),
    ],
)
def test_a_line_is_what_a_terminal_would_leave_standing_with_the_unseen_shown(raw: bytes, text: str) -> None:
    assert clean(raw) == text


def test_an_overlong_line_is_cut_in_its_middle_and_reported() -> None:
    raws = [b"short", b"head" + b"x" * 200_000 + b"tail", b"y" * MAX_LINE]
    texts, truncated = clean_many(raws)
    assert truncated == [1]
    assert texts[1].startswith("headxx")
    assert texts[1].endswith("xxtail")
    assert len(texts[1]) <= MAX_LINE
    missing = re.search(r" \.\.\.\[(\d+) characters cut\]\.\.\. ", texts[1])
    assert missing is not None
    assert len(texts[1]) - len(missing[0]) + int(missing[1]) == 200_008
    assert texts[2] == "y" * MAX_LINE


def transcode(data: bytes, size: int) -> bytes:
    transcoder = Transcoder()
    return b"".join(transcoder.feed(data[i : i + size]) for i in range(0, len(data), size)) + transcoder.finish()


LOG = "first line\r\nzweite Zeile äöü\n오류 발생\n\nlast without an end"


@pytest.mark.parametrize("size", [1, 3, 7, 64, 10_000])
@pytest.mark.parametrize(
    "data",
    [
        LOG.encode(),
        codecs.BOM_UTF8 + LOG.encode(),
        codecs.BOM_UTF16_LE + LOG.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + LOG.encode("utf-16-be"),
        codecs.BOM_UTF32_LE + LOG.encode("utf-32-le"),
        codecs.BOM_UTF32_BE + LOG.encode("utf-32-be"),
        LOG.encode("utf-16-le"),
        LOG.encode("utf-16-be"),
    ],
    ids=["utf-8", "utf-8 mark", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "bare utf-16-le", "bare utf-16-be"],
)
def test_every_encoding_comes_out_as_the_same_text(data: bytes, size: int) -> None:
    assert transcode(data, size).decode() == LOG


@settings(max_examples=200)
@given(st.binary(max_size=200), st.integers(1, 50))
def test_how_a_stream_is_cut_does_not_change_it(data: bytes, size: int) -> None:
    assert transcode(data, size) == transcode(data, 1000)


@given(st.binary(max_size=300).filter(lambda data: b"\0" not in data and data[:2] not in (b"\xff\xfe", b"\xfe\xff")))
def test_bytes_of_no_wide_encoding_pass_untouched_but_for_the_mark(data: bytes) -> None:
    assert transcode(data, 100) == data.removeprefix(codecs.BOM_UTF8)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_a_wide_encoding_keeps_its_line_ends(text: str) -> None:
    assert transcode(codecs.BOM_UTF16_LE + text.encode("utf-16-le"), 5).count(b"\n") == text.count("\n")


def test_a_character_cut_off_by_the_end_is_shown_as_missing() -> None:
    assert transcode(codecs.BOM_UTF16_LE + b"a\0b", 2).decode() == "a\ufffd"
