"""What a request brings, read in bounds: bodies, forms, wishes and names, whatever a client sends."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bifrost_domain.errors import (
    BadOption,
    EmptyLog,
    InvalidInput,
    InvalidRequest,
    LogTooLarge,
    NoReadableInput,
    NotJson,
    TooSlow,
    UnsupportedMedia,
)
from bifrost_entrypoints.api import intake
from bifrost_entrypoints.api.intake import FORM, JSON, MAX_NAME, TEXT, body_of, decode_json, many, printable, wishes_of
from bifrost_entrypoints.api.wire import AnalyzeRequest, Wishes
from bifrost_entrypoints.settings import Server

LIMITS = Server(max_body_bytes=1000, max_decompressed_bytes=2000, max_lines=100, max_files=3, body_seconds=5.0)
names = st.text(st.characters(exclude_characters='"\\', exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=20)


def scope(kind: str = JSON, *, query: str = "", **headers: str) -> dict[str, Any]:
    told = {"content-type": kind} | {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in told.items()],
        "query_string": query.encode(),
    }


def sending(*pieces: bytes) -> Callable[[], Awaitable[Any]]:
    """Receives these pieces; to ask for more than there are is a failure."""
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages[-1]["more_body"] = False
    rest = iter(messages)

    async def receive() -> Any:
        return next(rest)

    return receive


def form(parts: Sequence[tuple[str, str | None, bytes]], boundary: str = "limit") -> bytes:
    """As a browser writes it."""
    body = b""
    for name, filename, content in parts:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        body += b"" if filename is None else f'; filename="{filename}"'.encode()
        body += b"\r\n\r\n" + content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode()


async def texts(asked: intake.Given) -> list[bytes]:
    return [b"".join([chunk async for chunk in source.chunks()]) for source in asked.logs]


class TestBodies:
    @given(pieces=st.lists(st.binary(max_size=30), min_size=1, max_size=8), most=st.integers(1, 120))
    async def test_a_body_is_whole_or_refused_at_the_first_byte_too_many(self, pieces: list[bytes], most: int) -> None:
        limits = msgspec.structs.replace(LIMITS, max_body_bytes=most)
        if len(b"".join(pieces)) <= most:
            assert await body_of(scope(), sending(*pieces), limits) == b"".join(pieces)
        else:
            with pytest.raises(LogTooLarge):
                await body_of(scope(), sending(*pieces), limits)

    async def test_one_that_says_it_is_too_large_is_refused_before_it_is_read(self) -> None:
        async def receive() -> Any:
            raise AssertionError("it was read")

        with pytest.raises(LogTooLarge):
            await body_of(scope(content_length="1001"), receive, LIMITS)
        assert await body_of(scope(content_length="1000"), sending(b"x" * 1000), LIMITS) == b"x" * 1000

    async def test_a_client_that_leaves_in_the_middle_has_sent_nothing(self) -> None:
        messages = iter([{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}])

        async def receive() -> Any:
            return next(messages)

        with pytest.raises(InvalidInput, match="left"):
            await body_of(scope(), receive, LIMITS)

    async def test_one_that_does_not_come_is_waited_for_in_bounds(self) -> None:
        async def receive() -> Any:
            await asyncio.Event().wait()

        with pytest.raises(TooSlow):
            await body_of(scope(), receive, msgspec.structs.replace(LIMITS, body_seconds=0.01))


class TestForms:
    async def test_what_is_named_logs_is_a_file_and_the_rest_are_wishes(self) -> None:
        parts = [
            ("logs", "a.log", b"one\n"),
            ("severity", None, b"error"),
            ("other", "b.log", b"two\n"),
            ("logs", None, b"3"),
        ]
        asked = await intake.given(scope(f"{FORM}; boundary=limit"), form(parts), LIMITS)
        assert [source.name for source in asked.logs] == ["a.log", "b.log", "-"]
        assert await texts(asked) == [b"one\n", b"two\n", b"3"]
        assert (asked.name, asked.wishes.severity) == ("a.log b.log -", wishes_of([("severity", "error")]).severity)

    @given(st.lists(st.tuples(names, st.binary(max_size=40)), min_size=1, max_size=3))
    @settings(max_examples=50)
    def test_files_come_through_byte_for_byte(self, files: list[tuple[str, bytes]]) -> None:
        body = form([("logs", name, content) for name, content in files], "b0und")
        assume(not any(b"--b0und" in content for _, content in files))
        assert intake._form(body, "b0und", LIMITS) == (Wishes(), files)

    @given(st.integers(0, 6))
    def test_there_is_one_file_at_least_and_a_bounded_number(self, number: int) -> None:
        body = form([("logs", f"{index}.log", b"x") for index in range(number)] + [("model", None, b"m")])
        if 1 <= number <= LIMITS.max_files:
            assert len(intake._form(body, "limit", LIMITS)[1]) == number
        else:
            with pytest.raises(LogTooLarge if number else InvalidInput):
                intake._form(body, "limit", LIMITS)

    def test_parts_beyond_all_sense_are_refused_while_they_are_read(self) -> None:
        body = form([(f"variables.{index}", None, b"x") for index in range(2 * LIMITS.max_files + 65)])
        with pytest.raises(InvalidInput):
            intake._form(body, "limit", LIMITS)

    @given(st.binary(max_size=200), st.sampled_from(["limit", "", "x" * 80]))
    def test_what_is_no_form_is_told_as_one_that_cannot_be_read(self, noise: bytes, boundary: str) -> None:
        with pytest.raises((InvalidInput, BadOption)):
            intake._form(noise, boundary, LIMITS)

    @given(st.data())
    @settings(max_examples=200)
    def test_a_damaged_form_is_read_or_refused_and_nothing_else(self, data: st.DataObject) -> None:
        whole = bytearray(form([("logs", "a.log", b"one\n"), ("severity", None, b"error")]))
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(whole) - 1))
            whole[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=4))
            whole = whole or bytearray(b"-")
        with suppress(InvalidInput, InvalidRequest):
            intake._form(bytes(whole), "limit", LIMITS)


@pytest.mark.parametrize("kind", [JSON, TEXT, FORM])
async def test_logs_with_nothing_in_them_are_no_request(kind: str) -> None:
    body = {
        JSON: b'{"logs": ""}',
        TEXT: b"",
        FORM: form([("logs", "a.log", b""), ("logs", "b.log.gz", gzip.compress(b""))]),
    }[kind]
    with pytest.raises(EmptyLog):
        await intake.given(scope(f"{kind}; boundary=limit"), body, LIMITS)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
async def test_a_compressed_file_with_nothing_in_it_is_no_damage(pack: Callable[[bytes], bytes]) -> None:
    body = form(
        [("logs", "a.log", pack(b"")), ("logs", "b.log", pack(b"one\n") + pack(b"") + pack(b"two\n") + pack(b""))]
    )
    assert await texts(await intake.given(scope(f"{FORM}; boundary=limit"), body, LIMITS)) == [b"", b"one\ntwo\n"]
    with pytest.raises(NoReadableInput, match="cut off"):
        await intake.given(scope(TEXT), pack(b"one\n" * 50)[:-3], LIMITS)


class TestWishes:
    FIELDS = st.sampled_from(
        [
            "source",
            "provider",
            "model",
            "language",
            "prompt",
            "severity",
            "since",
            "budget",
            "cache",
            "store",
            "logs",
            "x",
        ]
    )

    @given(st.lists(st.tuples(FIELDS | st.text(max_size=10), st.text(max_size=20)), max_size=5))
    def test_whatever_a_query_says_is_understood_or_told(self, pairs: list[tuple[str, str]]) -> None:
        try:
            found = wishes_of(pairs)
        except BadOption:
            assert pairs
        else:
            assert len({name for name, _ in pairs}) == len(pairs)
            for name, value in pairs:
                if name in ("source", "provider", "model", "prompt", "since"):
                    assert getattr(found, name) == value

    @given(st.dictionaries(names.filter(lambda name: "." not in name), st.text(max_size=20), min_size=1, max_size=4))
    def test_variables_are_told_by_their_names(self, variables: dict[str, str]) -> None:
        assert wishes_of([(f"variables.{name}", value) for name, value in variables.items()]).variables == variables

    def test_numbers_and_switches_are_read_from_their_text(self) -> None:
        found = wishes_of([("budget", "300"), ("cache", "false"), ("store", "0"), ("fallback", "true")])
        assert (found.budget, found.cache, found.store, found.fallback) == (300, False, False, True)

    @pytest.mark.parametrize(
        "pairs",
        [
            [("budget", "255")],
            [("budget", "many")],
            [("cache", "perhaps")],
            [("source", "")],
            [("source", "x" * 501)],
            [("unknown", "x")],
            [("model", "a"), ("model", "a")],
            [("variables", "x")],
            [("severity", "loud")],
        ],
    )
    def test_what_fits_no_wish_is_told(self, pairs: list[tuple[str, str]]) -> None:
        with pytest.raises(BadOption):
            wishes_of(pairs)

    async def test_those_of_a_text_are_in_the_query_and_those_of_json_in_the_body(self) -> None:
        asked = await intake.given(scope(TEXT, query="source=%EC%97%B0.log&budget=300"), b"ERROR x\n", LIMITS)
        assert (asked.name, asked.wishes.budget, await texts(asked)) == ("연.log", 300, [b"ERROR x\n"])
        body = json.dumps({"logs": "ERROR x\n", "source": "b.log"}).encode()
        asked = await intake.given(scope(query="source=a.log"), body, LIMITS)
        assert (asked.name, await texts(asked)) == ("b.log", [b"ERROR x\n"])


class TestJson:
    @given(st.binary(max_size=60))
    def test_any_bytes_are_a_request_or_no_json_or_no_request(self, body: bytes) -> None:
        with suppress(NotJson, BadOption):
            assert isinstance(decode_json(body, AnalyzeRequest), AnalyzeRequest)

    @given(st.integers(1, 100_000))
    @settings(max_examples=10)
    def test_depth_is_refused_and_no_crash(self, depth: int) -> None:
        for body in (b"[" * depth, b'{"logs":' * depth, b'{"logs":"x","variables":' + b'{"a":' * depth):
            with pytest.raises((NotJson, BadOption)):
                decode_json(body, AnalyzeRequest)


class TestEncodings:
    @pytest.mark.parametrize("kind", [JSON, TEXT, FORM])
    @pytest.mark.parametrize("encoding", ["identity", "gzip", "x-gzip", "zstd", " GZIP "])
    async def test_a_body_is_the_same_compressed_or_not(self, kind: str, encoding: str) -> None:
        body = {
            JSON: b'{"logs": "ERROR x\\n"}',
            TEXT: b"ERROR x\n",
            FORM: form([("logs", "a.log", b"ERROR x\n")]),
        }[kind]
        if "gzip" in encoding.lower():
            body = gzip.compress(body)
        elif encoding == "zstd":
            body = zstandard.compress(body)
        asked = await intake.given(scope(f"{kind}; boundary=limit", content_encoding=encoding), body, LIMITS)
        assert await texts(asked) == [b"ERROR x\n"]

    @pytest.mark.parametrize("kind", [JSON, TEXT, FORM])
    async def test_what_grows_beyond_the_limit_is_refused(self, kind: str) -> None:
        body = gzip.compress(b" " * (LIMITS.max_decompressed_bytes + 1))
        with pytest.raises(LogTooLarge):
            await intake.given(scope(f"{kind}; boundary=limit", content_encoding="gzip"), body, LIMITS)

    async def test_forms_and_encodings_that_nobody_reads_are_told(self) -> None:
        for told in (scope("application/xml"), scope(content_encoding="br"), scope(content_encoding="gzip, gzip")):
            with pytest.raises(UnsupportedMedia):
                await intake.given(told, b"x", LIMITS)
            with pytest.raises(UnsupportedMedia):
                await many(told, b"x", LIMITS)
        with pytest.raises(UnsupportedMedia):
            await many(scope(TEXT), b"x", LIMITS)


@given(st.text(max_size=600))
def test_a_name_can_be_shown_whatever_a_client_called_its_log(name: str) -> None:
    shown = printable(name)
    assert shown.isprintable()
    assert 1 <= len(shown) <= MAX_NAME
    if name.isprintable() and 1 <= len(name) <= MAX_NAME:
        assert shown == name
