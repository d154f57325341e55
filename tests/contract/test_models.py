"""What every language model promises, on the wire of its own provider."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from bifrost_adapters.slots import open_slot
from bifrost_domain.errors import (
    BadAnswer,
    ConfigurationError,
    ModelError,
    ModelThrottled,
    ModelTimeout,
    ModelUnavailable,
)
from bifrost_domain.ports import Completed, Delta, LanguageModel, ModelEvent
from bifrost_domain.prompt import Prompt, answer_schema
from tests.contract.choices_models import CHOICES, ModelChoice
from tests.contract.servers.wire import Behaviour, Request, Stub

pytestmark = pytest.mark.asyncio(loop_scope="module")

OpenModel = Callable[..., AbstractAsyncContextManager[tuple[LanguageModel, Stub]]]

SECRET = "hidden" + "-in-the-environment"
ASKED = "the log says: disk full"
LIMIT_SECONDS = 5

every_model = pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES.keys())
every_provider = pytest.mark.parametrize(
    "choice",
    [choice for choice in CHOICES.values() if choice.server],
    ids=[label for label, choice in CHOICES.items() if choice.server],
)
every_stream = pytest.mark.parametrize(
    "choice",
    [choice for choice in CHOICES.values() if choice.server and choice.streams],
    ids=[label for label, choice in CHOICES.items() if choice.server and choice.streams],
)


@pytest.fixture(scope="module", autouse=True)
def _environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "OLLAMA_"))]:
            patch.delenv(name)
        for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "OLLAMA_API_KEY"):
            patch.setenv(name, SECRET)
        patch.setenv("AWS_ACCESS_KEY_ID", "AK" + "IA" + "0" * 16)
        patch.setenv("AWS_REGION", "eu-west-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_CONFIG_FILE", str(home / "config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "credentials"))
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def a_model(_environment: None) -> AsyncIterator[OpenModel]:
    """Opens a choice's adapter, and the server it speaks to; a model without a server gets an idle one.

    Both live as long as the module, so that every promise is also one about a client that met all faults before.
    """
    async with AsyncExitStack() as stack:
        opened: dict[int, tuple[LanguageModel, Stub]] = {}

        @asynccontextmanager
        async def open_model(
            choice: ModelChoice, behaviour: Behaviour | None = None
        ) -> AsyncIterator[tuple[LanguageModel, Stub]]:
            behaviour = behaviour or Behaviour()
            if choice.server is None:
                options = choice.options("".join(behaviour.pieces))
                async with open_slot("models", choice.kind, options, name="entry") as model:
                    yield model, Stub()
                return
            if id(choice) not in opened:
                server = await stack.enter_async_context(choice.server())
                opening = open_slot("models", choice.kind, choice.options(server.url), name="entry")
                opened[id(choice)] = await stack.enter_async_context(opening), server
            model, server = opened[id(choice)]
            server.expect(behaviour)
            yield model, server

        yield open_model


def a_prompt(*, context_tokens: int = 2000, max_output_tokens: int = 500) -> Prompt:
    return Prompt(
        system="You read logs.",
        user=ASKED,
        schema=answer_schema(),
        context_tokens=context_tokens,
        max_output_tokens=max_output_tokens,
    )


async def events_of(model: LanguageModel, prompt: Prompt | None = None) -> list[ModelEvent]:
    async with asyncio.timeout(LIMIT_SECONDS), aclosing(model.stream(prompt or a_prompt())) as stream:
        return [event async for event in stream]


def answers_asked_of(server: Stub) -> list[Request]:
    return [request for request in server.requests if request.path != "/api/show"]


def text_of(events: list[ModelEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


# --- an answer ------------------------------------------------------------------------------------------------------


@every_model
async def test_an_answer_is_deltas_and_then_one_completed(a_model: OpenModel, choice: ModelChoice) -> None:
    pieces = ('{"severity"', ': "error"', "}")
    async with a_model(choice, Behaviour(pieces)) as (model, _):
        *deltas, completed = await events_of(model)
    assert deltas
    assert all(isinstance(delta, Delta) for delta in deltas)
    assert isinstance(completed, Completed)
    assert text_of(deltas) == "".join(pieces)
    assert completed.input_tokens > 0
    assert completed.output_tokens > 0
    assert not completed.truncated


@every_model
async def test_the_text_is_exact_where_the_network_splits_its_characters(
    a_model: OpenModel, choice: ModelChoice
) -> None:
    pieces = ("디스크가 가득 ", "찼습니다 — ", "🪵\\n\u2028\x7f", '"\\\\"', "\n")
    async with a_model(choice, Behaviour(pieces, dribble=True)) as (model, _):
        assert text_of(await events_of(model)) == "".join(pieces)


@every_provider
async def test_an_answer_cut_at_the_output_limit_says_so(a_model: OpenModel, choice: ModelChoice) -> None:
    async with a_model(choice, Behaviour(truncated=True)) as (model, _):
        completed = (await events_of(model))[-1]
    assert completed == Completed(input_tokens=7, output_tokens=3, truncated=True)


@every_model
async def test_two_answers_stream_at_once_without_mixing(a_model: OpenModel, choice: ModelChoice) -> None:
    async with (
        a_model(choice, Behaviour([f"{number} " for number in range(50)])) as (model, _),
        asyncio.timeout(LIMIT_SECONDS),
        aclosing(model.stream(a_prompt())) as first,
        aclosing(model.stream(a_prompt())) as second,
    ):
        begun = [await anext(first), await anext(second)]
        rest_of_second = [event async for event in second]
        rest_of_first = [event async for event in first]
    whole = "".join(f"{number} " for number in range(50))
    assert text_of([begun[0], *rest_of_first]) == text_of([begun[1], *rest_of_second]) == whole


@every_model
async def test_a_model_says_who_it_is_and_how_much_it_reads(a_model: OpenModel, choice: ModelChoice) -> None:
    async with a_model(choice) as (model, _):
        description = await model.describe()
        identity = model.identity
    assert identity.provider == "entry"
    assert identity.model
    assert description.context_tokens >= 4096
    assert 0 < description.max_output_tokens <= description.context_tokens
    assert description.free or description.usd_per_million_input is not None


@every_model
async def test_options_that_change_the_answer_change_the_identity(choice: ModelChoice) -> None:
    given_options = choice.options("http://127.0.0.1:1")
    async with (
        open_slot("models", choice.kind, given_options, name="entry") as one,
        open_slot("models", choice.kind, given_options, name="entry") as same,
        open_slot("models", choice.kind, given_options | dict([choice.variant]), name="entry") as other,
    ):
        assert one.identity == same.identity
        assert one.identity != other.identity


@every_provider
async def test_the_request_carries_the_prompt_its_schema_and_the_output_limit(
    a_model: OpenModel, choice: ModelChoice
) -> None:
    async with a_model(choice) as (model, server):
        await events_of(model, a_prompt(max_output_tokens=321))
        body = json.loads(server.requests[-1].body)
    everything = json.dumps(body)
    assert ASKED in everything
    assert "You read logs." in everything
    assert "root_cause" in everything
    assert ": 321" in everything


# --- a provider that fails ------------------------------------------------------------------------------------------


@every_provider
async def test_a_provider_that_is_down_is_unavailable_and_worth_another_try(choice: ModelChoice) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    async with open_slot("models", choice.kind, choice.options(url), name="entry") as model:
        with pytest.raises(ModelUnavailable) as caught:
            await events_of(model)
    assert caught.value.retryable
    assert caught.value.provider == "entry"
    assert caught.value.hint


@every_provider
@pytest.mark.parametrize("status", [408, 424, 500, 502, 503])
async def test_a_failure_that_may_pass_is_worth_another_try(
    a_model: OpenModel, choice: ModelChoice, status: int
) -> None:
    async with a_model(choice, Behaviour(status=status)) as (model, server):
        with pytest.raises(ModelUnavailable) as caught:
            await events_of(model)
        assert len(answers_asked_of(server)) == 1
    assert caught.value.retryable


@every_provider
@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 422])
async def test_a_refusal_is_final_and_says_what_to_check(a_model: OpenModel, choice: ModelChoice, status: int) -> None:
    async with a_model(choice, Behaviour(status=status)) as (model, server):
        with pytest.raises(ModelUnavailable) as caught:
            await events_of(model)
        assert len(answers_asked_of(server)) == 1
    assert not caught.value.retryable
    assert caught.value.hint


@every_provider
@pytest.mark.parametrize("status", [429, 529])
async def test_a_throttled_call_says_when_to_come_back(a_model: OpenModel, choice: ModelChoice, status: int) -> None:
    async with a_model(choice, Behaviour(status=status)) as (model, server):
        with pytest.raises(ModelThrottled) as caught:
            await events_of(model)
        assert len(answers_asked_of(server)) == 1
    assert caught.value.retry_after == 7


@every_provider
async def test_a_provider_that_gave_up_on_time_is_a_timeout(a_model: OpenModel, choice: ModelChoice) -> None:
    async with a_model(choice, Behaviour(status=504)) as (model, _):
        with pytest.raises(ModelTimeout):
            await events_of(model)


@every_stream
@pytest.mark.parametrize("fault", ["cut", "reset"])
async def test_a_stream_that_breaks_off_is_unavailable_after_what_it_said(
    a_model: OpenModel, choice: ModelChoice, fault: str
) -> None:
    async with (
        a_model(choice, Behaviour(("a", "b", "c", "d"), fault=fault)) as (model, _),
        asyncio.timeout(LIMIT_SECONDS),
        aclosing(model.stream(a_prompt())) as stream,
    ):
        if fault == "cut":
            assert [await anext(stream), await anext(stream)] == [Delta("a"), Delta("b")]
        with pytest.raises(ModelUnavailable) as caught:
            [event async for event in stream]
    assert caught.value.retryable


@every_stream
async def test_an_error_inside_the_stream_is_the_providers_error(a_model: OpenModel, choice: ModelChoice) -> None:
    async with a_model(choice, Behaviour(fault="error_event")) as (model, _):
        with pytest.raises(ModelUnavailable) as caught:
            await events_of(model)
    assert caught.value.retryable


@every_provider
@pytest.mark.parametrize("fault", ["html", "empty"])
async def test_what_is_no_answer_in_the_providers_protocol_is_a_bad_answer(
    a_model: OpenModel, choice: ModelChoice, fault: str
) -> None:
    async with a_model(choice, Behaviour(fault=fault)) as (model, _):
        with pytest.raises(BadAnswer) as caught:
            await events_of(model)
    assert caught.value.hint


@every_provider
@pytest.mark.parametrize("pieces", [(), ("",)], ids=["no piece", "an empty piece"])
async def test_an_answer_without_text_is_a_bad_answer(
    a_model: OpenModel, choice: ModelChoice, pieces: tuple[str, ...]
) -> None:
    async with a_model(choice, Behaviour(pieces)) as (model, _):
        with pytest.raises(BadAnswer):
            await events_of(model)


@every_stream
@pytest.mark.parametrize("fault", ["endless", "huge"])
async def test_an_answer_without_end_is_cut_off(a_model: OpenModel, choice: ModelChoice, fault: str) -> None:
    async with a_model(choice, Behaviour(fault=fault)) as (model, server):
        with pytest.raises(BadAnswer):
            await events_of(model, a_prompt(max_output_tokens=100))
        async with asyncio.timeout(LIMIT_SECONDS):
            await server.left.wait()


# --- a caller that leaves -------------------------------------------------------------------------------------------


@every_stream
async def test_closing_the_stream_closes_the_connection(a_model: OpenModel, choice: ModelChoice) -> None:
    async with a_model(choice, Behaviour(("a", "b", "c"), fault="hang_middle")) as (model, server):
        stream = model.stream(a_prompt())
        async with asyncio.timeout(LIMIT_SECONDS):
            assert await anext(stream) == Delta("a")
            await stream.aclose()
        async with asyncio.timeout(2):
            await server.left.wait()


@every_provider
@pytest.mark.parametrize("fault", ["hang_first", "hang_middle"])
async def test_cancelling_a_silent_request_closes_the_connection(
    a_model: OpenModel, choice: ModelChoice, fault: str
) -> None:
    async with a_model(choice, Behaviour(("a", "b", "c"), fault=fault)) as (model, server):
        asking = asyncio.create_task(events_of(model))
        async with asyncio.timeout(LIMIT_SECONDS):
            await server.asked.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        async with asyncio.timeout(2):
            await server.left.wait()


@every_model
async def test_a_model_answers_again_after_a_caller_left(a_model: OpenModel, choice: ModelChoice) -> None:
    async with a_model(choice, Behaviour(("abc", "def", "ghi"))) as (model, _):
        stream = model.stream(a_prompt())
        await anext(stream)
        await stream.aclose()
        assert text_of(await events_of(model)) == "abcdefghi"


# --- what a message may say -----------------------------------------------------------------------------------------

FAILURES = [Behaviour(status=status) for status in (301, 400, 401, 403, 404, 408, 418, 424, 429, 500, 503, 504, 529)]
FAILURES += [Behaviour(fault=fault) for fault in ("cut", "reset", "html", "empty")]
STREAM_FAILURES = [Behaviour(fault=fault) for fault in ("error_event", "throttle_event", "huge")]
FAILING = [
    pytest.param(choice, behaviour, id=f"{label} {behaviour.fault or behaviour.status}")
    for label, choice in CHOICES.items()
    if choice.server
    for behaviour in FAILURES + (STREAM_FAILURES if choice.streams else [])
]


@pytest.mark.parametrize(("choice", "behaviour"), FAILING)
async def test_no_message_holds_a_secret_the_prompt_or_the_providers_words(
    a_model: OpenModel, choice: ModelChoice, behaviour: Behaviour
) -> None:
    async with a_model(choice, behaviour) as (model, _):
        with pytest.raises(ModelError) as caught:
            await events_of(model)
    error = caught.value
    assert error.provider == "entry"
    said = f"{error} {error.message} {error.hint} {error!r}"
    for hidden in (SECRET, "AK" + "IA", ASKED, "upstream detail"):
        assert hidden not in said


def _transcript(choice: ModelChoice) -> bytes:
    assert choice.server
    server = choice.server()
    behaviour = Behaviour(("The disk ", "ist voll: ", "디스크"))
    return server.begin() + b"".join(map(server.piece, behaviour.pieces)) + server.finish(behaviour)


@every_stream
@settings(max_examples=60, deadline=None)
@given(data=st.data())
async def test_no_foreign_exception_escapes_whatever_the_bytes(
    a_model: OpenModel, choice: ModelChoice, data: st.DataObject
) -> None:
    whole = _transcript(choice)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    raw = whole[:start] + data.draw(st.binary(max_size=12)) + whole[end:]
    async with a_model(choice, Behaviour(raw=raw)) as (model, _):
        try:
            events = await events_of(model)
        except ModelError:
            return
    assert isinstance(events[-1], Completed)


@pytest.mark.parametrize("kind", ["ollama", "bedrock", "scripted"])
async def test_an_option_that_does_not_exist_is_named(kind: str) -> None:
    with pytest.raises(ConfigurationError, match="modle"):
        open_slot("models", kind, {"modle": "x"}, name="entry")
