"""The way to a provider that answers a POST with lines of text, as NDJSON or server-sent events."""

import asyncio
import importlib
import ipaddress
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from bifrost_adapters.models._answer import MOST_BYTES, retry_seconds
from bifrost_domain.errors import (
    BadAnswer,
    ModelError,
    ModelRefused,
    ModelThrottled,
    ModelTimeout,
    ModelUnavailable,
)

if TYPE_CHECKING:
    import aiohttp


class Advice(Struct, frozen=True, kw_only=True):
    """What to do when the provider cannot be reached, has not got the model, and so on: the hints of its errors."""

    unreachable: str
    denied: str
    no_model: str
    rejected: str
    other_protocol: str


class Endpoint:
    """One provider at one address. It makes its connections itself, each request on one, and never follows a redirect.

    What its methods raise is what the port LanguageModel promises. No message holds what the provider wrote.
    """

    def __init__(
        self, provider: str, base_url: str, advice: Advice, *, connect_seconds: float = 3.0, key: str = ""
    ) -> None:
        self._provider = provider
        self._base_url = base_url
        self._advice = advice
        self._connect_seconds = connect_seconds
        self._key = key
        self._session: aiohttp.ClientSession | None = None

    @property
    def trusts_environment(self) -> bool:
        """Whether a proxy of the environment applies: to this machine none can."""
        hostname = urlsplit(self._base_url).hostname or ""
        try:
            return not ipaddress.ip_address(hostname).is_loopback
        except ValueError:
            return hostname != "localhost"

    async def lines(self, path: str, body: bytes) -> AsyncGenerator[bytes, None]:
        """The lines of the answer to a POST of JSON, without their ends and the empty ones.

        Closing the generator closes the connection. Raises ModelUnavailable, ModelThrottled and ModelTimeout, and
        BadAnswer for a line without end and for an answer without a line.
        """
        session = await self._connected()
        with self._translated():
            async with session.post(f"{self._base_url}{path}", data=body, allow_redirects=False) as response:
                try:
                    if response.status != 200:
                        raise self.refusal(response.status, response.headers.get("Retry-After"))
                    buffer = bytearray()
                    empty = True
                    async for chunk in response.content.iter_any():
                        buffer += chunk
                        *whole, buffer = buffer.split(b"\n")
                        for line in whole:
                            if line := line.strip():
                                empty = False
                                yield bytes(line)
                        if len(buffer) > MOST_BYTES:
                            raise BadAnswer(
                                f"{self._provider} sent a line of over {MOST_BYTES} bytes",
                                provider=self._provider,
                                malformed=True,
                            )
                    if buffer := buffer.strip():
                        yield bytes(buffer)
                    elif empty:
                        raise self.other_protocol()
                finally:
                    response.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def refusal(self, status: int, retry_after: str | None = None) -> ModelError:
        """The error for an HTTP status that is not 200."""
        match status:
            case 404:
                return self.unavailable("has not got the model", hint=self._advice.no_model)
            case 401 | 403:
                return self.unavailable(f"refused us (HTTP {status})", hint=self._advice.denied)
            case 504:
                return ModelTimeout(f"{self._provider} gave up on the request (HTTP 504)", provider=self._provider)
            case 429 | 529:
                return ModelThrottled(
                    f"{self._provider} asks to be called less often (HTTP {status})",
                    provider=self._provider,
                    retry_after=retry_seconds(retry_after),
                )
            case _ if status >= 500 or status in (408, 424, 425):
                return self.unavailable(f"failed (HTTP {status})", retryable=True)
            case _:
                return self.unavailable(f"rejected the request (HTTP {status})", hint=self._advice.rejected)

    def unreachable(self) -> ModelUnavailable:
        return self.unavailable("cannot be reached", hint=self._advice.unreachable, retryable=True)

    def broken(self) -> ModelUnavailable:
        """The error for an answer that ends in its middle."""
        return self.unavailable("broke off the connection", retryable=True)

    def other_protocol(self) -> BadAnswer:
        """The error for an answer that is not in the provider's protocol."""
        return BadAnswer(
            f"{self._provider} at {self._base_url} does not speak the protocol it should",
            provider=self._provider,
            hint=self._advice.other_protocol,
            malformed=True,
        )

    def unavailable(self, what: str, *, hint: str = "", retryable: bool = False) -> ModelUnavailable:
        kind = ModelUnavailable if retryable else ModelRefused
        return kind(
            f"{self._provider} at {self._base_url} {what}", provider=self._provider, hint=hint, retryable=retryable
        )

    async def _connected(self) -> "aiohttp.ClientSession":
        if self._session is None:
            aiohttp = await asyncio.to_thread(importlib.import_module, "aiohttp")
            headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
            if self._key:
                headers["Authorization"] = f"Bearer {self._key}"
            # Another task may have come first while this one imported.
            self._session = self._session or aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_seconds),
                headers=headers,
                auto_decompress=False,
                trust_env=self.trusts_environment,
            )
        return self._session

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turns what aiohttp raises into what the port promises."""
        import aiohttp

        try:
            yield
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError) as error:
            raise self.unavailable("has a TLS certificate that cannot be trusted") from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise self.unreachable() from error
        except (aiohttp.ClientResponseError, aiohttp.InvalidURL) as error:
            raise self.other_protocol() from error
        except (aiohttp.ClientError, OSError) as error:
            raise self.broken() from error
