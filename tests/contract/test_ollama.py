"""What only Ollama does: its address, its window, and its habit of cutting long prompts without a word."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from ollama._client import _parse_host

from bifrost_adapters.models.ollama import _base_url
from bifrost_adapters.slots import open_slot
from bifrost_domain.errors import BadAnswer, BifrostError, ConfigurationError, ModelUnavailable
from bifrost_domain.ports import LanguageModel, ModelEvent
from bifrost_domain.prompt import Prompt
from tests.contract.servers.ollama import MODEL, OllamaStub
from tests.contract.servers.wire import Behaviour


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    monkeypatch.delenv("OLLAMA_API_KEY", raising=False)


@pytest.fixture
async def server() -> AsyncIterator[OllamaStub]:
    async with OllamaStub() as stub:
        yield stub


def a_prompt(*, user: str = "u", context_tokens: int = 1000) -> Prompt:
    return Prompt(system="s", user=user, schema={}, context_tokens=context_tokens, max_output_tokens=100)


async def answered(model: LanguageModel, prompt: Prompt) -> list[ModelEvent]:
    async with aclosing(model.stream(prompt)) as stream:
        return [event async for event in stream]


async def sent(server: OllamaStub, prompt: Prompt, **options: object) -> dict[str, Any]:
    """The body of /api/chat that `prompt` becomes."""
    async with open_slot("models", "ollama", {"host": server.url, "model": MODEL, **options}, name="entry") as model:
        await answered(model, prompt)
    body: dict[str, Any] = json.loads(server.requests[-1].body)
    return body


ADDRESSES = [
    "",
    "localhost",
    "localhost:1234",
    ":1234",
    "10.0.0.1",
    "10.0.0.1:1234/",
    "http://10.0.0.1",
    "https://example.com",
    "https://example.com:1234/path/",
    "example.com/path",
    "example.com:1234/path/to",
    "[::1]",
    "[::1]:1234",
    "https://[::1]/x",
]


@pytest.mark.parametrize("host", ADDRESSES)
def test_an_address_is_read_as_the_official_client_reads_it(host: str) -> None:
    assert _base_url(host) == _parse_host(host)


@pytest.mark.parametrize("host", ["ftp://example.com", "example.com:port", "http://[::1", "me:word@example.com"])
def test_what_is_no_address_is_refused_without_repeating_it(host: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _base_url(host)
    assert "word" not in str(caught.value)


async def test_the_environment_names_the_server_where_the_settings_do_not(
    server: OllamaStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", server.url.removeprefix("http://"))
    async with open_slot("models", "ollama", {"model": MODEL}, name="entry") as model:
        assert (await model.describe()).context_tokens == 8192


async def test_a_key_is_sent_as_a_bearer_token(server: OllamaStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "a-key")
    await sent(server, a_prompt())
    assert {request.headers["authorization"] for request in server.requests} == {"Bearer a-key"}


async def test_opening_needs_no_network() -> None:
    async with open_slot("models", "ollama", {"host": "127.0.0.1:1"}, name="entry") as model:
        assert model.identity.provider == "entry"


@pytest.mark.parametrize(("needed", "window"), [(1, 2048), (2048, 2048), (2049, 4096), (8000, 8000)])
async def test_the_window_is_what_the_prompt_needs_in_steps_and_never_more_than_the_model_has(
    server: OllamaStub, needed: int, window: int
) -> None:
    server.context_length = 8000
    body = await sent(server, a_prompt(context_tokens=needed))
    assert body["options"]["num_ctx"] == window
    assert (body["truncate"], body["shift"]) == (False, False)


async def test_a_prompt_that_does_not_fit_is_not_sent(server: OllamaStub) -> None:
    with pytest.raises(ModelUnavailable, match=r"8192 .* 8193") as caught:
        await sent(server, a_prompt(context_tokens=8193))
    assert not caught.value.retryable
    assert [request.path for request in server.requests] == ["/api/show"]


@pytest.mark.parametrize(("own", "trained", "described"), [(None, 8192, 8192), (1024, 8192, 1024), (None, None, 4096)])
async def test_the_context_is_the_models_or_the_users_whichever_is_smaller(
    server: OllamaStub, own: int | None, trained: int | None, described: int
) -> None:
    server.context_length = trained
    options = {"host": server.url, "model": MODEL, "context_tokens": own}
    async with open_slot("models", "ollama", options, name="entry") as model:
        assert (await model.describe()).context_tokens == described


@pytest.mark.parametrize(
    ("window", "read"), [(2048, 2048), (8192, 4096)], ids=["the window we asked for", "a window of the server's own"]
)
async def test_a_prompt_the_server_cut_without_a_word_is_noticed(server: OllamaStub, window: int, read: int) -> None:
    server.behaviour = Behaviour(input_tokens=read)
    prompt = a_prompt(user="line of a log\n" * (window // 4), context_tokens=window)
    with pytest.raises(ModelUnavailable, match=f"only the {read} tokens"):
        await sent(server, prompt)


@pytest.mark.parametrize("read", [0, 7, 1024, 2000], ids=["all cached", "mostly cached", "a round number", "dense"])
async def test_a_count_of_tokens_that_can_be_true_is_no_cut(server: OllamaStub, read: int) -> None:
    server.behaviour = Behaviour(input_tokens=read)
    await sent(server, a_prompt(user="a word " * 500, context_tokens=2000))


async def test_a_redirect_is_not_followed_with_the_prompt(server: OllamaStub) -> None:
    server.behaviour = Behaviour(status=307, location="/elsewhere")
    with pytest.raises(ModelUnavailable, match="307"):
        await sent(server, a_prompt())
    assert [request.path for request in server.requests] == ["/api/show", "/api/chat"]


async def test_a_line_without_end_is_cut_off(server: OllamaStub) -> None:
    server.behaviour = Behaviour(raw=b"A" * (2 << 20))
    with pytest.raises(BadAnswer, match="a line of over"):
        await sent(server, a_prompt())


@pytest.mark.parametrize(("capabilities", "expected"), [(("completion", "thinking"), False), (("completion",), None)])
async def test_thinking_is_turned_off_only_where_the_model_can_think(
    server: OllamaStub, capabilities: tuple[str, ...], expected: bool | None
) -> None:
    server.capabilities = capabilities
    assert (await sent(server, a_prompt())).get("think") is expected


async def test_options_reach_the_server_and_cannot_move_the_window(server: OllamaStub) -> None:
    body = await sent(server, a_prompt(), seed=7, keep_alive="10m", extra={"top_k": 20, "num_ctx": 1})
    assert body["keep_alive"] == "10m"
    assert body["options"] == {"temperature": 0.0, "seed": 7, "top_k": 20, "num_ctx": 2048, "num_predict": 100}


async def test_a_missing_model_says_how_to_get_it(server: OllamaStub) -> None:
    async with open_slot("models", "ollama", {"host": server.url, "model": "other:7b"}, name="entry") as model:
        with pytest.raises(ModelUnavailable) as caught:
            await model.describe()
    assert caught.value.hint == "run `ollama pull other:7b`"
    assert not caught.value.retryable


async def test_a_model_that_only_embeds_cannot_answer(server: OllamaStub) -> None:
    server.capabilities = ("embedding",)
    async with open_slot("models", "ollama", {"host": server.url, "model": MODEL}, name="entry") as model:
        with pytest.raises(ModelUnavailable, match="does not write text"):
            await model.describe()


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"<html>", BadAnswer),
        (200, b"", BadAnswer),
        (200, b"[1]", BadAnswer),
        (200, b'{"model_info": 3}', BadAnswer),
        (200, b"\xff\xfe", BadAnswer),
        (200, b"[" * 100_000, BadAnswer),
        (302, b"", ModelUnavailable),
        (500, b"{}", ModelUnavailable),
    ],
)
async def test_whatever_is_said_of_a_model_only_our_own_errors_come_out(
    server: OllamaStub, status: int, body: bytes, error: type[BifrostError]
) -> None:
    server.show = status, body or b" "
    async with open_slot("models", "ollama", {"host": server.url, "model": MODEL}, name="entry") as model:
        with pytest.raises(error):
            await model.describe()


@pytest.mark.parametrize(
    ("model", "prices", "free", "price"),
    [
        (MODEL, {}, True, None),
        ("big:480b-cloud", {}, False, None),
        ("big:480b-cloud", {"usd_per_million_input": 1.5, "usd_per_million_output": 3}, False, 1.5),
    ],
)
async def test_a_model_of_ones_own_is_free_and_one_in_the_cloud_is_not(
    server: OllamaStub, model: str, prices: dict[str, float], free: bool, price: float | None
) -> None:
    server.show = 200, b'{"model_info": {}}'
    async with open_slot("models", "ollama", {"host": server.url, "model": model, **prices}, name="entry") as opened:
        described = await opened.describe()
    assert (described.free, described.usd_per_million_input) == (free, price)
