"""Models that an Ollama server runs.

The official client asks the server about a model; the answer itself is read by a thin NDJSON reader, which relays
several times the tokens a second and bounds what a server may send.
Protocol: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

import asyncio
import importlib
import ipaddress
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from bifrost_adapters.models._answer import MOST_BYTES, AnswerBound, retry_seconds
from bifrost_domain.errors import (
    BadAnswer,
    ConfigurationError,
    ModelError,
    ModelThrottled,
    ModelTimeout,
    ModelUnavailable,
)
from bifrost_domain.logs import tokens
from bifrost_domain.ports import Completed, Delta, LanguageModel, ModelDescription, ModelEvent, ModelIdentity
from bifrost_domain.prompt import Prompt

if TYPE_CHECKING:
    import aiohttp

__all__ = ["Options", "open"]

_PORT = 11434
_WINDOW_STEP = 2048
"""The server loads a model anew for every other window, so windows come in steps."""
_UNKNOWN_CONTEXT = 4096


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the server is, and how the model answers.

    host: the server as HOST, HOST:PORT or URL; unset, OLLAMA_HOST, and then http://127.0.0.1:11434. A server that
        wants a key gets OLLAMA_API_KEY as bearer token.
    model: the name as `ollama list` shows it.
    temperature: 0 always takes the likeliest token.
    seed: makes a temperature above 0 repeatable.
    think: whether a model that can reason does so before it answers, or how much.
    keep_alive: how long the server keeps the model loaded, as "10m", or -1 for ever; unset, the server decides.
    context_tokens: the largest window to use, answer included; unset, what the model was trained for.
    connect_seconds: how long to wait for a connection.
    extra: more of Ollama's own options, as {"top_k": 20}; window and output limit stay Bifrost's.
    usd_per_million_input: the price of input in US dollars for a million tokens, where the server bills; models of
        Ollama's cloud have no known price, and all others are free.
    usd_per_million_output: the price of output.
    """

    host: str | None = None
    model: Annotated[str, Meta(min_length=1)] = "qwen3:8b"
    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.0
    seed: int = 0
    think: bool | Literal["low", "medium", "high"] = False
    keep_alive: int | str | None = None
    context_tokens: Annotated[int, Meta(ge=512)] | None = None
    connect_seconds: Annotated[float, Meta(gt=0)] = 3.0
    extra: Mapping[str, bool | int | float | str] = {}
    usd_per_million_input: Annotated[float, Meta(ge=0)] | None = None
    usd_per_million_output: Annotated[float, Meta(ge=0)] | None = None


@asynccontextmanager
async def open(options: Options, *, name: str) -> AsyncIterator[LanguageModel]:
    """The model for the entry `name`. Needs no network. Raises ConfigurationError for a host that is none."""
    model = _Ollama(options, name, _base_url(options.host or os.environ.get("OLLAMA_HOST", "")))
    try:
        yield model
    finally:
        await model.close()


class _Message(Struct):
    content: str = ""
    thinking: str | None = None


class _Line(Struct):
    """One line of the answer to /api/chat."""

    message: _Message | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int = 0
    eval_count: int = 0
    error: str | None = None


_decoder = msgspec.json.Decoder(_Line)


class _Facts(Struct, frozen=True):
    """What the server tells of a model."""

    context_tokens: int
    thinks: bool


class _Ollama:
    def __init__(self, options: Options, name: str, base_url: str) -> None:
        self._options = options
        self._name = name
        self._base_url = base_url
        self._key = os.environ.get("OLLAMA_API_KEY", "")
        self._session: aiohttp.ClientSession | None = None
        self._facts: _Facts | None = None
        self.identity = ModelIdentity(
            provider=name,
            model=options.model,
            options={
                "temperature": str(options.temperature),
                "seed": str(options.seed),
                "think": str(options.think).lower(),
                **{f"extra.{key}": str(value) for key, value in sorted(options.extra.items())},
            },
        )

    async def describe(self) -> ModelDescription:
        self._facts = await self._ask()
        prices = self._options.usd_per_million_input, self._options.usd_per_million_output
        return ModelDescription(
            context_tokens=self._facts.context_tokens,
            max_output_tokens=self._facts.context_tokens,
            usd_per_million_input=prices[0],
            usd_per_million_output=prices[1],
            free=prices == (None, None) and not self._options.model.endswith("cloud"),
        )

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        facts = self._facts = self._facts or await self._ask()
        window = self._window(prompt, facts)
        bound = AnswerBound(self._name, prompt.max_output_tokens)
        answered = False
        async with aclosing(self._chat(self._request(prompt, facts, window))) as lines:
            async for line in lines:
                if line.error is not None:
                    raise self._unavailable("reported an error in the middle of its answer", retryable=True)
                if line.message is None and not line.done:
                    raise self._not_ollama()
                if line.message is not None:
                    bound.admit(line.message.content + (line.message.thinking or ""))
                    if line.message.content:
                        answered = True
                        yield Delta(line.message.content)
                if line.done:
                    self._must_be_whole(prompt, line.prompt_eval_count, window)
                    if not answered:
                        raise BadAnswer(f"{self._name} answered with nothing", provider=self._name)
                    yield Completed(
                        input_tokens=line.prompt_eval_count,
                        output_tokens=line.eval_count,
                        truncated=line.done_reason == "length",
                    )
                    return

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self) -> _Facts:
        """What /api/show says, through the official client."""
        ollama, httpx = await asyncio.to_thread(_official_client)
        client = ollama.AsyncClient(
            host=self._base_url,
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=self._options.connect_seconds),
            trust_env=not _is_loopback(self._base_url),
        )
        async with client:
            try:
                shown = await client.show(self._options.model)
            except ollama.ResponseError as error:
                raise self._refusal(error.status_code) from error
            except (ConnectionError, httpx.ConnectTimeout) as error:
                raise self._unreachable() from error
            except httpx.HTTPError as error:
                raise self._broken() from error
            except (ValueError, TypeError, RecursionError) as error:
                raise self._not_ollama() from error
        capabilities = shown.capabilities or []
        if capabilities and "completion" not in capabilities:
            raise self._unavailable(
                f"has {self._options.model}, but that model does not write text", hint="set `model` to one that chats"
            )
        trained = _context_length(shown.modelinfo or {})
        return _Facts(min(trained, self._options.context_tokens or trained), "thinking" in capabilities)

    def _window(self, prompt: Prompt, facts: _Facts) -> int:
        """The window to ask for, in tokens: what the prompt needs, in steps, and never more than the model has."""
        if prompt.context_tokens > facts.context_tokens:
            raise self._unavailable(
                f"has a window of {facts.context_tokens} tokens, and the request needs {prompt.context_tokens}",
                hint="lower the token budget, or choose a model with a larger context",
            )
        return min(-(-prompt.context_tokens // _WINDOW_STEP) * _WINDOW_STEP, facts.context_tokens)

    def _request(self, prompt: Prompt, facts: _Facts, window: int) -> dict[str, Any]:
        """The body of /api/chat. Without `truncate` and `shift` newer servers refuse what they would have cut."""
        options = self._options
        request: dict[str, Any] = {
            "model": options.model,
            "messages": [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
            "stream": True,
            "format": prompt.schema,
            "truncate": False,
            "shift": False,
            "options": {
                "temperature": options.temperature,
                "seed": options.seed,
                **options.extra,
                "num_ctx": window,
                "num_predict": prompt.max_output_tokens,
            },
        }
        if facts.thinks:
            request["think"] = options.think
        if options.keep_alive is not None:
            request["keep_alive"] = options.keep_alive
        return request

    async def _chat(self, request: dict[str, Any]) -> AsyncGenerator[_Line, None]:
        """The lines of the answer, ended by the one that is `done`."""
        session = await self._connected()
        with self._translated():
            async with session.post(
                f"{self._base_url}/api/chat", data=msgspec.json.encode(request), allow_redirects=False
            ) as response:
                try:
                    if response.status != 200:
                        raise self._refusal(response.status, response.headers.get("Retry-After"))
                    begun = False
                    async with aclosing(self._lines(response.content)) as lines:
                        async for raw in lines:
                            begun = True
                            line = self._decoded(raw)
                            yield line
                            if line.done:
                                return
                    raise self._broken() if begun else self._not_ollama()
                finally:
                    response.close()

    async def _lines(self, content: "aiohttp.StreamReader") -> AsyncGenerator[bytes, None]:
        buffer = bytearray()
        async for chunk in content.iter_any():
            buffer += chunk
            *whole, rest = buffer.split(b"\n")
            for line in whole:
                if line.strip():
                    yield bytes(line)
            if len(rest) > MOST_BYTES:
                raise BadAnswer(f"{self._name} sent a line of over {MOST_BYTES} bytes", provider=self._name)
            buffer = rest
        if buffer.strip():
            yield bytes(buffer)

    def _decoded(self, raw: bytes) -> _Line:
        try:
            return _decoder.decode(raw)
        except (ValueError, RecursionError) as error:
            raise self._not_ollama() from error

    async def _connected(self) -> "aiohttp.ClientSession":
        if self._session is None:
            aiohttp = await asyncio.to_thread(importlib.import_module, "aiohttp")
            headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
            if self._key:
                headers["Authorization"] = f"Bearer {self._key}"
            self._session = self._session or aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None, connect=self._options.connect_seconds),
                headers=headers,
                auto_decompress=False,
                trust_env=not _is_loopback(self._base_url),
            )
        return self._session

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turns what aiohttp raises into what the port promises."""
        import aiohttp

        try:
            yield
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError) as error:
            raise self._unavailable("has a TLS certificate that cannot be trusted") from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise self._unreachable() from error
        except (aiohttp.ClientResponseError, aiohttp.InvalidURL) as error:
            raise self._not_ollama() from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._broken() from error

    def _must_be_whole(self, prompt: Prompt, read: int, window: int) -> None:
        """Servers that do not know `truncate` cut a long prompt and say nothing, but the tokens they count tell.

        A cut prompt fills the window to the last token. Where the server has a window of its own, that is some
        multiple of 1024, and far fewer tokens than the text is worth.
        """
        worth = tokens.estimate(prompt.system) + tokens.estimate(prompt.user)
        if read >= window or (read > 0 and read % 1024 == 0 and 2 * read <= worth):
            raise self._unavailable(
                f"read only the {read} tokens that fit its window, not the whole request",
                hint="update Ollama, raise OLLAMA_CONTEXT_LENGTH, or lower the token budget",
            )

    def _refusal(self, status: int, retry_after: str | None = None) -> ModelError:
        """The error for an answer that is no 200."""
        match status:
            case 404:
                return self._unavailable(
                    f"has not got the model {self._options.model}", hint=f"run `ollama pull {self._options.model}`"
                )
            case 401 | 403:
                return self._unavailable(f"refused us (HTTP {status})", hint="set OLLAMA_API_KEY to a valid key")
            case 504:
                return ModelTimeout(f"{self._name} gave up on the request (HTTP {status})", provider=self._name)
            case 429 | 529:
                return ModelThrottled(
                    f"{self._name} asks to be called less often (HTTP {status})",
                    provider=self._name,
                    retry_after=retry_seconds(retry_after),
                )
            case _ if status >= 500 or status in (408, 425):
                return self._unavailable(f"failed (HTTP {status})", retryable=True)
            case _:
                return self._unavailable(
                    f"rejected the request (HTTP {status})",
                    hint="check `model`, `extra` and `think`, and that the server is up to date",
                )

    def _unreachable(self) -> ModelUnavailable:
        return self._unavailable(
            "cannot be reached",
            hint="start it with `ollama serve`, or say where it is with `host` or OLLAMA_HOST",
            retryable=True,
        )

    def _broken(self) -> ModelUnavailable:
        return self._unavailable("broke off the connection", retryable=True)

    def _not_ollama(self) -> BadAnswer:
        return BadAnswer(
            f"{self._name} at {self._base_url} answered with something that is not Ollama's protocol",
            provider=self._name,
            hint="check that `host` or OLLAMA_HOST names an Ollama server and not another service",
        )

    def _unavailable(self, what: str, *, hint: str = "", retryable: bool = False) -> ModelUnavailable:
        return ModelUnavailable(
            f"{self._name} at {self._base_url} {what}", provider=self._name, hint=hint, retryable=retryable
        )


def _official_client() -> tuple[Any, Any]:
    return importlib.import_module("ollama"), importlib.import_module("httpx")


def _base_url(host: str) -> str:
    """`host` as the official clients read it: a bare name has port 11434, a URL the port of its scheme."""
    host = host.strip()
    scheme, separator, rest = host.partition("://")
    if not separator:
        scheme, rest = "http", host
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        given, hostname = parts.port, parts.hostname or "127.0.0.1"
    except ValueError as error:
        raise ConfigurationError(
            "the address of Ollama is no address", hint="write HOST, HOST:PORT or a URL"
        ) from error
    if scheme not in ("http", "https") or parts.query or parts.fragment:
        raise ConfigurationError("the address of Ollama is no http or https address", hint="write HOST:PORT or a URL")
    if parts.username is not None:
        raise ConfigurationError(
            "the address of Ollama holds a user name", hint="take it out; a key goes into OLLAMA_API_KEY"
        )
    port = given or ({"http": 80, "https": 443}[scheme] if separator else _PORT)
    path = parts.path.strip("/")
    bracketed = f"[{hostname}]" if ":" in hostname else hostname
    return f"{scheme}://{bracketed}:{port}" + (f"/{path}" if path else "")


def _is_loopback(base_url: str) -> bool:
    """Whether it is this machine, which no proxy of the environment can stand before."""
    hostname = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"


def _context_length(facts: Mapping[str, Any]) -> int:
    """`<architecture>.context_length`, by any architecture; a small window where the server does not say."""
    architecture = facts.get("general.architecture")
    length = facts.get(f"{architecture}.context_length")
    return length if isinstance(length, int) and length > 0 else _UNKNOWN_CONTEXT
