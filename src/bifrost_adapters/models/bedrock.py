"""Models on Amazon Bedrock, through the Converse API.

Reference: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

import asyncio
import importlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct

from bifrost_adapters.models._answer import AnswerBound, retry_seconds
from bifrost_domain.errors import (
    BadAnswer,
    ModelError,
    ModelRefused,
    ModelThrottled,
    ModelTimeout,
    ModelUnavailable,
)
from bifrost_domain.ports import Completed, Delta, LanguageModel, ModelDescription, ModelEvent, ModelIdentity
from bifrost_domain.prompt import Prompt

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from types_aiobotocore_bedrock_runtime.client import BedrockRuntimeClient

__all__ = ["Options", "open"]

_UNKNOWN_CONTEXT = 8192
_MAX_OUTPUT = 4096
"""What every chat model on Bedrock can write."""
_LONGEST_SILENCE_SECONDS = 900
"""Who calls sets the deadline; this one only ends what nobody waits for."""
_POOL = 256
_CREDENTIALS_HINT = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or AWS_BEARER_TOKEN_BEDROCK, or name a `profile`"
)


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which model, and where. What is unset comes from the AWS_* variables and files, as with every AWS tool.

    model: a model id, an inference profile id, or the ARN of either.
    region: the AWS region; unset, AWS_REGION, AWS_DEFAULT_REGION, and then the profile's.
    profile: a profile of the AWS configuration files.
    endpoint_url: another address of the service; unset, AWS_ENDPOINT_URL_BEDROCK_RUNTIME.
    max_tokens: the longest answer in tokens.
    temperature: 0 takes the likeliest token; null leaves it out, for models that refuse it.
    streaming: false for models that do not stream; the answer then comes in one piece.
    context_tokens: the size of the model's context, for a model that Bifrost does not know.
    usd_per_million_input: its price for input, in US dollars for a million tokens.
    usd_per_million_output: its price for output.
    guardrail: the id or ARN of a guardrail to apply.
    guardrail_version: which version of it.
    connect_seconds: how long to wait for a connection.
    """

    model: Annotated[str, Meta(min_length=1)] = "global.anthropic.claude-haiku-4-5-20251001-v1:0"
    region: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None
    max_tokens: Annotated[int, Meta(ge=1)] = _MAX_OUTPUT
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = 0.0
    streaming: bool = True
    context_tokens: Annotated[int, Meta(ge=512)] | None = None
    usd_per_million_input: Annotated[float, Meta(ge=0)] | None = None
    usd_per_million_output: Annotated[float, Meta(ge=0)] | None = None
    guardrail: str | None = None
    guardrail_version: str = "DRAFT"
    connect_seconds: Annotated[float, Meta(gt=0)] = 3.0


@asynccontextmanager
async def open(options: Options, *, name: str) -> AsyncIterator[LanguageModel]:
    """The model for the entry `name`. The AWS client is made at the first request, which takes a quarter second."""
    async with AsyncExitStack() as resources:
        yield _Bedrock(options, name, resources)


class _Bedrock:
    def __init__(self, options: Options, name: str, resources: AsyncExitStack) -> None:
        self._options = options
        self._name = name
        self._resources = resources
        self._client: BedrockRuntimeClient | None = None
        self._making = asyncio.Lock()
        guardrail = {"guardrail": f"{options.guardrail}@{options.guardrail_version}"} if options.guardrail else {}
        self.identity = ModelIdentity(
            provider=name, model=options.model, options={"temperature": str(options.temperature), **guardrail}
        )

    async def describe(self) -> ModelDescription:
        await self._connected()
        options = self._options
        context, usd_input, usd_output = await asyncio.to_thread(_listed, options.model)
        return ModelDescription(
            context_tokens=options.context_tokens or context,
            max_output_tokens=options.max_tokens,
            usd_per_million_input=usd_input if options.usd_per_million_input is None else options.usd_per_million_input,
            usd_per_million_output=(
                usd_output if options.usd_per_million_output is None else options.usd_per_million_output
            ),
        )

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        client = await self._connected()
        bound = AnswerBound(self._name, prompt.max_output_tokens)
        reply = self._streamed if self._options.streaming else self._whole
        answered, begun, stop = False, False, None
        usage: Mapping[str, Any] = {}
        async with aclosing(reply(client, self._request(prompt))) as events:
            async for event in events:
                begun = True
                if "contentBlockDelta" in event:
                    delta = event["contentBlockDelta"].get("delta", {})
                    text = delta.get("text", "")
                    bound.admit(text or delta.get("reasoningContent", {}).get("text", ""))
                    if text:
                        answered = True
                        yield Delta(text)
                elif "messageStop" in event:
                    stop = event["messageStop"].get("stopReason")
                elif "metadata" in event:
                    usage = event["metadata"].get("usage", {})
        if not begun:
            raise self._not_bedrock()
        if stop is None:
            raise self._broken()
        if stop in ("guardrail_intervened", "content_filtered"):
            raise BadAnswer(
                f"{self._name} withheld its answer ({stop})",
                provider=self._name,
                hint="review the guardrail, or analyse this log with another provider",
            )
        if not answered:
            raise BadAnswer(f"{self._name} answered with nothing", provider=self._name)
        yield Completed(
            input_tokens=usage.get("inputTokens", 0),
            output_tokens=usage.get("outputTokens", 0),
            truncated=stop in ("max_tokens", "model_context_window_exceeded"),
        )

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        """The arguments of Converse. It has no place for a schema, so the model reads it with the instructions."""
        options = self._options
        schema = msgspec.json.encode(prompt.schema).decode()
        inference: dict[str, Any] = {"maxTokens": min(prompt.max_output_tokens, options.max_tokens)}
        if options.temperature is not None:
            inference["temperature"] = options.temperature
        request: dict[str, Any] = {
            "modelId": options.model,
            "system": [{"text": f"{prompt.system}\n\nThe JSON object has to meet this JSON Schema:\n{schema}"}],
            "messages": [{"role": "user", "content": [{"text": prompt.user}]}],
            "inferenceConfig": inference,
        }
        if options.guardrail:
            request["guardrailConfig"] = {
                "guardrailIdentifier": options.guardrail,
                "guardrailVersion": options.guardrail_version,
            }
        return request

    async def _streamed(
        self, client: "BedrockRuntimeClient", request: dict[str, Any]
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        with self._translated():
            response = await client.converse_stream(**request)
            stream: Any = response["stream"]
            try:
                async with aclosing(aiter(stream)) as events:
                    async for event in events:
                        yield event
            finally:
                stream.close()

    async def _whole(
        self, client: "BedrockRuntimeClient", request: dict[str, Any]
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        """The answer of Converse, as the events ConverseStream would have sent."""
        with self._translated():
            response: Mapping[str, Any] = await client.converse(**request)
            for block in response["output"]["message"]["content"]:
                yield {"contentBlockDelta": {"delta": block}}
            yield {"messageStop": {"stopReason": response["stopReason"]}}
            yield {"metadata": {"usage": response["usage"]}}

    async def _connected(self) -> "BedrockRuntimeClient":
        async with self._making:
            if self._client is None:
                self._client = await self._made()
            return self._client

    async def _made(self) -> "BedrockRuntimeClient":
        options = self._options
        aioboto3, config = await asyncio.to_thread(_aws)
        with self._translated():
            session = aioboto3.Session(
                profile_name=options.profile, region_name=options.region or os.environ.get("AWS_REGION")
            )
            if not os.environ.get("AWS_BEARER_TOKEN_BEDROCK") and await session.get_credentials() is None:
                raise self._unavailable("has no AWS credentials to sign with", hint=_CREDENTIALS_HINT)
            settings = config.AioConfig(
                connect_timeout=options.connect_seconds,
                read_timeout=_LONGEST_SILENCE_SECONDS,
                max_pool_connections=_POOL,
                retries={"total_max_attempts": 1},
            )
            client: BedrockRuntimeClient = await self._resources.enter_async_context(
                session.client("bedrock-runtime", endpoint_url=options.endpoint_url, config=settings)
            )
            return client

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turns what botocore and aiohttp raise into what the port promises."""
        import aiohttp
        from botocore import eventstream, exceptions, parsers

        try:
            yield
        except exceptions.ClientError as error:
            raise self._refusal(error) from error
        except (
            exceptions.NoCredentialsError,
            exceptions.PartialCredentialsError,
            exceptions.CredentialRetrievalError,
            exceptions.TokenRetrievalError,
            exceptions.SSOError,
        ) as error:
            raise self._unavailable("has no AWS credentials to sign with", hint=_CREDENTIALS_HINT) from error
        except exceptions.NoRegionError as error:
            raise self._unavailable("has no AWS region", hint="set `region` or AWS_REGION") from error
        except exceptions.ProfileNotFound as error:
            raise self._unavailable(
                "names an AWS profile that does not exist", hint="`aws configure list-profiles` lists them"
            ) from error
        except exceptions.ReadTimeoutError as error:
            raise ModelTimeout(f"{self._name} fell silent", provider=self._name) from error
        except exceptions.SSLError as error:
            raise self._unavailable("has a TLS certificate that cannot be trusted") from error
        except (exceptions.EndpointConnectionError, exceptions.ConnectTimeoutError) as error:
            raise self._unavailable(
                "cannot be reached", hint="check `region`, `endpoint_url` and the network", retryable=True
            ) from error
        except (exceptions.HTTPClientError, aiohttp.ClientError, OSError) as error:
            raise self._broken() from error
        except exceptions.BotoCoreError as error:
            raise self._unavailable(
                f"cannot be called ({type(error).__name__})", hint="check `model`, `region` and `endpoint_url`"
            ) from error
        except (
            eventstream.ParserError,
            parsers.ResponseParserError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            raise self._not_bedrock() from error

    def _refusal(self, error: "ClientError") -> ModelError:
        """The error for what the service refused, by its code; inside a stream there is no HTTP status."""
        code = error.response.get("Error", {}).get("Code", "")
        metadata: Mapping[str, Any] = error.response.get("ResponseMetadata", {})
        status = metadata.get("HTTPStatusCode", 0)
        match code[:1].upper() + code[1:]:
            case "ThrottlingException" | "TooManyRequestsException" | "ModelNotReadyException":
                status = 429
            case "ModelTimeoutException":
                status = 408
            case "AccessDeniedException" | "ExpiredTokenException" | "UnrecognizedClientException":
                status = 403
            case "ResourceNotFoundException":
                status = 404
            case "ValidationException":
                status = 400
            case "ModelErrorException" | "ModelStreamErrorException":
                status = 424
            case "InternalServerException" | "ServiceUnavailableException":
                status = 503
        match status:
            case 429 | 529:
                return ModelThrottled(
                    f"{self._name} asks to be called less often",
                    provider=self._name,
                    hint="ask AWS for a higher quota of this model, or analyse fewer logs at once",
                    retry_after=retry_seconds(metadata.get("HTTPHeaders", {}).get("retry-after")),
                )
            case 504:
                return ModelTimeout(f"{self._name} gave up on the request", provider=self._name)
            case 401 | 403:
                return self._unavailable(
                    f"was denied access to {self._options.model}",
                    hint=f"check that this account may use the model, and the credentials: {_CREDENTIALS_HINT}",
                )
            case 404:
                return self._unavailable(
                    f"has no model {self._options.model} in this region", hint="check `model` and `region`"
                )
            case 408 | 424:
                return self._unavailable("failed while the model answered", retryable=True)
            case _ if status >= 500:
                return self._unavailable("failed on the side of AWS", retryable=True)
            case _:
                return self._unavailable(
                    f"rejected the request for {self._options.model}",
                    hint="check `model` and `region`; some models want `temperature: null` or `streaming: false`",
                )

    def _broken(self) -> ModelUnavailable:
        return self._unavailable("broke off the connection", retryable=True)

    def _not_bedrock(self) -> BadAnswer:
        return BadAnswer(
            f"{self._name} answered with something that is not Bedrock's protocol",
            provider=self._name,
            hint="check `endpoint_url` and AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
            malformed=True,
        )

    def _unavailable(self, what: str, *, hint: str = "", retryable: bool = False) -> ModelUnavailable:
        kind = ModelUnavailable if retryable else ModelRefused
        return kind(f"{self._name} {what}", provider=self._name, hint=hint, retryable=retryable)


def _aws() -> tuple[Any, Any]:
    return importlib.import_module("aioboto3"), importlib.import_module("aiobotocore.config")


@cache
def _listed(model: str) -> tuple[int, float | None, float | None]:
    """(context, price of input, price of output) by the list that genai-prices ships; no network is used."""
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, found = get_snapshot().find_provider_model(model.rpartition("/")[2], None, "aws", None)
    except LookupError:
        return _UNKNOWN_CONTEXT, None, None
    prices = found.get_prices(datetime.now(UTC))
    return found.context_window or _UNKNOWN_CONTEXT, _base(prices.input_mtok), _base(prices.output_mtok)


def _base(price: Any) -> float | None:
    """A price, or the first step of a price in steps."""
    price = getattr(price, "base", price)
    return None if price is None else float(price)
