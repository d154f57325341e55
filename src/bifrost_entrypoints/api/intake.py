"""What a request brings: its body in bounds, and the logs and wishes in it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from multipart import MultipartError, PushMultipartParser, parse_options_header

from bifrost_adapters.slots import open_slot
from bifrost_domain.errors import BadOption, EmptyLog, InvalidInput, LogTooLarge, NotJson, TooSlow, UnsupportedMedia
from bifrost_domain.ports import LogSource
from bifrost_entrypoints.api.visit import header
from bifrost_entrypoints.api.wire import AnalyzeRequest, BatchRequest, Wishes
from bifrost_entrypoints.settings import Server

JSON, TEXT, FORM = "application/json", "text/plain", "multipart/form-data"
RAW = (TEXT, "application/octet-stream", "application/gzip", "application/zstd", "application/x-ndjson")
ENCODINGS = ("identity", "gzip", "x-gzip", "zstd")
MAX_NAME = 500
Wish = TypeVar("Wish")
Result = TypeVar("Result")
LARGE_BYTES = 1 << 18


async def body_of(scope: Any, receive: Callable[[], Awaitable[Any]], limits: Server) -> bytes:
    """The whole body as it was sent. Raises LogTooLarge, before anything is read where its length was told; TooSlow."""
    most = limits.max_body_bytes
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdecimal() and int(declared) > most:
        raise _too_large(most)
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise InvalidInput("the client left before its request was whole")
                size += len(message.get("body", b""))
                if size > most:
                    raise _too_large(most)
                pieces.append(message.get("body", b""))
                if not message.get("more_body"):
                    return b"".join(pieces)
    except TimeoutError as error:
        raise TooSlow(
            f"the request did not arrive within {limits.body_seconds:g} s", hint="send it faster, or compressed"
        ) from error


def _too_large(most: int) -> LogTooLarge:
    return LogTooLarge(
        f"the body has more than the {most:,} bytes that may be sent",
        hint="compress it (Content-Encoding: gzip), send the part that matters, or use the command line",
    )


async def aside(size: int, work: Callable[[], Result]) -> Result:
    """What `work` on so many bytes gives: beside the event loop where it would hold that up."""
    return await asyncio.to_thread(work) if size > LARGE_BYTES else work()


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """One request to analyse: its logs, unpacked, and its wishes. Raises EmptyLog where there is nothing in them."""

    wishes: Wishes
    name: str
    logs: tuple[LogSource, ...]

    def __post_init__(self) -> None:
        if all(log.size == 0 for log in self.logs):
            raise EmptyLog(f"{self.name} is empty", hint="check that the command in front printed a log")


async def given(scope: Any, body: bytes, limits: Server) -> Given:
    """Raises InvalidInput (also LogTooLarge), InvalidRequest."""
    kind, options = _media_type(scope)
    encoding = _encoding(scope)
    if kind == JSON or kind.endswith("+json"):
        text = await _decoded(body, encoding, limits)
        return await of_request(await aside(len(text), lambda: decode_json(text, AnalyzeRequest)), limits)
    if kind == FORM:
        return await _of_form(await _decoded(body, encoding, limits), options.get("boundary", ""), limits)
    if kind in RAW:
        wishes = wishes_of(parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))
        name = wishes.source or "-"
        return Given(wishes=wishes, name=name, logs=await unpacked([(name, body)], limits))
    raise UnsupportedMedia(f"there is no reader for Content-Type {kind[:80]!r}", hint=f"send {JSON}, {TEXT} or {FORM}")


def _media_type(scope: Any) -> tuple[str, dict[str, str]]:
    kind, options = parse_options_header(header(scope, b"content-type") or JSON)
    return kind, options


def _encoding(scope: Any) -> str:
    """Raises UnsupportedMedia."""
    encoding = (header(scope, b"content-encoding") or "identity").lower().strip()
    if encoding not in ENCODINGS:
        raise UnsupportedMedia(f"there is no reader for Content-Encoding {encoding[:40]!r}", hint="send gzip or zstd")
    return encoding


async def many(scope: Any, body: bytes, limits: Server) -> tuple[Wishes, list[tuple[str, bytes]]]:
    """The logs of a batch as they were sent, each with its name. Raises InvalidInput, InvalidRequest."""
    kind, options = _media_type(scope)
    text = await _decoded(body, _encoding(scope), limits)
    if kind == FORM:
        return await aside(len(text), lambda: _form(text, options.get("boundary", ""), limits))
    if kind == JSON or kind.endswith("+json"):
        request = await aside(len(text), lambda: decode_json(text, BatchRequest))
        return request, [(item.source or "-", item.logs.encode("utf-8", "replace")) for item in request.items]
    raise UnsupportedMedia(f"there is no reader for Content-Type {kind[:80]!r}", hint=f"send {JSON} or {FORM}")


async def of_request(request: AnalyzeRequest, limits: Server) -> Given:
    """Raises InvalidInput, InvalidRequest."""
    name = request.source or "-"
    data = await aside(len(request.logs), lambda: request.logs.encode("utf-8", "replace"))
    if len(data) > limits.max_body_bytes:
        raise _too_large(limits.max_body_bytes)
    return Given(wishes=request, name=name, logs=await unpacked([(name, data)], limits))


async def unpacked(logs: Sequence[tuple[str, bytes]], limits: Server) -> tuple[LogSource, ...]:
    """Raises LogTooLarge, NoReadableInput."""
    options = {
        "logs": tuple((printable(name), data) for name, data in logs),
        "max_decompressed_bytes": limits.max_decompressed_bytes,
        "max_lines": limits.max_lines,
    }
    async with AsyncExitStack() as stack:
        found = await stack.enter_async_context(open_slot("sources", "memory", options))
        sources: tuple[LogSource, ...] = found.sources
    return sources


async def _decoded(body: bytes, encoding: str, limits: Server) -> bytes:
    if encoding == "identity":
        return body
    (source,) = await unpacked([("the body", body)], limits)
    return b"".join([chunk async for chunk in source.chunks()])


async def _of_form(body: bytes, boundary: str, limits: Server) -> Given:
    wishes, files = await aside(len(body), lambda: _form(body, boundary, limits))
    name = wishes.source or " ".join(name for name, _ in files)[:MAX_NAME]
    return Given(wishes=wishes, name=name, logs=await unpacked(files, limits))


def _form(body: bytes, boundary: str, limits: Server) -> tuple[Wishes, list[tuple[str, bytes]]]:
    """Raises InvalidInput, BadOption."""
    fields: list[tuple[str, str]] = []
    files: list[tuple[str, bytes]] = []
    try:
        for name, filename, content in _parts(body, boundary, limits):
            if filename is None and name != "logs":
                fields.append((name, content.decode("utf-8", "replace")))
            else:
                files.append((filename or "-", content))
    except MultipartError as error:
        raise InvalidInput(f"the form cannot be read: {error}", hint="send it as curl -F does") from error
    if len(files) > limits.max_files:
        raise LogTooLarge(f"a request may bring {limits.max_files} files, not {len(files)}")
    if not files:
        raise InvalidInput("there is no file in the form", hint="as in: curl -F logs=@app.log")
    return wishes_of(fields), files


def _parts(body: bytes, boundary: str, limits: Server) -> list[tuple[str, str | None, bytes]]:
    """Name, file name and content of each part. Raises MultipartError."""
    parts: list[tuple[str, str | None, bytes]] = []
    with PushMultipartParser(
        boundary or "-", content_length=len(body), max_segment_count=2 * limits.max_files + 64, strict=True
    ) as parser:
        segment: Any = None
        content: list[bytes] = []
        for event in parser.parse(body):
            if isinstance(event, bytes | bytearray):
                content.append(bytes(event))
            elif event is not None:
                segment, content = event, []
            else:
                parts.append((segment.name, segment.filename, b"".join(content)))
    return parts


def wishes_of(pairs: Sequence[tuple[str, str]]) -> Wishes:
    """Of a query or a form: each by its name, `variables.NAME` for those of the prompt. Raises BadOption."""
    values: dict[str, Any] = {}
    variables: dict[str, str] = {}
    for name, value in pairs:
        if name.startswith("variables."):
            variables[name.removeprefix("variables.")] = value
        elif name in values:
            raise BadOption(f"{name[:80]!r} is given twice")
        else:
            values[name] = value
    if variables:
        values["variables"] = variables
    try:
        return msgspec.convert(values, Wishes, strict=False)
    except msgspec.ValidationError as error:
        raise BadOption(told(error)) from error


def decode_json(body: bytes, kind: type[Wish]) -> Wish:
    """Raises NotJson for what is no JSON, BadOption for JSON that is none of `kind`."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise BadOption(told(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotJson(f"the body is not JSON: {str(error)[:200]}", hint="send one JSON object in UTF-8") from error


def told(error: msgspec.ValidationError) -> str:
    return str(error).replace(" - at `$", " - at `")[:300]


def printable(name: str) -> str:
    """A name that a client gave, with what no terminal can show written as escapes."""
    shown = "".join(part if part.isprintable() else part.encode("unicode_escape").decode() for part in name)
    return shown[:MAX_NAME] or "-"


def moment(name: str, text: str | None, now: datetime) -> datetime | None:
    """Raises BadOption."""
    if text is None:
        return None
    from bifrost_domain.logs.formats import parse_moment

    try:
        return parse_moment(text, now)
    except BadOption as error:
        raise BadOption(f"{name} {text[:80]!r}: {error.message}", hint=error.hint) from error
