"""What the handlers share: the use cases, the limits, and who is let in."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from bifrost_domain.application import Application
from bifrost_domain.errors import BifrostError, Forbidden, RateLimited, ShuttingDown, Unauthenticated
from bifrost_domain.keys import ApiKey, Scope
from bifrost_domain.observations import Shed
from bifrost_domain.ports import Metrics
from bifrost_entrypoints.api.repeats import Repeats
from bifrost_entrypoints.api.visit import Visit, header, visit_of
from bifrost_entrypoints.settings import Settings, time_zone

SCOPE = "scope"
"""The name under which a route says what a key needs; `OPEN` stands for no key at all."""
OPEN = "open"
CHECKED_SECONDS = 2.0
"""How often a key is looked at again while a stream runs: with what is remembered of it, five seconds at the most."""

Result = TypeVar("Result")


class Service:
    """`keys` is off only where the server was told so, on a loopback address."""

    def __init__(
        self,
        bifrost: Application,
        settings: Settings,
        *,
        metrics: Metrics,
        repeats: Repeats,
        keys: bool,
    ) -> None:
        self.bifrost = bifrost
        self.settings = settings
        self.limits = settings.server
        self.metrics = metrics
        self.repeats = repeats
        self.zone = time_zone(settings)
        self.language = settings.report_language(os.environ)
        self.closing = asyncio.Event()
        self._keys = keys
        self._running = 0

    async def admit(self, visit: Visit, scope: Scope, text: str | None) -> None:
        """Let a caller in who shows a key with that scope. Raises Unauthenticated, Forbidden, RateLimited."""
        if not self._keys or visit.admitted is scope:
            return
        keyring = self.bifrost.keyring
        if text is None:
            raise Unauthenticated
        key = await keyring.authenticate(text, address=visit.address)
        visit.key = key
        keyring.require(key, scope)
        visit.quota = await keyring.throttle(key)
        visit.admitted = scope

    @asynccontextmanager
    async def working(self, visit: Visit) -> AsyncGenerator[None, None]:
        """While a request makes work. Raises RateLimited where there is too much of it, ShuttingDown at the end."""
        if self.closing.is_set():
            raise ShuttingDown
        if self._running >= self.limits.max_in_progress:
            self.metrics.observe(Shed(reason="in_progress"))
            raise RateLimited("the server has as much to do as it can take", retry_after=1.0, hint="try again soon")
        self._running += 1
        try:
            if visit.key is None:
                yield
            else:
                async with self.bifrost.keyring.using(visit.key):
                    yield
        finally:
            self._running -= 1

    async def check_budget(self, visit: Visit) -> None:
        """Raises LimitReached."""
        if visit.key is not None:
            await self.bifrost.keyring.check_budget(visit.key)

    async def told_to_stop(self) -> BifrostError:
        """Ends when the server does."""
        await self.closing.wait()
        return ShuttingDown()

    async def key_over(self, key: ApiKey | None) -> BifrostError:
        """Ends when the key does."""
        while True:
            await asyncio.sleep(CHECKED_SECONDS)
            if key is not None:
                try:
                    await self.bifrost.keyring.still_valid(key.id)
                except Unauthenticated as error:
                    return error
                except BifrostError:
                    continue  # a storage that fails now is asked again; it takes no right away


def service_of(connection: Any) -> Service:
    service: Service = connection.app.state.service
    return service


def presented(scope: Any) -> str | None:
    """The key in the headers: `Authorization: Bearer KEY`, or `X-API-Key: KEY`."""
    authorization = header(scope, b"authorization")
    if authorization is not None:
        kind, _, text = authorization.partition(" ")
        return text.strip() if kind.lower() == "bearer" else ""
    return header(scope, b"x-api-key")


async def authorise(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """The guard of every route: before a body is read. A route that does not say what it needs is closed to all."""
    scope: Any = connection.scope
    if scope["type"] == "websocket":
        return  # its key may come with its first frame
    needed = handler.opt.get(SCOPE)
    if needed == OPEN or scope["method"] == "OPTIONS":
        return
    if not isinstance(needed, Scope):
        raise Forbidden("this route does not say who may use it")
    await service_of(connection).admit(visit_of(scope), needed, presented(scope))


async def gone(receive: Callable[[], Awaitable[Any]]) -> None:
    """Ends when the client has left; to be called once its request has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def attended(
    work: Coroutine[Any, Any, Result], *watchers: Coroutine[Any, Any, BifrostError | None]
) -> Result | BifrostError | None:
    """What `work` gives, or what the first watcher that ends gives, and then `work` is cancelled and at its end."""
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(work), *map(asyncio.create_task, watchers)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        first = next(task for task in tasks if task.done())
        result: Result | BifrostError | None = first.result()
        return result
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError, Exception):
                await task
