"""Requests that are repeated byte for byte, by one key: answered with the analysis that was made for the first.

While it is being made, all who ask wait for the one; it is given up when the last of them has left. An answer is served
again as long as the cache would keep it, and at least every few seconds it is looked at whether it still stands: erased
from the history, or asked with a wording that is no longer in production, it is made anew.
"""

import asyncio
import hashlib
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable

from msgspec import Struct, structs

from bifrost_domain.ports import Monotonic

CHECKED_SECONDS = 4.5
MOST_BYTES = 16 << 20
"""Of all answers that are kept in a process."""


class Reply(Struct, frozen=True, kw_only=True):
    """`body` answers the one who asked first, `again` all others. Not `lasting`, it answers those who wait now.

    `id` is that of the analysis in the history, empty where it is not there. `prompt`: which wording was asked for
    (None: that in production), and the version that it was; None for the heuristic.
    """

    id: str
    provider: str
    model: str
    prompt: tuple[str | None, int] | None
    body: bytes
    again: bytes
    lasting: bool


class _Flight:
    def __init__(self, task: asyncio.Task[Reply]) -> None:
        self.task = task
        self.waiting = 0


class _Kept(Struct):
    reply: Reply
    until: float
    checked: float


class Repeats:
    """`stands(reply)` says whether an answer still does; `seconds`: how long one may be served at all.

    `secret` is the installation's key: names of requests are kept with idempotency keys, for all replicas.
    """

    def __init__(
        self, secret: bytes, *, seconds: float, stands: Callable[[Reply], Awaitable[bool]], monotonic: Monotonic
    ) -> None:
        self._secret = hashlib.blake2b(secret, digest_size=32, person=b"bifrost-repeats").digest()
        self._seconds = seconds
        self._stands = stands
        self._monotonic = monotonic
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._bytes = 0
        self._flights: dict[bytes, _Flight] = {}
        self.counted: Counter[tuple[str | None, str, str]] = Counter()
        """How many were answered again, by key family, provider and model, since somebody took it away."""

    def key(self, *parts: bytes) -> bytes:
        """The name of a request: keyed, over its parts, each preceded by its length."""
        digest = hashlib.blake2b(key=self._secret, digest_size=32)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        return digest.digest()

    async def find(self, key: bytes) -> Reply | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        now = self._monotonic()
        if now < kept.until and now >= kept.checked + CHECKED_SECONDS:
            kept.checked = now
            if not await self._stands(kept.reply):
                kept.until = now
        if self._kept.get(key) is not kept:
            return None  # erased while it was looked at
        if now >= kept.until:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept.reply

    def forget(self, id: str) -> None:
        """The analysis is gone: it is not served again from here."""
        for key in [key for key, kept in self._kept.items() if kept.reply.id == id]:
            self._drop(key)

    async def once(self, key: bytes, make: Callable[[], Awaitable[Reply]]) -> tuple[Reply, bool]:
        """What `make` gives, called once for all who ask at the same time; and whether this was the one who called."""
        flight = self._flights.get(key)
        leads = flight is None
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(self._make(key, make)))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task), leads
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                if self._flights.get(key) is flight:
                    del self._flights[key]
                flight.task.cancel()
                await asyncio.gather(flight.task, return_exceptions=True)

    async def _make(self, key: bytes, make: Callable[[], Awaitable[Reply]]) -> Reply:
        task = asyncio.current_task()
        try:
            reply = await make()
        finally:
            if (flight := self._flights.get(key)) is not None and flight.task is task:
                del self._flights[key]
        if reply.lasting:
            self._keep(key, reply)
        return reply

    def _keep(self, key: bytes, reply: Reply) -> None:
        self._drop(key)
        now = self._monotonic()
        self._kept[key] = _Kept(reply=structs.replace(reply, body=b""), until=now + self._seconds, checked=now)
        self._bytes += len(reply.again)
        while self._bytes > MOST_BYTES:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: bytes) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= len(kept.reply.again)
