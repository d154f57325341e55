"""Models that an Ollama server runs.

The official client asks the server about a model; the answer itself is read by a thin NDJSON reader, which relays
several times the tokens a second and bounds what a server may send.
Protocol: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

import asyncio
import importlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from bifrost_adapters.models._answer import AnswerBound
from bifrost_adapters.models._http import Advice, Endpoint
from bifrost_domain.errors import BadAnswer, ConfigurationError
from bifrost_domain.logs import tokens
from bifrost_domain.ports import Completed, Delta, LanguageModel, ModelDescription, ModelEvent, ModelIdentity
from bifrost_domain.prompt import Prompt

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
        self._endpoint = Endpoint(
            name,
            base_url,
            Advice(
                unreachable="start it with `ollama serve`, or say where it is with `host` or OLLAMA_HOST",
                denied="set OLLAMA_API_KEY to a valid key",
                no_model=f"run `ollama pull {options.model}`",
                rejected="check `model`, `extra` and `think`; where the request was too long, lower the token budget",
                other_protocol="check that `host` or OLLAMA_HOST names an Ollama server and not another service",
            ),
            connect_seconds=options.connect_seconds,
            key=os.environ.get("OLLAMA_API_KEY", ""),
        )
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
        async with aclosing(self._endpoint.lines("/api/chat", self._request(prompt, facts, window))) as lines:
            async for raw in lines:
                line = self._decoded(raw)
                if line.error is not None:
                    raise self._endpoint.unavailable("reported an error in the middle of its answer", retryable=True)
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
        raise self._endpoint.broken()

    async def close(self) -> None:
        await self._endpoint.close()

    async def _ask(self) -> _Facts:
        """What /api/show says, through the official client."""
        ollama, httpx = await asyncio.to_thread(_official_client)
        client = ollama.AsyncClient(
            host=self._base_url,
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=self._options.connect_seconds),
            trust_env=self._endpoint.trusts_environment,
        )
        async with client:
            try:
                shown = await client.show(self._options.model)
            except ollama.ResponseError as error:
                raise self._endpoint.refusal(error.status_code) from error
            except (ConnectionError, httpx.ConnectTimeout) as error:
                raise self._endpoint.unreachable() from error
            except httpx.HTTPError as error:
                raise self._endpoint.broken() from error
            except (ValueError, TypeError, RecursionError) as error:
                raise self._endpoint.other_protocol() from error
        capabilities = shown.capabilities or []
        if capabilities and "completion" not in capabilities:
            raise self._endpoint.unavailable(
                f"has {self._options.model}, but that model does not write text", hint="set `model` to one that chats"
            )
        trained = _context_length(shown.modelinfo or {})
        return _Facts(min(trained, self._options.context_tokens or trained), "thinking" in capabilities)

    def _window(self, prompt: Prompt, facts: _Facts) -> int:
        """The window to ask for, in tokens: what the prompt needs, in steps, and never more than the model has."""
        if prompt.context_tokens > facts.context_tokens:
            raise self._endpoint.unavailable(
                f"has a window of {facts.context_tokens} tokens, and the request needs {prompt.context_tokens}",
                hint="lower the token budget, or choose a model with a larger context",
            )
        return min(-(-prompt.context_tokens // _WINDOW_STEP) * _WINDOW_STEP, facts.context_tokens)

    def _request(self, prompt: Prompt, facts: _Facts, window: int) -> bytes:
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
        return msgspec.json.encode(request)

    def _decoded(self, raw: bytes) -> _Line:
        try:
            line = _decoder.decode(raw)
        except (ValueError, RecursionError) as error:
            raise self._endpoint.other_protocol() from error
        if line.message is None and not line.done and line.error is None:
            raise self._endpoint.other_protocol()
        return line

    def _must_be_whole(self, prompt: Prompt, read: int, window: int) -> None:
        """Servers that do not know `truncate` cut a long prompt and say nothing, but the tokens they count tell.

        A cut prompt fills the window to the last token. Where the server has a window of its own, that is some
        multiple of 1024, and far fewer tokens than the text is worth.
        """
        worth = tokens.estimate(prompt.system) + tokens.estimate(prompt.user)
        if read >= window or (read > 0 and read % 1024 == 0 and 2 * read <= worth):
            raise self._endpoint.unavailable(
                f"read only the {read} tokens that fit its window, not the whole request",
                hint="update Ollama, raise OLLAMA_CONTEXT_LENGTH, or lower the token budget",
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


def _context_length(facts: Mapping[str, Any]) -> int:
    """`<architecture>.context_length`, by any architecture; a small window where the server does not say."""
    architecture = facts.get("general.architecture")
    length = facts.get(f"{architecture}.context_length")
    return length if isinstance(length, int) and length > 0 else _UNKNOWN_CONTEXT
