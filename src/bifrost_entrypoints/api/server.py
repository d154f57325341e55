"""Runs the service: uvicorn, in one process or several, on a socket that is bound before any of them starts."""

import asyncio
import ctypes
import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.supervisors import Multiprocess

from bifrost_domain.errors import ConfigurationError
from bifrost_domain.logs.redaction import Redactor
from bifrost_entrypoints.api.app import create_app
from bifrost_entrypoints.api.edge import App
from bifrost_entrypoints.logs import configure
from bifrost_entrypoints.settings import Settings, is_loopback

BACKLOG = 2048
KEEP_ALIVE_SECONDS = 15
PING_SECONDS = 20.0
LAST_SECONDS = 5
"""What is left, after streams were told to stop, for them to do so."""
M_ARENA_MAX = -8
"""Of mallopt(3)."""
ALLOWED_BY = "BIFROST_ALLOW_NO_AUTH"


def serve(settings: Settings, *, keys: bool, told: Callable[[str], None]) -> int:
    """Serves until it is told to stop; gives the exit code. `told` hears where, once it listens.

    Raises ConfigurationError for an address that cannot be listened on, or may not be without keys.
    """
    limits = settings.server
    if not keys and not is_loopback(limits.host) and os.environ.get(ALLOWED_BY) != "1":
        raise ConfigurationError(
            f"without API keys the service listens on a loopback address only, not on {limits.host}",
            hint=f"leave --no-auth out, or set {ALLOWED_BY}=1 if everybody who can reach it may use it",
        )
    listening = _listen(limits.host, limits.port)
    shared = tempfile.mkdtemp(prefix="bifrost-metrics-") if limits.workers > 1 else None
    if shared is not None:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared
    try:
        host, port = listening.getsockname()[:2]
        told(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        config = _config(settings, keys)
        # uvicorn ends in order when it is told to, and then raises the signal again.
        signal.signal(signal.SIGTERM, lambda *_: None)
        if limits.workers == 1:
            server = uvicorn.Server(config)
            server.run(sockets=[listening])
            return 0 if server.started else 3
        supervisor = Multiprocess(config, sockets=[listening])
        supervisor.run()
        return 0
    finally:
        listening.close()
        if shared is not None:
            shutil.rmtree(shared, ignore_errors=True)


def _config(settings: Settings, keys: bool) -> uvicorn.Config:
    limits = settings.server
    return uvicorn.Config(
        partial(_app, settings, keys),
        factory=True,
        http=partial(_Protocol, header_seconds=limits.header_seconds),  # type: ignore[arg-type]
        ws=_Socket,
        loop="uvloop",
        lifespan="on",
        workers=limits.workers,
        backlog=BACKLOG,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=round(limits.drain_seconds) + LAST_SECONDS,
        ws_max_size=limits.max_body_bytes,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        ws_per_message_deflate=False,
        h11_max_incomplete_event_size=None,
    )


def _app(settings: Settings, keys: bool) -> App:
    """The application of one process, which logs as that process does."""
    _share_arenas()
    redactor = Redactor(secrets.token_bytes(32))
    access = configure(
        settings.server.log_level, lambda text: "\n".join(line.text for line in redactor.lines(text.split("\n")))
    )
    return create_app(settings, keys=keys, access=access)


def _share_arenas() -> None:
    """Has glibc's allocator keep two arenas for all threads, not eight for each core: what is freed in one is not used
    in another, so that a server whose threads take turns would seem to grow for hours."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 2)


def _listen(host: str, port: int) -> socket.socket:
    """Raises ConfigurationError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigurationError(f"there is no address {host!r} to listen on", hint="as in --host 127.0.0.1") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"cannot listen on {host} port {port}: {error.strerror or error}", hint="choose another one with --port"
        ) from error
    listening.set_inheritable(True)
    return listening


class _Socket(WebSocketsSansIOProtocol):
    """Leaves a socket that is open to the application when the server stops: it may go on for a while, as other
    requests do, and ends with a frame that says why. What a client did wrong is no error of the server's."""

    def shutdown(self) -> None:
        if self.close_sent or not self.handshake_complete:
            super().shutdown()

    async def send(self, message: Any) -> None:
        """Raises ClientDisconnected, also where a frame of the client's had the socket closed."""
        if self.close_sent:
            raise ClientDisconnected
        await super().send(message)

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.conn.send_close(1007)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()


class _Protocol(HttpToolsProtocol):
    """Closes a connection that does not bring a request's headers in time, or brings too many of them."""

    MOST_HEADER_BYTES = 32 << 10

    def __init__(self, *given: Any, header_seconds: float, **named: Any) -> None:
        super().__init__(*given, **named)
        self._header_seconds = header_seconds
        self._header_bytes = 0
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = 0
        self._wait()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._arrived()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        self._arrived()
        super().handle_websocket_upgrade()

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self.MOST_HEADER_BYTES and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\r\n")
            self.transport.close()

    def _wait(self) -> None:
        self._arrived()
        self._waiting = self.loop.call_later(self._header_seconds, self._give_up)

    def _arrived(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n")
            self.transport.close()
