"""A tiny HTTP/1.1 server that can misbehave on the wire: what the stubs of all providers share."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Behaviour:
    """What the server does with the next requests for an answer.

    status: the HTTP status; anything but 200 ends it there.
    fault: hang_first, hang_middle, cut, reset, error_event, throttle_event, html, empty, endless, huge, or none.
    raw: a body to send as it is in place of an answer.
    dribble: send one byte at a time.
    location: the path that a redirect names.
    retry_after: what a refusal says of when to come back; empty, what the protocol's stub says.
    """

    pieces: Sequence[str] = ("a", "b")
    status: int = 200
    fault: str = ""
    raw: bytes | None = None
    dribble: bool = False
    location: str = ""
    retry_after: str = ""
    truncated: bool = False
    input_tokens: int = 7
    output_tokens: int = 3


class Gone(Exception):
    """The client has left."""


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._left = asyncio.create_task(reader.read(1))

    async def head(self, status: int, content_type: str, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} Any", f"Content-Type: {content_type}", "Transfer-Encoding: chunked"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        await self._write("\r\n".join([*lines, "", ""]).encode())

    async def send(self, data: bytes, *, dribble: bool = False) -> None:
        for part in (data[i : i + 1] for i in range(len(data))) if dribble else (data,):
            await self._write(b"%x\r\n" % len(part) + part + b"\r\n")

    async def end(self) -> None:
        await self._write(b"0\r\n\r\n")

    async def hang(self) -> None:
        """Returns never: only the client's leaving ends it."""
        with contextlib.suppress(ConnectionError):
            await self._left
        raise Gone

    def reset(self) -> None:
        """Ends the connection with RST."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def close(self) -> None:
        self._left.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await self._left
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError as error:
            raise Gone from error
        await asyncio.sleep(0)
        if self._left.done():
            raise Gone


@dataclass
class Stub:
    """A provider of models. Subclasses know one protocol; use it as an async context manager."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    turns: list[Behaviour] = field(default_factory=list)
    """How it behaves at the next requests for an answer, one each; then as `behaviour`."""
    requests: list[Request] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a request for an answer has come in."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client has left before its answer was complete."""

    content_type = ""
    url = ""

    def expect(self, behaviour: Behaviour) -> None:
        """Forget what was, and behave so from now on."""
        self.behaviour = behaviour
        self.requests.clear()
        self.left.clear()
        self.asked.clear()

    # What a protocol has to say. ---------------------------------------------------------------------------------

    def begin(self) -> bytes:
        return b""

    def piece(self, text: str) -> bytes:
        raise NotImplementedError

    def finish(self, behaviour: Behaviour) -> bytes:
        raise NotImplementedError

    def failure(self, *, throttled: bool) -> bytes:
        raise NotImplementedError

    def refusal(self, status: int, body: bytes) -> tuple[Mapping[str, str], bytes]:
        """Headers and body of an answer that is no 200; `body` is the request's, so that an echo can leak."""
        raise NotImplementedError

    def fact(self, request: Request) -> tuple[int, bytes] | None:
        """Status and body of a request that is not for an answer."""
        return None

    # -------------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            request = await _read(reader, writer)
            self.requests.append(request)
            connection = Connection(reader, writer)
            try:
                await self._answer(request, connection)
            except Gone:
                self.left.set()
            finally:
                await connection.close()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
        finally:
            self._tasks.discard(task)

    async def _answer(self, request: Request, connection: Connection) -> None:
        known = self.fact(request)
        if known is not None:
            await connection.head(known[0], "application/json", {"Connection": "close"})
            await connection.send(known[1])
            await connection.end()
            return
        self.asked.set()
        behaviour = self.turns.pop(0) if self.turns else self.behaviour
        if behaviour.fault == "hang_first":
            await connection.hang()
        if behaviour.status != 200:
            headers, body = self.refusal(behaviour.status, request.body)
            if behaviour.retry_after:
                headers = {**headers, "Retry-After": behaviour.retry_after}
            if behaviour.location:
                headers = {**headers, "Location": self.url + behaviour.location}
            await connection.head(behaviour.status, "application/json", {**headers, "Connection": "close"})
            await connection.send(body)
            await connection.end()
            return
        html = behaviour.fault == "html"
        content_type = "text/html" if html else self.content_type
        await connection.head(200, content_type, {"Connection": "close"})
        if html:
            await connection.send(b"<!doctype html><title>Log in</title>")
        elif behaviour.raw is not None:
            if behaviour.raw:
                await connection.send(behaviour.raw)
        elif behaviour.fault != "empty":
            async for data in self._body(behaviour, connection):
                await connection.send(data, dribble=behaviour.dribble)
        await connection.end()

    async def _body(self, behaviour: Behaviour, connection: Connection) -> AsyncIterator[bytes]:
        if begin := self.begin():
            yield begin
        while behaviour.fault == "endless":
            yield self.piece("log ")
        if behaviour.fault == "huge":
            yield self.piece("A" * (3 << 20))
            await connection.hang()
        for index, text in enumerate(behaviour.pieces):
            if index == len(behaviour.pieces) // 2:
                match behaviour.fault:
                    case "hang_middle":
                        await connection.hang()
                    case "cut":
                        await connection.close()
                        return
                    case "reset":
                        connection.reset()
                        return
                    case "error_event" | "throttle_event":
                        yield self.failure(throttled=behaviour.fault == "throttle_event")
                        return
            yield self.piece(text)
        yield self.finish(behaviour)


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *rows = head.rstrip().split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, path, _ = first.split(" ")
    return Request(method, path, headers, body)
